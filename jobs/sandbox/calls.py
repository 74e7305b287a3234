"""The system calls that a program in the sandbox can't make.

They are those that make namespaces and mounts, look into other processes, hold memory that belongs to no process, or
open large parts of the kernel to attacks. Of sockets there are those within the machine and of the internet (which is
not there): a socket of a virtual machine would reach its host past the network namespace.
"""

import errno
import os
import struct

_MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""The kernel's number of a machine, and which column of the table is its own."""

_DENIED = {
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "vmsplice": (278, 75),
    "io_setup": (206, 0),
    "io_uring_setup": (425, 425),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "fanotify_init": (300, 262),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
}
_CLONE, _CLONE3, _SOCKET = (56, 220), (435, 435), (41, 198)
_NAMESPACES = 0x7E020000
_FAMILIES = (1, 2, 10)
"""Sockets within the machine, IPv4, IPv6."""
_X32 = 0x40000000

_NUMBER, _MACHINE, _FIRST = 0, 4, 16
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _FAIL, _KILL = 0x7FFF0000, 0x00050000, 0x80000000


def known() -> bool:
    """Whether the numbers of this machine's system calls are known."""
    return os.uname().machine in _MACHINES


def instructions() -> bytes:
    """The filter as the kernel takes it. Raises KeyError on a machine that is not known."""
    machine, column = _MACHINES[os.uname().machine]
    code = [
        _step(_LOAD, _MACHINE),
        _step(_EQUAL, machine, 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER),
        *_failing(_AT_LEAST, _X32, errno.ENOSYS),
        *_failing(_EQUAL, _CLONE3[column], errno.ENOSYS),  # its flags can't be read; the C library then uses clone
    ]
    for numbers in _DENIED.values():
        code += _failing(_EQUAL, numbers[column], errno.EPERM)
    left = len(_FAMILIES)
    code += [
        _step(_EQUAL, _CLONE[column], 0, 4),
        _step(_LOAD, _FIRST),
        *_failing(_ANY_BIT, _NAMESPACES, errno.EPERM),
        _step(_RETURN, _ALLOW),
        _step(_EQUAL, _SOCKET[column], 0, left + 2),
        _step(_LOAD, _FIRST),
        *(_step(_EQUAL, family, left - n, 0) for n, family in enumerate(_FAMILIES)),
        _step(_RETURN, _FAIL | errno.EAFNOSUPPORT),
        _step(_RETURN, _ALLOW),
    ]
    return b"".join(code)


def _failing(compare: int, value: int, number: int) -> list[bytes]:
    return [_step(compare, value, 0, 1), _step(_RETURN, _FAIL | number)]


def _step(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, then, otherwise, value)
