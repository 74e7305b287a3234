"""Downloads of what changes meanwhile: a file that looks whole is whole, and the same tag means the same bytes."""

import asyncio
from array import array
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette

from gateway.protocol.results.documents import results as document
from gateway.protocol.results.downloads import Downloads
from gateway.protocol.results.tables import table
from jobs.worker import results
from resolvers.context import Context
from resolvers.failures import Away
from resolvers.identity.principal import Kind
from resolvers.simulations import exports
from resolvers.work.finishing import merge_ready
from schema.fields.scalars import key_of
from tests.simulations.test_large_pages import Asked
from tests.support.platforms import Platform
from tests.support.work import REPORT, claim, release, submit

CANCEL = "mutation($j:ID!){cancelJob(id:$j){__typename}}"


def estimator(value: float, size: int, pages: int) -> Any:
    page = {
        "dimensions": 1,
        "data": {"name": "DOSE", "unit": "Gy", "values": array("d", [value] * size)},
        "axis_dim1": {"name": "Z", "unit": "cm", "values": array("d", range(size))},
    }
    made = [{**page, "metadata": {"page_number": str(number)}} for number in range(pages)]
    return {"name": "z_", "file_name": "z.bdo", "metadata": {}, "pages": made}


async def replacing(platform: Platform, size: int, pages: int) -> tuple[Context, Any]:
    """A simulation with results so far, whose last ones came and wait to be merged."""
    submitted = await submit(platform)
    workers = await claim(platform)
    for value, done in ((1.0, "10"), (7.0, None)):
        for number, worker in enumerate(workers):
            made = [estimator(value + number, size, pages)]
            await asyncio.to_thread(
                results.send, Asked(platform, worker), made, results.Room(10_000_000, 10_000_000), done=done
            )
        if done is not None:
            await merge_ready(platform.services)
    ctx = Context(platform.services, await platform.principal("tom"))
    return ctx, await exports.simulation(ctx, key_of("Simulation", submitted["id"]))


async def read(content: AsyncIterator[bytes], platform: Platform, after: bytes, times: int) -> bytes:
    """What comes while the results are replaced, once these bytes came so often."""
    found, replaced = b"", False
    async for piece in content:
        found += piece
        if not replaced and found.count(after) >= times:
            await merge_ready(platform.services)
            replaced = True
    return found


async def test_results_of_two_merges_are_not_mixed(platform: Platform) -> None:
    ctx, row = await replacing(platform, 500, 4)
    content = document(ctx, None, await exports.estimators(ctx, row))
    with pytest.raises(Away, match="replaced while they were read"):
        await read(content, platform, b'"page_number"', 2)


async def test_values_are_not_told_without_the_errors_that_they_had(platform: Platform) -> None:
    ctx, row = await replacing(platform, 60_000, 1)
    content = document(ctx, None, await exports.estimators(ctx, row))
    with pytest.raises(Away, match="replaced while it was read"):
        await read(content, platform, b"1.5", 60_000)


async def test_a_table_is_not_told_without_the_errors_that_it_had(platform: Platform) -> None:
    ctx, row = await replacing(platform, 60_000, 1)
    (chosen,) = await exports.estimators(ctx, row)
    content = table(ctx, await exports.page(ctx, *chosen.pages[0]))
    with pytest.raises(Away, match="replaced while it was read"):
        await read(content, platform, b"standard error", 1)


async def test_the_same_tag_means_the_same_bytes_whatever_became_of_the_tasks(platform: Platform) -> None:
    submitted = await submit(platform)
    app = Starlette(routes=Downloads(platform.services).routes)
    principal = await platform.principal("tom")
    assert principal.id is not None
    assert principal.session is not None
    keys = platform.services.identity.keys
    token = keys.access_token(Kind.USER, principal.id, principal.session, timedelta(minutes=5))
    seen: dict[str, bytes] = {}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://torana.example") as client:

        async def look() -> None:
            path = f"/downloads/simulations/{submitted['id']}/simulation.json"
            answer = await client.get(path, headers={"Authorization": f"Bearer {token}"})
            assert seen.setdefault(answer.headers["etag"], answer.content) == answer.content

        await look()
        one, two = await claim(platform)
        await look()
        for step in (
            platform.ask(REPORT, one, d="10", n=1),
            platform.ask(REPORT, two, d="10", n=1),
            platform.ask(REPORT, one, e="bad", n=2),
            release(platform, two),
            platform.ask(CANCEL, "tom", j=submitted["job"]["id"]),
        ):
            await step
            await look()
    assert len(seen) > 4
