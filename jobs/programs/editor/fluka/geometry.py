"""Write the geometry: bodies, and regions by their names."""

from collections.abc import Sequence

from jobs.programs.editor.bodies import Body
from jobs.programs.editor.csg import UNCUT, outside
from jobs.programs.editor.fluka.cards import broken, card, free
from jobs.programs.editor.model import Simulation, Terms
from jobs.programs.editor.values import NativeFile
from jobs.programs.editor.work import Work
from jobs.programs.plan import InputError

MARGIN = 10.0
"""Width in cm of the black body around the world."""
MAX_PARTS = 900
WORLD, BOUNDARY = "world", "boundary"


def region(zone: int) -> str:
    """The name of a zone's region, by its place in the list of zones."""
    return f"region{zone}" if zone < 100 else f"reg{zone}"


def geometry(simulation: Simulation, file: NativeFile, work: Work) -> dict[str, int]:
    """Add the geometry: a region for each zone, one for what is left of the world, and a black one around.

    Returns the material of each region but the black one, as its place in the list of materials.
    """
    world = simulation.world
    if world is None:
        raise InputError("zoneManager.worldZone", None, "is missing; FLUKA needs a world around the zones")
    bodies = [*simulation.bodies, world.body, world.body.grown(MARGIN)]
    names = [*(f"fig{index}" for index in range(len(simulation.bodies))), "figworld", "figbound"]
    number = len(bodies) - 1
    left = outside(number, (zone.terms for zone in simulation.zones), bodies, MAX_PARTS, work)
    if left is None:
        raise InputError(world.path, None, UNCUT.format(MAX_PARTS))
    file.add("zoneManager", card("GEOBEGIN", sdum="COMBNAME"), "    0    0")
    for body, name in zip(bodies, names, strict=True):
        file.add(body.path, *_body(name, body))
    file.add("figureManager", "END")
    for index, zone in enumerate(simulation.zones):
        file.add(zone.path, *_region(region(index), zone.terms, names))
    filled = {region(index): zone.material for index, zone in enumerate(simulation.zones)}
    if left:
        file.add(world.path, *_region(WORLD, left, names))
        filled[WORLD] = world.material
    file.add(world.path, *_region(BOUNDARY, [(number + 1, -number)], names), "END", card("GEOEND"))
    return filled


def _body(name: str, body: Body) -> list[str]:
    values = body.numbers
    key = {"box": "BOX", "cylinder": "RCC", "sphere": "SPH"}[body.kind]
    if body.kind == "box" and body.upright:
        key = "RPP"
        values = [c + sign * h for c, h in zip(body.centre, body.half, strict=True) for sign in (-1, 1)]
    return broken(f"{key} {name}", [free(value) for value in values])


def _region(name: str, union: Sequence[Terms], names: Sequence[str]) -> list[str]:
    words: list[str] = []
    for terms in union:
        words += ["|"] if words else []
        words += [f"{'+' if term > 0 else '-'}{names[abs(term) - 1]}" for term in terms]
    return broken(f"{name} 5", words)
