"""What sessions cost: `python -m bench.sessions [--seconds 120]`.

1,000 devices each tell of 10 events every 10 s: 100 batches and 1,000 events a second in all, over 32 connections,
1,000 devices each tell of 10 events every 10 s: 100 batches and 1,000 events a second, over 32 connections,
the same 1,000 events are sent twice at once, three of them bad.
"""

import argparse
import asyncio
import json
import secrets
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import websockets

from bench import data
from bench.jobs.gateway import bare, torana
from bench.load import Connection, post
from bench.servers import Running, running
from db import models as m
from db.types import uuid7
from resolvers.access import roles
from resolvers.context import Services
from resolvers.identity.tokens import digest_of
from resolvers.spelling import global_id
from tests.support.postgres import running_postgres

DEVICES, EVENTS, EVERY, CONNECTIONS, FOLLOWERS = 1_000, 10, 10.0, 32, 10
REPORT = (
    "mutation R($e:[NewReportedEvent!]!){reportEvents(events:$e){...on EventBatch{stored repeated refused "
    "outcomes{event{id} problem{code field}}} ...on Problem{code message}}}"
)
FOLLOW = "subscription($s:ID!){sessionEvents(session:$s){clientId}}"


def token_of(number: int, salt: str) -> str:
    return f"dt_{salt}_{number}"


async def fill(services: Services, reader: UUID, salt: str) -> list[UUID]:
    """Devices with tokens in a project of the reader's, each with a session of its own; the sessions' keys."""
    site, project, kind, held = uuid7(), uuid7(), uuid7(), [uuid7() for _ in range(DEVICES)]
    async with services.database.write(as_system="bench") as session:
        session.add_all([m.Site(id=site, name="bench"), m.DeviceType(id=kind, name="wrist", key="wrist")])
        await session.flush()
        place = m.Project(id=project, site_id=site, name="bench")
        session.add(place)
        type_ = m.SessionType(
            id=uuid7(), name="x", online=False, color="#000000", category=m.SessionCategory.DATACOLLECT
        )
        session.add(type_)
        await session.flush()
        await roles.found(session, await session.get_one(m.Site, site))
        await roles.found(session, place)
        await roles.enrol(session, place, reader)
        devices = [m.Device(id=uuid7(), name=f"d{n}", type_id=kind, enabled=True) for n in range(DEVICES)]
        session.add_all(devices)
        await session.flush()
        for n, device in enumerate(devices):
            session.add_all([
                m.SiteDevice(site_id=site, device_id=device.id),
                m.ProjectDevice(project_id=project, device_id=device.id),
                m.Credential(device_id=device.id, kind=m.CredentialKind.STATIC_TOKEN, algorithm="sha256",
                             secret_hash=digest_of(token_of(n, salt))),
                m.Session(id=held[n], type_id=type_.id, project_id=project, creator_device_id=device.id, name=f"s{n}",
                          starts_at=datetime.now(UTC), status=m.SessionStatus.IN_PROGRESS),
            ])  # fmt: skip
        await session.flush()
    async with services.database.write(as_system="bench") as session:
        await session.execute(sa.text("ANALYZE"))
    return held


def batch(session: UUID, first: int, number: int = EVENTS) -> list[dict[str, Any]]:
    moment = datetime.now(UTC).isoformat()
    id = global_id("Session", session)
    return [
        {"session": id, "clientId": f"e{n}", "seq": str(n), "type": "DEVICE_EVENT", "occurredAt": moment}
        for n in range(first, first + number)
    ]


class Load:
    """Sends batches at their moments, and notes how long each answer took and when each event was sent."""

    def __init__(self, gateway: Running, held: list[UUID], salt: str) -> None:
        self.gateway, self.held, self.salt = gateway, held, salt
        self.took: list[float] = []
        self.sent: dict[tuple[int, int], float] = {}
        self.stored = 0

    async def run(self, seconds: float) -> None:
        pool: asyncio.Queue[Connection] = asyncio.Queue()
        for _ in range(CONNECTIONS):
            pool.put_nowait(await Connection.open(self.gateway.url))
        began, sending = time.perf_counter(), set()
        total = int(seconds / EVERY * DEVICES)
        for number in range(total):
            due = began + number * EVERY / DEVICES
            if (pause := due - time.perf_counter()) > 0:
                await asyncio.sleep(pause)
            task = asyncio.create_task(self._send(pool, number % DEVICES, number // DEVICES * EVENTS, due))
            sending.add(task)
            task.add_done_callback(sending.discard)
        await asyncio.gather(*sending)

    async def _send(self, pool: "asyncio.Queue[Connection]", device: int, first: int, due: float) -> None:
        body = json.dumps({"query": REPORT, "variables": {"e": batch(self.held[device], first)}}).encode()
        request = post(self.gateway.url, body, {"Authorization": f"Bearer {token_of(device, self.salt)}"})
        connection = await pool.get()
        self.sent |= {(device, first + n): time.perf_counter() for n in range(EVENTS)}
        try:
            answer = json.loads(await connection.ask(request))
        finally:
            pool.put_nowait(connection)
        self.took.append(time.perf_counter() - due)
        self.stored += answer["data"]["reportEvents"]["stored"]


async def follow(gateway: Running, load: Load, device: int, bearer: str, delays: list[float]) -> None:
    """Note how long after it was sent each event of a device came."""
    address = gateway.url.replace("http", "ws", 1)
    subprotocols: Any = ["graphql-transport-ws"]
    async with websockets.connect(address, subprotocols=subprotocols) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": {"Authorization": bearer}}))
        await socket.recv()
        given = {"query": FOLLOW, "variables": {"s": global_id("Session", load.held[device])}}
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": given}))
        while True:
            told = json.loads(await socket.recv())
            if told["type"] == "ping":
                await socket.send(json.dumps({"type": "pong"}))
            for one in told.get("payload", {}).get("data", {}).get("sessionEvents", ()) if "payload" in told else ():
                delays.append(time.perf_counter() - load.sent[device, int(one["clientId"][1:])])


async def steady(url: str, keys: str, folder: Path, seconds: float) -> None:
    salt = secrets.token_hex(16)
    async with bare(url, keys, folder) as services:
        held = await fill(services, await data.reader_of(url), salt)
    async with running(torana(keys, TORANA_DATA_DIR=str(folder)), url, folder) as gateway:
        load, delays = Load(gateway, held, salt), list[float]()
        bearer = (await gateway.headers())["Authorization"]
        following = [asyncio.create_task(follow(gateway, load, n, bearer, delays)) for n in range(FOLLOWERS)]
        await asyncio.sleep(1)
        await load.run(seconds)
        await asyncio.sleep(2)
        for one in following:
            one.cancel()
        await asyncio.gather(*following, return_exceptions=True)
        rows = await _count(url, keys, folder)
        events = len(load.took) * EVENTS
        print(
            f"{DEVICES:,} devices, {events / seconds:,.0f} events a second for {seconds:.0f} s: answered in "
            f"{_told(load.took)}; {events:,} sent, {load.stored:,} stored, {rows:,} rows; "
            f"{len(delays):,} seen by followers after {_told(delays)}",
            flush=True,
        )
        await twice(gateway, held, salt)


async def twice(gateway: Running, held: list[UUID], salt: str) -> None:
    """The same 1,000 events at once, three of them bad."""
    events = batch(held[0], 10**6, 1_000)
    events[10]["type"], events[20]["occurredAt"], events[30]["session"] = "X", "soon", "x"
    body = json.dumps({"query": REPORT, "variables": {"e": events}}).encode()
    request = post(gateway.url, body, {"Authorization": f"Bearer {token_of(0, salt)}"})
    both = [await Connection.open(gateway.url) for _ in range(2)]
    began = time.perf_counter()
    found = [json.loads(one)["data"]["reportEvents"] for one in await asyncio.gather(*(c.ask(request) for c in both))]
    took = time.perf_counter() - began
    ids = [[one["event"] and one["event"]["id"] for one in answer["outcomes"]] for answer in found]
    wrong = [(one["problem"]["code"], one["problem"]["field"]) for one in found[0]["outcomes"] if one["problem"]]
    print(
        f"1,000 events twice at once in {took:.2f} s: {found[0]['stored'] + found[1]['stored']} stored, the same ids: "
        f"{ids[0] == ids[1]}, refused: {wrong}",
        flush=True,
    )


async def _count(url: str, keys: str, folder: Path) -> int:
    async with bare(url, keys, folder) as services:
        named = m.SessionEvent.client_id.is_not(None)
        ((number,),) = await services.database.rows(sa.select(sa.func.count()).where(named))
        return int(number)


def _told(times: list[float]) -> str:
    ordered = sorted(1_000 * one for one in times) or [0.0]
    at = {share: ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.99)}
    mean = statistics.mean(ordered)
    return f"{at[0.5]:.0f} ms (median), {at[0.99]:.0f} (99 %), {ordered[-1]:.0f} (most), {mean:.0f} (mean)"


async def _run(server: str, folder: Path, seconds: float) -> None:
    await steady(await data.create(server), f"bench:{secrets.token_urlsafe(48)}", folder, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="for how long the devices tell of events")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, running_postgres() as server:
        asyncio.run(_run(server, Path(name), given.seconds))


main()
