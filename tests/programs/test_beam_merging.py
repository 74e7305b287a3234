"""The built-in beam's results do not depend on how the primaries are shared among tasks."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

from jobs.programs.proton_beam.physics import Array
from jobs.programs.proton_beam.scoring import Scoring
from jobs.programs.proton_beam.transport import Transport, sample_source
from jobs.programs.shieldhit.native import read
from jobs.results.sums import Sums
from tests.programs.test_shieldhit_input import BEAM, files

QUANTITIES = ("Dose", "Fluence", "AvgEnergy", "dLET", "tLET")
DETECT = (
    "Geometry Mesh\n Name Plane\n X -4 4 1\n Y -4 4 16\n Z 0 4 16\nFilter\n Name Later\n Z == 1\n GEN >= 1\n"
    "Output\n Filename a.bdo\n Geo Plane\n" + "".join(f" Quantity {name} Later\n" for name in QUANTITIES)
)
"""Secondary protons alone, in cells of which most have none."""
EACH, RUNS = 40, 30
"""Primaries of a run, and the runs that the tasks share."""

PLAN = read(files(detect=DETECT, beam=BEAM.replace("DELTAE 0.03", "DELTAE 0.2")))


@dataclass(frozen=True)
class Part:
    """A task: its primaries and its pages."""

    primaries: int
    pages: list[dict[str, Any]]


@cache
def simulated(seed: int, primaries: int) -> Scoring:
    scoring, random = Scoring(PLAN), np.random.default_rng(seed)
    transport = Transport(PLAN, scoring, random)
    state = transport.enter_water(sample_source(PLAN.beam, primaries, random))
    while state.shape[1]:
        state = transport.follow(state)
    return scoring


def task(runs: Sequence[tuple[int, int]]) -> Part:
    """The task of these runs: seeds and primaries."""
    scoring, primaries = Scoring(PLAN), sum(number for _, number in runs)
    for seed, number in runs:
        for page, other in zip(scoring.pages["a.bdo"], simulated(seed, number).pages["a.bdo"], strict=True):
            page.sums += other.sums
    return Part(primaries, scoring.estimators(primaries)[0]["pages"])  # type: ignore[arg-type]


@cache
def shared(tasks: int) -> list[Part]:
    """The same runs, shared among tasks."""
    runs = [(seed, EACH) for seed in range(RUNS)]
    return [task(runs[number::tasks]) for number in range(tasks)]


@cache
def apart(tasks: int) -> list[Part]:
    """As many primaries in tasks with seeds of their own."""
    return [task([(1000 * tasks + number, EACH * RUNS // tasks)]) for number in range(tasks)]


def numbers(page: dict[str, Any], kind: str) -> Array | None:
    return np.array(page["data"][kind], dtype=np.float64) if kind in page["data"] else None


def merged(parts: Sequence[Part], quantity: int, *, together: bool = False) -> tuple[Array, Array | None]:
    """Values and errors of a quantity over tasks, of each cell or of all together."""
    first = parts[0].pages[quantity]
    sums = Sums(first["merging"], 1 if together else 16 * 16, weighted="weights" in first["data"])
    for part in parts:
        values, weights = (numbers(part.pages[quantity], kind) for kind in ("values", "weights"))
        assert values is not None
        if together:
            values, weights = _together(values, weights)
        sums.add(part.primaries, values, None, weights)
    return sums.result()


def _together(values: Array, weights: Array | None) -> tuple[Array, Array | None]:
    if weights is None:
        return values.mean(keepdims=True), None
    total = weights.sum(keepdims=True)
    return np.divide(np.nansum(values * weights), total, out=np.full(1, np.nan), where=total > 0), total


@pytest.mark.parametrize("quantity", range(5), ids=QUANTITIES)
@pytest.mark.parametrize("tasks", [7, 30])
def test_the_same_protons_give_the_same_in_one_task_and_in_many(quantity: int, tasks: int) -> None:
    """To 1e-12, also in cells with fewer than five hits, of which most tasks have none."""
    (alone,) = shared(1)
    expected = np.array(alone.pages[quantity]["data"]["values"], dtype=np.float64)
    parts = shared(tasks)
    hit = [np.nan_to_num(np.array(part.pages[quantity]["data"]["values"], dtype=np.float64)) > 0 for part in parts]
    few = (np.sum(hit, axis=0) > 0) & (np.sum(hit, axis=0) < 5)
    assert np.count_nonzero(few) > 10
    assert merged(parts, quantity)[0] == pytest.approx(expected, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("quantity", range(5), ids=QUANTITIES)
def test_other_protons_agree_within_four_standard_errors(quantity: int) -> None:
    """1, 7 and 30 tasks with seeds of their own, in all cells together: of one cell, a few hits tell no error."""
    one, _ = merged(apart(1), quantity, together=True)
    seven, error_of_seven = merged(apart(7), quantity, together=True)
    thirty, error_of_thirty = merged(apart(30), quantity, together=True)
    assert error_of_seven is not None
    assert error_of_thirty is not None
    assert abs(seven - thirty) < 4 * np.hypot(error_of_seven, error_of_thirty)
    assert abs(one - thirty) < 4 * np.hypot(error_of_thirty, error_of_thirty)
    assert 0 < error_of_thirty < thirty


def test_a_quotient_that_one_task_alone_has_is_of_unknown_error() -> None:
    sums = Sums("ratio", 2, weighted=True)
    sums.add(10, np.array([7.0, 7.0]), None, np.array([0.5, 0.5]))
    sums.add(10, np.array([np.nan, 8.0]), None, np.array([0.0, 0.5]))
    values, errors = sums.result()
    assert errors is not None
    assert values.tolist() == [7.0, 7.5]
    assert np.isnan(errors).tolist() == [True, False]
