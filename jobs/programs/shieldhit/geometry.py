"""geo.dat: one water cylinder among nested cylinders (RCC) along z, with vacuum and a black body around it."""

import re
from collections.abc import Sequence
from itertools import islice

from jobs.programs.plan import Cylinder, Geometry, InputError, Medium
from jobs.programs.shieldhit.cards import Line, lines, quoted

FILE = "geo.dat"
VACUUM = 1000
BLACK_BODY = 0
MAX_BODIES = 100
MAX_ZONES = 100

_TERM = re.compile(r"[+-]\s*\d{1,5}")
_Zone = tuple[int, ...]


def read_geometry(
    text: str, media: Sequence[Medium], start: tuple[float, float, float], start_line: int | None
) -> Geometry:
    """Read geo.dat; the beam begins at `start` (cm), given on `start_line` of beam.dat. Raises InputError."""
    rows = text.split("\n")
    filled = [index for index, row in enumerate(rows) if row.strip()]
    if not filled:
        raise InputError(FILE, None, "file is empty; a title line, bodies, zones and media are required")
    title_index = filled[0]
    title = re.sub(r"^\s*\d+\s+\d+", "", rows[title_index]).strip()
    rest = list(lines(FILE, "\n" * (title_index + 1) + "\n".join(rows[title_index + 1 :])))
    bodies, position = _bodies(rest)
    zones, position = _zones(rest, position, bodies)
    assigned = _media(rest[position:], zones, media)
    water = _water(assigned, zones, bodies)
    if not _open_to_beam(start, assigned, zones, bodies):
        x, y, z = start
        message = f"BEAMPOS {x:g} {y:g} {z:g} is outside the water and the vacuum of {FILE}"
        raise InputError("beam.dat", start_line, message)
    return Geometry(title, water)


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
        first = rest[index]
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
        radius_line, column = (first, 8) if len(first.words) > 8 else (rest[index + 1], 0)
        if radius_line is not first and index + 1 >= end:
            raise first.error(f"RCC {number} radius in cm is missing")
        radius = radius_line.real(column, f"RCC {number} radius in cm", 1e-6, 1e4)
        bodies[number] = Cylinder(values[0], values[1], values[2], values[5], radius)
        index += 1 if radius_line is first else 2
    if not bodies:
        raise InputError(FILE, None, "no body is given; at least one RCC is required")
    return bodies, end + 1


def _zones(rest: Sequence[Line], position: int, bodies: dict[int, Cylinder]) -> tuple[list[_Zone], int]:
    end = _section_end(rest, position, "zones")
    zones: list[_Zone] = []
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
            zones[-1] += terms
        else:
            zones.append(terms)
        if len(zones) > MAX_ZONES or len(zones[-1]) > MAX_BODIES:
            raise line.error(f"more than {MAX_ZONES} zones or {MAX_BODIES} terms are not allowed")
    if not zones:
        raise InputError(FILE, None, "no zone is given")
    return zones, end + 1


def _media(rest: Sequence[Line], zones: Sequence[_Zone], media: Sequence[Medium]) -> list[tuple[int, Line]]:
    """Medium of each zone, with the line that assigns it."""
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
        if number not in known | {VACUUM, BLACK_BODY}:
            raise line.error(f"medium {number} is not in mat.dat; allowed besides are 1000 (vacuum) and 0 (black body)")
    return numbers[count:]


def _water(assigned: Sequence[tuple[int, Line]], zones: Sequence[_Zone], bodies: dict[int, Cylinder]) -> Cylinder:
    water = [index for index, (medium, _) in enumerate(assigned) if medium not in (VACUUM, BLACK_BODY)]
    line = assigned[0][1]
    if len(water) != 1:
        raise line.error(f"{len(water)} zones are filled with water; allowed is exactly one")
    terms = zones[water[0]]
    if len(terms) != 1 or terms[0] < 0:
        raise line.error(f"the water zone {water[0] + 1} must be one whole cylinder, such as +1")
    return bodies[terms[0]]


def _open_to_beam(
    start: tuple[float, float, float],
    assigned: Sequence[tuple[int, Line]],
    zones: Sequence[_Zone],
    bodies: dict[int, Cylinder],
) -> bool:
    for terms, (medium, _) in zip(zones, assigned, strict=True):
        inside = all(bodies[abs(term)].contains(*start) == (term > 0) for term in terms)
        if inside and medium != BLACK_BODY:
            return True
    return False
