"""The programs that tasks may run: the built-in one, and those that operators configure in the settings."""

import re
from collections.abc import Iterable, Iterator, Mapping

from jobs.programs.edits import Edit
from jobs.programs.plan import InputError
from jobs.programs.program import EDITOR, FILES, Program
from jobs.programs.proton_beam import check
from jobs.programs.shieldhit import native

FILE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
"""The form of a name of an input file, which becomes a file in the worker's folder."""

_NSTAT = r"^[ \t]*(?i:NSTAT)[ \t]+([^\s!]+)"
_RNDSEED = r"^[ \t]*(?i:RNDSEED)\b[ \t]*(?P<here>[^\s!]*)"
_START = r"^START {5}(?P<here>.{1,10})"
_RANDOMIZ = r"^RANDOMIZ.{12}(?! {10}| *$)(.{1,10})"
_TITLES = r"^TITLE.*(?:\n\*.*)*(?:\n.*)?|^\*.*|^GEOBEGIN[\s\S]*?(?:^GEOEND|\Z)|^STOP[ \t]*$[\s\S]*"
_HISTORIES = r"^[ \t]*ic?:So/[^/\s]+/NumberOfHistoriesInRun[ \t]*=[ \t]*(?P<here>[^\s#]+)[ \t]*(?:#.*)?$"
_TS_SEED = r"^[ \t]*ic?:Ts/Seed[ \t]*=[ \t]*(?P<here>[^\s#]+)"

SHIELDHIT12A = Program(
    name="SHIELDHIT",
    command=("shieldhit", "-n", "{primaries}", "-N", "1", "{input}"),
    kinds=(FILES, EDITOR),
    files=native.REQUIRED_FILES,
    primaries={"beam.dat": _NSTAT},
    seed={"beam.dat": _RNDSEED},
    edits=(
        Edit("beam.dat", r"^[ \t]*(?i:RNDSEED)\b[^\n]*|\A(?![\s\S]*^[ \t]*(?i:RNDSEED)\b)", "RNDSEED      {seed}\n"),
    ),
    progress=r"Primary particle no\.\s*(?P<done>\d+)\s+ETR",
    log="shieldhit*.log",
    results="shieldhit",
    together=True,
)
"""SHIELD-HIT12A. Its random numbers start at RNDSEED + 1: what it adds is the same for all tasks."""

FLUKA = Program(
    name="FLUKA",
    command=("rfluka", "-N0", "-M1", "{file}"),
    kinds=(FILES, EDITOR),
    files=("*.inp",),
    format="fluka",
    seed={"*.inp": _RANDOMIZ},
    primaries={"*.inp": _START},
    ignored={"*.inp": _TITLES},
    edits=(
        Edit("*.inp", _START, "{primaries:>9}."),
        Edit("*.inp", r"^RANDOMIZ.*", "RANDOMIZ         1.0{seed:>9}."),
    ),
    progress=r"^\s+(?P<done>\d+)(?:\s+\d+){2}(?:\s+\d\.\d+E[+-]\d+){2}\s+\d+\s*$",
    log="**/*001.out",
    results="fluka",
    together=True,
)
"""FLUKA by its script rfluka, one cycle per task. The input is in fixed format, with the cards START and RANDOMIZ."""

TOPAS = Program(
    name="TOPAS",
    command=("topas", "topas_config.txt"),
    files=("topas_config.txt",),
    seed={"topas_config.txt": _TS_SEED},
    primaries={"topas_config.txt": _HISTORIES},
    edits=(
        Edit("topas_config.txt", _HISTORIES, "{primaries}"),
        Edit("topas_config.txt", _TS_SEED, "{seed}"),
    ),
    progress=r"Begin processing for Run: \d+, History: (?P<done>\d+)",
    results="topas",
    together=True,
)
"""TOPAS with one source and one run. The parameter file sets Ts/Seed; scorers report Mean, or Sum of a known quantity.

Progress is told when it sets Ts/ShowHistoryCountAtInterval.
"""

READY: Mapping[str, Program] = {"shieldhit12a": SHIELDHIT12A, "fluka": FLUKA, "topas": TOPAS}
"""The descriptions that settings may start from with `like`, by name. None of the programs is installed."""


def built_in() -> Program:
    """The built-in program, which reads SHIELD-HIT12A's input and checks all of it."""
    return Program(
        name="SHIELDHIT",
        command=(
            *("{python}", "-m", "jobs.programs.proton_beam", "--input", "{input}"),
            *("--output", "{output}/results.json", "--primaries", "{primaries}", "--task", "{task}"),
        ),
        kinds=(FILES, EDITOR),
        files=native.REQUIRED_FILES,
        primaries={"beam.dat": _NSTAT},
        progress=r"^Primary particle no\. (?P<done>\d+) of (?P<total>\d+)$",
        results="yaptide-json",
        partial=True,
        checker=check.primaries,
    )


def configured(description: object) -> Program:
    """The program that a table of the settings describes; raises ValueError that begins with the field."""
    return Program.read(description, READY)


class Registry(Mapping[str, Program]):
    """Programs by name: the given ones, and the built-in one unless another has its name. Raises ValueError."""

    def __init__(self, programs: Iterable[Program] = ()) -> None:
        self._programs: dict[str, Program] = {}
        for each in programs:
            if each.name in self._programs:
                raise ValueError(f"name: there are two programs {each.name}")
            self._programs[each.name] = each
        own = built_in()
        self._programs.setdefault(own.name, own)

    def __getitem__(self, name: str) -> Program:
        return self._programs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._programs)

    def __len__(self) -> int:
        return len(self._programs)


__all__ = [
    "EDITOR",
    "FILES",
    "FILE_NAME",
    "FLUKA",
    "READY",
    "SHIELDHIT12A",
    "TOPAS",
    "Edit",
    "InputError",
    "Program",
    "Registry",
    "built_in",
    "configured",
]
