"""A browser, and the explorer page in it."""

import shutil
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.support.explorer import BROWSERS, FOLDER, PATIENCE, Explorer
from tests.support.serving import Serve, Served

if TYPE_CHECKING:
    from playwright.async_api import Browser


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


@pytest.fixture
async def explorer(browser: "Browser", serve: Serve) -> AsyncIterator[Explorer]:
    """The page just loaded. No test may give the browser a reason to complain, or lead it to another host."""
    served = await serve("sqlite", task_slots=1)
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    explorer = Explorer(served, await context.new_page())
    await explorer.load()
    yield explorer
    await context.close()
    assert explorer.complaints == []
    assert explorer.hosts == {urlsplit(served.url).netloc}


@pytest.fixture
async def opened(browser: "Browser") -> AsyncIterator[Any]:
    """Opens the page of a gateway, in a browser context of its own."""
    contexts = []

    async def open_(served: Served, **options: Any) -> Explorer:
        context = await browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        contexts.append(context)
        explorer = Explorer(served, await context.new_page())
        await explorer.load()
        return explorer

    yield open_
    for context in contexts:
        await context.close()
