"""Write the beam."""

import math

from jobs.programs.editor.beam import HEAVY_ION, PARTICLES, UNCUT
from jobs.programs.editor.fluka.cards import card
from jobs.programs.editor.model import Beam, Physics
from jobs.programs.editor.values import NativeFile
from jobs.programs.plan import InputError

FWHM = 2 * math.sqrt(2 * math.log(2))
"""Full width at half maximum of a Gaussian, in standard deviations."""
POINT = 1e-6
"""A width in cm that stands for none, where FLUKA would take 0 for a width that is not given."""
COSINE = 1e8
"""Cosines are cut after eight decimals, so that rounding makes no vector longer than 1."""
FAR = 5.0
"""Standard deviations beyond which a cut of the beam's energies changes nothing."""

_MASSES = {
    **{1: 939.5654, 2: 938.2721, 3: 139.5704, 4: 139.5704, 5: 134.9768, 6: 939.5654, 7: 938.2721, 8: 493.677},
    **{9: 493.677, 10: 497.611, 11: 497.611, 12: 0.0, 15: 105.6584, 16: 105.6584, 21: 1875.6129, 22: 2808.9211},
    **{23: 2808.3916, 24: 3727.3794, HEAVY_ION: 931.4941, 26: 0.510999},
}
"""Masses in MeV, of a heavy ion for each nucleon."""


def beam(source: Beam, file: NativeFile) -> None:
    """Add BEAM, HI-PROPE and BEAMPOS; raises InputError for what FLUKA's own source can't express."""
    _expressible(source)
    particle = source.particle
    factor = _factor(source)
    energy, spread = source.energy * factor, source.spread * factor
    mass = _MASSES[particle.id]
    momentum_spread = -FWHM * spread / _beta(energy, mass) / 1000 + 0.0
    file.add(
        f"{source.path}.energy",
        card("BEAM", -energy / 1000, momentum_spread, 0.0, *_spot(source), sdum=PARTICLES[particle.id][0]),
    )
    if particle.id == HEAVY_ION:
        file.add(particle.path, card("HI-PROPE", float(particle.z), float(particle.a)))
    x, y = (math.trunc(cosine * COSINE) / COSINE for cosine in source.direction[:2])
    sdum = "NEGATIVE" if source.direction[2] < 0 else ""
    file.add(f"{source.path}.position", card("BEAMPOS", *source.position, x, y, sdum=sdum))


def physics(given: Physics) -> None:
    """Raise InputError for what FLUKA's defaults for hadron therapy have on. The models are FLUKA's own."""
    for key, on, allowed in (
        ("energyModelStraggling", given.straggling, "Gaussian and Vavilov, for FLUKA's own model"),
        ("multipleScattering", given.scattering, "Gaussian and Moliere, for FLUKA's own model"),
        ("enableNuclearReactions", given.nuclear, "true"),
    ):
        if not on:
            raise InputError(f"{given.path}.{key}", None, f"found it off; for FLUKA allowed are {allowed}")


def _factor(source: Beam) -> float:
    """FLUKA takes the energy of a heavy ion per nucleon, of all else as a whole."""
    a = source.particle.a or 1
    if source.particle.id == HEAVY_ION:
        return 1.0 if source.per_nucleon else 1 / a
    return float(a) if source.per_nucleon else 1.0


def _beta(energy: float, mass: float) -> float:
    total = energy + mass
    return math.sqrt(total**2 - mass**2) / total


def _spot(source: Beam) -> tuple[float, float, float]:
    """Widths: full ones of a rectangle, the radii of a ring, and negative the half maximum's of a Gaussian."""
    x, y = source.size
    if source.shape == "circle":
        return max(y, POINT), POINT / 10, -1.0
    if source.shape == "square":
        return 2 * max(x, POINT), 2 * max(y, POINT), 1.0
    if not x and not y:
        return 0.0, 0.0, 1.0
    return -FWHM * max(x, POINT), -FWHM * max(y, POINT), 1.0


def _expressible(source: Beam) -> None:
    if source.sad:
        raise InputError(f"{source.path}.sad.type", None, "found a distance of the source; for FLUKA allowed is none")
    if source.source is not None:
        raise InputError(f"{source.path}.sourceType", None, "found 'file'; for FLUKA allowed is simple")
    low, high = source.cut_low, source.cut_high
    if (low, high) == UNCUT:
        return
    near = FAR * source.spread
    if low is not None and low > max(source.energy - near, 0.0):
        raise InputError(f"{source.path}.energyLowCutoff", None, f"found {low:g}; {_FAR_CUTS}")
    if high is not None and high < source.energy + near:
        raise InputError(f"{source.path}.energyHighCutoff", None, f"found {high:g}; {_FAR_CUTS}")


_FAR_CUTS = f"FLUKA can't cut the energies of a beam: allowed are cuts at least {FAR:g} standard deviations away"
