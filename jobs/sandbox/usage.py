"""What the processes inside use, as the launcher sees it."""

import os
import re
from collections.abc import Sequence

from jobs.sandbox import reports
from jobs.sandbox.bounds import Bounds, spelled

_FIELD = re.compile(rb"^(VmSize|VmPTE|VmSwap|HugetlbPages|RssAnon|RssShmem|Threads):\s+(\d+)", re.MULTILINE)
_ALWAYS = (b"VmPTE", b"VmSwap", b"HugetlbPages")
_EXACT = re.compile(rb"^(?:Pss_Anon|Pss_Shmem):\s+(\d+)", re.MULTILINE)
_SHARED = re.compile(rb"^([0-9a-f]+)-([0-9a-f]+) ...s .*(?:/dev/zero|/memfd:.*|/SYSV.*) \(deleted\)$", re.MULTILINE)
_USED = re.compile(rb"sockets: used (\d+)")
_SOCKETS, _SOCKET = 64, 1 << 18
"""Sockets whose buffers are not counted, and the bytes that each further one may hold in its buffer."""
_MOST = 1 << 16

Breach = tuple[str, str]
"""The code of a bound, and a sentence."""


class Usage:
    """What is used of the bounds, by the processes that `processes` (a folder /proc) has, and in `written` folders."""

    def __init__(self, bounds: Bounds, written: Sequence[int], processes: int) -> None:
        self.bounds = bounds
        self._written = {os.fstat(folder).st_dev: folder for folder in written}
        self._processes = processes
        self._files = self._stored()[1]

    def breach(self) -> Breach | None:
        """The bound that is met now, if any."""
        return self.storage() or self._running()

    def storage(self) -> Breach | None:
        """The bound of what is written that is met now, if any."""
        size, files = self._stored()
        if size > self.bounds.output:
            return reports.OUTPUT, f"it wrote more than {spelled(self.bounds.output)} and was ended"
        if files - self._files > self.bounds.files:
            return reports.FILES, f"it wrote more than {self.bounds.files} files and folders and was ended"
        return None

    def _stored(self) -> tuple[int, int]:
        size = files = 0
        for folder in self._written.values():
            now = os.statvfs(folder)
            size += (now.f_blocks - now.f_bfree) * now.f_frsize
            files += now.f_files - now.f_ffree
        return size, files

    def _running(self) -> Breach | None:
        size, count = self._stored()[0], 0
        anonymous = 0
        wide: list[str] = []
        size += self._sockets()
        inside = [one for one in os.listdir(self._processes) if one.isdigit() and one != "1"]
        for one in inside:
            found = {name: int(value) for name, value in _FIELD.findall(self._read(one, "status"))}
            count += found.get(b"Threads", 0)
            own = (found.get(b"RssAnon", 0) + found.get(b"RssShmem", 0)) << 10
            size += sum(found.get(name, 0) for name in _ALWAYS) << 10
            anonymous += own
            if found.get(b"VmSize", 0) << 10 > self.bounds.memory:
                wide.append(one)
        if count > self.bounds.processes:
            return reports.PROCESSES, f"it had more than {self.bounds.processes} processes and threads and was ended"
        if size + anonymous > self.bounds.memory:  # perhaps pages that several share
            anonymous = sum(self._exactly(one) for one in inside)
        if size + anonymous > self.bounds.memory or any(self._shared(one) > self.bounds.memory for one in wide):
            return reports.MEMORY, f"it used more than {spelled(self.bounds.memory)} of memory and was ended"
        return None

    def _sockets(self) -> int:
        """The bytes that sockets may hold: the kernel counts what lies in them nowhere."""
        found = _USED.search(self._read("1", "net/sockstat"))
        return max(0, int(found[1]) - _SOCKETS) * _SOCKET if found else 0

    def _exactly(self, process: str) -> int:
        """The bytes of a process; it has its part only of a page that others have too."""
        if exact := _EXACT.findall(self._read(process, "smaps_rollup")):
            return sum(int(one) for one in exact) << 10
        found = {name: int(value) for name, value in _FIELD.findall(self._read(process, "status"))}
        return (found.get(b"RssAnon", 0) + found.get(b"RssShmem", 0)) << 10

    def _shared(self, process: str) -> int:
        """The bytes of shared memory that a process may have. The kernel keeps such pages when the process says that it
        does not need them, and then counts them nowhere. A process that lets nobody look may have any number."""
        try:
            maps = self._read(process, "maps", strict=True)
        except PermissionError:
            return self.bounds.memory + 1
        return sum(int(end, 16) - int(begin, 16) for begin, end in _SHARED.findall(maps))

    def _read(self, process: str, name: str, strict: bool = False) -> bytes:
        """A file of a process, empty when it has ended. Raises PermissionError where that is asked for."""
        parts = []
        try:
            file = os.open(f"{process}/{name}", os.O_RDONLY, dir_fd=self._processes)
            try:
                while part := os.read(file, _MOST):
                    parts.append(part)
            finally:
                os.close(file)
        except PermissionError:
            if strict:
                raise
        except OSError:
            pass
        return b"".join(parts)
