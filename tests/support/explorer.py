"""The explorer page in a browser, as tests use it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import sqlalchemy as sa

import gateway
from db import models
from db.engine import changed
from resolvers.feed import principal_topic
from tests.support.serving import Served
from tests.support.world import PASSWORD

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page, Response

FOLDER = Path(gateway.__file__).parent / "explorer"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 20_000
"""Milliseconds for what a page or a simulation needs on a slow machine."""
WATCHER = """addEventListener('securitypolicyviolation', (event) =>
    console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`))"""


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

    @property
    def status(self) -> "Locator":
        """Of the bar: who is signed in."""
        return self.page.locator(".torana-bar").get_by_role("status")

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

    async def shows(self, where: "Locator") -> None:
        """Wait until it is visible."""
        from playwright.async_api import expect

        await expect(where).to_be_visible()

    async def hides(self, where: "Locator") -> None:
        """Wait until it is not visible."""
        from playwright.async_api import expect

        await expect(where).to_be_hidden()

    async def focused(self, where: "Locator") -> None:
        """Wait until it has the keyboard."""
        from playwright.async_api import expect

        await expect(where).to_be_focused()

    async def within(self, *where: "Locator") -> None:
        """Each is there, no wider than the screen, and nothing is scrolled to the side."""
        screen = self.page.viewport_size
        assert screen is not None
        for one in where:
            await one.wait_for()
            box = await one.bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= screen["width"]
        assert await self.page.evaluate("document.documentElement.scrollWidth") == screen["width"]

    async def sign_in(self, password: str = PASSWORD) -> None:
        await self.page.get_by_label("Username or e-mail").fill("tom")
        await self.page.get_by_label("Password").fill(password)
        await self.page.get_by_role("button", name="Sign in").click()

    async def sign_in_as_tom(self) -> None:
        await self.sign_in()
        await self.see(self.status, "Signed in as tom")
        await self.see(self.headers, "Bearer")

    async def open(self, example: str) -> None:
        await self.page.get_by_role("region", name="Examples").get_by_role("button", name=example).click()
        await self.see(self.query, f"# {example}")

    async def run(self) -> None:
        await self.page.locator(".graphiql-execute-button").click()

    async def answered(self, operation: str, status: int | None = None) -> dict[str, Any]:
        """Run the operation of this name, that the open tab has; its data, in the first answer with this status."""
        named = f'"operationName":"{operation}"'

        def wanted(response: "Response") -> bool:
            return named in (response.request.post_data or "") and status in (None, response.status)

        async with self.page.expect_response(wanted) as response:
            await self.run()
        body = await (await response.value).json()
        assert "errors" not in body, body["errors"]
        await self.see(self.answer, '"data"')
        return body["data"]


async def change_tom(served: Served, **values: Any) -> None:
    """Change the account that the page signs in with."""
    async with served.services.database.write(as_system="test") as session:
        await session.execute(sa.update(models.User).where(models.User.username == "tom").values(**values))
        changed(session, principal_topic(served.world.tom))
