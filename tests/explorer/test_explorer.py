"""The explorer page in a browser, and its examples against the schema."""

import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import graphql
import pytest
import sqlalchemy as sa
from graphql.execution.values import get_variable_values

import gateway
from db import models
from resolvers.work.clusters import register
from schema import Schema
from tests.support.serving import Serve, Served
from tests.support.world import PASSWORD

pytestmark = pytest.mark.slow
"""Real components, started and ended."""

if TYPE_CHECKING:
    from playwright.async_api import Browser, Locator, Page

FOLDER = Path(gateway.__file__).parent / "explorer"
EXAMPLES = sorted((FOLDER / "src" / "examples").glob("*.graphql"))
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 20_000
"""Milliseconds for what a page or a simulation needs on a slow machine."""
WATCHER = """addEventListener('securitypolicyviolation', (event) =>
    console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`))"""


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


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator["Browser"]:
    api = pytest.importorskip("playwright.async_api", reason="needs the package playwright")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"needs one of {', '.join(BROWSERS)} on the PATH")
    if not (FOLDER / "dist" / "index.html").is_file():
        pytest.skip("the explorer page is not built")
    api.expect.set_options(timeout=PATIENCE)
    async with api.async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found)
        yield browser
        await browser.close()


@dataclass
class Explorer:
    """The page, opened on a gateway; `complaints` is what the browser held against it."""

    gateway: Served
    page: "Page"
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    async def load(self) -> None:
        await self.page.add_init_script(WATCHER)
        self.page.on("console", lambda said: self._complain(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self._complain(str(error)))
        self.page.on("request", lambda request: self._visit(request.url))
        self.page.on("websocket", lambda socket: self._visit(socket.url))
        await self.page.goto(f"{self.gateway.url}/graphql")
        await self.see(self.query, "query Welcome")

    def _complain(self, text: str) -> None:
        self.complaints.append(text)

    def _visit(self, url: str) -> None:
        if host := urlsplit(url).netloc:  # data: and blob: have none
            self.hosts.add(host)

    def forget(self) -> None:
        """What the browser held against the page so far was meant to happen."""
        self.complaints.clear()
        self.hosts = {urlsplit(self.page.url).netloc}

    @property
    def query(self) -> "Locator":
        return self.page.locator(".graphiql-query-editor")

    @property
    def headers(self) -> "Locator":
        return self.page.locator("[data-uri$='request-headers.json']")

    @property
    def answer(self) -> "Locator":
        return self.page.locator(".graphiql-response")

    @property
    def alert(self) -> "Locator":
        return self.page.get_by_role("alert").and_(self.page.locator(".torana-problem"))

    def button(self, name: str) -> "Locator":
        return self.page.get_by_role("button", name=name)

    async def see(self, where: "Locator", text: str) -> None:
        """Wait until the text is there; any white space counts as a space."""
        from playwright.async_api import expect

        await expect(where).to_contain_text(text)

    async def miss(self, where: "Locator", text: str) -> None:
        """Wait until the text is no longer there."""
        from playwright.async_api import expect

        await expect(where).not_to_contain_text(text)

    async def sign_in(self, password: str = PASSWORD) -> None:
        await self.page.get_by_label("Username or e-mail").fill("tom")
        await self.page.get_by_label("Password").fill(password)
        await self.button("Sign in").click()

    async def sign_in_as_tom(self) -> None:
        await self.sign_in()
        await self.see(self.page.get_by_role("status"), "Signed in as tom")
        await self.see(self.headers, "Bearer")

    async def open(self, example: str) -> None:
        await self.page.get_by_role("region", name="Examples").get_by_role("button", name=example).click()
        await self.see(self.query, f"# {example}")

    async def run(self) -> None:
        await self.page.locator(".graphiql-execute-button").click()

    async def answered(self, operation: str) -> dict[str, Any]:
        """Run the operation of this name, that the open tab has; its data."""
        named = f'"operationName":"{operation}"'
        async with self.page.expect_response(lambda response: named in (response.request.post_data or "")) as response:
            await self.run()
        body = await (await response.value).json()
        assert "errors" not in body, body["errors"]
        await self.see(self.answer, '"data"')
        return body["data"]


@pytest.fixture
async def explorer(browser: "Browser", serve: Serve) -> AsyncIterator[Explorer]:
    """The page just loaded. No test may give the browser a reason to complain, or lead it to another host."""
    served = await serve("sqlite", task_slots=1)
    page = await browser.new_page(viewport={"width": 1280, "height": 800})
    explorer = Explorer(served, page)
    await explorer.load()
    yield explorer
    await page.close()
    assert explorer.complaints == []
    assert explorer.hosts == {urlsplit(served.url).netloc}


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
