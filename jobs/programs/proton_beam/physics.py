"""Protons of 1 to 400 MeV in liquid water: energy loss, scattering and non-elastic nuclear reactions."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

PROTON_MASS = 938.27209
"""Proton rest energy in MeV (CODATA 2018)."""
ELECTRON_MASS = 0.51099895
"""Electron rest energy in MeV (CODATA 2018)."""
BETHE_CONSTANT = 0.307075
"""K = 4 pi N_A r_e^2 m_e c^2 in MeV cm2/mol (Particle Data Group, Review of Particle Physics, ch. 34)."""
MEAN_EXCITATION_ENERGY = 75.0e-6
"""I of liquid water in MeV: 75 eV (ICRU Report 49, 1993), the value behind NIST PSTAR's ranges."""
WATER_Z_OVER_A = 10.0 / 18.01528
"""Electrons per molar mass of water, mol/g."""
WATER_DENSITY = 1.0
"""Density of ICRU material 276 (liquid water), g/cm3."""
RADIATION_LENGTH = 36.08
"""Radiation length of water in g/cm2 (Particle Data Group)."""
OXYGEN_PER_GRAM = 6.02214076e23 / 18.01528
"""Oxygen nuclei in a gram of water."""

CUTOFF = 1.0
"""Energy in MeV below which a proton stops where it is; its range there is 25 micrometres (PSTAR)."""
TABLE_TOP = 400.0
REACTION_THRESHOLD = 7.0
"""Energy in MeV under which no reaction on oxygen takes place: about the first excited levels of O-16."""
HEAVY_SHARE = 0.065 / 0.43
"""Share of a reaction's energy not carried by protons that stays on the spot (see `secondaries`)."""

_CUTOFF_RANGE = 2.458e-3


def beta_squared(energy: Array) -> Array:
    """(v/c)^2 of protons with kinetic energy in MeV."""
    return 1.0 - (PROTON_MASS / (energy + PROTON_MASS)) ** 2


def stopping_power(energy: Array) -> Array:
    """Electronic mass stopping power in MeV cm2/g for energies >= 1 MeV.

    Bethe's formula with the exact maximum energy transfer, without shell and density corrections (Particle Data
    Group, Review of Particle Physics, eq. 34.5; ICRU Report 49).
    """
    beta2 = beta_squared(energy)
    gamma2 = 1.0 / (1.0 - beta2)
    ratio = ELECTRON_MASS / PROTON_MASS
    transfer = 2.0 * ELECTRON_MASS * beta2 * gamma2 / (1.0 + 2.0 * np.sqrt(gamma2) * ratio + ratio**2)
    logarithm = 0.5 * np.log(2.0 * ELECTRON_MASS * beta2 * gamma2 * transfer / MEAN_EXCITATION_ENERGY**2)
    result: Array = BETHE_CONSTANT * WATER_Z_OVER_A / beta2 * (logarithm - beta2)
    return result


@dataclass(frozen=True)
class RangeTable:
    """Ranges (g/cm2) in the continuous-slowing-down approximation and stopping powers (MeV cm2/g) at `energies`."""

    energies: Array
    ranges: Array
    powers: Array

    def range(self, energy: Array) -> Array:
        """CSDA range in g/cm2 of protons with energy in MeV."""
        return np.interp(energy, self.energies, self.ranges)

    def energy(self, residual_range: Array) -> Array:
        """Energy in MeV of protons with this CSDA range in g/cm2."""
        return np.interp(residual_range, self.ranges, self.energies)

    def power(self, energy: Array) -> Array:
        """Stopping power in MeV cm2/g."""
        return np.interp(energy, self.energies, self.powers)


@cache
def range_table() -> RangeTable:
    """Table from 0 to 400 MeV: the integral of 1/S above 1 MeV; below it R ~ E^1.5 (Geiger's rule).

    The range at 1 MeV is NIST PSTAR's, 2.458e-3 g/cm2 (Berger et al., NISTIR 4999).
    """
    energies = np.geomspace(CUTOFF, TABLE_TOP, 4000)
    powers = stopping_power(energies)
    slowness = energies / powers
    steps = 0.5 * (slowness[1:] + slowness[:-1]) * np.diff(np.log(energies))
    ranges = _CUTOFF_RANGE + np.concatenate(([0.0], np.cumsum(steps)))
    low = np.linspace(0.0, CUTOFF, 50, endpoint=False)
    return RangeTable(
        np.concatenate((low, energies)),
        np.concatenate((_CUTOFF_RANGE * (low / CUTOFF) ** 1.5, ranges)),
        np.concatenate((np.full(low.size, powers[0]), powers)),
    )


def csda_range(energy: float) -> float:
    """CSDA range in g/cm2 of a proton with energy in MeV."""
    return float(range_table().range(np.array([energy]))[0])


def straggling_variance(energy: Array, thickness: Array) -> Array:
    """Variance in MeV^2 of the energy loss in `thickness` (g/cm2).

    Bohr's variance with its relativistic factor (Bohr, Mat. Fys. Medd. 18, 8 (1948); ICRU Report 49, sec. 2).
    """
    beta2 = beta_squared(energy)
    factor = (1.0 - 0.5 * beta2) / (1.0 - beta2)
    return BETHE_CONSTANT * ELECTRON_MASS * WATER_Z_OVER_A * factor * thickness


def highland_growth(path: Array) -> Array:
    """l (1 + ln(l)/20.7)^2 with l = path/X0: the path dependence of the squared Highland angle; path in g/cm2.

    Its differences give each step's share (the differential form of Highland's formula: Kanematsu, Nucl. Instrum.
    Methods B 266 (2008) 5056), so the angle after many steps does not depend on their length.
    """
    length = np.maximum(path / RADIATION_LENGTH, 1e-9)
    result: Array = length * (1.0 + np.log(length) / 20.7) ** 2
    return result


def scattering_variance(energy: Array, growth: Array) -> Array:
    """Variance in rad^2 of the projected angle over a step across which `highland_growth` rises by `growth`.

    Highland's constant 14.1 MeV (Highland, Nucl. Instrum. Methods 129 (1975) 497 and 161 (1979) 171).
    """
    momentum_velocity = energy * (energy + 2.0 * PROTON_MASS) / (energy + PROTON_MASS)
    return (14.1 / momentum_velocity) ** 2 * growth


def reaction_cross_section(energy: Array) -> Array:
    """Total reaction cross section of protons on O-16 in cm2, zero below the threshold.

    Universal parameterisation of Tripathi, Cucinotta and Wilson, Nucl. Instrum. Methods B 117 (1996) 347.
    """
    safe = np.maximum(energy, REACTION_THRESHOLD)
    root = 16.0 ** (1.0 / 3.0)
    centre_of_mass = safe * 16.0 / 17.0
    size = 1.0 + root
    radius = 1.29 * (0.85 + 2.70) + 1.2 * size / np.cbrt(centre_of_mass)
    barrier = 1.44 * 8.0 / radius
    transparency = 2.05 * (1.0 - np.exp(-safe / 40.0)) - 0.292 * np.exp(-safe / 792.0) * np.cos(0.229 * safe**0.453)
    overlap = 1.85 * root / size + 0.16 * root / size / np.cbrt(centre_of_mass) - transparency
    section = np.pi * 1.1**2 * (size + overlap) ** 2 * (1.0 - barrier / centre_of_mass) * 1e-26
    return np.where(energy < REACTION_THRESHOLD, 0.0, section)


def attenuation(energy: Array) -> Array:
    """Probability of a non-elastic reaction per g/cm2 of water; hydrogen has none below pion production."""
    return OXYGEN_PER_GRAM * reaction_cross_section(energy)


def secondaries(energy: Array, random: np.random.Generator) -> tuple[Array, Array, Array]:
    """Energy (MeV) and polar cosine of one secondary proton per reaction, and the energy left on the spot (MeV).

    Over many reactions protons carry 0.57 of the energy, heavier fragments 0.065 and neutral particles, which leave
    unseen, the rest: the shares for 150 MeV on oxygen of Seltzer, NISTIR 5221 (1993). That there is one proton whose
    share f is spread as f^(1/3) is a simplification. Angles follow exp(a cos) with the slope a of Kalbach,
    Phys. Rev. C 37 (1988) 2350, separation energies neglected.
    """
    share = random.random(energy.size) ** 0.75
    emitted = share * energy
    slope = np.maximum(
        0.04 * share * np.minimum(energy, 130.0)
        + 1.8e-6 * (share * np.minimum(energy, 130.0)) ** 3
        + 6.7e-7 * (share * np.minimum(energy, 41.0)) ** 4,
        1e-3,
    )
    uniform = random.random(energy.size)
    cosine = 1.0 + np.log(uniform + (1.0 - uniform) * np.exp(-2.0 * slope)) / slope
    return emitted, np.clip(cosine, -1.0, 1.0), HEAVY_SHARE * (energy - emitted)
