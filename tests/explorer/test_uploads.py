"""The pane that uploads files: it goes on after a reload, and tells what was refused."""

import os
from pathlib import Path
from typing import Any

import pytest

from db.models import Upload, UploadState
from tests.support.explorer import Explorer
from tests.support.serving import Served
from tests.support.uploading import Uploader, number_of

pytestmark = pytest.mark.slow
"""Real components, started and ended."""


async def _pane(explorer: Explorer) -> Any:
    await explorer.page.get_by_role("button", name="Show Uploads").click()
    pane = explorer.page.get_by_role("region", name="Uploads")
    await pane.wait_for()
    return pane


async def _slowly(explorer: Explorer, rate: float) -> None:
    """Let the browser send only so many bytes each second."""
    devtools = await explorer.page.context.new_cdp_session(explorer.page)
    await devtools.send("Network.enable")
    given = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": rate}
    await devtools.send("Network.emulateNetworkConditions", given)


async def _sending(gateway: Served) -> str:
    """The address of the upload of which some has come."""
    with gateway.services.feed.subscription("upload:*") as changes:
        while not await number_of(gateway, Upload, Upload.received > 0, Upload.state == UploadState.OPEN):
            await changes.next()
    rows = await gateway.services.database.rows(Upload.__table__.select())
    return f"/uploads/{rows[0].id}"


async def test_an_upload_goes_on_after_the_page_was_reloaded(explorer: Explorer, tmp_path: Path) -> None:
    content = os.urandom(6_000_000)
    (tmp_path / "values.bin").write_bytes(content)
    await explorer.sign_in_as_tom()
    pane = await _pane(explorer)
    await _slowly(explorer, 1_000_000)
    await pane.locator("input[type=file]").set_input_files(tmp_path / "values.bin")
    await explorer.see(pane, "values.bin")
    url = await _sending(explorer.gateway)
    await explorer.page.reload()
    await explorer.see(explorer.status, "Signed in as tom")
    await _slowly(explorer, -1)
    await explorer.see(pane, "ready · 6.0 MB of 6.0 MB")
    tom = Uploader(explorer.gateway, await explorer.gateway.log_in("tom"))
    file = await tom.file(url)
    assert (await tom.fetched(file)).content == content
    async with explorer.page.expect_download() as downloading:
        await pane.get_by_role("link", name="Download").click()
    await (await downloading.value).save_as(tmp_path / "downloaded.bin")
    assert (tmp_path / "downloaded.bin").read_bytes() == content
    explorer.forget()  # the request that the reload broke


async def test_what_is_refused_is_told_and_may_be_removed(explorer: Explorer, tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"no picture")
    await explorer.sign_in_as_tom()
    pane = await _pane(explorer)
    await pane.locator("input[type=file]").set_input_files(tmp_path / "picture.png")
    await explorer.see(pane, "its content is not that of a .png file")
    await pane.get_by_role("button", name="Remove picture.png").click()
    await explorer.miss(pane, "picture.png")
    await pane.get_by_label("Belongs to").fill(explorer.gateway.world.id("Session", "task"))
    await pane.locator("input[type=file]").set_input_files(tmp_path / "picture.png")
    await explorer.see(pane, "no Session with this id")


async def test_files_may_be_dropped_on_the_pane(explorer: Explorer) -> None:
    await explorer.sign_in_as_tom()
    pane = await _pane(explorer)
    given = await explorer.page.evaluate_handle(
        "() => { const data = new DataTransfer(); data.items.add(new File(['a,b'], 'dropped.csv')); return data; }"
    )
    await pane.locator(".torana-drop").dispatch_event("drop", {"dataTransfer": given})
    await explorer.see(pane, "dropped.csv")
    await explorer.see(pane, "ready")


async def test_who_is_signed_out_is_asked_to_sign_in(explorer: Explorer) -> None:
    await explorer.see(await _pane(explorer), "Sign in to upload files.")
