"""The file tree that a program in the sandbox sees."""

import contextlib
import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from jobs.sandbox import kernel
from jobs.sandbox.order import DEVICES, ETC, GROUP, OUTPUT, PASSWD, SCRATCH, SYSTEM, Order

PAGE = os.sysconf("SC_PAGE_SIZE")
SPARE_FILES = 4
"""Files that the tree itself needs in what can be written, and one more: only then it is known that a bound is met."""
_OLD, _WRITE = "/.old", "/.write"
_PROC = kernel.NO_SUID | kernel.NO_DEVICES | kernel.NO_EXEC
_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Owner:
    """The user that the program is for the kernel, where root starts it; `mapped` is a user namespace that makes it the
    owner of what belongs to root."""

    user: int
    mapped: int


def build(order: Order, owner: Owner | None) -> list[int]:
    """Make the tree the root of this process, which has a mount namespace of its own and is the first process of a new
    process namespace. Returns the open folders /output, /tmp and /proc."""
    image = os.path.realpath(order.image or "")
    shown, etc = order.shown(), {path: os.path.realpath(path) for path in ETC}
    read_only = {target: os.path.realpath(source) for target, source in sorted(order.read_only.items())}
    kernel.keep_mounts_private()
    kernel.mount("tmpfs", "/usr", "tmpfs", kernel.NO_SUID | kernel.NO_DEVICES, "mode=0755,size=1m,nr_inodes=4096")
    os.chdir("/usr")
    os.mkdir(_OLD[1:], 0o700)
    kernel.pivot_root(".", _OLD[1:])
    os.chdir("/")
    _folder("/proc")
    kernel.mount("proc", "/proc", "proc", _PROC)
    folders = _writable(order, owner, sum(one.startswith(f"{SCRATCH}/") * one.count("/") for one in shown))
    if order.image is None:
        _system(etc)
    else:
        _image(_OLD + image, {f"/{target.split('/')[1]}" for target in read_only}, owner)
    _devices()
    for target, source in shown.items():
        _show(_OLD + source, target, owner)
    for target, source in read_only.items():
        _show(_OLD + source, target, owner, opening=True)
    for mounted in list(_mounted()):
        kernel.restrict(mounted, kernel.NO_SUID | (0 if mounted.startswith("/dev/") else kernel.NO_DEVICES))
    kernel.unmount(_OLD)
    os.rmdir(_OLD)
    kernel.restrict("/", kernel.NO_SUID | kernel.NO_DEVICES)
    folders.append(os.open("/proc", os.O_RDONLY | os.O_DIRECTORY))
    kernel.mount("proc", "/proc", "proc", _PROC, "hidepid=2")  # the program sees its own processes alone
    return folders


def _writable(order: Order, owner: Owner | None, more: int) -> list[int]:
    """Make /output and /tmp, which share one bound; `more` files are needed there by the tree."""
    bounds = order.bounds
    pages = -(-bounds.output // PAGE) + 1
    options = f"mode=0755,size={pages * PAGE},nr_inodes={bounds.files + more + SPARE_FILES}"
    _folder(_WRITE)
    kernel.mount("tmpfs", _WRITE, "tmpfs", kernel.NO_SUID | kernel.NO_DEVICES, options)
    folders = []
    for target in (OUTPUT, SCRATCH):
        source = _WRITE + target
        os.mkdir(source, 0o700)
        if owner:
            os.chown(source, owner.user, owner.user)
        folders.append(os.open(source, os.O_RDONLY | os.O_DIRECTORY))
        _folder(target)
        kernel.bind(source, target)
    kernel.unmount(_WRITE)
    os.rmdir(_WRITE)
    return folders


def _system(etc: Mapping[str, str]) -> None:
    """Show what Python and a shell need of the machine."""
    for path in SYSTEM:
        if os.path.islink(_OLD + path):
            os.symlink(os.readlink(_OLD + path), path)
        elif os.path.isdir(_OLD + path):
            _show(_OLD + path, path)
    _folder("/etc")
    for name, text in (("passwd", PASSWD), ("group", GROUP)):
        with open(f"/etc/{name}", "w", encoding="utf-8") as file:
            file.write(text)
    for path, source in etc.items():
        if os.path.exists(_OLD + source):
            _show(_OLD + source, path)


def _image(image: str, taken: Collection[str], owner: Owner | None) -> None:
    """Show the content of an image as that of the root folder, where nothing else has its place. Links there lead from
    the root that is made."""
    for name in os.listdir(image):
        source, target = f"{image}/{name}", f"/{name}"
        if target in {"/dev", "/sys", *taken} or os.path.lexists(target):
            continue
        mode = os.lstat(source).st_mode
        if stat.S_ISLNK(mode):
            os.symlink(os.readlink(source), target)
        elif stat.S_ISDIR(mode) or stat.S_ISREG(mode):
            _show(source, target, owner, opening=True)


def _devices() -> None:
    _folder("/dev")
    for name in DEVICES:
        _show(f"{_OLD}/dev/{name}", f"/dev/{name}")
    for name, target in (("fd", "/proc/self/fd"), ("shm", SCRATCH)):
        os.symlink(target, f"/dev/{name}")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"/dev/{name}")


def _show(source: str, target: str, owner: Owner | None = None, opening: bool = False) -> None:
    """Show a folder or file of the machine. With an owner, the program can read what belongs to root. Where that can't
    be had by a map of the users, `opening` lets everybody read the files: only who reaches their folder gets so far."""
    if os.path.isdir(source):
        _folder(target)
    else:
        _folder(os.path.dirname(target))
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT, 0o444))
    if owner:
        with contextlib.suppress(OSError):  # an older kernel, or a file system that can't
            kernel.bind_mapped(source, target, owner.mapped)
            return
    if owner and opening:
        _open_up(source)
    kernel.bind(source, target)


def _open_up(source: str) -> None:
    if not os.path.isdir(source):
        os.chmod(source, stat.S_IMODE(os.stat(source).st_mode) | 0o444)
        return
    for _, _, files, here in os.fwalk(source):
        os.fchmod(here, stat.S_IMODE(os.fstat(here).st_mode) | 0o555)
        for name in files:
            status = os.stat(name, dir_fd=here, follow_symlinks=False)
            if stat.S_ISREG(status.st_mode):
                more = 0o555 if status.st_mode & 0o100 else 0o444
                os.chmod(name, stat.S_IMODE(status.st_mode) | more, dir_fd=here)


def _folder(path: str) -> None:
    with contextlib.suppress(FileExistsError):
        os.makedirs(path, 0o755)


def _mounted() -> Iterator[str]:
    """Where something is mounted that must not be written."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            place = _ESCAPED.sub(lambda one: chr(int(one[1], 8)), line.split(" ")[4])
            if place not in {"/", OUTPUT, SCRATCH, "/proc"} and not f"{place}/".startswith(f"{_OLD}/"):
                yield place
