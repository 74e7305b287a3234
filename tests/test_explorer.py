"""The explorer page in a browser, and its examples against the schema."""

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import graphql
import pytest
from graphql.execution.values import get_variable_values

import gateway
from schema import Schema
from tests.conftest import Serve, Served
from tests.world import PASSWORD

if TYPE_CHECKING:
    from playwright.async_api import Browser, Locator, Page

FOLDER = Path(gateway.__file__).parent / "explorer"
EXAMPLES = sorted((FOLDER / "src" / "examples").glob("*.graphql"))
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 20_000
"""Milliseconds for what a page or a simulation needs on a slow machine."""
WATCHER = "addEventListener('securitypolicyviolation', (e) => console.error(`policy: ${e.violatedDirective} ${e.blockedURI}`))"  # noqa: E501


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
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._visited(request.url))
        self.page.on("websocket", lambda socket: self._visited(socket.url))
        await self.page.goto(f"{self.gateway.url}/graphql")
        await self.see(self.editor("query"), "query Welcome")

    def _visited(self, url: str) -> None:
        if (parts := urlsplit(url)).hostname:  # not data: and blob:
            self.hosts.add(parts.netloc)

    @property
    def answer(self) -> "Locator":
        return self.page.locator(".graphiql-response")

    def button(self, name: str) -> "Locator":
        return self.page.get_by_role("button", name=name)

    def editor(self, name: str) -> "Locator":
        return self.page.locator({"query": ".graphiql-query-editor", "headers": ".graphiql-editor-tool"}[name])

    async def see(self, where: "Locator", text: str) -> None:
        from playwright.async_api import expect

        await expect(where).to_contain_text(text)

    async def sign_in(self, password: str = PASSWORD) -> None:
        await self.page.get_by_label("Username or e-mail").fill("tom")
        await self.page.get_by_label("Password").fill(password)
        await self.button("Sign in").click()

    async def open(self, example: str) -> None:
        await self.page.get_by_role("region", name="Examples").get_by_role("button", name=example).click()
        await self.see(self.editor("query"), f"# {example}")

    async def run(self) -> None:
        await self.page.locator(".graphiql-execute-button").click()

    async def answered(self, operation: str) -> Any:
        """Run the operation of this name, that is in the open tab; its whole answer."""
        named = f'"operationName":"{operation}"'
        async with self.page.expect_response(lambda r: named in (r.request.post_data or "")) as response:
            await self.run()
        return await (await response.value).json()


async def test_probe(browser, serve):
    g = await serve("sqlite", task_slots=1)
    page = await browser.new_page(viewport={"width": 1280, "height": 800})
    e = Explorer(g, page)
    await e.load()
    await page.screenshot(path="/tmp/s1.png")
    await e.sign_in()
    await e.see(page.get_by_role("status"), "Signed in as tom")
    print([await b.get_attribute("aria-label") or await b.inner_text() for b in await page.get_by_role("button").all()])
    await page.screenshot(path="/tmp/s2.png")
    print(await e.answered("Welcome"))
    await page.screenshot(path="/tmp/s3.png")
    await e.open("Submit a simulation")
    print(await e.answered("SubmitSimulation"))
    await e.see(e.answer, '"state": "PENDING"')
    await page.screenshot(path="/tmp/s4.png")
    await e.open("Watch a job")
    await e.run()
    await e.see(e.answer, '"state": "COMPLETED"')
    await page.screenshot(path="/tmp/s5.png")
    print(e.complaints, e.hosts)
    print(await page.locator(".graphiql-editor-tool").inner_html())
