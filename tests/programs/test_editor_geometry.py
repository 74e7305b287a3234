"""Figures, zones and the world of the editor's projects, as bodies and zones of SHIELD-HIT12A and FLUKA."""

from typing import Any

import pytest

from jobs.programs.editor.conversion import convert
from jobs.programs.plan import InputError
from tests.support import native_geometry as native
from tests.support.editor import BASE, changed, figure, zone

FIGURES = BASE["figureManager"]["figures"]
SPHERES = [*FIGURES, figure("F1", "Sphere", [0, 0, 5], radius=1), figure("F2", "Sphere", [5, 0, 0], radius=1)]
LEAD = {"uuid": "L", "name": "LEAD", "sanitizedName": "Pb", "icru": 82, "density": 11.35}
VACUUM_FIRST = [*reversed(BASE["materialManager"]["materials"]), LEAD]
BLACK = [BASE["materialManager"]["materials"][0], {"uuid": "V", "name": "BLACK HOLE", "icru": 0, "density": 0}]


def shieldhit(changes: dict[str, Any]) -> native.Read:
    return native.shieldhit(convert(changed(changes)).files["geo.dat"])


def fluka(changes: dict[str, Any]) -> native.Read:
    return native.fluka(convert(changed(changes), "fluka").files["fl_sim.inp"])


def test_a_box_in_a_world_becomes_geo_dat() -> None:
    assert (
        convert(BASE).files["geo.dat"]
        == """
    0    0          T
  BOX    1      -2.0      -1.0       0.0       4.0       0.0       0.0
                 0.0       2.0       0.0       0.0       0.0      10.0
  BOX    2     -11.0     -11.0     -11.0      22.0       0.0       0.0
                 0.0      22.0       0.0       0.0       0.0      22.0
  BOX    3     -12.0     -12.0     -12.0      24.0       0.0       0.0
                 0.0      24.0       0.0       0.0       0.0      24.0
  END
  001          +1
  002          +2     -1
  003          +3     -2
  END
    1    2    3
    1 1000    0
"""
    )


def test_a_box_in_a_world_becomes_regions_of_fluka() -> None:
    text = convert(BASE, "fluka").files["fl_sim.inp"]
    assert (
        text[text.index("GEOBEGIN") : text.index("RANDOMIZ")]
        == """\
GEOBEGIN                                                              COMBNAME
    0    0
RPP fig0 -2.0 2.0 -1.0 1.0 0.0 10.0
RPP figworld -11.0 11.0 -11.0 11.0 -11.0 11.0
RPP figbound -21.0 21.0 -21.0 21.0 -21.0 21.0
END
region0 5 +fig0
world 5 +figworld -fig0
boundary 5 +figbound -figworld
END
GEOEND
ASSIGNMA       WATER   region0
ASSIGNMA      VACUUM     world
ASSIGNMA    BLCKHOLE  boundary
"""
    )


@pytest.mark.parametrize(
    ("position", "rotation", "base", "axis"),
    [
        ([0, 0, 5], [90, 0, 0], [0, 4, 5], [0, -8, 0]),
        ([0, 0, 5], [0, 90, 0], [-4, 0, 5], [8, 0, 0]),
        ([1, 2, 3], [90, 0, 90], [1, 6, 3], [0, -8, 0]),
        ([0, 0, 0], [90, 90, 0], [-4, 0, 0], [8, 0, 0]),
    ],
)
def test_a_cylinder_is_turned_as_the_editor_shows_it(
    position: list[float], rotation: list[float], base: list[float], axis: list[float]
) -> None:
    turned = figure("F0", "HollowCylinder", position, rotation, radius=3, innerRadius=1, depth=8)
    for read, name in ((shieldhit, "1"), (fluka, "fig0")):
        assert read({"figureManager.figures": [turned]}).bodies[name] == ("RCC", [*base, *axis, 3])


def test_a_turned_box_has_turned_edges() -> None:
    quarter = {"figureManager.figures[0].geometryData.rotation": [0, 0, 90]}
    assert shieldhit(quarter).bodies["1"] == ("BOX", [1, -2, 0, 0, 4, 0, -2, 0, 0, 0, 0, 10])
    assert fluka(quarter).bodies["fig0"] == ("RPP", [-1, 1, -2, 2, 0, 10])
    key, numbers = fluka({"figureManager.figures[0].geometryData.rotation": [0, 0, 45]}).bodies["fig0"]
    half = 2**0.5
    assert key == "BOX"
    assert numbers == pytest.approx([half * -0.5, half * -1.5, 0, half * 2, half * 2, 0, -half, half, 0, 0, 0, 10])


def test_zones_are_unions_of_what_figures_have_in_common() -> None:
    changes = {
        "figureManager.figures": SPHERES,
        "zoneManager.zones": [zone("Z0", "W", "F0 -F1", "F2"), zone("Z1", "L", "F1")],
        "materialManager.materials": VACUUM_FIRST,
    }
    read = shieldhit(changes)
    assert list(read.zones.values()) == [
        *([{"+1", "-2"}, {"+3"}], [{"+2"}], [{"+4", "-1", "-2", "-3"}], [{"+5", "-4"}])
    ]
    assert list(read.media.values()) == ["1", "2", "1000", "0"]
    regions = fluka(changes)
    assert regions.zones == {
        "region0": [{"+fig0", "-fig1"}, {"+fig2"}],
        "region1": [{"+fig1"}],
        "world": [{"+figworld", "-fig0", "-fig1", "-fig2"}],
        "boundary": [{"+figbound", "-figworld"}],
    }
    assert regions.media == {"region0": "WATER", "region1": "MAT00001", "world": "VACUUM", "boundary": "BLCKHOLE"}


def test_what_is_cut_out_of_a_zone_belongs_to_the_world() -> None:
    changes = {"figureManager.figures": SPHERES[:2], "zoneManager.zones": [zone("Z0", "W", "F0 -F1")]}
    assert list(shieldhit(changes).zones.values()) == [[{"+1", "-2"}], [{"+3", "-1"}], [{"+3", "+2"}], [{"+4", "-3"}]]
    assert list(shieldhit(changes).media.values()) == ["1", "1000", "1000", "0"]
    assert fluka(changes).zones["world"] == [{"+figworld", "-fig0"}, {"+figworld", "+fig1"}]


def test_a_black_world_needs_no_black_body_around() -> None:
    read = shieldhit({"materialManager.materials": BLACK})
    assert list(read.bodies) == ["1", "2"]
    assert list(read.zones.values()) == [[{"+1"}], [{"+2", "-1"}]]
    assert list(read.media.values()) == ["1", "0"]


def test_the_sizes_of_the_world_have_its_margin_already() -> None:
    world = figure("", "Box", [0, 0, 5], width=4.4, height=2.2, depth=11)["geometryData"]
    changes = {"zoneManager.worldZone.geometryData": world, "zoneManager.worldZone.autoCalculate": True}
    read = shieldhit(changes)
    assert read.bodies["2"][1][:3] == [-2.2, -1.1, -0.5]
    assert read.bodies["3"][1] == pytest.approx([-3.2, -2.1, -1.5, 6.4, 0, 0, 0, 4.2, 0, 0, 0, 13])
    assert fluka(changes).bodies["figbound"][1] == pytest.approx([-12.2, 12.2, -11.1, 11.1, -10.5, 20.5])


def test_a_round_world_grows_in_radius_and_height() -> None:
    world = figure("", "HollowCylinder", [0, 0, 10.5], radius=6, innerRadius=6, depth=24)["geometryData"]
    read = shieldhit({"zoneManager.worldZone.geometryData": world})
    assert read.bodies["2"] == ("RCC", [0, 0, -1.5, 0, 0, 24, 6])
    assert read.bodies["3"] == ("RCC", [0, 0, -2.5, 0, 0, 26, 7])
    regions = fluka({"zoneManager.worldZone.geometryData": world})
    assert regions.bodies["figbound"] == ("RCC", [0, 0, -11.5, 0, 0, 44, 16])


def test_without_a_world_shieldhit_has_the_zones_alone_and_fluka_refuses() -> None:
    assert list(shieldhit({"zoneManager.worldZone": None}).zones) == ["1"]
    with pytest.raises(InputError, match=r"^zoneManager\.worldZone: is missing"):
        fluka({"zoneManager.worldZone": None})


def test_a_later_union_adds_to_what_the_row_has_so_far() -> None:
    changes = {"figureManager.figures": SPHERES, "zoneManager.zones": [zone("Z0", "W", "F0 &F1 |F2 -F1")]}
    assert shieldhit(changes).zones["1"] == [{"+3", "-2"}]
    assert fluka(changes).zones["region0"] == [{"+fig2", "-fig1"}]


def test_rows_that_lie_in_another_are_not_written() -> None:
    changes = {"figureManager.figures": SPHERES, "zoneManager.zones": [zone("Z0", "W", "F0 -F1", "F0", "F0 &F0 -F2")]}
    assert shieldhit(changes).zones["1"] == [{"+1"}]


def test_long_zones_go_on_in_further_lines() -> None:
    spheres = [figure(f"S{n}", "Sphere", [n / 10, 0, 5], radius=0.05) for n in range(30)]
    changes = {
        "figureManager.figures": [*FIGURES, *spheres],
        "zoneManager.zones": [zone("Z0", "W", "F0 " + " ".join(f"-S{n}" for n in range(30)))],
    }
    assert max(map(len, convert(changed(changes)).files["geo.dat"].splitlines())) <= 80
    assert shieldhit(changes).zones["1"] == [{"+1", *(f"-{n + 2}" for n in range(30))}]
    assert fluka(changes).zones["region0"] == [{"+fig0", *(f"-fig{n + 1}" for n in range(30))}]


def test_many_cut_zones_that_lie_apart_make_few_parts_of_the_world() -> None:
    boxes = [figure(f"B{n}", "Box", [0, 0, n - 10], width=1, height=1, depth=0.5) for n in range(20)]
    holes = [figure(f"H{n}", "Sphere", [0, 0, n - 10], radius=0.2) for n in range(20)]
    changes = {
        "figureManager.figures": [*boxes, *holes],
        "zoneManager.zones": [zone(f"Z{n}", "W", f"B{n} -H{n}") for n in range(20)],
    }
    assert len(shieldhit(changes).zones) == 20 + 21 + 1


def test_numbers_fill_the_ten_characters_of_their_columns() -> None:
    third = {"figureManager.figures[0].geometryData.position": [1 / 3, -20 / 3, 5]}
    row = convert(changed(third)).files["geo.dat"].splitlines()[2]
    assert row == "  BOX    1-1.6666667-7.6666667       0.0       4.0       0.0       0.0"


def test_a_title_can_be_no_comment_and_no_line() -> None:
    project = changed({"project.title": "* wiązka #1"})
    assert "\nwi?zka #1\nDEFAULTS" in convert(project, "fluka").files["fl_sim.inp"]
    assert convert(project).files["geo.dat"].splitlines()[1] == "    0    0          * wi?zka #1"
