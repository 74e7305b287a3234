"""Write the detectors: USRBIN on a grid, USRTRACK in a zone."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from jobs.programs.editor.beam import PARTICLES
from jobs.programs.editor.bodies import Vector
from jobs.programs.editor.fluka.cards import card
from jobs.programs.editor.fluka.geometry import region
from jobs.programs.editor.model import Detector, Filter, Output, Quantity, Simulation
from jobs.programs.editor.omissions import Omissions
from jobs.programs.editor.values import NativeFile
from jobs.programs.editor.volumes import Volumes
from jobs.programs.plan import InputError
from jobs.programs.shieldhit.names import Named

FIRST_UNIT, LAST_UNIT = 21, 99


@dataclass(frozen=True)
class _Place:
    """Where an output is scored: its detector, in which file, and within which simulation."""

    simulation: Simulation
    output: Output
    unit: int
    volumes: Volumes

    @property
    def detector(self) -> Detector:
        return self.simulation.detectors[self.output.detector]

    def filter(self, quantity: Quantity) -> Filter | None:
        return None if quantity.filter is None else self.simulation.filters[quantity.filter]


_Cards = Callable[[int], list[str]]
"""The cards of a detector, from its number among those of its kind."""


def scoring(
    simulation: Simulation, stem: str, file: NativeFile, omissions: Omissions, volumes: Volumes
) -> dict[str, Named]:
    """Add the detectors, each output in a file of its own; returns the users' names by the names of these files.

    Raises InputError for what FLUKA's detectors can't express.
    """
    names: dict[str, Named] = {}
    grids = 0
    if len(simulation.outputs) > LAST_UNIT - FIRST_UNIT + 1:
        message = f"found {len(simulation.outputs)} outputs; FLUKA has room for {LAST_UNIT - FIRST_UNIT + 1}"
        raise InputError("scoringManager.outputs", None, message)
    for unit, output in enumerate(simulation.outputs, start=FIRST_UNIT):
        place = _Place(simulation, output, unit, volumes)
        grid = place.detector.kind in ("Mesh", "Cyl")
        express = _grid if grid else _track
        made = omissions.expressible(output, partial(_expressed, place, express))
        for quantity, cards in made:
            grids += grid
            file.add(quantity.path, *cards(grids))
        names[f"{stem}_fort.{unit}"] = Named(output.name, tuple(quantity.name for quantity, _ in made))
    return names


def _expressed(place: _Place, express: Callable[[_Place, Quantity], _Cards], quantity: Quantity) -> _Cards:
    for key in quantity.settings:
        path = f"{quantity.path}.{'materialUuid' if key == 'material' else key}"
        raise InputError(path, None, "found a setting; for FLUKA allowed are quantities without settings")
    return express(place, quantity)


def _grid(place: _Place, quantity: Quantity) -> _Cards:
    if quantity.keyword not in ("Dose", "Fluence"):
        message = f"found {quantity.keyword!r}; for FLUKA allowed are Dose, Fluence"
        raise InputError(f"{quantity.path}.keyword", None, message)
    if quantity.scales:
        message = "found a differential scale; for FLUKA allowed are those of a zone's fluence"
        raise InputError(quantity.scales[0].path, None, message)
    particle, code = _filtered(place.filter(quantity))
    what = "DOSE" if quantity.keyword == "Dose" else "ALL-PART"
    aside: float | str | None = particle if code is None else code
    if quantity.keyword == "Fluence" and particle is not None:
        what, aside = particle, None
    kind, ends, starts, bins = _binning(place.detector)
    cards = [
        card("USRBIN", kind, what, -float(place.unit), *ends, sdum=_name(quantity.name, place.unit)),
        card("USRBIN", *starts, *bins, sdum="&"),
    ]

    def numbered(number: int) -> list[str]:
        if aside is None:
            return cards
        return [*cards, card("AUXSCORE", "USRBIN", aside, None, float(number), float(number), 1.0)]

    return numbered


def _binning(detector: Detector) -> tuple[float, Vector, Vector, Vector]:
    """The kind of a USRBIN; and the ends, the starts and the numbers of its bins, as on its cards."""
    if detector.kind == "Mesh":
        x, y, z = detector.axes
        return (
            10.0,
            (x.stop, y.stop, z.stop),
            (x.start, y.start, z.start),
            (float(x.bins), float(y.bins), float(z.bins)),
        )
    r, z = detector.axes
    across, up = detector.centre
    return 11.0, (r.stop, up, z.stop), (r.start, across, z.start), (float(r.bins), 1.0, float(z.bins))


def _track(place: _Place, quantity: Quantity) -> _Cards:
    """The track length in a zone by energy, divided by its volume: cm-2 GeV-1 for each primary."""
    zone, selection = place.detector.zone, place.filter(quantity)
    if zone is None:
        message = "found a detector without a place; for FLUKA allowed are meshes, cylinders and zones"
        raise InputError(f"{place.output.path}.detectorUuid", None, message)
    if quantity.keyword != "Fluence":
        message = f"found {quantity.keyword!r}; in a zone FLUKA scores Fluence"
        raise InputError(f"{quantity.path}.keyword", None, message)
    if [scale.kind for scale in quantity.scales] != ["E"]:
        message = "FLUKA scores a zone's fluence on one differential scale; allowed is E"
        raise InputError(f"{quantity.path}.modifiers", None, message)
    particle, code = _filtered(selection)
    if code is not None and selection is not None:
        message = "found rules; in a zone FLUKA filters by a particle"
        raise InputError(f"{selection.path}.rules", None, message)
    (scale,) = quantity.scales
    size = place.volumes.of(place.simulation.zones[zone])
    what = (-1.0 if scale.log else 1.0, particle or "ALL-PART", -float(place.unit), region(zone), size)
    cards = [
        card("USRTRACK", *what, float(scale.bins), sdum=_name(quantity.name, place.unit)),
        card("USRTRACK", scale.high / 1000, scale.low / 1000, sdum="&"),
    ]
    return lambda _: cards


def _filtered(selection: Filter | None) -> tuple[str | None, float | None]:
    """FLUKA's name of the particles that a filter takes, or the code of an isotope; both None for all particles."""
    if selection is None:
        return None, None
    if selection.particle is not None:
        return PARTICLES[selection.particle][0], None
    found: dict[str, int] = {}
    for rule in selection.rules:
        if rule.keyword not in ("A", "Z") or rule.operator != "==":
            message = f"found {rule.keyword} {rule.operator}; for FLUKA allowed are A == and Z =="
            raise InputError(rule.path, None, message)
        if found.setdefault(rule.keyword, int(rule.value)) != rule.value:
            raise InputError(rule.path, None, f"found a second {rule.keyword}, which no particle obeys")
    return _isotope(selection.path, found.get("Z"), found.get("A"))


def _isotope(path: str, z: int | None, a: int | None) -> tuple[str | None, float | None]:
    """A charge or mass number of 0 stands for any in FLUKA's code, so neutrons go by their name."""
    if (z, a) == (None, None):
        return None, None
    if (z, a) == (0, 1):
        return "NEUTRON", None
    if (z, a) == (-1, 1):
        return "APROTON", None
    if (z is not None and not 1 <= z <= 110) or (a is not None and not 1 <= a <= 300):
        message = f"found Z {z}, A {a}; for FLUKA allowed are Z of 1 to 110 and A of 1 to 300, neutrons and antiprotons"
        raise InputError(f"{path}.rules", None, message)
    return None, -(100.0 * (z or 0) + 100_000.0 * (a or 0))


def _name(name: str, unit: int) -> str:
    """At most ten characters: the first of the name, and some that differ between names and units."""
    digest = base64.b64encode(hashlib.sha256(f"{name}_{unit}".encode()).digest()).decode()
    letters = digest.replace("+", "a").replace("/", "b").replace("=", "")
    start = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name[:4])
    return f"{start}_{letters[:5]}"
