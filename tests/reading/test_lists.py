"""Filters, orders and groups against brute force, for everybody of the matrix, both ways, on both databases."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from graphql import get_named_type, is_leaf_type

from resolvers.spelling import camel, global_id
from schema import Schema
from schema.fields.declarations import NODES
from schema.fields.selection import DEFINITION
from tests.support.databases import BACKENDS, Prepared
from tests.support.diverse import HERE, SINCE, THERE, Diverse
from tests.support.filtering import Filtering
from tests.support.matrix import CORE, Stage, staged_on
from tests.support.oracle import KINDS, ROLES, Oracle, Untold

SOME = ("OW", "PU", "XA")
TRIED = 40
"""Operations for each type, on each database."""
QUERY: Any = CORE.query_type


class Pick(Random):
    def below(self, number: int) -> int:
        return self.randrange(number)

    def one(self, options: Any) -> Any:
        return self.choice(options)

    def some(self, options: Any, most: int) -> list[Any]:
        return [self.choice(options) for _ in range(self.randrange(most + 1))] if options else []

    def chance(self, percent: int) -> bool:
        return self.randrange(100) >= 100 - percent


@pytest.fixture(scope="module", params=BACKENDS)
async def told(
    request: pytest.FixtureRequest, prepared: Prepared, schema: Schema, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Stage, Oracle]]:
    folder: Path = tmp_path_factory.mktemp("data")
    async with staged_on(prepared, request.param, schema, folder) as stage:
        async with stage.rendered.services.database.write(as_system="test") as session:
            made, kinds = Diverse(session), (stage.here["SessionType"], stage.here["DeviceType"])
            await made.make(stage.world.here, stage.added["owen"], *kinds, HERE)
            await made.make(stage.world.there, stage.world.root, *kinds, THERE)
        yield stage, await Oracle.of(stage)


def _model(name: str) -> Any:
    return next(node.model for node in NODES.values() if node.name == name)


def _own(given: dict[str, Any]) -> dict[str, Any]:
    """The same filter, of the diverse rows alone."""
    return {"and": [given], "createdAt": {"from": SINCE.isoformat()}}


def test_there_are_rows_enough(told: tuple[Stage, Oracle]) -> None:
    _, oracle = told
    rows = [row for name in KINDS for row in oracle.rows[_model(name)].values() if row.created_at >= SINCE]
    assert len(rows) > 200
    assert any(row.id not in oracle.here for row in rows)


@pytest.mark.parametrize("role", ROLES)
async def test_the_matrix_says_who_sees_the_rows(told: tuple[Stage, Oracle], role: str) -> None:
    stage, oracle = told
    oracle.role = role
    for name in KINDS:
        rows = oracle.listed(_model(name), {})
        query = f"query($f:{name}Filter){{found:{_field(name)}(first:100,filter:$f){{totalCount nodes{{id}}}}}}"
        found = (await stage.rendered.ask(query, stage.who(role), f=_own({})))["found"]
        assert {node["id"] for node in found["nodes"]} == {global_id(name, row.id) for row in rows}, name
        assert found["totalCount"] == len(rows)


@pytest.mark.parametrize("name", KINDS)
async def test_a_list_is_what_brute_force_finds(told: tuple[Stage, Oracle], name: str) -> None:
    stage, oracle = told
    rows = {NODES[one].name: [*found.values()] for one, found in oracle.rows.items()}
    model, args = _model(name), QUERY.fields[_field(name)].args
    page = get_named_type(QUERY.fields[_field(name)].type)
    orders = QUERY.fields[_field(name)].extensions[DEFINITION]
    tried = found = 0
    for seed in range(TRIED):
        pick = Pick(f"{name} {seed}")
        making = Filtering(pick, rows, partial(_id, pick, rows), odd=False)
        given, order = making.filter(args["filter"].type), making.order(orders)
        grouping = making.groups(page.fields["groups"].args) if "groups" in page.fields else None
        oracle.role = role = pick.one(ROLES)
        try:
            expected = oracle.sorted(oracle.listed(model, given), orders.orders()[order])
            groups = None if grouping is None else _grouped(oracle, model, expected, grouping)
        except Untold:
            continue
        tried, found = tried + 1, found + len(expected)
        asked = _Asked(name, given, order, grouping, backward=pick.chance(40))
        for way in stage.both(role):
            ids, total, told_groups = await asked.of(way, stage.who(role))
            assert (ids, total) == ([global_id(name, row.id) for row in expected], len(expected)), asked
            if groups is not None:
                _check_groups(told_groups, groups, asked)
    assert tried > TRIED // 2
    assert found > 20


@pytest.mark.parametrize("name", KINDS)
async def test_groups_by_one_value_are_right_for_everybody(told: tuple[Stage, Oracle], name: str) -> None:
    """By each dimension: what is guarded, or leads to a row that one does not see, is null."""
    stage, oracle = told
    model, kind = _model(name), CORE.type_map.get(f"{name}Dimension")
    for role in ROLES:
        oracle.role = role
        for dimension in getattr(kind, "values", ()):
            grouping = {"by": [dimension], "bucket": "WEEK", "timeZone": "America/Havana"}
            try:
                groups = _grouped(oracle, model, oracle.listed(model, {}), grouping)
            except Untold:
                continue
            asked = _Asked(name, {}, {"field": "ID"}, grouping, backward=False)
            for way in stage.both(role):
                _check_groups((await asked.of(way, stage.who(role)))[2], groups, asked)


@pytest.mark.parametrize("name", KINDS)
async def test_a_filter_by_one_value_finds_it_wherever_it_stands(told: tuple[Stage, Oracle], name: str) -> None:
    """By each value of each enumeration, of the row or of a row that a relationship leads to, and not."""
    stage, oracle = told
    model, kind = _model(name), QUERY.fields[_field(name)].args["filter"].type
    for given in _by_values(kind, 2 if name in ("Simulation", "Task") else 1):
        for role, way in ((one, each) for one in SOME for each in stage.both(one)):
            oracle.role = role
            for one in (given, {"not": given}):
                try:
                    expected = {global_id(name, row.id) for row in oracle.listed(model, one)}
                except Untold:
                    continue
                query = f"query($f:{name}Filter){{found:{_field(name)}(first:100,filter:$f){{nodes{{id}}}}}}"
                found = (await way.ask(query, stage.who(role), f=_own(one)))["found"]
                assert {node["id"] for node in found["nodes"]} == expected, (role, one)


def _by_values(kind: Any, depth: int) -> Iterator[dict[str, Any]]:
    for name, field in kind.fields.items():
        inner: Any = get_named_type(field.type)
        fields = getattr(inner, "fields", {})
        if name in ("and", "or", "not") or not depth:
            continue
        if "some" in fields:
            found = get_named_type(fields["some"].type)
            yield from ({name: {"isEmpty": one}} for one in (True, False))
            yield from ({name: {way: one}} for way in ("some", "none") for one in _by_values(found, depth - 1))
        elif "and" in fields:
            yield from ({name: {"isNull": one}} for one in (True, False))
            yield from ({name: {"not": {"isNull": one}}} for one in (True, False))
            yield from ({name: {"or": [{"isNull": True}, one]}} for one in [*_by_values(inner, depth - 1)][:2])
            yield from ({name: {"not": one}} for one in [*_by_values(inner, depth - 1)][:2])
            yield from ({name: one} for one in _by_values(inner, depth - 1))
        elif list(fields) == ["in"] and hasattr(get_named_type(fields["in"].type), "values"):
            yield from ({name: {"in": [value]}} for value in list(get_named_type(fields["in"].type).values)[-3:])


def _field(name: str) -> str:
    return camel(NODES[_model(name)].many)


def _id(pick: Pick, rows: Any, names: Any) -> str:
    name = pick.one(names)
    return global_id(name, pick.one(rows[name]).id)


def _shown(name: str) -> str:
    """The field of a value of an enumeration that names it."""
    return camel(name.lower())


def _grouped(oracle: Oracle, model: Any, rows: Any, given: dict[str, Any]) -> dict[Any, Any]:
    by = [_shown(one) for one in given["by"]]
    return oracle.groups(model, rows, by, given.get("bucket", "DAY"), given.get("timeZone", "UTC"))


@dataclass
class _Asked:
    """A list that is asked for page by page, with its total and its groups."""

    name: str
    given: dict[str, Any]
    order: dict[str, Any]
    grouping: dict[str, Any] | None
    backward: bool

    async def of(self, way: Any, who: Any) -> tuple[list[str], int, Any]:
        """The ids, the total and the groups."""
        ids: list[str] = []
        cursor = None
        size, place, more, end = ("last", "before", "hasPreviousPage", "startCursor") if self.backward else ("first", "after", "hasNextPage", "endCursor")  # fmt: skip
        head, groups, variables = self._groups()
        kind = QUERY.fields[_field(self.name)].args["orderBy"].type
        query = f"""query($f:{self.name}Filter,$o:{kind},$c:String{head}){{found:{_field(self.name)}({size}:7,{place}:$c,
            filter:$f,orderBy:$o){{totalCount nodes{{id}} pageInfo{{{more} {end}}} {groups}}}}}"""
        while True:
            answer = await way.ask(query, who, f=_own(self.given), o=self.order, c=cursor, **variables)
            found = answer["found"]
            nodes = [node["id"] for node in found["nodes"]]
            ids = [*nodes, *ids] if self.backward else [*ids, *nodes]
            if not found["pageInfo"][more]:
                return ids, found["totalCount"], found.get("groups")
            cursor = found["pageInfo"][end]

    def _groups(self) -> tuple[str, str, dict[str, Any]]:
        """The variables and the field that ask for the groups, and values for the former."""
        if self.grouping is None:
            return "", "", {}
        keys: Any = CORE.type_map[f"{self.name}AggregateKey"]
        shown = [(_shown(one), get_named_type(keys.fields[_shown(one)].type)) for one in self.grouping["by"]]
        key = " ".join(name if is_leaf_type(kind) else f"{name}{{id}}" for name, kind in shown)
        sums = " ".join(f"{number}_{how}:{how}(field:{number})" for number in self.numbers for how in HOW)
        head = f",$by:[{self.name}Dimension!]!,$b:Bucket,$z:String"
        given = {"by": self.grouping["by"], "b": self.grouping.get("bucket", "DAY"), "z": self.grouping.get("timeZone")}
        return head, f"groups(by:$by,bucket:$b,timeZone:$z){{key{{{key}}} count {sums}}}", given

    @property
    def numbers(self) -> list[str]:
        kind: Any = CORE.type_map.get(f"{self.name}Number")
        return list(kind.values) if kind else []


HOW = ("sum", "min", "max", "avg")


def _check_groups(told: Any, groups: dict[Any, Any], asked: _Asked) -> None:
    """The same groups, each once, with the same numbers."""
    assert asked.grouping is not None
    names = [_shown(one) for one in asked.grouping["by"]]
    keys = [
        tuple(value["id"] if isinstance(value := one["key"][name], dict) else value for name in names) for one in told
    ]
    assert sorted(map(str, keys)) == sorted(map(str, groups)), asked
    for key, one in zip(keys, told, strict=True):
        rows = groups[key]
        assert one["count"] == len(rows), asked
        for number in asked.numbers:
            values = [value for row in rows if (value := getattr(row, number.lower())) is not None]
            expected = (sum(values), min(values), max(values), sum(values) / len(values)) if values else (None,) * 4
            assert [one[f"{number}_{how}"] for how in HOW] == pytest.approx(list(expected)), asked
    moments = [key[0] for key in keys if isinstance(key[0], str) and key[0].endswith("Z")]
    assert moments == sorted(moments), "in the order of time"
    assert None not in [key[0] for key in keys][:-1] or len(names) == 2, "null is last"
