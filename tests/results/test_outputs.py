"""What of an output folder is the program's: regular files that it wrote."""

import os
from pathlib import Path

import pytest

from jobs.programs.outputs import Outputs, stamps
from jobs.programs.readers import OutputError, read
from tests.support.stand_ins.formats import topas

TABLE = topas("DoseToMedium", ["Mean"], (1, 1, 2), [[1.0], [2.0]])


def test_a_file_that_is_as_it_was_before_the_start_is_no_output(tmp_path: Path) -> None:
    for name in ("given.csv", "changed.csv"):
        (tmp_path / name).write_bytes(TABLE)
    before = stamps(tmp_path)
    (tmp_path / "changed.csv").write_bytes(TABLE + b"\n")
    (tmp_path / "made.csv").write_bytes(TABLE)
    outputs = Outputs(tmp_path, before)
    assert [path.name for path in outputs.fitting("*.csv")] == ["changed.csv", "made.csv"]
    assert (outputs.has("given.csv"), outputs.has("made.csv")) == (False, True)


def test_a_table_that_was_given_is_not_read_and_the_scorer_of_its_name_counts_as_not_written(tmp_path: Path) -> None:
    (tmp_path / "topas_config.txt").write_text('s:Sc/Old/Quantity = "DoseToMedium"\n')
    for name in ("Old.csv", "old.phsp", "old.root"):
        (tmp_path / name).write_bytes(TABLE)
    before = stamps(tmp_path)
    (tmp_path / "New.csv").write_bytes(TABLE)
    found = read("topas", tmp_path, 10, before)
    assert [one["file_name"] for one in found.estimators] == ["New.csv"]
    assert [path.name for path in found.files] == ["New.csv"]
    assert found.warnings == ["Old: no file Old.csv was written"]


def test_a_run_that_wrote_nothing_beside_its_input_says_so(tmp_path: Path) -> None:
    (tmp_path / "old.phsp").write_text("particles")
    with pytest.raises(OutputError, match="no such file was written"):
        read("topas", tmp_path, 10, stamps(tmp_path))


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("folder", "it is a folder"),
        ("pipe", "it is no regular file"),
        ("nowhere", "it is a link that leads to nothing"),
        ("itself", "it is a link that leads to nothing"),
        ("outside", "it is a link that leads out of the output folder"),
    ],
)
def test_what_is_no_file_of_the_folder_is_named_and_never_opened(tmp_path: Path, kind: str, why: str) -> None:
    folder = tmp_path / "output"
    folder.mkdir()
    (folder / "good.csv").write_bytes(TABLE)
    odd = folder / "odd.csv"
    if kind == "folder":
        odd.mkdir()
    elif kind == "pipe":
        os.mkfifo(odd)
    else:
        (tmp_path / "secret.csv").write_bytes(TABLE)
        odd.symlink_to({"nowhere": "missing.csv", "itself": odd, "outside": tmp_path / "secret.csv"}[kind])
    found = read("topas", folder, 10)
    assert [path.name for path in found.files] == ["good.csv"]
    assert found.warnings == [f"odd.csv is not read: {why}"]


def test_a_link_to_a_file_of_the_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "made").write_bytes(TABLE)
    (tmp_path / "dose.csv").symlink_to("made")
    assert [one["name"] for one in read("topas", tmp_path, 10).estimators] == ["dose"]


def test_where_only_a_pipe_was_written_the_error_names_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "results.json")
    with pytest.raises(OutputError, match=r"results\.json: it is no regular file"):
        read("yaptide-json", tmp_path)


def test_a_name_that_is_not_utf_8_is_shown_with_a_mark(tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_bytes(TABLE)
    os.mkdir(os.fsencode(tmp_path) + b"/\xff\n.csv")
    assert read("topas", tmp_path, 10).warnings == ["\ufffd\ufffd.csv is not read: it is a folder"]
