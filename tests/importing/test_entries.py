"""Entries as JSON, and the columns that are chosen for them."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from jobs.scores.columns import MOST, read
from resolvers.documents import Unreadable
from resolvers.importing.columns import choose
from resolvers.importing.entries import entry


def scored(**scores: Any) -> dict[str, Any]:
    return {"scores": scores}


def test_every_value_has_a_json_form() -> None:
    given = {
        "day": date(2017, 1, 20), "at": datetime(2017, 1, 20, 8, tzinfo=UTC), "bytes": b"\x00\xff", "big": 2**70,
        "several": {"b", "a"}, "scores": {"x": float("nan"), "deep": [float("inf"), 1.5]},
    }  # fmt: skip
    made = entry("0.yaml", given)
    assert made.data == {
        "day": "2017-01-20", "at": "2017-01-20T08:00:00+00:00", "bytes": "AP8=", "big": str(2**70),
        "several": ["a", "b"], "scores": {"x": None, "deep": [None, 1.5]},
    }  # fmt: skip
    assert made.lost == ("scores.x", "scores.deep.0")


def test_texts_among_the_scores_that_are_numbers_become_numbers() -> None:
    given = {"year": "2017", **scored(a="28.1", b="62", c="04.5", d="", e="-", f="1e2", g="0.12345678901234567890")}
    made = entry("0.yaml", given)
    assert made.data == {
        "year": "2017", "scores": {"a": 28.1, "b": 62, "c": 4.5, "d": "", "e": "-", "f": 100.0, "g": "0.12345678901234567890"},
    }  # fmt: skip
    assert made.numbers == 4


@pytest.mark.parametrize("given", [[], "text", None, {"a": "\0"}, {"a": "\ud800"}, {"\ud800": 1}])
def test_what_is_no_entry_is_refused(given: Any) -> None:
    with pytest.raises(Unreadable):
        entry("0.yaml", given)


def test_an_entry_has_at_most_32_levels() -> None:
    deep: Any = 1
    for _ in range(33):
        deep = {"a": deep}
    with pytest.raises(Unreadable, match="32 levels"):
        entry("0.yaml", deep)


@pytest.mark.parametrize(
    ("given", "author", "baseline"),
    [
        ({"metadata": {"author": "Chen et al."}}, "Chen et al.", False),
        ({"metadata": {"author": "<b>Baseline MFCC</b>"}}, "Baseline MFCC", True),
        ({"metadata": {"author": "Goldwater et al.", "DOI": "<b>Topline</b>"}}, "Goldwater et al. (topline)", True),
        ({"metadata": {"author": "Chen", "main_idea": "Baseline features, learned"}}, "Chen", False),
        ({"author": '<a href="x">Tom &amp; Jo</a>'}, "Tom & Jo", False),
        ({"authors": ["Ada", "Ina"], "baseline": True}, "Ada, Ina (baseline)", True),
        ({"author_label": "ada@example.org", "team": "Aurora"}, "Aurora", False),
        ({"author": "  a\x1b[31m\nb "}, "a[31m b", False),
        ({"scores": {"author": "nobody"}}, None, False),
    ],
)
def test_who_is_named(given: dict[str, Any], author: str | None, baseline: bool) -> None:
    made = entry("0.yaml", given)
    assert (made.author, made.baseline) == (author, baseline)


def test_errors_of_abx_are_ranked_ascending_across_speakers_first() -> None:
    chosen = choose([scored(within=1.0, across=2.25), scored(within=1.0, across=3.0)])
    assert (chosen.rank_by, chosen.ties) == ("across", ["within"])
    assert [(c["key"], c["path"], c["direction"], c["precision"]) for c in chosen.columns] == [
        ("within", "scores.within", "ASC", 0),
        ("across", "scores.across", "ASC", 2),
    ]


def test_what_more_entries_have_is_ranked_by() -> None:
    assert choose([scored(english_1s=1.0, french_1s=2.0), scored(french_1s=2.0)]).rank_by == "french_1s"


def test_word_discovery_is_ranked_by_the_f_score_of_types_descending() -> None:
    chosen = choose([scored(ned_x=1.0, cov_x=2.0, boundary_F_x=3.0, type_prec_x=1, type_F_x=4.0, n_words_x=5)])
    assert chosen.rank_by == "type_F_x"
    assert [(c["key"], c["direction"]) for c in chosen.columns] == [
        ("type_F_x", "DESC"), ("boundary_F_x", "DESC"), ("ned_x", "ASC"), ("cov_x", "DESC"), ("type_prec_x", "DESC"),
        ("n_words_x", "ASC"),
    ]  # fmt: skip


def test_scores_that_nobody_knows_make_no_columns() -> None:
    chosen = choose([scored(foo=1, bar=2)])
    assert (chosen.columns, chosen.rank_by, chosen.scores) == ((), None, 2)


def test_what_few_entries_have_is_no_column() -> None:
    chosen = choose([scored(across=1.0), scored(across=1.0), scored(across=1.0, within=2.0)])
    assert [column["key"] for column in chosen.columns] == ["across"]


def test_columns_are_as_many_as_a_leaderboard_has() -> None:
    chosen = choose([scored(**{f"lang{n}_across": 1.0 for n in range(80)})])
    assert len(chosen.columns) == MOST
    assert chosen.scores == 80
    assert chosen.rank_by in {column["key"] for column in chosen.columns}
    read(list(chosen.columns))


def test_odd_names_of_scores_make_columns_that_are_taken() -> None:
    odd = {"1 across": 1.0, "": 2.0, "a..across": 3.0, "x" * 300: 4.0, "é across": 1.0, "within\n": 2.0, "a.across": 1}
    read(list(choose([scored(**odd)]).columns))
