"""Step-wise transport of many protons at once through a water cylinder.

Protons are columns of a state array of shape (9, n): x, y, z (cm), direction cosines u, v, w, energy (MeV), path in
water since birth (cm) and generation (0 for primaries).
"""

import numpy as np

from jobs.programs.plan import Beam, Cylinder, Plan
from jobs.programs.proton_beam import physics
from jobs.programs.proton_beam.physics import Array
from jobs.programs.proton_beam.scoring import Scoring, Steps

MAX_STEP = 0.1
"""Longest step in cm; keeps the lateral error of straight steps under a percent."""
MIN_STEP = 2e-3
"""Shortest step in cm that DELTAE can ask for."""
_TINY = 1e-7


def sample_source(beam: Beam, count: int, random: np.random.Generator) -> Array:
    """State of `count` new primaries where the beam begins; energies are Gaussian within TCUT0's window."""
    state = np.zeros((9, count))
    low, high = max(beam.energy_low, physics.CUTOFF), min(beam.energy_high, physics.TABLE_TOP)
    energy = beam.energy + beam.spread * random.standard_normal(count)
    for _ in range(50):
        outside = np.flatnonzero((energy < low) | (energy > high))
        if outside.size == 0:
            break
        energy[outside] = beam.energy + beam.spread * random.standard_normal(outside.size)
    state[6] = np.clip(energy, low, high)
    if beam.shape == "circle":
        radius = beam.size[0] * np.sqrt(random.random(count))
        angle = 2.0 * np.pi * random.random(count)
        spot = np.array((radius * np.cos(angle), radius * np.sin(angle)))
    elif beam.shape == "square":
        spot = (2.0 * random.random((2, count)) - 1.0) * np.array(beam.size)[:, None]
    else:
        spot = random.standard_normal((2, count)) * np.array(beam.size)[:, None]
    theta, phi = np.radians(beam.theta), np.radians(beam.phi)
    east = np.array((np.cos(theta) * np.cos(phi), np.cos(theta) * np.sin(phi), -np.sin(theta)))
    north = np.array((-np.sin(phi), np.cos(phi), 0.0))
    if beam.theta == 0.0:
        east, north = np.array((1.0, 0.0, 0.0)), np.array((0.0, 1.0, 0.0))
    along = np.array((np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)))
    state[:3] = np.array(beam.position)[:, None] + east[:, None] * spot[0] + north[:, None] * spot[1]
    state[3:6] = along[:, None]
    return state


def deflect(direction: Array, cosine: Array, angle: Array) -> Array:
    """Unit vectors of shape (3, n) turned by a polar cosine and an azimuth in radians.

    The perpendicular basis is that of Duff et al., J. Comput. Graph. Tech. 6 (2017) 1.
    """
    u, v, w = direction
    sign = np.copysign(1.0, w)
    a = -1.0 / (sign + w)
    b = u * v * a
    sine = np.sqrt(np.maximum(0.0, 1.0 - cosine**2))
    first, second = sine * np.cos(angle), sine * np.sin(angle)
    turned = np.empty_like(direction)
    turned[0] = first * (1.0 + sign * u * u * a) + second * b + cosine * u
    turned[1] = first * sign * b + second * (sign + v * v * a) + cosine * v
    turned[2] = -first * sign * u - second * v + cosine * w
    unit: Array = turned / np.sqrt(np.sum(turned * turned, axis=0))
    return unit


def crossings(water: Cylinder, state: Array) -> tuple[Array, Array]:
    """Distances in cm along the direction at which the cylinder is entered and left; (inf, -inf) for a miss."""
    x, y, z = state[0] - water.x, state[1] - water.y, state[2] - water.z
    u, v, w = state[3], state[4], state[5]
    lateral = np.maximum(u * u + v * v, 1e-24)
    projection = x * u + y * v
    root = projection**2 - lateral * (x * x + y * y - water.radius**2)
    half = np.sqrt(np.maximum(root, 0.0))
    slope = np.copysign(np.maximum(np.abs(w), 1e-12), w)
    ends = np.sort(np.array((-z / slope, (water.length - z) / slope)), axis=0)
    enter = np.maximum((-projection - half) / lateral, ends[0])
    leave = np.minimum((-projection + half) / lateral, ends[1])
    missed = (root < 0.0) | (enter > leave)
    return np.where(missed, np.inf, enter), np.where(missed, -np.inf, leave)


class Transport:
    """Moves protons through the water of a plan and hands each step to the scoring."""

    def __init__(self, plan: Plan, scoring: Scoring, random: np.random.Generator) -> None:
        self.beam = plan.beam
        self.water = plan.geometry.water
        self.scoring = scoring
        self.random = random
        self.table = physics.range_table()

    def enter_water(self, state: Array) -> Array:
        """The protons of `state` that reach the water, moved to its surface through the vacuum before it."""
        enter, leave = crossings(self.water, state)
        hits = (leave > _TINY) & np.isfinite(enter)
        entered: Array = state[:, hits]
        entered[:3] += entered[3:6] * np.maximum(enter[hits], 0.0)
        return entered

    def follow(self, state: Array) -> Array:
        """Follow protons inside the water to their end; the state of the secondary protons born is given back."""
        born: list[Array] = []
        while state.shape[1]:
            state, secondary = self._step(state)
            if secondary.shape[1]:
                born.append(secondary)
        return np.concatenate(born, axis=1) if born else np.empty((9, 0))

    def _step(self, state: Array) -> tuple[Array, Array]:
        """One step of all protons: those still under way, and the secondary protons."""
        energy, count = state[6], state.shape[1]
        residual = self.table.range(energy) / physics.WATER_DENSITY
        wanted = self.beam.step_loss * energy / (self.table.power(energy) * physics.WATER_DENSITY)
        leave = np.maximum(crossings(self.water, state)[1], 0.0)
        step = np.minimum(np.clip(wanted, MIN_STEP, MAX_STEP), residual)
        escaped = leave <= step + _TINY
        step = np.where(escaped, leave, step)
        reacted = np.zeros(count, dtype=np.bool_)
        if self.beam.nuclear:
            free = self._free_path(energy)
            reacted = free < step
            step, escaped = np.where(reacted, free, step), escaped & ~reacted
        thickness = step * physics.WATER_DENSITY

        mean_loss = energy - self.table.energy(np.maximum(residual - step, 0.0) * physics.WATER_DENSITY)
        middle = energy - 0.5 * mean_loss
        loss = mean_loss
        if self.beam.straggling:
            sigma = np.sqrt(physics.straggling_variance(middle, thickness))
            loss = np.clip(mean_loss + sigma * self.random.standard_normal(count), 0.0, 2.0 * mean_loss)
        stopped = energy - loss < physics.CUTOFF
        loss = np.where(stopped, energy, loss)
        mean_loss = np.where(stopped, energy, mean_loss)
        length = np.where(stopped, np.minimum(residual, leave), step)
        self.scoring.tracks(state[:3], state[3:6] * length, state[8], Steps(length, middle, loss, mean_loss))

        after = state.copy()
        after[:3] += state[3:6] * step
        after[6] = energy - loss
        after[7] += step
        reacted &= ~stopped
        secondary = self._react(after[:, reacted]) if reacted.any() else np.empty((9, 0))
        alive = ~(stopped | escaped | reacted)
        after = after[:, alive]
        if self.beam.scattering:
            growth = physics.highland_growth(after[7] * physics.WATER_DENSITY) - physics.highland_growth(
                state[7, alive] * physics.WATER_DENSITY
            )
            self._scatter(after, physics.scattering_variance(middle[alive], growth))
        return after, secondary

    def _free_path(self, energy: Array) -> Array:
        """Distances in cm to the next nuclear reaction, infinite where none can take place."""
        chance = physics.attenuation(energy) * physics.WATER_DENSITY
        depth = self.random.standard_exponential(energy.size)
        path: Array = np.divide(depth, chance, out=np.full(energy.size, np.inf), where=chance > 0.0)
        return path

    def _react(self, state: Array) -> Array:
        """End protons in a reaction; heavy fragments stay on the spot, the secondary protons are given back."""
        emitted, cosine, local = physics.secondaries(state[6], self.random)
        angle = 2.0 * np.pi * self.random.random(cosine.size)
        secondary = np.zeros_like(state)
        secondary[:3] = state[:3]
        secondary[3:6] = deflect(state[3:6], cosine, angle)
        secondary[6] = emitted
        secondary[8] = state[8] + 1.0
        slow = emitted < physics.CUTOFF
        self.scoring.fragments(state[:3], local + np.where(slow, emitted, 0.0), secondary[8])
        result: Array = secondary[:, ~slow]
        return result

    def _scatter(self, state: Array, variance: Array) -> None:
        """Turn the directions in place by Gaussian projected angles of this variance (rad^2)."""
        sigma = np.sqrt(np.maximum(variance, 0.0))
        tangents = sigma * self.random.standard_normal((2, sigma.size))
        polar = np.minimum(np.hypot(tangents[0], tangents[1]), np.pi)
        state[3:6] = deflect(state[3:6], np.cos(polar), np.arctan2(tangents[1], tangents[0]))
