"""What `torana explain` shows: the statements of an operation and their plans, and what is read row by row."""

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import sqlalchemy as sa

from db import models
from db.plans import literal
from gateway.commands.explain import Explained, explain
from gateway.operations.documents import Envelope
from gateway.operations.responses import Refused
from schema import Schema
from tests.commands import test_cli
from tests.commands.test_cli import Done, Torana
from tests.support.databases import Prepared
from tests.support.platforms import KEY, Platform

torana = test_cli.torana

LABELS = "{challenges(first:1){nodes{label}}}"


@pytest.fixture
def explained(reading: Platform, schema: Schema) -> Callable[..., Any]:
    async def run(query: str, as_: str | None = None, **variables: Any) -> dict[str, Explained]:
        principal, operation = await reading.principal(as_), reading.documents.operation(Envelope(query))
        told = [one async for one in explain(schema.core, reading.services, principal, operation, variables)]
        assert len({one.path for one in told}) == len(told)
        for one in told:
            assert bool(one.why) != bool(one.statement)
            assert bool(one.statement) == bool(one.plan)
        return {one.path: one for one in told}

    return run


LITERALS = [
    (["plain", "it's", 'say "x"', "back\\slash", "{a,b}", "NULL", "", None], "text[]"),
    ("it's \\ one", "text"),
    (UUID(int=7), "uuid"),
    ([UUID(int=7), UUID(int=8)], "uuid[]"),
    (datetime(2026, 11, 29, 3, 30, tzinfo=UTC), "timestamptz"),
    (date(2026, 11, 29), "date"),
    (True, "boolean"),
    ([True, False], "boolean[]"),
    (2**62, "bigint"),
    (0.1, "float8"),
    (float("inf"), "float8"),
    (None, "integer"),
]


@pytest.mark.slow
async def test_a_statement_is_explained_with_the_values_that_it_is_run_with(prepared: Prepared) -> None:
    """On PostgreSQL, whose EXECUTE takes no parameters."""
    async with prepared.lent("postgresql") as (url, _):
        connection = await asyncpg.connect(url)
        for value, kind in LITERALS:
            assert await connection.fetchval(f"SELECT {literal(value)}::{kind}") == value
        await connection.close()
    with pytest.raises(TypeError, match="no literal for bytes"):
        literal(b"x")


# What is told ---------------------------------------------------------------------------------------------------------


async def test_a_field_that_is_rendered_has_one_statement_and_its_plan(reading: Platform, explained: Any) -> None:
    (told,) = (await explained("{list:challenges(first:1){nodes{label leaderboards(first:2){nodes{label}}}}}")).values()
    assert told.path == "list"
    assert told.statement.startswith("SELECT ")
    assert "challenges" in told.statement
    assert "leaderboards" in told.statement
    plan = "\n".join(told.plan)
    if reading.services.database.dialect == "postgresql":
        assert "(cost=" in plan
        assert "on challenges" in plan
    else:
        assert "challenges_1" in plan
        assert told.plan[0] == told.plan[0].lstrip()


async def test_the_statement_is_the_one_that_answers(reading: Platform, explained: Any) -> None:
    query = "query($l:String!){challenge(label:$l){label leaderboards(first:1){totalCount}} simulations(first:3){nodes{title owner{username}}}}"
    told = await explained(query, "maria", l="units-2026")
    await reading.ask(query, "maria", l="units-2026")
    assert [told["challenge"].statement, told["simulations"].statement] == reading.counted.texts


async def test_statements_are_those_of_who_asks(explained: Any) -> None:
    query = "{simulations(first:1){nodes{title}}}"
    statements = {(await explained(query, who))["simulations"].statement for who in (None, "eve", "tom", "root")}
    assert len(statements) == 4


async def test_a_field_made_in_python_is_told_with_its_path_and_what_is_rendered_below(
    reading: Platform, explained: Any
) -> None:
    query = "query($i:ID!){it:job(id:$i){title error{code} work:tasks(first:9){nodes{ordinal}} owner{username}}}"
    told = await explained(query, "tom", i=reading.world.id("Job", "job"))
    assert list(told) == ["it", "it.error", "it.work", "it.owner"]
    assert told["it"].why == "error: made in Python"
    assert told["it.error"].why == "made in Python"
    assert "tasks" in told["it.work"].statement
    assert "users" in told["it.owner"].statement


async def test_the_path_of_what_is_made_in_python_leads_through_lists(explained: Any) -> None:
    told = await explained("{jobs(first:2){nodes{tasks(first:2){nodes{slip:error{code}}} simulation{title}}}}", "tom")
    assert told["jobs"].why == "nodes.tasks.nodes.slip: made in Python"
    assert told["jobs.nodes.tasks"].why == "nodes.slip: made in Python"
    assert "simulations" in told["jobs.nodes.simulation"].statement


async def test_other_fields_of_the_root_keep_their_statement(explained: Any) -> None:
    told = await explained("{a:jobs(first:1){nodes{error{code}}} b:challenges(first:1){nodes{label}}}", "tom")
    assert told["a"].why
    assert told["b"].statement


async def test_fragments_and_conditions_are_followed(explained: Any) -> None:
    query = """query($deep:Boolean!){challenges(first:1){nodes{...F}}}
    fragment F on Challenge{label leaderboards(first:1)@include(if:$deep){nodes{label}}}"""
    assert "leaderboards" in (await explained(query, deep=True))["challenges"].statement
    assert "leaderboards" not in (await explained(query, deep=False))["challenges"].statement


async def test_an_id_may_name_each_of_the_types_that_the_document_asks_about(explained: Any) -> None:
    query = (
        "query($i:ID!){node(id:$i){id ...on Challenge{label} ...on Simulation{title estimators(first:1){nodes{name}}}}}"
    )
    told = await explained(query, i="x")
    assert set(told) == {"node (Challenge)", "node (Simulation)"}
    assert "estimators" in told["node (Simulation)"].statement
    told = await explained("query($i:[ID!]!){nodes(ids:$i){...on Challenge{label}}}", i=[])
    assert list(told) == ["nodes (Challenge)"]


async def test_constants_and_introspection_have_no_statement(explained: Any) -> None:
    told = await explained("{__typename __schema{queryType{name}}}")
    assert told["__typename"].why == "a constant"
    assert told["__schema"].why == "introspection"


async def test_a_wrong_argument_is_told(explained: Any) -> None:
    told = await explained('{challenges(first:1,after:"x"){nodes{label}}}')
    assert told["challenges"].why == "an argument is wrong, and its field says how"


@pytest.mark.parametrize("given", [{}, {"n": "two"}, {"n": 2**40}])
async def test_wrong_variables_are_refused(explained: Any, given: Any) -> None:
    with pytest.raises(Refused) as refused:
        await explained("query($n:Int!){challenges(first:$n){nodes{label}}}", **given)
    assert refused.value.answer.codes == ["BAD_USER_INPUT"]
    assert "$n" in refused.value.answer.body["errors"][0]["message"]


async def test_a_mutation_is_explained_and_not_run(reading: Platform, explained: Any) -> None:
    users = sa.select(models.User.version, models.User.first_name, models.User.updated_at).order_by(models.User.id)
    before = await reading.services.database.rows(users)
    told = await explained(
        """mutation($v:Int!){updateProfile(expectedVersion:$v,input:{firstName:"Explained"}){...on User{username}} logOut{__typename}}""",
        "tom",
        v=1,
    )
    assert {path: one.why for path, one in told.items()} == {"updateProfile": "not a query", "logOut": "not a query"}
    assert await reading.services.database.rows(users) == before
    assert await reading.ask("{viewer{firstName}}", "tom") == {"viewer": {"firstName": None}}


async def test_a_subscription_is_explained_by_what_each_event_reads(reading: Platform, explained: Any) -> None:
    query = "subscription($i:ID!){jobUpdated(id:$i){state error{code} tasks(first:9){nodes{ordinal}}}}"
    told = await explained(query, "tom", i=reading.world.id("Job", "job"))
    assert told["jobUpdated"].why == "not a query"
    assert "tasks" in told["jobUpdated.tasks"].statement


# The command ----------------------------------------------------------------------------------------------------------


Explain = Callable[..., Done]


@pytest.fixture
async def settings(prepared: Prepared, backend: str, tmp_path: Path) -> dict[str, str]:
    """Of a gateway with a database that only these tests read."""
    url, _ = await prepared.template(backend)
    return {"TORANA_DATABASE_URL": url, "TORANA_SECRET_KEYS": KEY, "TORANA_DATA_DIR": str(tmp_path)}


@pytest.fixture
def explaining(torana: Torana, settings: dict[str, str], tmp_path: Path) -> Explain:
    def run(text: str, *arguments: str) -> Done:
        file = tmp_path / "asked.graphql"
        file.write_text(text)
        return torana("explain", str(file), *arguments, **settings)

    return run


def _refused(done: Done, *says: str) -> None:
    assert done.returncode == 2
    assert done.stderr.startswith("torana: ")
    assert "Traceback" not in done.stderr
    for one in says:
        assert one in done.stderr


def test_the_command_prints_each_field_with_statement_and_plan(explaining: Explain) -> None:
    done = explaining('{challenges(first:1){nodes{label}} job(key:"x"){error{code} tasks(first:1){totalCount}}}')
    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall(r"^[\w.]+: (?:one statement|row by row.*)$", done.stdout, re.MULTILINE) == [
        "challenges: one statement",
        "job: row by row: error: made in Python",
        "job.error: row by row: made in Python",
        "job.tasks: one statement",
    ]
    assert done.stdout.count("\nSELECT ") == 2


def test_the_command_asks_as_a_user_with_variables_and_by_name(explaining: Explain) -> None:
    query = "query A($n:Int!){simulations(first:$n){nodes{title}}} query B{challenges(first:1){nodes{label}}}"
    variables = ("--operation", "A", "--variables", json.dumps({"n": 7}))
    anonymous, tom = explaining(query, *variables), explaining(query, *variables, "--as", "Tom")
    assert anonymous.returncode == tom.returncode == 0
    assert "simulations: one statement" in tom.stdout
    assert "LIMIT 7" in tom.stdout
    assert anonymous.stdout != tom.stdout
    assert "challenges: one statement" in explaining(query, "--operation", "B").stdout


def test_an_unknown_user_is_told(explaining: Explain) -> None:
    _refused(explaining(LABELS, "--as", "nobody"), "no user is called nobody")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "{\n  challenges(first: 1) {\n    nodes { colour }\n  }\n}",
            "asked.graphql:3:13: Cannot query field 'colour'",
        ),
        ("{\n", "asked.graphql:2:1: Syntax Error"),
        ("", "asked.graphql"),
        ("query A{__typename} query B{__typename}", "name one: A, B"),
    ],
)
def test_a_document_that_is_not_valid_is_told_with_its_place(explaining: Explain, text: str, says: str) -> None:
    _refused(explaining(text), says)


def test_an_operation_that_is_not_there_is_told(explaining: Explain) -> None:
    _refused(explaining("query A{__typename}", "--operation", "B"), "no operation of this name")


@pytest.mark.parametrize("variables", ["{", "", "{'n': 1}"])
def test_variables_that_are_not_json_are_told(explaining: Explain, variables: str) -> None:
    _refused(explaining(LABELS, "--variables", variables), "--variables must be a JSON object")


@pytest.mark.parametrize("variables", ["{}", '{"n": "two"}', '{"n": null}', '{"n": 1099511627776}'])
def test_variables_of_wrong_values_are_told(explaining: Explain, variables: str) -> None:
    query = "query($n:Int!){challenges(first:$n){nodes{label}}}"
    _refused(explaining(query, "--variables", variables), "$n")


def test_a_file_that_is_not_there_is_told(torana: Torana, tmp_path: Path) -> None:
    given = {"TORANA_SECRET_KEYS": KEY, "TORANA_DATA_DIR": str(tmp_path)}
    _refused(torana("explain", str(tmp_path / "absent.graphql"), **given), "absent.graphql")


def test_the_command_runs_no_mutation(explaining: Explain) -> None:
    mutation = 'mutation{updateProfile(expectedVersion:1,input:{firstName:"Explained"}){...on User{version}}}'
    for _ in range(2):
        done = explaining(mutation, "--as", "tom")
        assert (done.returncode, done.stdout) == (0, "updateProfile: row by row: not a query\n")
