"""Projects of YAPTIDE's editor: how they become native files, and what is refused with its path in the JSON."""

import copy
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.programs.editor.conversion import convert
from jobs.programs.plan import Condition, Cylinder, Filter, InputError
from jobs.programs.proton_beam.simulation import main, run
from jobs.programs.shieldhit.native import REQUIRED_FILES, read
from tests.programs.test_shieldhit_input import PAYLOAD, files

EDITOR_PAYLOAD = PAYLOAD.with_name("json_payload_editor.json")
DELETED = object()


def cylinder(radius: float, depth: float, centre: float) -> dict[str, Any]:
    parameters = {"innerRadius": 0, "radius": radius, "depth": depth}
    geometry = {"geometryType": "HollowCylinderGeometry", "position": [0, 0, centre], "rotation": [0, 0, 0]}
    return geometry | {"parameters": parameters}


PROJECT: dict[str, Any] = {
    "project": {"title": "short water phantom"},
    "figureManager": {
        "figures": [
            {"uuid": "f-phantom", "name": "phantom", "geometryData": cylinder(4, 6, 3)},
            {"uuid": "f-hall", "name": "hall", "geometryData": cylinder(5, 8, 3)},
        ]
    },
    "materialManager": {
        "materials": [
            {"uuid": "m-none", "name": "VACUUM", "icru": 1000, "density": 1},
            {"uuid": "m-water", "name": "WATER, LIQUID", "icru": 276, "density": 1},
            {"uuid": "m-black", "name": "BLACK HOLE", "icru": 0, "density": 1},
        ]
    },
    "zoneManager": {
        "zones": [
            {
                "uuid": "z-phantom",
                "materialUuid": "m-water",
                "materialPropertiesOverrides": {},
                "unionOperations": [[{"mode": "union", "objectUuid": "f-phantom"}]],
            },
            {
                "uuid": "z-hall",
                "materialUuid": "m-none",
                "unionOperations": [
                    [
                        {"mode": "union", "objectUuid": "f-hall"},
                        {"mode": "subtraction", "objectUuid": "f-phantom"},
                    ]
                ],
            },
        ],
        "worldZone": {"uuid": "z-world", "materialUuid": "m-black", "geometryData": cylinder(6, 10, 3)},
    },
    "detectorManager": {
        "detectors": [
            {
                "uuid": "d-depth",
                "name": "Depth",
                "geometryData": {
                    "geometryType": "Cyl",
                    "position": [0, 0, 3],
                    "rotation": [0, 0, 0],
                    "parameters": {"radius": 4, "innerRadius": 0, "depth": 6, "radialSegments": 1, "zSegments": 60},
                },
            },
            {
                "uuid": "d-plane",
                "name": "Side plane",
                "geometryData": {
                    "geometryType": "Mesh",
                    "position": [0, 1, 3],
                    "rotation": [0, 0, 0],
                    "parameters": {
                        "width": 8,
                        "height": 4,
                        "depth": 6,
                        "xSegments": 1,
                        "ySegments": 8,
                        "zSegments": 12,
                    },
                },
            },
        ]
    },
    "specialComponentsManager": {"uuid": "s", "name": "Special Components", "type": "SpecialComponentManager"},
    "scoringManager": {
        "filters": [
            {
                "uuid": "s-first",
                "name": "First protons",
                "rules": [
                    {"uuid": "r1", "keyword": "Z", "operator": "==", "value": 1},
                    {"uuid": "r2", "keyword": "GEN", "operator": "<", "value": 1},
                ],
            },
            {"uuid": "s-deuterons", "name": "Deuterons", "particle": {"id": 21, "name": "Deuteron"}},
        ],
        "outputs": [
            {
                "name": "z profile",
                "detectorUuid": "d-depth",
                "trace": False,
                "quantities": [
                    {"name": "a", "keyword": "Dose", "modifiers": []},
                    {"name": "b", "keyword": "dLET", "filter": "s-first", "modifiers": []},
                    {
                        "name": "c",
                        "keyword": "Fluence",
                        "modifiers": [
                            {"diffType": "E", "lowerLimit": 0, "upperLimit": 60, "binsNumber": 30, "isLog": False}
                        ],
                    },
                ],
            },
            {
                "name": "a.plane",
                "detectorUuid": "d-plane",
                "trace": False,
                "quantities": [{"name": "a", "keyword": "Fluence", "filter": "s-deuterons"}],
            },
        ],
    },
    "beam": {
        "position": [0, 0, -0.5],
        "direction": [0, 0, 1],
        "energy": 60,
        "energySpread": 0.6,
        "energyUnit": "MeV",
        "energyLowCutoff": 0,
        "energyHighCutoff": 1000,
        "sigma": {"type": "Gaussian", "x": 0.2, "y": 0.3},
        "sad": {"type": "none", "x": 0, "y": 0},
        "divergence": {"distanceToFocal": 0, "x": 0, "y": 0},
        "particle": {"id": 2, "a": 1, "z": 1},
        "numberOfParticles": 500,
        "sourceType": "simple",
    },
    "physic": {
        "energyLoss": 0.02,
        "enableNuclearReactions": False,
        "energyModelStraggling": "Gaussian",
        "multipleScattering": "no scattering",
    },
}


def steps(path: str) -> list[str | int]:
    """Keys and places of a path such as `a.b[1].c`."""
    return [int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", path)]


def changed(path: str, value: object) -> dict[str, Any]:
    """The small project with another value at the path, or without it."""
    project = copy.deepcopy(PROJECT)
    *before, last = steps(path)
    owner: Any = project
    for step in before:
        owner = owner[step]
    if value is DELETED:
        del owner[last]
    else:
        owner[last] = value
    return project


def test_the_small_project_becomes_a_plan() -> None:
    converted = convert(PROJECT)
    assert set(converted) == {*REQUIRED_FILES, "names.json"}
    plan = read(converted)
    beam = plan.beam
    assert (plan.primaries, plan.seed) == (500, 89736501)
    assert (beam.energy, beam.spread, beam.energy_low, beam.energy_high) == (60.0, 0.6, 0.0, 1000.0)
    assert (beam.position, beam.theta, beam.phi) == ((0.0, 0.0, -0.5), 0.0, 0.0)
    assert (beam.shape, beam.size) == ("gaussian", (0.2, 0.3))
    assert (beam.straggling, beam.scattering, beam.nuclear, beam.step_loss) == (1, 0, False, 0.02)
    assert (plan.geometry.title, plan.geometry.water) == ("short water phantom", Cylinder(0.0, 0.0, 0.0, 6.0, 4.0))
    depth, plane = plan.detectors
    assert [(axis.name, axis.start, axis.stop, axis.bins) for axis in depth.axes] == [("R", 0, 4, 1), ("Z", 0, 6, 60)]
    assert [(axis.start, axis.stop, axis.bins) for axis in plane.axes] == [(-4, 4, 1), (-1, 3, 8), (0, 6, 12)]
    first = Filter("First_protons", (Condition("Z", "==", 1), Condition("GEN", "<", 1)))
    assert plan.filters == (first, Filter("Deuterons", (Condition("Z", "==", 1), Condition("A", "==", 2))))
    assert [(output.filename, output.detector) for output in plan.outputs] == [
        ("z_profile.bdo", depth),
        ("a.plane.bdo", plane),
    ]
    assert [(page.number, page.quantity, page.filter) for page in plan.outputs[0].pages] == [
        (0, "Dose", None),
        (1, "dLET", first),
    ]
    assert [sentence.partition(" is left out")[0] for sentence in plan.unsupported] == [
        "detect.dat:25: page 2 of z_profile.bdo ('Fluence')"
    ]


@pytest.mark.skipif(not EDITOR_PAYLOAD.exists(), reason="YAPTIDE's sample input is not here")
def test_the_sample_of_yaptide_gives_the_plan_of_its_native_files() -> None:
    converted = convert(json.loads(EDITOR_PAYLOAD.read_text())["input_json"])
    native = json.loads(PAYLOAD.read_text())["input_files"]
    assert read(converted) == read(native)
    for name in ("mat.dat", "detect.dat", "geo.dat"):
        assert [sorted(line) for line in words(converted[name])] == [sorted(line) for line in words(native[name])]
    assert [output.name for output in read(converted).outputs] == ["z_profile", "yz_profile", "entrance", "peak"]


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip()]


def test_estimators_have_the_names_of_the_outputs_by_file_name() -> None:
    estimators = run(read(convert(PROJECT)), 20, 1, lambda line: None, lambda done: None)
    assert [(estimator["name"], estimator["file_name"]) for estimator in estimators] == [
        ("z profile", "z_profile.bdo"),
        ("a.plane", "a.plane.bdo"),
    ]


def test_the_command_line_runs_a_converted_project(tmp_path: Path) -> None:
    for name, text in convert(PROJECT).items():
        (tmp_path / name).write_text(text)
    output = tmp_path / "result.json"
    assert main(["--input", str(tmp_path), "--output", str(output), "--primaries", "20", "--task", "1"]) == 0
    estimators = json.loads(output.read_text())["estimators"]
    assert [estimator["name"] for estimator in estimators] == ["z profile", "a.plane"]
    assert [page["metadata"]["title"] for page in estimators[0]["pages"]] == ["a", "b"]
    assert sum(estimators[0]["pages"][0]["data"]["values"]) > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[" * 200_000, "not JSON"),
        ("[]", "an object"),
        ('{"other.bdo": "x"}', "'other.bdo' is not a Filename"),
        ('{"depth.bdo": 1}', "must be one line"),
        ('{"depth.bdo": ""}', "must be one line"),
        ('{"depth.bdo": "a\\nb"}', "must be one line"),
        ('{"depth.bdo": {"name": "a"}}', "must be one line"),
        ('{"depth.bdo": {"name": "a", "quantities": [1]}}', "must be one line"),
        ('{"depth.bdo": {"name": "a", "quantities": [""]}}', "must be one line"),
        ("\x00", "control character"),
    ],
)
def test_wrong_names_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(files() | {"names.json": text})
    assert caught.value.file == "names.json"


def test_names_stand_for_the_files_they_are_given_for() -> None:
    plan = read(files() | {"names.json": '{"plane.bdo": "Seen from aside"}'})
    assert [output.name for output in plan.outputs] == ["depth_", "Seen from aside"]
    assert plan == read(files())


@pytest.mark.parametrize(
    ("direction", "theta", "phi"),
    [
        ([0, 0, -2], 180, 0),
        ([3, 0, 0], 90, 0),
        ([0, -1, 0], 90, 270),
        ([1, 1, math.sqrt(2)], 45, 45),
        ([-0.0, 0, 1], 0, 0),
    ],
)
def test_directions_become_angles(direction: list[float], theta: float, phi: float) -> None:
    beam = read(convert(changed("beam.direction", direction))).beam
    assert beam.theta == pytest.approx(theta)
    assert beam.phi == pytest.approx(phi)


@pytest.mark.parametrize(
    ("sigma", "shape", "size"),
    [
        ({"type": "Gaussian", "x": 0, "y": 0.5}, "gaussian", (0.0, 0.5)),
        ({"type": "Flat square", "x": 1, "y": 2}, "square", (1.0, 2.0)),
        ({"type": "Flat circular", "x": 7, "y": 2}, "circle", (2.0, 0.0)),
    ],
)
def test_beams_have_the_shape_of_the_editor(sigma: object, shape: str, size: tuple[float, float]) -> None:
    beam = read(convert(changed("beam.sigma", sigma))).beam
    assert (beam.shape, beam.size) == (shape, size)


def test_a_world_of_vacuum_gets_a_black_body_around() -> None:
    rows = words(convert(changed("zoneManager.worldZone.materialUuid", "m-none"))["geo.dat"])
    assert rows[7:9] == [["RCC", "4", "0.0", "0.0", "-3.0", "0.0", "0.0", "12.0"], ["7.0"]]
    assert rows[-6:] == [["002", "+2", "-1"], ["003", "+3", "-1", "-2"], ["004", "+4", "-3"], ["END"], *rows[-2:]]
    assert rows[-2:] == [["1", "2", "3", "4"], ["1", "1000", "1000", "0"]]


def test_a_world_around_an_intersection_has_several_parts() -> None:
    project = changed("zoneManager.zones[1].unionOperations[0][1].mode", "intersection")
    project["beam"]["position"] = [0, 0, 0]
    rows = words(convert(project)["geo.dat"])
    assert ["003", "+3", "-1", "-2"] in rows
    assert ["004", "+3", "-1"] in rows


def test_what_may_be_absent_may_be_absent() -> None:
    project = copy.deepcopy(PROJECT)
    for key in ("project", "specialComponentsManager", "physic"):
        del project[key]
    for key in ("energyUnit", "energyLowCutoff", "energyHighCutoff", "sad", "divergence", "sourceType"):
        del project["beam"][key]
    project["zoneManager"]["worldZone"] = None
    plan = read(convert(project))
    assert plan.geometry.title == "Unnamed geometry"
    assert (plan.beam.straggling, plan.beam.scattering, plan.beam.nuclear, plan.beam.step_loss) == (2, 2, True, 0.03)
    assert plan.beam.energy_high == math.inf


FIGURE = "figureManager.figures[1].geometryData"
ZONE = "zoneManager.zones[1]"
WORLD = "zoneManager.worldZone"
DETECTOR = "detectorManager.detectors[0].geometryData"
FILTER = "scoringManager.filters[0]"
OUTPUT = "scoringManager.outputs[0]"
OPERATION = {"mode": "union", "objectUuid": "f-hall"}
DIFFERENTIAL = f"{OUTPUT}.quantities[2].modifiers[0]"

WRONG: list[tuple[str, object, str, str]] = [
    ("beam", DELETED, "beam", "is missing"),
    ("beam", [], "beam", "found a list; allowed is an object"),
    ("beam.particle.id", 25, "beam.particle.id", "found 25; allowed is 2"),
    ("beam.particle.id", DELETED, "beam.particle.id", "is missing"),
    ("beam.particle.a", 12, "beam.particle.a", "allowed is 1"),
    ("beam.energy", "60", "beam.energy", "found '60'; allowed is a number from 1 to 300"),
    ("beam.energy", True, "beam.energy", "found true"),
    ("beam.energy", 1000, "beam.energy", "found 1000; allowed are numbers from 1 to 300"),
    ("beam.energy", -60, "beam.energy", "found -60"),
    ("beam.energy", math.nan, "beam.energy", "found nan"),
    ("beam.energy", math.inf, "beam.energy", "found inf"),
    ("beam.energy", 10**5000, "beam.energy", "more than 18 digits"),
    ("beam.energySpread", 61, "beam.energySpread", "from 0 to 60"),
    ("beam.energyUnit", "GeV", "beam.energyUnit", "allowed are MeV, MeV/nucl"),
    ("beam.energyLowCutoff", 61, "beam.energyLowCutoff", "up to the energy"),
    ("beam.energyHighCutoff", 59, "beam.energyHighCutoff", "from the energy"),
    ("beam.numberOfParticles", 0, "beam.numberOfParticles", "from 1 to 1000000000"),
    ("beam.numberOfParticles", 1.5, "beam.numberOfParticles", "whole numbers"),
    ("beam.numberOfParticles", DELETED, "beam.numberOfParticles", "is missing"),
    ("beam.position", [0, 0], "beam.position", "three numbers"),
    ("beam.position", [0, 0, None], "beam.position[2]", "found null"),
    ("beam.position", [0, 0, -9], "beam.position", "outside the water and the vacuum"),
    ("beam.direction", [0, 0, 0], "beam.direction", "points somewhere"),
    ("beam.sigma", DELETED, "beam.sigma", "is missing"),
    ("beam.sigma.type", "Flat", "beam.sigma.type", "allowed are Gaussian, Flat square, Flat circular"),
    ("beam.sigma.x", -1, "beam.sigma.x", "found -1"),
    ("beam.sigma", {"type": "Flat square", "x": 0, "y": 1}, "beam.sigma.x", "found 0"),
    ("beam.sad.type", "double", "beam.sad.type", "allowed is none"),
    ("beam.divergence.x", 1, "beam.divergence.x", "parallel beam"),
    ("beam.sourceType", "file", "beam.sourceType", "found 'file'; allowed is simple"),
    ("physic.energyLoss", 0.9, "physic.energyLoss", "from 1e-06 to 0.5"),
    ("physic.energyModelStraggling", "Landau", "physic.energyModelStraggling", "no straggling, Gaussian, Vavilov"),
    ("physic.multipleScattering", 2, "physic.multipleScattering", "no scattering, Gaussian, Moliere"),
    ("physic.enableNuclearReactions", 1, "physic.enableNuclearReactions", "true and false"),
    ("specialComponentsManager.CTCube", {"x": 1}, "specialComponentsManager.CTCube", "allowed are none"),
    ("specialComponentsManager.modulator", {}, "specialComponentsManager.modulator", "allowed are none"),
    ("specialComponentsManager.a\n", {}, "specialComponentsManager", r"found the special component 'a\n'"),
    ("project.title", "a\nRCC 9", "project.title", "one line"),
    ("project.title", "\ud800", "project.title", "printable"),
    ("figureManager", DELETED, "figureManager", "is missing"),
    ("figureManager.figures", [{}] * 101, "figureManager.figures", "at most 100"),
    (f"{FIGURE}.geometryType", "BoxGeometry", f"{FIGURE}.geometryType", "allowed are HollowCylinderGeometry"),
    (f"{FIGURE}.geometryType", [["x"]], f"{FIGURE}.geometryType", "found a list"),
    (f"{FIGURE}.rotation", [0, 90, 0], f"{FIGURE}.rotation", "found a rotation"),
    (f"{FIGURE}.parameters.radius", 0, f"{FIGURE}.parameters.radius", "found 0"),
    (f"{FIGURE}.parameters.depth", -8, f"{FIGURE}.parameters.depth", "found -8"),
    (f"{FIGURE}.parameters.innerRadius", 1, f"{FIGURE}.parameters.innerRadius", "a full cylinder"),
    (f"{FIGURE}.position", [0, 0, -9999], "figureManager.figures[1]", "outside the allowed range"),
    ("figureManager.figures[1].uuid", "f-phantom", "figureManager.figures[1].uuid", "figures[0] has too"),
    ("materialManager.materials[0].icru", 104, "materialManager.materials[0].icru", "found 104; allowed are 276"),
    ("materialManager.materials", {}, "materialManager.materials", "allowed is a list"),
    ("zoneManager.zones", [], "zoneManager.zones", "no zone of liquid water"),
    (f"{ZONE}.materialUuid", "m-water", f"{ZONE}.materialUuid", "a second zone of water"),
    (f"{ZONE}.materialUuid", "m-lead", f"{ZONE}.materialUuid", "uuid of an element of materialManager.materials"),
    (f"{ZONE}.materialPropertiesOverrides", {"density": 2}, f"{ZONE}.materialPropertiesOverrides", "changed material"),
    (f"{ZONE}.customMaterial", {"icru": 276}, f"{ZONE}.customMaterial", "changed material"),
    (f"{ZONE}.unionOperations", [], f"{ZONE}.unionOperations", "found no operation"),
    (f"{ZONE}.unionOperations[0][0].mode", "subtraction", f"{ZONE}.unionOperations[0][0].mode", "a union first"),
    (f"{ZONE}.unionOperations[0][1].mode", "union", f"{ZONE}.unionOperations[0][1].mode", "second union (OR)"),
    (f"{ZONE}.unionOperations[0][1].mode", "xor", f"{ZONE}.unionOperations[0][1].mode", "found 'xor'"),
    (f"{ZONE}.unionOperations[0][1].objectUuid", "?", f"{ZONE}.unionOperations[0][1].objectUuid", "figures"),
    (
        f"{ZONE}.unionOperations[0]",
        [OPERATION, *[OPERATION | {"mode": "subtraction"}] * 100],
        f"{ZONE}.unionOperations[0]",
        "at most 100",
    ),
    (
        "zoneManager.zones[0].unionOperations[0]",
        [OPERATION, OPERATION | {"mode": "subtraction"}],
        "zoneManager.zones[0].unionOperations",
        "one whole cylinder",
    ),
    (f"{WORLD}.materialUuid", "m-water", f"{WORLD}.materialUuid", "vacuum and the black body"),
    (f"{WORLD}.geometryData.geometryType", "SphereGeometry", f"{WORLD}.geometryData.geometryType", "Cylinder"),
    (f"{DETECTOR}.geometryType", "Zone", f"{DETECTOR}.geometryType", "found 'Zone'; allowed are Cyl, Mesh"),
    (f"{DETECTOR}.rotation", [0, 0, 1], f"{DETECTOR}.rotation", "found a rotation"),
    (f"{DETECTOR}.position", [1, 0, 3], f"{DETECTOR}.position", "around the z axis"),
    (f"{DETECTOR}.parameters.innerRadius", 4, f"{DETECTOR}.parameters.radius", "greater than the inner radius"),
    (f"{DETECTOR}.parameters.zSegments", 0, f"{DETECTOR}.parameters.zSegments", "found 0"),
    (f"{DETECTOR}.parameters.depth", 1e9, f"{DETECTOR}.parameters.depth", "found 1000000000.0"),
    ("detectorManager.detectors[1].name", "Depth", "detectorManager.detectors[1].name", "given twice"),
    ("detectorManager.detectors[1].geometryData.parameters.xSegments", 2, "detectorManager.detectors[1]", "two axes"),
    (f"{FILTER}.rules[0].keyword", "E", f"{FILTER}.rules[0].keyword", "allowed are Z, A, GEN"),
    (f"{FILTER}.rules[0].operator", "==\n A", f"{FILTER}.rules[0].operator", r"found '==\n A'; allowed are ==, !="),
    (f"{FILTER}.rules[0].value", 0.5, f"{FILTER}.rules[0].value", "whole numbers"),
    (f"{FILTER}.rules", DELETED, f"{FILTER}.rules", "is missing"),
    ("scoringManager.filters[1].particle.id", 25, "scoringManager.filters[1].particle.id", "found 25; allowed are 1, 2"),
    ("scoringManager.outputs", [], "scoringManager.outputs", "section Output is missing"),
    (f"{OUTPUT}.name", DELETED, f"{OUTPUT}.name", "is missing"),
    (f"{OUTPUT}.name", "a.plane", "scoringManager.outputs[1].name", "a.plane.bdo already"),
    (f"{OUTPUT}.trace", True, f"{OUTPUT}.trace", "allowed is false"),
    (f"{OUTPUT}.fileFormat", "txt", f"{OUTPUT}.fileFormat", "allowed is none"),
    (f"{OUTPUT}.detectorUuid", DELETED, f"{OUTPUT}.detectorUuid", "is missing"),
    (f"{OUTPUT}.detectorUuid", "d-none", f"{OUTPUT}.detectorUuid", "detectorManager.detectors"),
    (f"{OUTPUT}.quantities", [], f"{OUTPUT}.quantities", "found no quantity"),
    (f"{OUTPUT}.quantities[0].keyword", "DoseGy", f"{OUTPUT}.quantities[0].keyword", "allowed are Dose, Fluence"),
    (f"{OUTPUT}.quantities[0].rescale", 2, f"{OUTPUT}.quantities[0].rescale", "without settings"),
    (f"{OUTPUT}.quantities[1].filter", "s-none", f"{OUTPUT}.quantities[1].filter", "scoringManager.filters"),
    (f"{OUTPUT}.quantities[2].modifiers", [{}] * 3, f"{OUTPUT}.quantities[2].modifiers", "at most 2"),
    (f"{DIFFERENTIAL}.diffType", "E F", f"{DIFFERENTIAL}.diffType", "allowed are ANGLE"),
    (f"{DIFFERENTIAL}.upperLimit", 0, f"{DIFFERENTIAL}.upperLimit", "greater than the lower limit"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "where", "message"), WRONG, ids=[f"{row[0]}-{row[3]}" for row in WRONG])
def test_what_the_program_cannot_express_is_refused_with_its_path(
    path: str, value: object, where: str, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        convert(changed(path, value))
    assert (caught.value.file, caught.value.line) == (where, None)
    assert message in caught.value.message
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["", " ", "a\nOutput", "a'b", 'a"b', "a;b", "$(a)", "../a", "a/b", "a!", "#a", "-a", "a ", "a\u2028b", "x" * 97, "ą", 5, None, ["a"]])  # fmt: skip
@pytest.mark.parametrize("path", [f"{OUTPUT}.name", f"{FILTER}.name", "detectorManager.detectors[0].name"])
def test_names_that_could_be_more_than_a_word_are_refused(path: str, name: object) -> None:
    with pytest.raises(InputError) as caught:
        convert(changed(path, name))
    assert caught.value.file == path


@pytest.mark.parametrize("project", [None, 1, "beam", [], math.nan, object()])
def test_what_is_no_object_is_refused(project: object) -> None:
    with pytest.raises(InputError, match=r"^\$: found .*; allowed is an object$"):
        convert(project)


def deep(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = {"x": [value]}
    return value


@pytest.mark.parametrize("path", ["beam.energy", "beam.position", f"{OUTPUT}.name", f"{ZONE}.unionOperations"])
def test_deep_nesting_is_refused(path: str) -> None:
    with pytest.raises(InputError) as caught:
        convert(changed(path, [deep(50_000)]))
    assert caught.value.file.startswith(path)


def test_zones_that_cut_the_world_into_too_many_parts_are_refused() -> None:
    project = copy.deepcopy(PROJECT)
    figures, zones = project["figureManager"]["figures"], project["zoneManager"]["zones"]
    for number in range(40):
        figures.append({"uuid": f"f{number}", "geometryData": cylinder(1, 1, 1)})
    for number in range(0, 40, 2):
        both = [{"mode": mode, "objectUuid": f"f{number + k}"} for k, mode in enumerate(("union", "intersection"))]
        zones.append({"uuid": f"z{number}", "materialUuid": "m-none", "unionOperations": [both]})
    with pytest.raises(InputError, match="more than 100 parts") as caught:
        convert(project)
    assert caught.value.file == WORLD


def places(value: Any, path: str = "") -> Iterator[str]:
    """Paths of all values within a value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in pairs:
        below = f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}".lstrip(".")
        yield below
        yield from places(child, below)


JUNK = st.one_of(
    st.sampled_from([None, True, [], {}, "", "a b", "m-water", "f-hall", "union", "subtraction", 10**400, -1, 0, 1, 1e-9]),
    st.floats(),
    st.integers(),
    st.text(max_size=300),
    st.text("Zone: \n\r\t!'\"*#=", max_size=20),
    st.recursive(st.none() | st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=4), max_leaves=8),
    st.just(DELETED),
    st.sampled_from(list(places(PROJECT))),
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(list(places(PROJECT))), JUNK, st.integers(1, 120)), min_size=1, max_size=4))
def test_any_change_is_converted_or_refused(changes: list[tuple[str, object, int]]) -> None:
    project = copy.deepcopy(PROJECT)
    for path, value, times in changes:
        owner: Any = project
        *before, last = steps(path)
        try:
            for step in before:
                owner = owner[step]
            if value is DELETED:
                del owner[last]
            elif isinstance(value, str) and value in places(PROJECT):
                owner[last] = [copy.deepcopy(owner[last])] * times
            else:
                owner[last] = value
        except (LookupError, TypeError, AttributeError):
            continue
    try:
        converted = convert(project)
    except InputError as error:
        refused = error
    else:
        check(project, converted)
        return
    assert refused.file
    assert refused.line is None
    assert str(refused).isprintable()


def check(project: dict[str, Any], converted: dict[str, str]) -> None:
    """The files hold what the project has, under its names, and nothing more."""
    plan = read(converted)
    heads = [line for line in converted["detect.dat"].splitlines() if line[:1].strip()]
    assert len(heads) == len(plan.detectors) + len(plan.filters) + len(plan.outputs)
    assert [output.name for output in plan.outputs] == [
        output["name"] for output in project["scoringManager"]["outputs"]
    ]
