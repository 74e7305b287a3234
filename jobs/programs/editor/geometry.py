"""Write mat.dat and geo.dat from the figures, zones and materials of a project of YAPTIDE's editor."""

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.programs.editor.values import NativeFile, Value, by_uuid, place
from jobs.programs.shieldhit.geometry import BLACK_BODY, MAX_BODIES, MAX_ZONES, VACUUM
from jobs.programs.shieldhit.native import WATER

MAX_MATERIALS = 100
MAX_LENGTH = 1e4
MIN_LENGTH = 1e-6
MARGIN = 1.0
"""Width in cm of the black body around a world that is not black itself, as the editor's converter has it."""

_FIGURES = "figureManager.figures"
_ZONES = "zoneManager.zones"
_WORLD = "zoneManager.worldZone"
_MATERIALS = "materialManager.materials"
_CYLINDERS = ("HollowCylinderGeometry", "CylinderGeometry")
_Terms = tuple[int, ...]


@dataclass(frozen=True)
class _Body:
    """Cylinder around (x, y) from z to z + length (cm), and the path it comes from."""

    path: str
    x: float
    y: float
    z: float
    length: float
    radius: float


@dataclass(frozen=True)
class _Zone:
    path: str
    terms: _Terms
    medium: int


def unrotated(geometry: Value) -> None:
    """Refuse a `rotation` other than 0, 0, 0."""
    rotation = geometry.option("rotation")
    if rotation and any(rotation.vector(1e6)):
        raise rotation.error("found a rotation; allowed is [0, 0, 0]")


def media_and_geometry(project: Value) -> tuple[NativeFile, NativeFile]:
    """mat.dat and geo.dat of a project; raises InputError with the path of what is wrong."""
    materials = project.member("materialManager").member("materials").elements(MAX_MATERIALS)
    mat = NativeFile("mat.dat", _MATERIALS)
    media = _media(materials, mat)
    uuids = by_uuid(materials)

    def medium(owner: Value) -> int:
        return media[place(owner.member("materialUuid"), uuids, _MATERIALS)]

    figures = project.member("figureManager").member("figures").elements(MAX_BODIES)
    bodies = [_body(figure, hollow=False) for figure in figures]
    manager = project.member("zoneManager")
    drawn = manager.member("zones").elements(MAX_ZONES)
    numbers = by_uuid(figures)
    zones = [_Zone(zone.path, _terms(zone, numbers), medium(zone)) for zone in drawn]
    _one_water(drawn, zones)
    if world := manager.option("worldZone"):
        _wrap(world, medium(world), bodies, zones)
    return mat, _geo(_title(project), bodies, zones)


def _title(project: Value) -> str:
    section = project.option("project")
    title = section.option("title") if section else None
    return (title.text().strip() if title else "") or "Unnamed geometry"


def _media(materials: Sequence[Value], mat: NativeFile) -> list[int]:
    """Number of each material's medium; those of water are written to `mat`."""
    media: list[int] = []
    count = 0
    for material in materials:
        icru = material.member("icru")
        number = icru.integer(0, 100_000)
        if number == WATER:
            count += 1
            mat.add(material.path, f"MEDIUM {count}", f"ICRU {WATER}", "END")
        elif number not in (VACUUM, BLACK_BODY):
            allowed = f"{WATER} (liquid water), {VACUUM} (vacuum) and {BLACK_BODY} (black body)"
            raise icru.error(f"found {number}; allowed are {allowed}")
        media.append(count if number == WATER else number)
    return media


def _body(figure: Value, *, hollow: bool) -> _Body:
    """The cylinder of a figure; `hollow` ones have an inner radius that means nothing."""
    geometry = figure.member("geometryData")
    geometry.member("geometryType").one_of(_CYLINDERS)
    unrotated(geometry)
    x, y, z = geometry.member("position").vector(MAX_LENGTH)
    parameters = geometry.member("parameters")
    length = parameters.member("depth").real(MIN_LENGTH, MAX_LENGTH)
    radius = parameters.member("radius").real(MIN_LENGTH, MAX_LENGTH)
    inner = parameters.option("innerRadius")
    if inner and not hollow and inner.real(0, MAX_LENGTH):
        raise inner.error(f"found {inner.found()}; allowed is 0, a full cylinder")
    return _Body(figure.path, x, y, z - length / 2, length, radius)


def _terms(zone: Value, numbers: dict[str, int]) -> _Terms:
    """The bodies of a zone, numbered from 1: those it lies in, and negative those it lies outside of."""
    for key in ("customMaterial", "materialPropertiesOverrides"):
        changed = zone.option(key)
        if changed and changed.value != {}:
            raise changed.error("found a changed material; allowed are materials of the list as they are")
    operations = zone.member("unionOperations")
    terms: list[int] = []
    for group in operations.elements(MAX_BODIES):
        for operation in group.elements(MAX_BODIES):
            mode = operation.member("mode")
            sign = mode.choice({"union": 1, "intersection": 1, "subtraction": -1})
            if (mode.value == "union") != (not terms):
                allowed = "a union first, then intersections and subtractions"
                raise mode.error(f"found {mode.found()}; allowed are {allowed}, without a second union (OR)")
            terms.append(sign * (place(operation.member("objectUuid"), numbers, _FIGURES) + 1))
            if len(terms) > MAX_BODIES:
                raise operations.error(f"found more than {MAX_BODIES} operations, which are not allowed")
    if not terms:
        raise operations.error("found no operation; allowed are a union and what is cut from it")
    return tuple(dict.fromkeys(terms))


def _one_water(drawn: Sequence[Value], zones: Sequence[_Zone]) -> None:
    water = [index for index, zone in enumerate(zones) if zone.medium not in (VACUUM, BLACK_BODY)]
    if not water:
        raise Value(None, _ZONES).error("found no zone of liquid water; allowed is exactly one")
    if len(water) > 1:
        raise drawn[water[1]].member("materialUuid").error("found a second zone of water; allowed is exactly one")
    if len(zones[water[0]].terms) > 1:
        operations = drawn[water[0]].member("unionOperations")
        raise operations.error("found a zone of water cut out of several figures; allowed is one whole cylinder")


def _wrap(world: Value, medium: int, bodies: list[_Body], zones: list[_Zone]) -> None:
    """Add the world around all zones, and a black body around a world of vacuum."""
    if medium not in (VACUUM, BLACK_BODY):
        raise world.member("materialUuid").error("found liquid water; allowed are vacuum and the black body")
    body = _body(world, hollow=True)
    bodies.append(body)
    number = len(bodies)
    zones.extend([_Zone(world.path, terms, medium) for terms in _outside(number, zones)])
    if medium != BLACK_BODY:
        length, radius = body.length + 2 * MARGIN, body.radius + MARGIN
        bodies.append(_Body(body.path, body.x, body.y, body.z - MARGIN, length, radius))
        zones.append(_Zone(world.path, (number + 1, -number), BLACK_BODY))


def _outside(world: int, zones: Sequence[_Zone]) -> list[_Terms]:
    """What is left of the body `world` without the zones, as zones without OR.

    A zone of several terms leaves one part per term, so parts multiply; more than MAX_ZONES are refused.
    """
    parts: list[_Terms] = [(world,)]
    for zone in zones:
        cut: dict[frozenset[int], _Terms] = {}
        for part in parts:
            for term in zone.terms:
                if term not in part:
                    rest = part if -term in part else (*part, -term)
                    cut[frozenset(rest)] = rest
            if len(cut) > MAX_ZONES:
                raise Value(None, _WORLD).error(f"found a world of more than {MAX_ZONES} parts around the zones")
        parts = list(cut.values())
    return parts


def _geo(title: str, bodies: Sequence[_Body], zones: Sequence[_Zone]) -> NativeFile:
    geo = NativeFile("geo.dat", _ZONES)
    geo.add("project.title", "", f"    0    0          {title}")
    for number, body in enumerate(bodies, start=1):
        base = "".join(_column(value) for value in (body.x, body.y, body.z, 0.0, 0.0, body.length))
        geo.add(body.path, f"  RCC {number:>4}{base}", f"{'':10}{_column(body.radius)}")
    geo.add(_FIGURES, "  END")
    for number, zone in enumerate(zones, start=1):
        geo.add(zone.path, f"  {number:03d}       {'  '.join(f'{term:+5d}' for term in zone.terms)}")
    geo.add(_ZONES, "  END")
    for values in (list(range(1, len(zones) + 1)), [zone.medium for zone in zones]):
        for start in range(0, len(values), 14):
            geo.add(_ZONES, "".join(f"{value:>5}" for value in values[start : start + 14]))
    return geo


def _column(value: float) -> str:
    """A number in a column of ten characters, the first of them blank, as precise as fits."""
    for digits in range(7, 0, -1):
        text = f"{round(value, digits) + 0.0:.{digits}f}"
        if len(text) <= 9:
            break
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.rstrip('0') or '0'}".rjust(10)
