"""The bench still fits the tables that it fills and the schema that it asks."""

import hashlib
import inspect
from pathlib import Path
from xml.etree import ElementTree

import graphql
import pytest

from bench import data, picture, postgraphile, report
from bench.floors.postgresql import (
    ANSWERS,
    BOARD_SQL,
    BY_ID_SQL,
    FOUR_LEVELS_SQL,
    GROUPS_SQL,
    PAGE_SQL,
    SEARCH_SQL,
    SPECS_SQL,
    WHOLE_RESULT_SQL,
)
from bench.load import Figures
from bench.measuring import Measured, Trial
from bench.operations import DOCUMENTS, OWN, Operation, operations
from bench.results import estimators
from bench.servers import FLOOR, PLAIN, TORANA
from schema import Schema
from schema.fields.cost import Bounds, check_cost, costs
from schema.fields.counting import count
from tests.support.databases import Prepared


async def test_the_bench_fills_the_tables_as_they_are(prepared: Prepared, backend: str) -> None:
    url, _ = await prepared.copy(backend)
    filled = await data.fill(url, 20)
    assert len(filled.simulations) == 20
    assert [operation.name for operation in operations(filled)] == list(DOCUMENTS)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_its_operations_are_valid_within_the_limits_and_known_to_the_floor(schema: Schema, name: str) -> None:
    document = graphql.parse(DOCUMENTS[name])
    assert graphql.validate(schema.core, document) == []
    count(document, Bounds())
    check_cost(costs(schema.core, document)[None], {}, Bounds())
    assert DOCUMENTS[name] in ANSWERS
    if name not in OWN:
        graphql.parse(postgraphile.DOCUMENTS[name])


def test_generated_results_have_the_shape_of_the_real_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.results.FILE", Path("nowhere"))
    pages = [page for estimator in estimators() for page in estimator.pages]
    assert len(pages) == 21
    assert sum(len(page.data.values) for page in pages) == 98_892


def test_the_table_and_the_picture_compare_medians() -> None:
    trial = Trial("PostgreSQL", {TORANA: "", PLAIN: "", FLOOR: ""}, [Operation("page", DOCUMENTS["page"])])
    rates = {TORANA.name: [300, 200, 100], PLAIN.name: [10], FLOOR.name: [400]}
    measured = Measured({("page", name): [Figures(rate, 1, 2) for rate in rates[name]] for name in rates})
    lines = report.table(trial, measured).splitlines()
    assert lines[2] == "| page | Torana | 200.0 | 1.0 | 2.0 | 0.50 | 1.00 |"
    assert lines[3] == "| page | plain Strawberry | 10.0 | 1.0 | 2.0 | 0.03 | 20.00 |"
    drawn = "".join(ElementTree.fromstring(picture.draw([(trial, measured)], "here")).itertext())
    assert "Torana \u00d720.00" in drawn


FROZEN = "a47011f0daa73364097955a96f0d00fc766f53ac356913f9f76fb83a35b4b75e"
"""Of 30 November 2026, when a leaderboard and specs came in; the others are those of 29 November. Another one goes with figures
that show that the floor became faster."""


def test_the_floor_is_the_one_that_earlier_figures_were_compared_with() -> None:
    texts = [
        PAGE_SQL,
        BY_ID_SQL,
        FOUR_LEVELS_SQL,
        WHOLE_RESULT_SQL,
        SEARCH_SQL,
        GROUPS_SQL,
        BOARD_SQL,
        SPECS_SQL,
        *map(inspect.getsource, ANSWERS.values()),
    ]
    assert hashlib.sha256("\n".join(texts).encode()).hexdigest() == FROZEN
