"""FLUKA's detectors: their axes, units, errors and order, beside those that can't be read."""

from pathlib import Path
from typing import Any

import pytest

from jobs.programs.readers import Reading, read
from tests.support.programs import WITH_LIBRARY, Starter, axes_of, ended, page_of
from tests.support.stand_ins.formats import (
    fluka,
    record,
    resnuclei,
    statistics,
    usrbdx,
    usrbin,
    usrtrack,
)

pytestmark = WITH_LIBRARY

ENERGY, DOSE, PROTON, DISPLACEMENTS, SILICON = 208, 228, 1, 239, 236
CARTESIAN, REGIONS = 10, 12
CUBE = ((0.0, 0.0, 0.0), (2.0, 2.0, 2.0))


def reading(folder: Path, *detectors: bytes, primaries: int = 100, name: str = "a001_fort.21") -> Reading:
    (folder / name).write_bytes(fluka("test", primaries, *detectors))
    return read("fluka", folder)


def only(folder: Path, *detectors: bytes, primaries: int = 100) -> dict[str, Any]:
    found = reading(folder, *detectors, primaries=primaries)
    assert found.warnings == []
    return page_of(found.estimators, 0, 0)


def cube(cells: tuple[int, int, int], score: int = DOSE, kind: int = CARTESIAN, number: int = 1) -> bytes:
    values = [100.0 * x + 10 * y + z for z in range(cells[2]) for y in range(cells[1]) for x in range(cells[0])]
    return usrbin(number, "cube", kind, score, *CUBE, cells, values)


def test_a_mesh_has_three_axes(tmp_path: Path) -> None:
    page = only(tmp_path, cube((4, 2, 2)))
    assert [len(values) for _, _, values in axes_of(page)] == [4, 2, 2]
    assert page["data"]["values"] == pytest.approx(
        [1000.0 * (100 * x + 10 * y + z) for z in range(2) for y in range(2) for x in range(4)]
    )


def test_energy_on_a_mesh_is_per_volume(tmp_path: Path) -> None:
    data = only(tmp_path, cube((2, 1, 1), ENERGY))["data"]
    assert (data["name"], data["unit"], data["values"][1]) == ("ENERGY", "MeV/cm^3", pytest.approx(100_000.0))


@pytest.mark.parametrize(
    ("score", "unit", "value"),
    [(ENERGY, "MeV", 100_000.0), (DOSE, "MeV cm^3/g", 100_000.0), (PROTON, "cm", 100.0)],
)
def test_what_is_scored_by_region_is_not_per_volume(tmp_path: Path, score: int, unit: str, value: float) -> None:
    regions = usrbin(1, "zones", REGIONS, score, (3.0, 0.0, 0.0), (7.0, 0.0, 0.0), (5, 1, 1), [0.0, 100, 2, 3, 4])
    page = only(tmp_path, regions)
    assert axes_of(page) == [("Region", "", [3.0, 4.0, 5.0, 6.0, 7.0])]
    assert (page["data"]["unit"], page["data"]["values"][1]) == (unit, pytest.approx(value))


@pytest.mark.parametrize(("score", "unit"), [(DISPLACEMENTS, ""), (SILICON, "/cm^2")])
def test_units_are_those_of_the_manual(tmp_path: Path, score: int, unit: str) -> None:
    data = only(tmp_path, cube((2, 1, 1), score))["data"]
    assert (data["unit"], data["values"][1]) == (unit, pytest.approx(100.0))


LOGARITHMIC = [0.00177828, 0.00562341, 0.0177828, 0.0562341]
LINEAR = [0.013375, 0.038125, 0.062875, 0.087625]


@pytest.mark.parametrize(
    ("kind", "centres", "angles"),
    [
        (1, LINEAR, [1.5708, 4.71239]),
        (-1, LOGARITHMIC, [1.5708, 4.71239]),
        (2, LINEAR, [0.005, 0.2506628]),
        (-2, LOGARITHMIC, [0.005, 0.2506628]),
    ],
)
def test_each_detector_of_a_unit_has_its_own_scale(
    tmp_path: Path, kind: int, centres: list[float], angles: list[float]
) -> None:
    """The third of a unit, too: the scale is that of its type, not of its ordinal."""
    low = 0.01 if abs(kind) == 2 else 0.0
    detector = usrbdx(3, "third", kind, (1e-3, 0.1, 4), (low, 6.283185, 2), [float(place) for place in range(8)])
    other = usrbdx(1, "first", -kind, (1e-3, 0.1, 4), (0.01, 6.283185, 1), [1.0] * 4)
    found = reading(tmp_path, other, other, detector)
    assert found.warnings == []
    assert len(found.estimators[0]["pages"]) == 3
    page = page_of(found.estimators, 0, 2)
    (_, _, energies), (_, unit, solid) = axes_of(page)
    assert energies == pytest.approx(centres, rel=1e-5)
    assert unit == "sr"
    assert solid == pytest.approx(angles, rel=1e-5)
    assert page["data"]["values"] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]


GROUPS = [0.02, 1e-3, 1e-6, 1e-9]
MIDDLES = [(1e-6 * 1e-9) ** 0.5, (1e-3 * 1e-6) ** 0.5, (0.02 * 1e-3) ** 0.5]


def test_groups_of_low_energy_neutrons_take_the_place_of_the_bins_below(tmp_path: Path) -> None:
    """The bin across the limit begins at the limit."""
    detector = usrtrack(1, "track", 1, (0.0, 0.06, 4), [0.0, 10.0, 20.0, 30.0, 3.0, 2.0, 1.0], GROUPS)
    page = only(tmp_path, detector)
    ((_, unit, energies),) = axes_of(page)
    assert unit == "GeV"
    assert energies == pytest.approx([*MIDDLES, 0.025, 0.0375, 0.0525])
    assert page["data"]["values"] == [1.0, 2.0, 3.0, 10.0, 20.0, 30.0]
    assert (page["data"]["unit"], page["metadata"]["volume"]) == ("cm-2 GeV-1", "12.5")


def test_groups_beside_other_particles_are_a_page_of_their_own(tmp_path: Path) -> None:
    detector = usrtrack(1, "all", 1, (0.0, 0.06, 2), [10.0, 20.0, 3.0, 2.0, 1.0], GROUPS, particle=201)
    found = reading(tmp_path, detector, usrtrack(2, "more", 1, (0.0, 0.06, 1), [1.0]))
    bins, _, groups = (page_of(found.estimators, 0, number) for number in range(3))
    assert bins["data"]["values"] == [10.0, 20.0]
    assert groups["data"]["name"] == "fluence of low-energy neutrons"
    assert groups["data"]["values"] == [1.0, 2.0, 3.0]
    assert axes_of(groups)[0][2] == pytest.approx(MIDDLES)


def test_groups_of_a_boundary_have_angles_too(tmp_path: Path) -> None:
    """Of each angle the bins come first, then the groups from the highest."""
    values = [10.0, 20.0, 2.0, 1.0, 11.0, 21.0, 4.0, 3.0]
    detector = usrbdx(1, "edge", 1, (0.02, 0.06, 2), (0.0, 6.0, 2), values, [0.02, 1e-3, 1e-6])
    assert only(tmp_path, detector)["data"]["values"] == [1.0, 2.0, 10.0, 20.0, 3.0, 4.0, 11.0, 21.0]


def test_a_track_of_energy_is_a_fluence_of_energy(tmp_path: Path) -> None:
    page = only(tmp_path, usrtrack(1, "track", -1, (1e-3, 0.1, 2), [1.0, 2.0], particle=ENERGY))
    assert page["data"]["unit"] == "GeV cm-2 GeV-1"


@pytest.mark.parametrize(("primaries", "decay"), [(100, 0.0), (-100, 3600.0)], ids=["at once", "after a decay"])
def test_residual_nuclei_stand_by_charge_and_excess_of_neutrons(tmp_path: Path, primaries: int, decay: float) -> None:
    """Isomers follow the values of each detector."""
    values = [float(place) for place in range(6)]
    detector = resnuclei(1, "nuclei", 3, 2, values, decay)
    (tmp_path / "a001_fort.30").write_bytes(
        fluka("test", primaries, *([record(b"12345678")] if decay else []), detector, detector)
    )
    found = read("fluka", tmp_path)
    assert found.warnings == []
    page = page_of(found.estimators, 0, 1)
    assert axes_of(page) == [("Z", "", [1.0, 2.0, 3.0]), ("N - Z", "", [-4.0, -3.0])]
    assert page["data"]["values"] == values
    assert found.estimators[0]["metadata"]["number_of_primaries"] == "100"


def test_errors_of_a_summed_file_are_standard_errors(tmp_path: Path) -> None:
    page = only(tmp_path, cube((2, 1, 1)), statistics([0.5, 0.1]))
    assert page["data"]["errors"] == pytest.approx([0.0, 10_000.0])
    (tmp_path / "a001_fort.21").unlink()
    edge = usrbdx(1, "edge", 1, (0.0, 1.0, 2), (0.0, 1.0, 1), [2.0, 4.0])
    track = usrtrack(1, "track", 1, (0.0, 1.0, 2), [2.0, 4.0])
    for detector in (edge, track):
        assert only(tmp_path, detector, statistics([0.5, 0.25], before=6))["data"]["errors"] == [1.0, 1.0]
    (tmp_path / "a001_fort.21").unlink()
    nuclei = resnuclei(1, "nuclei", 2, 1, [2.0, 4.0])
    assert only(tmp_path, nuclei, statistics([0.5, 0.25], before=5))["data"]["errors"] == [1.0, 1.0]


def test_cycles_give_a_mean_and_its_error(tmp_path: Path) -> None:
    for name, primaries, factor in (("a001_fort.21", 300, 1.0), ("a002_fort.21", 100, 5.0)):
        track = usrtrack(1, "track", 1, (0.0, 1.0, 2), [factor, 2 * factor])
        (tmp_path / name).write_bytes(fluka("test", primaries, track))
    data = page_of(read("fluka", tmp_path).estimators, 0, 0)["data"]
    assert data["values"] == [2.0, 4.0]
    assert data["errors"] == pytest.approx([(2 * (300**2 + 300**2)) ** 0.5 / 400, 2 * (2 * 300**2 * 2) ** 0.5 / 400])


def test_a_detector_that_cannot_be_read_leaves_the_others(tmp_path: Path) -> None:
    wrong = usrbdx(2, "wrong", -1, (0.0, 0.1, 4), (0.0, 1.0, 1), [1.0] * 4)
    right = usrbdx(1, "right", 1, (0.0, 0.1, 4), (0.0, 1.0, 1), [1.0] * 4)
    found = reading(tmp_path, right, wrong, right)
    assert [page["metadata"]["page_number"] for page in found.estimators[0]["pages"]] == ["0", "2"]
    assert found.warnings == ["a001_fort.21: wrong: a logarithmic scale from 0 to 0.1 GeV"]


def test_absurd_numbers_of_bins_are_named(tmp_path: Path) -> None:
    broken = usrbin(1, "huge", CARTESIAN, DOSE, *CUBE, (2_000_000_000, 1, 1), [1.0, 2.0])
    found = reading(tmp_path, broken)
    assert found.warnings == ["a001_fort.21: page 0, huge: 2e+09 bins, and 2 values"]


def test_a_unit_of_another_kind_is_kept_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "a001_fort.49").write_bytes(record(bytes(20)) * 3)
    found = reading(tmp_path, cube((2, 1, 1)))
    assert len(found.estimators) == 1
    assert found.warnings == ["a001_fort.49: it is not an unformatted file of FLUKA; units must be negative numbers"]
    assert [path.name for path in found.files] == ["a001_fort.21", "a001_fort.49"]


def test_units_that_were_asked_for_and_did_not_come_are_named(tmp_path: Path) -> None:
    cards = [
        "USRBIN          10.0      DOSE     -21.0       2.0       2.0      20.0first",
        "USRBIN           0.0      -2.0       0.0       1.0      80.0     400.0&",
        "USRTRACK        -1.0   NEUTRON     -22.0       3.0       1.0      20.0second",
        "RESNUCLEi        3.0      23.0",
    ]
    (tmp_path / "a.inp").write_text("\n".join(cards))
    assert reading(tmp_path, cube((2, 1, 1))).warnings == [
        "unit 22, USRTRACK: no file of it was written",
        "unit 23, RESNUCLE: it is formatted, which is not read; unformatted units are negative numbers",
    ]


@WITH_LIBRARY
def test_estimators_of_fluka_have_the_names_that_users_gave(start: Starter) -> None:
    run = ended(start("fluka"))
    (run.output / "names.json").write_text('{"water_fort.21": {"name": "Phantom", "quantities": ["all of it"]}}')
    phantom, rings = run.program.results_in(run.output).estimators
    assert (phantom["name"], phantom["file_name"], rings["name"]) == ("Phantom", "water_fort.21", "fort.22")
    titles = [each["metadata"]["title"] for each in (*phantom["pages"], *rings["pages"])]
    assert titles == ["all of it", "depth", "rings"]
