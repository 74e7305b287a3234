"""Scores of an evaluation: `scores.json`, and files that were written beside it."""

import json

from jobs.programs.outputs import Outputs
from jobs.programs.readers import OutputError, Reading
from jobs.scores.values import DEPTH, finite

FILE = "scores.json"
MOST = 1_000_000
"""The most bytes of scores."""


def read(outputs: Outputs, primaries: int | None) -> Reading:
    """An object of numbers, texts and more objects. What is no finite number is null, and named."""
    if not outputs.has(FILE):
        raise OutputError(FILE, "the evaluator wrote no scores")
    size = (outputs.folder / FILE).stat().st_size
    if size > MOST:
        raise OutputError(FILE, f"scores have at most {MOST:,} bytes, not {size:,}")
    try:
        given = json.loads(outputs.text(FILE))
    except UnicodeDecodeError:
        raise OutputError(FILE, "it is not UTF-8") from None
    except RecursionError:
        raise OutputError(FILE, f"scores are at most {DEPTH} levels deep") from None
    except ValueError as error:
        raise OutputError(FILE, f"it is no JSON: {error}") from None
    if not isinstance(given, dict):
        raise OutputError(FILE, 'scores are an object, such as {"accuracy": 0.9}')
    try:
        scores, lost = finite(given)
    except ValueError:
        raise OutputError(FILE, f"scores are at most {DEPTH} levels deep") from None
    warnings = [f"{path} is no finite number: it counts as missing" for path in lost[:20]]
    files = [path for path in outputs.everything() if path != outputs.folder / FILE]
    return Reading(scores, warnings, files, outputs.folder)
