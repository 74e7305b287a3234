"""Sessions in the explorer page: kept over a reload and the end of a token, and what must be done first."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from db import models
from db.engine import changed
from resolvers.feed import job_topic
from resolvers.identity import tokens
from tests.support.explorer import Explorer, change_tom
from tests.support.identity_provider import lab_of, person, running
from tests.support.serving import Serve
from tests.support.world import PASSWORD

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from playwright.async_api import Route

NEW = "quiet water under the bridge"
NARROW = {"width": 390, "height": 844}
SHORT = 2 / 60
"""Minutes for which a token holds, where it is to end during a test."""


# Kept -----------------------------------------------------------------------------------------------------------------


async def test_a_reload_keeps_one_signed_in_and_no_script_sees_a_token(explorer: Explorer) -> None:
    await explorer.sign_in_as_tom()
    [cookie] = await explorer.page.context.cookies(f"{explorer.gateway.url}/graphql")
    assert (cookie["name"], cookie["httpOnly"]) == ("torana_refresh", True)
    await explorer.page.reload()
    await explorer.see(explorer.status, "Signed in as tom")
    await explorer.see(explorer.headers, "Bearer")
    assert (await explorer.answered("Welcome"))["viewer"] == {"username": "tom"}
    stored = await explorer.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert "eyJ" not in stored
    assert cookie["value"] not in stored


async def test_signing_out_holds_over_a_reload_and_in_other_tabs(explorer: Explorer) -> None:
    await explorer.sign_in_as_tom()
    other = Explorer(explorer.gateway, await explorer.page.context.new_page())
    await other.load()
    await other.see(other.status, "Signed in as tom")
    await explorer.button("Sign out").click()
    await other.see(other.alert, "Signed out in another tab.")
    await explorer.page.reload()
    await explorer.page.get_by_label("Password").wait_for()
    async with asyncio.timeout(20):  # the page was left before it was answered
        while await explorer.page.context.cookies(f"{explorer.gateway.url}/graphql"):
            await asyncio.sleep(0.05)


async def test_tabs_that_refresh_at_the_same_time_both_stay_signed_in(explorer: Explorer) -> None:
    await explorer.sign_in_as_tom()
    tabs = [Explorer(explorer.gateway, await explorer.page.context.new_page()) for _ in range(3)]
    for tab in tabs:
        await tab.page.goto(f"{explorer.gateway.url}/graphql", wait_until="commit")
    for tab in tabs:
        await tab.see(tab.status, "Signed in as tom")


async def test_who_may_refresh_later_is_not_signed_out(explorer: Explorer) -> None:
    await explorer.sign_in_as_tom()
    problem = {"__typename": "Problem", "code": "RATE_LIMITED", "message": "wait", "details": {"retryAfterSeconds": 0}}
    asked = []

    async def later(route: "Route") -> None:
        if "mutation Refresh" in (route.request.post_data or ""):
            asked.append(route.request)
            if len(asked) == 1:
                await route.fulfill(json={"data": {"result": problem}})
                return
        await route.continue_()

    await explorer.page.route("**/graphql", later)
    await explorer.page.reload()
    await explorer.see(explorer.status, "Signed in as tom")
    assert len(asked) == 2


# Tokens that end ------------------------------------------------------------------------------------------------------


async def _end_tokens(explorer: Explorer) -> None:
    """Let the gateway take the access token in use for one that has ended; the page thinks that it holds."""
    await explorer.answered("Welcome")
    keys = explorer.gateway.services.identity.keys
    for token, (said, _) in keys._known.items():
        keys._known[token] = (said, datetime.now(UTC) - timedelta(hours=1))


async def test_a_request_with_a_token_that_ended_is_asked_again_once(explorer: Explorer) -> None:
    await explorer.sign_in_as_tom()
    await _end_tokens(explorer)
    asked = []

    async def seen(route: "Route") -> None:
        sent = json.loads(route.request.post_data or "{}")
        asked.append(sent.get("operationName") or sent["query"].split()[1])
        await route.continue_()

    await explorer.page.route("**/graphql", seen)
    assert (await explorer.answered("Welcome", status=200))["viewer"] == {"username": "tom"}
    assert asked == ["Welcome", "Refresh", "Welcome"]
    await explorer.miss(explorer.answer, "TOKEN_EXPIRED")
    explorer.forget()  # the browser tells of the 401


@pytest.mark.parametrize("token", ["holds", "has ended"])
async def test_a_session_that_was_ended_elsewhere_is_told(explorer: Explorer, token: str) -> None:
    await explorer.sign_in_as_tom()
    if token == "has ended":
        await _end_tokens(explorer)
    root = await explorer.gateway.log_in("root")
    user = explorer.gateway.world.id("User", "tom")
    await explorer.gateway.ask("mutation($u:ID!){closeSessions(user:$u){__typename}}", root, u=user)
    await explorer.run()
    await explorer.see(explorer.alert, "The session has ended")
    await explorer.miss(explorer.headers, "Bearer")
    explorer.forget()


async def test_a_subscription_gives_data_for_as_long_as_the_session_lasts(
    serve: Serve, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the ends of several tokens: what is changed after each is seen."""
    monkeypatch.setattr(tokens, "_LEEWAY", timedelta(0))
    gateway = await serve("sqlite", access_minutes=SHORT)
    explorer = await opened(gateway)
    await explorer.sign_in_as_tom()
    await explorer.open("Submit a simulation")
    await explorer.answered("SubmitSimulation")
    await explorer.open("Watch a job")
    async with explorer.page.expect_websocket():
        await explorer.run()
    await explorer.see(explorer.answer, '"progress": 0,')
    for progress in (0.25, 0.5, 0.75):
        async with explorer.page.expect_websocket(timeout=20_000):
            pass  # the socket ended with its token, and another one is opened
        async with gateway.services.database.write(as_system="test") as session:
            job = (await session.scalars(sa.select(models.Job).order_by(models.Job.id.desc()).limit(1))).one()
            job.progress = progress
            changed(session, job_topic(job.id))
        await explorer.see(explorer.answer, f'"progress": {progress}')
    await explorer.miss(explorer.answer, "errors")
    assert explorer.complaints == []


# Providers ------------------------------------------------------------------------------------------------------------


async def test_a_button_leads_to_the_identity_provider_and_back_into_the_page(serve: Serve, opened: Any) -> None:
    async with running() as provider:
        await person(provider, "a1", preferred_username="alice", email="alice@lab.example", email_verified=True)
        explorer = await opened(await serve("sqlite", oidc=lab_of(provider, sign_up=True)))
        await explorer.page.get_by_role("link", name="Sign in with lab").click()
        await explorer.page.wait_for_url(f"{provider}/**")
        await explorer.page.locator("input[name=sub]").fill("a1")
        await explorer.page.locator("input[name=sub]").press("Enter")
        await explorer.see(explorer.status, "Signed in as alice")
        assert explorer.page.url == f"{explorer.gateway.url}/graphql"
        assert (await explorer.answered("Welcome"))["viewer"] == {"username": "alice"}


async def test_without_providers_there_are_no_buttons(explorer: Explorer) -> None:
    assert await explorer.page.get_by_role("link", name="Sign in with").count() == 0


# Keyboard and small screens -------------------------------------------------------------------------------------------


async def test_the_keyboard_goes_on_in_the_editor_and_leaves_it_by_tab(explorer: Explorer) -> None:
    await explorer.page.get_by_label("Username or e-mail").fill("tom")
    await explorer.page.keyboard.press("Tab")
    await explorer.page.keyboard.type(PASSWORD)
    await explorer.page.keyboard.press("Enter")
    await explorer.focused(explorer.query.locator("textarea"))
    await explorer.see(explorer.headers, "Bearer")
    await explorer.page.keyboard.press("Control+Enter")
    await explorer.see(explorer.answer, '"username": "tom"')
    await explorer.page.keyboard.press("Tab")
    await explorer.focused(explorer.page.locator(".graphiql-execute-button"))
    await explorer.button("Sign out").press("Enter")
    await explorer.focused(explorer.page.get_by_label("Username or e-mail"))


async def test_the_page_fits_a_small_screen(serve: Serve, opened: Any) -> None:
    gateway = await serve("sqlite", oidc=lab_of("https://id.lab.example"))
    explorer = await opened(gateway, viewport=NARROW)
    link = explorer.page.get_by_role("link", name="Sign in with lab")
    await explorer.within(link, explorer.button("Sign in"), explorer.page.get_by_label("Password"))
    await explorer.sign_in()
    await explorer.within(
        explorer.button("Sign out"), explorer.query, explorer.page.locator(".graphiql-execute-button")
    )
    await explorer.run()
    await explorer.see(explorer.answer, '"username": "tom"')
    box = await explorer.answer.bounding_box()
    assert box is not None
    assert box["width"] > NARROW["width"] / 2
    await explorer.button("Show Examples").click()
    await explorer.within(explorer.page.get_by_role("region", name="Examples"))
    await change_tom(gateway, force_password_change=True)
    await explorer.page.reload()
    await explorer.within(explorer.page.get_by_role("form", name="Change the password"))
