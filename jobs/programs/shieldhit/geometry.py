"""geo.dat: one water cylinder among nested cylinders (RCC) along z, with vacuum and a black body around it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice

from jobs.programs.plan import Beam, Cylinder, Geometry, InputError, Medium
from jobs.programs.shieldhit.cards import Line, is_comment, lines, quoted
from jobs.programs.shieldhit.obstacles import BLACK_BODY, VACUUM, Zone, blocked, overlap

FILE = "geo.dat"
MAX_BODIES = 100
MAX_ZONES = 100

COLUMN = 10

_BODY = re.compile(r"(  [A-Za-z]{3} [ \d]{4}| {10})")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d{1,3})?")
_TERM = re.compile(r"[+-]\s*\d{1,5}")
_Terms = tuple[Line, tuple[int, ...]]
"""The bodies of a zone, and the line where it begins."""


def read_geometry(
    text: str,
    media: Sequence[Medium],
    others: Mapping[int, InputError],
    beam: Beam,
    start_line: int | None,
) -> Geometry:
    """Read geo.dat; the beam begins where `start_line` of beam.dat says.

    Raises InputError; for a zone of one of the `others`, media that are not water, the error that stands there. What
    is in the way of the beam before the water, or lies in the water, is an error too.
    """
    rows = text.split("\n")
    told = [index for index, row in enumerate(rows) if row.strip() and not is_comment(row)]
    if not told:
        raise InputError(FILE, None, "file is empty; a title line, bodies, zones and media are required")
    title_index = told[0]
    title = re.sub(r"^\s*\d+\s+\d+", "", rows[title_index]).strip()
    rest = list(lines(FILE, "\n" * (title_index + 1) + "\n".join(rows[title_index + 1 :])))
    bodies, position = _bodies(rest)
    zones, position = _zones(rest, position, bodies)
    filled = _media(rest[position:], zones, media, others)
    number = _water(filled)
    if not _open_to_beam(beam.position, filled, bodies):
        x, y, z = beam.position
        message = f"BEAMPOS {x:g} {y:g} {z:g} is outside the water and the vacuum of {FILE}"
        raise InputError("beam.dat", start_line, message)
    wrong = overlap(filled, number, bodies) or blocked(beam, filled, bodies[number], bodies)
    if wrong is not None:
        raise wrong
    return Geometry(title, bodies[number])


def _section_end(rest: Sequence[Line], position: int, what: str) -> int:
    for index in range(position, len(rest)):
        if rest[index].words[0].upper() == "END":
            return index
    raise InputError(FILE, None, f"END after the {what} is missing")


def _bodies(rest: Sequence[Line]) -> tuple[dict[int, Cylinder], int]:
    end = _section_end(rest, 0, "bodies")
    bodies: dict[int, Cylinder] = {}
    index = 0
    while index < end:
        first = _in_columns(rest[index])
        if first.words[0].upper() != "RCC":
            raise first.error(f"body {quoted(first.words[0])} is not supported; allowed is RCC along z")
        number = first.integer(1, "body number", 1, 99999)
        if number in bodies:
            raise first.error(f"body {number} is given twice")
        if len(bodies) == MAX_BODIES:
            raise first.error(f"more than {MAX_BODIES} bodies are not allowed")
        names = ("x", "y", "z", "height along x", "height along y", "height along z")
        values = [first.real(2 + k, f"RCC {number} {name} in cm", -1e4, 1e4) for k, name in enumerate(names)]
        if values[3] or values[4] or values[5] <= 0:
            raise first.error(f"RCC {number} is not a cylinder along +z; its height must be 0 0 h with h > 0")
        radius_line, column = (first, 8) if len(first.words) > 8 else (_in_columns(rest[index + 1]), 0)
        if radius_line is not first and index + 1 >= end:
            raise first.error(f"RCC {number} radius in cm is missing")
        radius = radius_line.real(column, f"RCC {number} radius in cm", 1e-6, 1e4)
        bodies[number] = Cylinder(values[0], values[1], values[2], values[5], radius)
        index += 1 if radius_line is first else 2
    if not bodies:
        raise InputError(FILE, None, "no body is given; at least one RCC is required")
    return bodies, end + 1


def _in_columns(line: Line) -> Line:
    """A line of a body, whose numbers may touch in their columns of ten characters."""
    first, *numbers = line.words[1:] if line.words[0].isalpha() and len(line.words) > 1 else ("0", *line.words)
    if first.isdecimal() and all(map(_NUMBER.fullmatch, numbers)):
        return line
    cells = [line.text[start : start + COLUMN].strip() for start in range(COLUMN, len(line.text), COLUMN)]
    if not _BODY.match(line.text) or not all(map(_NUMBER.fullmatch, cells)):
        return line
    return replace(line, words=(*line.text[:COLUMN].split(), *cells))


def _zones(rest: Sequence[Line], position: int, bodies: dict[int, Cylinder]) -> tuple[list[_Terms], int]:
    end = _section_end(rest, position, "zones")
    zones: list[_Terms] = []
    for line in islice(rest, position, end):
        continued = line.words[0][0] in "+-"
        expression = " ".join(line.words if continued else line.words[1:])
        if not expression or _TERM.sub("", expression).strip():
            raise line.error(f"zone {quoted(expression)} is not supported; allowed are terms such as +2 -1, without OR")
        terms = tuple(int(term.replace(" ", "")) for term in _TERM.findall(expression))
        for term in terms:
            if abs(term) not in bodies:
                raise line.error(f"zone names body {abs(term)}, which is not given")
        if continued and not zones:
            raise line.error("a zone must begin with its name")
        if continued:
            begun, before = zones[-1]
            zones[-1] = (begun, before + terms)
        else:
            zones.append((line, terms))
        if len(zones) > MAX_ZONES or len(zones[-1][1]) > MAX_BODIES:
            raise line.error(f"more than {MAX_ZONES} zones or {MAX_BODIES} terms are not allowed")
    if not zones:
        raise InputError(FILE, None, "no zone is given")
    return zones, end + 1


def _media(
    rest: Sequence[Line], zones: Sequence[_Terms], media: Sequence[Medium], others: Mapping[int, InputError]
) -> list[Zone]:
    """The zones with their media."""
    numbers = [
        (line.integer(column, "zone or medium number", 0, 99999), line)
        for line in islice(rest, 2 * MAX_ZONES + 1)
        for column in range(len(line.words))
    ]
    count = len(zones)
    if len(numbers) != 2 * count:
        at = numbers[-1][1].number if numbers else None
        raise InputError(
            FILE, at, f"{len(numbers)} numbers after the zones; {count} zone and {count} media are required"
        )
    for expected, (number, line) in enumerate(numbers[:count], start=1):
        if number != expected:
            raise line.error(f"zone number {number}; zones must be listed in order, here {expected}")
    known = {medium.number for medium in media}
    for number, line in numbers[count:]:
        if number in others:
            raise others[number]
        if number not in known | {VACUUM, BLACK_BODY}:
            raise line.error(f"medium {number} is not in mat.dat; allowed besides are 1000 (vacuum) and 0 (black body)")
    return [Zone(line, terms, medium) for (line, terms), (medium, _) in zip(zones, numbers[count:], strict=True)]


def _water(zones: Sequence[Zone]) -> int:
    """The body that is filled with water."""
    water = [(number, zone) for number, zone in enumerate(zones, 1) if zone.medium not in (VACUUM, BLACK_BODY)]
    if len(water) != 1:
        line = water[1][1].line if water else zones[0].line
        raise line.error(f"{len(water)} zones are filled with water; allowed is exactly one")
    ((number, zone),) = water
    if len(zone.terms) != 1 or zone.terms[0] < 0:
        raise zone.line.error(f"the water zone {number} must be one whole cylinder, such as +1")
    return zone.terms[0]


def _open_to_beam(start: tuple[float, float, float], zones: Sequence[Zone], bodies: Mapping[int, Cylinder]) -> bool:
    return any(
        zone.medium != BLACK_BODY and all(bodies[abs(term)].contains(*start) == (term > 0) for term in zone.terms)
        for zone in zones
    )
