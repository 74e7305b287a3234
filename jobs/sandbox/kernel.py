"""What the sandbox asks of the kernel, and Python has no function for. Each raises OSError."""

import ctypes
import os
import struct
from typing import Any

NEW_MOUNTS, NEW_USERS, NEW_PIDS = 0x20000, 0x10000000, 0x20000000
NEW_REST = 0x40000000 | 0x08000000 | 0x04000000 | 0x02000000
"""Network, System V objects, the machine's name, control groups."""

READ_ONLY, NO_SUID, NO_DEVICES, NO_EXEC = 1, 2, 4, 8
_REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 32, 4096, 16384, 1 << 18
_NO_ATIME, _NO_DIRATIME, _RELATIME = 1024, 2048, 1 << 21
_KEPT = {2: NO_SUID, 4: NO_DEVICES, 8: NO_EXEC, 1024: _NO_ATIME, 2048: _NO_DIRATIME, 4096: _RELATIME}
"""Flags as statvfs tells them, and as mount takes them."""
_DETACH = 2

_DEATH_SIGNAL, _DUMPABLE, _SECCOMP, _BOUNDING_DROP, _SUBREAPER, _NO_NEW_PRIVILEGES = 1, 4, 22, 24, 36, 38
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442  # the same on all machines
_HERE, _EMPTY_PATH = -100, 0x1000
_CLONE_TREE, _CLOSE_ON_EXEC, _FROM_EMPTY = 1, 0o2000000, 4
_MAPPED_IDS = 0x100000
_CAPABILITIES_V3 = 0x20080522


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


_LIBC: Any = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _prctl(option: int, *values: Any) -> None:
    _check(_LIBC.prctl(option, *values, *[ctypes.c_ulong(0)] * (4 - len(values))))


def unshare(flags: int) -> None:
    _check(_LIBC.unshare(flags))


def die_with_parent() -> None:
    """Get SIGKILL when the parent ends. A change of the user undoes it."""
    _prctl(_DEATH_SIGNAL, ctypes.c_ulong(9))


def adopt() -> None:
    """Become the parent of what descendants leave behind."""
    _prctl(_SUBREAPER, ctypes.c_ulong(1))


def let_trace(allowed: bool) -> None:
    """Whether other processes of the same user may look into this one, and write to its files in /proc."""
    _prctl(_DUMPABLE, ctypes.c_ulong(allowed))


def gain_nothing() -> None:
    """Gain no privileges by what is executed from now on."""
    _prctl(_NO_NEW_PRIVILEGES, ctypes.c_ulong(1))


def drop_capabilities() -> None:
    """Give up all capabilities, for what is executed too."""
    for number in range(64):
        try:
            _prctl(_BOUNDING_DROP, ctypes.c_ulong(number))
        except OSError:  # there are no more, or none could be gained anyway
            break
    header, none = struct.pack("=Ii", _CAPABILITIES_V3, 0), bytes(24)
    _check(_LIBC.capset(header, none))


def filter_calls(instructions: bytes) -> None:
    """Have each system call pass a filter, which `calls` makes."""
    program = _Program(len(instructions) // 8, instructions)
    _prctl(_SECCOMP, ctypes.c_ulong(2), ctypes.byref(program))


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str = "") -> None:
    names = [os.fsencode(one) if one is not None else None for one in (source, target, kind)]
    _check(_LIBC.mount(*names, ctypes.c_ulong(flags), os.fsencode(options) if options else None))


def bind(source: str, target: str) -> None:
    """Show a folder or file at a second place, with all that is mounted below it."""
    mount(source, target, None, _BIND | _RECURSIVE)


def restrict(target: str, flags: int) -> None:
    """Add flags to those of a mount."""
    has = os.statvfs(target).f_flag
    kept = sum(given for told, given in _KEPT.items() if has & told)
    mount(None, target, None, _REMOUNT | _BIND | READ_ONLY | flags | kept)


def keep_mounts_private() -> None:
    mount(None, "/", None, _RECURSIVE | _PRIVATE)


def unmount(target: str) -> None:
    """Take a mount away from the tree. What is open of it stays usable."""
    _check(_LIBC.umount2(os.fsencode(target), _DETACH))


def pivot_root(new: str, old: str) -> None:
    _check(_LIBC.pivot_root(os.fsencode(new), os.fsencode(old)))


def bind_mapped(source: str, target: str, users: int) -> None:
    """Show a folder or file read-only at a second place, where its owners are others, as a user namespace maps them."""
    tree = _check(_LIBC.syscall(_OPEN_TREE, _HERE, os.fsencode(source), _CLONE_TREE | _CLOSE_ON_EXEC))
    try:
        wanted = struct.pack("=QQQQ", _MAPPED_IDS | READ_ONLY | NO_SUID | NO_DEVICES, 0, 0, users)
        _check(_LIBC.syscall(_MOUNT_SETATTR, tree, b"", _EMPTY_PATH, wanted, ctypes.c_size_t(len(wanted))))
        _check(_LIBC.syscall(_MOVE_MOUNT, tree, b"", _HERE, os.fsencode(target), _FROM_EMPTY))
    finally:
        os.close(tree)
