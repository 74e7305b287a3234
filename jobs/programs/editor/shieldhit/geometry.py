"""Write geo.dat."""

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.programs.editor.bodies import Body
from jobs.programs.editor.csg import UNCUT, outside
from jobs.programs.editor.model import BLACK_HOLE, Simulation, Terms, World
from jobs.programs.editor.shieldhit.materials import Media
from jobs.programs.editor.shieldhit.numbers import column
from jobs.programs.editor.values import NativeFile
from jobs.programs.editor.work import Work
from jobs.programs.plan import InputError

MARGIN = 1.0
"""Width in cm of the black body around a world that is not black itself."""
MAX_ZONES = 999
A_LINE = 9
"""The terms of a zone that one line takes."""

_KEYWORDS = {"box": "BOX", "cylinder": "RCC", "sphere": "SPH"}


@dataclass(frozen=True)
class _Zone:
    path: str
    terms: tuple[Terms, ...]
    medium: int


def geometry(simulation: Simulation, media: Media, work: Work) -> NativeFile:
    """geo.dat: the bodies, the zones in the editor's order, what is left of the world around them, and a black body.

    Raises InputError when that takes more zones than the file can have.
    """
    bodies = list(simulation.bodies)
    zones = [_Zone(zone.path, zone.terms, media.number(zone.material)) for zone in simulation.zones]
    if simulation.world:
        zones += _around(simulation.world, media.number(simulation.world.material), simulation, bodies, work)
    file = NativeFile("geo.dat", "zoneManager")
    file.add("project.title", "", f"    0    0          {_ascii(simulation.title)}")
    for number, body in enumerate(bodies, start=1):
        file.add(body.path, *_body(number, body))
    file.add("figureManager", "  END")
    for number, zone in enumerate(zones, start=1):
        file.add(zone.path, *_zone(number, zone.terms))
    file.add("zoneManager.zones", "  END")
    for values in (range(1, len(zones) + 1), [zone.medium for zone in zones]):
        for start in range(0, len(values), 14):
            file.add("zoneManager.zones", "".join(f"{value:>5}" for value in values[start : start + 14]))
    return file


def _around(world: World, medium: int, simulation: Simulation, bodies: list[Body], work: Work) -> list[_Zone]:
    """The zones around those of the editor; their bodies are added to `bodies`."""
    bodies.append(world.body)
    number, most = len(bodies), MAX_ZONES - len(simulation.zones) - 1
    parts = outside(number, (zone.terms for zone in simulation.zones), bodies, most, work)
    if parts is None:
        raise InputError(world.path, None, UNCUT.format(most))
    zones = [_Zone(world.path, (terms,), medium) for terms in parts]
    if medium != BLACK_HOLE:
        bodies.append(world.body.grown(MARGIN))
        zones.append(_Zone(world.path, ((number + 1, -number),), BLACK_HOLE))
    return zones


def _ascii(title: str) -> str:
    return title.encode("ascii", "replace").decode()


def _body(number: int, body: Body) -> list[str]:
    values = body.numbers
    rows = ["".join(map(column, values[first : first + 6])) for first in range(0, len(values), 6)]
    return [f"  {_KEYWORDS[body.kind]} {number:>4}{rows[0]}", *(f"{'':10}{row}" for row in rows[1:])]


def _zone(number: int, union: Sequence[Terms]) -> list[str]:
    """The lines of a zone: ten characters, then up to nine terms, each with OR or two blanks before it."""
    cards = [
        f"{'OR' if index == 0 and first else '  '}{term:+5d}"
        for first, terms in enumerate(union)
        for index, term in enumerate(terms)
    ]
    rows = ["".join(cards[start : start + A_LINE]) for start in range(0, len(cards), A_LINE)]
    return [f"  {number:03d}     {rows[0]}", *(f"{'':10}{row}" for row in rows[1:])]
