"""Programs that operators configure: their descriptions, their start, their progress and what they leave behind."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs import results
from jobs.programs import (
    EDITOR,
    FILES,
    FLUKA,
    READY,
    SHIELDHIT12A,
    TOPAS,
    InputError,
    Registry,
    built_in,
    configured,
)
from jobs.programs.edits import Edit
from jobs.programs.program import MAX_PRIMARIES, Program
from jobs.programs.program_log import Log
from jobs.programs.readers import OutputError, pages
from tests.programs.test_shieldhit_input import BEAM, DETECT, GEO, MAT

pytestmark = pytest.mark.slow

STAND_INS = Path(__file__).parents[1] / "support" / "stand_ins"
ROOT = Path(__file__).parents[2]

SHIELDHIT_FILES = {"beam.dat": BEAM, "mat.dat": MAT, "geo.dat": GEO, "detect.dat": DETECT}
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
        self.log = Log(self.output, program.log) if program.log else None
        self.logged: list[str] = []

    def look(self) -> None:
        if self.log is not None:
            self.logged += self.log.lines()

    def end(self) -> int:
        self.said = self.process.communicate(timeout=30)[0].splitlines()
        self.look()
        return self.process.returncode

    @property
    def progress(self) -> list[tuple[int, int | None]]:
        found = map(self.program.progress_of, self.said + self.logged)
        return [each for each in found if each is not None]


Starter = Callable[..., Run]


@pytest.fixture
def start(tmp_path: Path) -> Starter:
    def started(like: str, order: str = "", primaries: int = 100, task: int = 1) -> Run:
        return Run(stand_in(like), ordered(like, order and f"standin {order}"), tmp_path, primaries, task)

    return started


def ended(run: Run, status: int = 0) -> Run:
    assert run.end() == status, run.said
    return run


def page_of(estimators: list[dict[str, Any]], estimator: int, page: int) -> dict[str, Any]:
    found: dict[str, Any] = estimators[estimator]["pages"][page]
    return found


def axes_of(page: dict[str, Any]) -> list[tuple[str, str, list[float]]]:
    found = [page[name] for name in ("axis_dim1", "axis_dim2") if name in page]
    return [(axis["name"], axis["unit"], axis["values"]) for axis in found]


# Descriptions


@pytest.mark.parametrize("program", [built_in(), *READY.values()], ids=["built_in", *READY])
def test_a_description_is_plain_json_and_makes_the_same_program(program: Program) -> None:
    text = json.dumps(program.description(), allow_nan=False)
    again = Program.read(json.loads(text))
    assert again == program
    assert again.description() == program.description()
    assert "checker" not in program.description()
    assert again.checker is None


GOOD: dict[str, Any] = {
    "name": "MINE",
    "command": ["/bin/mine", "{input}"],
    "results": "yaptide-json",
    "files": ["*.in"],
    "primaries": {"*.in": r"^N (\d+)"},
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "two words"}, "name: "),
        ({"name": 7}, "name: it must be a text"),
        ({"command": "mine"}, "command: it must be a list"),
        ({"command": []}, "command: at least"),
        ({"command": ["mine", 3]}, "command: "),
        ({"command": ["mine", "{seeds}"]}, r"command\[1\]: unknown placeholder {seeds}; there are file, input"),
        ({"command": ["mine", "{}"]}, r"command\[1\]: unknown placeholder {}"),
        ({"command": ["mine", "{seed.real}"]}, r"command\[1\]: unknown placeholder {seed.real}"),
        ({"command": ["mine", "{seed!r}"]}, r"command\[1\]: {seed} takes a width"),
        ({"command": ["mine", "{seed:{task}}"]}, r"command\[1\]: {seed} takes a width"),
        ({"command": ["mine", "{seed"]}, r"command\[1\]: "),
        ({"command": ["mine", "{file}"], "files": []}, "command: {file} needs"),
        ({"kinds": []}, "kinds: "),
        ({"kinds": ["MAIL"]}, "kinds: 'MAIL' is not one of FILES, EDITOR"),
        ({"files": ["../x"]}, r"files\[0\]: "),
        ({"primaries": {}}, "primaries: "),
        ({"primaries": ["x"]}, "primaries: it must be an object"),
        ({"primaries": {"*.in": r"^N \d+"}}, r"primaries\.\*\.in: one group is needed, not 0"),
        ({"primaries": {"*.in": r"("}}, r"primaries\.\*\.in: '\(' is not a regular expression"),
        ({"edits": [{"file": "*.in", "find": "N"}]}, r"edits\[0\]: it must be an object"),
        ({"edits": [{"file": "*.in", "find": "[", "put": ""}]}, r"edits\[0\]\.find: "),
        ({"edits": [{"file": "*.in", "find": "N", "put": "{input}"}]}, r"edits\[0\]\.put: unknown placeholder"),
        ({"edits": [{"file": "*.in", "find": "N", "put": 1}]}, r"edits\[0\]\.put: it must be a text"),
        ({"edits": "N"}, "edits: it must be a list"),
        ({"progress": r"(?P<total>\d+)"}, "progress: the group"),
        ({"progress": r"(?P<done>\d+)(?P<rest>\d+)"}, "progress: only the groups"),
        ({"progress": r"(?P<done"}, "progress: "),
        ({"log": "*.log"}, "log: without progress"),
        ({"progress": r"(?P<done>\d+)", "log": "../*.log"}, "log: it must lie"),
        (
            {"results": "excel"},
            r"results: 'excel' is none of \['files', 'fluka', 'shieldhit', 'topas', 'yaptide-json'\]",
        ),
        ({"partial": "yes"}, "partial: it must be true or false"),
        ({"together": 1}, "together: it must be true or false"),
        ({"checker": None}, "checker: there is no such field"),
        ({"comand": []}, "comand: there is no such field"),
        ({"like": "excel"}, r"like: 'excel' is none of \['fluka', 'shieldhit12a', 'topas'\]"),
        ({"like": 3}, "like: 3 is none of"),
    ],
)
def test_a_bad_description_names_the_field(change: dict[str, Any], message: str) -> None:
    assert configured(GOOD).name == "MINE"
    with pytest.raises(ValueError, match=f"^{message}"):
        configured({**GOOD, **change})


@pytest.mark.parametrize("missing", ["name", "command", "results", "primaries"])
def test_a_description_misses_nothing_needed(missing: str) -> None:
    with pytest.raises(ValueError, match=f"^{missing}: "):
        configured({key: value for key, value in GOOD.items() if key != missing})
    with pytest.raises(ValueError, match="a program is an object"):
        configured([])


def test_like_takes_the_rest_from_a_ready_program() -> None:
    short = configured({"name": "SHIELDHIT", "like": "shieldhit12a", "command": ["/opt/sh/shieldhit"]})
    assert short.command == ("/opt/sh/shieldhit", *SHIELDHIT12A.command[1:])
    assert short == Program.read({**SHIELDHIT12A.description(), "command": list(short.command)})
    whole = configured({"name": "OTHER", "like": "fluka", "command": ["/bin/wrap", "{input}"], "partial": True})
    assert (whole.name, whole.command, whole.partial) == ("OTHER", ("/bin/wrap", "{input}"), True)
    assert (whole.files, whole.edits, whole.results) == (FLUKA.files, FLUKA.edits, "fluka")


def test_the_registry_holds_the_built_in_program_unless_its_name_is_given_away() -> None:
    assert list(Registry()) == ["SHIELDHIT"]
    assert Registry()["SHIELDHIT"].results == "yaptide-json"
    more = Registry([FLUKA, SHIELDHIT12A])
    assert sorted(more) == ["FLUKA", "SHIELDHIT"]
    assert more["SHIELDHIT"] is SHIELDHIT12A
    assert "TOPAS" not in more
    with pytest.raises(ValueError, match="two programs FLUKA"):
        Registry([FLUKA, FLUKA])


def test_a_worker_needs_the_standard_library_alone() -> None:
    code = (
        "import sys; import jobs.programs, jobs.programs.program, jobs.programs.readers.topas\n"
        "import jobs.programs.readers.yaptide_json, jobs.programs.readers.shieldhit, jobs.programs.readers.fluka\n"
        "own = {name.split('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)\n"
        "print(sorted(name for name in own if not name.startswith('_')))"
    )
    command = [sys.executable, "-S", "-c", code]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.strip() == "['jobs']"


# What users give


@pytest.mark.parametrize(
    ("program", "primaries"),
    [(built_in(), 500), (SHIELDHIT12A, 500), (FLUKA, 1000), (TOPAS, 1000)],
    ids=["built_in", "shieldhit12a", "fluka", "topas"],
)
def test_the_input_says_how_many_primaries(program: Program, primaries: int) -> None:
    files = INPUTS[program.name]
    assert program.files_of(FILES, files) == files
    assert program.check(files) == primaries
    with pytest.raises(InputError, match="file is missing") as caught:
        program.check({})
    assert caught.value.file == program.files[0]
    assert caught.value.line is None


def edited(files: dict[str, str], old: str, new: str) -> dict[str, str]:
    assert any(old in text for text in files.values())
    return {name: text.replace(old, new) for name, text in files.items()}


@pytest.mark.parametrize(
    ("program", "files", "file", "line", "message"),
    [
        (SHIELDHIT12A, edited(SHIELDHIT_FILES, "NSTAT", "NSTOT"), "beam.dat", None, "primaries is missing"),
        (SHIELDHIT12A, edited(SHIELDHIT_FILES, "NSTAT 500", "NSTAT ten"), "beam.dat", 5, "'ten' primaries"),
        (SHIELDHIT12A, edited(SHIELDHIT_FILES, "NSTAT 500", "NSTAT 0"), "beam.dat", 5, "'0' primaries"),
        (FLUKA, edited(FLUKA_FILES, "1000.0", "1000.5"), "water.inp", 5, "'1000.5' primaries"),
        (FLUKA, edited(FLUKA_FILES, "  1000.0", "1.0E+12"), "water.inp", 5, f"from 1 to {MAX_PRIMARIES}"),
        (FLUKA, edited(FLUKA_FILES, "RANDOMIZ", "*ANDOMIZ"), "water.inp", None, "nothing fits '^RANDOMIZ"),
        (FLUKA, {**FLUKA_FILES, "zwei.inp": ""}, "zwei.inp", None, "only one file"),
        (FLUKA, {"water.txt": FLUKA_FILES["water.inp"]}, "*.inp", None, "file is missing"),
        (
            TOPAS,
            edited(TOPAS_FILES, "i:Ts/Seed", "i:So/Two/NumberOfHistoriesInRun = 5\ni:Ts/Seed"),
            "topas_config.txt",
            4,
            "given twice",
        ),
        (TOPAS, edited(TOPAS_FILES, "1000 # all", "1000 * So/N"), "topas_config.txt", None, "primaries is missing"),
        (TOPAS, edited(TOPAS_FILES, "i:Ts/Seed", "#i:Ts/Seed"), "topas_config.txt", None, "Seed"),
    ],
)
def test_bad_input_names_the_file_and_line(
    program: Program, files: dict[str, str], file: str, line: int | None, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        program.check(files)
    assert (caught.value.file, caught.value.line) == (file, line)
    assert message in caught.value.message


def test_the_built_in_program_keeps_its_own_check() -> None:
    with pytest.raises(InputError, match=r"beam\.dat:\d+: JPART0"):
        built_in().check(edited(SHIELDHIT_FILES, "JPART0 2", "JPART0 25"))
    assert SHIELDHIT12A.check(edited(SHIELDHIT_FILES, "JPART0 2", "JPART0 25")) == 500


def test_programs_refuse_kinds_of_input_that_they_do_not_take() -> None:
    with pytest.raises(InputError, match="FLUKA takes FILES, not EDITOR"):
        FLUKA.files_of(EDITOR, {})
    with pytest.raises(InputError, match="file name to text"):
        FLUKA.files_of(FILES, ["water.inp"])
    with pytest.raises(InputError, match="file name to text"):
        FLUKA.files_of(FILES, {"water.inp": 3})


def test_projects_of_the_editor_become_native_files(monkeypatch: pytest.MonkeyPatch) -> None:
    module = type(sys)("jobs.programs.editor.conversion")
    module.convert = lambda project: {"beam.dat": project["text"]}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "jobs.programs.editor.conversion", module)
    for program in (built_in(), SHIELDHIT12A):
        assert program.files_of(EDITOR, {"text": "NSTAT 5"}) == {"beam.dat": "NSTAT 5"}


# Starting


def test_placeholders_become_the_numbers_and_folders_of_a_task(tmp_path: Path) -> None:
    (tmp_path / "a b.in").write_text("")
    words = ["{python}", "{input}/x", "{output}", "{file}", "-n{primaries}", "{task:>4}", "{seed}", "{{x}}", "$HOME;"]
    program = configured({**GOOD, "command": words})
    assert program.start_command(tmp_path, Path("/out"), 20, 3, 9) == [
        *(sys.executable, f"{tmp_path}/x", "/out", f"{tmp_path}/a b.in", "-n20", "   3", "9", "{x}", "$HOME;")
    ]
    (tmp_path / "b.in").write_text("")
    with pytest.raises(ValueError, match=r"\*\.in: one input file is needed, not 2"):
        program.start_command(tmp_path, Path("/out"), 20, 3, 9)


@pytest.mark.parametrize(
    ("numbers", "field"), [((0, 1, 1), "primaries"), ((1, 0, 1), "task"), ((1, 1, 0), "seed"), ((1, 1, 10**9), "seed")]
)
def test_numbers_out_of_range_are_refused(numbers: tuple[int, int, int], field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        built_in().start_command(Path("in"), Path("out"), *numbers)


def test_edits_put_a_tasks_numbers_into_the_input(tmp_path: Path) -> None:
    for name, text in {**FLUKA_FILES, **TOPAS_FILES}.items():
        (tmp_path / name).write_text(text)
    FLUKA.prepare(tmp_path, 250, 4, 900_000_000)
    lines = (tmp_path / "water.inp").read_text().splitlines()
    assert lines[4] == "START           250.                           0.0"
    assert lines[5] == "RANDOMIZ         1.0900000000."
    TOPAS.prepare(tmp_path, 250, 4, 31)
    text = (tmp_path / "topas_config.txt").read_text()
    assert "i:So/Beam/NumberOfHistoriesInRun = 250 # all\ni:Ts/Seed = 31\n" in text
    (tmp_path / "water.inp").write_text("")
    with pytest.raises(ValueError, match=r"\*\.inp: nothing fits"):
        FLUKA.prepare(tmp_path, 250, 4, 31)


def test_what_edits_put_in_is_taken_literally() -> None:
    assert Edit("x", "a(b)", r"\1{task}").apply("ab", {"task": 3}) == (r"\13", 1)


def test_the_built_in_program_runs_as_described(tmp_path: Path) -> None:
    run = ended(Run(Program.read(built_in().description()), SHIELDHIT_FILES, tmp_path, 20, 2))
    assert run.progress[-1] == (20, 20)
    assert any("seed 1236" in line for line in run.said)
    estimators = run.program.results_in(run.output, 20)
    assert results.read(estimators)


@pytest.mark.parametrize("like", sorted(READY))
def test_programs_fail_and_die_as_the_input_tells_them(start: Starter, like: str, tmp_path: Path) -> None:
    run = ended(start(like, "exit 3"), 3)
    assert "ERROR: told to fail" in run.said
    with pytest.raises(OutputError, match="no such file was written"):
        run.program.results_in(run.output)
    (tmp_path / "more").mkdir()
    ended(Run(stand_in(like), ordered(like, "standin die"), tmp_path / "more", 100), -9)


# Progress


@pytest.mark.parametrize(
    ("program", "line", "progress"),
    [
        (built_in(), "Primary particle no. 10 of 20", (10, 20)),
        (built_in(), "Primary particle no. 10 of 20 or so", None),
        (SHIELDHIT12A, "     Primary particle no.    1200      ETR:   0 hours  1 minutes 20 seconds", (1200, None)),
        (SHIELDHIT12A, "     Primary particle no.           1", None),
        (SHIELDHIT12A, "     Run time:   0 hours  1 minutes 20 seconds", None),
        (
            FLUKA,
            "     980000      20000      20000     1.8515483E-04    1.0000000E+30       44182      ",
            (980000, None),
        ),
        (FLUKA, " NEXT SEEDS:    3039       0       0       0       0       0    33B49B1", None),
        (FLUKA, "1NUMBER OF BEAM       NUMBER OF BEAM", None),
        (TOPAS, "Begin processing for Run: 0, History: 300", (300, None)),
        (TOPAS, "G4WT3 > Begin processing for Run: 0, History: 300", (300, None)),
        (TOPAS, "Elapsed times: Real=3.1s", None),
        (configured(GOOD), "Primary particle no. 10 of 20", None),
        (configured({**GOOD, "progress": r"at (?P<done>\d+)?(?P<total> of .*)?"}), "at last", None),
        (configured({**GOOD, "progress": r"at (?P<done>.+)"}), "at last", None),
    ],
)
def test_lines_of_progress(program: Program, line: str, progress: tuple[int, int | None] | None) -> None:
    assert program.progress_of(line) == progress


@pytest.mark.parametrize("like", sorted(READY))
def test_progress_is_told_while_a_program_runs(start: Starter, like: str) -> None:
    run = start(like, "seconds 1", 50)
    while run.process.poll() is None:
        run.look()
    ended(run)
    assert list(dict.fromkeys(run.progress)) == [(10, None), (20, None), (30, None), (40, None), (50, None)]


def test_a_log_is_followed_from_line_to_line_and_where_it_moves(tmp_path: Path) -> None:
    log = Log(tmp_path, "**/*001.out")
    assert log.lines() == []
    (tmp_path / "fluka_1").mkdir()
    path = tmp_path / "fluka_1" / "a001.out"
    path.write_bytes(b"one\r\ntw")
    assert log.lines() == ["one"]
    with path.open("ab") as stream:
        stream.write(b"o\nthr\xffee\n")
    path.rename(tmp_path / "a001.out")
    assert log.lines() == ["two", "thr\ufffdee"]
    assert log.lines() == []


def test_a_log_that_moves_while_it_is_looked_at_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(tmp_path, "*.out")
    path = tmp_path / "a.out"
    path.write_text("one\n")
    assert log.lines() == ["one"]
    path.rename(tmp_path / "b.out")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "exists", lambda self: True)
        assert log.lines() == []
    (tmp_path / "b.out").write_text("one\ntwo\n")
    assert log.lines() == ["two"]


# Results


@WITH_LIBRARY
def test_results_of_shieldhit(start: Starter) -> None:
    run = ended(start("shieldhit12a", task=12))
    assert (run.output / "yz_0012.bdo").exists()
    assert " Random seed: 1246" in run.logged
    estimators = run.program.results_in(run.output)
    results.read(estimators)
    assert [(each["name"], each["file_name"]) for each in estimators] == [("slab", "slab.bdo"), ("yz", "yz.bdo")]
    assert estimators[1]["metadata"]["number_of_primaries"] == "100"
    assert estimators[1]["metadata"]["geotyp"] == "MSH"
    dose, fluence = (page_of(estimators, 1, number) for number in (0, 1))
    assert (dose["data"]["name"], dose["data"]["unit"], dose["dimensions"]) == ("DOSE", "MeV/g/prim", 2)
    assert axes_of(dose) == [
        ("Position (Y)", "cm", [-2.0, 0.0, 2.0]),
        ("Position (Z)", "cm", [1.0, 3.0, 5.0, 7.0]),
    ]
    assert dose["data"]["values"] == pytest.approx([10 * y + z for z in range(4) for y in range(3)])
    assert fluence["data"]["values"] == pytest.approx([100 + 10 * y + z for z in range(4) for y in range(3)])
    assert (fluence["metadata"]["page_number"], fluence["metadata"]["page_filter_name"]) == ("1", "Protons")
    energy, spectrum, turned = (page_of(estimators, 0, number) for number in (0, 1, 2))
    assert (energy["dimensions"], energy["data"]["values"], energy["data"]["unit"]) == (0, [148.5], "MeV")
    assert axes_of(spectrum) == [("KINETIC-ENERGY", "MeV", [16.0, 48.0, 80.0, 112.0, 144.0])]
    assert spectrum["data"] == {
        "name": "FLUENCE",
        "unit": "/cm^2/MeV/prim",
        "values": pytest.approx([0.5, 1.5, 2.5, 3.5, 4.5]),
    }
    assert axes_of(turned) == [
        ("KINETIC-ENERGY", "MeV", [16.0, 48.0, 80.0, 112.0, 144.0]),
        ("", "deg", [22.5, 67.5]),
    ]
    assert turned["data"] == {
        "name": "FLUENCE",
        "unit": "/cm^2/MeV/deg/prim",
        "values": pytest.approx([e + 10 * a for a in range(2) for e in range(5)]),
    }


@WITH_LIBRARY
def test_estimators_of_shieldhit_have_the_names_that_users_gave(start: Starter) -> None:
    run = ended(start("shieldhit12a"))
    (run.output / "names.json").write_text('{"yz.bdo": "Seen from the side", "none.bdo": "x", "slab.bdo": 3}')
    names = [(each["name"], each["file_name"]) for each in run.program.results_in(run.output)]
    assert names == [("slab", "slab.bdo"), ("Seen from the side", "yz.bdo")]
    (run.output / "names.json").write_text('{"slab.bdo": {"name": "Slab", "quantities": ["all of it"]}}')
    slab, side = run.program.results_in(run.output)
    assert (slab["name"], slab["pages"][0]["metadata"]["title"], side["name"]) == ("Slab", "all of it", "yz")
    assert "title" not in side["pages"][0]["metadata"]
    (run.output / "names.json").write_text("[")
    assert [each["name"] for each in run.program.results_in(run.output)] == ["slab", "yz"]


@WITH_LIBRARY
def test_results_of_fluka(start: Starter) -> None:
    run = ended(start("fluka"))
    assert "Initial seed 777" in run.said
    estimators = run.program.results_in(run.output)
    results.read(estimators)
    names = [(each["name"], each["file_name"]) for each in estimators]
    assert names == [("fort.21", "water_fort.21"), ("fort.22", "water_fort.22")]
    assert estimators[0]["metadata"]["number_of_primaries"] == "100"
    assert estimators[0]["metadata"]["title"] == "seed 777"
    front, depth, rings = page_of(estimators, 0, 0), page_of(estimators, 0, 1), page_of(estimators, 1, 0)
    assert axes_of(front) == [("Position (X)", "cm", [-0.5, 0.5]), ("Position (Y)", "cm", [-2.0, 0.0, 2.0])]
    assert (front["data"]["name"], front["data"]["unit"], front["metadata"]["title"]) == ("DOSE", "MeV/g", "front")
    assert front["data"]["values"] == pytest.approx([1000.0 * (100 * x + 10 * y) for y in range(3) for x in range(2)])
    assert axes_of(depth) == [("Position (Z)", "cm", [1.0, 3.0, 5.0, 7.0])]
    assert depth["data"] == {"name": "FLUENCE PROTON", "unit": "/cm^2", "values": [0.0, 1.0, 2.0, 3.0]}
    assert axes_of(rings) == [("Radius (R)", "cm", [1.0, 3.0]), ("Position (Z)", "cm", [1.0, 3.0, 5.0])]
    assert rings["data"]["values"] == pytest.approx([1000.0 * (100 * x + z) for z in range(3) for x in range(2)])
    assert [page["metadata"]["page_number"] for page in estimators[0]["pages"]] == ["0", "1"]


@WITH_LIBRARY
def test_cycles_of_fluka_are_averaged_by_their_primaries(start: Starter, tmp_path: Path) -> None:
    run = ended(start("fluka", primaries=300))
    (tmp_path / "second").mkdir()
    second = ended(Run(stand_in("fluka"), FLUKA_FILES, tmp_path / "second", 100))
    data = (second.output / "water001_fort.22").read_bytes()
    last = data[-28:-4]  # the six values; the count of bytes follows them
    (run.output / "water002_fort.22").write_bytes(data[:-28] + bytes(len(last)) + data[-4:])
    rings = page_of(run.program.results_in(run.output), 1, 0)
    assert rings["data"]["values"] == pytest.approx([750.0 * (100 * x + z) for z in range(3) for x in range(2)])


def test_results_of_topas(tmp_path: Path) -> None:
    more = """s:Sc/Spectrum/Quantity = "Fluence"
i:Sc/Spectrum/ZBins = 2
i:Sc/Spectrum/EBins = 3
d:Sc/Spectrum/EBinMax = 7.5 MeV
sv:Sc/Spectrum/OutputReport = 2 "Sum" "Mean"
s:Sc/Single/Quantity = "ProtonLET"
s:Sc/Point/Quantity = "DoseToMedium"
s:Sc/Point/OutputFile = "deep"
"""
    files = {"topas_config.txt": TOPAS_FILES["topas_config.txt"] + more, "own.csv": "depth,dose\n1,2\n"}
    run = ended(Run(stand_in("topas"), files, tmp_path, 200))
    assert "Seed: 777" in run.said
    estimators = run.program.results_in(run.output, 200)
    results.read(estimators)
    assert [(each["name"], each["file_name"]) for each in estimators] == [
        ("Dose", "Dose.csv"),
        ("Single", "Single.csv"),
        ("Spectrum", "Spectrum.csv"),
        ("deep", "deep.csv"),
    ]
    dose, single, spectrum, point = (page_of(estimators, number, 0) for number in range(4))
    assert estimators[0]["metadata"]["number_of_primaries"] == "200"
    assert (dose["data"]["name"], dose["data"]["unit"], dose["metadata"]["title"]) == ("DoseToMedium", "Gy", "Dose")
    assert dose["metadata"]["page_filter_name"] == 'OnlyIncludeParticlesNamed = 1 "proton"'
    third = 4 / 3
    assert [(name, unit) for name, unit, _ in axes_of(dose)] == [("X", "cm"), ("Z", "cm")]
    assert axes_of(dose)[0][2] == [1.0, 3.0]
    assert axes_of(dose)[1][2] == pytest.approx([third / 2, 1.5 * third, 2.5 * third], rel=1e-5)
    assert dose["data"]["values"] == pytest.approx([100 * x + z for z in range(3) for x in range(2)])
    assert (single["dimensions"], single["data"]["values"]) == (0, [0.0])
    assert axes_of(spectrum) == [("Z", "cm", [1.0, 3.0]), ("incident track energy", "MeV", [1.25, 3.75, 6.25])]
    assert spectrum["data"]["values"] == pytest.approx([z + e / 10 for e in range(3) for z in range(2)])
    assert point["dimensions"] == 0


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ('sv:Sc/Dose/OutputReport = 2 "Sum" "Histories_with_Scorer_Active"', 1.0),
        ('sv:Sc/Dose/OutputReport = 1 "Mean"', 1.0),
        ('b:Sc/Dose/SingleIndex = "True"', 1.0),
        ("u:Sc/Dose/Sparsify = 150", 1.0),
    ],
)
def test_other_shapes_of_topas_tables(tmp_path: Path, more: str, expected: float) -> None:
    run = ended(Run(stand_in("topas"), {"topas_config.txt": TOPAS_FILES["topas_config.txt"] + more}, tmp_path, 100))
    page = page_of(run.program.results_in(run.output, 100), 0, 0)
    values = [expected * (100 * x + z) for z in range(3) for x in range(2)]
    if "Sparsify" in more:
        values[2] = 0.0
        assert page["metadata"]["left_out_up_to"] == "150 Gy"
    assert page["data"]["values"] == pytest.approx(values)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('sv:Sc/Dose/OutputReport = 1 "Variance"', "reports neither Mean nor Sum"),
        ('sv:Sc/Dose/OutputReport = 1 "Sum"', "must report Mean: Sum of DoseToMedium"),
        ("i:Sc/Dose/YBins = 2", "3 axes \\(2 x 2 x 3 bins\\)"),
    ],
)
def test_tables_of_topas_that_cannot_be_used(tmp_path: Path, more: str, message: str) -> None:
    if "YBins" in more:
        more += '\nsv:Sc/Dose/OutputReport = 1 "Mean"'
    run = ended(Run(stand_in("topas"), {"topas_config.txt": TOPAS_FILES["topas_config.txt"] + more}, tmp_path, 100))
    with pytest.raises(OutputError, match=message) as caught:
        run.program.results_in(run.output)
    assert caught.value.file == "Dose.csv"


@pytest.mark.parametrize("like", [pytest.param(each, marks=WITH_LIBRARY) for each in sorted(READY)])
def test_values_that_are_not_finite_become_null(start: Starter, like: str) -> None:
    run = ended(start(like, "nan"))
    estimators = run.program.results_in(run.output, 100)
    json.dumps(estimators, allow_nan=False)
    results.read(estimators)
    found = [each for each in estimators if each["name"] in ("yz", "fort.21", "Dose")]
    values = found[0]["pages"][0]["data"]["values"]
    missing = [index for index, value in enumerate(values) if value is None]
    assert missing == {"shieldhit12a": [1, 2], "fluka": [1], "topas": [2]}[like]


@pytest.mark.parametrize("like", [pytest.param(each, marks=WITH_LIBRARY) for each in sorted(READY)])
def test_files_that_are_cut_short_are_named(start: Starter, like: str) -> None:
    run = ended(start(like))
    path = sorted(path for path in run.output.iterdir() if path.suffix in (".bdo", ".csv") or "fort" in path.name)[-1]
    data = path.read_bytes()
    whole = run.program.results_in(run.output, 100)
    assert whole
    for length in range(0, len(data), 1 if len(data) < 400 else 7):
        path.write_bytes(data[:length])
        with pytest.raises(OutputError) as caught:
            run.program.results_in(run.output, 100)
        assert caught.value.file == path.name, length
    path.unlink()
    others = [each for each in run.output.iterdir() if each.suffix in (".bdo", ".csv") or "fort" in each.name]
    for other in others:
        other.unlink()
    with pytest.raises(OutputError, match="no such file was written"):
        run.program.results_in(run.output, 100)


@WITH_LIBRARY
@pytest.mark.parametrize(
    ("like", "file"), [("shieldhit12a", "yz_0001.bdo"), ("fluka", "water001_fort.22"), ("topas", "Dose.csv")]
)
def test_corrupt_files_are_named(start: Starter, like: str, file: str) -> None:
    run = ended(start(like))
    path = run.output / file
    data = path.read_bytes()
    beginning = b"# TOPAS Version: 3.9\n" if like == "topas" else b""
    middle = len(data) - 110 if like == "topas" else 60
    for wrong in (b"x" * 400, bytes(400), data[:middle] + b"\xff" * 100 + data[middle + 100 :], data + b"\x01\x02\x03"):
        path.write_bytes(beginning + wrong)
        with pytest.raises(OutputError, match=file.replace(".", r"\.")) as caught:
            run.program.results_in(run.output, 100)
        assert caught.value.file == file


@WITH_LIBRARY
def test_two_runs_in_one_folder_are_not_mixed(start: Starter) -> None:
    run = ended(start("shieldhit12a"))
    (run.output / "yz_0002.bdo").write_bytes((run.output / "yz_0001.bdo").read_bytes())
    with pytest.raises(OutputError, match="two files of the estimator yz"):
        run.program.results_in(run.output)


def test_a_missing_library_is_said(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    run = ended(start("shieldhit12a"))
    for name in [name for name in sys.modules if name.split(".")[0] == "pymchelper"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pymchelper", None)
    with pytest.raises(OutputError, match="read with pymchelper, which does not work here"):
        run.program.results_in(run.output)


def test_json_results(tmp_path: Path) -> None:
    program = configured(GOOD)
    for text, message in [
        (None, "it was not written"),
        ('{"estimators": [{"x": [1, 2', "cut short"),
        ("[]", "must hold"),
        ('{"estimators": {}}', "must hold"),
        ('{"estimators": [1]}', "must hold"),
    ]:
        if text is not None:
            (tmp_path / "results.json").write_text(text)
        with pytest.raises(OutputError, match=message) as caught:
            program.results_in(tmp_path)
        assert caught.value.file == "results.json"
    (tmp_path / "results.json").write_bytes(b'{"estimators": ["\xff"]}')
    with pytest.raises(OutputError, match="not UTF-8"):
        program.results_in(tmp_path)
    (tmp_path / "results.json").write_text('{"estimators": [{"values": [NaN, Infinity, -Infinity, 1e999, 2.5, 3]}]}')
    assert program.results_in(tmp_path) == [{"values": [None, None, None, None, 2.5, 3]}]


def test_a_page_has_two_axes_at_most() -> None:
    axis = pages.Axis("X", "cm", [0.0, 1.0])
    with pytest.raises(OutputError, match=r"^a\.bdo: page 3, DOSE: 3 axes \(2 x 2 x 2 bins\)"):
        pages.page("a.bdo", 3, "DOSE", "MeV/g", [axis] * 3, [0.0] * 8, {})
    with pytest.raises(OutputError, match="3 values, but its axes span 2"):
        pages.page("a.bdo", 3, "DOSE", "MeV/g", [axis], [0.0] * 3, {})
    flat = pages.page("a.bdo", 0, "DOSE", "MeV/g", [pages.Axis("Y", "cm", [math.nan]), axis], [1.0, math.inf], {})
    assert (flat["dimensions"], flat["axis_dim1"]["name"], flat["data"]["values"]) == (1, "X", [1.0, None])


def test_the_parts_of_the_package_do_not_hide_each_other() -> None:
    code = "import jobs.programs; from jobs.programs.proton_beam import simulation; from jobs.programs.shieldhit import native; simulation.run, native.read"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
