"""Write beam.dat."""

import math
from collections.abc import Mapping

from jobs.programs.editor.beam import HEAVY_ION, PARTICLES
from jobs.programs.editor.bodies import Vector
from jobs.programs.editor.model import Beam, Modulator, Physics
from jobs.programs.editor.values import NativeFile, plain
from jobs.programs.plan import InputError

SEED = 89736501
"""What YAPTIDE's converter always writes."""
SOURCE = "sobp.dat"
FAR = 1e6
"""An upper cut in MeV that cuts nothing, for beams that have a lower one alone."""
POINT = 1e-6
"""Half width in cm of a flat beam without one: the signs of BEAMSIGMA tell the shape, and 0 has none."""

_OTHERS = (6, 12, 26)
"""Particles that SHIELD-HIT12A's beams can't have."""
_IONS = (21, 22, 23, 24, HEAVY_ION)


def beam(source: Beam, physics: Physics, modulator: Modulator | None) -> tuple[NativeFile, Mapping[str, str]]:
    """beam.dat, and the files that it names. Raises InputError for what SHIELD-HIT12A can't express."""
    particle, path = source.particle, source.path
    if particle.id in _OTHERS:
        raise InputError(
            f"{particle.path}.id",
            None,
            f"found {particle.id} ({PARTICLES[particle.id][0].lower()}); allowed are "
            f"{', '.join(str(id) for id in PARTICLES if id not in _OTHERS)}",
        )
    file, files = NativeFile("beam.dat", path), {}
    seed = SEED if source.seed is None else source.seed
    file.add(f"{path}.seed", f"RNDSEED      {seed}     ! random seed")
    file.add(f"{particle.path}.id", f"JPART0       {particle.id}            ! particle")
    if particle.id == HEAVY_ION:
        file.add(particle.path, f"HIPROJ       {particle.a} {particle.z}  ! mass number and charge")
    _energies(source, file)
    file.add(f"{path}.numberOfParticles", f"NSTAT        {source.primaries} 0  ! primaries")
    _physics(physics, file)
    if modulator:
        files[modulator.name] = modulator.text
        _modulator(modulator, file)
    file.add(f"{path}.position", f"BEAMPOS      {' '.join(map(plain, source.position))}  ! start of the beam (cm)")
    theta, phi = angles(source.direction)
    file.add(f"{path}.direction", f"BEAMDIR      {plain(theta)} {plain(phi)}  ! theta and phi (degrees)")
    file.add(f"{path}.sigma", f"BEAMSIGMA    {_spot(source)}  ! shape and size (cm), by their signs")
    if source.sad:
        file.add(f"{path}.sad", f"BEAMSAD      {' '.join(map(plain, source.sad))}  ! source to axis (cm)")
    if source.source is not None:
        files[SOURCE] = source.source
        file.add(f"{path}.sourceType", f"USECBEAM     {SOURCE}  ! file of beams")
    return file, files


def angles(direction: Vector) -> tuple[float, float]:
    """Polar and azimuthal angle in degrees, the latter from 0 to 360."""
    x, y, z = direction
    phi = math.degrees(math.atan2(y, x)) if x or y else 0.0
    return math.degrees(math.atan2(math.hypot(x, y), z)), phi if phi >= 0 else phi + 360.0


def _energies(source: Beam, file: NativeFile) -> None:
    """Energies of ions are per nucleon, those of all else are not."""
    a, ion = source.particle.a, source.particle.id in _IONS
    factor = 1 / a if ion and not source.per_nucleon else 1.0
    unit = "MeV per nucleon" if ion else "MeV"
    mean, spread = plain(source.energy * factor), plain(source.spread * factor)
    file.add(f"{source.path}.energy", f"TMAX0        {mean} {spread}  ! energy and its spread ({unit})")
    if source.cut_low is None and source.cut_high is None:
        return
    low, high = source.cut_low or 0.0, max(FAR, 10 * source.energy) if source.cut_high is None else source.cut_high
    path = f"{source.path}.energy{'Low' if source.cut_high is None else 'High'}Cutoff"
    cut = f"{plain(low * factor)} {plain(high * factor)}"
    file.add(path, f"TCUT0        {cut}  ! least and greatest energy ({unit})")


def _physics(physics: Physics, file: NativeFile) -> None:
    file.add(
        physics.path,
        f"STRAGG       {physics.straggling}  ! straggling: 0 off, 1 Gauss, 2 Vavilov",
        f"MSCAT        {physics.scattering}  ! scattering: 0 off, 1 Gauss, 2 Moliere",
        f"NUCRE        {int(physics.nuclear)}  ! nuclear reactions: 0 off, 1 on",
        f"DELTAE       {plain(physics.step_loss)}  ! energy lost in a step, as a fraction",
    )


def _modulator(modulator: Modulator, file: NativeFile) -> None:
    file.add(
        modulator.path,
        f"USEBMOD      {modulator.zone + 1} {modulator.name}  ! zone and file of the beam modulator",
        f"BMODMC       {int(modulator.sampling)}  ! 0 modulus, 1 sampling",
        f"BMODTRANS    {int(modulator.vacuum)}  ! 0 material, 1 vacuum",
    )


def _spot(source: Beam) -> str:
    """The two numbers of BEAMSIGMA: both negative a square, only the second negative a circle."""
    x, y = source.size
    if source.shape == "gaussian":
        return f"{plain(x)} {plain(y)}"
    return f"{plain(-max(x, POINT) if source.shape == 'square' else 1.0)} {plain(-max(y, POINT))}"
