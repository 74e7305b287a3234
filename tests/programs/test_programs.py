"""Programs that operators configure: their descriptions, their start and their progress."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

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
from jobs.programs.outputs import Outputs
from jobs.programs.program import MAX_PRIMARIES, Program
from jobs.programs.program_log import Logs
from jobs.programs.readers import OutputError
from jobs.results import estimators
from tests.support.editor import PROJECT, changed
from tests.support.programs import (
    FLUKA_FILES,
    INPUTS,
    ROOT,
    SHIELDHIT_FILES,
    TOPAS_FILES,
    Run,
    Starter,
    edited,
    ended,
    ordered,
    stand_in,
)

pytestmark = pytest.mark.slow

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
            r"results: 'excel' is none of \['files', 'fluka', 'scores', 'shieldhit', 'topas', 'yaptide-json'\]",
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
    assert program.accept(FILES, files) == (files, primaries)
    with pytest.raises(InputError, match="file is missing") as caught:
        program.check({})
    assert caught.value.file == program.files[0]
    assert caught.value.line is None


@pytest.mark.parametrize(
    ("program", "files", "file", "line", "message"),
    [
        (SHIELDHIT12A, edited(SHIELDHIT_FILES, "NSTAT", "NSTOT"), "beam.dat", None, "primaries is missing"),
        (
            SHIELDHIT12A,
            edited(SHIELDHIT_FILES, "NSTAT 500", "NSTAT ten"),
            "beam.dat",
            5,
            "'ten' as the number of primaries",
        ),
        (
            SHIELDHIT12A,
            edited(SHIELDHIT_FILES, "NSTAT 500", "NSTAT 0"),
            "beam.dat",
            5,
            "'0' as the number of primaries",
        ),
        (FLUKA, edited(FLUKA_FILES, "1000.0", "1000.5"), "water.inp", 5, "'1000.5' as the number of primaries"),
        (FLUKA, edited(FLUKA_FILES, "  1000.0", "1.0E+12"), "water.inp", 5, f"from 1 to {MAX_PRIMARIES}"),
        (FLUKA, edited(FLUKA_FILES, "RANDOMIZ", "*ANDOMIZ"), "water.inp", None, "card RANDOMIZ is missing"),
        (FLUKA, {**FLUKA_FILES, "zwei.inp": ""}, "zwei.inp", None, "only one file"),
        (FLUKA, {"water.txt": FLUKA_FILES["water.inp"]}, "*.inp", None, "file is missing"),
        (
            TOPAS,
            edited(TOPAS_FILES, "i:Ts/Seed", "i:So/Two/NumberOfHistoriesInRun = 5\ni:Ts/Seed"),
            "topas_config.txt",
            4,
            "given twice",
        ),
        (
            TOPAS,
            edited(TOPAS_FILES, "1000 # all", "1000 * So/N"),
            "topas_config.txt",
            None,
            "card NumberOfHistoriesInRun is missing",
        ),
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
    with pytest.raises(InputError, match="TOPAS takes FILES, not EDITOR"):
        TOPAS.accept(EDITOR, {})
    with pytest.raises(InputError, match="file name to text"):
        FLUKA.accept(FILES, ["water.inp"])
    with pytest.raises(InputError, match="file name to text"):
        FLUKA.accept(FILES, {"water.inp": 3})


@pytest.mark.parametrize("program", [SHIELDHIT12A, FLUKA, built_in()], ids=["shieldhit12a", "fluka", "built_in"])
def test_projects_of_the_editor_become_the_native_files_of_a_program(program: Program, tmp_path: Path) -> None:
    files, primaries = program.accept(EDITOR, changed({"physic": {}}, PROJECT))
    assert primaries == 500
    assert program.accept(FILES, files) == (files, 500)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    program.prepare(tmp_path, 250, 2, program.seed_in(tmp_path, 2))


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
    assert any("seed 1234, task 2" in line for line in run.said)
    reading = run.program.results_in(run.output, 20)
    assert estimators.read(reading.estimators).warnings == []


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


@pytest.mark.parametrize("digits", ["9" * 23, "9" * 9_999, "-1"])
def test_a_number_that_is_none_of_primaries_is_told(digits: str) -> None:
    program = configured({**GOOD, "progress": r"done (?P<done>-?\d+)"})
    with pytest.raises(ValueError, match="is no number of primaries: it is to be from 0 to 9223372036854775807"):
        program.progress_of(f"done {digits}")


@pytest.mark.parametrize("like", sorted(READY))
def test_progress_is_told_while_a_program_runs(start: Starter, like: str) -> None:
    run = start(like, "seconds 1", 50)
    while run.process.poll() is None:
        run.look()
    ended(run)
    assert list(dict.fromkeys(run.progress)) == [(10, None), (20, None), (30, None), (40, None), (50, None)]


def test_a_log_is_followed_as_it_grows_and_where_it_moves(tmp_path: Path) -> None:
    logs = Logs(Outputs(tmp_path), "**/*001.out")
    assert list(logs.added()) == []
    (tmp_path / "fluka_1").mkdir()
    path = tmp_path / "fluka_1" / "a001.out"
    path.write_bytes(b"one\r\ntw")
    assert list(logs.added()) == [("a001.out", b"one\r\ntw")]
    with path.open("ab") as stream:
        stream.write(b"o\nthr\xffee\n")
    path.rename(tmp_path / "a001.out")
    assert list(logs.added()) == [("a001.out", b"o\nthr\xffee\n")]
    assert list(logs.added()) == []


def test_a_log_that_moves_while_it_is_looked_at_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = Logs(Outputs(tmp_path), "**/*.out")
    path = tmp_path / "a.out"
    path.write_text("one\n")
    assert list(logs.added()) == [("a.out", b"one\n")]
    (tmp_path / "end").mkdir()
    path.rename(tmp_path / "end" / "a.out")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "exists", lambda self: True)
        assert list(logs.added()) == []
    (tmp_path / "end" / "a.out").write_text("one\ntwo\n")
    assert list(logs.added()) == [("a.out", b"two\n")]


def test_all_logs_that_fit_are_followed_each_by_its_name(tmp_path: Path) -> None:
    logs = Logs(Outputs(tmp_path), "*.log")
    (tmp_path / "a.log").write_text("one\n")
    (tmp_path / "b.log").write_text("two\n")
    assert list(logs.added()) == [("a.log", b"one\n"), ("b.log", b"two\n")]


def test_the_parts_of_the_package_do_not_hide_each_other() -> None:
    code = "import jobs.programs; from jobs.programs.proton_beam import simulation; from jobs.programs.shieldhit import native; simulation.run, native.read"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
