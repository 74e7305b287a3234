"""Detectors, filters and outputs of the editor's projects, as sections of detect.dat and cards of FLUKA."""

import json
from typing import Any

import pytest

from jobs.programs.editor.conversion import convert
from jobs.programs.plan import InputError
from jobs.worker import results
from tests.support.editor import changed, figure, zone

MESH = figure("D", "Box", [1, 0, 10], width=2, height=4, depth=20, xSegments=1, ySegments=80, zSegments=400)
MESH["geometryData"]["geometryType"] = "Mesh"
RINGS = figure("R", "Box", [0, 0, 10], radius=5, innerRadius=0.5, depth=20, radialSegments=10, zSegments=200)
RINGS["geometryData"]["geometryType"] = "Cyl"
IN_ZONE = {"uuid": "N", "name": "In zone", "geometryData": {"geometryType": "Zone", "parameters": {"zoneUuid": "Z0"}}}


def rules(uuid: str, *rules: tuple[str, str, float]) -> dict[str, Any]:
    made = [{"keyword": keyword, "operator": operator, "value": value} for keyword, operator, value in rules]
    return {"uuid": uuid, "name": uuid, "rules": made}


FILTERS = [
    rules("Protons", ("Z", "==", 1), ("A", "==", 1)),
    {"uuid": "ByName", "name": "By name", "particle": {"id": 2, "name": "Proton"}},
    rules("Carbon", ("Z", "==", 6), ("A", "==", 12)),
    rules("Fast", ("E", ">=", 10.5)),
    rules("Charged", ("Z", "!=", 0)),
]
SPECTRUM = {"diffType": "E", "lowerLimit": 1, "upperLimit": 100, "binsNumber": 50, "isLog": True}


def quantity(keyword: str, filter: str | None = None, name: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "name": name or keyword,
        "keyword": keyword,
        "modifiers": [],
        **({"filter": filter} if filter else {}),
        **more,
    }


def scored(*quantities: dict[str, Any], by: dict[str, Any] = MESH, **output: Any) -> dict[str, Any]:
    """The project with one output."""
    made = {"name": "out", "detectorUuid": by["uuid"], "quantities": list(quantities), **output}
    return changed(
        {"detectorManager.detectors": [by], "scoringManager.filters": FILTERS, "scoringManager.outputs": [made]}
    )


def output(project: dict[str, Any]) -> list[str]:
    """The lines of the output in detect.dat."""
    text = convert(project).files["detect.dat"]
    return [line.strip() for line in text[text.index("Output\n") :].splitlines()[1:] if line.strip()]


def section(project: dict[str, Any], kind: str) -> list[str]:
    """The first section of a kind in detect.dat."""
    text = convert(project).files["detect.dat"]
    return [line.strip() for line in text[text.index(f"{kind}") :].split("\n\n")[0].splitlines()]


def fluka(project: dict[str, Any]) -> list[list[str]]:
    """The cards of detectors, in words."""
    lines = convert(project, "fluka").files["fl_sim.inp"].splitlines()
    rows = [line for line in lines if line.startswith(("USR", "AUX"))]
    return [[row[k : k + 10].strip() for k in range(0, len(row), 10)] for row in rows]


def left_out(project: dict[str, Any], format: str) -> list[str]:
    return [
        sentence.split(" is left out: ")[0] for sentence in json.loads(convert(project, format).files["warnings.json"])
    ]


PROJECT = scored(
    quantity("Dose", "Protons"),
    quantity("Fluence", "ByName"),
    quantity("Fluence", "Carbon"),
    quantity("Dose", "Fast", "fast"),
    quantity("dLET"),
    quantity("Dose", "ByName"),
)


def test_a_mesh_becomes_sections_of_detect_dat() -> None:
    assert section(PROJECT, "Geometry") == ["Geometry Mesh", "Name D", "X 0 2 1", "Y -2 2 80", "Z 0 20 400"]
    assert output(PROJECT) == [
        "Filename out.bdo",
        "Geo D",
        "Quantity Dose Protons",
        "Quantity Fluence By_name",
        "Quantity Fluence Carbon",
        "Quantity Dose Fast",
        "Quantity dLET",
        "Quantity Dose By_name",
    ]


def test_a_mesh_becomes_cards_of_fluka() -> None:
    cards = fluka(PROJECT)
    first, second = ["2.0", "2.0", "20.0"], ["USRBIN", "0.0", "-2.0", "0.0", "1.0", "80.0", "400.0", "&"]
    assert [card[1:7] for card in cards[:1]] == [["10.0", "DOSE", "-21.0", *first]]
    assert [card[2] for card in cards if card[0] == "USRBIN" and card[-1] != "&"] == [
        "DOSE",
        "PROTON",
        "ALL-PART",
        "DOSE",
    ]
    assert [card for card in cards if card[-1] == "&"] == [second] * 4
    assert [card for card in cards if card[0] == "AUXSCORE"] == [
        ["AUXSCORE", "USRBIN", "-100100.0", "", "1.0", "1.0", "1.0"],
        ["AUXSCORE", "USRBIN", "-1200600.0", "", "3.0", "3.0", "1.0"],
        ["AUXSCORE", "USRBIN", "PROTON", "", "4.0", "4.0", "1.0"],
    ]  # fmt: skip


def test_what_fluka_can_not_score_is_left_out_and_named() -> None:
    assert left_out(PROJECT, "fluka") == ["'fast' of 'out'", "'dLET' of 'out'"]
    names = json.loads(convert(PROJECT, "fluka").files["names.json"])
    assert names == {"fl_sim_fort.21": {"name": "out", "quantities": ["Dose", "Fluence", "Fluence", "Dose"]}}


def test_what_is_left_out_becomes_warnings_of_the_task() -> None:
    fast, let = results.left_out(convert(PROJECT, "fluka").files)
    assert fast == (
        "'fast' of 'out' is left out: scoringManager.filters[3].rules[0]: found E >=; "
        "for FLUKA allowed are A == and Z =="
    )
    assert let.startswith("'dLET' of 'out' is left out: scoringManager.outputs[0].quantities[4].keyword: found 'dLET'")
    assert results.left_out(convert(PROJECT).files) == []
    for broken in ("[", "{}", "[5]", "[" * 100_000):
        assert results.left_out({"warnings.json": broken}) == []


def test_warnings_that_users_give_are_lines_of_text_and_not_too_many() -> None:
    (said,) = results.left_out({"warnings.json": json.dumps(["a\0b\ud800\n" + "c" * 5000])})
    assert said.startswith("a\ufffdb\ufffd\ufffdccc")
    assert len(said) == 500
    assert len(results.left_out({"warnings.json": json.dumps(["x"] * 5000)})) == 1000


def test_an_output_that_would_have_no_page_is_refused() -> None:
    with pytest.raises(InputError, match="found 'dLET'; for FLUKA allowed are Dose, Fluence") as caught:
        fluka(scored(quantity("dLET"), quantity("tLET")))
    assert caught.value.file == "scoringManager.outputs[0].quantities[0].keyword"


def test_rings_have_settings_and_scales() -> None:
    project = scored(
        quantity("Fluence", "Protons", "Spec (E)", primaries=1000, modifiers=[SPECTRUM]),
        quantity("Dose", None, "Quantity_52", hasRescale=True, rescale=2.5),
        quantity("NKERMA", None, "Quantity_53", medium="WATER"),
        quantity("Dose", "Protons", "Quantity_54", hasRescale=False, rescale=2.5),
        by=RINGS,
    )
    text = convert(project).files["detect.dat"]
    assert "Geometry Cyl\n    Name R\n    R 0.5 5 10\n    Z 0 20 200\n" in text
    assert "Settings\n    Name SpecE\n    Primaries 1000\n" in text
    assert "Settings\n    Name Rescaled_Dose_Quantity_52\n    Rescale 2.5\n" in text
    assert "Settings\n    Name NKERMA_Quantity_53_to_WATER\n    NKMedium WATER\n" in text
    assert output(project)[2:] == [
        "Quantity Fluence Protons SpecE",
        "Diff1 1 100 50 log",
        "Diff1Type E",
        "Quantity Dose Everything Rescaled_Dose_Quantity_52",
        "Quantity NKERMA Everything NKERMA_Quantity_53_to_WATER",
        "Quantity Dose Protons",
    ]
    assert "Filter\n    Name Everything\n    GEN >= 0\n" in text


def test_rings_of_fluka_may_lie_around_any_axis() -> None:
    rings = changed({"geometryData.position": [1, 2, 10]}, RINGS)
    project = scored(quantity("Fluence", "Protons"), quantity("Dose"), by=rings)
    assert [card[1:] for card in fluka(project)] == [
        ["11.0", "ALL-PART", "-21.0", "5.0", "2.0", "20.0", "Flue_TzG3O"],
        ["0.5", "1.0", "0.0", "10.0", "1.0", "200.0", "&"],
        ["USRBIN", "-100100.0", "", "1.0", "1.0", "1.0"],
        ["11.0", "DOSE", "-21.0", "5.0", "2.0", "20.0", "Dose_p5BjI"],
        ["0.5", "1.0", "0.0", "10.0", "1.0", "200.0", "&"],
    ]
    with pytest.raises(InputError, match="around the z axis alone") as caught:
        convert(project)
    assert caught.value.file == "detectorManager.detectors[0].geometryData.position"


def test_two_scales_are_both_written() -> None:
    angle = {"diffType": "ANGLE", "lowerLimit": 0, "upperLimit": 90, "binsNumber": 9, "isLog": False}
    lines = output(scored(quantity("Fluence", modifiers=[SPECTRUM, angle])))
    assert lines[3:] == ["Diff1 1 100 50 log", "Diff1Type E", "Diff2 0 90 9", "Diff2Type ANGLE"]


def test_a_logarithmic_scale_begins_above_zero() -> None:
    with pytest.raises(InputError) as caught:
        convert(scored(quantity("Fluence", modifiers=[SPECTRUM | {"lowerLimit": 0}])))
    assert caught.value.file == "scoringManager.outputs[0].quantities[0].modifiers[0].lowerLimit"


@pytest.mark.parametrize(
    ("more", "name"), [({}, "In_zone"), ({"scoringType": "ZONE", "zoneUuid": "Z0", "detectorUuid": None}, "zone_1")]
)
def test_a_zone_is_scored_with_its_volume(more: dict[str, Any], name: str) -> None:
    project = scored(quantity("Energy"), by=IN_ZONE, **more)
    assert section(project, f"Geometry Zone\n    Name {name}")[1:] == [f"Name {name}", "Zone 1", "Volume 80"]
    assert output(project)[1] == f"Geo {name}"


def test_the_volume_of_a_cut_zone_is_measured() -> None:
    sphere = figure("S", "Sphere", [0, 0, 5], radius=1)
    project = changed(
        {"figureManager.figures[0].uuid": "F0", "zoneManager.zones": [zone("Z0", "W", "F0 -S")]},
        scored(quantity("Energy"), by=IN_ZONE),
    )
    project["figureManager"]["figures"].append(sphere)
    volume = float(section(project, "Geometry Zone")[-1].split()[1])
    assert volume == pytest.approx(80 - 4.18879, rel=2e-3)


def test_the_spectrum_in_a_zone_is_a_track_length_of_fluka() -> None:
    project = scored(quantity("Fluence", "ByName", modifiers=[SPECTRUM]), by=IN_ZONE)
    first, second = fluka(project)
    assert first[:7] == ["USRTRACK", "-1.0", "PROTON", "-21.0", "region0", "80.0", "50.0"]
    assert second == ["USRTRACK", "0.1", "0.001", "", "", "", "", "&"]


def test_everything_may_be_scored_by_shieldhit() -> None:
    everywhere = {"uuid": "A", "name": "A", "geometryData": {"geometryType": "All", "parameters": {}}}
    assert section(scored(quantity("Energy"), by=everywhere), "Geometry")[:2] == ["Geometry All", "Name A"]


@pytest.mark.parametrize(
    ("id", "lines"),
    [
        (1, ["Z == 0", "A == 1"]),
        (7, ["Z == -1", "A == 1"]),
        (24, ["Z == 2", "A == 4"]),
        (3, ["ID == 3"]),
        (16, ["ID == 16"]),
    ],
)
def test_particles_become_rules(id: int, lines: list[str]) -> None:
    project = changed({"scoringManager.filters[1].particle.id": id}, scored(quantity("Dose", "ByName")))
    text = convert(project).files["detect.dat"]
    assert text[text.index("Name By_name") :].split("\n\n")[0].splitlines()[1:] == [f"    {line}" for line in lines]


def test_rules_keep_their_operators() -> None:
    text = convert(scored(quantity("Dose", "Charged"))).files["detect.dat"]
    assert "Name Charged\n    Z != 0\n" in text
    legacy = changed({"scoringManager.filters[4].rules[0].operator": "less_than"}, scored(quantity("Dose", "Charged")))
    assert "Z < 0" in convert(legacy).files["detect.dat"]


@pytest.mark.parametrize(
    ("found", "card"),
    [
        ([("Z", "==", 0), ("A", "==", 1)], "NEUTRON"),
        ([("Z", "==", 2)], "-200.0"),
        ([("A", "==", 4), ("Z", "==", 2)], "-400200.0"),
    ],
)
def test_isotopes_have_codes_in_fluka_and_neutrons_a_name(found: list[tuple[str, str, float]], card: str) -> None:
    project = changed({"scoringManager.filters[0]": rules("Protons", *found)}, scored(quantity("Dose", "Protons")))
    assert fluka(project)[-1][2] == card


@pytest.mark.parametrize(
    "found", [[("Z", "==", 0)], [("Z", "!=", 1)], [("GEN", "==", 0)], [("Z", "==", 1), ("Z", "==", 2)]]
)
def test_rules_that_fluka_has_no_code_for_leave_the_quantity_out(found: list[tuple[str, str, float]]) -> None:
    project = scored(quantity("Dose"), quantity("Dose", "Protons", "chosen"))
    project["scoringManager"]["filters"][0] = rules("Protons", *found)
    assert left_out(project, "fluka") == ["'chosen' of 'out'"]


def test_a_quantity_may_have_a_material_of_its_own() -> None:
    project = scored(quantity("dLET", None, "Quantity", materialUuid="W", materialPropertiesOverrides={}))
    assert section(project, "Settings") == ["Settings", "Name dLET_Quantity_to_water_liquid", "Medium 1"]


@pytest.mark.parametrize("name", ["Dawka (1) #2", "żółć", "a b", "-x", "日本", "a/b", "$(x)"])
def test_names_of_all_kinds_become_words(name: str) -> None:
    project = scored(quantity("Dose", "Protons", name), name=name)
    project["detectorManager"]["detectors"][0]["name"] = name
    project["scoringManager"]["filters"][0]["name"] = name
    files = convert(project).files
    assert all(len(line.split()) <= 4 and line.isascii() for line in files["detect.dat"].splitlines())
    ((file, called),) = json.loads(files["names.json"]).items()
    assert called == {"name": name, "quantities": [name]}
    assert f"    Filename {file}\n" in files["detect.dat"]


def test_equal_names_become_different_words() -> None:
    project = scored(quantity("Dose"), name="a b")
    project["scoringManager"]["outputs"].append(project["scoringManager"]["outputs"][0] | {"name": "a_b"})
    assert list(json.loads(convert(project).files["names.json"])) == ["a_b.bdo", "a_b_2.bdo"]
