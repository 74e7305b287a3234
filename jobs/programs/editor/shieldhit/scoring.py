"""Write detect.dat."""

import re

from jobs.programs.editor.csg import whole
from jobs.programs.editor.model import Detector, Filter, Quantity, Simulation
from jobs.programs.editor.omissions import Omissions
from jobs.programs.editor.shieldhit.materials import Media
from jobs.programs.editor.values import NativeFile, plain, words
from jobs.programs.editor.volumes import Volumes
from jobs.programs.plan import InputError
from jobs.programs.shieldhit.names import Named

EVERYTHING = "Everything"
"""A filter that all particles pass, for quantities that have settings and no filter: these are told by their places."""

_PARTICLES = {1: (0, 1), 2: (1, 1), 7: (-1, 1), 21: (1, 2), 22: (1, 3), 23: (2, 3), 24: (2, 4)}
"""Charge and mass number."""
_BY_ID = (3, 4, 5, 8, 9, 10, 11, 15, 16)
_UNNAMED = re.compile(r"Quantity(_\d+)?")


def scoring(
    simulation: Simulation, media: Media, omissions: Omissions, volumes: Volumes
) -> tuple[NativeFile, dict[str, Named]]:
    """detect.dat, and the users' names of outputs and their quantities by file name.

    Raises InputError for what SHIELD-HIT12A can't express.
    """
    file = NativeFile("detect.dat", "scoringManager.outputs")
    detectors = words(detector.name for detector in simulation.detectors)
    for detector, name in zip(simulation.detectors, detectors, strict=True):
        if lines := _lines_of(detector, simulation, volumes):
            file.add(detector.path, f"Geometry {detector.kind}", f"    Name {name}", *lines, "")
    quantities = _Quantities(simulation, media)
    kept = [(output, omissions.expressible(output, quantities.chosen)) for output in simulation.outputs]
    quantities.write(file)
    names: dict[str, Named] = {}
    for (output, chosen), word in zip(kept, words(output.name for output, _ in kept), strict=True):
        file.add(output.path, "Output", f"    Filename {word}.bdo")
        file.add(f"{output.path}.detectorUuid", f"    Geo {detectors[output.detector]}")
        for quantity, further in chosen:
            file.add(f"{quantity.path}.keyword", f"    {' '.join(('Quantity', quantity.keyword, *further))}")
            _scales(quantity, file)
        file.add(output.path, "")
        names[f"{word}.bdo"] = Named(output.name, tuple(quantity.name for quantity, _ in chosen))
    return file, names


class _Quantities:
    """The filters and settings that quantities name."""

    def __init__(self, simulation: Simulation, media: Media) -> None:
        self._simulation, self._media = simulation, media
        *self._filters, self._everything = words([*(each.name for each in simulation.filters), EVERYTHING])
        set_up = [each for output in simulation.outputs for each in output.quantities if each.settings]
        names = words(_settings_name(quantity, simulation) for quantity in set_up)
        self._settings = {quantity.path: name for quantity, name in zip(set_up, names, strict=True)}
        self._set: list[tuple[Quantity, list[str]]] = []
        self._unfiltered = False

    def chosen(self, quantity: Quantity) -> list[str]:
        """The words after a quantity's keyword: its filter and its settings, told by their places."""
        words: list[str] = []
        if quantity.filter is not None:
            _rules_of(self._simulation.filters[quantity.filter])
            words.append(self._filters[quantity.filter])
        if quantity.settings:
            self._set.append((quantity, _set(quantity, self._media)))
            self._unfiltered |= not words
            words = [*(words or [self._everything]), self._settings[quantity.path]]
        return words

    def write(self, file: NativeFile) -> None:
        """Add the filters, and the settings of the chosen quantities."""
        for selection, name in zip(self._simulation.filters, self._filters, strict=True):
            try:
                rules = _rules_of(selection)
            except InputError:
                continue  # no quantity has it
            file.add(selection.path, "Filter", f"    Name {name}", *rules, "")
        if self._unfiltered:
            file.add("scoringManager.filters", "Filter", f"    Name {self._everything}", "    GEN >= 0", "")
        for quantity, lines in self._set:
            file.add(quantity.path, "Settings", f"    Name {self._settings[quantity.path]}", *lines, "")


def _lines_of(detector: Detector, simulation: Simulation, volumes: Volumes) -> list[str]:
    """The lines of a detector, none for one that is not used and can't be written."""
    if detector.kind == "All":
        return ["    # everywhere"]
    if detector.zone is not None:
        zone = simulation.zones[detector.zone]
        if not detector.used and not whole(zone.terms):
            return []
        return [f"    Zone {detector.zone + 1}", f"    Volume {plain(volumes.of(zone))}"]
    if any(detector.centre):
        if detector.used:
            x, y = detector.centre
            message = f"found a cylinder around ({x:g}, {y:g}); SHIELD-HIT12A has those around the z axis alone"
            raise InputError(f"{detector.path}.geometryData.position", None, message)
        return []
    return [f"    {each.name} {plain(each.start)} {plain(each.stop)} {each.bins}" for each in detector.axes]


def _rules_of(selection: Filter) -> list[str]:
    """The lines of a filter; raises InputError for a particle that has no rule."""
    if selection.particle is None:
        return [f"    {rule.keyword} {rule.operator} {plain(rule.value)}" for rule in selection.rules]
    if selection.particle in _PARTICLES:
        z, a = _PARTICLES[selection.particle]
        return [f"    Z == {z}", f"    A == {a}"]
    if selection.particle in _BY_ID:
        return [f"    ID == {selection.particle}"]
    allowed = ", ".join(map(str, sorted((*_PARTICLES, *_BY_ID))))
    message = f"found {selection.particle}; SHIELD-HIT12A filters {allowed}"
    raise InputError(f"{selection.path}.particle.id", None, message)


def _settings_name(quantity: Quantity, simulation: Simulation) -> str:
    """What YAPTIDE's converter calls the settings of a quantity."""
    if not _UNNAMED.fullmatch(quantity.name):
        return "".join(letter for letter in quantity.name if letter.isalnum() or letter == "_")
    settings = quantity.settings
    before = "Absolute_" if "primaries" in settings else "Rescaled_" if "rescale" in settings else ""
    after = f"_to_{settings['medium']}" if "medium" in settings else ""
    if "material" in settings and not after:
        after = f"_to_{simulation.materials[int(settings['material'])].name}"
    return f"{before}{quantity.keyword}_{quantity.name}{after}"


def _set(quantity: Quantity, media: Media) -> list[str]:
    lines = [
        f"    {key.capitalize()} {plain(float(quantity.settings[key]))}"
        for key in ("rescale", "offset", "primaries")
        if key in quantity.settings
    ]
    if "material" in quantity.settings:
        lines.append(f"    Medium {media.number(int(quantity.settings['material']))}")
    if "medium" in quantity.settings:
        lines.append(f"    NKMedium {quantity.settings['medium']}")
    return lines


def _scales(quantity: Quantity, file: NativeFile) -> None:
    for number, scale in enumerate(quantity.scales, start=1):
        log = " log" if scale.log else ""
        file.add(
            scale.path,
            f"    Diff{number} {plain(scale.low)} {plain(scale.high)} {scale.bins}{log}",
            f"    Diff{number}Type {scale.kind}",
        )
