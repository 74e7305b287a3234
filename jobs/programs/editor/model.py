"""What a project of YAPTIDE's editor asks for, whatever program is to run it. Lengths are in cm, angles in degrees.

Each part has the `path` in the project that it comes from. A part that is not `used` may be left out.
"""

from dataclasses import dataclass, field
from typing import Literal

from jobs.programs.editor.bodies import Body, Vector
from jobs.programs.plan import Axis

Terms = tuple[int, ...]
"""Bodies that a point must lie in, counted from 1, and negative those that it must lie outside of."""

BLACK_HOLE = 0
VACUUM = 1000
"""ICRU numbers that the editor gives to what is no material."""


@dataclass(frozen=True)
class Material:
    """A material by its ICRU number. `density` is in g/cm3, `ionisation` the mean ionisation potential in eV; None
    stands for the library's. `custom` ones belong to one zone or quantity, whose user changed them; `table` asks for a
    stopping power table of one's own."""

    path: str
    name: str
    icru: int
    density: float | None
    used: bool = True
    custom: bool = False
    table: bool = False
    ionisation: float | None = None

    @property
    def solid(self) -> bool:
        """Whether it is a material at all."""
        return self.icru not in (BLACK_HOLE, VACUUM)


@dataclass(frozen=True)
class Zone:
    """A zone: the union of its terms, filled with a material (its place in the list of materials)."""

    path: str
    uuid: str
    terms: tuple[Terms, ...]
    material: int


@dataclass(frozen=True)
class World:
    """What is around the zones, up to the surface of a body."""

    path: str
    body: Body
    material: int


@dataclass(frozen=True)
class Particle:
    """A particle of the beam: the editor's number of it, mass number and charge."""

    path: str
    id: int
    a: int
    z: int


@dataclass(frozen=True)
class Beam:
    """The beam. Energies are in MeV, or in MeV per nucleon where `per_nucleon`; `spread` is one standard deviation.

    `size` is (sigma x, sigma y) for "gaussian", (0, radius) for "circle" and the half widths for "square". `sad` has
    one or two distances of the source from the axis. `source` is the text of a file of beams. `direction` has the
    length 1.
    """

    path: str
    particle: Particle
    energy: float
    spread: float
    cut_low: float | None
    cut_high: float | None
    per_nucleon: bool
    position: Vector
    direction: Vector
    shape: Literal["gaussian", "square", "circle"]
    size: tuple[float, float]
    sad: tuple[float, ...]
    source: str | None
    primaries: int
    seed: int | None


@dataclass(frozen=True)
class Physics:
    """Models of the transport: 0 is off, 1 Gaussian, 2 Vavilov's or Moliere's. `tables` are files of stopping powers by
    ICRU number: name and text."""

    path: str
    straggling: int
    scattering: int
    nuclear: bool
    step_loss: float
    tables: dict[int, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Modulator:
    """A beam modulator in a zone (its place in the list of zones), with the file that describes it."""

    path: str
    zone: int
    sampling: bool
    vacuum: bool
    name: str
    text: str


@dataclass(frozen=True)
class Detector:
    """Where is scored: a mesh (x, y, z), rings around an axis parallel to z at `centre` (r, z), a zone, or all."""

    path: str
    name: str
    kind: Literal["Mesh", "Cyl", "Zone", "All"]
    axes: tuple[Axis, ...] = ()
    centre: tuple[float, float] = (0.0, 0.0)
    zone: int | None = None
    used: bool = True


@dataclass(frozen=True)
class Rule:
    """One comparison of a property of a particle."""

    path: str
    keyword: str
    operator: str
    value: float


@dataclass(frozen=True)
class Filter:
    """Which particles are scored: those of a kind, or those that obey all rules."""

    path: str
    name: str
    particle: int | None
    rules: tuple[Rule, ...]
    used: bool = True


@dataclass(frozen=True)
class Scale:
    """Bins of a differential quantity."""

    path: str
    kind: str
    low: float
    high: float
    bins: int
    log: bool


@dataclass(frozen=True)
class Quantity:
    """What is scored, through which filter (its place in the list), on up to two differential scales.

    `settings` has what else was set, by its key in the project: `primaries`, `rescale`, `offset`, `medium`, and
    `material`, the place of a material.
    """

    path: str
    name: str
    keyword: str
    filter: int | None
    scales: tuple[Scale, ...]
    settings: dict[str, float | int | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Output:
    """What one detector (its place in the list) scores, in a file of its own."""

    path: str
    name: str
    detector: int
    quantities: tuple[Quantity, ...]


@dataclass(frozen=True)
class Simulation:
    """A whole project."""

    title: str
    bodies: tuple[Body, ...]
    materials: tuple[Material, ...]
    zones: tuple[Zone, ...]
    world: World | None
    beam: Beam
    physics: Physics
    modulator: Modulator | None
    detectors: tuple[Detector, ...]
    filters: tuple[Filter, ...]
    outputs: tuple[Output, ...]
