"""The explorer page in a browser, and its examples against the schema."""

import json
from pathlib import Path

import graphql
import pytest
import sqlalchemy as sa
from graphql.execution.values import get_variable_values

from db import models
from resolvers.work.clusters import register
from schema import Schema
from tests.support.explorer import FOLDER, Explorer

pytestmark = pytest.mark.slow
"""Real components, started and ended."""

EXAMPLES = sorted((FOLDER / "src" / "examples").glob("*.graphql"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_valid_with_its_variables(schema: Schema, path: Path) -> None:
    document = graphql.parse(path.read_text())
    assert graphql.validate(schema.core, document) == []
    [operation] = document.definitions
    assert isinstance(operation, graphql.OperationDefinitionNode)
    beside = path.with_suffix(".json")
    variables = json.loads(beside.read_text()) if beside.exists() else {}
    declared = operation.variable_definitions or ()
    assert not isinstance(get_variable_values(schema.core, declared, variables), list)
    assert set(variables) == {definition.variable.name.value for definition in declared}


async def test_the_page_is_served_under_a_policy_that_lets_it_reach_no_other_host(explorer: Explorer) -> None:
    response = await explorer.page.reload()
    assert response is not None
    assert "default-src 'none'; script-src 'self';" in response.headers["content-security-policy"]
    refused = "policy: connect-src http://elsewhere.example/"
    async with explorer.page.expect_console_message(lambda said: said.text == refused):
        await explorer.page.evaluate("() => fetch('http://elsewhere.example/').catch(() => null)")
    await explorer.see(explorer.query, "query Welcome")
    explorer.forget()


async def test_a_wrong_password_is_told_and_leaves_one_anonymous(explorer: Explorer) -> None:
    await explorer.sign_in("not the password")
    await explorer.see(explorer.alert, "Could not sign in")
    data = await explorer.answered("Welcome")
    assert data["viewer"] is None
    assert data["challenges"]["totalCount"] == 1
    await explorer.see(explorer.answer, '"label": "units-2026"')


async def test_signing_in_fills_the_header_and_signing_out_empties_it(explorer: Explorer) -> None:
    await explorer.sign_in_as_tom()
    assert (await explorer.answered("Welcome"))["viewer"] == {"username": "tom"}
    await explorer.see(explorer.answer, '"username": "tom"')
    await explorer.button("Sign out").click()
    await explorer.miss(explorer.headers, "Bearer")
    assert (await explorer.answered("Welcome"))["viewer"] is None
    await explorer.see(explorer.answer, '"viewer": null')


async def test_every_example_query_shows_rows_to_whoever_signed_in(explorer: Explorer) -> None:
    await explorer.sign_in_as_tom()
    for example, operation, rows in (
        ("Challenges and leaderboards", "ChallengeLeaderboards", "challenges"),
        ("Sessions and their events", "SessionEvents", "sessions"),
        ("Specs and their versions", "SpecVersions", "specs"),
        ("Simulations and their results", "SimulationResults", "simulations"),
        ("Jobs and their tasks", "JobProgress", "jobs"),
    ):
        await explorer.open(example)
        data = await explorer.answered(operation)
        assert data[rows]["totalCount"] == 1, example
        await explorer.see(explorer.answer, f'"{rows}": {{ "totalCount": 1,')


async def test_a_submitted_simulation_is_watched_live_until_it_has_ended(explorer: Explorer) -> None:
    await explorer.sign_in_as_tom()
    await explorer.open("Submit a simulation")
    submitted = (await explorer.answered("SubmitSimulation"))["submitSimulation"]
    assert submitted["__typename"] == "Simulation"
    await explorer.open("Watch a job")
    await explorer.run()
    await explorer.see(explorer.answer, f'"key": "{submitted["job"]["key"][:15]}')
    await explorer.see(explorer.answer, '"state": "COMPLETED", "progress": 1,')
    await explorer.open("Watch results come in")
    await explorer.run()
    await explorer.see(explorer.answer, '"merges": 1')
    await explorer.see(explorer.answer, '"name": "depth_dose_"')
    await explorer.open("Follow a job's log")
    await explorer.run()
    await explorer.see(explorer.answer, "Results written")


async def test_changes_appear_live(explorer: Explorer) -> None:
    await explorer.sign_in_as_tom()
    await explorer.open("Watch whatever changes")
    await explorer.run()
    await explorer.see(explorer.answer, '"entityChanged": []')
    async with explorer.gateway.services.database.write(as_system="test") as session:
        for simulation in await session.scalars(sa.select(models.Simulation)):
            simulation.title = "renamed meanwhile"
    await explorer.see(explorer.answer, '"title": "renamed meanwhile"')


async def test_clusters_are_shown_to_who_may_use_them(explorer: Explorer) -> None:
    await register(explorer.gateway.services.database, {"ares": models.Platform.SLURM})
    await explorer.sign_in_as_tom()
    await explorer.open("Clusters that jobs may run on")
    data = await explorer.answered("Clusters")
    assert [(node["name"], node["platform"]) for node in data["clusters"]["nodes"]] == [("ares", "SLURM")]


async def test_the_docs_and_the_explorer_plugin_know_the_schema(explorer: Explorer) -> None:
    await explorer.button("Show Documentation Explorer").click()
    docs = explorer.page.locator(".graphiql-doc-explorer")
    await explorer.see(docs, "subscription: Subscription")
    await docs.get_by_role("link", name="Query").click()
    await explorer.see(docs, "challenges")
    await explorer.button("Show GraphiQL Explorer").click()
    await explorer.see(explorer.page.locator(".graphiql-explorer-root"), "simulations")
