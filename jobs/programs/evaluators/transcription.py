"""Error rates of transcriptions: of words (WER, MER, WIL) and of characters (CER).

It runs as a program: `python -m jobs.programs.evaluators.transcription --submission FOLDER --reference FOLDER --output
FOLDER`. jiwer aligns each text with its reference; edits are counted over all texts, so long texts weigh more.

With H hits, S substitutions, D deletions and I insertions of words (Morris, Maier and Green 2004):

- WER is (S + D + I) / (H + S + D);
- MER is (S + D + I) / (H + S + D + I);
- WIL is 1 - H^2 / ((H + S + D) (H + S + I)).

CER is the same as WER for characters, with the blanks between words. Texts are compared in Unicode NFC, and any white
space between words is one blank. Rates are shares, not percent; WER and CER exceed 1 where much is inserted.
"""

import argparse
import re
import sys
import unicodedata
from typing import Any

from jobs.programs.evaluators.answers import Field, answers, truths
from jobs.programs.evaluators.catalogue import TRANSCRIPTION
from jobs.programs.evaluators.command import Progress, package, run
from jobs.programs.evaluators.folder import Folder

SCHEMA = TRANSCRIPTION.schema
LONGEST_TEXT = 100_000
"""Characters. The time of an alignment grows with the square."""
EDITS = ("hits", "substitutions", "deletions", "insertions")
_MARKS = re.compile(r"[^\w\s]|_")
_TEXTS, _CHARACTERS = 500, 1_000_000
"""Texts, and characters, that are aligned at a time."""


def evaluate(submission: Folder, reference: Folder, given: argparse.Namespace) -> dict[str, Any]:
    expected, heard = (
        Field("references.csv", "text", LONGEST_TEXT),
        Field("transcriptions.csv", "text", LONGEST_TEXT, True),
    )
    asked = truths(reference, expected)
    said = [compared(truth.value, given.lower, given.strip_punctuation) for truth in asked.values()]
    for truth, text in zip(asked.values(), said, strict=True):
        if not text:
            reference.faults.add(expected.file, truth.line, "nothing is left of the text; it needs letters or digits")
    reference.faults.check()
    written = answers(submission, heard, asked, expected.file)
    written = [compared(text, given.lower, given.strip_punctuation) for text in written]
    return counted(said, written) | {"count": len(said)}


def compared(text: str, lower: bool, strip_punctuation: bool) -> str:
    """A text as it is compared. Punctuation is what Unicode calls so (categories P...)."""
    if lower:
        text = text.lower()
    if strip_punctuation:
        text = _MARKS.sub(_without_punctuation, text)
    return " ".join(unicodedata.normalize("NFC", text).split())


def _without_punctuation(mark: re.Match[str]) -> str:
    return "" if unicodedata.category(mark[0]).startswith("P") else mark[0]


def counted(said: list[str], written: list[str]) -> dict[str, Any]:
    """The rates and counts of all texts together; `said` has no empty text."""
    jiwer = package("jiwer")
    words, characters = dict.fromkeys(EDITS, 0), dict.fromkeys(EDITS, 0)
    progress = Progress(len(said))
    start = 0
    while start < len(said):
        end, size = start, 0
        while end < min(start + _TEXTS, len(said)) and size < _CHARACTERS:
            size += len(said[end]) + len(written[end])
            end += 1
        for counts, process in ((words, jiwer.process_words), (characters, jiwer.process_characters)):
            found = process(said[start:end], written[start:end])
            for name in EDITS:
                counts[name] += getattr(found, name)
        progress.add(end - start)
        start = end
    hits, wrong = words["hits"], _wrong(words)
    product = _spoken(words) * (hits + words["substitutions"] + words["insertions"])
    return {
        "wer": wrong / _spoken(words),
        "cer": _wrong(characters) / _spoken(characters),
        "mer": wrong / (hits + wrong),
        "wil": 1 - hits**2 / product if product else 1.0,
        "words": words,
        "characters": characters,
    }


def _spoken(counts: dict[str, int]) -> int:
    return counts["hits"] + counts["substitutions"] + counts["deletions"]


def _wrong(counts: dict[str, int]) -> int:
    return counts["substitutions"] + counts["deletions"] + counts["insertions"]


def main() -> int:
    return run(TRANSCRIPTION, evaluate)


if __name__ == "__main__":
    sys.exit(main())
