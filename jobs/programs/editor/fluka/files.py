"""Write FLUKA's input file."""

from jobs.programs.editor.fluka.beam import beam, physics
from jobs.programs.editor.fluka.cards import card
from jobs.programs.editor.fluka.geometry import BOUNDARY, geometry
from jobs.programs.editor.fluka.materials import Materials
from jobs.programs.editor.fluka.scoring import scoring
from jobs.programs.editor.model import Simulation
from jobs.programs.editor.omissions import Omissions
from jobs.programs.editor.values import NativeFile
from jobs.programs.editor.volumes import Volumes
from jobs.programs.editor.work import Work
from jobs.programs.plan import InputError
from jobs.programs.shieldhit import names

STEM = "fl_sim"
SEED = 137
"""What YAPTIDE's converter always writes."""


def files(simulation: Simulation, work: Work) -> tuple[list[NativeFile], dict[str, str], list[str]]:
    """fl_sim.inp; the text of names.json; and sentences on what is left out.

    Raises InputError with the path of what FLUKA can't express.
    """
    if simulation.modulator:
        raise InputError(simulation.modulator.path, None, "found a beam modulator; for FLUKA allowed is none")
    physics(simulation.physics)
    file = NativeFile(f"{STEM}.inp", "$")
    title = simulation.title.encode("ascii", "replace").decode().lstrip("*# ")[:80] or "Unnamed"
    file.add("project.title", "TITLE", title, card("DEFAULTS", sdum="HADROTHE"))
    beam(simulation.beam, file)
    _materials(simulation, geometry(simulation, file, work), file)
    omissions = Omissions()
    called = scoring(simulation, STEM, file, omissions, Volumes(simulation.bodies, work))
    seed = SEED if simulation.beam.seed is None else simulation.beam.seed
    file.add(f"{simulation.beam.path}.seed", card("RANDOMIZ", 1.0, float(seed)))
    file.add(f"{simulation.beam.path}.numberOfParticles", card("START", float(simulation.beam.primaries)), card("STOP"))
    return [file], {names.FILE: names.write(called)}, omissions.warnings


def _materials(simulation: Simulation, filled: dict[str, int], file: NativeFile) -> None:
    materials = Materials(simulation, filled.values())
    materials.write(file)
    for name, material in filled.items():
        file.add("zoneManager.zones", card("ASSIGNMA", materials.name(material), name))
    file.add("zoneManager.worldZone", card("ASSIGNMA", "BLCKHOLE", BOUNDARY))
