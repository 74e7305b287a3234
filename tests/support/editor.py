"""Projects of YAPTIDE's editor: a small water phantom for the built-in program, and the smallest that all targets take."""

import copy
import re
from typing import Any

DELETED: Any = object()
"""For `changed`: take the value away."""


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


def figure(
    uuid: str, kind: str, position: list[float], rotation: list[float] | None = None, **sizes: float
) -> dict[str, Any]:
    """A figure: `kind` is Box, HollowCylinder or Sphere."""
    geometry = {"geometryType": f"{kind}Geometry", "position": position, "rotation": rotation or [0, 0, 0]}
    return {"uuid": uuid, "name": uuid, "geometryData": geometry | {"parameters": sizes}}


def zone(uuid: str, material: str, *rows: str) -> dict[str, Any]:
    """A zone of rows such as "F0 -F1 &F2 |F3": a figure, without, and with another, or united with one."""
    modes = {"-": "subtraction", "&": "intersection", "|": "union"}
    operations = [
        [{"mode": modes.get(word[0], "union"), "objectUuid": word.lstrip("-&|")} for word in row.split()]
        for row in rows
    ]
    return {"uuid": uuid, "name": uuid, "type": "BooleanZone", "materialUuid": material,
            "materialPropertiesOverrides": {}, "unionOperations": operations}  # fmt: skip


BASE: dict[str, Any] = {
    "metadata": {"version": "0.12", "type": "Editor"},
    "project": {"title": "T"},
    "figureManager": {"figures": [figure("F0", "Box", [0, 0, 5], width=4, height=2, depth=10)]},
    "zoneManager": {
        "zones": [zone("Z0", "W", "F0")],
        "worldZone": {
            "uuid": "O",
            "name": "World Zone",
            "type": "WorldZone",
            "materialUuid": "V",
            "marginMultiplier": 1.1,
            "autoCalculate": False,
            "geometryData": figure("", "Box", [0, 0, 0], width=22, height=22, depth=22)["geometryData"],
        },
    },
    "materialManager": {
        "materials": [
            {"uuid": "W", "name": "WATER, LIQUID", "sanitizedName": "water_liquid", "icru": 276, "density": 1},
            {"uuid": "V", "name": "VACUUM", "sanitizedName": "vacuum", "icru": 1000, "density": 0},
        ]
    },
    "detectorManager": {"detectors": []},
    "scoringManager": {"filters": [], "outputs": []},
    "specialComponentsManager": {},
    "beam": {
        "particle": {"id": 2, "name": "Proton", "a": 1, "z": 1},
        "energyUnit": "MeV",
        "energy": 150,
        "energySpread": 1.5,
        "position": [0, 0, 0],
        "direction": [0, 0, 1],
        "sigma": {"type": "Gaussian", "x": 0, "y": 0},
        "numberOfParticles": 10000,
    },
}
"""The project of the format's description, which each of its cases changes."""


def steps(path: str) -> list[str | int]:
    """Keys and places of a path such as `a.b[1].c`."""
    return [int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", path)]


def changed(changes: dict[str, Any], project: dict[str, Any] = BASE) -> dict[str, Any]:
    """A copy of a project with other values at some paths, or without them."""
    made = copy.deepcopy(project)
    for path, value in changes.items():
        *before, last = steps(path)
        owner: Any = made
        for step in before:
            owner = owner[step]
        if value is DELETED:
            del owner[last]
        else:
            owner[last] = value
    return made
