"""What the built-in beam does not model in the geometry before and in the water: refused with the name of its zone."""

import pytest

from jobs.programs import built_in
from jobs.programs.program import EDITOR
from jobs.programs.shieldhit.native import InputError, read
from tests.programs.test_shieldhit_input import BEAM, GEO, files
from tests.support.editor import PROJECT, changed, cylinder

BEFORE = BEAM.replace("BEAMPOS 0 0 0", "BEAMPOS 0 0 -0.9")
SLAB = "  RCC    4{x:>10}       0.0{z:>10}       0.0       0.0{length:>10}\n{radius:>20}\n"


def geometry(
    zones: list[tuple[str, int]], x: float = 0, z: float = -0.5, length: float = 0.2, radius: float = 1
) -> str:
    """The small geometry with a fourth body and other zones."""
    bodies = GEO[: GEO.index("  END")] + SLAB.format(x=x, z=z, length=length, radius=radius)
    named = "".join(f"  {number:03d}     {terms}\n" for number, (terms, _) in enumerate(zones, 1))
    numbers = "".join(f"{number:>5}" for number in range(1, len(zones) + 1))
    return f"{bodies}  END\n{named}  END\n{numbers}\n{''.join(f'{medium:>5}' for _, medium in zones)}\n"


APART = [("+1", 1), ("+4", 0), ("+2 -1 -4", 1000), ("-2 +3", 0)]


def refused(geo: str, beam: str = BEFORE) -> InputError:
    with pytest.raises(InputError) as caught:
        read(files(geo=geo, beam=beam))
    assert caught.value.file == "geo.dat"
    return caught.value


@pytest.mark.parametrize("radius", [0.01, 1, 4.5])
def test_a_black_body_before_the_water_is_refused(radius: float) -> None:
    error = refused(geometry(APART, radius=radius))
    assert "zone 2 (black body) is in the way of the beam" in error.message
    assert error.line == 12


def test_a_small_black_body_beside_the_axis_of_the_beam_is_refused() -> None:
    wide = BEFORE.replace("BEAMSIGMA 0.1 0.1", "BEAMSIGMA 1 1")
    assert "zone 2 (black body)" in refused(geometry(APART, x=0.37, radius=0.01), wide).message


def test_a_black_body_before_the_water_is_refused_for_slanted_beams() -> None:
    slanted = BEFORE.replace("BEAMDIR 0.0 0.0", "BEAMDIR 10 0")
    assert "in the way" in refused(geometry(APART, x=0.1, radius=0.1), slanted).message
    assert read(files(geo=geometry(APART, x=-0.5, radius=0.1), beam=slanted))


@pytest.mark.parametrize("place", [{"x": 3.0}, {"z": 6.5}, {"z": -0.99, "length": 0.05}])
def test_a_black_body_that_the_beam_does_not_meet_refuses_nothing(place: dict[str, float]) -> None:
    assert read(files(geo=geometry(APART, **place), beam=BEFORE)).geometry == read(files()).geometry


@pytest.mark.parametrize(("medium", "name"), [(0, "black body"), (1000, "vacuum")])
@pytest.mark.parametrize("first", [True, False])
def test_a_zone_within_the_water_is_refused_wherever_it_is_listed(medium: int, name: str, first: bool) -> None:
    others = [("+4", medium), ("+1", 1)] if first else [("+1", 1), ("+4", medium)]
    error = refused(geometry([*others, ("+2 -1 -4", 1000), ("-2 +3", 0)], z=3), BEAM)
    assert f"zone {1 if first else 2} ({name}) overlaps the zone of water" in error.message
    assert error.line == (11 if first else 12)


def test_a_zone_around_the_water_that_does_not_leave_it_out_is_refused() -> None:
    geo = GEO.replace("  002          +2     -1", "  002          +2")
    assert "zone 2 (vacuum) overlaps the zone of water" in refused(geo, BEAM).message


def test_a_zone_that_leaves_out_a_body_around_the_water_refuses_nothing() -> None:
    zones = [("+1", 1), ("+4 -1", 1000), ("+2 -4", 1000), ("+3 -2", 0)]
    assert read(files(geo=geometry(zones, z=-0.5, length=7, radius=4.5), beam=BEFORE))


def test_a_gap_between_the_zones_before_the_water_is_refused() -> None:
    zones = [("+1", 1), ("+2 -1 -4", 1000), ("-2 +3", 0)]
    assert "a place of no zone" in refused(geometry(zones)).message


def test_a_project_names_the_zone_that_is_in_the_way() -> None:
    project = changed({}, PROJECT)
    project["figureManager"]["figures"].append({"uuid": "f-stop", "geometryData": cylinder(1, 0.2, -0.2)})
    stop = {"uuid": "z", "materialUuid": "m-black", "unionOperations": [[{"mode": "union", "objectUuid": "f-stop"}]]}
    project["zoneManager"]["zones"].append(stop)
    with pytest.raises(InputError, match="zone 3 \\(black body\\) is in the way") as caught:
        built_in().accept(EDITOR, project)
    assert (caught.value.file, caught.value.line) == ("zoneManager.zones[2]", None)
