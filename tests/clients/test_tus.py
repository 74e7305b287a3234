"""Uploads by the clients of tus that others wrote, unchanged: tus-js-client, Uppy and tuspy."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from tusclient.client import TusClient

from db.models import UploadState
from tests.clients import FOLDER, installed, run_client
from tests.explorer.conftest import browser  # noqa: F401  (a fixture)
from tests.support.serving import Serve, Served
from tests.support.uploading import Uploader

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = pytest.mark.slow
"""Real components, started and ended."""

CONTENT = os.urandom(3_000_000)
META = {"filename": "values.bin", "purpose": "DATASET"}


@pytest.fixture
async def tom(serve: Serve, backend: str) -> Uploader:
    gateway: Served = await serve(backend)
    return Uploader(gateway, await gateway.log_in("tom"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "values.bin"
    path.write_bytes(CONTENT)
    return path


async def _expect_whole(tom: Uploader, place: str) -> None:
    url = urlsplit(place).path
    assert (await tom.checked(url)).state is UploadState.COMPLETE
    assert (await tom.fetched(await tom.file(url))).content == CONTENT


async def test_tus_js_client_stops_and_goes_on(tom: Uploader, file: Path) -> None:
    headers = {"Authorization": tom.headers["Authorization"]}
    told = await run_client(
        "tus", url=tom.served.url, headers=headers, path=str(file), chunk=500_000, stop=1_200_000, metadata=META
    )
    assert told["first"][0] == "POST"
    assert told["then"][0] == "HEAD"
    assert "POST" not in told["then"]
    await _expect_whole(tom, told["place"])


async def test_tus_js_client_sends_under_a_grant_alone(tom: Uploader, file: Path) -> None:
    begun = await tom.begin(purpose="DATASET", name="values.bin", size=str(len(CONTENT)))
    headers = {"Upload-Grant": begun["grant"]}
    told = await run_client("tus", url=tom.served.url, headers=headers, path=str(file), metadata={})
    assert told["place"] == begun["upload"]["url"]
    await _expect_whole(tom, told["place"])


async def test_tus_js_client_sends_parts_in_parallel(tom: Uploader, file: Path) -> None:
    headers = {"Authorization": tom.headers["Authorization"]}
    told = await run_client("tus", url=tom.served.url, headers=headers, path=str(file), parallel=3, metadata=META)
    assert told["then"].count("POST") == 4
    await _expect_whole(tom, told["place"])


async def test_tuspy_sends_with_checksums_and_goes_on(tom: Uploader, file: Path) -> None:
    def send() -> str:
        client = TusClient(f"{tom.served.url}/uploads", headers={"Authorization": tom.headers["Authorization"]})
        sending = client.uploader(str(file), chunk_size=400_000, metadata=META, upload_checksum=True)
        sending.upload(stop_at=1_000_000)
        again = client.uploader(str(file), chunk_size=400_000, url=sending.url, upload_checksum=True)
        assert 1_000_000 <= again.offset < len(CONTENT)
        again.upload()
        return str(sending.url)

    await _expect_whole(tom, await asyncio.to_thread(send))


UPPY = """
async ({ endpoint, headers, meta, size }) => {
  const bytes = new Uint8Array(size);
  for (let n = 0; n < size; n += 65536) crypto.getRandomValues(bytes.subarray(n, Math.min(size, n + 65536)));
  const uppy = new Uppy.Uppy({ meta });
  uppy.use(Uppy.Tus, { endpoint, headers, chunkSize: 500000, allowedMetaFields: ['filename', 'purpose'] });
  uppy.addFile({ name: 'values.bin', data: new Blob([bytes]) });
  const { successful, failed } = await uppy.upload();
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return {
    place: successful[0]?.uploadURL,
    failed: failed.map(({ error }) => error),
    digest: [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join(''),
  };
}
"""


@pytest.fixture
async def page(browser: "Browser") -> AsyncIterator["Page"]:  # noqa: F811
    context = await browser.new_context()
    yield await context.new_page()
    await context.close()


async def test_uppy_sends_from_a_browser(tom: Uploader, page: "Page") -> None:
    installed()
    await page.goto(f"{tom.served.url}/healthz")
    await page.evaluate((FOLDER / "node_modules" / "uppy" / "dist" / "uppy.min.js").read_text())
    given: dict[str, Any] = {"endpoint": f"{tom.served.url}/uploads", "meta": META, "size": 2_000_000}
    told = await page.evaluate(UPPY, {**given, "headers": {"Authorization": tom.headers["Authorization"]}})
    assert told["failed"] == []
    url = urlsplit(told["place"]).path
    assert (await tom.checked(url)).state is UploadState.COMPLETE
    assert (await tom.file(url)).digest == told["digest"]
