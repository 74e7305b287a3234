"""Programs as workers start them, with stand-ins for those that are not installed, and what they leave behind."""

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.programs import READY, configured
from jobs.programs.lines import Lines
from jobs.programs.outputs import Outputs
from jobs.programs.program import Program
from jobs.programs.program_log import Logs
from tests.programs.test_shieldhit_input import BEAM, DETECT, GEO, MAT

STAND_INS = Path(__file__).parent / "stand_ins"
ROOT = Path(__file__).parents[2]

OUTPUTS = f"""{DETECT[: DETECT.index("Output")]}
Output
    Filename slab.bdo
    Geo Depth
    Quantity AvgEnergy
    Quantity Fluence
    Diff1 0 160 5
    Diff1Type E
    Quantity Fluence
Output
    Filename yz.bdo
    Geo Plane
    Quantity Dose
    Quantity Fluence Protons
"""
"""What the stand-in for SHIELD-HIT12A writes."""
SHIELDHIT_FILES = {"beam.dat": BEAM, "mat.dat": MAT, "geo.dat": GEO, "detect.dat": OUTPUTS}
FLUKA_FILES = {
    "water.inp": """TITLE
Protons in water
BEAM           -0.15
*23456789 123456789 123456789
START         1000.0                           0.0
RANDOMIZ         1.0   12345.
STOP
"""
}
TOPAS_FILES = {
    "topas_config.txt": """# standin-free
s:So/Beam/Type = "Beam"
i:So/Beam/NumberOfHistoriesInRun = 1000 # all
i:Ts/Seed = 5
i:Ts/ShowHistoryCountAtInterval = 100
s:Sc/Dose/Quantity = "DoseToMedium"
i:Sc/Dose/XBins = 2
i:Sc/Dose/ZBins = 3
sv:Sc/Dose/OutputReport = 2 "Sum" "Standard_Deviation"
"""
}
INPUTS = {"SHIELDHIT": SHIELDHIT_FILES, "FLUKA": FLUKA_FILES, "TOPAS": TOPAS_FILES}

WITH_LIBRARY = pytest.mark.skipif(
    subprocess.run([sys.executable, "-c", "import pymchelper"], capture_output=True, check=False).returncode != 0,
    reason="pymchelper is not installed",
)


def stand_in(like: str) -> Program:
    """The ready program with a stand-in as its executable."""
    ready = READY[like]
    script = {"SHIELDHIT": "shieldhit.py", "FLUKA": "fluka.py", "TOPAS": "topas.py"}[ready.name]
    command = ["{python}", str(STAND_INS / script), *ready.command[1:]]
    return configured({"name": ready.name, "like": like, "command": command})


def ordered(like: str, order: str) -> dict[str, str]:
    """The input for this program with an order for the stand-in."""
    comment = {"shieldhit12a": "! {}\n", "fluka": "* {}\n", "topas": "# {}\n"}[like].format(order)
    files = dict(INPUTS[READY[like].name])
    first = next(iter(files))
    return {**files, first: files[first] + comment}


class Run:
    """A program started as a worker does it."""

    def __init__(self, program: Program, files: dict[str, str], folder: Path, primaries: int, task: int = 1) -> None:
        self.program = program
        self.output = folder / "output"
        self.output.mkdir()
        inputs = self.output if program.together else folder / "input"
        inputs.mkdir(exist_ok=True)
        for name, text in files.items():
            (inputs / name).write_text(text)
        program.prepare(inputs, primaries, task, 777)
        command = program.start_command(inputs, self.output, primaries, task, 777)
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            command, cwd=self.output, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        self.logs = Logs(Outputs(self.output), program.log) if program.log else None
        self.logged: list[str] = []
        self.lines = Lines(lambda text, number: False)

    def look(self) -> None:
        for _, data in self.logs.added() if self.logs else ():
            self.logged += self.lines.take(data)

    def end(self) -> int:
        self.said = self.process.communicate(timeout=30)[0].splitlines()
        self.look()
        return self.process.returncode

    @property
    def progress(self) -> list[tuple[int, int | None]]:
        found = map(self.program.progress_of, self.said + self.logged)
        return [each for each in found if each is not None]


Starter = Callable[..., Run]


def ended(run: Run, status: int = 0) -> Run:
    assert run.end() == status, run.said
    return run


def page_of(estimators: list[dict[str, Any]], estimator: int, page: int) -> dict[str, Any]:
    """A page with lists of numbers."""
    found: dict[str, Any] = estimators[estimator]["pages"][page]
    return {name: listed(part) if isinstance(part, dict) else part for name, part in found.items()}


def as_json(value: Any) -> Any:
    """Estimators as they are sent: lists of numbers, None for what is not finite."""
    if isinstance(value, dict):
        return {name: as_json(part) for name, part in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int) or value is None else [as_json(part) for part in value]


def listed(part: dict[str, Any]) -> dict[str, Any]:
    return {name: value if isinstance(value, str) else list(value) for name, value in part.items()}


def axes_of(page: dict[str, Any]) -> list[tuple[str, str, list[float]]]:
    found = [page[name] for name in ("axis_dim1", "axis_dim2", "axis_dim3") if name in page]
    return [(axis["name"], axis["unit"], list(axis["values"])) for axis in found]


def edited(files: dict[str, str], old: str, new: str) -> dict[str, str]:
    assert any(old in text for text in files.values())
    return {name: text.replace(old, new) for name, text in files.items()}
