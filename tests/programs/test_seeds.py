"""Seeds of tasks: which seeds programs get for the seed that an input names."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.programs import FLUKA, SHIELDHIT12A, TOPAS
from jobs.programs.plan import InputError
from jobs.programs.program import Program
from jobs.programs.proton_beam.simulation import run
from jobs.programs.seeds import MAX_SEED, MAX_TASKS, seed_of
from jobs.programs.shieldhit.native import read
from tests.programs.test_shieldhit_input import files

SEEDS = st.integers(0, MAX_SEED // MAX_TASKS - 1)
TASKS = st.integers(1, MAX_TASKS)
INPUTS = {
    "SHIELDHIT": ("beam.dat", "JPART0 2\nRNDSEED {} ! seed\nNSTAT 5\n"),
    "FLUKA": ("a.inp", "RANDOMIZ         1.0{:>10}\nSTART            100.\n"),
    "TOPAS": ("topas_config.txt", "i:Ts/Seed = {}\ni:So/Beam/NumberOfHistoriesInRun = 5\n"),
}


@given(SEEDS, TASKS, SEEDS, TASKS)
def test_no_two_pairs_of_a_seed_and_a_task_share_a_seed(one: int, task: int, two: int, other: int) -> None:
    assert (seed_of(one, task) == seed_of(two, other)) == ((one, task) == (two, other))
    assert 1 <= seed_of(one, task) <= MAX_SEED


def test_neighbouring_seeds_and_tasks_share_no_seed() -> None:
    assert len({seed_of(seed, task) for seed in range(4700, 4720) for task in range(1, 1001)}) == 20_000
    assert seed_of(4711, 2) != seed_of(4712, 1)


@pytest.mark.parametrize("named", [0, 89_999, 90_000, 89_736_501, 2**59])
def test_every_seed_stays_in_the_range_of_the_programs(named: int) -> None:
    assert len({seed_of(named, task) for task in range(1, 2000)}) == 1999
    assert all(1 <= seed_of(named, task) <= MAX_SEED for task in (1, 2, MAX_TASKS))


@pytest.mark.parametrize("program", [SHIELDHIT12A, FLUKA, TOPAS], ids=lambda program: program.name)
def test_programs_get_the_seed_of_the_task_by_the_seed_that_the_input_names(program: Program, tmp_path: Path) -> None:
    name, text = INPUTS[program.name]
    read_back = Program.read(program.description())
    (tmp_path / name).write_text(text.format(4711))
    seed = read_back.seed_in(tmp_path, 3)
    assert seed == seed_of(4711, 3)
    read_back.prepare(tmp_path, 5, 3, seed)
    assert str(seed) in (tmp_path / name).read_text()
    assert "4711" not in (tmp_path / name).read_text()


def test_fluka_counts_in_decimals(tmp_path: Path) -> None:
    (tmp_path / "a.inp").write_text("RANDOMIZ         1.0     137.0\n")
    assert FLUKA.seed_in(tmp_path, 1) == seed_of(137, 1)


def test_without_a_seed_tasks_have_their_own_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "beam.dat").write_text("JPART0 2\nNSTAT 5\n")
    assert SHIELDHIT12A.seed_in(tmp_path, 2) == seed_of(0, 2)
    SHIELDHIT12A.prepare(tmp_path, 5, 2, 99)
    assert (tmp_path / "beam.dat").read_text() == "RNDSEED      99\nJPART0 2\nNSTAT 5\n"


def test_the_built_in_program_has_other_numbers_for_each_pair() -> None:
    plan = read(files())

    def dose(seed: int, task: int) -> list[float]:
        (first, *_) = run(plan, 10, seed, lambda line: None, lambda done: None, task=task)
        pages = first["pages"]
        assert isinstance(pages, list)
        return list(np.asarray(pages[0]["data"]["values"]))

    assert dose(4711, 2) == dose(4711, 2)
    assert dose(4711, 2) != dose(4712, 1)


@pytest.mark.parametrize(
    ("program", "files", "primaries", "lines"),
    [
        (FLUKA, "START        1.0D3\nRANDOMIZ         1.0      1E3\n", 1000, ("START           333.", "RANDOMIZ         1.0      777.")),
        (FLUKA, "START     1000\nRANDOMIZ         1.0\n", 1000, ("START           333.", "RANDOMIZ         1.0      777.")),
        (TOPAS, "i:So/Beam/NumberOfHistoriesInRun = 1e3 # all\nic:Ts/Seed = 5e3\n", 1000, ("i:So/Beam/NumberOfHistoriesInRun = 333 # all", "ic:Ts/Seed = 777")),
        (TOPAS, "i:So/Beam/NumberOfHistoriesInRun = 1000.0\ni:Ts/Seed = 5\n", 1000, ("i:So/Beam/NumberOfHistoriesInRun = 333", "i:Ts/Seed = 777")),
    ],
)  # fmt: skip
def test_what_is_read_as_a_number_is_what_is_replaced(
    program: Program, files: str, primaries: int, lines: tuple[str, ...], tmp_path: Path
) -> None:
    name = {"FLUKA": "a.inp", "TOPAS": "topas_config.txt"}[program.name]
    assert Program.read(program.description()).check({name: files}) == primaries
    (tmp_path / name).write_text(files)
    program.prepare(tmp_path, 333, 1, 777)
    assert tuple((tmp_path / name).read_text().splitlines()) == lines


def test_titles_comments_and_geometry_are_no_cards_of_fluka(tmp_path: Path) -> None:
    text = (
        "TITLE\nRANDOMIZED trial no. 42\n* START      5.\nGEOBEGIN\nSTART     5 +body\nGEOEND\n"
        "RANDOMIZ         1.0     137.\nSTART           100.\nSTOP\nSTART           200.\n"
    )
    for title in ("RANDOMIZED trial no. 42", "START      100", "TITLE"):
        (tmp_path / "a.inp").write_text(given := text.replace("RANDOMIZED trial no. 42", title))
        assert FLUKA.check({"a.inp": given}) == 100
        assert FLUKA.seed_in(tmp_path, 1) == seed_of(137, 1)
        FLUKA.prepare(tmp_path, 33, 1, 777)
        edited = given.replace("1.0     137.", "1.0      777.").replace("           100.", "            33.")
        assert (tmp_path / "a.inp").read_text() == edited
    with pytest.raises(InputError, match="card START is missing"):
        FLUKA.check({"a.inp": "TITLE\nSTART      100\nRANDOMIZ         1.0\n"})


@pytest.mark.parametrize("card", ["rndseed 4711", "  RndSeed 4711.0", "RNDSEED 4711!x"])
def test_the_seed_of_shieldhit_is_one_card_however_it_is_written(card: str, tmp_path: Path) -> None:
    text = f"{card}\nNSTAT 5\n"
    (tmp_path / "beam.dat").write_text(text)
    assert SHIELDHIT12A.seed_in(tmp_path, 1) == seed_of(4711, 1)
    SHIELDHIT12A.prepare(tmp_path, 5, 1, 777)
    assert (tmp_path / "beam.dat").read_text().split() == ["RNDSEED", "777", "NSTAT", "5"]


@pytest.mark.parametrize(
    ("beam", "line", "message"),
    [
        ("NSTAT 5\nRNDSEED -1234", 2, "'-1234' as the seed; allowed are whole numbers from 0 to 9223372036854775807"),
        ("NSTAT 5\nRNDSEED 12345678901234567890", 2, "as the seed"),
        ("NSTAT 5\nrndseed 1_000", 2, "'1_000' as the seed"),
        ("NSTAT 5\nRNDSEED", 2, "'' as the seed"),
        ("RNDSEED 5\nNSTAT 5\nrndseed 6", 3, "card RNDSEED, the seed, is given twice; first in beam.dat, line 1"),
        ("NSTAT 1_000", 1, "'1_000' as the number of primaries"),
        ("nstat 5\nNSTAT 6", 2, "card NSTAT, the number of primaries, is given twice; first in beam.dat, line 1"),
        ("RNDSEED 5", None, "there is no card NSTAT"),
    ],
)
def test_wrong_numbers_are_refused_with_their_card_and_line(beam: str, line: int | None, message: str) -> None:
    given = {"beam.dat": beam, "mat.dat": "", "geo.dat": "", "detect.dat": ""}
    with pytest.raises(InputError) as caught:
        SHIELDHIT12A.check(given)
    assert (caught.value.file, caught.value.line) == ("beam.dat", line)
    assert message in caught.value.message
