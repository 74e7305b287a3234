"""ABX errors, against a computation by the definition."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import product
from statistics import fmean

import numpy as np
import pytest

from jobs.programs.evaluators import discrimination, warping
from jobs.programs.evaluators.folder import reference_in
from jobs.programs.evaluators.items import COLUMNS, items_in
from tests.evaluators.conftest import Challenge, Challenges

Sound = list[list[float]]
Row = tuple[str, float, float, str, str, str, str]


def cosine(one: list[float], other: list[float]) -> float:
    norms = math.hypot(*one) * math.hypot(*other)
    if not norms:
        return 0.0 if not any(one) and not any(other) else 0.5
    return math.acos(max(-1.0, min(1.0, sum(a * b for a, b in zip(one, other, strict=True)) / norms))) / math.pi


def kl(one: list[float], other: list[float]) -> float:
    p, q = ([value / sum(frame) for value in frame] for frame in (one, other))
    return sum((a - b) * math.log(a / b) for a, b in zip(p, q, strict=True)) / 2


DISTANCES: dict[str, Callable[[list[float], list[float]], float]] = {"cosine": cosine, "euclidean": math.dist, "kl": kl}


def paths(rows: int, columns: int) -> Iterator[list[tuple[int, int]]]:
    """Every path from the first pair of frames to the last."""
    if (rows, columns) == (1, 1):
        yield [(0, 0)]
        return
    for i, j in ((rows - 1, columns), (rows, columns - 1), (rows - 1, columns - 1)):
        if i and j:
            yield from ([*path, (rows - 1, columns - 1)] for path in paths(i, j))


def aligned(one: Sound, other: Sound, distance: str) -> float:
    """The mean along the path of the least sum, and among those the shortest: all are tried."""
    found = []
    for path in paths(len(one), len(other)):
        total = 0.0
        for i, j in path:
            total += DISTANCES[distance](one[i], other[j])
        found.append((total, len(path)))
    total, steps = min(found)
    return total / steps


def by_definition(rows: list[Row], sounds: list[Sound], distance: str, across: bool) -> float:
    """The error: triples, then means over contexts, speakers and pairs of phones."""
    cells: dict[tuple[tuple[str, str], tuple[str, str], tuple[str, str]], list[float]] = defaultdict(list)
    for (a, one), (b, two), (x, three) in product(enumerate(rows), repeat=3):
        same_context = one[4:6] == two[4:6] == three[4:6]
        speakers = one[6] == two[6] and (three[6] != one[6] if across else three[6] == one[6])
        if a != x and same_context and speakers and one[3] == three[3] != two[3]:
            to_a, to_b = (aligned(sounds[other], sounds[x], distance) for other in (a, b))
            wrong = 0.5 if math.isclose(to_a, to_b, rel_tol=1e-9) else float(to_a > to_b)
            cells[(one[3], two[3]), (one[6], three[6]), one[4:6]].append(wrong)
    contexts, speakers_of = defaultdict(list), defaultdict(list)
    for (phones, by, _), values in cells.items():
        contexts[phones, by].append(fmean(values))
    for (phones, _), values in contexts.items():
        speakers_of[phones].append(fmean(values))
    return fmean(fmean(values) for values in speakers_of.values())


def spoken(challenge: Challenge, rows: list[Row]) -> None:
    challenge.table("reference/items.csv", COLUMNS, *rows)


def array(challenge: Challenge, name: str, frames: object, kind: str = "f8") -> None:
    path = challenge.put(f"submission/features/{name}.npy", b"")
    np.save(path, np.array(frames, kind))


@pytest.fixture
def speech(challenge: Challenges) -> Challenge:
    """Two phones of two speakers, twice each, of one frame each: a points right, b points up."""
    made = challenge("abx")
    rows: list[Row] = []
    for speaker in ("ann", "bob"):
        for place, phone in enumerate("aabb"):
            rows.append((speaker, place / 100, place / 100 + 0.01, phone, "s", "t", speaker))
        array(made, speaker, [[1, 0], [1, 0.1], [0, 1], [0.1, 1]])
    spoken(made, rows)
    return made


@pytest.mark.parametrize("distance", DISTANCES)
def test_errors_are_those_of_the_definition(challenge: Challenges, distance: str) -> None:
    made, chance = challenge("abx"), np.random.default_rng(8)
    rows: list[Row] = []
    sounds: list[Sound] = []
    for file in ("one", "two", "three"):
        frames = chance.random((70, 3)) + 0.01
        at = 0
        for _ in range(13):
            length = int(chance.integers(1, 5))
            previous = str(chance.choice(["s", "t"]))
            phone, speaker = str(chance.choice(["a", "b", "c"])), f"speaker of {file}" if at % 2 else "ann"
            rows.append((file, at / 100, (at + length) / 100, phone, previous, "u", speaker))
            sounds.append(frames[at : at + length].tolist())
            at += length + 1
        array(made, file, frames)
    spoken(made, rows)
    scores = made.run("--distance", distance).scores
    assert scores["within"] == pytest.approx(by_definition(rows, sounds, distance, across=False), abs=1e-12)
    assert scores["across"] == pytest.approx(by_definition(rows, sounds, distance, across=True), abs=1e-12)
    assert 0.2 < scores["within"] < 0.8, "not an error that is right by chance"


def test_equal_sums_take_the_shortest_path() -> None:
    """Frames with many paths of the same sum, in a batch of all lengths."""
    chance = np.random.default_rng(2)
    sounds = [chance.integers(0, 2, (length, 1)).astype(float) for length in (5, 3, 1, 4, 5, 2)]
    found = warping.distances_of(sounds, "euclidean", lambda _: None)
    for i, j in product(range(6), repeat=2):
        assert found[i, j] == pytest.approx(aligned(sounds[i].tolist(), sounds[j].tolist(), "euclidean"))


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(3)
    sounds = [chance.random((int(length), 4)) for length in chance.integers(1, 20, 25)]
    whole = warping.distances_of(sounds, "cosine", lambda _: None)
    monkeypatch.setattr(warping, "_VALUES", 1)
    done: list[int] = []
    assert np.allclose(warping.distances_of(sounds, "cosine", done.append), whole, rtol=1e-12)
    assert sum(done) == 25 * 24 // 2


def test_triples_in_parts_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    distances = np.random.default_rng(4).integers(0, 4, (9, 9)).astype(float)
    cell = discrimination.Cell(("a", "b"), "ann", "ann", [0, 1, 2, 3, 4], [5, 6, 7, 8], [0, 1, 2, 3, 4])
    whole = discrimination.error(distances + distances.T, cell)
    monkeypatch.setattr(discrimination, "_COMPARED", 1)
    assert discrimination.error(distances + distances.T, cell) == whole


def test_features_that_tell_phones_apart_have_no_error(speech: Challenge) -> None:
    ended = speech.process()
    assert ended.status == 0, ended.message
    assert ended.progress[-1] == "evaluated 28 of 28"
    assert ended.scores == {
        "within": 0,
        "across": 0,
        "pairs": {"within": 2, "across": 2},
        "triples": {"within": 2 * 2 * 2 * 1 * 2, "across": 2 * 2 * 2 * 2 * 2},
        "items": 8,
        "distance": "cosine",
        "step": 0.01,
    }


def test_features_that_tell_nothing_are_at_one_half(speech: Challenge) -> None:
    for speaker in ("ann", "bob"):
        array(speech, speaker, np.full((4, 3), 0.1))
    scores = speech.run().scores
    assert (scores["within"], scores["across"]) == (0.5, 0.5)


def test_frames_of_zeros_are_far_from_others_and_near_each_other(speech: Challenge) -> None:
    for speaker in ("ann", "bob"):
        array(speech, speaker, [[0, 0], [0, 0], [0, 1], [1, 1]])
    assert speech.run("--speakers", "within").scores["within"] == 0


def test_speakers_can_be_left_out(speech: Challenge) -> None:
    both = speech.run().scores
    within = speech.run("--speakers", "within").scores
    assert (within["within"], within["pairs"]) == (both["within"], {"within": 2})
    assert "across" not in within
    assert "within" not in speech.run("--speakers", "across").scores


def test_features_may_be_text(speech: Challenge) -> None:
    (speech.folder / "submission/features/ann.npy").unlink()
    (speech.folder / "submission/features/bob.npy").unlink()
    speech.put("submission/features/ann.csv", "1,0\r\n1,.1\r\n0,1\r\n1e-1,1\r\n")
    speech.put("submission/features/bob.txt", "1 0\n1  .1\n\n 0\t1\n.1 1")
    scores = speech.run().scores
    assert (scores["within"], scores["across"]) == (0, 0)


def test_arrays_may_be_small_floats_by_column(speech: Challenge) -> None:
    path = speech.put("submission/features/ann.npy", b"")
    np.save(path, np.asfortranarray([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], dtype=">f2"))
    assert speech.run().scores["within"] == 0


def test_frames_are_those_whose_middle_lies_in_the_item(speech: Challenge) -> None:
    times = {(0.005, 0.015): (0, 2), (0.0051, 0.03): (1, 3), (0.026, 0.0449): (3, 4), (0.29, 0.31): (29, 31)}
    spoken(speech, [("ann", onset, offset, "a", "s", "t", "ann") for onset, offset in times])
    found = items_in(reference_in(speech.folder / "reference"), 0.01)
    assert [(item.first, item.end) for item in found] == list(times.values())
    half = items_in(reference_in(speech.folder / "reference"), 0.005)
    assert [(item.first, item.end) for item in half] == [(1, 3), (1, 6), (5, 9), (58, 62)]


def test_two_frames_may_be_missing_at_the_end(speech: Challenge) -> None:
    spoken(speech, [("ann", 0, 0.02, phone, "s", "t", "ann") for phone in "aab"])
    array(speech, "ann", [[1, 2]])
    assert speech.run("--speakers", "within").scores["within"] == 0.5
    spoken(speech, [("ann", 0, 0.04, phone, "s", "t", "ann") for phone in "aab"])
    assert speech.refused("--speakers", "within") == (
        "features/ann.npy: there are 1 frames of 0.01 s; the item in line 2 of items.csv needs more"
    )
