"""What the launcher is told to do: which program, on which files, within which bounds."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from jobs.sandbox.bounds import Bounds

OUTPUT, SCRATCH = "/output", "/tmp"  # noqa: S108
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""What is shown of the machine's system, where it has it."""
ETC = ("/etc/ld.so.cache", "/etc/localtime", "/etc/alternatives")
DEVICES = ("null", "zero", "full", "random", "urandom")
USER = 1000
"""The user that the program sees itself as."""
PASSWD = f"root:x:0:0:root:/:/bin/false\nsandbox:x:{USER}:{USER}:sandbox:{SCRATCH}:/bin/bash\n"
GROUP = f"root:x:0:\nsandbox:x:{USER}:\n"

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where the programs of an image are, unless it says so itself."""
_MADE = ("/etc", "/dev", "/proc", "/sys", "/.old", "/.write", OUTPUT, SCRATCH)
_TARGET = re.compile(r"(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}){1,8}")


@dataclass(frozen=True)
class Order:
    """Raises ValueError that begins with what is wrong.

    `read_only` has for a path inside the folder or file outside. `runtime` are paths that are shown at their own place,
    `modules` is what Python's path has inside and `python` the folder of the interpreter. `means` is how the sandbox is
    made. The output is copied into the folder `output`, which is empty; `report` is a file outside of it.

    `image` is the folder of a root file system: its content is shown in place of the machine's system, of Python and of
    `modules`. The program then also gets `variables`, and works in `folder`.
    """

    means: str
    bounds: Bounds
    words: Sequence[str]
    read_only: Mapping[str, str]
    output: str
    report: str
    runtime: Sequence[str]
    modules: str
    python: str
    image: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    folder: str = OUTPUT

    def __post_init__(self) -> None:
        _require(self.words and all(self.words), "words", "at least the program must be named, and no word be empty")
        for word in self.words:
            _require("\0" not in word, "words", "a word holds no zero byte")
        for target, source in self.read_only.items():
            _require(_TARGET.fullmatch(target), "read_only", f"{target!r} is no path of plain names")
            taken = (*SYSTEM, *_MADE, *self.runtime, *(one for one in self.read_only if one != target))
            clash = any(_within(target, one) or _within(one, target) for one in taken)
            _require(not clash, "read_only", f"{target} is the place of something else")
            _require(os.path.isabs(source), "read_only", f"{target} is to show a path that is not absolute")
            _require(
                os.path.isdir(source) or os.path.isfile(source), "read_only", f"{target} is to show what is not there"
            )
        for path in self.runtime:
            _require(os.path.isabs(path) and os.path.normpath(path) != "/", "runtime", "absolute paths below the root")
            bad = any(_within(path, one) for one in ("/dev", "/proc", "/sys", "/etc", OUTPUT, "/.old", "/.write"))
            _require(not bad, "runtime", "a path of devices, processes or settings is not shown")
        for name in ("output", "report"):
            _require(os.path.isabs(getattr(self, name)), name, "it must be absolute")
        shown = (self.output, *self.read_only.values(), *self.runtime)
        if self.image is not None:
            _require(os.path.isabs(self.image) and os.path.isdir(self.image), "image", "an absolute path of a folder")
            _require(not self.runtime, "runtime", "nothing of the machine is shown beside an image")
            _require(not _within(self.output, self.image), "output", "it must lie outside of the image")
            shown = (*shown, self.image)
        for name, value in self.variables.items():
            good = name and "=" not in name and "\0" not in f"{name}{value}"
            _require(good, "variables", "a name has no equals sign, and no text a zero byte")
        _require(os.path.isabs(self.folder) and "\0" not in self.folder, "folder", "an absolute path")
        inside = any(_within(os.path.realpath(self.report), os.path.realpath(one)) for one in shown)
        _require(not inside, "report", "it must lie outside of what the program sees or writes")

    @classmethod
    def read(cls, text: str) -> Self:
        given: dict[str, Any] = json.loads(text)
        return cls(**{**given, "bounds": Bounds.read(given["bounds"])})

    def text(self) -> str:
        return json.dumps(asdict(self))

    def shown(self) -> dict[str, str]:
        """What is shown at its own place beside the system: targets inside, with the real paths outside."""
        found: dict[str, str] = {}
        for given in self.runtime:
            real = os.path.realpath(given)
            for target in (os.path.normpath(given), real):
                if not any(_within(target, one) for one in SYSTEM):
                    found[target] = real
        outer = [one for one in found if not any(_within(one, other) and one != other for other in found)]
        return {one: found[one] for one in sorted(outer)}

    def environment(self) -> dict[str, str]:
        """All variables that the program gets."""
        if self.image is not None:
            own = {"HOME": SCRATCH, "TMPDIR": SCRATCH, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
            return {"PATH": _PATH, "LANG": "C.UTF-8", **self.variables, **own}
        return {
            "PATH": f"{self.python}:/usr/local/bin:/usr/bin:/bin",
            "HOME": SCRATCH,
            "LANG": "C.UTF-8",
            "PYTHONPATH": self.modules,
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _require(true: object, name: str, what: str) -> None:
    if not true:
        raise ValueError(f"{name}: {what}")
