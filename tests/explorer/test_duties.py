"""What a user must do first, in the explorer page."""

from typing import Any

import pyotp
import pytest
import sqlalchemy as sa

from db import models
from tests.support.explorer import change_tom
from tests.support.serving import UNSENT, Serve
from tests.support.world import PASSWORD

pytestmark = pytest.mark.slow

NEW = "quiet water under the bridge"


async def test_a_password_of_an_administrator_is_changed_first(serve: Serve, opened: Any) -> None:
    explorer = await opened(await serve("sqlite"))
    await change_tom(explorer.gateway, force_password_change=True)
    await explorer.sign_in()
    form = explorer.page.get_by_role("form", name="Change the password")
    await explorer.see(form, "An administrator gave you a password.")
    await explorer.hides(explorer.query)
    present = form.get_by_label("Present password")
    await explorer.focused(present)
    for old, new, again, told in (
        (PASSWORD, NEW, f"{NEW}!", "The two new passwords differ."),
        ("not the password", NEW, NEW, "wrong"),
        (PASSWORD, "password1234", "password1234", "common"),
    ):
        await present.fill(old)
        await form.get_by_label("New password").fill(new)
        await form.get_by_label("The same again").fill(again)
        await explorer.page.keyboard.press("Enter")
        await explorer.see(form.get_by_role("alert"), told)
    await form.get_by_label("New password").fill(NEW)
    await form.get_by_label("The same again").fill(NEW)
    await explorer.page.keyboard.press("Enter")
    await explorer.focused(explorer.query.locator("textarea"))
    assert (await explorer.answered("Welcome"))["viewer"] == {"username": "tom"}


async def test_an_address_is_confirmed_first(serve: Serve, opened: Any) -> None:
    explorer = await opened(await serve("sqlite", **UNSENT))
    await change_tom(explorer.gateway, email_verified=False)
    await explorer.sign_in()
    form = explorer.page.get_by_role("form", name="Confirm the e-mail address")
    await explorer.see(form, "A link was mailed to tom@torana.example")
    await form.get_by_role("button", name="I have confirmed it").click()
    await explorer.see(form.get_by_role("alert"), "not confirmed yet")
    await form.get_by_role("button", name="Mail another link").click()
    await explorer.see(form.get_by_role("status"), "Another link is on its way.")
    rows = await explorer.gateway.services.database.rows(sa.select(models.Notification.text))
    link = next(word for row in rows for word in row.text.split() if "#token=" in word)
    other = await explorer.page.context.new_page()
    await other.goto(link)
    await other.get_by_role("button", name="Confirm").click()
    await other.get_by_text("The address is confirmed.").wait_for()
    await explorer.page.bring_to_front()
    await form.get_by_role("button", name="I have confirmed it").click()
    await explorer.shows(explorer.query)


async def test_a_second_factor_is_set_up_first_after_what_comes_before_it(serve: Serve, opened: Any) -> None:
    explorer = await opened(await serve("sqlite"))
    await change_tom(explorer.gateway, force_password_change=True)
    async with explorer.gateway.services.database.write(as_system="test") as session:
        await session.execute(sa.update(models.Site).values(two_factor_required=True))
    await explorer.sign_in()
    await explorer.see(explorer.page.locator("main >> visible=true"), "and 1 more after it")
    form = explorer.page.get_by_role("form", name="Change the password")
    await form.get_by_label("Present password").fill(PASSWORD)
    await form.get_by_label("New password").fill(NEW)
    await form.get_by_label("The same again").fill(NEW)
    await form.get_by_role("button").click()
    form = explorer.page.get_by_role("form", name="Set up a second factor")
    await form.get_by_label("Password").fill(NEW)
    await form.get_by_role("button", name="Go on").click()
    seed = await form.locator("code").inner_text()
    await explorer.focused(form.get_by_label("Code"))
    await form.get_by_label("Code").fill(pyotp.TOTP(seed).now())
    await form.get_by_role("button", name="Confirm").click()
    await explorer.see(form, "Keep these codes in a safe place")
    assert len((await form.locator("pre").inner_text()).split()) == 10
    await form.get_by_role("button", name="I have kept them").click()
    await explorer.shows(explorer.query)
