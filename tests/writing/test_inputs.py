"""What clients give: every value that is not of its place is refused with a code, on both databases."""

import asyncio
import math
import re
from itertools import cycle, islice
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    get_nullable_type,
)

from db.models import Base
from db.types import Json
from gateway.operations.responses import Refused
from gateway.protocol.bodies import read
from resolvers.spelling import camel, global_id
from schema import Schema
from schema.fields.selection import DEFINITION
from schema.fields.values import Shape
from tests.support.platforms import Platform
from tests.support.positions import Position, literal, positions


async def _answer(platform: Platform, position: Position, declared: str, as_: str, value: Any) -> dict[str, Any]:
    """The body of what an operation with this value is answered; of a subscription, first."""
    query = position.asking(declared)
    if not query.startswith("subscription"):
        return dict((await platform.answer(query, as_, v=value)).body)
    try:
        async with platform.watch(query, as_, v=value) as answers, asyncio.timeout(0.2):
            return dict((await anext(answers)).body)
    except TimeoutError:  # there is nothing to tell yet
        return {}
    except Refused as refusal:
        return dict(refusal.answer.body)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("NewAccount!", {"username": "x", "email": "x@example.org", "password": "SECRET-1", "other": 1}),
        ("NewAccount!", {"username": "x", "password": "SECRET-1"}),
        ("String!", ["SECRET-1"]),
    ],
)
async def test_a_value_that_is_no_good_is_not_told_back(reading: Platform, kind: str, given: Any) -> None:
    """It may be a password."""
    asked = "signUp(input:$x)" if kind == "NewAccount!" else 'logIn(username:"x",password:$x)'
    answer = await reading.answer(f"mutation($x:{kind}){{{asked}{{__typename}}}}", None, x=given)
    assert answer.codes == ["BAD_USER_INPUT"]
    assert "SECRET" not in str(answer.body)


async def test_null_for_a_variable_with_a_default_is_bad_input(reading: Platform, schema: Schema) -> None:
    """GraphQL lets a nullable variable stand for what is not null where it has a default."""
    wrong, tried = {}, 0
    for position in positions(schema.core):
        if isinstance(position.kind, GraphQLNonNull):
            tried += 1
            declared = f"{position.kind.of_type}={literal(position.kind)}"
            body = await _answer(reading, position, declared, "root", None)
            codes = [error["extensions"]["code"] for error in body["errors"]]
            if codes != ["BAD_USER_INPUT"]:
                wrong[position.name] = codes
    assert not wrong
    assert tried > 200


@pytest.mark.parametrize("fields", ["id", "id ...on User{username} ...on Project{name}", "id ...on User{groups(first:1){nodes{name}}}"])  # fmt: skip
async def test_a_bad_id_leaves_the_other_nodes(reading: Platform, fields: str) -> None:
    good = [(await reading.ask("{viewer{id}}", who))["viewer"]["id"] for who in ("tom", "root")]
    query = f"query($i:[ID!]!){{nodes(ids:$i){{{fields}}} viewer{{username}}}}"
    body = (await reading.answer(query, "root", i=[good[0], "bad", good[1], "VXNlcjp4"])).body
    assert [node and node["id"] for node in body["data"]["nodes"]] == [good[0], None, good[1], None]
    assert body["data"]["viewer"] == {"username": "root"}
    told = [(error["path"], error["extensions"]) for error in body["errors"]]
    assert told == [(["nodes", n], {"code": "INVALID", "field": f"ids.{n}"}) for n in (1, 3)]


async def test_a_bad_cursor_takes_what_holds_its_list_and_no_more(reading: Platform) -> None:
    """A list is never null, so the error goes up to the next object that may be."""
    query = '{viewer{username} node(id:"%s"){id ...on User{groups(first:1,after:"bad"){nodes{id}}}}}'
    tom = (await reading.ask("{viewer{id}}", "tom"))["viewer"]["id"]
    body = (await reading.answer(query % tom, "tom")).body
    assert body["data"] == {"viewer": {"username": "tom"}, "node": None}
    assert [error["path"] for error in body["errors"]] == [["node", "groups"]]
    root = (await reading.answer('{viewer{id} users(first:1,after:"bad"){nodes{id}}}', "tom")).body
    assert root["data"] is None
    assert [(e["path"], e["extensions"]["code"]) for e in root["errors"]] == [(["users"], "INVALID")]


PREFERENCE = (
    """mutation($v:JSON!){r:setPreference(appTag:"x",value:$v){...on Preference{value} ...on Problem{code field}}}"""
)
LITERAL = """mutation{r:setPreference(appTag:"x",value:%s){...on Preference{value} ...on Problem{code field}}}"""
WRAPPED = """mutation($v:JSON!){r:setPreference(appTag:"x",value:{a:[$v]}){...on Preference{value} ...on Problem{code field}}}"""
READ = '{preferences(first:1,filter:{appTag:{equals:"x"}}){nodes{value}}}'
DIGITS = "1" * 5000


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("1e400", "value"),
        ("-1e400", "value"),
        ("9007199254740992", "value"),
        (str(2**64), "value"),
        (str(-(2**63)), "value"),
        (DIGITS, "value"),
        (f'{{"a":[0,{{"b":-{DIGITS}}}]}}', "value.a.1.b"),
        ('[[1e999],{"a":1}]', "value.0.0"),
        ('{"a":{"b":"x\\u0000"}}', "value.a.b"),
        ('{"a":{"\\u0000":1}}', "value.a"),
        ("[" * 33 + "]" * 33, "value" + ".0" * 32),
        ("[" * 150 + "]" * 150, "value" + ".0" * 32),
        ('{"a":' * 150 + "1" + "}" * 150, "value" + ".a" * 32),
        (f'["{"x" * 65_533}"]', "value"),
    ],
)
async def test_a_json_value_out_of_bounds_is_refused_alike_as_literal_and_variable(
    sharing: Platform, text: str, field: str
) -> None:
    for query, body, path in (
        (LITERAL % re.sub(r'"(\w+)":', r"\1:", text), "null", field),
        (PREFERENCE, f'{{"v":{text}}}', field),
        (WRAPPED, f'{{"v":{text}}}', field.replace("value", "value.a.0", 1)),
    ):
        if query.startswith("mutation{") and "\\u0000" in text and '"\\u0000":' in text:
            continue  # GraphQL writes no such name
        variables = read(body) or {}
        answer = (await sharing.ask(query, "tom", **variables))["r"]
        assert answer["code"] == "INVALID", answer
        if "x" * 1000 in text:
            assert answer["field"] == "value"
        elif path.count(".") < 20:
            assert answer["field"] == path
        else:
            assert answer["field"].count(".") == 32


@pytest.mark.parametrize("value", [0, 1.0, -0.5, 9007199254740991, -9007199254740991, 1e300, "1.0", "1e400", "9223372036854775808", "é\u2028", True, [1.0, {"a": [None, 1e22, "x"]}], {"": 1}])  # fmt: skip
async def test_a_json_value_comes_back_as_it_was_given(sharing: Platform, value: Any) -> None:
    given = (await sharing.ask(PREFERENCE, "tom", v=value))["r"]["value"]
    kept = (await sharing.ask(READ, "tom"))["preferences"]["nodes"][0]["value"]
    wrapped = (await sharing.ask(WRAPPED, "tom", v=value))["r"]["value"]
    for found in (given, kept, wrapped["a"][0]):
        assert (type(found), found) == (type(value), value)


def test_every_json_input_has_a_shape_and_a_bound(schema: Schema) -> None:
    unbound = {}
    for kind in schema.core.type_map.values():
        if isinstance(kind, GraphQLInputObjectType):
            fields = {f.graphql_name or camel(f.python_name): f.metadata for f in kind.extensions[DEFINITION].fields}
            given = {name: (field, fields[name]) for name, field in kind.fields.items()}
            unbound |= {f"{kind.name}.{name}": metadata for name, (f, metadata) in given.items() if _json(f)}
        elif isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__"):
            for name, field in kind.fields.items():
                declared = {camel(a.python_name): a.metadata for a in field.extensions[DEFINITION].arguments}
                unbound |= {f"{name}.{a}": declared[a] for a, argument in field.args.items() if _json(argument)}
    assert len(unbound) > 10
    bounds = {name: (metadata or {}).get(Shape) for name, metadata in unbound.items()}
    assert {name for name, shape in bounds.items() if shape is None} == set()
    # Its reader checks each estimator, beside the event loop, in what a worker's request may hold.
    assert {name for name, shape in bounds.items() if shape.most is None} == {"workerPutResults.estimators"}


def _json(position: Any) -> bool:
    return get_named_type(position.type).name == "JSON"


@pytest.mark.parametrize(("field", "value"), [("config", [1, 2, 3]), ("config", 1), ("infos", "x"), ("config", {"a": "x" * 900_000}), ("infos", {"a": 2**60})])  # fmt: skip
async def test_a_device_takes_objects_of_a_bounded_size(sharing: Platform, field: str, value: Any) -> None:
    device = global_id("Device", sharing.world.here.device)
    query = "mutation($i:ID!,$v:Int!,$c:DeviceChanges!){r:updateDevice(id:$i,expectedVersion:$v,input:$c){...on Problem{code field}}}"
    for _ in range(2):
        answer = (await sharing.ask(query, "root", i=device, v=1, c={field: value}))["r"]
        assert answer["code"] == "INVALID"
        assert answer["field"].startswith(f"input.{field}")
        assert sharing.counted.statements == 0


# Every scalar --------------------------------------------------------------------------------------------------------

HOSTILE: dict[str, list[Any]] = {
    "String": ["\0", "a\0b", "x" * 100_000, "%" * 200, "\ufffe\uffff", "\U0010ffff", ""],
    "ID": ["", "\0", "x", "VXNlcjo=", "VXNlcjp4\0", "ü", 2**70, 5],
    "Int": [2**31, -(2**31) - 1, 2**31 - 1, -(2**31), math.inf, 1.5, "1"],
    "Float": [math.inf, -math.inf, 1e308, "x"],
    "BigInt": [2**63, -(2**63) - 1, 2**63 - 1, -(2**63), DIGITS, "٣", " 1", "1_0", 1.0],
    "Boolean": [0, "true"],
    "DateTime": ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2026-02-30T00:00:00Z", "2026-01-01", "\0", "2026-W01-1T00:00Z", DIGITS, "2026-01-01T00:00:00+23:59:59.999999"],
    "SpecSource": ["\0", "", "\ud800", "a: &a [*a]", 5, {}, []],
    "JSON": [math.inf, 2**53, "\0", {"\0": 1}, {"a": "\0"}, None, [], "x", 5, {"a": 2**70}, [[[]]]],
}  # fmt: skip
TOLD = {"BAD_USER_INPUT", "INVALID", "NOT_FOUND", "LIMIT_EXCEEDED", "CONFLICT", "STATE", "FORBIDDEN", "UNAUTHENTICATED", "RATE_LIMITED", "DEPENDENCY"}  # fmt: skip


async def test_no_value_of_a_scalar_is_a_fault_of_ours(platform: Platform, schema: Schema, backend: str) -> None:
    """Each position gets one of the values of its type, in turn; on SQLite, which stores what it is given, a third."""
    wrong = []
    turns = {name: cycle(values) for name, values in HOSTILE.items()}
    for position in islice(positions(schema.core), 0, None, 3 if backend == "sqlite" else 1):
        kind = get_nullable_type(position.kind)
        if isinstance(kind, GraphQLEnumType):
            value = "no value of it"
        elif getattr(kind, "name", "") in turns:
            value = next(turns[kind.name])
        else:
            continue
        body = await _answer(platform, position, str(position.kind), "root", value)
        codes = {error["extensions"]["code"] for error in body.get("errors", ())}
        if not codes <= TOLD:
            wrong.append((position.name, str(value)[:40], codes))
    assert wrong == []


ALIKE = (0, False, 0.0, -0.0, 1, True, 1.0, [1], [True], {"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": True, "b": 2})
"""What Python takes for equal, one after the other."""


async def test_a_value_replaces_one_that_python_takes_for_equal(platform: Platform) -> None:
    put = 'mutation($v:JSON!){setPreference(appTag:"alike",value:$v){__typename ...on Preference{value}}}'
    read = '{preference(appTag:"alike"){value}}'
    change = "mutation($i:ID!,$n:Int!,$c:JSON!){r:updateDevice(id:$i,expectedVersion:$n,input:{config:$c}){__typename ...on Device{version config}}}"
    device = platform.world.here.id("Device", "device")
    version = (await platform.ask("query($i:ID!){node(id:$i){version}}", "root", i=device))["node"]["version"]
    for value in ALIKE:
        await platform.ask(put, "tom", v=value)
        assert orjson.dumps((await platform.ask(read, "tom"))["preference"]["value"]) == orjson.dumps(value)
        changed = (await platform.ask(change, "root", i=device, n=version, c={"x": value}))["r"]
        assert orjson.dumps(changed["config"]) == orjson.dumps({"x": value})
        version = changed["version"]


def test_every_json_column_compares_texts() -> None:
    columns = [c for table in Base.metadata.sorted_tables for c in table.columns if isinstance(c.type, sa.JSON)]
    assert [str(c) for c in columns if not isinstance(c.type, Json)] == []
