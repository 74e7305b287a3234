"""Read a project of YAPTIDE's editor into the model of a simulation."""

import re

from jobs.programs.editor import beam
from jobs.programs.editor.figures import body
from jobs.programs.editor.materials import Materials, uuids_of
from jobs.programs.editor.model import Simulation
from jobs.programs.editor.scoring import materials_of, outputs_of, scoring
from jobs.programs.editor.values import Value, by_uuid, sifted
from jobs.programs.editor.work import Work
from jobs.programs.editor.zones import MAX_ZONES, figures_of, world, zone

MAX_FIGURES = 1000
MAX_VALUES = 60_000
"""Objects, lists, texts and numbers of a project in all."""
OLDEST, NEWEST = (0, 10), (0, 12)
"""Versions of the format. Some files call themselves 1."""

_WRAPPED = (("input", "inputJson"), ("input_json",))


def read(document: object, work: Work) -> Simulation:
    """The simulation that a decoded project describes, or a file of the editor that holds one.

    Raises InputError, whose `file` is the path in the document, such as `beam.particle.id`, or "$" for the whole, and
    whose `line` is None. What the project holds and does not use may be wrong.
    """
    root = _unwrapped(Value(document))
    _bounded(root)
    _version(root)
    manager = root.member("zoneManager")
    drawn = manager.member("zones").elements(MAX_ZONES)
    around, outputs = manager.option("worldZone"), outputs_of(root)
    filling = [*drawn, *([around] if around else [])]
    materials = Materials(root, {*materials_of(outputs), *(uuid for owner in filling for uuid in uuids_of(owner))})
    figures = root.member("figureManager").member("figures").elements(MAX_FIGURES)
    bodies, places = sifted(figures, figures_of(drawn), lambda value, _: body(value))
    zones = tuple(zone(value, places, materials, work) for value in drawn)
    surrounding = world(around, materials)
    numbers = by_uuid(each.uuid for each in zones)
    scored = scoring(root, zones, materials)
    tabled = {material.icru for material in materials.all() if material.table and material.used}
    physics = beam.physics(root.option("physic") or Value({}, root.below("physic")), tabled)
    tables = [name for name, _ in physics.tables.values()]
    return Simulation(
        _title(root),
        tuple(bodies),
        materials.all(),
        zones,
        surrounding,
        beam.beam(root.member("beam")),
        physics,
        beam.modulator(root.option("specialComponentsManager"), numbers, tables),
        scored.detectors,
        scored.filters,
        scored.outputs,
    )


def _unwrapped(root: Value) -> Value:
    """The project within a file of results or a submission of YAPTIDE's."""
    for keys in _WRAPPED:
        inner: Value | None = root
        for key in keys:
            inner = inner.option(key) if inner and isinstance(inner.value, dict) else None
        if inner:
            return inner
    return root


def _bounded(root: Value) -> None:
    left, count = [root.value], 0
    while left:
        value = left.pop()
        below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        count += 1
        if count + len(left) + len(below) > MAX_VALUES:
            raise root.error(f"found a project of more than {MAX_VALUES} values; allowed are smaller ones")
        left += below


def _version(root: Value) -> None:
    metadata, project = root.option("metadata"), root.option("project")
    version = metadata.option("version") if metadata else None
    if version:
        found = re.fullmatch(r"(\d{1,4})(?:\.(\d{1,4}))?(?:\.\d{1,4})*", str(version.value))
        numbers = (int(found[1]), int(found[2] or 0)) if found else (0, 0)
        if not OLDEST <= numbers <= NEWEST and numbers[0] != 1:
            raise version.error(f"found {version.found()}; allowed are 0.10 to 0.12, and 1")
    simulator = project.option("simulator") if project else None
    if simulator and simulator.value == "geant4":
        raise simulator.error("found 'geant4'; allowed are projects for common, shieldhit and fluka")


def _title(root: Value) -> str:
    section = root.option("project")
    title = section.option("title") if section else None
    return (title.text().strip() if title else "") or "Unnamed geometry"
