"""What clients give: every value that is not of its place is refused with a code, on both databases."""

from typing import Any

import pytest
from graphql import GraphQLNonNull

from schema import Schema
from tests.support.platforms import Platform
from tests.support.positions import Position, literal, positions


async def _answer(platform: Platform, position: Position, declared: str, as_: str, value: Any) -> dict[str, Any]:
    """The body of what an operation with this value is answered; of a subscription, first."""
    query = position.asking(declared)
    if not query.startswith("subscription"):
        return dict((await platform.answer(query, as_, v=value)).body)
    async with platform.watch(query, as_, v=value) as answers:
        return dict((await anext(answers)).body)


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
