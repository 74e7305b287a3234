"""Write detect.dat from the detectors, filters and outputs of a project of YAPTIDE's editor."""

from collections.abc import Sequence
from typing import get_args

from jobs.programs.editor.geometry import MAX_LENGTH, MIN_LENGTH, unrotated
from jobs.programs.editor.values import NativeFile, Value, by_uuid, place, plain, word
from jobs.programs.plan import QuantityName
from jobs.programs.shieldhit.detectors import MAX_BINS, MAX_CONDITIONS, MAX_QUANTITIES, MAX_SECTIONS, OPERATORS
from jobs.programs.shieldhit.names import Named

_DETECTORS = "detectorManager.detectors"
_FILTERS = "scoringManager.filters"
_PARTICLES = {1: (0, 1), 2: (1, 1), 21: (1, 2), 22: (1, 3), 23: (2, 3), 24: (2, 4)}
"""Charge and mass numbers of SHIELD-HIT12A's particles: neutron, proton, deuteron, triton, helium-3 and helium-4."""
_DIFFERENTIALS = ("ANGLE", "DEDX", "E", "EAMU", "ENUC", "MDEDX", "TL", "Z", "Zeff", "Z2Beta2", "Zeff2Beta2")
_Known = tuple[dict[str, int], list[str]]
_SETTINGS = ("medium", "offset", "primaries", "materialUuid", "customMaterial", "rescale")


def scoring(project: Value) -> tuple[NativeFile, dict[str, Named]]:
    """detect.dat of a project and the users' names of its outputs and their quantities by file name.

    Differential spectra are written, for SHIELD-HIT12A, though the program leaves them out. Raises InputError with the
    path of what is wrong.
    """
    detect = NativeFile("detect.dat", "scoringManager.outputs")
    detectors = project.member("detectorManager").member("detectors").elements(MAX_SECTIONS)
    for detector in detectors:
        _detector(detector, detect)
    manager = project.member("scoringManager")
    filters = manager.member("filters").elements(MAX_SECTIONS)
    for selection in filters:
        _filter(selection, detect)
    names: dict[str, Named] = {}
    outputs = manager.member("outputs").elements(MAX_SECTIONS)
    known = (by_uuid(detectors), _names(detectors)), (by_uuid(filters), _names(filters))
    for output in outputs:
        name = output.member("name")
        file_name = f"{word(name.name())}.bdo"
        if file_name in names:
            raise name.error(f"found {name.found()}; another output has the file {file_name} already")
        quantities = _output(output, file_name, known, detect)
        names[file_name] = Named(name.name(), tuple(quantities))
    return detect, names


def _names(values: Sequence[Value]) -> list[str]:
    """Names of detectors or of filters as words, which must differ."""
    names: list[str] = []
    for value in values:
        name = value.member("name")
        if word(name.name()) in names:
            raise name.error(f"found {name.found()}, which is given twice")
        names.append(word(name.name()))
    return names


def _detector(detector: Value, detect: NativeFile) -> None:
    geometry = detector.member("geometryData")
    kind = geometry.member("geometryType")
    axes = kind.choice({"Cyl": _cylinder, "Mesh": _mesh})
    unrotated(geometry)
    detect.add(detector.path, f"Geometry {kind.value}", f"    Name {word(detector.member('name').name())}")
    parameters = geometry.member("parameters")
    for line in axes(geometry, parameters):
        detect.add(parameters.path, f"    {line}")
    detect.add(detector.path, "")


def _cylinder(geometry: Value, parameters: Value) -> list[str]:
    position = geometry.member("position")
    x, y, z = position.vector(MAX_LENGTH)
    if x or y:
        raise position.error(f"found a cylinder around ({x:g}, {y:g}); allowed are those around the z axis")
    inner = parameters.option("innerRadius")
    low = inner.real(0, MAX_LENGTH) if inner else 0.0
    radius = parameters.member("radius")
    high = radius.real(MIN_LENGTH, MAX_LENGTH)
    if high - low < MIN_LENGTH:
        raise radius.error(f"found {high:g}; allowed are values greater than the inner radius, {low:g}")
    bins = parameters.member("radialSegments").integer(1, MAX_BINS)
    return [f"R {plain(low)} {plain(high)} {bins}", _axis("Z", z, parameters, "depth", "zSegments")]


def _mesh(geometry: Value, parameters: Value) -> list[str]:
    x, y, z = geometry.member("position").vector(MAX_LENGTH)
    return [
        _axis("X", x, parameters, "width", "xSegments"),
        _axis("Y", y, parameters, "height", "ySegments"),
        _axis("Z", z, parameters, "depth", "zSegments"),
    ]


def _axis(name: str, centre: float, parameters: Value, length: str, segments: str) -> str:
    half = parameters.member(length).real(MIN_LENGTH, MAX_LENGTH) / 2
    return f"{name} {plain(centre - half)} {plain(centre + half)} {parameters.member(segments).integer(1, MAX_BINS)}"


def _filter(selection: Value, detect: NativeFile) -> None:
    detect.add(selection.path, "Filter", f"    Name {word(selection.member('name').name())}")
    if particle := selection.option("particle"):
        id = particle.member("id")
        numbers = _PARTICLES.get(id.integer(0, 1000))
        if numbers is None:
            raise id.error(f"found {id.found()}; allowed are {', '.join(map(str, _PARTICLES))}")
        detect.add(particle.path, f"    Z == {numbers[0]}", f"    A == {numbers[1]}")
        return
    for rule in selection.member("rules").elements(MAX_CONDITIONS):
        variable = rule.member("keyword").one_of(("Z", "A", "GEN"))
        operator = rule.member("operator").one_of(OPERATORS)
        detect.add(rule.path, f"    {variable} {operator} {rule.member('value').integer(-1000, 1000)}")


def _output(output: Value, file_name: str, known: tuple[_Known, _Known], detect: NativeFile) -> list[str]:
    """Write an output; what its quantities are called."""
    (detectors, detector_names), filters = known
    if (trace := output.option("trace")) and trace.flag():
        raise trace.error("found true; allowed is false, an output of quantities")
    if (form := output.option("fileFormat")) and form.value != "":
        raise form.error(f"found {form.found()}; allowed is none")
    geo = detector_names[place(output.member("detectorUuid"), detectors, _DETECTORS)]
    detect.add(output.path, "Output", f"    Filename {file_name}", f"    Geo {geo}")
    quantities = output.member("quantities")
    if not quantities.elements(MAX_QUANTITIES):
        raise quantities.error("found no quantity; allowed are one or more")
    called = [_quantity(quantity, filters, detect) for quantity in quantities.elements(MAX_QUANTITIES)]
    detect.add(output.path, "")
    return called


def _quantity(quantity: Value, filters: _Known, detect: NativeFile) -> str:
    """Write a quantity; what it is called: its keyword, where it has no name."""
    keyword = quantity.member("keyword").one_of(get_args(QuantityName))
    line = f"    Quantity {keyword}"
    for key in _SETTINGS:
        if setting := quantity.option(key):
            raise setting.error(f"found {setting.found()}; allowed are quantities without settings")
    uuids, names = filters
    if selection := quantity.option("filter"):
        line += f" {names[place(selection, uuids, _FILTERS)]}"
    detect.add(quantity.path, line)
    modifiers = quantity.option("modifiers")
    for number, modifier in enumerate(modifiers.elements(2) if modifiers else (), start=1):
        low = modifier.member("lowerLimit").real(-1e6, 1e6)
        upper = modifier.member("upperLimit")
        high = upper.real(-1e6, 1e6)
        if high <= low:
            raise upper.error(f"found {upper.found()}; allowed are values greater than the lower limit, {low:g}")
        bins = modifier.member("binsNumber").integer(1, MAX_BINS)
        scale = " log" if (log := modifier.option("isLog")) and log.flag() else ""
        by = modifier.member("diffType").one_of(_DIFFERENTIALS)
        detect.add(modifier.path, f"    Diff{number} {plain(low)} {plain(high)} {bins}{scale}")
        detect.add(modifier.path, f"    Diff{number}Type {by}")
    return name.name() if (name := quantity.option("name")) else keyword
