"""Files and tables that a submission may bring, tried with a classification."""

import os
from pathlib import Path

import pytest

from jobs.programs.evaluators import folder, tables
from tests.evaluators.conftest import Challenge, Challenges

FILE = "submission/predictions.csv"
RIGHT = "id,label\n1,cat\n2,dog\n"


@pytest.fixture
def pets(challenge: Challenges) -> Challenge:
    made = challenge("classification")
    made.put("reference/labels.csv", RIGHT)
    made.put(FILE, RIGHT)
    return made


@pytest.mark.parametrize(
    "content",
    [
        RIGHT.replace("\n", "\r\n"),
        "\N{BYTE ORDER MARK}" + RIGHT,
        RIGHT.removesuffix("\n"),
        "id,label\n\n 1 , cat\n\n2,dog\n\n",
        '"id","label"\n"1","cat"\n"2","dog"\n',
    ],
    ids=["CRLF", "byte order mark", "no last line end", "blanks", "quotes"],
)
def test_tables_are_read_as_programs_write_them(pets: Challenge, content: str) -> None:
    pets.put(FILE, content)
    assert pets.run("--bootstrap", "0").scores["accuracy"] == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "predictions.csv: the file is empty; it must begin with the header id,label"),
        (b"label,id\n", "predictions.csv, line 1: the header must be id,label"),
        (b"1,cat\n2,dog\n", "predictions.csv, line 1: the header must be id,label"),
        (b"\xff\xfei\0d\0", "predictions.csv, line 1: the line is not UTF-8"),
        (b"id,label\n1,cat\n2,d\xe9g\n", "predictions.csv, line 3: the line is not UTF-8; predictions.csv: 1 of 2 ids"),
        (
            b"id,label\n1,cat,9\n2,dog\n",
            "predictions.csv, line 2: there must be 2 fields (id,label), not 3 fields; quote",
        ),
        (b"id,label\n1\n2,dog\n", "predictions.csv, line 2: there must be 2 fields (id,label), not 1 field; quote"),
        (b'id,label\n1,"cat\n2,dog\n', "predictions.csv, line 2: the quotes are not closed"),
        (b'id,label\n1,"c"at\n2,dog\n', "predictions.csv, line 2: the quotes are not closed, or stand within a field"),
        (b"id,label\n1,c\rat\n2,dog\n", "predictions.csv, line 2: a carriage return stands within the line"),
    ],
)
def test_what_is_no_such_table_is_refused(pets: Challenge, content: bytes, message: str) -> None:
    pets.put(FILE, content)
    assert pets.refused().startswith(message)


def test_a_huge_line_is_refused_and_the_rest_is_read(pets: Challenge) -> None:
    pets.put(FILE, b"id,label\n1," + b"x" * 3_000_000 + b"\n2,dog\n9,cat\n")
    message = pets.refused()
    assert message.startswith("predictions.csv, line 2: the line is too long; at most 1 MB is allowed")
    assert "line 4: the id '9' is unknown" in message


def test_a_line_of_one_megabyte_is_read(pets: Challenge) -> None:
    pets.put(FILE, b"id,label\r\n1,cat\r\n" + b"2,dog".ljust(folder.LONGEST_LINE) + b"\r\n")
    assert pets.run("--bootstrap", "0").status == 0
    pets.put(FILE, b"id,label\n1,cat\n" + b"2,dog".ljust(folder.LONGEST_LINE + 1))
    assert "line 3: the line is too long" in pets.refused()


def test_large_files_and_many_rows_are_refused(pets: Challenge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOST_ROWS", 1)
    assert pets.refused(status=2) == "labels.csv, line 3: at most 1 rows are allowed"
    with (pets.folder / FILE).open("ab") as file:
        file.truncate(folder.LARGEST_FILE + 1)
    monkeypatch.undo()
    assert pets.refused() == "predictions.csv: the file has 257 MiB; at most 256 MiB are allowed"


def test_a_missing_file_is_refused(pets: Challenge) -> None:
    (pets.folder / FILE).unlink()
    assert pets.refused() == "predictions.csv: the file is missing in the submission"
    (pets.folder / "reference/labels.csv").unlink()
    assert pets.refused(status=2) == "labels.csv: the file is missing in the reference"


def test_a_folder_instead_of_the_file_is_refused(pets: Challenge) -> None:
    (pets.folder / FILE).unlink()
    (pets.folder / FILE).mkdir()
    assert pets.refused() == "predictions.csv: a regular file is needed, and this is a folder"


def test_a_pipe_instead_of_the_file_is_refused(pets: Challenge) -> None:
    (pets.folder / FILE).unlink()
    os.mkfifo(pets.folder / FILE)
    assert pets.refused() == "predictions.csv: a regular file is needed, and this is something else"


def test_a_link_out_of_the_submission_is_refused(pets: Challenge, tmp_path: Path) -> None:
    (pets.folder / FILE).unlink()
    (pets.folder / FILE).symlink_to(tmp_path / "reference" / "labels.csv")
    assert pets.refused() == "predictions.csv: the symbolic link leads out of the submission folder"


@pytest.mark.parametrize("target", ["nowhere", "predictions.csv"])
def test_a_link_that_leads_nowhere_is_refused(pets: Challenge, target: str) -> None:
    (pets.folder / FILE).unlink()
    (pets.folder / FILE).symlink_to(target)
    assert pets.refused() == "predictions.csv: the symbolic link leads nowhere"


def test_a_link_within_the_submission_is_followed(pets: Challenge) -> None:
    (pets.folder / FILE).rename(pets.folder / "submission" / "of_may.csv")
    (pets.folder / FILE).symlink_to("of_may.csv")
    assert pets.run("--bootstrap", "0").status == 0
