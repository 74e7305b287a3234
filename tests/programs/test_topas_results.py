"""TOPAS' tables: three axes, all filters, standard errors, and what is kept as a file."""

import math
from pathlib import Path

import pytest

from jobs.programs.readers import Reading, read
from tests.support.programs import axes_of, page_of
from tests.support.stand_ins.formats import topas


def reading(folder: Path, data: bytes, name: str = "Scorer.csv", primaries: int | None = 100) -> Reading:
    (folder / name).write_bytes(data)
    return read("topas", folder, primaries)


def test_two_axes_of_space_and_one_of_energy_make_a_page(tmp_path: Path) -> None:
    rows = [[-1.0, *(100.0 * x + 10 * z + e for e in range(4)), -2.0, -3.0] for x in range(2) for z in range(3)]
    found = reading(tmp_path, topas("Fluence", ["Mean"], (2, 1, 3), rows, energies=4))
    assert found.warnings == []
    page = page_of(found.estimators, 0, 0)
    assert [(name, len(values)) for name, _, values in axes_of(page)] == [
        ("X", 2),
        ("Z", 3),
        ("incident track energy", 4),
    ]
    assert page["data"]["values"] == [100.0 * x + 10 * z + e for e in range(4) for z in range(3) for x in range(2)]


def test_three_axes_of_space_have_the_first_fastest(tmp_path: Path) -> None:
    rows = [[100.0 * x + 10 * y + z] for x in range(2) for y in range(3) for z in range(4)]
    page = page_of(reading(tmp_path, topas("Fluence", ["Mean"], (2, 3, 4), rows)).estimators, 0, 0)
    assert page["data"]["values"] == [100.0 * x + 10 * y + z for z in range(4) for y in range(3) for x in range(2)]


def test_more_axes_than_three_are_named_beside_good_pages(tmp_path: Path) -> None:
    reading(tmp_path, topas("Fluence", ["Mean"], (1, 1, 2), [[1.0], [2.0]]), "Good.csv")
    found = reading(tmp_path, topas("Fluence", ["Mean"], (2, 2, 2), [[0.0] * 5] * 8, energies=2))
    assert [one["name"] for one in found.estimators] == ["Good"]
    assert found.warnings == [
        "Scorer.csv: page 0, Fluence: 4 axes (2 x 2 x 2 x 2 bins); a page has at most 3 of more than one bin"
    ]
    assert [path.name for path in found.files] == ["Good.csv", "Scorer.csv"]


def test_every_filter_is_kept(tmp_path: Path) -> None:
    filters = ['OnlyIncludeParticlesNamed = 1 "proton"', "OnlyIncludeParticlesOfMinimumInitialKE = 5 MeV"]
    found = reading(tmp_path, topas("Fluence", ["Mean"], (1, 1, 1), [[1.0]], filters=filters))
    page = page_of(found.estimators, 0, 0)
    assert page["metadata"]["page_filter_name"] == "; ".join(filters)
    assert found.estimators[0]["metadata"]["filtered_by"] == "; ".join(filters)


def test_a_name_of_many_filters_is_shortened(tmp_path: Path) -> None:
    filters = [f"OnlyIncludeParticlesCharged{number} = negative" for number in range(20)]
    found = reading(tmp_path, topas("Fluence", ["Mean"], (1, 1, 1), [[1.0]], filters=filters))
    name = page_of(found.estimators, 0, 0)["metadata"]["page_filter_name"]
    assert len(name) <= 255
    assert name.endswith(" ...")


@pytest.mark.parametrize(
    ("reports", "row", "value", "error"),
    [
        (["Mean", "Standard_Deviation"], [3.0, 2.0], 3.0, 0.2),
        (["Sum", "Standard_Deviation"], [300.0, 2.0], 3.0, 0.2),
        (["Mean", "Variance"], [3.0, 4.0], 3.0, 0.2),
        (["Sum", "Standard_Deviation", "Histories_with_Scorer_Active"], [75.0, 2.0, 25.0], 3.0, 0.4),
    ],
)
def test_the_deviation_of_histories_becomes_the_error_of_their_mean(
    tmp_path: Path, reports: list[str], row: list[float], value: float, error: float
) -> None:
    data = page_of(reading(tmp_path, topas("DoseToMedium", reports, (1, 1, 1), [row])).estimators, 0, 0)["data"]
    assert data["values"] == [pytest.approx(value)]
    assert data["errors"] == [pytest.approx(error)]


def test_an_error_is_unknown_where_the_histories_are(tmp_path: Path) -> None:
    table = topas("DoseToMedium", ["Mean", "Standard_Deviation"], (1, 1, 1), [[3.0, 2.0]])
    assert math.isnan(page_of(reading(tmp_path, table, primaries=None).estimators, 0, 0)["data"]["errors"][0])
    without = topas("DoseToMedium", ["Mean"], (1, 1, 1), [[3.0]])
    assert "errors" not in page_of(reading(tmp_path, without).estimators, 0, 0)["data"]


def test_a_phase_space_is_kept_as_files(tmp_path: Path) -> None:
    for name in ("beam.phsp", "beam.header"):
        (tmp_path / name).write_text("x")
    (tmp_path / "topas_config.txt").write_text('s:Sc/Exit/Quantity = "PhaseSpace"\ns:Sc/Exit/OutputFile = "beam"\n')
    found = read("topas", tmp_path, 100)
    assert (found.estimators, found.warnings) == ([], [])
    assert [path.name for path in found.files] == ["beam.header", "beam.phsp"]


def test_scorers_that_gave_no_page_are_named(tmp_path: Path) -> None:
    (tmp_path / "topas_config.txt").write_text(
        's:Sc/Scorer/Quantity = "Fluence"\n'
        's:Sc/Lost/Quantity = "Fluence"\n'
        's:Sc/Packed/Quantity = "Fluence"\ns:Sc/Packed/OutputType = "binary"\n'
        's:Sc/Off/Quantity = "Fluence"\nb:Sc/Off/Active = "False"\n'
        's:Sc/Exit/Quantity = "PhaseSpace"\n'
    )
    (tmp_path / "Packed.bin").write_bytes(b"x")
    found = reading(tmp_path, topas("Fluence", ["Mean"], (1, 1, 1), [[1.0]]))
    assert found.warnings == [
        "Lost: no file Lost.csv was written",
        "Packed: its OutputType is binary, of which no pages are read; csv is",
        "Exit: no file Exit.phsp was written",
    ]
    assert [path.name for path in found.files] == ["Scorer.csv", "Packed.bin"]


def test_a_header_of_absurd_bins_is_named(tmp_path: Path) -> None:
    table = topas("Fluence", ["Mean"], (1, 1, 2), [[1.0], [2.0]]).replace(b"Z in 2 bins", b"Z in 9000000 bins")
    assert reading(tmp_path, table).warnings == ["Scorer.csv: its header tells of 9000000 values, which it can't hold"]


def test_a_parameter_that_names_no_file_leaves_the_pages(tmp_path: Path) -> None:
    (tmp_path / "topas_config.txt").write_text(
        f's:Sc/Scorer/Quantity = "Fluence"\ns:Sc/Scorer/OutputFile = "{"x" * 5000}"\n'
    )
    found = reading(tmp_path, topas("Fluence", ["Mean"], (1, 1, 1), [[1.0]]))
    assert len(found.estimators) == 1
    assert found.warnings == ["topas_config.txt: it can't be read: File name too long"]


def test_a_cell_that_is_given_twice_and_one_that_is_missing_are_named(tmp_path: Path) -> None:
    table = topas("Fluence", ["Mean"], (1, 1, 3), [[1.0], [2.0], [3.0]]).replace(b"0, 0, 1, ", b"0, 0, 0, ")
    found = reading(tmp_path, table)
    first, second, third = page_of(found.estimators, 0, 0)["data"]["values"]
    assert (first, third) == (2.0, 3.0)
    assert second is None or math.isnan(second)
    assert found.warnings == [
        "Scorer.csv: 1 rows give a cell again, the last of which counts",
        "Scorer.csv: 1 cells are missing, such as number 1; they have no value",
    ]
