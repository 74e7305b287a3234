"""What of the editor's projects is refused, with its path in the JSON; and what refuses nothing."""

import copy
import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.programs import built_in
from jobs.programs.editor.conversion import convert
from jobs.programs.plan import InputError
from jobs.programs.program import EDITOR
from jobs.programs.proton_beam.simulation import run
from jobs.programs.shieldhit.native import read
from tests.support.editor import BASE, DELETED, PROJECT, changed, cylinder, figure, steps, zone

FIGURE = "figureManager.figures[1].geometryData"
ZONE = "zoneManager.zones[1]"
DETECTOR = "detectorManager.detectors[0].geometryData"
FILTER = "scoringManager.filters[0]"
OUTPUT = "scoringManager.outputs[0]"
DIFFERENTIAL = f"{OUTPUT}.quantities[2].modifiers[0]"
OPERATION = {"mode": "union", "objectUuid": "f-hall"}

WRONG: list[tuple[str, object, str, str]] = [
    ("beam", DELETED, "beam", "is missing"),
    ("beam", [], "beam", "found a list; allowed is an object"),
    ("beam.particle.id", 27, "beam.particle.id", "found 27; allowed are 1, 2"),
    ("beam.particle.id", DELETED, "beam.particle.id", "is missing"),
    ("beam.particle", {"id": 25}, "beam.particle.a", "is missing"),
    ("beam.particle", {"id": 25, "a": 4, "z": 6}, "beam.particle.z", "up to the mass number"),
    ("beam.energy", "60", "beam.energy", "found '60'; allowed is a number"),
    ("beam.energy", True, "beam.energy", "found true"),
    ("beam.energy", -60, "beam.energy", "found -60"),
    ("beam.energy", math.nan, "beam.energy", "found nan"),
    ("beam.energy", math.inf, "beam.energy", "found inf"),
    ("beam.energy", 10**5000, "beam.energy", "more than 18 digits"),
    ("beam.energySpread", 61, "beam.energySpread", "from 0 to 60"),
    ("beam.energyLowCutoff", 61, "beam.energyLowCutoff", "does not include the energy"),
    ("beam.energyHighCutoff", 59, "beam.energyHighCutoff", "does not include the energy"),
    ("beam.energyHighCutoff", 0, "beam.energyHighCutoff", "greater than the lower cut"),
    ("beam.energyUnit", "GeV", "beam.energyUnit", "allowed are MeV, MeV/nucl"),
    ("beam.numberOfParticles", 0, "beam.numberOfParticles", "from 1 to 1000000000"),
    ("beam.numberOfParticles", 1.5, "beam.numberOfParticles", "whole numbers"),
    ("beam.numberOfParticles", DELETED, "beam.numberOfParticles", "is missing"),
    ("beam.position", [0, 0], "beam.position", "three numbers"),
    ("beam.position", [0, 0, None], "beam.position[2]", "found null"),
    ("beam.direction", [0, 0, 0], "beam.direction", "points somewhere"),
    ("beam.sigma", DELETED, "beam.sigma", "is missing"),
    ("beam.sigma.type", "Flat", "beam.sigma.type", "allowed are Gaussian, Flat square, Flat circular"),
    ("beam.sad.type", "triple", "beam.sad.type", "allowed are none, single, double"),
    ("beam.divergence.x", 1, "beam.divergence.x", "parallel beam"),
    ("beam.sourceType", "file", "beam.sourceFile", "is missing"),
    ("physic.energyLoss", 0.9, "physic.energyLoss", "from 1e-06 to 0.5"),
    ("physic.energyModelStraggling", "Landau", "physic.energyModelStraggling", "no straggling, Gaussian, Vavilov"),
    ("physic.multipleScattering", 2, "physic.multipleScattering", "no scattering, Gaussian, Moliere"),
    ("physic.enableNuclearReactions", 1, "physic.enableNuclearReactions", "true and false"),
    ("project.title", "a\nRCC 9", "project.title", "one line"),
    ("project.title", "\ud800", "project.title", "printable"),
    ("project.simulator", "geant4", "project.simulator", "found 'geant4'"),
    ("figureManager", DELETED, "figureManager", "is missing"),
    ("figureManager.figures", [{}] * 1001, "figureManager.figures", "at most 1000"),
    (f"{FIGURE}.geometryType", "ConeGeometry", f"{FIGURE}.geometryType", "allowed are BoxGeometry"),
    (f"{FIGURE}.geometryType", [["x"]], f"{FIGURE}.geometryType", "found a list"),
    (f"{FIGURE}.rotation", [0, 90], f"{FIGURE}.rotation", "three numbers"),
    (f"{FIGURE}.parameters.radius", 0, f"{FIGURE}.parameters.radius", "found 0"),
    (f"{FIGURE}.parameters.depth", -8, f"{FIGURE}.parameters.depth", "found -8"),
    ("figureManager.figures[1].uuid", "f-phantom", "zoneManager.zones[0].unionOperations[0][0].objectUuid", "several elements of"),
    ("materialManager.materials[0].uuid", "m-water", "zoneManager.zones[0].materialUuid", "several elements of"),
    ("detectorManager.detectors[1].uuid", "d-depth", f"{OUTPUT}.detectorUuid", "several elements of"),
    ("scoringManager.filters[1].uuid", "s-first", f"{OUTPUT}.quantities[1].filter", "several elements of"),
    (f"{OUTPUT}.detectorUuid", "", f"{OUTPUT}.detectorUuid", "found ''"),
    (f"{FILTER}.rules", [], f"{FILTER}.rules", "found no rule"),
    (f"{OUTPUT}.quantities[0].primaries", -5, f"{OUTPUT}.quantities[0].primaries", "found -5"),
    ("materialManager.materials[0].icru", 1001, "materialManager.materials[0].icru", "found 1001"),
    ("materialManager.materials[1].density", 0, "materialManager.materials[1].density", "found 0"),
    ("materialManager.materials", {}, "materialManager.materials", "allowed is a list"),
    (f"{ZONE}.materialUuid", "m-lead", f"{ZONE}.materialUuid", "uuid of an element of materialManager.materials"),
    ("zoneManager.zones[0].materialPropertiesOverrides", {"density": -2}, "zoneManager.zones[0].materialPropertiesOverrides.density", "found -2"),
    (f"{ZONE}.unionOperations", [], f"{ZONE}.unionOperations", "found no operation"),
    (f"{ZONE}.unionOperations", [[OPERATION, {**OPERATION, "mode": "subtraction"}]], f"{ZONE}.unionOperations", "no point lies in"),
    (f"{ZONE}.unionOperations[0][0].mode", "subtraction", f"{ZONE}.unionOperations[0][0].mode", "begins with a union"),
    (f"{ZONE}.unionOperations[0][1].mode", "reverse-subtraction", f"{ZONE}.unionOperations[0][1].mode", "found 'rev"),
    (f"{ZONE}.unionOperations[0][1].objectUuid", "?", f"{ZONE}.unionOperations[0][1].objectUuid", "figures"),
    (f"{ZONE}.unionOperations[0]", [OPERATION] * 1001, f"{ZONE}.unionOperations[0]", "at most 1000"),
    (f"{DETECTOR}.geometryType", "Cone", f"{DETECTOR}.geometryType", "allowed are Mesh, Cyl, Zone, All"),
    (f"{DETECTOR}.rotation", [0, 0, 1], f"{DETECTOR}.rotation", "found a rotation"),
    (f"{DETECTOR}.position", [1, 0, 3], f"{DETECTOR}.position", "around the z axis"),
    (f"{DETECTOR}.parameters.innerRadius", 4, f"{DETECTOR}.parameters.radius", "greater than the inner radius"),
    (f"{DETECTOR}.parameters.zSegments", 0, f"{DETECTOR}.parameters.zSegments", "found 0"),
    (f"{DETECTOR}.parameters.depth", 1e9, f"{DETECTOR}.parameters.depth", "found 1000000000.0"),
    (f"{FILTER}.rules[0].keyword", "F", f"{FILTER}.rules[0].keyword", "allowed are A, Z, GEN"),
    (f"{FILTER}.rules[0].operator", "==\n A", f"{FILTER}.rules[0].operator", r"found '==\n A'; allowed are ==, !="),
    (f"{FILTER}.rules[0].value", 0.5, f"{FILTER}.rules[0].value", "whole numbers"),
    (f"{FILTER}.rules", DELETED, f"{FILTER}.rules", "is missing"),
    (f"{OUTPUT}.name", DELETED, f"{OUTPUT}.name", "is missing"),
    (f"{OUTPUT}.name", "a\nOutput", f"{OUTPUT}.name", "one line"),
    (f"{OUTPUT}.name", "x" * 101, f"{OUTPUT}.name", "1 to 100"),
    (f"{OUTPUT}.trace", True, f"{OUTPUT}.trace", "allowed is false"),
    (f"{OUTPUT}.fileFormat", "txt", f"{OUTPUT}.fileFormat", "allowed is none"),
    (f"{OUTPUT}.detectorUuid", DELETED, f"{OUTPUT}.detectorUuid", "is missing"),
    (f"{OUTPUT}.detectorUuid", "d-none", f"{OUTPUT}.detectorUuid", "detectorManager.detectors"),
    (f"{OUTPUT}.scoringType", "ZONE", f"{OUTPUT}.zoneUuid", "is missing"),
    (f"{OUTPUT}.quantities", [], f"{OUTPUT}.quantities", "found no quantity"),
    (f"{OUTPUT}.quantities[0].keyword", "Kerma", f"{OUTPUT}.quantities[0].keyword", "allowed are Dose, DoseGy"),
    (f"{OUTPUT}.quantities[1].filter", "s-none", f"{OUTPUT}.quantities[1].filter", "scoringManager.filters"),
    (f"{OUTPUT}.quantities[2].modifiers", [{}] * 3, f"{OUTPUT}.quantities[2].modifiers", "at most 2"),
    (f"{DIFFERENTIAL}.diffType", "E F", f"{DIFFERENTIAL}.diffType", "allowed are ANGLE"),
    (f"{DIFFERENTIAL}.upperLimit", 0, f"{DIFFERENTIAL}.upperLimit", "greater than the lower limit"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "where", "message"), WRONG, ids=[f"{row[0]}-{row[3]}" for row in WRONG])
def test_what_is_wrong_is_refused_with_its_path(path: str, value: object, where: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        convert(changed({path: value}, PROJECT))
    assert (caught.value.file, caught.value.line) == (where, None)
    assert message in caught.value.message
    assert str(caught.value).isprintable()


def test_a_zone_that_shares_its_uuid_can_not_be_scored() -> None:
    by_zone = {f"{OUTPUT}.scoringType": "ZONE", f"{OUTPUT}.zoneUuid": "z-phantom"}
    assert convert(changed(by_zone, PROJECT)).files
    for uuid in ("z-phantom", ""):
        same = {**by_zone, f"{OUTPUT}.zoneUuid": uuid, "zoneManager.zones[0].uuid": uuid, f"{ZONE}.uuid": uuid}
        with pytest.raises(InputError) as caught:
            convert(changed(same, PROJECT))
        assert caught.value.file == f"{OUTPUT}.zoneUuid"
    assert convert(changed({f"{ZONE}.uuid": "z-phantom"}, PROJECT)).files


BUILT_IN: list[tuple[str, object, str, str]] = [
    ("beam.particle.id", 24, "beam.particle.id", "allowed is 2"),
    ("beam.energy", 1000, "beam.energy", "outside the allowed range 1 to 300"),
    ("beam.position", [0, 0, -9], "beam.position", "outside the water and the vacuum"),
    ("beam.sad.type", "double", "beam.sad", "BEAMSAD"),
    ("materialManager.materials[1].icru", 104, "materialManager.materials[1]", "ICRU material 104; allowed is 276"),
    ("materialManager.materials[1].density", 2, "materialManager.materials[1]", "RHO 2; allowed is 1"),
    (f"{FIGURE}.geometryType", "SphereGeometry", "figureManager.figures[1]", "body 'SPH' is not supported"),
    (f"{FIGURE}.rotation", [90, 0, 0], "figureManager.figures[1]", "not a cylinder along +z"),
    (f"{ZONE}.materialUuid", "m-water", ZONE, "2 zones are filled with water"),
    (f"{OUTPUT}.quantities", [{"keyword": "DoseGy"}], f"{OUTPUT}.quantities[0].keyword", "would have no page"),
    ("scoringManager.outputs", [], "scoringManager.outputs", "section Output is missing"),
]


@pytest.mark.parametrize(
    ("path", "value", "where", "message"), BUILT_IN, ids=[f"{row[0]}-{row[3]}" for row in BUILT_IN]
)
def test_what_the_built_in_program_can_not_do_is_its_own_refusal(
    path: str, value: object, where: str, message: str
) -> None:
    project = changed({path: value}, PROJECT)
    assert convert(project).files
    with pytest.raises(InputError) as caught:
        built_in().accept(EDITOR, project)
    assert (caught.value.file, caught.value.line) == (where, None)
    assert message in caught.value.message


def test_the_built_in_program_runs_a_project() -> None:
    files, primaries = built_in().accept(EDITOR, PROJECT)
    assert primaries == 500
    estimators = run(read(files), 20, 1, lambda line: None, lambda done: None)
    assert [(each["name"], each["file_name"]) for each in estimators] == [
        ("z profile", "z_profile.bdo"),
        ("a.plane", "a.plane.bdo"),
    ]


UNUSED: list[tuple[str, object]] = [
    ("figureManager.figures", {"uuid": "x", "geometryData": {"geometryType": "ConeGeometry"}}),
    ("figureManager.figures", {"uuid": "x", "geometryData": cylinder(-1, 2, 3)}),
    ("materialManager.materials", {"uuid": "x", "name": "new", "icru": 5000}),
    ("detectorManager.detectors", {"uuid": "x", "name": "x", "geometryData": {"geometryType": "Zone", "parameters": {}}}),
    ("detectorManager.detectors", {"uuid": "x", "name": "", "geometryData": {}}),
    ("scoringManager.filters", {"uuid": "x", "name": "x", "filterType": "charged", "data": {}}),
    ("scoringManager.filters", {"uuid": "x", "name": "x", "particle": {"id": 25}}),
    ("scoringManager.filters", 5),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), UNUSED)
def test_what_nothing_uses_refuses_nothing(path: str, value: object) -> None:
    project = copy.deepcopy(PROJECT)
    manager, key = path.split(".")
    project[manager][key].insert(0, value)
    assert convert(project).files == convert(PROJECT).files
    assert built_in().accept(EDITOR, project)


def test_what_the_built_in_program_can_not_do_and_does_not_use_refuses_nothing() -> None:
    project = copy.deepcopy(PROJECT)
    lead = {"uuid": "m-lead", "name": "LEAD", "icru": 82, "density": 11.35}
    everywhere = {"uuid": "d-all", "name": "All", "geometryData": {"geometryType": "All"}}
    fast = {"uuid": "s-fast", "name": "Fast", "rules": [{"keyword": "E", "operator": ">", "value": 5}]}
    project["materialManager"]["materials"].append(lead)
    project["detectorManager"]["detectors"].append(everywhere)
    project["scoringManager"]["filters"].append(fast)
    assert "ICRU 82" in convert(project).files["mat.dat"]
    assert built_in().accept(EDITOR, project)


@pytest.mark.parametrize("version", ["0.10", "0.11", "0.12", 1, 1.0, "1", "1.2"])
def test_versions_of_the_format_are_told_by_their_parts(version: object) -> None:
    assert convert(changed({"metadata.version": version})).files == convert(BASE).files


@pytest.mark.parametrize("version", [0.9, "0.9", 0.1, "0.13", "2", "new", [], "0.12; x"])
def test_other_versions_are_refused(version: object) -> None:
    with pytest.raises(InputError, match=r"^metadata\.version: found .*; allowed are 0\.10 to 0\.12, and 1$"):
        convert(changed({"metadata.version": version}))


def test_a_file_of_results_holds_its_project() -> None:
    for wrapped, path in (({"input": {"inputJson": BASE}}, "input.inputJson"), ({"input_json": BASE}, "input_json")):
        assert convert(wrapped).files == convert(BASE).files
        broken = changed({f"{path}.beam.energy": None}, wrapped)
        with pytest.raises(InputError) as caught:
            convert(broken)
        assert caught.value.file == f"{path}.beam.energy"


@pytest.mark.parametrize("project", [None, 1, "beam", [], math.nan, object()])
def test_what_is_no_object_is_refused(project: object) -> None:
    with pytest.raises(InputError, match=r"^\$: found .*; allowed is an object$"):
        convert(project)


@pytest.mark.parametrize("format", ["shieldhit", "fluka"])
def test_zones_that_cut_the_world_into_too_many_parts_are_refused(format: str) -> None:
    shapes = [figure(f"S{n}", "Sphere", [0, 0, n / 100], radius=1) for n in range(40)]
    zones = [zone(f"Z{n}", "W", f"S{n} &S{n + 1}") for n in range(0, 40, 2)]
    with pytest.raises(InputError, match="parts around the zones") as caught:
        convert(changed({"figureManager.figures": shapes, "zoneManager.zones": zones}), format)
    assert caught.value.file == "zoneManager.worldZone"


@pytest.mark.parametrize("format", ["shieldhit", "fluka"])
def test_zones_of_too_many_terms_are_refused(format: str) -> None:
    shapes = [figure(f"S{n}", "Sphere", [0, 0, n / 100], radius=1) for n in range(200)]
    row = " ".join(["S0", *(f"|S{n}" for n in range(1, 100)), *(f"-S{n}" for n in range(100, 200))])
    with pytest.raises(InputError, match="more than 2000 terms") as caught:
        convert(changed({"figureManager.figures": shapes, "zoneManager.zones": [zone("Z0", "W", row)]}), format)
    assert caught.value.file == "zoneManager.zones[0].unionOperations[0]"


def deep(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = {"x": [value]}
    return value


@pytest.mark.parametrize("path", ["beam.energy", "beam.position", f"{OUTPUT}.name", f"{ZONE}.unionOperations"])
def test_deep_nesting_is_refused(path: str) -> None:
    with pytest.raises(InputError) as caught:
        convert(changed({path: [deep(20_000)]}, PROJECT))
    assert caught.value.file.startswith(path)


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
)  # fmt: skip


@pytest.mark.parametrize("format", ["shieldhit", "fluka"])
@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(list(places(PROJECT))), JUNK), min_size=1, max_size=4))
def test_any_change_is_converted_or_refused(format: str, changes: list[tuple[str, object]]) -> None:
    project = copy.deepcopy(PROJECT)
    for path, value in changes:
        owner: Any = project
        *before, last = steps(path)
        try:
            for step in before:
                owner = owner[step]
            if value is DELETED:
                del owner[last]
            else:
                owner[last] = value
        except (LookupError, TypeError, AttributeError):
            continue
    try:
        converted = convert(project, format)
    except InputError as error:
        refused = error
    else:
        assert all("\0" not in text and text.endswith("\n") for text in converted.files.values())
        return
    assert refused.file
    assert refused.line is None
    assert str(refused).isprintable()
