"""The plan of one simulation: beam, geometry, media and outputs, independent of any file format."""

from dataclasses import dataclass, field
from typing import Literal

BeamShape = Literal["gaussian", "circle", "square"]
DetectorKind = Literal["Cyl", "Mesh"]
QuantityName = Literal["Dose", "Fluence", "AvgEnergy", "dLET", "tLET"]


class InputError(ValueError):
    """An input file is wrong or asks for what the program refuses; `line` is 1-based, None for the whole file."""

    def __init__(self, file: str, line: int | None, message: str) -> None:
        super().__init__(f"{file}:{line}: {message}" if line is not None else f"{file}: {message}")
        self.file = file
        self.line = line
        self.message = message


@dataclass(frozen=True)
class Beam:
    """Proton beam: energies in MeV, lengths in cm, angles in degrees, `step_loss` as a fraction of the energy.

    `size` is (sigma x, sigma y) for "gaussian", (radius, 0) for "circle" and the half widths for "square".
    """

    energy: float
    spread: float
    energy_low: float
    energy_high: float
    position: tuple[float, float, float]
    theta: float
    phi: float
    shape: BeamShape
    size: tuple[float, float]
    straggling: int
    scattering: int
    nuclear: bool
    step_loss: float


@dataclass(frozen=True)
class Cylinder:
    """Right circular cylinder along +z: axis at (x, y), from z to z + length, all in cm."""

    x: float
    y: float
    z: float
    length: float
    radius: float

    def contains(self, x: float, y: float, z: float) -> bool:
        """Whether the point (cm) lies inside or on the surface."""
        inside_ends = self.z <= z <= self.z + self.length
        return inside_ends and (x - self.x) ** 2 + (y - self.y) ** 2 <= self.radius**2


@dataclass(frozen=True)
class Medium:
    """Material of mat.dat: its number and its ICRU material number."""

    number: int
    icru: int


@dataclass(frozen=True)
class Geometry:
    """The water body, in vacuum; `title` is the free text of geo.dat."""

    title: str
    water: Cylinder


@dataclass(frozen=True)
class Axis:
    """Equal bins from `start` to `stop` (cm) along "R", "X", "Y" or "Z"."""

    name: str
    start: float
    stop: float
    bins: int


@dataclass(frozen=True)
class Detector:
    """Scoring grid; axes are (R, Z) for "Cyl", centred on the z axis, and (X, Y, Z) for "Mesh"."""

    name: str
    kind: DetectorKind
    axes: tuple[Axis, ...]

    @property
    def bins(self) -> int:
        """Number of cells."""
        total = 1
        for axis in self.axes:
            total *= axis.bins
        return total


@dataclass(frozen=True)
class Condition:
    """One comparison of a particle's "Z", "A" or "GEN" with a whole number."""

    variable: str
    operator: str
    value: int


@dataclass(frozen=True)
class Filter:
    """Named set of conditions that must all hold."""

    name: str
    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class PageRequest:
    """One quantity of an output. `number` is its 0-based place among the Quantity lines, `title` the user's name for
    it."""

    number: int
    quantity: QuantityName
    filter: Filter | None
    title: str | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Output:
    """One result file: its name, its detector and the pages that can be given.

    `name` labels the results; it changes nothing of them, so outputs that differ in it alone are equal.
    """

    filename: str
    detector: Detector
    pages: tuple[PageRequest, ...]
    name: str = field(compare=False)


@dataclass(frozen=True)
class Plan:
    """The plan of one simulation. `unsupported` holds sentences about what was asked for and will be left out."""

    beam: Beam
    geometry: Geometry
    media: tuple[Medium, ...]
    detectors: tuple[Detector, ...]
    filters: tuple[Filter, ...]
    outputs: tuple[Output, ...]
    primaries: int
    seed: int
    unsupported: list[str]
