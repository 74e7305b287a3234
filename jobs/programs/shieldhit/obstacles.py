"""What stands in the way of the beam: zones within the water, and black bodies before it."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from jobs.programs.plan import Beam, Cylinder, InputError
from jobs.programs.shieldhit.cards import Line

VACUUM = 1000
BLACK_BODY = 0
SIGMAS = 4.0
"""How far from its axis a Gaussian beam is looked at."""

_CLOSE = 1e-6
"""Overlaps in cm that come of rounding alone."""
_RINGS = (0.25, 0.5, 0.75, 1.0)
_RAYS_OF_A_RING = 16
_TARGETS = 50
"""Black bodies that are aimed at."""

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Zone:
    """A zone of geo.dat: where it begins, its bodies (negative ones cut out), its medium."""

    line: Line
    terms: tuple[int, ...]
    medium: int


def overlap(zones: Sequence[Zone], water: int, bodies: Mapping[int, Cylinder]) -> InputError | None:
    """What is wrong where a zone may have points in common with body `water`, which another zone fills."""
    for number, zone in enumerate(zones, start=1):
        if zone.terms != (water,) and not _apart(zone, water, bodies):
            what = _WHAT.get(zone.medium, "water")
            message = f"zone {number} ({what}) overlaps the zone of water; allowed are zones outside of body {water}"
            return zone.line.error(message)
    return None


_WHAT = {VACUUM: "vacuum", BLACK_BODY: "black body"}


def _apart(zone: Zone, water: int, bodies: Mapping[int, Cylinder]) -> bool:
    within = [bodies[water], *(bodies[term] for term in zone.terms if term > 0)]
    without = [bodies[-term] for term in zone.terms if term < 0]
    return any(_disjoint(one, other) for one in within for other in within) or any(
        _lies_in(one, other) for one in within for other in without
    )


def _disjoint(one: Cylinder, other: Cylinder) -> bool:
    low, high = max(one.z, other.z), min(one.z + one.length, other.z + other.length)
    return high - low <= _CLOSE or one.radius + other.radius - _between(one, other) <= _CLOSE


def _lies_in(one: Cylinder, other: Cylinder) -> bool:
    before, after = other.z - one.z, one.z + one.length - other.z - other.length
    return max(before, after, _between(one, other) + one.radius - other.radius) <= _CLOSE


def _between(one: Cylinder, other: Cylinder) -> float:
    return math.hypot(one.x - other.x, one.y - other.y)


def blocked(beam: Beam, zones: Sequence[Zone], water: Cylinder, bodies: Mapping[int, Cylinder]) -> InputError | None:
    """What is wrong where a beam that reaches the water passes through a black body, or through no zone, before."""
    east, north, along = _axes(beam)
    masks = [(_bits(zone.terms), _bits(-term for term in zone.terms)) for zone in zones]
    black = [bodies[term] for zone in zones if zone.medium == BLACK_BODY for term in zone.terms if term > 0]
    for x, y in (*_spots(beam), *_towards(black[:_TARGETS], beam, east, north)):
        start = _moved(_moved(beam.position, east, x), north, y)
        enter, leave = _crossed(water, start, along)
        if not enter < leave or leave <= _CLOSE:
            continue
        for inside in _passed(start, along, enter, bodies):
            here = [place for place, (of, out) in enumerate(masks) if inside & of == of and not inside & out]
            for place in here:
                if zones[place].medium == BLACK_BODY:
                    message = f"zone {place + 1} (black body) is in the way of the beam; allowed is vacuum"
                    return zones[place].line.error(message)
            if not here:
                message = "the beam passes through a place of no zone before the water; allowed is vacuum"
                return zones[0].line.error(message)
    return None


def _bits(terms: Iterable[int]) -> int:
    """The bodies of the positive terms."""
    return sum(1 << term for term in set(terms) if term > 0)


def _passed(start: Vector, along: Vector, end: float, bodies: Mapping[int, Cylinder]) -> Iterator[int]:
    """The bodies, as bits, around each part of a ray before `end`."""
    spans = {number: _crossed(body, start, along) for number, body in bodies.items()}
    within = {number: span for number, span in spans.items() if span[0] < span[1] and span[0] < end and span[1] > 0}
    ends = sorted({0.0, end, *(place for span in within.values() for place in span if 0 < place < end)})
    for low, high in pairwise(ends):
        if high - low > _CLOSE and high <= end:
            middle = (low + high) / 2
            yield _bits(number for number, (enter, leave) in within.items() if enter < middle < leave)


def _moved(start: Vector, direction: Vector, by: float) -> Vector:
    x, y, z = (place + by * part for place, part in zip(start, direction, strict=True))
    return x, y, z


def _axes(beam: Beam) -> tuple[Vector, Vector, Vector]:
    """The directions of the beam's spot and of the beam itself."""
    theta, phi = math.radians(beam.theta), math.radians(beam.phi)
    along = (math.sin(theta) * math.cos(phi), math.sin(theta) * math.sin(phi), math.cos(theta))
    if beam.theta == 0.0:
        return (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), along
    east = (math.cos(theta) * math.cos(phi), math.cos(theta) * math.sin(phi), -math.sin(theta))
    return east, (-math.sin(phi), math.cos(phi), 0.0), along


def _reach(beam: Beam) -> tuple[float, float]:
    """The greatest distances from the beam's axis."""
    if beam.shape == "circle":
        return beam.size[0], beam.size[0]
    factor = 1.0 if beam.shape == "square" else SIGMAS
    return factor * beam.size[0], factor * beam.size[1]


def _spots(beam: Beam) -> Iterator[tuple[float, float]]:
    """Places of the spot to look at: its middle, and rings or squares around."""
    yield 0.0, 0.0
    x, y = _reach(beam)
    for ring in _RINGS if x or y else ():
        for step in range(_RAYS_OF_A_RING):
            angle = 2 * math.pi * step / _RAYS_OF_A_RING
            east, north = math.cos(angle), math.sin(angle)
            edge = max(abs(east), abs(north)) if beam.shape == "square" else 1.0
            yield ring * x * east / edge, ring * y * north / edge


def _towards(bodies: Sequence[Cylinder], beam: Beam, east: Vector, north: Vector) -> Iterator[tuple[float, float]]:
    """Places of the spot from which the beam meets the axes of bodies."""
    x, y = _reach(beam)
    for body in bodies:
        for part in (0.0, 0.5, 1.0):
            place = (body.x, body.y, body.z + part * body.length)
            away = [there - here for there, here in zip(place, beam.position, strict=True)]
            spot = _product(east, away), _product(north, away)
            inside = abs(spot[0]) <= x and abs(spot[1]) <= y
            if inside and (beam.shape != "circle" or math.hypot(*spot) <= x):
                yield spot


def _crossed(body: Cylinder, start: Vector, along: Vector) -> tuple[float, float]:
    """The distances in cm at which a ray enters and leaves a body; both 0 where it misses."""
    x, y, z = start[0] - body.x, start[1] - body.y, start[2] - body.z
    u, v, w = along
    lateral, slope = max(u * u + v * v, 1e-24), math.copysign(max(abs(w), 1e-12), w)
    projection = x * u + y * v
    root = projection**2 - lateral * (x * x + y * y - body.radius**2)
    if root < 0:
        return 0.0, 0.0
    first, second = sorted((-z / slope, (body.length - z) / slope))
    enter = max((-projection - math.sqrt(root)) / lateral, first)
    leave = min((-projection + math.sqrt(root)) / lateral, second)
    return (enter, leave) if enter < leave else (0.0, 0.0)


def _product(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
