"""The built-in evaluators, declared: plain data."""

from collections.abc import Mapping
from typing import Any

from jobs.programs.evaluators.evaluator import (
    ASCENDING,
    DESCENDING,
    REFERENCE,
    SUBMISSION,
    Column,
    Evaluator,
    InputFile,
    Option,
)

_COUNT = {"type": "integer", "minimum": 0}
_POSITIVE = {"type": "integer", "minimum": 1}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_RATE = {"type": "number", "minimum": 0}


def _object(properties: Mapping[str, Any], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """The schema of an object with these properties and no others."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _schema(title: str, properties: Mapping[str, Any], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **_object(properties, optional),
    }


_AVERAGES = _object({"macro": _SHARE, "micro": _SHARE, "weighted": _SHARE})
_CLASS = _object({"precision": _SHARE, "recall": _SHARE, "f1": _SHARE, "support": _COUNT})

CLASSIFICATION = Evaluator(
    name="classification",
    title="Classification",
    description="Compares a label for each id with the true one: accuracy, precision, recall, F1, and each class.",
    module="jobs.programs.evaluators.classification",
    schema=_schema(
        "Scores of a classification",
        {
            "accuracy": _SHARE,
            "precision": _AVERAGES,
            "recall": _AVERAGES,
            "f1": _AVERAGES,
            "classes": {"type": "object", "additionalProperties": _CLASS, "minProperties": 1},
            "errors": _object({"accuracy": _RATE, "f1": _object({"macro": _RATE})}),
            "count": _POSITIVE,
        },
        optional=("errors",),
    ),
    files=(
        InputFile(SUBMISSION, "predictions.csv", "A label for each id, in any order.", ("id", "label")),
        InputFile(REFERENCE, "labels.csv", "The true label of each id.", ("id", "label")),
    ),
    columns=(
        Column("accuracy", "Accuracy", DESCENDING),
        Column("f1.macro", "F1 (macro)", DESCENDING),
        Column("f1.weighted", "F1 (weighted)", DESCENDING),
    ),
    options=(
        Option("--bootstrap", "Resamples for the standard errors; below 2 there are none.", 1000, least=0, most=10_000),
        Option("--seed", "The seed of the resamples.", 0, least=0, most=2**32 - 1),
    ),
    packages=("numpy", "sklearn"),
)

_COUNTS = _object({"hits": _COUNT, "substitutions": _COUNT, "deletions": _COUNT, "insertions": _COUNT})

TRANSCRIPTION = Evaluator(
    name="transcription",
    title="Transcription",
    description="Compares texts with what was said: error rates of words and characters.",
    module="jobs.programs.evaluators.transcription",
    schema=_schema(
        "Scores of a transcription",
        {
            "wer": _RATE,
            "cer": _RATE,
            "mer": _SHARE,
            "wil": _SHARE,
            "words": _COUNTS,
            "characters": _COUNTS,
            "count": _POSITIVE,
        },
    ),
    files=(
        InputFile(
            SUBMISSION, "transcriptions.csv", "A text for each id, in any order; it may be empty.", ("id", "text")
        ),
        InputFile(REFERENCE, "references.csv", "What was said; no text is empty.", ("id", "text")),
    ),
    columns=(Column("wer", "WER", ASCENDING), Column("cer", "CER", ASCENDING)),
    options=(
        Option("--lower", "Compare in lower case.", False),
        Option("--strip-punctuation", "Compare without punctuation.", False),
    ),
    packages=("jiwer",),
)

DISTANCES = ("cosine", "euclidean", "kl")
WITHIN, ACROSS, BOTH = "within", "across", "both"
"""Whose X is compared: one of the speaker of A and B, one of another speaker, or each."""

ABX = Evaluator(
    name="abx",
    title="ABX discriminability",
    description="How often a sound is closer to another phone than to its own: within and across speakers.",
    module="jobs.programs.evaluators.abx",
    schema=_schema(
        "ABX errors",
        {
            WITHIN: _SHARE,
            ACROSS: _SHARE,
            "pairs": _object({WITHIN: _POSITIVE, ACROSS: _POSITIVE}, optional=(WITHIN, ACROSS)),
            "triples": _object({WITHIN: _POSITIVE, ACROSS: _POSITIVE}, optional=(WITHIN, ACROSS)),
            "items": _POSITIVE,
            "distance": {"enum": list(DISTANCES)},
            "step": {"type": "number", "exclusiveMinimum": 0},
        },
        optional=(WITHIN, ACROSS),
    )
    | {"anyOf": [{"required": [WITHIN]}, {"required": [ACROSS]}]},
    files=(
        InputFile(SUBMISSION, "features/<file>.npy", "Frames x dimensions; or numbers in rows, as .csv or .txt."),
        InputFile(
            REFERENCE,
            "items.csv",
            "Where each phone is spoken: onset and offset in seconds, the phones beside it, and the speaker.",
            ("file", "onset", "offset", "phone", "previous", "next", "speaker"),
        ),
    ),
    columns=(Column(WITHIN, "Within speakers", ASCENDING), Column(ACROSS, "Across speakers", ASCENDING)),
    options=(
        Option("--step", "Seconds from one frame to the next.", 0.01, least=1e-4, most=10.0),
        Option("--distance", "The distance of two frames.", DISTANCES[0], choices=DISTANCES),
        Option("--speakers", "Whose X is compared with A and B.", BOTH, choices=(BOTH, WITHIN, ACROSS)),
    ),
    packages=("numpy",),
)
