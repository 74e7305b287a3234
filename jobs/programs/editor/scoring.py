"""Read the detectors, filters and outputs of a project."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.programs.editor.beam import particle_number
from jobs.programs.editor.materials import Materials, uuids_of
from jobs.programs.editor.model import Detector, Filter, Output, Quantity, Rule, Scale, Zone
from jobs.programs.editor.values import MAX_LENGTH, MIN_LENGTH, Value, by_uuid, place, sifted
from jobs.programs.plan import Axis

MAX_ELEMENTS = 500
MAX_BINS = 100_000_000
KEYWORDS = (
    "Dose", "DoseGy", "DDD", "dLET", "tLET", "dQ", "dQeff", "tQ", "tQeff", "NKERMA", "NEqvDose", "Energy", "Fluence",
    "DoseEqv", "EqvDose", "Alanine", "1MeVNEq", "AvgEnergy", "AvgBeta", "dZ2Beta2", "tZ2Beta2", "dZeff2Beta2",
    "tZeff2Beta2", "MATERIAL", "ZONE", "Rho",
)  # fmt: skip
SCALES = ("ANGLE", "DEDX", "E", "EAMU", "ENUC", "MDEDX", "TL", "Z", "Zeff", "Z2Beta2", "Zeff2Beta2")
MEDIA = ("A150", "AIR", "BONE", "Muscule", "TE_Methane", "TE_Propane", "WATER")

_WHOLE = ("A", "Z", "GEN", "NPRIM", "ID")
_REAL = ("AMASS", "AMU", "E", "ENUC", "EAMU")
_OPERATORS = {
    **{operator: operator for operator in ("==", "!=", "<", "<=", ">", ">=")},
    "equal": "==",
    "not_equal": "!=",
    "less_than": "<",
    "less_than_or_equal": "<=",
    "greater_than": ">",
    "greater_than_or_equal": ">=",
}
_DETECTORS = "detectorManager.detectors"
_FILTERS = "scoringManager.filters"
_ZONES = "zoneManager.zones"


@dataclass
class Scoring:
    """What is scored in a project."""

    detectors: tuple[Detector, ...]
    filters: tuple[Filter, ...]
    outputs: tuple[Output, ...]


def materials_of(outputs: Sequence[Value]) -> set[str]:
    """The uuids of the materials that quantities name."""
    return {uuid for output in outputs for quantity in quantities(output) for uuid in uuids_of(quantity)}


def outputs_of(project: Value) -> list[Value]:
    """The outputs of a project."""
    return project.member("scoringManager").member("outputs").elements(MAX_ELEMENTS)


def quantities(output: Value) -> list[Value]:
    """The quantities of an output."""
    return output.member("quantities").elements(MAX_ELEMENTS)


def scoring(project: Value, zones: Sequence[Zone], materials: Materials) -> Scoring:
    """What a project scores. Raises InputError."""
    places = by_uuid(zone.uuid for zone in zones)
    outputs = outputs_of(project)
    filtered = (selection for output in outputs for each in quantities(output) if (selection := each.option("filter")))
    filters, filter_places = sifted(
        project.member("scoringManager").member("filters").elements(MAX_ELEMENTS),
        {selection.text() for selection in filtered},
        _filter,
    )
    placed = (detector for output in outputs if not _by_zone(output) and (detector := output.option("detectorUuid")))
    detectors, detector_places = sifted(
        project.member("detectorManager").member("detectors").elements(MAX_ELEMENTS),
        {detector.text() for detector in placed},
        lambda value, used: _detector(value, used, places),
    )
    made = []
    for output in outputs:
        if _by_zone(output):
            number = _zone_detector(output.member("zoneUuid"), places, detectors)
        else:
            number = place(output.member("detectorUuid"), detector_places, _DETECTORS)
        made.append(_output(output, number, filter_places, materials))
    return Scoring(tuple(detectors), tuple(filters), tuple(made))


def _zone_detector(uuid: Value, zones: Mapping[str, int], detectors: list[Detector]) -> int:
    """The place of a detector of a zone that an output names; made where there is none."""
    zone = place(uuid, zones, _ZONES)
    for index, detector in enumerate(detectors):
        if detector.zone == zone and detector.used:
            return index
    detectors.append(Detector(uuid.path, f"zone_{zone + 1}", "Zone", zone=zone))
    return len(detectors) - 1


def _by_zone(output: Value) -> bool:
    kind = output.option("scoringType")
    return kind is not None and kind.one_of(("DETECTOR", "ZONE")) == "ZONE"


def _detector(detector: Value, used: bool, zones: Mapping[str, int]) -> Detector:
    geometry, name = detector.member("geometryData"), detector.member("name").name()
    kind = geometry.member("geometryType")
    parameters = geometry.option("parameters") or Value({}, f"{geometry.path}.parameters")
    match kind.one_of(("Mesh", "Cyl", "Zone", "All")):
        case "Zone":
            zone = place(parameters.member("zoneUuid"), zones, _ZONES)
            return Detector(detector.path, name, "Zone", zone=zone, used=used)
        case "All":
            return Detector(detector.path, name, "All", used=used)
    rotation = geometry.option("rotation")
    if rotation and any(rotation.vector(1e6)):
        raise rotation.error("found a rotation; allowed is [0, 0, 0]")
    x, y, z = geometry.member("position").vector(MAX_LENGTH)
    if kind.value == "Cyl":
        rings = (_rings(parameters), _axis("Z", z, parameters, "depth", "zSegments"))
        return Detector(detector.path, name, "Cyl", rings, (x, y), used=used)
    axes = (
        _axis("X", x, parameters, "width", "xSegments"),
        _axis("Y", y, parameters, "height", "ySegments"),
        _axis("Z", z, parameters, "depth", "zSegments"),
    )
    return Detector(detector.path, name, "Mesh", axes, used=used)


def _rings(parameters: Value) -> Axis:
    inner, radius = parameters.option("innerRadius"), parameters.member("radius")
    low = inner.real(0, MAX_LENGTH) if inner else 0.0
    high = radius.real(MIN_LENGTH, MAX_LENGTH)
    if high - low < MIN_LENGTH:
        raise radius.error(f"found {high:g}; allowed are values greater than the inner radius, {low:g}")
    return Axis("R", low, high, parameters.member("radialSegments").integer(1, MAX_BINS))


def _axis(name: str, centre: float, parameters: Value, length: str, segments: str) -> Axis:
    half = parameters.member(length).real(MIN_LENGTH, MAX_LENGTH) / 2
    return Axis(name, centre - half, centre + half, parameters.member(segments).integer(1, MAX_BINS))


def _filter(selection: Value, used: bool) -> Filter:
    name = selection.member("name").name()
    if particle := selection.option("particle"):
        return Filter(selection.path, name, particle_number(particle), (), used)
    rules = selection.member("rules").elements(MAX_ELEMENTS)
    if not rules:
        raise selection.member("rules").error("found no rule; allowed are one or more")
    return Filter(selection.path, name, None, tuple(map(_rule, rules)), used)


def _rule(rule: Value) -> Rule:
    keyword = rule.member("keyword").one_of((*_WHOLE, *_REAL))
    value = rule.member("value")
    number = value.integer(-1_000_000, 1_000_000) if keyword in _WHOLE else value.real(-1e12, 1e12)
    return Rule(rule.path, keyword, rule.member("operator").choice(_OPERATORS), number)


def _output(output: Value, detector: int, filters: Mapping[str, int], materials: Materials) -> Output:
    if (trace := output.option("trace")) and trace.flag():
        raise trace.error("found true; allowed is false, an output of quantities")
    if (form := output.option("fileFormat")) and form.value not in ("", "bdo", "bdo2019"):
        raise form.error(f"found {form.found()}; allowed is none")
    if not quantities(output):
        raise output.member("quantities").error("found no quantity; allowed are one or more")
    made = tuple(_quantity(quantity, filters, materials) for quantity in quantities(output))
    return Output(output.path, output.member("name").name(), detector, made)


def _quantity(quantity: Value, filters: Mapping[str, int], materials: Materials) -> Quantity:
    keyword, name = quantity.member("keyword").one_of(KEYWORDS), quantity.option("name")
    selection, modifiers = quantity.option("filter"), quantity.option("modifiers")
    return Quantity(
        quantity.path,
        name.name() if name and name.value != "" else keyword,
        keyword,
        place(selection, filters, _FILTERS) if selection else None,
        tuple(map(_scale, modifiers.elements(2) if modifiers else ())),
        _settings(quantity, materials),
    )


def _settings(quantity: Value, materials: Materials) -> dict[str, float | int | str]:
    settings: dict[str, float | int | str] = {}
    rescaled = quantity.option("hasRescale")
    if (rescale := quantity.option("rescale")) and not (rescaled and not rescaled.flag()):
        settings["rescale"] = rescale.real(-1e30, 1e30)
    if offset := quantity.option("offset"):
        settings["offset"] = offset.real(-1e30, 1e30)
    if primaries := quantity.option("primaries"):
        settings["primaries"] = primaries.real(1e-30, 1e30)
    if uuids_of(quantity) or quantity.option("customMaterial"):
        settings["material"] = materials.of(quantity)
    if medium := quantity.option("medium"):
        settings["medium"] = medium.one_of(MEDIA)
    return settings


def _scale(modifier: Value) -> Scale:
    lower, upper, log = modifier.member("lowerLimit"), modifier.member("upperLimit"), modifier.option("isLog")
    low, high = lower.real(-1e12, 1e12), upper.real(-1e12, 1e12)
    if high <= low:
        raise upper.error(f"found {upper.found()}; allowed are values greater than the lower limit, {low:g}")
    logarithmic = log is not None and log.flag()
    if logarithmic and low <= 0:
        raise lower.error(f"found {lower.found()}; a logarithmic scale begins above 0")
    kind = modifier.member("diffType").one_of(SCALES)
    return Scale(modifier.path, kind, low, high, modifier.member("binsNumber").integer(1, MAX_BINS), logarithmic)
