"""The ABX discriminability error of the Zero Resource Speech Challenge, within and across speakers.

It runs as a program: `python -m jobs.programs.evaluators.abx --submission FOLDER --reference FOLDER --output FOLDER`.
A and X are of one phone, B is of another; all stand between the same phones (previous, next). Within: A, B and X are of
one speaker. Across: A and B are of one speaker, X is of another. The error of a cell, which is a pair of phones, a
context, a speaker of A and B and one of X, is the share of its triples with d(A, X) > d(B, X), half for ties. All
triples count; none are sampled. Errors are from 0 to 1; 0.5 is chance.

Averages, in this order: over contexts, for each pair of phones and speakers (within: a speaker; across: speaker of A
and B, speaker of X); over speakers, for each pair of phones; over pairs of phones. Pairs are ordered: (p, q) has X of
phone p, (q, p) of phone q.

d is by dynamic time warping: the mean of frame distances along the best path. Frame distances: `cosine` is the angle
over pi, `euclidean` the usual, `kl` the mean of both Kullback-Leibler divergences of frames as distributions.

Sources: Schatz et al., Evaluating speech features with the minimal-pair ABX task, Interspeech 2013; Versteegh et al.,
The Zero Resource Speech Challenge 2015, Interspeech 2015; Dunbar et al., The Zero Resource Speech Challenge 2017,
ASRU 2017.
"""

import argparse
import sys
from typing import Any

from jobs.programs.evaluators.catalogue import ABX, ACROSS, BOTH, WITHIN
from jobs.programs.evaluators.command import Progress, package, run
from jobs.programs.evaluators.folder import Folder
from jobs.programs.evaluators.items import FILE, items_in

SCHEMA = ABX.schema


def evaluate(submission: Folder, reference: Folder, given: argparse.Namespace) -> dict[str, Any]:
    package("numpy")
    discrimination = package("jobs.programs.evaluators.discrimination")
    features = package("jobs.programs.evaluators.features")
    warping = package("jobs.programs.evaluators.warping")
    modes = (WITHIN, ACROSS) if given.speakers == BOTH else (given.speakers,)
    items = items_in(reference, given.step)
    blocks = discrimination.blocks_of(items, modes)
    errors = {mode: discrimination.Errors() for mode in modes}
    present = {_mode(cell) for block in blocks for cell in block.cells}
    for mode in modes:
        if mode not in present:
            message = f"no items make a triple A, B, X {mode} speakers; the option --speakers can leave it out"
            raise reference.faults.fail(FILE, None, message)
    if max(len(block.items) for block in blocks) > discrimination.MOST_SOUNDS:
        message = f"over {discrimination.MOST_SOUNDS} items stand between the same phones, which is too many"
        raise reference.faults.fail(FILE, None, message)
    frames = features.features_of(submission, items, given.step, given.distance == "kl")
    progress = Progress(sum(block.pairs for block in blocks))
    for block in blocks:
        sounds = [frames[index] for index in block.items]
        distances = warping.distances_of(sounds, given.distance, progress.add)
        for cell in block.cells:
            errors[_mode(cell)].add(cell, discrimination.error(distances, cell))
    averages = {mode: found.averaged() for mode, found in errors.items()}
    return {
        **{mode: value for mode, (value, _) in averages.items()},
        "pairs": {mode: pairs for mode, (_, pairs) in averages.items()},
        "triples": {mode: found.triples for mode, found in errors.items()},
        "items": len(items),
        "distance": given.distance,
        "step": given.step,
    }


def _mode(cell: Any) -> str:
    return WITHIN if cell.speaker == cell.x_speaker else ACROSS


def main() -> int:
    return run(ABX, evaluate)


if __name__ == "__main__":
    sys.exit(main())
