"""The pages that links in mails lead to, in a browser."""

import shutil
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from db import models
from tests.support.serving import UNSENT, Serve, Served

pytestmark = pytest.mark.slow

ON_SQLITE = True

if TYPE_CHECKING:
    from playwright.async_api import Page

NEW = "quiet water under the bridge"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SIGN_UP = (
    """mutation($p:String!){r:signUp(input:{username:"ann",email:"ann@torana.example",password:$p}){__typename}}"""
)
RESET = """mutation{r:requestPasswordReset(email:"tom@torana.example"){__typename}}"""
LOG_IN = "mutation($u:String!,$p:String!){r:logIn(username:$u,password:$p){__typename ...on Tokens{duties}}}"
WATCHER = "addEventListener('securitypolicyviolation', (event) => console.error(`policy: ${event.blockedURI}`))"


@pytest.fixture
async def page() -> AsyncIterator["Page"]:
    api = pytest.importorskip("playwright.async_api", reason="needs the package playwright")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"needs one of {', '.join(BROWSERS)} on the PATH")
    async with api.async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found)
        page = await browser.new_page()
        faults: list[str] = []
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        await page.add_init_script(WATCHER)
        yield page
        await browser.close()
        assert faults == []


@pytest.fixture
async def gateway(serve: Serve) -> Served:
    return await serve("sqlite", sign_up=True, **UNSENT)


async def _link(gateway: Served, recipient: str) -> str:
    rows = await gateway.services.database.rows(
        sa.select(models.Notification.text).where(models.Notification.recipient == recipient)
    )
    found: str = next(word for word in rows[-1].text.split() if "#token=" in word)
    assert found.startswith(gateway.url)
    return found


async def _duties(gateway: Served, username: str) -> Any:
    return (await gateway.ask(LOG_IN, u=username, p=NEW))["r"].get("duties")


async def test_an_address_is_confirmed_by_the_button(gateway: Served, page: "Page") -> None:
    await gateway.ask(SIGN_UP, p=NEW)
    await page.goto(await _link(gateway, "ann@torana.example"))
    await page.wait_for_function("location.hash === ''")
    assert await _duties(gateway, "ann") == ["VERIFY_EMAIL"]
    await page.get_by_role("button", name="Confirm").click()
    await page.get_by_text("The address is confirmed. You can sign in now.").wait_for()
    assert await _duties(gateway, "ann") == []


async def test_a_password_is_set_by_the_page(gateway: Served, page: "Page") -> None:
    await gateway.ask(RESET)
    link = await _link(gateway, "tom@torana.example")
    await page.goto(link)
    first, second, button = (
        page.get_by_label("New password"),
        page.get_by_label("The same again"),
        page.get_by_role("button"),
    )
    await first.fill("password1234")
    await second.fill("password12345")
    await button.click()
    await page.get_by_text("The two passwords differ.").wait_for()
    await second.fill("password1234")
    await button.click()
    await page.get_by_text("This is a very common password.").wait_for()
    await first.fill(NEW)
    await second.fill(NEW)
    await button.click()
    await page.get_by_text("The password is set.").wait_for()
    assert await _duties(gateway, "tom") == []
    await page.goto("about:blank")
    await page.goto(link)
    await first.fill(f"{NEW} again")
    await second.fill(f"{NEW} again")
    await button.click()
    await page.get_by_text("the link does not hold").wait_for()


async def test_an_address_without_its_end_is_told(gateway: Served, page: "Page") -> None:
    await page.goto(f"{gateway.url}/reset-password")
    await page.get_by_text("This address lacks its end.").wait_for()
    assert not await page.get_by_role("button").is_visible()
