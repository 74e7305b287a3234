"""Materials of the editor's projects, as media of SHIELD-HIT12A and materials of FLUKA."""

from typing import Any

import pytest

from jobs.programs.editor.conversion import convert
from jobs.programs.plan import InputError
from tests.support.editor import BASE, DELETED, changed

WATER, VACUUM = BASE["materialManager"]["materials"]
LEAD = {"uuid": "L", "name": "LEAD", "sanitizedName": "Pb", "icru": 82, "density": 11.35}
TABLE = {"276": {"icru": 276, "name": "Water.txt", "content": "1.0 260.8\n"}}
COPY: dict[str, Any] = {
    "materialManager.materials": [VACUUM, WATER, LEAD],
    "zoneManager.zones[0].materialUuid": "C",
    "zoneManager.zones[0].customMaterial": WATER | {"uuid": "C", "originalMaterialUuid": "W"},
    "zoneManager.zones[0].materialPropertiesOverrides": {"density": 1.05, "customStoppingPower": True},
    "physic": {"availableStoppingPowerFiles": TABLE},
}
ZONE = "zoneManager.zones[0]"


def media(changes: dict[str, Any]) -> str:
    return convert(changed(changes)).files["mat.dat"]


def fluka(changes: dict[str, Any]) -> list[str]:
    """The cards of materials."""
    lines = convert(changed(changes), "fluka").files["fl_sim.inp"].splitlines()
    return [line for line in lines if line.split()[0] in ("MATERIAL", "LOW-MAT", "COMPOUND", "MAT-PROP", "ASSIGNMA")]


def filled(icru: int, density: float | None) -> dict[str, Any]:
    """The project with another material in its zone."""
    material = {"uuid": "W", "name": "OTHER, ONE", "icru": icru}
    return {"materialManager.materials": [material | ({"density": density} if density else {}), VACUUM]}


def test_a_changed_material_is_a_medium_of_its_own() -> None:
    files = convert(changed(COPY)).files
    assert files["mat.dat"] == (
        "MEDIUM 1\nICRU 276\nEND\nMEDIUM 2\nICRU 82\nEND\nMEDIUM 3\nICRU 276\nRHO 1.05\nLOADDEDX\nEND\n"
    )
    assert files["Water.txt"] == "1.0 260.8\n"
    assert files["geo.dat"].splitlines()[-1].split() == ["3", "1000", "0"]


def test_a_table_that_no_material_asks_for_refuses_nothing() -> None:
    wrong = {"physic": {"availableStoppingPowerFiles": {"276": {"name": "geo.dat"}, "new": 5}}}
    assert convert(changed(wrong)).files == convert(BASE).files
    with pytest.raises(InputError, match="another file has this name already"):
        convert(changed(COPY | wrong))


def test_without_a_table_no_table_is_loaded() -> None:
    changes = COPY | {"physic": {}, f"{ZONE}.materialPropertiesOverrides": {"customStoppingPower": True}}
    assert media(changes).endswith("MEDIUM 3\nICRU 276\nRHO 1\nEND\n")


def test_an_override_without_a_copy_changes_the_zones_own_material() -> None:
    assert media({f"{ZONE}.materialPropertiesOverrides": {"density": 0.9}}).endswith("ICRU 276\nRHO 0.9\nEND\n")


def test_a_changed_material_is_a_compound_of_fluka() -> None:
    changes = COPY | {f"{ZONE}.materialPropertiesOverrides": {"density": 1.05}}
    assert fluka(changes) == [
        "MATERIAL        82.0               11.35                              MAT00001",
        "MATERIAL         0.0                1.05                              COM00001",
        "LOW-MAT     MAT00001                                                  LEAD",
        "COMPOUND        -1.0     WATER                                        COM00001",
        "ASSIGNMA    COM00001   region0",
        "ASSIGNMA      VACUUM     world",
        "ASSIGNMA    BLCKHOLE  boundary",
    ]


def test_a_table_of_stopping_powers_is_shieldhits_alone() -> None:
    with pytest.raises(InputError, match="takes no table") as caught:
        fluka(COPY)
    assert caught.value.file == f"{ZONE}.materialPropertiesOverrides.customStoppingPower"


@pytest.mark.parametrize(
    ("icru", "density", "lines"),
    [
        (276, 1, "ICRU 276"),
        (276, 0.99, "ICRU 276\nRHO 0.99"),
        (82, 11.35, "ICRU 82"),
        (82, 11.0, "ICRU 82\nRHO 11"),
        (99, 1.127, "ICRU 99\nRHO 1.127"),
        (99, None, "ICRU 99"),
    ],
)
def test_an_edited_density_is_written(icru: int, density: float | None, lines: str) -> None:
    assert media(filled(icru, density)) == f"MEDIUM 1\n{lines}\nEND\n"


@pytest.mark.parametrize(
    ("icru", "density", "cards"),
    [
        (276, 1, []),
        (104, 0.00120479, []),
        (223, 1.2, ["MATERIAL 0.0 1.2 COM00001", "COMPOUND -1.0 PMMA COM00001"]),
        (6, 1.8, ["MATERIAL 6.0 1.8 MAT00001", "LOW-MAT MAT00001 CARBON"]),
        (92, 18.95, ["MATERIAL 92.0 18.95 MAT00001", "LOW-MAT MAT00001 238-U"]),
    ],
)
def test_materials_are_those_that_fluka_knows(icru: int, density: float, cards: list[str]) -> None:
    assert [" ".join(line.split()) for line in fluka(filled(icru, density)) if "ASSIGNMA" not in line] == cards


def test_what_fluka_does_not_know_is_refused_where_it_is_used() -> None:
    with pytest.raises(InputError, match="the ICRU material 99; FLUKA knows") as caught:
        fluka(filled(99, 1.127))
    assert caught.value.file == "materialManager.materials[0].icru"
    unused = {"materialManager.materials": [WATER, VACUUM, LEAD | {"icru": 99}]}
    assert len(fluka(unused)) == 3


def test_a_mean_ionisation_potential_is_flukas_alone() -> None:
    changes = {f"{ZONE}.materialPropertiesOverrides": {"averageIonisationPotential": 78}}
    assert "MAT-PROP         0.0       0.0      78.0  COM00001                 0.0" in fluka(changes)
    with pytest.raises(InputError) as caught:
        media(changes)
    assert caught.value.file == f"{ZONE}.materialPropertiesOverrides.averageIonisationPotential"


def test_a_zone_may_have_its_material_in_its_copy_alone() -> None:
    changes = COPY | {f"{ZONE}.materialUuid": DELETED, f"{ZONE}.materialPropertiesOverrides": {}, "physic": {}}
    assert media(changes).endswith("MEDIUM 3\nICRU 276\nRHO 1\nEND\n")


@pytest.mark.parametrize("bad", [{"uuid": "X"}, {"uuid": "X", "icru": -1}, "X", None])
def test_a_material_that_nothing_uses_refuses_nothing(bad: object) -> None:
    changes = {"materialManager.materials": [WATER, VACUUM, bad]}
    for format in ("shieldhit", "fluka"):
        assert convert(changed(changes), format).files == convert(BASE, format).files
