"""Both ways to answer a query give the same answer: to operations made from the schema, and to those that nobody makes
by chance.
"""

import asyncio
import math
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack
from itertools import product
from typing import Any

import hypothesis.strategies as st
import orjson
import pytest
import sqlalchemy as sa
from graphql import get_named_type

from db import models, plans
from db.engine import Database
from db.searching.folding import composed, fold
from db.types import uuid7
from resolvers.reading import statements
from resolvers.reading.paging import Order
from resolvers.spelling import global_id
from schema import Schema, build
from schema.fields.checks import declared_fields
from schema.fields.declarations import Connected
from tests.support.databases import BACKENDS, Prepared
from tests.support.fuzz import (
    EVERYONE,
    INSTANTS,
    JSON,
    NUMBERS,
    PROGRESS,
    TEXTS,
    Both,
    asking,
    both_on,
    report,
    settings,
)
from tests.support.generated import ODD_TEXTS, Generated
from tests.support.platforms import Platform

PRINCIPALS = (None, "tom", "maria", "root")
BIGGEST = 2**31 - 1
STORED = orjson.loads(orjson.dumps(JSON))


@pytest.fixture(scope="module", params=BACKENDS)
async def both(
    request: pytest.FixtureRequest, prepared: Prepared, schema: Schema, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Both]:
    async with both_on(prepared, request.param, schema, tmp_path_factory.mktemp("data")) as made:
        yield made


@pytest.fixture(scope="module")
async def databases(
    prepared: Prepared, schema: Schema, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[list[Both]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(both_on(prepared, backend, schema, tmp_path_factory.mktemp("data")))
            for backend in BACKENDS
        ]


# What is made from the schema, once for both databases; a failure shrinks for minutes ---------------------------------


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_deep_operations_are_answered_in_one_way(databases: list[Both]) -> None:
    await _asked(databases, databases[0].operations, 200)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_operations_of_every_kind_are_answered_in_one_way(databases: list[Both]) -> None:
    await _asked(databases, databases[0].borrowed, 300)


async def _asked(databases: list[Both], made: st.SearchStrategy[Generated], examples: int) -> None:
    """Hypothesis works in a thread, and leaves the loop to the databases."""
    loop = asyncio.get_running_loop()

    def run(asked: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(asked, loop).result(60)

    examples = min(examples, int(os.environ.get("TORANA_FUZZ_EXAMPLES", examples)))
    await asyncio.to_thread(asking(databases, made, PRINCIPALS, settings(examples, derandomize=True), run))


@pytest.mark.slow
async def test_most_of_what_is_made_finds_something(databases: list[Both]) -> None:
    """So that the two above compare more than nulls and refusals."""
    for both in databases:
        if not both.answered:
            pytest.skip("runs after the tests that make operations")
        assert both.seen["operations"] >= 200
        for who, share in (("anonymous", 0.1), ("tom", 0.3), ("maria", 0.3), ("root", 0.3)):
            asked = both.seen[f"{who}: asked"]
            assert both.seen[f"{who}: with rows"] > share * asked, report(both.seen)
            assert both.seen[f"{who}: refused"] < 0.1 * asked, report(both.seen)


# Keys of the response -------------------------------------------------------------------------------------------------


async def test_an_alias_may_be_the_name_of_another_field(both: Both) -> None:
    data = await both.data('{challenge(label:"units-2026"){label:id id:label url:active active:url}}')
    id = both.world.id("Challenge", "challenge")
    assert data == {"challenge": {"label": id, "id": "units-2026", "url": True, "active": "https://x.example"}}


async def test_keys_come_in_the_order_of_the_document(both: Both) -> None:
    query = """query{ z:__typename challenge(label:"units-2026"){ url ...F label ... on Node{version id} active leaderboards(first:1){totalCount nodes{label id}} }
      a:challenge(label:"none"){id} } fragment F on Challenge{ active id leaderboards(first:1){pageInfo{endCursor hasNextPage} nodes{challenge{label}}} }"""
    data = await both.data(query)
    assert list(data) == ["z", "challenge", "a"]
    assert list(data["challenge"]) == ["url", "active", "id", "leaderboards", "label", "version"]
    assert list(data["challenge"]["leaderboards"]) == ["pageInfo", "nodes", "totalCount"]
    assert list(data["challenge"]["leaderboards"]["nodes"][0]) == ["challenge", "label", "id"]


async def test_a_field_named_twice_is_one_field_with_both_selections(both: Both) -> None:
    query = """{ challenge(label:"units-2026"){label} challenge(label:"units-2026"){ url label
      leaderboards(first:1){nodes{label}} leaderboards(first:1){totalCount nodes{id entries(first:1){nodes{place}}}} leaderboards(first:1){nodes{entries(first:1){nodes{data}}}} } }"""
    assert await both.data(query) == {
        "challenge": {
            "label": "units-2026",
            "url": "https://x.example",
            "leaderboards": {
                "nodes": [
                    {
                        "label": "units",
                        "id": both.world.id("Leaderboard", "leaderboard"),
                        "entries": {"nodes": [{"place": 1, "data": {"per": 11}}]},
                    }
                ],
                "totalCount": 1,
            },
        }
    }


async def test_one_connection_with_different_arguments(both: Both) -> None:
    query = """{leaderboards(first:100){nodes{label entries(first:1){nodes{place}} last:entries(last:1){nodes{place}}
      a:entries(first:2,orderBy:{field:PLACE,direction:DESC}){nodes{place}} b:entries(first:2){edges{node{place}}} none:entries(first:0){nodes{place} totalCount}}}}"""
    nodes = (await both.data(query))["leaderboards"]["nodes"]
    (units,) = [node for node in nodes if node["label"] == "units"]
    assert units == {
        "label": "units",
        "entries": {"nodes": [{"place": 1}]},
        "last": {"nodes": [{"place": 3}]},
        "a": {"nodes": [{"place": 3}, {"place": 2}]},
        "b": {"edges": [{"node": {"place": 1}}, {"node": {"place": 2}}]},
        "none": {"nodes": [], "totalCount": 3},
    }


async def test_aliases_longer_than_names_of_postgresql(both: Both) -> None:
    """Those of 63 characters or more are told apart only by what PostgreSQL would cut off."""
    long = "a" * 63
    query = f'{{{long}1:challenge(label:"units-2026"){{{long}1:label {long}2:url {long}3:leaderboards(first:1){{{long}1:totalCount {long}2:nodes{{{long}1:label}}}}}} {long}2:challenge(label:"none"){{id}}}}'
    data = await both.data(query)
    assert data[f"{long}2"] is None
    assert list(data[f"{long}1"].values())[:2] == ["units-2026", "https://x.example"]


async def test_sixty_fields_in_one_object(both: Both) -> None:
    """A function of PostgreSQL takes at most 100 arguments."""
    plain = "id createdAt updatedAt version label startDate endDate active url __typename"
    aliased = " ".join(f"f{n}:{('label', 'url', 'active')[n % 3]}" for n in range(50))
    data = (await both.data(f'{{challenge(label:"units-2026"){{{plain} {aliased}}}}}'))["challenge"]
    assert len(data) == 60
    assert [data["f48"], data["f49"]] == ["units-2026", "https://x.example"]


async def test_words_of_sql_as_aliases(both: Both) -> None:
    words = [
        "select",
        "from",
        "where",
        "order",
        "group",
        "limit",
        "null",
        "true",
        "and",
        "row",
        "user",
        "table",
        "json",
    ]
    query = " ".join(f"{word}:label" for word in words)
    data = await both.data(
        f'{{select:challenge(label:"units-2026"){{{query} array:leaderboards(first:1){{union:nodes{{default:label}}}}}}}}'
    )
    assert list(data["select"]) == [*words, "array"]
    assert data["select"]["array"] == {"union": [{"default": "units"}]}


async def test_typenames_everywhere(both: Both) -> None:
    query = "{__typename leaderboards(first:1){__typename pageInfo{__typename} edges{__typename node{__typename t:__typename challenge{__typename}}} nodes{__typename}}}"
    data = await both.data(query)
    (edge,) = data["leaderboards"]["edges"]
    assert data["__typename"] == "Query"
    assert data["leaderboards"]["__typename"] == "LeaderboardConnection"
    assert data["leaderboards"]["pageInfo"] == {"__typename": "PageInfo"}
    challenge = {"__typename": "Challenge"}
    assert edge == {
        "__typename": "LeaderboardEdge",
        "node": {"__typename": "Leaderboard", "t": "Leaderboard", "challenge": challenge},
    }


# Fragments and directives ---------------------------------------------------------------------------------------------


async def test_fragments_on_the_interface_and_on_types(both: Both) -> None:
    world = both.world
    query = """query($i:ID!,$ids:[ID!]!){ node(id:$i){...N ... on Simulation{title project{...N}} ... on Job{key} ...{version}}
      nodes(ids:$ids){__typename ...N ... on Job{state simulation{title}} ... on Simulation{t:title job{key}}} } fragment N on Node{id ...M} fragment M on Node{version}"""
    ids = [
        world.id("Job", "job"),
        world.id("Simulation", "private"),
        world.id("Simulation", "simulation"),
        world.id("Job", "job"),
    ]
    data = await both.data(query, "tom", i=ids[2], ids=ids)
    assert data["node"]["title"] == "shared by tom"
    assert data["node"]["project"]["id"] == world.id("Project", "shared")
    assert [node and node["__typename"] for node in data["nodes"]] == ["Job", None, "Simulation", "Job"]
    assert list(data["nodes"][0]) == ["__typename", "id", "version", "state", "simulation"]
    assert list(data["nodes"][2]) == ["__typename", "id", "version", "t", "job"]


async def test_one_fragment_in_many_places(both: Both) -> None:
    query = """{ a:challenge(label:"units-2026"){...C} b:challenge(label:"units-2026"){leaderboards(first:1){nodes{challenge{...C ...C}}}} }
      fragment C on Challenge{label leaderboards(first:1){nodes{...L}}} fragment L on Leaderboard{id label}"""
    data = await both.data(query)
    assert data["a"] == data["b"]["leaderboards"]["nodes"][0]["challenge"]


@pytest.mark.parametrize(("skip", "include"), list(product((True, False), repeat=2)))
async def test_what_is_skipped_is_not_there(both: Both, skip: bool, include: bool) -> None:
    d = "@skip(if:$s)@include(if:$i)"
    query = f"""query($s:Boolean!,$i:Boolean!=false){{ challenge(label:"units-2026"){{ id {d} label url@include(if:$i) ...F{d} ... on Challenge{d}{{active}}
      ...@include(if:true){{version{d} ...G@skip(if:$s)}} leaderboards(first:1){{nodes{d}{{id}} totalCount@skip(if:$s)}} }} gone:challenge(label:"units-2026"){{id@skip(if:true)}}
      whole:leaderboards(first:1){d}{{nodes{{id}}}} }} fragment F on Challenge{{startDate}} fragment G on Node{{createdAt@include(if:$i)}}"""
    data = await both.data(query, s=skip, i=include)
    shown = include and not skip
    challenge = data["challenge"]
    assert {name: name in challenge for name in ("id", "label", "url", "startDate", "active", "version", "createdAt")} == {
        "id": shown, "label": True, "url": include, "startDate": shown, "active": shown, "version": shown, "createdAt": shown,
    }  # fmt: skip
    assert ("nodes" in challenge["leaderboards"], "totalCount" in challenge["leaderboards"]) == (shown, not skip)
    assert data["gone"] == {}
    assert ("whole" in data) == shown


async def test_a_field_stays_when_one_of_two_is_skipped(both: Both) -> None:
    query = """query($no:Boolean=false){ challenge(label:"units-2026"){ url@include(if:$no) label url
      leaderboards(first:1)@include(if:$no){totalCount} leaderboards(first:1){nodes{label} totalCount@include(if:$no)} } }"""
    data = await both.data(query)
    assert list(data["challenge"]) == ["label", "url", "leaderboards"]
    assert data["challenge"]["leaderboards"] == {"nodes": [{"label": "units"}]}


# Arguments ------------------------------------------------------------------------------------------------------------


async def test_variables_have_defaults(both: Both) -> None:
    query = """query($n:Int=2,$o:LeaderboardEntriesOrder={field:PLACE,direction:DESC},$l:String!="units-2026",$after:String){challenge(label:$l){leaderboards(first:1){nodes{
      entries(first:$n,orderBy:$o,after:$after){nodes{place}}}}}}"""

    async def positions(**given: Any) -> list[int]:
        data = await both.data(query, **given)
        return [n["place"] for n in data["challenge"]["leaderboards"]["nodes"][0]["entries"]["nodes"]]

    assert await positions() == [3, 2]
    assert await positions(n=1) == [3]
    assert await positions(o=None) == [1, 2], "null is the list's own order, not the variable's default"
    assert await positions(o={"field": "PLACE"}, n=3, after=None) == [1, 2, 3]


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        ("first:3", {}),
        ("first:3,after:null,last:null,before:null,orderBy:null,filter:null", {}),
        ("first:3,filter:{}", {}),
        ("first:3,filter:{label:null,active:{equals:null}}", {}),
        ("first:3,after:$s,orderBy:$o,filter:$f", {}),
        ("first:3,after:$s,orderBy:$o,filter:$f", {"s": None, "o": None, "f": None}),
        ("first:3,last:$n,filter:{label:{contains:$s},active:{equals:$b}}", {"s": None}),
        ("first:3,filter:$f", {"f": {"label": {"contains": None}}}),
    ],
)
async def test_null_is_as_good_as_absent(both: Both, arguments: str, variables: dict[str, Any]) -> None:
    kinds = {"n": "Int", "s": "String", "o": "ChallengeOrder", "b": "Boolean", "f": "ChallengeFilter"}
    used = ",".join(f"${name}:{kind}" for name, kind in kinds.items() if f"${name}" in arguments)
    selection = "{nodes{id label} totalCount pageInfo{hasNextPage}}"
    head = f"query({used})" if used else ""
    data = await both.data(
        f"{head}{{a:challenges({arguments}){selection} b:challenges(first:3){selection}}}", **variables
    )
    assert data["a"] == data["b"]
    assert data["a"]["totalCount"] == len(TEXTS) + 1


@pytest.mark.parametrize("text", [*TEXTS, *ODD_TEXTS, "\ud800", "\N{CASTLE}", "%s", "{0}", ":place", "$1", "?"])
async def test_odd_text_is_only_text_to_a_filter(both: Both, text: str) -> None:
    query = "query($t:String!){challenges(first:100,filter:{label:{contains:$t}}){totalCount nodes{label}} challenge(label:$t){label} leaderboards(first:1){totalCount}}"
    body = await both.ask(query, t=text)
    labels = [*TEXTS, "units-2026"]
    if "errors" in body:
        assert "\0" in text or "\ud800" in text or len(text) > 100 or text in "%_?*"
        return
    found = {node["label"] for node in body["data"]["challenges"]["nodes"]}
    labels = [composed(label) for label in labels]
    assert found == {label for label in labels if fold(text) in fold(label)}
    assert body["data"]["challenge"] == ({"label": composed(text)} if composed(text) in labels else None)


@pytest.mark.parametrize("text", ["nul \0", "\ud800"])
async def test_text_that_no_database_holds_leaves_the_other_fields(both: Both, text: str) -> None:
    query = 'query($t:String!){a:challenge(label:"units-2026"){label} b:challenge(label:$t){label} c:challenge(label:"units-2026"){label}}'
    body = await both.ask(query, t=text)
    assert body["data"] == {"a": {"label": "units-2026"}, "b": None, "c": {"label": "units-2026"}}
    assert [error["path"] for error in body.get("errors", [])] in ([], [["b"]])


async def test_escapes_in_the_document(both: Both) -> None:
    query = r'''{a:challenge(label:"\"quoted\" \\ back\/slash"){label} b:challenge(label:"\u0022quoted\u0022 \u{5c} back/slash"){label}
      c:challenge(label:""""quoted" \ back/slash"""){label}}'''
    assert await both.data(query) == {key: {"label": TEXTS[0]} for key in "abc"}


@pytest.mark.parametrize(
    "selected",
    [
        "sessions(first:9,filter:{status:{in:[]}})", "simulations(first:9,filter:{simType:{in:[]}})", "jobs(first:9,filter:{state:{in:[]},kind:{in:[]}})",
        'simulations(first:9,filter:{title:{contains:"no such title"}})', 'projects(last:9,filter:{name:{contains:"no such name"}})',
        "jobs(first:9,filter:{state:{in:[UNKNOWN]},kind:{in:[]}})",
    ],
)  # fmt: skip
async def test_a_filter_that_nothing_meets(both: Both, selected: str) -> None:
    data = await both.data(
        f"{{a:{selected}{{totalCount nodes{{id}} edges{{cursor}} pageInfo{{hasNextPage hasPreviousPage startCursor endCursor}}}}}}",
        "root",
    )
    info = {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None}
    assert data["a"] == {"totalCount": 0, "nodes": [], "edges": [], "pageInfo": info}


async def test_no_ids_and_the_same_id_twice(both: Both) -> None:
    id = both.world.id("Challenge", "challenge")
    data = await both.data("query($i:ID!){a:nodes(ids:[]){id} b:nodes(ids:[$i,$i]){... on Challenge{label}}}", i=id)
    assert data == {"a": [], "b": [{"label": "units-2026"}] * 2}


@pytest.mark.parametrize(
    "given",
    [
        {"number": {"in": []}},
        {"number": {"in": [BIGGEST, 7]}},
        {"name": {"in": [TEXTS[1]]}, "number": None},
        {"number": {"in": 0}},
    ],
)
async def test_filters_below_many_parents(both: Both, given: dict[str, Any]) -> None:
    query = "query($f:PageFilter){simulations(first:100){nodes{title estimators(first:5){nodes{name pages(first:5,filter:$f){totalCount nodes{number name}}}}}}}"
    nodes = (await both.data(query, "root", f=given))["simulations"]["nodes"]
    pages = [p for s in nodes for e in s["estimators"]["nodes"] for p in e["pages"]["nodes"]]
    assert (pages == []) == (given.get("number") == {"in": []})


REFERRING = [
    (kind.name, field, name, get_named_type(condition.type).name.removesuffix("Filter"))
    for kind, field, defined, declared in declared_fields(build().core)
    if isinstance(declared, Connected) and kind.name != "Query" and "filter" in defined.args
    for name, condition in get_named_type(defined.args["filter"].type).fields.items()
    if "ids" in getattr(get_named_type(condition.type), "fields", {}) and name not in ("and", "or", "not")
]
"""Of each list of a node's type: each condition that names a row, and of which type."""


@pytest.mark.parametrize(("typename", "field", "condition", "named"), REFERRING)
async def test_filters_by_a_row_below_many_parents(
    both: Both, typename: str, field: str, condition: str, named: str
) -> None:
    query = f"query($p:[ID!]!,$i:[ID!]){{nodes(ids:$p){{...on {typename}{{{field}(first:2,filter:{{{condition}:{{ids:$i}}}}){{totalCount nodes{{id}}}}}}}}}}"
    parents = both.known.ids(typename)[-20:]
    for id in both.known.ids(named)[:3]:
        for as_ in ("tom", "root"):
            await both.data(query, as_, p=parents, i=id)


# Pages ----------------------------------------------------------------------------------------------------------------

INFO = "pageInfo{hasNextPage hasPreviousPage startCursor endCursor}"


def _board(both: Both, number: int) -> Any:
    """A leaderboard with six entries, the first of them with one that is gone by now, by the time it was made."""
    rows = [row for row in both.known.rows["LeaderboardEntry"] if row.position == 4]
    return rows[number]


async def test_a_page_that_ends_where_its_list_ends(both: Both) -> None:
    id = global_id("Leaderboard", _board(both, 1).leaderboard_id)
    for size, side in product((0, 1, 5, 6, 7), ("first", "last")):
        query = f"query($i:ID!){{node(id:$i){{... on Leaderboard{{entries({side}:{size}){{nodes{{place}} edges{{cursor node{{place}}}} totalCount {INFO}}}}}}}}}"
        page = (await both.data(query, i=id))["node"]["entries"]
        whole = [1, 2, 3, 4, 5, BIGGEST]
        cut = (whole[:size] if side == "first" else whole[len(whole) - min(size, 6) :]) if size else []
        more = size < 6
        assert [node["place"] for node in page["nodes"]] == cut
        assert page["totalCount"] == 6
        assert page["pageInfo"]["hasNextPage" if side == "first" else "hasPreviousPage"] == more
        assert page["pageInfo"]["hasPreviousPage" if side == "first" else "hasNextPage"] is False
        assert page["pageInfo"]["startCursor"] == (page["edges"][0]["cursor"] if cut else None)
        assert page["pageInfo"]["endCursor"] == (page["edges"][-1]["cursor"] if cut else None)


async def test_pages_forth_and_back(both: Both) -> None:
    id = global_id("Leaderboard", _board(both, 1).leaderboard_id)
    query = f"query($i:ID!,$f:Int,$a:String,$l:Int,$b:String){{node(id:$i){{... on Leaderboard{{entries(first:$f,after:$a,last:$l,before:$b){{edges{{cursor node{{place}}}} {INFO}}}}}}}}}"

    async def page(**given: Any) -> tuple[list[int], list[str], dict[str, Any]]:
        found = (await both.data(query, i=id, **given))["node"]["entries"]
        return [e["node"]["place"] for e in found["edges"]], [e["cursor"] for e in found["edges"]], found["pageInfo"]

    _, cursors, _ = await page(f=100)
    assert len(cursors) == 6
    assert (await page(f=2, a=cursors[1]))[0] == [3, 4]
    assert (await page(l=2, b=cursors[4]))[0] == [3, 4]
    assert (await page(l=9, b=cursors[2]))[0] == [1, 2]
    assert (await page(f=0, a=cursors[2]))[2] == {"hasNextPage": True, "hasPreviousPage": True, "startCursor": None, "endCursor": None}  # fmt: skip
    positions, _, info = await page(f=3, a=cursors[5])
    assert (positions, info["hasNextPage"], info["hasPreviousPage"]) == ([], False, True)
    positions, _, info = await page(l=3, b=cursors[0])
    assert (positions, info["hasNextPage"], info["hasPreviousPage"]) == ([], True, False)


async def test_a_cursor_outlives_its_row(both: Both) -> None:
    """In the list of a build, which stays as it is. The list of a leaderboard is replaced as a whole: there the cursor of
    a row that is gone is of another build, and going on from it would mix the two."""
    row = _board(both, 0)
    cursor = Order(models.LeaderboardEntry.position).cursor(row)
    query = "query($i:ID!,$c:String,$g:ID!){gone:node(id:$g){id} node(id:$i){... on LeaderboardBuild{a:entries(first:2,after:$c){nodes{place}} b:entries(last:2,before:$c){nodes{place}}}}}"
    data = await both.data(query, i=global_id("LeaderboardBuild", row.build_id), c=cursor, g=global_id("LeaderboardEntry", row.id))  # fmt: skip
    assert data["gone"] is None
    assert data["node"]["a"] == {"nodes": [{"place": 5}, {"place": BIGGEST}]}
    assert data["node"]["b"] == {"nodes": [{"place": 2}, {"place": 3}]}
    for arguments, field in (("first:2,after:$c", "after"), ("last:2,before:$c", "before")):
        query = (
            f"query($i:ID!,$c:String){{node(id:$i){{... on Leaderboard{{entries({arguments}){{nodes{{place}}}}}}}}}}"
        )
        body = await both.ask(query, i=global_id("Leaderboard", row.leaderboard_id), c=cursor)
        assert body["data"] == {"node": None}
        (error,) = body["errors"]
        assert error["path"] == ["node", "entries"]
        assert error["extensions"] == {"code": "CONFLICT", "field": field}


@pytest.mark.parametrize("field", ["sessions", "simulations", "jobs", "auditEvents", "challenges"])
@pytest.mark.parametrize("who", ["tom", "root"])
async def test_rows_of_equal_place_come_once(both: Both, field: str, who: str) -> None:
    whole = [n["id"] for n in (await both.data(f"{{a:{field}(first:100){{nodes{{id}}}}}}", who))["a"]["nodes"]]
    found: list[str] = []
    cursor = None
    while True:
        page = (
            await both.data(f"query($c:String){{a:{field}(first:2,after:$c){{nodes{{id}} {INFO}}}}}", who, c=cursor)
        )["a"]
        found += [node["id"] for node in page["nodes"]]
        cursor = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert found == whole
    assert len(set(whole)) == len(whole) > 3


@pytest.mark.parametrize("arguments", ["", "first:1,last:1", "first:-1", "last:101", 'first:1,after:"x"', 'last:1,after:"x"', 'first:1,before:"x"'])  # fmt: skip
async def test_wrong_pages_below_a_list_are_told(both: Both, arguments: str) -> None:
    arguments = f"({arguments})" if arguments else ""
    body = await both.ask(
        f"{{challenges(first:2){{nodes{{label leaderboards{arguments}{{totalCount}}}}}} x:__typename}}"
    )
    assert {error["extensions"]["code"] for error in body["errors"]} <= {"INVALID", "LIMIT_EXCEEDED"}
    assert body.get("data") is None


# Values ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", TEXTS)
async def test_odd_text_comes_as_it_was_stored(both: Both, text: str) -> None:
    data = await both.data("query($t:String!){challenge(label:$t){label url leaderboards(first:5){nodes{sortingKey label entries(first:9){nodes{authorLabel}}}}}}", "root", t=text)  # fmt: skip
    assert (data["challenge"]["label"], data["challenge"]["url"]) == (composed(text), text)
    for board in data["challenge"]["leaderboards"]["nodes"]:
        assert board["sortingKey"] == text
        assert {entry["authorLabel"] for entry in board["entries"]["nodes"]} == {text or None}


async def test_numbers_of_64_and_of_32_bits(both: Both) -> None:
    query = "{jobs(first:100){nodes{estimatedSeconds log(last:1){nodes{sequence cursor}} tasks(first:1){nodes{requested done}} simulation{input{totalPrimaries}}}} sessions(first:100){nodes{durationSeconds}}}"
    data = await both.data(query, "root")
    jobs = [job for job in data["jobs"]["nodes"] if job["estimatedSeconds"] == BIGGEST]
    biggest = str(2**63 - 1)
    assert len(jobs) == len(TEXTS) - 1
    for job in jobs:
        assert job["tasks"]["nodes"] == [{"requested": biggest, "done": biggest}]
        assert job["simulation"]["input"]["totalPrimaries"] == biggest
        assert job["log"]["nodes"][0]["sequence"] == BIGGEST
    assert BIGGEST in {session["durationSeconds"] for session in data["sessions"]["nodes"]}


async def test_floats_keep_every_digit(both: Both) -> None:
    progress = [
        job["progress"] for job in (await both.data("{jobs(first:100){nodes{progress}}}", "root"))["jobs"]["nodes"]
    ]
    assert set(progress) == set(PROGRESS)
    negative = any(value == 0 and math.copysign(1, value) < 0 for value in progress)
    assert negative == (both.backend == "postgresql"), "SQLite stores -0.0 as 0"


async def test_instants_and_dates_of_far_times(both: Both) -> None:
    data = await both.data(
        "{sessions(first:100){nodes{startsAt}} challenges(first:100){nodes{startDate endDate}}}", "root"
    )
    starts = {session["startsAt"] for session in data["sessions"]["nodes"]}
    assert starts >= {instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ") for instant in INSTANTS}
    assert {c["endDate"] for c in data["challenges"]["nodes"]} == {None, "9999-12-31"}


async def test_json_comes_as_it_was_stored(both: Both) -> None:
    id = global_id("Leaderboard", _board(both, 1).leaderboard_id)
    data = await both.data("query($i:ID!){node(id:$i){... on Leaderboard{entries(first:9){nodes{data}}}}}", i=id)
    assert [entry["data"] for entry in data["node"]["entries"]["nodes"]] == [
        STORED,
        [],
        [None],
        "\N{CASTLE}",
        [1.0],
        {"z": 1, "a": {}},
    ]
    assert list(data["node"]["entries"]["nodes"][0]["data"]) == list(JSON)
    viewer = (await both.data("{viewer{profile notes}}", "root"))["viewer"]
    assert orjson.dumps(viewer["profile"]) == orjson.dumps(STORED)
    assert {
        e["detail"] is None
        for e in (await both.data("{auditEvents(first:9){nodes{detail client}}}", "root"))["auditEvents"]["nodes"]
    } == {True, False}


async def test_numbers_of_pages(both: Both) -> None:
    query = """query($f:PageFilter){simulations(first:50){nodes{title estimators(first:1){nodes{metadata pages(first:3,filter:$f){nodes{number hasNonFinite dimension unit
      axis1{name unit values} b:axis1{values} axis2{values name} data{v:values name unit} metadata}}}}}}}"""
    for number in (7, BIGGEST):
        nodes = (await both.data(query, "root", f={"number": {"in": [number]}}))["simulations"]["nodes"]
        pages = [page for s in nodes for e in s["estimators"]["nodes"] for page in e["pages"]["nodes"]]
        assert pages
        for page in pages:
            assert page["data"]["v"] == orjson.loads(NUMBERS)
            assert page["metadata"] == STORED
            if number == 7:
                assert (page["axis1"]["values"], page["b"]["values"], page["axis2"]["values"]) == (orjson.loads(NUMBERS), orjson.loads(NUMBERS), [])  # fmt: skip
                assert page["hasNonFinite"] is True
            else:
                assert (page["axis1"], page["axis2"], page["unit"]) == (None, None, None)


# Rows and fields that not everyone sees -------------------------------------------------------------------------------


async def test_hidden_rows_between_visible_ones_are_null(both: Both) -> None:
    world = both.world
    query = """{simulations(first:100){nodes{id owner{id} project{id name site{name}} session{id project{id} creator{id}} input{totalPrimaries} job{attempt}}}
      sessions(first:100){nodes{id type{name} project{name} creator{id}}}}"""
    data = await both.data(query, "tom")
    stored = {global_id("Simulation", row.id): row for row in both.known.rows["Simulation"]}
    shown = data["simulations"]["nodes"]
    apart = [node for node in shown if stored[node["id"]].project_id == world.apart]
    assert [node["project"] for node in apart] == [None] * len(apart) != []
    assert any(node["project"] for node in shown)
    assert any(node["owner"] is None for node in shown), "its owner is deleted"
    assert any(node["session"] is None and stored[node["id"]].session_id for node in shown)
    assert any(node["session"] and node["session"]["project"] is None for node in shown)
    assert {node["job"] and node["job"]["attempt"] for node in shown} == {1, 2, None}
    assert {node["type"] is None for node in data["sessions"]["nodes"]} == {True, False}
    specs = (
        await both.data(
            "{specs(first:100){nodes{canonicalName latestVersion{name} versions(first:9){totalCount nodes{name}}}}}",
            "tom",
        )
    )["specs"]["nodes"]
    assert {spec["latestVersion"] is None for spec in specs} == {True, False}
    assert TEXTS[5] not in {spec["canonicalName"] for spec in specs}


@pytest.mark.parametrize("who", EVERYONE)
async def test_guarded_fields_in_lists(both: Both, who: str | None) -> None:
    """Each place of a denied field is an error with its path, also twice under two aliases, once where fields merge."""
    query = "{users(first:100){nodes{id a:email b:email username ...F} edges{node{notes}}}} fragment F on User{username active}"
    body = await both.ask(query, who)
    users = body["data"]["users"]
    if who is None:
        assert users == {"nodes": [], "edges": []}
        return
    denied = {tuple(error["path"]) for error in body.get("errors", [])}
    assert len(denied) == len(body.get("errors", []))
    assert {error["extensions"]["code"] for error in body.get("errors", [])} <= {"FORBIDDEN"}
    own = global_id("User", both.principals[who].id)  # type: ignore[arg-type]
    for n, user in enumerate(users["nodes"]):
        known = next(row for row in both.known.rows["User"] if global_id("User", row.id) == user["id"])
        assert user["a"] == user["b"] == (None if ("users", "nodes", n, "a") in denied else known.email)
        assert (("users", "nodes", n, "a") in denied) == (("users", "nodes", n, "b") in denied)
        assert user["username"] == (None if ("users", "nodes", n, "username") in denied else known.username)
        assert (("users", "nodes", n, "active") in denied) == (who != "root" and user["id"] != own)
        assert (("users", "edges", n, "node", "notes") in denied) == (who != "root")
    seen = {user["username"] for user in users["nodes"]} - {None}
    assert seen >= {who}
    assert ("tom" in seen) == (who != "eve")


async def test_guarded_fields_deep_below_lists(both: Both) -> None:
    query = """{simulations(first:100){nodes{owner{username email} input{inputFiles total:totalPrimaries} job{warnings error{code message} owner{notes@include(if:true) email@skip(if:true)}}}}
      challenges(first:2){edges{node{autoEval label leaderboards(first:2){nodes{sortingKey externalEntries label}}}}} viewer{email notes}}"""
    body = await both.ask(query, "maria")
    paths = {".".join("#" if isinstance(step, int) else step for step in error["path"]) for error in body["errors"]}
    assert paths >= {
        "simulations.nodes.#.input.inputFiles", "simulations.nodes.#.job.warnings", "simulations.nodes.#.job.owner.notes",
        "challenges.edges.#.node.autoEval", "viewer.notes",
    }  # fmt: skip
    assert not any(path.endswith("job.owner.email") for path in paths)
    assert body["data"]["viewer"]["email"] == "maria@torana.example"
    allowed = await both.ask(query, "root")
    assert "errors" not in allowed


async def test_why_a_job_failed_is_for_its_owner(both: Both) -> None:
    query = "{jobs(first:100){nodes{id owner{id} error{code message} tasks(first:1){nodes{error{message code}}}}}}"
    for who in ("tom", "maria", "root"):
        jobs = (await both.data(query, who))["jobs"]["nodes"]
        failed = [job for job in jobs if job["error"]]
        assert failed
        for job in failed:
            mine = who == "root" or (job["owner"] or {}).get("id") == global_id("User", getattr(both.world, who))
            assert job["error"]["code"] == "PROGRAM_FAILED"
            assert (job["error"]["message"] is not None) == mine
            assert (job["tasks"]["nodes"][0]["error"]["message"] is not None) == mine


@pytest.mark.parametrize("who", EVERYONE)
async def test_hidden_ids_and_wrong_ones(both: Both, who: str | None) -> None:
    world = both.world
    query = 'query($a:ID!,$b:ID!){a:node(id:$a){id ...on Simulation{title}} b:simulation(id:$b){title} c:simulation(id:$a){title} d:node(id:"nonsense"){id}}'
    body = await both.ask(query, who, a=world.id("Simulation", "private"), b=world.id("Job", "job"))
    assert (body["data"]["a"] is not None) == (body["data"]["c"] is not None) == (who == "root")
    assert sorted(error["path"] for error in body["errors"]) == [["b"], ["d"]]
    whole = await both.ask('query($i:ID!){nodes(ids:[$i,"nonsense"]){id} x:__typename}', who, i=world.id("User", "tom"))
    assert (whole["data"]["nodes"][0] is not None) == (who is not None)
    assert (whole["data"]["nodes"][1], whole["data"]["x"]) == (None, "Query")
    assert [(error["path"], error["extensions"]["code"]) for error in whole["errors"]] == [(["nodes", 1], "INVALID")]


async def test_a_refusal_below_a_list_takes_what_cannot_be_null_with_it(both: Both) -> None:
    """A cursor of another order fails the connection, which is never null, so its parent is."""
    cursor = (await both.data("{challenges(first:1){pageInfo{endCursor}}}"))["challenges"]["pageInfo"]["endCursor"]
    query = 'query($i:ID!,$c:String){a:node(id:$i){id ... on Challenge{leaderboards(first:1,after:$c){totalCount}}} b:challenge(label:"units-2026"){label}}'
    body = await both.ask(query, i=both.world.id("Challenge", "challenge"), c=cursor)
    assert body["data"] == {"a": None, "b": {"label": "units-2026"}}
    (error,) = body["errors"]
    assert error["path"] == ["a", "leaderboards"]
    assert error["extensions"]["field"] == "after"


@pytest.mark.parametrize("who", EVERYONE)
async def test_who_one_is(both: Both, who: str | None) -> None:
    data = await both.data("{viewer{__typename username email profile groups(first:9){nodes{name grants(first:9){nodes{role{name project{name}}}}}} simulations(last:2){totalCount}} a:viewer{id}}", who)  # fmt: skip
    assert (data["viewer"] and data["viewer"]["username"]) == who


async def test_a_way_through_all_areas_and_back(both: Both) -> None:
    people = "projects(first:3) nodes site projects(first:3) nodes sessions(first:3) nodes creator simulations(first:2) nodes session events(last:2) nodes session type sessions(first:2) nodes name"
    work = "sessions(first:3) nodes simulations(first:1) nodes job tasks(first:1) nodes job log(first:2) edges node task ordinal"
    query = f"{{{_nested(people)} {_nested(work)}}}"
    for who in EVERYONE:
        data = await both.ask(query, who)
        assert (
            bool(data["data"]["projects"]["nodes"])
            == bool(data["data"]["sessions"]["nodes"])
            == (who not in (None, "eve"))
        )


def _nested(path: str) -> str:
    first, _, rest = path.partition(" ")
    return f"{first}{{id:__typename {_nested(rest)}}}" if rest else first


async def test_edges_of_which_only_the_type_is_asked(both: Both) -> None:
    for size in (0, 1, 3, 100):
        query = f"{{challenges(first:{size}){{edges{{__typename}}}} leaderboards(last:{size}){{edges{{t:__typename}} nodes{{entries(first:{size}){{edges{{__typename}}}}}}}}}}"
        data = await both.data(query)
        rows = (await both.data(f"{{leaderboards(last:{size}){{nodes{{id}}}}}}"))["leaderboards"]["nodes"]
        assert len(data["leaderboards"]["edges"]) == len(rows)


async def test_null_for_a_variable_that_decides_a_directive_is_refused(both: Both) -> None:
    query = "query($x:Boolean=true){challenges(first:1) @include(if:$x){nodes{id label @skip(if:$x)}}}"
    body = await both.ask(query, x=None)
    assert [error["extensions"]["code"] for error in body["errors"]] == ["BAD_USER_INPUT"]


async def test_numbers_of_many_nodes_take_one_further_statement(both: Both) -> None:
    ids = [global_id("Page", row.id) for row in both.known.rows["Page"]][:4]
    await both.data("query($i:[ID!]!){nodes(ids:$i){... on Page{data{values} axis1{values}}}}", "root", i=ids)
    assert both.rendered.counted.statements == 2


# Totals ---------------------------------------------------------------------------------------------------------------


async def test_a_total_is_told_up_to_a_bound_and_null_beyond(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    query = """query($f:Int,$l:Int,$a:String){all:simulations(first:$f,last:$l,after:$a){totalCount totalCountAtLeast pageInfo{hasNextPage hasPreviousPage}}
      found:simulations(first:1,filter:{title:{contains:"%s"}}){totalCount totalCountAtLeast}
      projects(first:50){nodes{simulations(first:3){totalCount totalCountAtLeast pageInfo{hasNextPage endCursor} nodes{id}}}}}"""
    cursor = (await both.data("{simulations(first:1){pageInfo{endCursor}}}", "root"))["simulations"]["pageInfo"]
    for bound in (2, 100_000):
        for module in ("paging", "seeking", "pages"):
            monkeypatch.setattr(f"resolvers.reading.{module}.COUNTED", bound)
        for kept in (statements.total, statements.counts):
            kept.cache_clear()
        for who, text in product(("solo", "tom", "wide", "root"), ("e", "zzz")):
            for given in ({"f": 100}, {"f": 2}, {"f": 1}, {"l": 2}, {"f": 2, "a": cursor["endCursor"]}):
                data = await both.data(query % text + f"#{bound}", who, **given)
                lists = [data["all"], data["found"], *(one["simulations"] for one in data["projects"]["nodes"])]
                for one in lists:
                    assert one["totalCountAtLeast"] == (bound if one["totalCount"] is None else one["totalCount"])
                    assert one["totalCountAtLeast"] <= bound
                if bound == 2:
                    assert data["all"]["totalCount"] is None
    for kept in (statements.total, statements.counts):
        kept.cache_clear()


# Variables ------------------------------------------------------------------------------------------------------------


async def test_variables_in_a_filter_are_read_anew_for_each_operation(both: Both) -> None:
    """The arguments of a document are kept between operations, but for what its variables give."""
    query = """query($t:String,$s:[ID!],$f:Int){simulations(first:$f,filter:{title:{contains:$t},project:{ids:$s},simType:{in:[DUMMY,SHIELDHIT]}}){
      totalCount totalCountAtLeast nodes{title project{id}}}}"""
    shared, found = global_id("Project", both.world.shared), []
    for given in ({"t": "e", "f": 50}, {"t": "e", "s": shared, "f": 50}, {"s": shared, "f": 1}, {"f": 50}, {"t": None, "s": None, "f": 50}, {"t": "zzz", "f": 3}, {"t": "e", "f": 50}):  # fmt: skip
        found.append((await both.data(query, "root", **given))["simulations"])
    counts = [one["totalCount"] for one in found]
    assert counts == [one["totalCountAtLeast"] for one in found]
    assert counts[0] == counts[-1] > counts[1] > 0 == counts[5]
    assert counts[3] == counts[4] > counts[2] > 0
    assert [len(one["nodes"]) for one in found] == [counts[0], counts[1], 1, counts[3], counts[4], 0, counts[0]]


async def test_a_list_that_is_found_first_gives_pages_forth_and_back(both: Both) -> None:
    query = """query($f:Int,$a:String,$l:Int,$b:String){simulations(first:$f,after:$a,last:$l,before:$b,filter:{title:{contains:"e"}}){totalCount
      pageInfo{hasNextPage hasPreviousPage startCursor endCursor} edges{cursor node{title owner{username} jobs(first:2){nodes{state}}}}}}"""
    for who in ("solo", "tom", "wide", "root"):
        whole = (await both.data(query, who, f=100))["simulations"]
        assert whole["edges"], who
        forth, back, after, before = [], [], None, None
        while (page := (await both.data(query, who, f=2, a=after))["simulations"])["edges"]:
            forth += page["edges"]
            after = page["pageInfo"]["endCursor"]
        while (page := (await both.data(query, who, l=2, b=before))["simulations"])["edges"]:
            back = page["edges"] + back
            before = page["pageInfo"]["startCursor"]
        assert forth == back == whole["edges"]
        assert (await both.data(query, who, f=0))["simulations"]["edges"] == []
    if both.backend == "postgresql":
        await both.rendered.ask(query, both.principals["tom"], f=2)
        assert len(both.rendered.counted.texts) == 2


async def test_a_row_that_goes_away_while_its_list_is_read_is_not_counted(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL a list is found by one statement and read by another."""
    database, made = both.rendered.services.database, uuid7()
    async with database.write(as_system="test") as session:
        kind, title = models.SimulationType.DUMMY, "! a goes away"
        session.add(models.Simulation(id=made, user_id=both.world.tom, project_id=both.world.shared, title=title,
                                      sim_type=kind, input_type=models.InputType.EDITOR))  # fmt: skip
    fetch = Database.fetch

    async def gone_after(self: Database, prepared: Any, *given: Any) -> Any:
        found = await fetch(self, prepared, *given)
        if prepared.plans == plans.OWN:
            async with database.write(as_system="test") as session:
                await session.execute(sa.delete(models.Simulation).where(models.Simulation.id == made))
        return found

    query = """{simulations(first:1,orderBy:{field:TITLE}){totalCount nodes{title owner{id} jobs(first:1){nodes{id}}} pageInfo{hasNextPage endCursor}}}"""
    before = (await both.rendered.ask(query, both.principals["tom"]))["simulations"]
    assert before["nodes"][0]["title"] == title
    monkeypatch.setattr(Database, "fetch", gone_after)
    found = (await both.rendered.ask(query, both.principals["tom"]))["simulations"]
    monkeypatch.undo()
    async with database.write(as_system="test") as session:
        await session.execute(sa.delete(models.Simulation).where(models.Simulation.id == made))
    if both.backend == "postgresql":
        assert found["totalCount"] == before["totalCount"] - 1
        assert found == (await both.rendered.ask(query, both.principals["tom"]))["simulations"]
        assert found["pageInfo"]["endCursor"] is not None


async def test_one_key_for_different_fields_below_nodes_and_edges(both: Both) -> None:
    for query in (
        "{users(first:9){edges{node{x:username online}} nodes{x:email}}}",
        "{participants(first:9){nodes{online x:createdAt} edges{node{x:name}}}}",
        "{viewer{online groups(first:2){edges{node{x:name users(first:2){nodes{online}}}} nodes{x:createdAt}}}}",
        "{users(first:9){edges{node{x:username}} nodes{x:email}}}",
    ):
        for who in ("tom", "maria", "root"):
            body = await both.ask(query, who)
            assert {error["extensions"]["code"] for error in body.get("errors", [])} <= {"FORBIDDEN"}
            assert body["data"] is not None


async def test_a_page_of_no_rows_has_no_cursors(platform: Platform) -> None:
    found = await platform.ask("{preferences(first:0){pageInfo{startCursor endCursor}}}", None)
    assert found == {"preferences": {"pageInfo": {"startCursor": None, "endCursor": None}}}
