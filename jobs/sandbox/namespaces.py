"""The sandbox by namespaces of the kernel, which this process makes itself.

Root has them made by itself and then gives its power up: the program runs as a user that nobody else is. Anybody else
makes a namespace of users first, in which it may make the others.
"""

import contextlib
import os
import socket
from typing import NoReturn

from jobs.sandbox import first, kernel, root, talk
from jobs.sandbox.order import USER, Order

_FIRST_USER = 1_900_000_000
"""With the number of the launcher's process it is a user that no machine gives to anybody. Where it can't be had, such
as in a namespace of few users, `nobody` must do."""
_NOBODY = 65534


def start(order: Order, inside: socket.socket, launcher: socket.socket) -> int:
    """Start a process that makes the sandbox; returns its number. The process ends when the first process inside is
    there, which then belongs to the launcher. Raises OSError."""
    owner = _owner(os.getpid()) if os.geteuid() == 0 else None
    maker = os.fork()
    if maker:
        if owner:
            os.close(owner.mapped)
        return maker
    _leave(inside, launcher, order, owner)


def _leave(inside: socket.socket, launcher: socket.socket, order: Order, owner: root.Owner | None) -> NoReturn:
    try:
        launcher.close()
        first.calm()
        kernel.die_with_parent()
        os.umask(0o022)
        if owner is None:
            user, group = os.geteuid(), os.getegid()
            kernel.unshare(kernel.NEW_USERS | kernel.NEW_MOUNTS | kernel.NEW_PIDS | kernel.NEW_REST)
            _map(user, group)
        else:
            kernel.unshare(kernel.NEW_MOUNTS | kernel.NEW_PIDS | kernel.NEW_REST)
        process = os.fork()
        if process:
            talk.say(inside, "pid", process)
            os._exit(0)
        folders = root.build(order, owner)
        if owner:
            _give_up(owner.user)
        with open("/proc/sys/user/max_user_namespaces", "w", encoding="utf-8") as file:
            file.write("0")
        first.end_first()
        kernel.restrict("/proc", kernel.NO_SUID | kernel.NO_DEVICES | kernel.NO_EXEC)
        first.run(order, inside, folders, alone=owner is not None and owner.user != _NOBODY)
    except OSError as error:
        with contextlib.suppress(OSError):
            talk.say(inside, "refused", f"the sandbox could not be made: {talk.told(error)}")
    finally:
        os._exit(0)


def _give_up(user: int) -> None:
    """Become the user, in a namespace of users of its own. What root mounted can't be changed there."""
    kernel.gain_nothing()
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    kernel.let_trace(True)  # its files in /proc belong to root otherwise
    kernel.unshare(kernel.NEW_USERS | kernel.NEW_MOUNTS)
    _map(user, user)


def _map(user: int, group: int) -> None:
    """Name the one user and group of this process's namespace."""
    for name, text in (("setgroups", "deny"), ("uid_map", f"{USER} {user} 1"), ("gid_map", f"{USER} {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="utf-8") as file:
            file.write(text)


def _owner(launcher: int) -> root.Owner:
    """The user for a sandbox, with a namespace of users in which it is what root is outside."""
    for user in (_FIRST_USER + launcher, _NOBODY):
        try:
            return root.Owner(user, _mapped(user))
        except OSError as error:
            failure = error
    raise failure


def _mapped(user: int) -> int:
    """A namespace of users, open, that a process of its own makes. Raises OSError where there is no such user."""
    (asks, asked), (told, tells) = os.pipe(), os.pipe()
    maker = os.fork()
    if maker == 0:
        try:
            kernel.unshare(kernel.NEW_USERS)
            os.write(asked, b"1")
            os.close(tells)
            os.read(told, 1)
        finally:
            os._exit(0)
    try:
        os.close(asked)
        if not os.read(asks, 1):
            raise PermissionError(1, "no namespace of users can be made")
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{maker}/{name}", "w", encoding="utf-8") as file:
                file.write(f"0 {user} 1")
        return os.open(f"/proc/{maker}/ns/user", os.O_RDONLY)
    finally:
        for one in (asks, told, tells):
            os.close(one)
        os.waitpid(maker, 0)
