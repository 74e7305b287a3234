"""Projects of the editor, converted and read back: zones enclose the same points, and numbers survive."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.programs.editor.conversion import convert
from tests.support import native_geometry as native
from tests.support.editor import BASE, changed, figure

DATA = Path(__file__).parents[3] / "shared" / "data" / "yaptide"
NEAR = 2e-3
"""Points closer than this to a surface (cm) are not judged: columns of ten characters round."""
READERS = {"shieldhit": lambda files: native.shieldhit(files["geo.dat"]), "fluka": lambda files: native.fluka(files["fl_sim.inp"])}  # fmt: skip


def same_points(project: dict[str, Any], format: str, count: int = 3000) -> native.Read:
    """Compare the zones and the world of a project with what was written, at points around its figures."""
    read = READERS[format](convert(project, format).files)
    world = native.drawn(project["zoneManager"]["worldZone"])
    figures = {each["uuid"]: native.drawn(each) for each in project["figureManager"]["figures"]}
    points = np.random.default_rng(1).uniform(-9, 9, (3, count))
    depths = {uuid: solid(points) for uuid, solid in figures.items()}
    clear = np.all([np.abs(depth) > NEAR for depth in (world(points), *depths.values())], axis=0)
    inside = {uuid: depth > 0 for uuid, depth in depths.items()}
    zones = [native.evaluated(zone, inside) for zone in project["zoneManager"]["zones"]]
    for name, mask in zip(read.zones, zones, strict=False):
        assert np.array_equal(read.mask(name, points)[clear], mask[clear]), name
    within = world(points) > 0
    others = list(read.zones)[len(zones) :]
    written = within & np.any([read.mask(name, points) for name in others] or [~within], axis=0)
    assert np.array_equal(written[clear], (within & ~np.any(zones, axis=0))[clear])
    return read


LENGTHS = st.floats(0.5, 8).map(lambda length: round(length, 7))
PLACES = st.floats(-6, 6).map(lambda place: round(place, 7))
ANGLES = st.one_of(st.sampled_from([0, 90, -90, 180, 45]), st.floats(-180, 180))
VECTORS = st.lists(PLACES, min_size=3, max_size=3)


@st.composite
def figures(draw: st.DrawFn) -> list[dict[str, Any]]:
    """One to five figures of all kinds, turned in all ways."""
    made = []
    for number in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["Box", "HollowCylinder", "Sphere"]))
        keys = {"Box": ("width", "height", "depth"), "HollowCylinder": ("radius", "depth"), "Sphere": ("radius",)}[kind]
        turned = [draw(ANGLES) for _ in range(3)]
        made.append(figure(f"F{number}", kind, draw(VECTORS), turned, **{key: draw(LENGTHS) for key in keys}))
    return made


@st.composite
def projects(draw: st.DrawFn) -> dict[str, Any]:
    """Projects of one to three zones, each of one to three rows of operations on some of the figures."""
    shapes = draw(figures())
    uuids = st.sampled_from([shape["uuid"] for shape in shapes])
    later = st.builds(lambda mode, uuid: {"mode": mode, "objectUuid": uuid}, st.sampled_from(["union", "intersection", "subtraction"]), uuids)  # fmt: skip
    row = st.builds(lambda first, others: [{"mode": "union", "objectUuid": first}, *others], uuids, st.lists(later, max_size=3))  # fmt: skip
    whole = {"unionOperations": [[{"mode": "union", "objectUuid": "F0"}]]}
    zones = [
        {**BASE["zoneManager"]["zones"][0], "uuid": f"Z{number}", "unionOperations": rows}
        for number, rows in enumerate(draw(st.lists(st.lists(row, min_size=1, max_size=3), min_size=1, max_size=3)))
    ]
    for each in zones:
        if not _has_points(each):
            each.update(whole)
    return changed({"figureManager.figures": shapes, "zoneManager.zones": zones})


def _has_points(zone: dict[str, Any]) -> bool:
    """Whether some row is more than a figure that is taken from itself, whatever the figures are."""
    uuids = {operation["objectUuid"] for row in zone["unionOperations"] for operation in row}
    masks = {uuid: np.array([bool(number >> k & 1) for number in range(2 ** len(uuids))]) for k, uuid in enumerate(sorted(uuids))}  # fmt: skip
    return bool(native.evaluated(zone, masks).any())


@pytest.mark.parametrize("format", ["shieldhit", "fluka"])
@settings(max_examples=60, deadline=None)
@given(projects())
def test_zones_enclose_the_points_that_the_editor_draws(format: str, project: dict[str, Any]) -> None:
    same_points(project, format)


@pytest.mark.parametrize("format", ["shieldhit", "fluka"])
@settings(max_examples=60, deadline=None)
@given(
    energy=st.floats(1, 400),
    spread=st.floats(0, 0.1),
    position=VECTORS,
    direction=st.lists(st.floats(-1, 1), min_size=3, max_size=3).filter(lambda v: math.hypot(*v) > 0.1),
    sigma=st.tuples(st.sampled_from(["Gaussian", "Flat square", "Flat circular"]), LENGTHS, LENGTHS),
    primaries=st.integers(1, 10**9),
)
def test_numbers_of_the_beam_survive(
    format: str,
    energy: float,
    spread: float,
    position: list[float],
    direction: list[float],
    sigma: tuple[str, float, float],
    primaries: int,
) -> None:
    shape, x, y = sigma
    project = changed(
        {
            "beam.energy": energy,
            "beam.energySpread": energy * spread,
            "beam.position": position,
            "beam.direction": direction,
            "beam.sigma": {"type": shape, "x": x, "y": y},
            "beam.numberOfParticles": primaries,
        }
    )
    read = {"shieldhit": shieldhit_beam, "fluka": fluka_beam}[format](dict(convert(project, format).files))
    length = math.hypot(*direction)
    assert read["energy"] == pytest.approx(energy, rel=1e-5)
    assert read["position"] == pytest.approx(position, abs=1e-6)
    assert read["direction"] == pytest.approx([part / length for part in direction], abs=2e-4)
    assert read["size"] == pytest.approx((y,) if shape == "Flat circular" else (x, y), rel=1e-5)
    assert read["primaries"] == pytest.approx(primaries, rel=1e-9)


def shieldhit_beam(files: dict[str, str]) -> dict[str, Any]:
    cards = {line.split()[0]: line.split("!")[0].split()[1:] for line in files["beam.dat"].splitlines() if line.strip()}
    theta, phi = (math.radians(float(word)) for word in cards["BEAMDIR"])
    x, y = map(float, cards["BEAMSIGMA"])
    return {
        "energy": float(cards["TMAX0"][0]),
        "position": [float(word) for word in cards["BEAMPOS"]],
        "direction": [math.sin(theta) * math.cos(phi), math.sin(theta) * math.sin(phi), math.cos(theta)],
        "size": (-y,) if x > 0 > y else (abs(x), abs(y)),
        "primaries": int(cards["NSTAT"][0]),
    }


def fluka_beam(files: dict[str, str]) -> dict[str, Any]:
    cards = {line[:10].strip(): line for line in files["fl_sim.inp"].splitlines()}
    beam, place = (
        [float(cards[key][k : k + 10]) for k in range(10, len(cards[key][:70]), 10) if cards[key][k : k + 10].strip()]
        for key in ("BEAM", "BEAMPOS")
    )
    x, y = place[3:5]
    z = math.sqrt(max(0.0, 1 - x**2 - y**2)) * (-1 if cards["BEAMPOS"][70:].startswith("NEGATIVE") else 1)
    full = 2 * math.sqrt(2 * math.log(2))
    if beam[5] < 0:
        size: tuple[float, ...] = (beam[3],)
    else:
        size = tuple(-width / full if width < 0 else width / 2 for width in beam[3:5])
    return {
        "energy": -beam[0] * 1000,
        "position": place[:3],
        "direction": [x, y, z],
        "size": size,
        "primaries": float(cards["START"][10:20]),
    }


def real_projects() -> list[Any]:
    """The editor's projects among the samples, and within them."""
    found = []
    for path in sorted(DATA.glob("*.json")):
        document = json.loads(path.read_text())
        for project in (document, document.get("input_json"), (document.get("input") or {}).get("inputJson")):
            if isinstance(project, dict) and "figureManager" in project:
                found.append(pytest.param(project, id=path.stem))
    return found or [pytest.param(None, marks=pytest.mark.skip(reason="YAPTIDE's sample projects are not here"))]


@pytest.mark.parametrize("format", ["shieldhit", "fluka"])
@pytest.mark.parametrize("project", real_projects())
def test_real_projects_are_converted_for_both_programs(project: dict[str, Any], format: str) -> None:
    same_points(project, format)


AXES = st.tuples(PLACES, LENGTHS, st.integers(1, 2000))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["Mesh", "Cyl"]), st.tuples(AXES, AXES, AXES), st.integers(0, 300), st.integers(1, 110))
def test_numbers_of_detectors_and_filters_survive(kind: str, axes: Any, a: int, z: int) -> None:
    (x, width, columns), (y, height, rows), (depth, length, layers) = axes
    sizes = {"width": width, "height": height, "depth": length, "xSegments": columns, "ySegments": rows}
    rings = {"radius": width + 1, "innerRadius": width, "depth": length, "radialSegments": columns}
    place = [x, y, depth] if kind == "Mesh" else [0, 0, depth]
    detector = figure("D", "Box", place, **(sizes if kind == "Mesh" else rings), zSegments=layers)
    detector["geometryData"]["geometryType"] = kind
    rules = [{"keyword": "Z", "operator": "==", "value": z}, {"keyword": "A", "operator": "==", "value": a or 1}]
    quantity = {"name": "q", "keyword": "Dose", "filter": "f"}
    project = changed(
        {
            "detectorManager.detectors": [detector],
            "scoringManager.filters": [{"uuid": "f", "name": "f", "rules": rules}],
            "scoringManager.outputs": [{"name": "o", "detectorUuid": "D", "quantities": [quantity]}],
        }
    )
    across = (x - width / 2, x + width / 2, columns) if kind == "Mesh" else (width, width + 1, columns)
    expected = [across, (y - height / 2, y + height / 2, rows), (depth - length / 2, depth + length / 2, layers)]
    expected = expected if kind == "Mesh" else [expected[0], expected[2]]
    lines = [line.split() for line in convert(project).files["detect.dat"].splitlines()]
    written = [
        tuple(map(float, line[1:])) for line in lines if line and line[0] in ("R", "X", "Y", "Z") and "==" not in line
    ]
    assert written == [pytest.approx(axis, rel=1e-7, abs=1e-7) for axis in expected]
    cards = [
        line for line in convert(project, "fluka").files["fl_sim.inp"].splitlines() if line[:6] in ("USRBIN", "AUXSCO")
    ]
    first, second, aside = (
        [float(card[k : k + 10]) for k in range(10, 70, 10) if _number(card[k : k + 10])] for card in cards
    )
    ends, starts, bins = first[-3:], second[:3], second[3:]
    binned = list(zip(starts, ends, bins, strict=True))
    assert (binned if kind == "Mesh" else [binned[0], binned[2]]) == [
        pytest.approx(axis, rel=1e-6, abs=1e-6) for axis in expected
    ]
    assert -aside[0] == 100 * z + 100_000 * (a or 1)


def _number(text: str) -> bool:
    return bool(text.strip()) and text.strip().lstrip("-").replace(".", "", 1)[0].isdigit()
