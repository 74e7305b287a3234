"""The error rates of transcriptions."""

import random
from typing import Any

import jiwer
import pytest

from jobs.programs.evaluators import transcription
from tests.evaluators.conftest import Challenge, Challenges


@pytest.fixture
def speech(challenge: Challenges) -> Challenge:
    made = challenge("transcription")
    said(made, ("1", "the cat sat"), ("2", "on the mat"))
    heard(made, ("2", "on mat"), ("1", "the bat sat down"))
    return made


def said(challenge: Challenge, *rows: tuple[str, str]) -> None:
    challenge.table("reference/references.csv", ("id", "text"), *rows)


def heard(challenge: Challenge, *rows: tuple[str, str]) -> None:
    challenge.table("submission/transcriptions.csv", ("id", "text"), *rows)


def distance(one: list[str] | str, other: list[str] | str) -> int:
    """The Levenshtein distance, by its definition."""
    row = list(range(len(other) + 1))
    for i, first in enumerate(one, 1):
        before, row = row, [i]
        for j, second in enumerate(other, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (first != second)))
    return row[-1]


def test_scores_are_those_by_hand(speech: Challenge) -> None:
    """Words: cat becomes bat, "down" is new, "the" is lost. Characters: c becomes b, " down" is new, "the " is lost."""
    assert speech.run().scores == {
        "wer": pytest.approx(3 / 6),
        "cer": pytest.approx(10 / 21),
        "mer": pytest.approx(3 / 7),
        "wil": pytest.approx(1 - 4 * 4 / (6 * 6)),
        "words": {"hits": 4, "substitutions": 1, "deletions": 1, "insertions": 1},
        "characters": {"hits": 16, "substitutions": 1, "deletions": 4, "insertions": 5},
        "count": 2,
    }


def test_as_a_process_it_writes_the_same_scores(speech: Challenge) -> None:
    ended = speech.process()
    assert (ended.status, ended.progress) == (0, ["evaluated 2 of 2"])
    assert ended.scores == speech.run().scores


def test_rates_over_batches_are_those_of_all_texts(speech: Challenge, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(3)
    texts = [
        [" ".join(chance.choices(["a", "be", "see"], k=chance.randint(1, 9))) for _ in range(2)] for _ in range(53)
    ]
    one, other = [text for text, _ in texts], [text for _, text in texts]
    said(speech, *((str(n), text) for n, text in enumerate(one)))
    heard(speech, *((str(n), text) for n, text in enumerate(other)))
    monkeypatch.setattr(transcription, "_TEXTS", 10)
    ended = speech.run()
    assert ended.progress[-1] == "evaluated 53 of 53"
    words = sum(len(text.split()) for text in one)
    assert ended.scores["wer"] == pytest.approx(sum(distance(a.split(), b.split()) for a, b in texts) / words)
    assert ended.scores["cer"] == pytest.approx(sum(distance(a, b) for a, b in texts) / sum(map(len, one)))
    whole = jiwer.process_words(one, other)
    assert [ended.scores[name] for name in ("wer", "mer", "wil")] == pytest.approx([whole.wer, whole.mer, whole.wil])


def test_a_rate_may_exceed_one(speech: Challenge) -> None:
    said(speech, ("1", "a"))
    heard(speech, ("1", "b c d"))
    scores = speech.run().scores
    assert (scores["wer"], scores["mer"], scores["wil"]) == (3, 1, 1)


@pytest.mark.parametrize(
    ("options", "text", "wer"),
    [
        ((), "déjà vu!", 1),
        (("--lower",), "DÉJÀ! vu", 0.5),
        (("--strip-punctuation",), "déjà, vu", 0.5),
        (("--lower", "--strip-punctuation"), "DÉJÀ... (VU)", 0),
    ],
)
def test_case_and_punctuation_count_unless_options_say_so(
    speech: Challenge, options: tuple[str, ...], text: str, wer: float
) -> None:
    said(speech, ("1", "Déjà! «vu_»"))
    heard(speech, ("1", text))
    assert speech.run(*options).scores["wer"] == wer


def test_symbols_are_no_punctuation() -> None:
    assert transcription.compared("5 € + x, y!", lower=False, strip_punctuation=True) == "5 € + x y"


def test_composed_and_decomposed_letters_are_the_same(speech: Challenge) -> None:
    said(speech, ("1", "é"))
    heard(speech, ("1", "e\N{COMBINING ACUTE ACCENT}"))
    assert speech.run().scores["cer"] == 0


def test_any_white_space_is_one_blank(speech: Challenge) -> None:
    said(speech, ("1", "a b  c"))
    heard(speech, ("1", " a\tb\N{NO-BREAK SPACE}c "))
    assert speech.run().scores["cer"] == 0


def test_nothing_heard_is_all_deleted(speech: Challenge) -> None:
    heard(speech, ("1", ""), ("2", " "))
    scores = speech.run().scores
    assert (scores["wer"], scores["cer"], scores["mer"], scores["wil"]) == (1, 1, 1, 1)
    assert scores["words"]["deletions"] == 6


def test_texts_may_have_commas_and_quotes(speech: Challenge) -> None:
    texts: list[Any] = [("1", 'he said "no, never"'), ("2", "日本 語")]
    said(speech, *texts)
    heard(speech, *texts)
    assert speech.run().scores["wer"] == 0


def test_an_empty_reference_is_the_organisers_fault(speech: Challenge) -> None:
    said(speech, ("1", "secret"), ("2", " "))
    assert speech.refused(status=2) == "references.csv, line 3: the text is empty"
    said(speech, ("1", "secret"), ("2", "?!"))
    assert speech.run().status == 0
    assert speech.refused("--strip-punctuation", status=2) == (
        "references.csv, line 3: nothing is left of the text; it needs letters or digits"
    )


def test_faults_of_ids_are_those_of_every_table(speech: Challenge) -> None:
    heard(speech, ("1", "x"), ("1", "y"), ("3", "z"))
    assert speech.refused() == (
        "transcriptions.csv, line 3: the id '1' is the same as in line 2; each id is allowed once; "
        "transcriptions.csv, line 4: the id '3' is unknown; the ids of the reference are allowed; "
        "transcriptions.csv: 1 of 2 ids are missing (line 3 of references.csv); each id of the reference is needed"
    )


def test_texts_that_are_too_long_are_refused(speech: Challenge) -> None:
    heard(speech, ("1", "x" * 100_001), ("2", "on"))
    assert speech.refused() == (
        "transcriptions.csv, line 2: the text has 100001 characters; at most 100000 are allowed"
    )
