"""A small Monte-Carlo of a proton beam in water that reads SHIELD-HIT12A input and gives YAPTIDE's result JSON.

Command line: python -m jobs.programs.proton_beam --input DIR --output FILE --primaries N --task K
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from jobs.programs.proton_beam.check import left_out
from jobs.programs.proton_beam.physics import CUTOFF, MEAN_EXCITATION_ENERGY, csda_range
from jobs.programs.proton_beam.scoring import Scoring
from jobs.programs.proton_beam.transport import Transport, sample_source
from jobs.programs.shieldhit import names
from jobs.programs.shieldhit.cards import MAX_CHARACTERS
from jobs.programs.shieldhit.native import MAX_PRIMARIES, REQUIRED_FILES, InputError, Plan, read

BATCH = 2000
PART = 4 * BATCH
"""Primaries after which results are given that more will follow."""
PROGRESS_INTERVAL = 0.5
PARTIAL = "partial.json"
"""Written beside the results while there are none."""


def run(
    plan: Plan,
    primaries: int,
    seed: int,
    log: Callable[[str], None],
    progress: Callable[[int], None],
    part: Callable[[int, list[dict[str, object]]], None] = lambda *_: None,
    *,
    task: int = 1,
) -> list[dict[str, object]]:
    """Simulate `primaries` protons and give the estimators, normalised per primary.

    `log` gets lines of text, `progress` the number of primaries done after each batch, `part` now and then that number
    and the estimators of those. Equal seeds and tasks give equal results, all others independent ones.
    Raises ValueError when `primaries` is out of range.
    """
    if not 1 <= primaries <= MAX_PRIMARIES:
        raise ValueError(f"primaries: {primaries} is outside the allowed range 1 to {MAX_PRIMARIES}")
    for sentence in describe(plan, primaries, seed, task):
        log(sentence)
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(task,))))
    scoring = Scoring(plan)
    transport = Transport(plan, scoring, random)
    waiting = np.empty((9, 0))
    missed = 0
    done = 0
    told = 0
    while done < primaries or waiting.shape[1]:
        if done < primaries and waiting.shape[1] < BATCH:
            count = min(BATCH, primaries - done)
            entered = transport.enter_water(sample_source(plan.beam, count, random))
            missed += count - entered.shape[1]
            waiting = np.concatenate((waiting, transport.follow(entered)), axis=1)
            done += count
            if done < primaries:
                progress(done)
        else:
            waiting = transport.follow(waiting)
        if done - told >= PART and done < primaries:
            while waiting.shape[1]:
                waiting = transport.follow(waiting)
            part(done, scoring.estimators(done))
            told = done
    progress(primaries)
    if missed:
        log(f"{missed} of {primaries} primaries did not hit the water.")
    return scoring.estimators(primaries)


def describe(plan: Plan, primaries: int, seed: int, task: int = 1) -> list[str]:
    """Sentences on what is simulated, what is approximated and what is left out."""
    beam, water = plan.beam, plan.geometry.water
    sentences = [
        f"Proton beam of {beam.energy:g} MeV, spread {beam.spread:g} MeV; "
        f"{primaries} primaries, seed {seed}, task {task}.",
        f"Water cylinder: radius {water.radius:g} cm, z from {water.z:g} to {water.z + water.length:g} cm.",
        f"CSDA range {csda_range(beam.energy):.3f} g/cm2, from Bethe's formula with I = "
        f"{MEAN_EXCITATION_ENERGY * 1e6:g} eV; protons stop at {CUTOFF:g} MeV.",
        "There is no shell correction: ranges are short by 0.17 % at 60 MeV, and by less above.",
        ("Energy straggling is off.", "Energy straggling is Gaussian (Bohr).")[min(beam.straggling, 1)],
        ("Multiple scattering is off.", "Multiple scattering is Gaussian (Highland).")[min(beam.scattering, 1)],
        "Nuclear reactions on oxygen are on (one secondary proton per reaction, fragments stop on the spot, "
        "neutral particles leave)."
        if beam.nuclear
        else "Nuclear reactions are off.",
        "Secondary protons near the entrance are about half of those of SHIELD-HIT12A." if beam.nuclear else "",
        "Elastic nuclear scattering and delta electrons are not followed; nothing is scored outside the water.",
    ]
    if beam.straggling == 2:
        sentences.append("STRAGG 2 (Vavilov) is approximated by the Gaussian of Bohr's variance.")
    if beam.scattering == 2:
        sentences.append("MSCAT 2 (Moliere) is approximated by the Gaussian of Highland's formula.")
    return [sentence for sentence in sentences if sentence] + plan.unsupported


def read_directory(directory: Path) -> Plan:
    """Read the native files and names.json of a directory; raises InputError."""
    files: dict[str, str] = {}
    for name in (*REQUIRED_FILES, names.FILE):
        path = directory / name
        if not path.is_file():
            continue
        if path.stat().st_size > 4 * MAX_CHARACTERS:
            raise InputError(name, None, f"file is too long; at most {MAX_CHARACTERS} characters are allowed")
        try:
            files[name] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise InputError(name, None, "file is not UTF-8 text") from None
    return read(files)


def write_result(path: Path, estimators: Sequence[dict[str, object]], warnings: Sequence[str] = ()) -> None:
    """Write {"estimators": [...], "warnings": [...]} under a temporary name beside `path`, then rename it."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as stream:
        stream.write('{"estimators": [')
        for index, estimator in enumerate(estimators):
            stream.write((", " if index else "") + json.dumps(estimator, allow_nan=False))
        stream.write(f'], "warnings": {json.dumps(warnings)}}}\n')
    part.replace(path)


def write_part(path: Path, primaries: int, estimators: Sequence[dict[str, object]]) -> None:
    """Write {"primaries": ..., "estimators": [...]} under a temporary name, then rename it."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps({"primaries": primaries, "estimators": estimators}, allow_nan=False))
    part.replace(path)


def say(line: str) -> None:
    """Print one line to stdout at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class ProgressLines:
    """Prints progress lines, at most one in PROGRESS_INTERVAL seconds, and always the last."""

    def __init__(self, primaries: int) -> None:
        self.primaries = primaries
        self._last = time.monotonic()

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if done == self.primaries or now - self._last >= PROGRESS_INTERVAL:
            self._last = now
            say(f"Primary particle no. {done} of {self.primaries}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one task from the command line: 0 when done, 2 for bad input with one line on stderr."""
    parser = argparse.ArgumentParser(prog="proton_beam", description="Proton beam in water, from SHIELD-HIT12A input.")
    parser.add_argument("--input", type=Path, required=True, help="directory with the native input files")
    parser.add_argument("--output", type=Path, required=True, help="result file (JSON)")
    parser.add_argument("--primaries", type=int, required=True, help="primaries of this task")
    parser.add_argument("--task", type=int, default=1, help="number of this task, from 1; with RNDSEED its seed")
    options = parser.parse_args(arguments)
    if not 1 <= options.primaries <= MAX_PRIMARIES:
        parser.error(f"--primaries: allowed are 1 to {MAX_PRIMARIES}")
    if not 1 <= options.task <= 1_000_000:
        parser.error("--task: allowed are 1 to 1000000")
    try:
        plan = read_directory(options.input)
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    estimators = run(
        plan,
        options.primaries,
        plan.seed,
        say,
        ProgressLines(options.primaries),
        lambda done, estimators: write_part(options.output.with_name(PARTIAL), done, estimators),
        task=options.task,
    )
    write_result(options.output, estimators, left_out(plan))
    say("Results written.")
    return 0
