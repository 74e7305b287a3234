"""Volumes of zones that are scored, and what the conversion of a project may cost."""

import math
import time
import tracemalloc
from typing import Any

import pytest

from jobs.programs.editor.conversion import convert
from jobs.programs.plan import InputError
from tests.support.editor import changed, figure, zone

SPECTRUM = [{"diffType": "E", "lowerLimit": 1, "upperLimit": 100, "binsNumber": 5, "isLog": False}]
UNIT = figure("A", "Box", [0, 0, 0], width=1, height=1, depth=1)
FORMATS = ("shieldhit", "fluka")


def sphere(name: str, x: float, radius: float, y: float = 0.0) -> dict[str, Any]:
    return figure(name, "Sphere", [x, y, 0], radius=radius)


def project(figures: list[dict[str, Any]], zones: list[dict[str, Any]], scored: int) -> dict[str, Any]:
    """A project whose first zones are scored."""
    detectors = [
        {"uuid": f"D{n}", "name": f"In {n}", "geometryData": {"geometryType": "Zone", "parameters": {"zoneUuid": f"Z{n}"}}}
        for n in range(scored)
    ]  # fmt: skip
    quantities = [{"name": "f", "keyword": "Fluence", "modifiers": SPECTRUM}]
    world = figure("", "Box", [0, 0, 0], width=50_000, height=50_000, depth=50_000)["geometryData"]
    return changed(
        {
            "figureManager.figures": figures,
            "zoneManager.zones": zones,
            "zoneManager.worldZone.geometryData": world,
            "detectorManager.detectors": detectors,
            "scoringManager.outputs": [
                {"name": f"o{n}", "detectorUuid": f"D{n}", "quantities": quantities} for n in range(scored)
            ],
        }
    )


def volumes(figures: list[dict[str, Any]], *rows: str) -> list[float]:
    """The volume of a zone as both targets have it."""
    given = project(figures, [zone("Z0", "W", *rows)], 1)
    lines = convert(given).files["detect.dat"].splitlines()
    cards = convert(given, "fluka").files["fl_sim.inp"].splitlines()
    return [
        *(float(line.split()[1]) for line in lines if line.split()[:1] == ["Volume"]),
        *(float(card[50:60]) for card in cards if card.startswith("USRTRACK") and not card.endswith("&")),
    ]


@pytest.mark.parametrize("radius", [5, 20, 100, 10_000])
@pytest.mark.parametrize("rotation", [[0, 0, 0], [30, 40, 50]])
def test_what_lies_in_a_large_body_has_its_own_volume(radius: float, rotation: list[float]) -> None:
    box = figure("A", "Box", [0.5, -0.5, 0.2], rotation, width=1, height=1, depth=1)
    assert volumes([box, sphere("B", 0, radius)], "A &B") == pytest.approx([1, 1], rel=1e-3)
    assert volumes([box, sphere("B", 0, radius)], "B &A") == pytest.approx([1, 1], rel=1e-3)


def test_figures_that_lie_far_apart_are_summed() -> None:
    far = figure("B", "Box", [1000, 0, 0], width=1, height=1, depth=1)
    assert volumes([UNIT, far], "A", "B") == pytest.approx([2, 2], rel=1e-6)


def test_what_figures_of_a_union_have_in_common_counts_once() -> None:
    near = figure("B", "Box", [0.5, 0.25, 0], width=1, height=1, depth=1)
    assert volumes([UNIT, near], "A", "B") == pytest.approx([1.625] * 2, rel=1e-3)
    assert volumes([UNIT, near, sphere("S", 0, 0.2)], "A", "B", "S") == pytest.approx([1.625] * 2, rel=1e-3)


@pytest.mark.parametrize("inner", [9.0, 9.9, 9.99])
def test_thin_shells_have_their_volume(inner: float) -> None:
    right = 4 / 3 * math.pi * (1000 - inner**3)
    assert volumes([sphere("A", 0, 10), sphere("B", 0, inner)], "A -B") == pytest.approx([right] * 2, rel=1e-3)


def test_a_turned_tube_has_its_volume() -> None:
    outer = figure("A", "HollowCylinder", [0, 0, 0], [10, 20, 0], radius=1, depth=100)
    inner = figure("B", "HollowCylinder", [0, 0, 0], [10, 20, 0], radius=0.99, depth=200)
    assert volumes([outer, inner], "A -B") == pytest.approx([math.pi * (1 - 0.99**2) * 100] * 2, rel=1e-3)


def test_a_lens_of_two_spheres_has_its_volume() -> None:
    distance = 1.4
    right = math.pi * (4 + distance) * (2 - distance) ** 2 / 12
    assert volumes([sphere("A", 0, 1), sphere("B", 1.4, 1)], "A &B") == pytest.approx([right] * 2, rel=1e-3)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("rows", [("A -B",), ("A &C",)])
def test_a_volume_that_is_not_found_is_refused_and_never_none(format: str, rows: tuple[str, ...]) -> None:
    figures = [UNIT, sphere("B", 0, 5), figure("C", "Sphere", [0.70710678, 0.70710678, 0], radius=0.2928)]
    with pytest.raises(InputError, match="its volume can't be found: ") as caught:
        convert(project(figures, [zone("Z0", "W", *rows)], 1), format)
    assert caught.value.file.startswith("zoneManager.zones[0]")


def chains() -> dict[str, Any]:
    figures = [sphere(f"S{n}_{k}", 20 * n + 0.3 * k, 1) for n in range(43) for k in range(23)]
    zones = [zone(f"Z{n}", "W", " |".join(f"S{n}_{k}" for k in range(23))) for n in range(43)]
    return project(figures, zones, 43)


def crossings() -> dict[str, Any]:
    figures = [sphere(f"a{n}", 0.01 * n, 1) for n in range(300)] + [sphere(f"b{n}", 0.01 * n, 1, 1) for n in range(690)]
    many = [zone(f"Z{300 + n}", "W", " &".join(f"b{345 * n + k}" for k in range(345))) for n in range(2)]
    return project(figures, [*(zone(f"Z{n}", "W", f"a{n}") for n in range(300)), *many], 0)


def rows() -> dict[str, Any]:
    figures = [sphere(f"a{n}", 0.01 * n, 1) for n in range(890)]
    zones = [zone(f"Z{n}", "W", *(f"a{k}" for k in range(n, n + 450))) for n in range(20)]
    return project(figures, zones, 0)


def values() -> dict[str, Any]:
    return changed({"scoringManager.outputs": [{"quantities": [{}] * 500}] * 500})


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("given", "path"),
    [(chains, "zoneManager.zones["), (crossings, "zoneManager.worldZone"), (rows, "zoneManager.zones["), (values, "$")],
)
def test_a_project_that_would_take_long_is_refused_before(given: Any, path: str, format: str) -> None:
    taken = given()
    began = time.process_time()
    with pytest.raises(InputError, match="allowed are") as caught:
        convert(taken, format)
    assert time.process_time() - began < 2
    assert caught.value.file.startswith(path)
    tracemalloc.start()
    try:
        with pytest.raises(InputError):
            convert(taken, format)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("format", FORMATS)
def test_many_plain_zones_take_little(format: str) -> None:
    figures = [sphere(f"a{n}", 0.01 * n, 1) for n in range(850)]
    given = project(figures, [zone(f"Z{n}", "W", f"a{n}") for n in range(850)], 70)
    began = time.process_time()
    assert convert(given, format).files
    assert time.process_time() - began < 2


def test_names_of_native_files_differ_however_many_are_alike() -> None:
    quantities = [{"name": "q", "keyword": "Dose", "rescale": 2.0} for _ in range(400)]
    given = project([UNIT], [zone("Z0", "W", "A")], 1)
    given["scoringManager"]["outputs"] = [{"name": "o", "detectorUuid": "D0", "quantities": quantities}] * 10
    began = time.process_time()
    text = convert(given).files["detect.dat"]
    assert time.process_time() - began < 2
    names = [line.split()[1] for line in text.splitlines() if line.split()[:1] == ["Name"]]
    assert len(set(names)) == len(names) > 4000
