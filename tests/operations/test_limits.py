"""Bounds on operations: known before any SQL, told with limit and value, in time that grows with the text alone."""

import time
from dataclasses import replace
from typing import Any

import pytest
from graphql import Source, execute_sync, get_introspection_query, parse

from db import models
from gateway.operations import sources
from gateway.operations.documents import Documents, Envelope
from gateway.operations.responses import Refused
from gateway.operations.sources import Text
from resolvers.failures import LimitExceeded
from schema import Schema
from schema.fields.cost import Bounds, check_cost, costs
from schema.fields.counting import count
from tests.support.platforms import Platform


async def _refusal(reading: Platform, query: str, **variables: Any) -> dict[str, Any]:
    answer = await reading.answer(query, **variables)
    assert "data" not in answer.body
    assert reading.counted.statements == 0
    extensions: dict[str, Any] = answer.body["errors"][0]["extensions"]
    return extensions


DEEP = "{challenges(first:1){nodes{" + "leaderboards(first:1){nodes{challenge{" * 8 + "id" + "}}}" * 8 + "}}}"


@pytest.mark.parametrize(
    ("query", "limit", "allowed", "value"),
    [
        ("{challenges(first:100000){nodes{id}}}", "pageSize", 100, 100_000),
        ("{challenges(last:101){nodes{id}}}", "pageSize", 100, 101),
        (DEEP, "depth", 20, 27),
        ("{" + " ".join(f"a{n}:__typename" for n in range(51)) + "}", "aliases", 50, 51),
        ("{" + " ".join(f"viewer{{id}} v{n}:viewer{{id}}" for n in range(15)) + "}", "rootFields", 20, 30),
        ("{viewer{" + "id @skip(if:false) " * 51 + "}}", "directives", 50, 51),
        ("{users(first:100){nodes{simulations(first:100){nodes{jobs(first:100){nodes{id}}}}}}}", "cost", 50_000, 1_010_201),
        ("{simulations(first:100){nodes{estimators(first:100){nodes{pages(first:100){nodes{data{values}}}}}}}}", "cost", 50_000, 23_030_201),
    ],
    ids=["first", "last", "depth", "aliases", "root", "directives", "cost", "numbers"],
)  # fmt: skip
async def test_what_is_too_large_is_refused_with_limit_and_value(
    reading: Platform, query: str, limit: str, allowed: int, value: int
) -> None:
    refused = await _refusal(reading, query)
    assert refused["code"] == "LIMIT_EXCEEDED"
    assert (refused["limit"], refused["allowed"]) == (limit, allowed)
    if limit not in ("cost",):
        assert refused["value"] == value
    else:
        assert refused["value"] > allowed


async def test_a_page_size_in_a_variable_counts_too(reading: Platform) -> None:
    query = "query($n:Int){challenges(first:$n){nodes{id}}}"
    assert (await _refusal(reading, query, n=100_000))["limit"] == "pageSize"
    assert (await _refusal(reading, query, n=-1))["field"] == "first"
    assert (await reading.ask(query, n=100))["challenges"]["nodes"]


async def test_more_ids_than_a_page_are_refused(reading: Platform) -> None:
    codes = await reading.refused("query($i:[ID!]!){nodes(ids:$i){id}}", i=["x"] * 101)
    assert codes == ["LIMIT_EXCEEDED"]


async def test_long_filters_are_refused(reading: Platform) -> None:
    assert await reading.refused("query($l:String){challenges(first:1,filter:{label:{contains:$l}}){nodes{id}}}", l="x" * 101) == ["LIMIT_EXCEEDED"]  # fmt: skip
    assert await reading.refused("query($s:[JobState!]){jobs(first:1,filter:{state:{in:$s}}){nodes{id}}}", s=["FAILED"] * 101) == ["LIMIT_EXCEEDED"]  # fmt: skip


async def test_too_many_tokens_are_refused(reading: Platform) -> None:
    assert await reading.refused("{" + "__typename " * 3_000 + "}") == ["GRAPHQL_PARSE_FAILED"]
    assert await reading.refused("{__typename}" + "#x\n" * 3_000) == ["GRAPHQL_PARSE_FAILED"]
    assert await reading.refused("{__typename}" + " " * 200_000) == ["GRAPHQL_PARSE_FAILED"]


def _bomb(size: int) -> str:
    """Each fragment spreads the next twice: 2^size fields when written out."""
    links = " ".join(f"fragment f{n} on User{{...f{n + 1} ...f{n + 1}}}" for n in range(size))
    return f"{{viewer{{...f0}}}} {links} fragment f{size} on User{{a:id}}"


async def test_fragments_that_double_are_counted_without_being_written_out(reading: Platform) -> None:
    refused = await _refusal(reading, _bomb(60))
    assert refused["value"] == 2**53 - 1
    assert refused["limit"] == "aliases"


def test_the_work_of_measuring_grows_with_the_text(schema: Schema) -> None:
    """Counted, not timed: twice as many fragments are visited for a document twice as long."""
    for size in (50, 100):
        document = parse(_bomb(size))
        bounds = Bounds(aliases=2**200, directives=2**200, depth=200, fields=2**200, cost=2**200)
        started = time.process_time_ns()
        with pytest.raises(LimitExceeded) as refused:
            count(document, replace(bounds, aliases=2**size - 1))
        assert refused.value.details["value"] == min(2**size, 2**53 - 1)
        count(document, bounds)
        cost = costs(schema.core, document)[None]
        assert time.process_time_ns() - started < 5 * 10**9, "not exponential"
        assert check_cost(cost, {}, bounds) == 1 + 2**size // 8


async def test_circular_fragments_are_refused(reading: Platform) -> None:
    query = "{viewer{...a}} fragment a on User{...b} fragment b on User{...a}"
    assert await reading.refused(query) == ["GRAPHQL_VALIDATION_FAILED"]


async def test_costs_add_up_through_fragments_and_lists(schema: Schema) -> None:
    query = """{simulations(first: 50) {nodes {...S job {tasks(first: 10) {nodes {id}}}}}} fragment S on Simulation {owner {id}}"""
    cost = costs(schema.core, parse(query))[None]
    # the list, then for each of 50: its node, owner, job, task list and, for each of 10, a task
    assert check_cost(cost, {}, Bounds()) == 1 + 50 * (1 + 1 + 1 + 1 + 10)


@pytest.mark.parametrize(
    ("query", "cost"),
    [
        ("{viewer{id username}}", 1),
        ("{viewer{" + " ".join(f"a{n}:id" for n in range(17)) + "}}", 3),
        ("{viewer{" + "...{a:id b:id c:id}" * 6 + "...U}} fragment U on User{id username}", 3),
        ("{preferences(first:10){totalCount nodes{id value}}}", 1 + 10 * (1 + 20) + 1000),
        ('{jobs(first:0,filter:{text:"x",simulation:{title:{contains:"y"}}}){totalCount}}', 1 + 3 * 1005),
        ("{jobs(first:0){groups(by:STATE){count}}}", 1 + 2000),
        (
            "{projects(first:9){nodes{simulations(first:0){...T}}}} fragment T on SimulationConnection{totalCount}",
            1 + 9 * 22,
        ),
        ("{devices(first:10){nodes{v:config infos}}}", 1 + 10 * (1 + 40)),
    ],
    ids=["few", "leaves", "leaves of fragments", "a total", "conditions", "groups", "totals below", "json"],
)
def test_what_fields_cost(schema: Schema, query: str, cost: int) -> None:
    assert check_cost(costs(schema.core, parse(query))[None], {}, Bounds()) == cost


ONLINE = "participants(first:100){nodes{id name online project{id name participants(first:%d){nodes{id online}}}}}"


@pytest.mark.parametrize(
    "query",
    [
        "{" + ONLINE % 90 + "}",
        '{node(id:"UHJvamVjdDo4NTI3YzI4Zi0wZTdiLTQ2NjAtOGFlZS01ZmM1YjliZmE3NTE="){...on Project{' + ONLINE % 90 + "}}}",
    ],
    ids=["of the root", "of a node"],
)
async def test_a_query_that_is_read_row_by_row_costs_a_tenth_at_most(reading: Platform, query: str) -> None:
    answer = await reading.answer(query, "root")
    (error,) = answer.body["errors"]
    assert answer.status == 422
    assert "read row by row" in error["message"]
    details = error["extensions"]
    assert (details["code"], details["limit"], details["allowed"]) == ("LIMIT_EXCEEDED", "cost", 5_000)
    assert details["value"] > 5_000
    assert reading.counted.statements == 0
    assert "errors" not in (await reading.answer(query.replace("first:90", "first:10"), "root")).body
    assert "errors" not in (await reading.answer(query.replace(" online", ""), "root")).body
    assert "errors" not in (await reading.answer(query.replace(" online", "")[:-1] + " readOnly}", "root")).body


async def test_a_refusal_tells_no_number_that_json_has_not(reading: Platform) -> None:
    links = "".join(f"fragment f{n} on Query{{...f{n + 1} ...f{n + 2} viewer{{id}}}}" for n in range(100))
    ends = "fragment f100 on Query{viewer{id}} fragment f101 on Query{viewer{id}}"
    refused = await _refusal(reading, "{...f0 ...f1}" + links + ends)
    assert refused["code"] == "LIMIT_EXCEEDED"
    assert refused["value"] == 2**53 - 1


async def test_a_whole_result_is_within_the_bounds(reading: Platform) -> None:
    query = "query($i:ID!){simulation(id:$i){estimators(first:10){nodes{name pages(first:10){nodes{name axis1{values} axis2{values} data{values}}}}}}}"
    assert await reading.ask(query, "tom", i=reading.world.id("Simulation", "simulation"))


async def test_the_numbers_of_one_answer_are_bounded(reading: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resolvers.context.BYTES", 200)
    pages = "pages(first:2){nodes{data{%s}}}"
    query = f"query($i:ID!){{simulation(id:$i){{estimators(first:1){{nodes{{{pages}}}}}}}}}"
    id = reading.world.id("Simulation", "simulation")
    assert (await _too_large(reading, query % "a:values b:values c:values", "tom", i=id))["limit"] == "bytes"


BY_ROWS = " viewer{id online}"


async def _too_large(platform: Platform, query: str, as_: str | None, **variables: Any) -> dict[str, Any]:
    """Why nothing of an answer is given."""
    answer = await platform.answer(query, as_, **variables)
    assert answer.status == 422
    assert "data" not in answer.body
    (error,) = answer.body["errors"]
    assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
    extensions: dict[str, Any] = error["extensions"]
    return extensions


@pytest.mark.parametrize("more", ["", BY_ROWS], ids=["rendered", "by rows"])
async def test_stored_json_is_counted_with_each_alias_before_it_is_fetched(
    platform: Platform, more: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resolvers.context.BYTES", 5_000_000)
    async with platform.services.database.write(as_system="test") as session:
        for n in range(5):
            value = {"x": "é" * 32_000}
            session.add(models.Preference(user_id=platform.world.tom, app_tag=f"app-{n}", value=value))
    query = "{preferences(first:5){nodes{%s}}" + more + "}"
    (*_, last) = (await platform.ask(query % "value", "tom"))["preferences"]["nodes"]
    assert last["value"] == {"x": "é" * 32_000}
    refused = await _too_large(platform, query % _aliases("value", 40), "tom")
    assert (refused["limit"], refused["allowed"]) == ("bytes", 5_000_000)
    assert more or platform.counted.statements == 1
    assert more or refused["value"] > 5 * 40 * 64_000


@pytest.mark.parametrize("more", ["", BY_ROWS], ids=["rendered", "by rows"])
async def test_what_is_no_stored_json_counts_too(reading: Platform, more: str, monkeypatch: pytest.MonkeyPatch) -> None:
    query = "{viewer{" + _aliases("username", 40) + "}}" if more else "{participants(first:2){nodes{id name}}}"
    assert await reading.ask(query, "maria")
    monkeypatch.setattr("resolvers.context.BYTES", 50)
    assert (await _too_large(reading, query, "maria"))["limit"] == "bytes"


def _aliases(field: str, number: int) -> str:
    return " ".join(f"x{n}:{field}" for n in range(number))


@pytest.mark.parametrize("more", ["", ' node(id:"VXNlcjp4"){id}'], ids=["rendered", "by rows"])
async def test_an_answer_has_a_thousand_errors_at_most(
    reading: Platform, more: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resolvers.failures.ERRORS", 3)
    query = "{leaderboards(first:1){nodes{%s}}" + more + "}"
    few = await reading.answer(query % _aliases("sortingKey", 2))
    assert few.codes[0] == "FORBIDDEN"
    refused = await _too_large(reading, query % _aliases("sortingKey", 4), None)
    assert (refused["limit"], refused["allowed"], refused["value"]) == ("errors", 3, 4)


@pytest.mark.parametrize("text", ["\n\r\n\r{a\n\rb}", "{", "\r\n", ""])
def test_places_in_a_text_are_those_of_graphql(text: str) -> None:
    places = [n for n in range(len(text) + 1) if text[n - 1 : n + 1] != "\r\n"]
    assert [Text(text).get_location(n) for n in places] == [Source(text).get_location(n) for n in places]


async def test_each_place_in_a_document_is_looked_for_once(reading: Platform) -> None:
    query = "\n" * 2_000 + "{leaderboards(first:1){nodes{" + _aliases("sortingKey", 30) + "}}}"
    sources._place.cache_clear()
    for _ in range(3):
        errors = (await reading.answer(query)).body["errors"]
        assert errors[0]["locations"] == [{"line": 2_001, "column": 30}]
        assert len(errors) == 30
    assert sources._place.cache_info().misses == 30


async def test_the_explorers_introspection_is_within_the_bounds(reading: Platform) -> None:
    query = get_introspection_query(
        descriptions=True, specified_by_url=True, input_value_deprecation=True, schema_description=True
    )
    assert (await reading.ask(query))["__schema"]["queryType"]["name"] == "Query"


async def test_documents_are_prepared_once_and_kept_by_their_bytes(schema: Schema) -> None:
    documents = Documents(schema.core, Bounds(), keep=1_000_000)
    first = documents.operation(Envelope("{__typename}")).document
    assert documents.operation(Envelope("{__typename}")).document is first
    for n in range(30):
        document = documents.operation(
            Envelope(f"{{viewer{{...f{n}}}}} fragment f{n} on User{{{'id username ' * 40}}}")
        ).document
        document.memo({})
        assert sum(known.weight for known in documents._known.values()) <= 1_000_000 + document.weight
        assert sum(known.weight for known in documents._known.values()) == documents._weight
    assert len(documents._known) < 10
    assert documents.operation(Envelope("{__typename}")).document is not first
    weight = documents._weight
    first.memo({})
    assert documents._weight == weight, "what was let go counts no more"


HOSTILE = {
    "one field many times": ("{" + "viewer{id}" * 400 + "}", "rootFields"),
    "one field many times, below": ("{viewer{" + "memberships{id}" * 400 + "}}", "repetitions"),
    "a leaf many times": ("{viewer{" + "id " * 1_900 + "}}", "repetitions"),
    "doubling fragments": ("{viewer{...f0}}" + "".join(f"fragment f{n} on User{{...f{n + 1} ...f{n + 1}}}" for n in range(40)) + "fragment f40 on User{id}", "fields"),
    "a fragment that nobody spreads": ("{__typename} fragment f on User{" + "id " * 1_900 + "}", "repetitions"),
    "many operations": ("".join(f"query q{n}{{...f}}" for n in range(150)) + "fragment f on Query{viewer{" + " ".join(f"u{n}" for n in range(100)) + "}}", "fields"),
    "the schema many times": ("{" + " ".join(f"a{n}:__schema{{types{{name}}}}" for n in range(19)) + "}", "__schema"),
    "types many times": ("{" + " ".join(f'a{n}:__type(name:"User"){{name}}' for n in range(19)) + "}", "__type"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_takes_long_to_validate_is_refused_before(
    schema: Schema, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    query, limit = HOSTILE[name]
    monkeypatch.setattr("graphql.validate", None)
    with pytest.raises(Refused) as refused:
        Documents(schema.core, Bounds(), keep=1).read(query)
    assert refused.value.answer.body["errors"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert refused.value.answer.body["errors"][0]["extensions"]["limit"] == limit


INTROSPECTIONS = [
    get_introspection_query(),
    get_introspection_query(descriptions=False),
    get_introspection_query(specified_by_url=True, directive_is_repeatable=True, schema_description=True, input_value_deprecation=True),
    "query($d:Boolean=true){a:__type(name:\"Query\"){__typename name fields(includeDeprecated:$d){name args{name defaultValue type{kind ofType{name}}}}} __typename}",
    "{__type(name:\"Nothing\"){name} __schema{queryType{n:name ...T}}} fragment T on __Type{kind interfaces{name} possibleTypes{name} enumValues{name} inputFields{name} specifiedByURL}",
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(INTROSPECTIONS)))
async def test_introspection_is_what_an_executor_would_answer(reading: Platform, number: int) -> None:
    query = INTROSPECTIONS[number]
    expected = execute_sync(reading.execution._schema, parse(query)).data
    assert (await reading.answer(query)).body == {"data": expected}
    assert (await reading.answer(query)).body == {"data": expected}


async def test_an_introspection_is_no_larger_than_some_complete_ones(reading: Platform) -> None:
    field = "fields{name description args{name description type{name kind ofType{name kind ofType{name kind}}}}}"
    query = "{__schema{types{" + " ".join(f"a{n}:{field}" for n in range(40)) + "}}}"
    answer = await reading.answer(query)
    assert answer.codes == ["LIMIT_EXCEEDED"]
    assert answer.body["errors"][0]["extensions"]["limit"] == "introspection"
