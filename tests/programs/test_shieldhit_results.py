"""SHIELD-HIT12A's files: old and new, quotients with their divisors, lists of particles."""

import math
from pathlib import Path

import numpy as np
import pytest

from jobs.programs.readers import Reading, read
from jobs.results.sums import Sums
from tests.support.programs import WITH_LIBRARY, axes_of, page_of
from tests.support.stand_ins.formats import bdo, filtered, magic, old_bdo, page, token

pytestmark = WITH_LIBRARY

FLUENCE, DOSE, DLET, TLET, ENERGY, CHARGED, PARTICLES = 2, 5, 6, 7, 8, 22, 63
BOX = ([0.0, 0.0, 0.0], [1.0, 1.0, 3.0])


def reading(folder: Path, data: bytes, name: str = "grid_0001.bdo") -> Reading:
    (folder / name).write_bytes(data)
    return read("shieldhit", folder)


def column(*pages: bytes, primaries: int = 10) -> bytes:
    return bdo(primaries, "MSH", [1, 1, 3], *BOX, *pages)


def test_a_file_of_before_2019_is_read(tmp_path: Path) -> None:
    found = reading(tmp_path, old_bdo(10, DOSE, "MSH", [1, 1, 3], *BOX, [10.0, 20.0, 30.0]))
    assert found.warnings == []
    dose = page_of(found.estimators, 0, 0)
    assert axes_of(dose) == [("Position (Z)", "cm", [0.5, 1.5, 2.5])]
    assert (dose["data"]["name"], dose["data"]["unit"], dose["merging"]) == ("Dose", "MeV/g/primary", "mean")
    assert dose["data"]["values"] == [1.0, 2.0, 3.0]
    assert found.estimators[0]["metadata"]["number_of_primaries"] == "10"


def test_a_quotient_of_before_2019_is_none_where_nothing_passed(tmp_path: Path) -> None:
    found = reading(tmp_path, old_bdo(10, DLET, "MSH", [1, 1, 3], *BOX, [0.0, 20.0, 30.0]))
    let = page_of(found.estimators, 0, 0)
    assert let["merging"] == "ratio"
    assert math.isnan(let["data"]["values"][0])
    assert let["data"]["values"][1:] == [20.0, 30.0]


@pytest.mark.parametrize(("bins", "centres"), [(2, [25.75, 75.25]), (-2, [3.1622777, 31.622777])])
def test_a_differential_scale_of_before_2019_is_an_axis(tmp_path: Path, bins: int, centres: list[float]) -> None:
    data = old_bdo(10, FLUENCE, "DMSH", [1, 1, 1], *BOX, [10.0, 20.0], (1.0, 100.5 if bins > 0 else 100.0, bins))
    ((name, unit, values),) = axes_of(page_of(reading(tmp_path, data).estimators, 0, 0))
    assert (name, unit) == ("Energy", "MeV")
    assert values == pytest.approx(centres, rel=0.01)


def test_zones_have_their_numbers(tmp_path: Path) -> None:
    zones = old_bdo(10, FLUENCE, "ZONE", [3, 1, 1], [300.0, 0.0, 0.0], [0.0, 0.0, 0.0], [10.0, 20.0, 30.0])
    assert axes_of(page_of(reading(tmp_path, zones).estimators, 0, 0)) == [("Zone", "", [300.0, 301.0, 302.0])]


def test_an_old_file_that_is_cut_short_is_named(tmp_path: Path) -> None:
    data = old_bdo(10, DOSE, "MSH", [1, 1, 3], *BOX, [10.0, 20.0, 30.0])
    for length in range(0, len(data), 5):
        found = reading(tmp_path, data[:length])
        assert found.estimators == []
        assert [warning.split(":")[0] for warning in found.warnings] == ["grid_0001.bdo"], length


def test_a_file_of_before_2016_is_refused_as_what_it_is(tmp_path: Path) -> None:
    (warning,) = reading(tmp_path, bytes(400)).warnings
    assert "those of before version 0.6 (2016) are not read" in warning


@pytest.mark.parametrize(("kind", "divisor"), [(DLET, DOSE), (TLET, FLUENCE), (TLET, CHARGED), (ENERGY, FLUENCE)])
def test_a_quotient_has_the_divisor_that_was_scored(tmp_path: Path, kind: int, divisor: int) -> None:
    found = reading(
        tmp_path,
        column(
            page(0, divisor, 2, "unit", [90.0, 90.0, 90.0]),
            page(1, divisor, 2, "unit", [10.0, 0.0, 40.0], filtered("Protons")),
            page(2, kind, 3, "unit", [5.0, 0.0, 7.0], filtered("Protons")),
        ),
    )
    data = page_of(found.estimators, 0, 2)["data"]
    assert data["weights"] == [1.0, 0.0, 4.0]
    assert math.isnan(data["values"][1])
    assert "weights" not in page_of(found.estimators, 0, 0)["data"]


def test_a_quotient_has_no_divisor_of_another_filter(tmp_path: Path) -> None:
    found = reading(
        tmp_path,
        column(
            page(0, DOSE, 2, "MeV/g", [90.0, 90.0, 90.0]),
            page(1, DLET, 3, "MeV/cm", [5.0, 0.0, 7.0], filtered("Protons")),
        ),
    )
    assert "weights" not in page_of(found.estimators, 0, 1)["data"]


def test_tasks_are_merged_by_their_divisors(tmp_path: Path) -> None:
    """The quotient of the sums, to 1e-12, with a task in which nothing passed."""
    sums = Sums("ratio", 3, weighted=True)
    upper, lower = (
        np.array([[3.0, 0.0, 7.0], [0.0, 0.0, 5.0], [9.0, 2.0, 1.0]]),
        np.array([[1.5, 0.0, 2.0], [0.0, 0.0, 1.0], [2.5, 4.0, 8.0]]),
    )
    for task, (above, below) in enumerate(zip(upper, lower, strict=True)):
        ratio = np.divide(above, below, out=np.zeros(3), where=below > 0).tolist()
        dose = page(0, DOSE, 2, "MeV/g", below.tolist())
        found = reading(tmp_path, column(dose, page(1, DLET, 3, "MeV/cm", ratio), primaries=task + 1))
        data = found.estimators[0]["pages"][1]["data"]
        sums.add(task + 1, np.array(data["values"]), None, np.array(data["weights"]))
    assert sums.result()[0] == pytest.approx(upper.sum(axis=0) / lower.sum(axis=0), rel=1e-12)


def test_a_list_of_particles_is_a_file_and_no_page(tmp_path: Path) -> None:
    (tmp_path / "exit.mcpl").write_bytes(b"MCPL")
    found = reading(
        tmp_path,
        column(page(0, PARTICLES, 4, "", [0.0] * 80), page(1, DOSE, 2, "MeV/g", [10.0, 20.0, 30.0])),
    )
    assert found.warnings == []
    assert [one["metadata"]["page_number"] for one in found.estimators[0]["pages"]] == ["1"]
    assert [path.name for path in found.files] == ["grid_0001.bdo", "exit.mcpl"]
    alone = reading(tmp_path, column(page(0, PARTICLES, 4, "", [0.0] * 80)))
    assert (alone.estimators, alone.warnings, len(alone.files)) == ([], [], 2)


def test_a_page_that_cannot_be_read_leaves_the_others(tmp_path: Path) -> None:
    wrong = page(0, DOSE, 2, "MeV/g", [10.0, 20.0])
    found = reading(tmp_path, column(wrong, page(1, FLUENCE, 2, "/cm^2", [10.0, 20.0, 30.0])))
    assert [one["metadata"]["page_number"] for one in found.estimators[0]["pages"]] == ["1"]
    assert found.warnings == ["grid_0001.bdo: page 0, DOSE: 3 bins along Position (Z), but 2 values"]


def test_quantities_that_did_not_come_are_counted(tmp_path: Path) -> None:
    (tmp_path / "detect.dat").write_text("Output\n Filename grid.bdo\n Geo A\n Quantity Dose\n Quantity Fluence\n")
    found = reading(tmp_path, column(page(0, DOSE, 2, "MeV/g", [10.0, 20.0, 30.0])))
    assert found.warnings == ["grid.bdo: 1 of the 2 quantities that detect.dat asks for were written"]


def test_a_file_without_pages_is_named(tmp_path: Path) -> None:
    found = reading(tmp_path, magic("0.9.1") + token(0x05, 2))
    assert found.warnings == ["grid_0001.bdo: it holds no results"]
