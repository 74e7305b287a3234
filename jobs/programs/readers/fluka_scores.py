"""What the detectors of FLUKA mean: quantity, unit, axes, and values in the order of the axes.

pymchelper names the quantities. Its readers are not used: they take the ordinal of a USRBDX for its kind of scale, the
axes of the last USRBIN for those of all, energies per cm3 for energies, and know no groups, regions, nuclei or errors.
"""

import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from jobs.programs.readers import OutputError, library
from jobs.programs.readers.fluka_records import Detector, centres
from jobs.programs.readers.pages import Axis

RINGS = frozenset((1, 7, 11, 17))
REGIONS = frozenset((2, 12))
SPECIAL = frozenset((8, 18))
"""Types of USRBIN: R-phi-Z, by region, as a user's routine says; all others are Cartesian."""
NEUTRON = 8
ENERGIES = frozenset((208, 211))
"""The generalised particles ENERGY and EM-ENRGY, whose fluence is one of energy."""
_CORRECTED: Mapping[str, tuple[str, float]] = {"DPA-SCO": ("", 1.0), "SI1MEVNE": ("/cm^2", 1.0)}
"""Units where pymchelper's are not those of FLUKA's manual: displacements per atom, and a fluence."""
_WHOLE: Mapping[str, str] = {
    "MeV/cm^3": "MeV",
    "MeV/g": "MeV cm^3/g",
    "/cm^2": "cm",
    "cm-2": "cm",
    "pSv": "pSv cm^3",
}
"""Units of what is scored by region, which FLUKA does not divide by the volume."""


@dataclass(frozen=True)
class Score:
    """`errors` are standard errors; the first axis is fastest."""

    name: str
    unit: str
    title: str
    axes: Sequence[Axis]
    values: "array[float]"
    errors: "array[float] | None" = None
    metadata: Mapping[str, str] = field(default_factory=dict)


def score(detector: Detector, file: str, number: int) -> Score:
    """What a detector, of this number in the file, has scored; raises OutputError."""
    _check(detector, file, number)
    return _KINDS[detector.kind.card](detector, file)


def has_groups_apart(detector: Detector) -> bool:
    """Whether a detector has groups of low-energy neutrons beside bins of other particles of the same energies."""
    return len(detector.groups) > 1 and int(detector.number(3)) != NEUTRON


def groups_score(detector: Detector, file: str, number: int) -> Score:
    """The groups of low-energy neutrons of such a detector; raises OutputError."""
    _check(detector, file, number)
    made = _KINDS[detector.kind.card](replace(detector, only_groups=True), file)
    return replace(made, name=f"{made.name} of low-energy neutrons")


def _check(detector: Detector, file: str, number: int) -> None:
    counts = [detector.number(place) for place in _BINS[detector.kind.card]]
    where = f"page {number}, {detector.name}"
    for count in counts:
        if not 1 <= count <= len(detector.values):
            raise OutputError(file, f"{where}: {count:g} bins, and {len(detector.values)} values")
    counts[0] += max(len(detector.groups) - 1, 0)
    if math.prod(counts) != len(detector.values):
        raise OutputError(file, f"{where}: {len(detector.values)} values, but its bins are {math.prod(counts):g}")


def _usrbin(detector: Detector, file: str) -> Score:
    kind = int(detector.number(2))
    name, unit, factor = _quantity(int(detector.number(3)), file)
    if kind in REGIONS | SPECIAL:
        unit = _WHOLE.get(unit, unit.removesuffix("/cm^3"))
    axes = [_mesh_axis(detector, kind, place) for place in range(3)]
    return Score(name, unit, detector.name, axes, *_scaled(detector, factor))


def _quantity(code: int, file: str) -> tuple[str, str, float]:
    """Name, unit and the factor to it of what a USRBIN scores."""
    names = library("readers.fluka", file)
    particle = names.get_particle_from_db(code)
    if particle is None:
        return f"scorer {code}", "", 1.0
    name = str(particle.name)
    unit, factor = _CORRECTED.get(name) or names.UsrbinScoring.get_unit_and_factor_for_scoring(name)
    if unit == "MeV":
        return name, "MeV/cm^3", factor
    if unit or name in _CORRECTED:
        return name, unit, factor
    return f"FLUENCE {name}", "/cm^2", 1.0


def _mesh_axis(detector: Detector, kind: int, place: int) -> Axis:
    """An axis of a USRBIN: its head has the first border, the last, the bins and the width of each, axis by axis."""
    low, high = (detector.number(4 + 4 * place + more) for more in (0, 1))
    count = int(detector.number(6 + 4 * place))
    if kind in REGIONS:
        step = detector.number(7 + 4 * place) or 1.0
        name = ("Region", "Region of the second set", "Region of the third set")[place]
        return Axis(name, "", [low + step * index for index in range(count)])
    if kind in SPECIAL and place < 2:
        step = detector.number(7 + 4 * place) or 1.0
        return Axis(("First variable", "Second variable")[place], "", [low + step * index for index in range(count)])
    if kind in SPECIAL:
        return Axis("Third variable", "", _even(low, high, count))
    if kind in RINGS:
        name, unit = (("Radius (R)", "cm"), ("Angle (PHI)", "rad"), ("Position (Z)", "cm"))[place]
        return Axis(name, unit, _even(-math.pi, math.pi, count) if place == 1 else _even(low, high, count))
    return Axis(f"Position ({'XYZ'[place]})", "cm", _even(low, high, count))


def _usrtrack(detector: Detector, file: str) -> Score:
    energies, order = _energies(detector, file, detector.number(2) < 0, (7, 8, 9))
    about = {"region": f"{detector.number(4):g}", "volume": f"{detector.number(5):g}"}
    unit = f"{_energy_of(detector)}cm-2 GeV-1"
    return Score("fluence", unit, detector.name, [energies], *_ordered(detector, order), about)


def _usrbdx(detector: Detector, file: str) -> Score:
    kind = int(detector.number(2))
    energies, order = _energies(detector, file, kind < 0, (10, 11, 12))
    angles = _angles(detector, file, abs(kind) == 2)
    each = len(detector.values) // len(angles.values)
    order = [angle * each + place for angle in range(len(angles.values)) for place in order]
    name = "fluence" if detector.number(8) else "current"
    about = {"area": f"{detector.number(6):g}", "two_way": str(bool(detector.number(7))).lower()}
    unit = f"{_energy_of(detector)}cm-2 GeV-1 sr-1"
    return Score(name, unit, detector.name, [energies, angles], *_ordered(detector, order), about)


def _resnuclei(detector: Detector, file: str) -> Score:
    """The first axis is Z from 1, the second N - Z from one more than the number that the head gives, -5 or less."""
    excess, highest, least = (int(detector.number(place)) for place in (5, 6, 7))
    axes = [
        Axis("Z", "", [float(number + 1) for number in range(highest)]),
        Axis("N - Z", "", [float(least + number + 1) for number in range(excess)]),
    ]
    about = {"region": f"{detector.number(3):g}", "volume": f"{detector.number(4):g}"}
    return Score("residual nuclei", "/cm^3", detector.name, axes, *_scaled(detector, 1.0), about)


_KINDS: Mapping[str, Callable[[Detector, str], Score]] = {
    "USRBIN": _usrbin,
    "USRTRACK": _usrtrack,
    "USRBDX": _usrbdx,
    "RESNUCLE": _resnuclei,
}


_BINS: Mapping[str, Sequence[int]] = {"USRBIN": (6, 10, 14), "USRTRACK": (9,), "USRBDX": (12, 16), "RESNUCLE": (5, 6)}
"""Where the head has numbers of bins."""


def _energy_of(detector: Detector) -> str:
    return "GeV " if int(detector.number(3)) in ENERGIES else ""


def _even(low: float, high: float, count: int) -> list[float]:
    return centres(_borders(low, high, count, False), logarithmic=False)


def _energies(
    detector: Detector, file: str, logarithmic: bool, places: tuple[int, int, int]
) -> tuple[Axis, Sequence[int]]:
    """The axis of energies, ascending, and where the value of each of its bins stands.

    First come the values of the even bins, from the lowest, then those of the groups of low-energy neutrons, from the
    highest. Of neutrons, the even bins below the limit of the groups are empty: the groups take their place, and the
    bin across the limit begins there.
    """
    low, high, count = (detector.number(place) for place in places)
    bins = int(count)
    if logarithmic and not 0.0 < low < high:
        raise OutputError(file, f"{detector.name}: a logarithmic scale from {low:g} to {high:g} GeV")
    groups = [float(f"{border:.7g}") for border in detector.groups]
    if not all(0.0 < below < above for above, below in pairwise(groups)):
        raise OutputError(file, f"{detector.name}: the borders of its groups do not fall")
    middles = centres(groups, logarithmic=True)[::-1]
    order = list(range(bins, bins + len(middles)))[::-1]
    if has_groups_apart(detector):
        if detector.only_groups:
            return Axis("kinetic energy", "GeV", middles), order
        middles, order, groups = [], [], []
    limit = groups[0] if groups else -math.inf
    for place, (lower, upper) in enumerate(pairwise(_borders(low, high, bins, logarithmic))):
        if upper > limit * (1 + 1e-6):
            middles += centres([max(lower, limit), upper], logarithmic)
            order.append(place)
    return Axis("kinetic energy", "GeV", middles), order


def _borders(low: float, high: float, count: int, logarithmic: bool) -> list[float]:
    if logarithmic:
        return [low * (high / low) ** (index / count) for index in range(count + 1)]
    return [low + (high - low) * index / count for index in range(count + 1)]


def _angles(detector: Detector, file: str, logarithmic: bool) -> Axis:
    """The axis of solid angles; on a logarithmic scale the first bin goes from 0 to the lower limit."""
    low, high, count = detector.number(14), detector.number(15), int(detector.number(16))
    if not logarithmic:
        return Axis("solid angle", "sr", _even(low, high, count))
    if not 0.0 < low < high:
        raise OutputError(file, f"{detector.name}: a logarithmic scale from {low:g} to {high:g} sr")
    ratio = (high / low) ** (1.0 / max(count - 1, 1))
    rest = centres([low * ratio**index for index in range(count)], logarithmic=True)
    return Axis("solid angle", "sr", [low / 2, *rest])


def _scaled(detector: Detector, factor: float) -> tuple["array[float]", "array[float] | None"]:
    """Values, and standard errors from the relative ones."""
    values = array("d", detector.values if factor == 1.0 else (factor * value for value in detector.values))
    if detector.errors is None:
        return values, None
    return values, array("d", (abs(value) * error for value, error in zip(values, detector.errors, strict=True)))


def _ordered(detector: Detector, order: Sequence[int]) -> tuple["array[float]", "array[float] | None"]:
    values, errors = _scaled(detector, 1.0)
    return array("d", (values[place] for place in order)), errors and array("d", (errors[place] for place in order))
