"""Read the beam, the physics and the beam modulator of a project."""

import math
from collections.abc import Container, Mapping, Sequence
from typing import Literal

from jobs.programs.editor.bodies import Vector
from jobs.programs.editor.model import Beam, Modulator, Particle, Physics
from jobs.programs.editor.values import MAX_LENGTH, Value, place
from jobs.programs.shieldhit import names
from jobs.programs.texts import LEFT_OUT

MAX_PRIMARIES = 1_000_000_000
MAX_SEED = 900_000_000
MAX_ENERGY = 1e8
UNCUT = (0.0, 1000.0)
"""The cuts that the editor has at first. They cut nothing: a beam may have more energy."""

PARTICLES: Mapping[int, tuple[str, int, int]] = {
    1: ("NEUTRON", 1, 0),
    2: ("PROTON", 1, 1),
    3: ("PION-", 0, -1),
    4: ("PION+", 0, 1),
    5: ("PIZERO", 0, 0),
    6: ("ANEUTRON", 1, 0),
    7: ("APROTON", 1, -1),
    8: ("KAON-", 0, -1),
    9: ("KAON+", 0, 1),
    10: ("KAONZERO", 0, 0),
    11: ("KAONLONG", 0, 0),
    12: ("PHOTON", 0, 0),
    15: ("MUON-", 0, -1),
    16: ("MUON+", 0, 1),
    21: ("DEUTERON", 2, 1),
    22: ("TRITON", 3, 1),
    23: ("3-HELIUM", 3, 2),
    24: ("4-HELIUM", 4, 2),
    25: ("HEAVYION", 12, 6),
    26: ("ELECTRON", 0, -1),
}
"""The editor's particles: name, mass number and charge; those of the heavy ion are the project's."""
HEAVY_ION = 25

_STRAGGLING = {"no straggling": 0, "Gaussian": 1, "Vavilov": 2}
_SCATTERING = {"no scattering": 0, "Gaussian": 1, "Moliere": 2}
_SHAPES: dict[str, Literal["gaussian", "square", "circle"]] = {
    "Gaussian": "gaussian",
    "Flat square": "square",
    "Flat circular": "circle",
}
_NATIVE = ("beam.dat", "mat.dat", "geo.dat", "detect.dat", "sobp.dat", names.FILE, LEFT_OUT)
"""Files that a conversion writes itself."""


def beam(value: Value) -> Beam:
    """The beam of a project; raises InputError with the path of what is wrong."""
    particle = _particle(value.member("particle"))
    unit = value.option("energyUnit")
    per_nucleon = unit is not None and unit.one_of(("MeV", "MeV/nucl")) == "MeV/nucl"
    if unit and per_nucleon and not particle.a:
        raise unit.error(f"found {unit.found()}; allowed is MeV for a particle without nucleons")
    energy = value.member("energy").real(1e-9, MAX_ENERGY)
    low, high = _cuts(value, energy)
    _parallel(value)
    shape, size = _spot(value.member("sigma"))
    seed = value.option("seed")
    return Beam(
        value.path,
        particle,
        energy,
        value.member("energySpread").real(0.0, energy),
        low,
        high,
        per_nucleon,
        value.member("position").vector(MAX_LENGTH),
        _direction(value.member("direction")),
        shape,
        size,
        _sad(value.option("sad")),
        _source(value),
        value.member("numberOfParticles").integer(1, MAX_PRIMARIES),
        seed.integer(1, MAX_SEED) if seed else None,
    )


def particle_number(value: Value) -> int:
    """The editor's number of a particle; raises InputError for one that it does not have."""
    id = value.member("id")
    number = id.integer(0, 10_000)
    if number not in PARTICLES:
        raise id.error(f"found {id.found()}; allowed are {', '.join(map(str, PARTICLES))}")
    return number


def _particle(value: Value) -> Particle:
    number = particle_number(value)
    _, a, z = PARTICLES[number]
    if number == HEAVY_ION:
        a, z = value.member("a").integer(1, 300), value.member("z").integer(1, 120)
        if z > a:
            raise value.member("z").error(f"found {z}; allowed are charges up to the mass number, {a}")
    return Particle(value.path, number, a, z)


def _cuts(value: Value, energy: float) -> tuple[float | None, float | None]:
    """The least and the greatest energy of the beam, which the mean energy lies between. None: not cut there."""
    lower, upper = value.option("energyLowCutoff"), value.option("energyHighCutoff")
    low = lower.real(0.0, MAX_ENERGY) if lower else None
    high = upper.real(0.0, MAX_ENERGY) if upper else None
    if lower and upper and low is not None and high is not None and high <= low:
        raise upper.error(f"found {upper.found()}; allowed are values greater than the lower cut, {low:g}")
    if (low, high) == UNCUT:
        return (None, None) if energy > UNCUT[1] else UNCUT
    for cut, allowed in ((lower, energy), (upper, None)):
        if cut and (cut.real(0.0, MAX_ENERGY) > energy if allowed else cut.real(0.0, MAX_ENERGY) < energy):
            side = "up to" if allowed else "from"
            raise cut.error(
                f"found {cut.found()}, which does not include the energy; allowed are values {side} {energy:g}"
            )
    return low, high


def _parallel(value: Value) -> None:
    divergence = value.option("divergence")
    for key in ("x", "y"):
        number = divergence.option(key) if divergence else None
        if number and number.real(-1e6, 1e6):
            raise number.error(f"found {number.found()}; allowed is 0, a parallel beam")


def _direction(value: Value) -> Vector:
    """The direction as a vector of length 1."""
    vector = value.vector(1e6)
    length = math.hypot(*vector)
    if not length:
        raise value.error("found [0, 0, 0]; allowed is a vector that points somewhere")
    x, y, z = (part / length + 0.0 for part in vector)
    return x, y, z


def _spot(sigma: Value) -> tuple[Literal["gaussian", "square", "circle"], tuple[float, float]]:
    shape = sigma.member("type").choice(_SHAPES)
    y = abs(sigma.member("y").real(-MAX_LENGTH, MAX_LENGTH))
    x = 0.0 if shape == "circle" else abs(sigma.member("x").real(-MAX_LENGTH, MAX_LENGTH))
    return shape, (x, y)


def _sad(sad: Value | None) -> tuple[float, ...]:
    kind = sad.option("type") if sad else None
    if sad is None or kind is None:
        return ()
    keys = kind.choice({"none": (), "single": ("x",), "double": ("x", "y")})
    return tuple(sad.member(key).real(-MAX_LENGTH, MAX_LENGTH) for key in keys)


def _source(value: Value) -> str | None:
    kind = value.option("sourceType")
    if kind is None or kind.one_of(("simple", "file")) == "simple":
        return None
    text = value.member("sourceFile").member("value").content()
    if not text.strip():
        raise value.member("sourceFile").member("value").error("found an empty file; allowed is a file of beams")
    return text


def physics(value: Value, tabled: Container[int]) -> Physics:
    """The physics of a project, with the tables of stopping powers of the ICRU numbers in `tabled`.

    What is absent is as the editor has it at first.
    """
    straggling, scattering = value.option("energyModelStraggling"), value.option("multipleScattering")
    nuclear, loss = value.option("enableNuclearReactions"), value.option("energyLoss")
    files = value.option("availableStoppingPowerFiles")
    tables: dict[int, tuple[str, str]] = {}
    for key, file in files.members() if files else ():
        if not key.isdecimal() or int(key[:9]) not in tabled:
            continue
        taken = [*_NATIVE, *(name for name, _ in tables.values())]
        name = file.member("name").file_name(taken)
        tables[file.member("icru").integer(1, 999)] = (name, file.member("content").content())
    return Physics(
        value.path,
        straggling.choice(_STRAGGLING) if straggling else 2,
        scattering.choice(_SCATTERING) if scattering else 2,
        nuclear.flag() if nuclear else True,
        loss.real(1e-6, 0.5) if loss else 0.03,
        tables,
    )


def modulator(manager: Value | None, zones: Mapping[str, int], taken: Sequence[str]) -> Modulator | None:
    """The beam modulator of a project, whose file has none of the names `taken`. A CT scan is refused."""
    if manager and (scan := manager.option("CTCube")):
        raise scan.error("found a CT scan; allowed is none")
    value = manager.option("modulator") if manager else None
    if value is None:
        return None
    zone = value.member("geometryData").member("parameters").member("zoneUuid")
    method, mode = value.option("simulationMethod"), value.option("interpretationMode")
    file = value.member("sourceFile")
    name, content = file.option("name"), file.member("value")
    if not content.content().strip():
        raise content.error("found an empty file; allowed is a file that describes the modulator")
    return Modulator(
        value.path,
        place(zone, zones, "zoneManager.zones"),
        method is not None and method.one_of(("modulus", "sampling")) == "sampling",
        mode is not None and mode.one_of(("material", "vacumm", "vacuum")) != "material",
        (name if name and name.value else Value("modulator.dat", file.below("name"))).file_name([*_NATIVE, *taken]),
        content.content(),
    )
