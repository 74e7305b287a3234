"""No request keeps others waiting: what each that means to do so comes to, counted without a clock."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Sequence
from contextlib import AsyncExitStack
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from bench.stalls import send
from db.readers import Readers
from db.turns import Turns
from gateway.operations.documents import Documents, Envelope
from gateway.protocol.bodies import read, read_in_steps
from schema import Schema
from schema.fields.cost import Bounds
from tests.support.hostile import HOSTILE, Bodies, authorizations, largest
from tests.support.platforms import Platform
from tests.support.serving import Serve
from tests.support.steps import counted_steps
from tests.support.work import submit

CALLS = 40_000
"""Of Python in one step of the event loop; some hundredths of a second."""
SOME = 4
"""Of what is sent many times at once: they take turns."""
LARGE = 20_000_000
"""Bytes that a test does not send."""


async def test_nothing_hostile_holds_the_loop_for_long(serve: Serve, backend: str) -> None:
    served = await serve(backend, sign_up=True)
    headers = await authorizations(served.services, served.world)
    found = {}
    for hostile in HOSTILE:
        some = replace(hostile, bodies=_some(hostile.bodies(served.world)))
        if not some.url and sum(map(len, some.bodies(served.world))) < LARGE:  # a client's own work with a URL is large
            with counted_steps() as steps:
                await send(served.url, some, headers.get(hostile.who), served.world)
            found[hostile.name] = steps.longest
    assert {name: calls for name, calls in found.items() if calls > CALLS} == {}


def _some(bodies: Sequence[bytes]) -> Bodies:
    return lambda _world: bodies[:SOME]


@pytest.mark.parametrize("more", ["", " online"], ids=["rendered", "by rows"])
async def test_one_client_has_half_of_the_readers_at_once(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    take, share = Readers.take, platform.services.database._readers._share
    held: list[int] = []
    full, gate = asyncio.Event(), asyncio.Event()
    many = ContextVar("many", default=False)

    async def held_up(self: Readers, mode: str | None = None) -> Any:
        connection = await take(self, mode)
        if many.get() and not gate.is_set():
            held.append(1)
            if len(held) == share:
                full.set()
            await gate.wait()
        return connection

    one, other = await platform.principal("root"), await platform.principal("maria")
    query = f"{{participants(first:1){{nodes{{id{more}}}}}}}"
    await platform.ask(query, one)
    monkeypatch.setattr(Readers, "take", held_up)
    many.set(True)
    asked = [asyncio.create_task(platform.ask(query, one)) for _ in range(12)]
    many.set(False)
    await full.wait()
    for _ in range(3):
        assert (await platform.ask("{sites(first:1){nodes{id}}}", other))["sites"]["nodes"]
    assert len(held) == share
    gate.set()
    assert len(await asyncio.gather(*asked)) == 12


async def test_a_query_string_has_a_hundred_parameters_at_most(serve: Serve) -> None:
    served = await serve()
    query = "query=%7B__typename%7D"
    assert (await served.client.get(f"/graphql?{query}" + "&a=1" * 99)).json() == {"data": {"__typename": "Query"}}
    refused = await served.client.get(f"/graphql?{query}" + "&a=1" * 100)
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


async def test_a_large_body_is_read_as_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [
        b'{"query":"{a}","variables":{"v":[1,2,{"a":[{"b":[[1.5,null],"x"]}]}],"w":{"x":{"y":{}}}}}',
        b' [ {"a": 1e400}, [[[[[[[[1]]]]]]]], [] ] ',
        b'{"a":1,"a":{"b":2}}',
    ]
    whole = [read(text) for text in texts]
    monkeypatch.setattr("gateway.protocol.bodies.STEP", 4)
    assert [await read_in_steps(text) for text in texts] == whole


@pytest.mark.parametrize(
    "text", [b'{"a":[1,2}', b'{"a":{"b":nope}}', b'[{"a":1},]', b'[[{"a":NaN}]]', b"{", b"[" * 9_000]
)
async def test_a_large_body_that_is_no_json_is_told(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.protocol.bodies.STEP", 4)
    with pytest.raises(ValueError, match=r"."):
        await read_in_steps(text)


async def test_clients_take_turns() -> None:
    turns, done = Turns(), []
    waiting = [asyncio.create_task(turns.run("one", partial(done.append, ("one", n)))) for n in range(5)]
    waiting += [asyncio.create_task(turns.run("two", partial(done.append, ("two", n)))) for n in range(2)]
    await asyncio.gather(*waiting)
    assert done[:4] == [("one", 0), ("two", 0), ("one", 1), ("two", 1)]
    assert done[4:] == [("one", 2), ("one", 3), ("one", 4)]


async def test_a_turn_that_fails_or_is_given_up_lets_the_next_one_in() -> None:
    turns, begun, end = Turns(), threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        end.wait(10)

    held = asyncio.create_task(turns.run("one", slow))
    await asyncio.to_thread(begun.wait, 10)
    given_up = asyncio.create_task(turns.run("one", lambda: 1))
    await asyncio.sleep(0)
    given_up.cancel()
    end.set()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    await held
    with pytest.raises(ZeroDivisionError):
        await turns.run("one", lambda: 1 // 0)
    assert await turns.run("one", lambda: 2) == 2


async def test_a_document_that_many_ask_for_at_once_is_read_once(
    schema: Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = Documents(schema.core, Bounds(), keep=10**6)
    times, inner = [], documents.read
    monkeypatch.setattr(documents, "read", lambda text: times.append(text) or inner(text))
    asked = [documents.asked(Envelope("{viewer{id}}"), lane) for lane in "abc" for _ in range(3)]
    found = {id(operation.document) for operation in await asyncio.gather(*asked)}
    assert len(found) == len(times) == 1


def test_a_document_that_is_let_go_ends_at_once(schema: Schema) -> None:
    documents = Documents(schema.core, Bounds(), keep=1)
    gone = weakref.ref(documents.operation(Envelope(largest(1))).document.node)
    gc.disable()
    try:
        documents.operation(Envelope(largest(2)))
        assert gone() is None
    finally:
        gc.enable()


def deep(levels: int) -> dict[str, Any]:
    """A filter of so many levels."""
    found: dict[str, Any] = {}
    for _ in range(levels):
        found = {"not": found}
    return found


@pytest.mark.parametrize(
    ("variables", "limit"),
    [
        ({"ids": ["x"] * 2_001}, "elements"),
        ({"ids": "x" * 65_537}, "characters"),
        ({"ids": ["x" * 65_537]}, "characters"),
        ({"filter": {f"x{n}": 1 for n in range(2_100)}}, "elements"),
        ({"filter": {"state": {"in": ["X"] * 2_001}}}, "elements"),
        ({"filter": deep(50)}, "levels"),
        ({"filter": deep(900)}, "levels"),
        ({"filter": {"text": "x" * 65_537}}, "characters"),
    ],
)
async def test_what_variables_hold_is_counted_before_it_is_read(
    reading: Platform, variables: dict[str, Any], limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphql.get_variable_values", None)
    query = "query($ids:[ID!]!=[],$filter:JobFilter){nodes(ids:$ids){id} jobs(filter:$filter){nodes{id}}}"
    answer = await reading.answer(query, **variables)
    assert answer.codes == ["LIMIT_EXCEEDED"]
    assert answer.body["errors"][0]["extensions"]["limit"] == limit
    assert answer.body["errors"][0]["extensions"]["variable"] == next(iter(variables))


async def test_an_event_that_many_subscriptions_wait_for_is_answered_one_by_one(platform: Platform) -> None:
    job = (await submit(platform))["job"]["id"]
    leaves = " ".join(f"a{n}:title b{n}:progress c{n}:state" for n in range(15))
    async with AsyncExitStack() as held:
        watched = [
            await held.enter_async_context(
                platform.watch(f"subscription s{n}($i:ID!){{jobUpdated(id:$i){{state {leaves}}}}}", "tom", i=job)
            )
            for n in range(60)
        ]
        await asyncio.gather(*map(anext, watched))
        with counted_steps() as steps:
            cancelled = asyncio.create_task(
                platform.ask("mutation($i:ID!){cancelJob(id:$i){__typename}}", "tom", i=job)
            )
            answers = await asyncio.gather(*map(anext, watched))
            await cancelled
    assert {answer.body["data"]["jobUpdated"]["state"] for answer in answers} == {"CANCELED"}
    assert steps.longest < 10_000
