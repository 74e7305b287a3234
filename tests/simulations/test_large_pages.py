"""Pages whose numbers stand in slabs: delivered apart, merged, sliced and downloaded."""

import asyncio
import base64
import csv
import io
from array import array
from collections.abc import AsyncIterator
from dataclasses import dataclass
from math import prod
from typing import Any
from urllib.parse import urlsplit

import httpx2
import numpy as np
import orjson
import pytest
import sqlalchemy as sa
from starlette.applications import Starlette

from db import models
from gateway.protocol.results.downloads import Downloads
from jobs.results import slabs
from jobs.worker import results
from jobs.worker.gateway import Refused
from resolvers.identity.principal import Principal
from resolvers.reading import numbers
from resolvers.simulations import retention
from resolvers.work.finishing import merge_ready
from tests.support.platforms import Platform
from tests.support.work import claim, job_of, submit

SHAPE = (50, 40, 30)
SIZE = prod(SHAPE)
PAGES = """query($id:ID!){simulation(id:$id){estimators(first:1){nodes{pages(first:1){nodes{
  id dimension valueCount hasNonFinite downloadUrl axis3{values} data{values errors}}}}}}}"""
SLICE = """query($id:ID!,$x:Bins,$y:Bins,$z:Bins){page(id:$id){data{
  values(axis1:$x,axis2:$y,axis3:$z) errors(axis1:$x,axis2:$y,axis3:$z)}}}"""


class Asked:
    """What the worker has for a gateway: it asks this platform, as a task."""

    def __init__(self, platform: Platform, worker: Principal) -> None:
        self._platform, self._worker, self._loop = platform, worker, asyncio.get_running_loop()
        self.sent: list[int] = []

    def ask(self, query: str, patience: float = 0, **variables: Any) -> Any:
        self.sent.append(len(orjson.dumps(variables)))
        answer = asyncio.run_coroutine_threadsafe(self._platform.answer(query, self._worker, **variables), self._loop)
        body = answer.result(60).body
        if "errors" in body:
            raise Refused(body["errors"][0]["message"], body["errors"][0]["extensions"]["code"])
        return body["data"]


def estimator(values: Any, shape: tuple[int, ...] = SHAPE, **more: Any) -> Any:
    axes = {
        f"axis_dim{n}": {"name": "XYZ"[n - 1], "unit": "cm", "values": array("d", range(size))}
        for n, size in enumerate(shape, 1)
    }
    data = {"name": "DOSE", "unit": "Gy", "values": array("d", values), **more}
    page = {"dimensions": len(shape), "metadata": {"page_number": "0"}, "data": data, **axes}
    return {"name": "mesh_", "file_name": "mesh.bdo", "metadata": {}, "pages": [page]}


@dataclass
class Large:
    """A simulation of two tasks with one large page, and what each task delivered."""

    platform: Platform
    submitted: Any
    parts: Any

    @property
    def values(self) -> Any:
        return self.parts.mean(0)

    async def page(self) -> Any:
        found = await self.platform.ask(PAGES, "tom", id=self.submitted["id"])
        return found["simulation"]["estimators"]["nodes"][0]["pages"]["nodes"][0]


async def deliver(platform: Platform, worker: Principal, made: Any, **more: Any) -> Asked:
    asked = Asked(platform, worker)
    await asyncio.to_thread(results.send, asked, [made], results.Room(10_000_000, 10_000_000), **more)
    return asked


async def _large(platform: Platform) -> Large:
    chance = np.random.default_rng(4)
    parts = chance.random((2, SIZE))
    parts[:, 7] = np.nan
    submitted = await submit(platform)
    for worker, values in zip(await claim(platform), parts, strict=True):
        asked = await deliver(platform, worker, estimator(values))
        assert max(asked.sent) < 2_000_000
    await merge_ready(platform.services)
    assert (await job_of(platform, submitted))["state"] == "COMPLETED"
    return Large(platform, submitted, parts)


@pytest.fixture
async def large(platform: Platform) -> Large:
    return await _large(platform)


@pytest.fixture
async def client(platform: Platform) -> AsyncIterator[httpx2.AsyncClient]:
    app = Starlette(routes=Downloads(platform.services).routes)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://torana.example") as made:
        yield made


async def test_a_page_of_three_axes_is_what_its_tasks_delivered(large: Large) -> None:
    page = await large.page()
    assert (page["dimension"], page["valueCount"], page["hasNonFinite"]) == (3, SIZE, True)
    assert page["axis3"]["values"] == [float(n) for n in range(SHAPE[2])]
    np.testing.assert_allclose(np.array(page["data"]["values"], dtype=float), large.values, rtol=1e-12)
    errors = np.array(page["data"]["errors"], dtype=float)
    np.testing.assert_allclose(errors, large.parts.std(0, ddof=1) / np.sqrt(2), rtol=1e-9)
    assert page["data"]["values"][7] is page["data"]["errors"][7] is None


async def test_a_page_in_slabs_is_rendered(large: Large) -> None:
    """Without a field that is made in Python, all of it is one statement, and one for the slabs."""
    query = "query($id:ID!){simulation(id:$id){estimators(first:1){nodes{pages(first:1){nodes{data{%s}}}}}}}"
    for fields in ("values", "errors", "a:values b:values errors"):
        found = await large.platform.ask(query % fields, "tom", id=large.submitted["id"])
        data = found["simulation"]["estimators"]["nodes"][0]["pages"]["nodes"][0]["data"]
        for name, numbers_ in data.items():
            wanted = large.parts.std(0, ddof=1) / np.sqrt(2) if name == "errors" else large.values
            np.testing.assert_allclose(np.array(numbers_, dtype=float), wanted, rtol=1e-9)
        assert large.platform.counted.statements == 2


async def test_numbers_of_bins_are_counted_before_they_are_read(large: Large) -> None:
    fields = " ".join(f'v{n}:values(axis3:"0-29")' for n in range(40))
    answer = await large.platform.answer(
        f"query($id:ID!){{page(id:$id){{data{{{fields}}}}}}}", "tom", id=(await large.page())["id"]
    )
    assert "LIMIT_EXCEEDED" in answer.codes
    assert sum("page_slabs" in text for text in large.platform.counted.texts) < 80


@pytest.mark.parametrize(
    ("bins", "chosen"),
    [
        ({"z": 12}, np.s_[12, :, :]),
        ({"z": "3-5,9", "y": 0}, np.s_[[3, 4, 5, 9], 0, :]),
        ({"x": "49"}, np.s_[:, :, 49]),
        ({"x": "0-1", "y": "39", "z": "0,29"}, np.s_[[0, 29], 39, :2]),
    ],
)
async def test_some_bins_are_chosen_along_each_axis(platform: Platform, bins: Any, chosen: Any) -> None:
    large = await _large(platform)
    id = (await large.page())["id"]
    data = (await platform.ask(SLICE, "tom", id=id, **bins))["page"]["data"]
    whole = large.values.reshape(SHAPE[::-1])
    np.testing.assert_allclose(np.array(data["values"], dtype=float), whole[chosen].ravel(), rtol=1e-12)
    assert len(data["errors"]) == len(data["values"])


async def test_a_slice_reads_only_the_slabs_that_hold_it(large: Large) -> None:
    id = (await large.page())["id"]
    await large.platform.ask("query($id:ID!,$z:Bins){page(id:$id){data{values(axis3:$z)}}}", "tom", id=id, z=12)
    assert sum("page_slabs" in text for text in large.platform.counted.texts) == 1


@pytest.mark.parametrize(
    ("bins", "field"), [({"z": 30}, "axis3"), ({"x": "5-2"}, "axis1"), ({"y": "0-40"}, "axis2"), ({"z": "x"}, "axis3")]
)
async def test_bins_that_are_not_there_are_told(platform: Platform, bins: Any, field: str) -> None:
    large = await _large(platform)
    answer = await platform.answer(SLICE, "tom", id=(await large.page())["id"], **bins)
    assert {error["extensions"]["code"] for error in answer.body["errors"]} == {"INVALID"}
    assert {error["extensions"]["field"] for error in answer.body["errors"]} == {field}


async def test_too_many_numbers_for_one_answer_are_refused_with_where_to_fetch_them(
    large: Large, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numbers, "NUMBERS", SIZE // 2)
    monkeypatch.setattr("resolvers.reading.rendering.NUMBERS", SIZE // 2)
    answer = await large.platform.answer(PAGES, "tom", id=large.submitted["id"])
    (page,) = answer.body["data"]["simulation"]["estimators"]["nodes"][0]["pages"]["nodes"]
    assert page["data"] == {"values": None, "errors": None}
    assert len(page["axis3"]["values"]) == SHAPE[2]
    assert {error["extensions"]["code"] for error in answer.body["errors"]} == {"LIMIT_EXCEEDED"}
    assert "downloadUrl" in answer.body["errors"][0]["message"]
    half = await large.platform.answer(SLICE, "tom", id=page["id"], z="0-14")
    assert "errors" not in half.body
    address = urlsplit(page["downloadUrl"])
    assert (await client.get(f"{address.path}?{address.query}")).status_code == 200


async def test_a_large_page_is_downloaded_whole(large: Large, client: httpx2.AsyncClient) -> None:
    address = urlsplit((await large.page())["downloadUrl"])
    rows = list(csv.reader(io.StringIO((await client.get(f"{address.path}?{address.query}")).text, newline="")))
    assert rows[0] == ["X [cm]", "Y [cm]", "Z [cm]", "DOSE [Gy]", "standard error of DOSE [Gy]"]
    assert len(rows) == SIZE + 1
    assert rows[8][3:] == ["", ""]
    found = np.array([[float(cell) if cell else np.nan for cell in row] for row in rows[1:]])
    np.testing.assert_allclose(found[:, 3], large.values, rtol=1e-12)
    z, y, x = np.indices(SHAPE[::-1])
    np.testing.assert_array_equal(found[:, :3], np.stack([x.ravel(), y.ravel(), z.ravel()], 1))


async def test_a_download_goes_on_where_it_was_cut(large: Large, client: httpx2.AsyncClient) -> None:
    address = urlsplit((await large.page())["downloadUrl"])
    url = f"{address.path}?{address.query}"
    whole = await client.get(url)
    tag, half = whole.headers["etag"], len(whole.content) // 2
    rest = await client.get(url, headers={"Range": f"bytes={half}-", "If-Range": tag})
    assert rest.status_code == 206
    assert rest.headers["content-range"] == f"bytes {half}-{len(whole.content) - 1}/{len(whole.content)}"
    assert whole.content[:half] + rest.content == whole.content
    assert (await client.get(url, headers={"If-None-Match": tag})).status_code == 304
    beyond = await client.get(url, headers={"Range": f"bytes={len(whole.content)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(whole.content)}")
    other = await client.get(url, headers={"Range": f"bytes={half}-", "If-Range": '"other"'})
    assert (other.status_code, other.content) == (200, whole.content)


async def _slabs(platform: Platform) -> int:
    (row,) = await platform.services.database.rows(sa.select(sa.func.count()).select_from(models.PageSlab))
    return int(row[0])


async def test_the_numbers_of_tasks_are_removed_once_they_are_merged(large: Large) -> None:
    rows = await large.platform.services.database.rows(sa.select(models.TaskSlab.id))
    assert rows == []
    assert await _slabs(large.platform) == 2 * -(-SIZE // models.SLAB)


async def test_numbers_that_no_page_has_are_swept(large: Large) -> None:
    database = large.platform.services.database
    async with database.write(as_system="test") as session:
        await session.execute(sa.delete(models.Page).where(models.Page.content.is_not(None)))
    sweep = retention.unused_numbers()
    await sweep.clear(database, 1.0)
    assert await _slabs(large.platform) > 0, "results may still be on their way to their page"
    await sweep.clear(database, 0.0)
    assert await _slabs(large.platform) == 0


async def test_results_so_far_replace_those_before(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    (worker,) = await claim(platform)
    await deliver(platform, worker, estimator([1.0] * SIZE), done="10")
    await merge_ready(platform.services)
    await deliver(platform, worker, estimator([3.0] * SIZE))
    await merge_ready(platform.services)
    large = Large(platform, submitted, None)
    assert set((await large.page())["data"]["values"]) == {3.0}
    assert await _slabs(platform) == -(-SIZE // models.SLAB)


async def test_a_page_that_is_too_large_is_named_and_the_others_are_stored(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    (worker,) = await claim(platform)
    made = estimator([1.0] * 60, (5, 4, 3))
    made["pages"].append({**estimator([1.0] * 120, (6, 5, 4))["pages"][0], "metadata": {"page_number": "1"}})
    await asyncio.to_thread(results.send, Asked(platform, worker), [made], results.Room(100, 10_000_000))
    await merge_ready(platform.services)
    job = await job_of(platform, submitted)
    assert job["warnings"] == ["mesh.bdo, pages[1]: 120 values; at most 100 are taken"]
    assert (await Large(platform, submitted, None).page())["valueCount"] == 60


async def test_pages_beyond_the_numbers_of_a_result_are_named_and_the_others_are_stored(platform: Platform) -> None:
    submitted = await submit(platform, 1)
    (worker,) = await claim(platform)
    made = estimator([1.0] * 60, (5, 4, 3))
    made["pages"] = [{**made["pages"][0], "metadata": {"page_number": str(n)}} for n in range(3)]
    await asyncio.to_thread(results.send, Asked(platform, worker), [made], results.Room(100, 150))
    await merge_ready(platform.services)
    job = await job_of(platform, submitted)
    assert job["warnings"] == ["mesh.bdo, pages[2]: 72 numbers; of all pages together, there is room for 6 more"]


PUT = "mutation($d:String!,$n:Int!,$t:String!){workerPutNumbers(delivery:$d,number:$n,data:$t){state}}"


async def test_a_delivery_that_was_begun_and_left_is_removed_by_the_next(platform: Platform) -> None:
    await submit(platform, 1)
    (worker,) = await claim(platform)
    text = base64.b64encode(slabs.packed(array("d", [1.0] * 9))).decode()
    for delivery in ("first-one", "second-one", "third-one"):
        await platform.ask(PUT, worker, d=delivery, n=0, t=text)
    rows = await platform.services.database.rows(sa.select(models.TaskSlab.delivery))
    assert [row.delivery for row in rows] == ["third-one"]


async def test_numbers_that_did_not_all_come_are_told(platform: Platform) -> None:
    await submit(platform, 1)
    (worker,) = await claim(platform)
    asked = Asked(platform, worker)
    loop_free = asyncio.to_thread(_sent_without_the_first_slab, asked)
    with pytest.raises(Refused, match="slab 0 of the delivery did not come"):
        await loop_free
    assert await platform.refused(PUT, worker, d="a" * 20, n=-1, t="") == ["INVALID"]
    assert await platform.refused(PUT, worker, d="a" * 20, n=0, t="AAAA") == ["INVALID"]


def _sent_without_the_first_slab(asked: Asked) -> None:
    whole = asked.ask

    def ask(query: str, patience: float = 0, **variables: Any) -> Any:
        return None if variables.get("number") == 0 else whole(query, patience, **variables)

    asked.ask = ask  # type: ignore[method-assign]
    results.send(asked, [estimator([1.0] * 300_000, (300_000,))], results.Room(10_000_000, 10_000_000))  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [10**23, -(10**19), 1e400])
async def test_a_number_that_no_double_holds_is_told_with_its_place(platform: Platform, wrong: Any) -> None:
    submitted = await submit(platform, 1)
    (worker,) = await claim(platform)
    made = estimator([1.0] * 60, (5, 4, 3))
    bad = {**made["pages"][0], "metadata": {"page_number": str(10**23)}}
    made["pages"].append(bad)
    made["pages"][0]["data"]["values"] = [*[1.0] * 59, wrong]
    await asyncio.to_thread(results.send, Asked(platform, worker), [made], results.Room(100, 10_000_000))
    await merge_ready(platform.services)
    job = await job_of(platform, submitted)
    assert job["state"] == "COMPLETED"
    assert job["warnings"] == ["mesh.bdo, pages[1]: metadata.page_number must be a number from 0 to 2147483647"]
