"""The built-in beam scores the length of each track in each cell exactly."""

import math

import numpy as np
import pytest

from jobs.programs.plan import Axis, Detector
from jobs.programs.proton_beam.grid import Grid
from jobs.programs.proton_beam.physics import Array
from jobs.programs.proton_beam.simulation import run
from jobs.programs.shieldhit.native import read
from tests.programs.test_shieldhit_input import BEAM, files

MESH = Detector("Mesh", "Mesh", (Axis("X", -1.0, 1.0, 4), Axis("Y", -0.5, 0.7, 3), Axis("Z", 0.0, 2.0, 50)))
RINGS = Detector("Rings", "Cyl", (Axis("R", 0.2, 1.0, 8), Axis("Z", 0.0, 2.0, 5)))
DISC = Detector("Disc", "Cyl", (Axis("R", 0.0, 1.0, 5), Axis("Z", 0.0, 2.0, 1)))


def shares(grid: Grid, start: Array, way: Array) -> Array:
    """The share of each step (rows) in each cell (columns)."""
    result = np.zeros((start.shape[1], grid.detector.bins))
    for pieces in grid.pieces(start, way):
        np.add.at(result, (pieces.step, pieces.cell), pieces.share)
    return result


@pytest.mark.parametrize("detector", [MESH, RINGS, DISC], ids=["mesh", "rings", "disc"])
def test_each_cell_gets_the_share_of_a_step_that_lies_in_it(detector: Detector) -> None:
    random = np.random.default_rng(4)
    start, way = random.uniform(-1.2, 1.2, (3, 60)), random.uniform(-1.5, 1.5, (3, 60))
    start[2] += 1.0
    way[:, :3] = np.eye(3)  # along the axes
    start[:2, 3], way[:2, 3] = 0.0, 0.0
    grid = Grid(detector)
    found = shares(grid, start, way)
    points = 4000
    for step in range(60):
        along = (np.arange(points) + 0.5) / points
        cells, _ = grid.cells(start[:, [step]] + way[:, [step]] * along)
        sampled = np.bincount(cells, minlength=detector.bins) / points
        assert found[step] == pytest.approx(sampled, abs=3 / points), step


def test_pieces_are_made_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(5)
    start, way = random.uniform(-1.0, 1.0, (3, 40)), random.uniform(-1.0, 1.0, (3, 40))
    whole = shares(Grid(MESH), start, way)
    monkeypatch.setattr("jobs.programs.proton_beam.grid.TOGETHER", 50)
    assert len(list(Grid(MESH).pieces(start, way))) > 5
    assert np.array_equal(shares(Grid(MESH), start, way), whole)


def test_a_detector_of_ten_micrometres_has_the_dose_of_a_thick_one_there() -> None:
    """60 MeV protons at 1 cm: the dose of 10 um within 2 % of that of 1 mm around it, whatever the seed."""
    detect = "".join(
        f"Geometry Cyl\n Name {name}\n R 0 4 1\n Z {low} {high} 1\n"
        for name, low, high in (("Thin", 1.0, 1.001), ("Thick", 0.95, 1.05))
    ) + "".join(
        f"Output\n Filename {name}.bdo\n Geo {name}\n Quantity Dose\n Quantity Fluence\n" for name in ("Thin", "Thick")
    )
    plan = read(files(detect=detect, beam=BEAM.replace("NUCRE 1", "NUCRE 0")))
    for seed in (1, 2, 3):
        (thin, thick) = (
            [one["data"]["values"][0] for one in made["pages"]]  # type: ignore[attr-defined]
            for made in run(plan, 300, seed, lambda _: None, lambda _: None)
        )
        assert thin == pytest.approx(thick, rel=0.02)
        assert thin[1] * math.pi * 16.0 == pytest.approx(1.0, rel=0.001)


def test_planes_closer_than_a_tenth_of_a_millimetre_count() -> None:
    """Layers of 10 um at the entrance, before any proton is lost: each has the whole beam, to 0.1 %."""
    detect = "Geometry Cyl\n Name Fine\n R 0 4 1\n Z 0 0.05 50\nOutput\n Filename a.bdo\n Geo Fine\n Quantity Fluence\n"
    plan = read(files(detect=detect, beam=BEAM.replace("NUCRE 1", "NUCRE 0")))
    (made,) = run(plan, 200, 1, lambda _: None, lambda _: None)
    values = made["pages"][0]["data"]["values"]  # type: ignore[index]
    assert np.array(values) * math.pi * 16.0 == pytest.approx(np.ones(50), rel=0.001)


def test_reactions_take_place_anywhere_in_a_step() -> None:
    """What fragments leave is spread over layers of 20 um, and does not stand at the ends of steps."""
    detect = (
        "Geometry Cyl\n Name Fine\n R 0 4 1\n Z 0.5 1.5 500\nFilter\n Name Fragments\n Z == 2\n"
        "Output\n Filename a.bdo\n Geo Fine\n Quantity Dose Fragments\n"
    )
    (made,) = run(read(files(detect=detect)), 4000, 1, lambda _: None, lambda _: None)
    values = np.array(made["pages"][0]["data"]["values"])  # type: ignore[index]
    hit = np.count_nonzero(values)
    assert hit > 20
    assert np.sort(values)[-1] < 0.2 * values.sum()


def test_a_mesh_has_a_page_of_three_axes_that_adds_up_to_one_of_fewer() -> None:
    """Of the same protons, at the same seed."""
    mesh = "Geometry Mesh\n Name {0}\n X -2 2 {1}\n Y -2 2 {2}\n Z 0 4 {3}\n"
    detect = mesh.format("Fine", 4, 2, 8) + mesh.format("Deep", 1, 1, 8)
    detect += "".join(f"Output\n Filename {name}.bdo\n Geo {name}\n Quantity Dose\n" for name in ("Fine", "Deep"))
    plan = read({**files(), "detect.dat": detect})
    fine, deep = (one["pages"][0] for one in run(plan, 50, 1, lambda _: None, lambda _: None))  # type: ignore[index]
    assert fine["dimensions"] == 3
    assert [len(fine[f"axis_dim{n}"]["values"]) for n in (1, 2, 3)] == [4, 2, 8]
    values = np.array(fine["data"]["values"]).reshape(8, 2, 4)
    assert values.mean((1, 2)) == pytest.approx(np.array(deep["data"]["values"]))
