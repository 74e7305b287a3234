"""Files of a simulation over HTTP: what they hold, who gets them, and how they are sent."""

import asyncio
import csv
import io
import tracemalloc
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import httpx2
import orjson
import pytest
import sqlalchemy as sa
from starlette.applications import Starlette

from bench.results import keep
from db import models
from db.types import uuid7
from gateway.protocol.files import disposition
from gateway.protocol.pieces import packed
from gateway.protocol.results.documents import results
from gateway.protocol.results.downloads import Downloads
from gateway.protocol.results.simulation_archive import contents
from gateway.protocol.server import make_server
from gateway.protocol.zip_stream import archive
from gateway.settings.server import ServerSettings
from jobs.programs.readers import read as read_output
from jobs.results.estimators import Data, Estimator, Page, Series, read
from resolvers.accounts import tickets
from resolvers.accounts.api_keys import new_secret
from resolvers.context import Context
from resolvers.failures import Failure
from resolvers.identity.principal import Kind
from resolvers.identity.tokens import digest_of
from resolvers.reading import ranges
from resolvers.simulations import exports
from resolvers.spelling import global_id, safe
from tests.support.platforms import Platform
from tests.support.postgres import free_port

ONE = {"number_of_primaries": "1"}
STORED = [
    Estimator("fluence_", "fluence.bdo", {"code": "x", **ONE}, [
        Page(0, Data("TOTAL", "MeV", [7.25]), {"page_number": "0"}),
        Page(1, Data("DOSE", "MeV/g", [1.5, None, 3e-20], [0.5, None, 1e-21]),
             {"page_number": "1", "page_filter_name": "protons"}, Series("Position (Z)", "cm", [0.5, 1.5, 2.5])),
        Page(2, Data("FLUENCE", "", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), {"page_number": "2"},
             Series("Z", "cm", [0.5, 1.5, 2.5]), Series('R, "radius"', "mm", [10.0, 20.0])),
        Page(3, Data("=1+1", "", [float(n) for n in range(8)]), {"page_number": "3"}, Series("+X", "cm", [0.0, 1.0]),
             Series("Y", "cm", [0.0, 1.0]), Series("Z", "cm", [0.0, 1.0])),
    ]),
    Estimator("a/b", "../é.bdo", ONE, [Page(0, Data("LET", "keV/um", [4.0]), {"page_number": "0"})]),
    Estimator("a,b", "con.bdo", ONE, [Page(0, Data("LET", "keV/um", [5.0]), {"page_number": "0"})]),
]  # fmt: skip

IN_ORDER = sorted(STORED, key=lambda estimator: estimator.name)


@dataclass
class Shelf:
    """The shared simulation of tom's with these results, and an application that serves it."""

    platform: Platform
    client: httpx2.AsyncClient
    app: Starlette

    @property
    def folder(self) -> str:
        return f"/downloads/simulations/{self.platform.world.id('Simulation', 'simulation')}"

    async def header(self, who: str | None) -> dict[str, str]:
        """The header of a person; of a link to the simulation for `link`."""
        if who is None:
            return {}
        keys, world = self.platform.services.identity.keys, self.platform.world
        if who == "link":
            return {"Authorization": f"Bearer {await self.link()}"}
        if who in ("device", "service"):
            return {"Authorization": f"Bearer {world.here.secrets[who]}"}
        principal = await self.platform.principal(who)
        assert principal.id is not None
        assert principal.session is not None
        token = keys.access_token(Kind.USER, principal.id, principal.session, tickets.LASTS)
        return {"Authorization": f"Bearer {token}"}

    async def link(self) -> str:
        query = "mutation($s:ID!){made:createSimulationLink(simulation:$s){...on IssuedSimulationLink{secret}}}"
        made = await self.platform.ask(query, "tom", s=self.platform.world.id("Simulation", "simulation"))
        secret: str = made["made"]["secret"]
        return secret

    async def get(self, path: str, who: str | None = "tom", **given: Any) -> httpx2.Response:
        return await self.client.get(self.folder + path, headers=await self.header(who), **given)

    async def ticket(self, who: str = "tom", **given: Any) -> Any:
        parameters = {"kind": "DownloadKind!", "estimator": "String", "page": "Int", "file": "String",
                      "estimators": "[String!]", "pages": "String"}  # fmt: skip
        named = ",".join(f"${n}:{parameters[n]}" for n in given)
        passed = ",".join(f"{n}:${n}" for n in given)
        query = f"mutation($s:ID!,{named}){{made:createDownload(simulation:$s,{passed}){{...on Download{{url expiresAt}} ...on Problem{{code message field}}}}}}"
        simulation = self.platform.world.id("Simulation", "simulation")
        return (await self.platform.ask(query, who, s=simulation, **given))["made"]


@asynccontextmanager
async def shelf_on(platform: Platform) -> AsyncIterator[Shelf]:
    await keep(platform.services.database, platform.world.simulation, STORED)
    async with platform.services.database.write(as_system="test") as session:
        held = sa.select(models.SimulationSetup).filter_by(simulation_id=platform.world.simulation)
        (await session.scalars(held)).one().files = {"beam.dat": "ENERGY 60\n", "geo.dat": "é"}
    app = Starlette(routes=Downloads(platform.services).routes)
    app.state.closing = asyncio.Event()
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://torana.example") as client:
        yield Shelf(platform, client, app)


@pytest.fixture
async def shelf(platform: Platform) -> AsyncIterator[Shelf]:
    async with shelf_on(platform) as made:
        yield made


PAGE = "/estimators/fluence.bdo/pages/1.csv"
FILES = (
    "/results.json",
    "/simulation.json",
    PAGE,
    "/log.txt",
    "/logs/1/output",
    "/inputs.zip",
    "/inputs/beam.dat",
    "/all.zip",
)


# What they hold -------------------------------------------------------------------------------------------------------


async def test_results_are_those_that_were_delivered(shelf: Shelf) -> None:
    answer = await shelf.get("/results.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert read(answer.json()["estimators"]).estimators == IN_ORDER


async def test_some_estimators_and_pages_are_chosen(shelf: Shelf) -> None:
    for query, numbers in (
        ("?estimators=fluence_&pages=0,2", {"fluence_": [0, 2]}),
        ("?estimators=fluence.bdo", {"fluence_": [0, 1, 2, 3]}),
        ("?estimators=fluence_,a/b&pages=0-1", {"a/b": [0], "fluence_": [0, 1]}),
        ("?estimators=a,b&estimators=fluence_&pages=0", {"a,b": [0], "fluence_": [0]}),
    ):
        found = read((await shelf.get(f"/results.json{query}")).json()["estimators"]).estimators
        assert {one.name: [page.number for page in one.pages] for one in found} == numbers, query
    answer = await shelf.get("/results.json?pages=9")
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["field"]) == (404, "pages")


@pytest.mark.parametrize(
    ("query", "field", "told"),
    [
        ("?estimators=x", "estimators", "there are: a,b, a/b, fluence_"),
        ("?pages=", "pages", "1-3,5"),
        ("?pages=3-1", "pages", "write 1-3"),
        ("?pages=0-1000", "pages", "at most 1000"),
    ],
)
async def test_what_is_asked_wrong_is_told_with_what_is_allowed(
    shelf: Shelf, query: str, field: str, told: str
) -> None:
    answer = await shelf.get(f"/results.json{query}")
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert error["extensions"]["field"] == field
    assert told in error["message"]


async def test_a_page_is_a_table(shelf: Shelf) -> None:
    error = "standard error of"
    for number, expected in (
        (0, [["TOTAL [MeV]", f"{error} TOTAL [MeV]"], ["7.25", ""]]),
        (1, [["Position (Z) [cm]", "DOSE [MeV/g]", f"{error} DOSE [MeV/g]"],
             ["0.5", "1.5", "0.5"], ["1.5", "", ""], ["2.5", "3e-20", "1e-21"]]),
        (2, [["Z [cm]", 'R, "radius" [mm]', "FLUENCE", f"{error} FLUENCE"],
             *([x, y, str(float(1 + n)), ""] for n, (y, x) in enumerate((y, x) for y in ("10.0", "20.0") for x in ("0.5", "1.5", "2.5")))]),
        (3, [["'+X [cm]", "Y [cm]", "Z [cm]", "'=1+1", f"{error} =1+1"],
             *([str(float(n % 2)), str(float(n // 2 % 2)), str(float(n // 4)), str(float(n)), ""] for n in range(8))]),
    ):  # fmt: skip
        answer = await shelf.get(f"/estimators/fluence.bdo/pages/{number}.csv")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert list(csv.reader(io.StringIO(answer.text, newline=""))) == expected
        assert answer.text.count("\r\n") == len(expected)


async def test_an_estimator_is_named_by_its_file_or_its_id(shelf: Shelf) -> None:
    rows = await shelf.platform.services.database.rows(sa.select(models.Estimator.id, models.Estimator.file_name))
    keys = {row.file_name: row.id for row in rows}
    for named in (quote("../é.bdo", safe=""), global_id("Estimator", keys["../é.bdo"])):
        answer = await shelf.get(f"/estimators/{named}/pages/0.csv")
        assert answer.text == "LET [keV/um],standard error of LET [keV/um]\r\n4.0,\r\n", named
    elsewhere = await shelf.platform.services.database.rows(
        sa.select(models.Estimator.id).where(models.Estimator.simulation_id == shelf.platform.world.private)
    )
    for missing in ("x.bdo", global_id("Estimator", elsewhere[0].id), global_id("Page", keys["../é.bdo"])):
        assert (await shelf.get(f"/estimators/{missing}/pages/0.csv")).status_code == 404
    for wrong in ("/estimators/fluence.bdo/pages/9.csv", "/estimators/fluence.bdo/pages/x.csv", "/x", "/inputs/x"):
        answer = await shelf.get(wrong)
        assert answer.status_code == 404
        assert answer.json()["errors"][0]["extensions"]["code"] == "NOT_FOUND"


async def test_the_log_and_the_inputs_are_texts(shelf: Shelf) -> None:
    assert (await shelf.get("/log.txt")).text == "[1] task 1\n[2] task 2\n"
    answer = await shelf.get("/inputs/geo.dat")
    assert answer.content == "é".encode()
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    with zipfile.ZipFile(io.BytesIO((await shelf.get("/inputs.zip")).content)) as held:
        assert {name: held.read(name).decode() for name in held.namelist()} == {
            "beam.dat": "ENERGY 60\n",
            "geo.dat": "é",
        }


async def test_an_archive_has_it_all(shelf: Shelf) -> None:
    content = (await shelf.get("/all.zip")).content
    with zipfile.ZipFile(io.BytesIO(content)) as held:
        assert held.testzip() is None
        assert held.namelist() == [
            "results.json", "pages/_con.bdo/0.csv", "pages/_é.bdo/0.csv",
            *(f"pages/fluence.bdo/{n}.csv" for n in range(4)), "log.txt", "logs/1/output", "logs/2/output",
            "inputs/beam.dat", "inputs/geo.dat",
        ]  # fmt: skip
        assert read(orjson.loads(held.read("results.json"))["estimators"]).estimators == IN_ORDER
        assert held.read("pages/fluence.bdo/1.csv") == (await shelf.get(PAGE)).content
        assert held.read("log.txt").startswith(b"[1] ")


# Who gets them --------------------------------------------------------------------------------------------------------

STATUS = {
    "tom": dict.fromkeys(FILES, 200),
    "root": dict.fromkeys(FILES, 200),
    "maria": dict.fromkeys(FILES, 200) | {"/inputs.zip": 403, "/inputs/beam.dat": 403},
    "link": dict.fromkeys(FILES, 200)
    | {"/inputs.zip": 403, "/inputs/beam.dat": 403, "/log.txt": 404, "/logs/1/output": 404},
    "eve": dict.fromkeys(FILES, 404),
    "device": dict.fromkeys(FILES, 404),
    "service": dict.fromkeys(FILES, 404),
    None: dict.fromkeys(FILES, 401),
}
"""maria administers the project, so she reads the log."""
CODES = {401: "UNAUTHENTICATED", 403: "FORBIDDEN", 404: "NOT_FOUND"}


async def test_who_reads_something_downloads_it(shelf: Shelf) -> None:
    for who, statuses in STATUS.items():
        for path, status in statuses.items():
            answer = await shelf.get(path, who)
            assert answer.status_code == status, (who, path)
            assert answer.headers["cache-control"] == "private, no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert ("www-authenticate" in answer.headers) == (status == 401)
            if status != 200:
                assert answer.json()["errors"][0]["extensions"]["code"] == CODES[status]


async def test_an_archive_leaves_out_what_may_not_be_read(shelf: Shelf) -> None:
    for who, further in (("maria", {"log.txt", "logs/1/output", "logs/2/output"}), ("link", set())):
        with zipfile.ZipFile(io.BytesIO((await shelf.get("/all.zip", who)).content)) as held:
            assert {name for name in held.namelist() if not name.startswith("pages/")} == {"results.json"} | further


async def test_an_id_of_something_else_is_refused(shelf: Shelf) -> None:
    headers = await shelf.header("tom")
    for id in (shelf.platform.world.id("Job", "job"), "x", global_id("Simulation", uuid7())):
        answer = await shelf.client.get(f"/downloads/simulations/{id}/results.json", headers=headers)
        assert answer.status_code in (400, 404)
        assert answer.json()["errors"][0]["extensions"]["code"] in ("INVALID", "NOT_FOUND")


async def test_an_api_key_downloads_what_its_owner_may(shelf: Shelf) -> None:
    secret = new_secret("sk")
    async with shelf.platform.services.database.write(as_system="test") as session:
        session.add(
            models.Credential(
                user_id=shelf.platform.world.tom, kind=models.CredentialKind.API_KEY, label="x", public_key="pk_x",
                secret_hash=digest_of(secret), algorithm="sha256", scopes=["read"],
            )
        )  # fmt: skip
    for auth in (None, ("pk_x", secret)):
        headers = {} if auth else {"Authorization": f"Bearer {secret}"}
        options: Any = {"auth": auth} if auth else {}
        answer = await shelf.client.get(f"{shelf.folder}/log.txt", headers=headers, **options)
        assert answer.status_code == 200
    await shelf.platform.services.identity.uses.settled()


async def test_what_a_head_asks_for_is_told_without_the_file(shelf: Shelf) -> None:
    for path in FILES:
        answer = await shelf.client.head(shelf.folder + path, headers=await shelf.header("tom"))
        assert answer.status_code == 200
        assert answer.content == b""
        assert answer.headers["content-disposition"].startswith("attachment")
    assert (await shelf.client.head(f"{shelf.folder}/log.txt")).status_code == 401


# Tickets --------------------------------------------------------------------------------------------------------------

TICKETS: list[tuple[dict[str, Any], str]] = [
    ({"kind": "RESULTS"}, "/results.json"),
    ({"kind": "RESULTS", "estimators": ["a/b"], "pages": "0-1"}, "/results.json?estimators=a/b&pages=0-1"),
    ({"kind": "PAGE", "estimator": "fluence.bdo", "page": 1}, PAGE),
    ({"kind": "PAGE", "estimator": "../é.bdo", "page": 0}, "/estimators/..%2F%C3%A9.bdo/pages/0.csv"),
    ({"kind": "LOG"}, "/log.txt"),
    ({"kind": "INPUT", "file": "geo.dat"}, "/inputs/geo.dat"),
]


async def test_a_ticket_opens_its_file_without_a_header(shelf: Shelf) -> None:
    for given, path in TICKETS:
        made = await shelf.ticket(**given)
        address = urlsplit(made["url"])
        assert f"{address.scheme}://{address.netloc}" == shelf.platform.settings.server.reached_at
        answer = await shelf.client.get(f"{address.path}?{address.query}")
        assert answer.status_code == 200, answer.text
        assert answer.content == (await shelf.get(path)).content
    for what in ("INPUTS", "ALL"):
        address = urlsplit((await shelf.ticket(kind=what))["url"])
        answer = await shelf.client.get(f"{address.path}?{address.query}")
        assert zipfile.is_zipfile(io.BytesIO(answer.content))


async def test_a_token_that_ended_is_told_and_ignored_beside_a_ticket(shelf: Shelf) -> None:
    tom = shelf.platform.world.tom
    ended = shelf.platform.services.identity.keys.access_token(Kind.USER, tom, tom, timedelta(minutes=-1))
    bearer = {"Authorization": f"Bearer {ended}"}
    refused = await shelf.client.get(f"{shelf.folder}/log.txt", headers=bearer)
    assert refused.status_code == 401
    assert refused.json()["errors"][0]["extensions"] == {"code": "TOKEN_EXPIRED"}
    assert "expired" in refused.headers["www-authenticate"]
    made = urlsplit((await shelf.ticket(kind="LOG"))["url"])
    assert (await shelf.client.get(f"{made.path}?{made.query}", headers=bearer)).status_code == 200


async def test_a_ticket_opens_nothing_else(shelf: Shelf) -> None:
    made = urlsplit((await shelf.ticket(kind="RESULTS", pages="0"))["url"])
    ticket = dict(parse_qsl(made.query))["ticket"]
    bearer = {"Authorization": f"Bearer {ticket}"}
    for path in (f"{shelf.folder}/log.txt?ticket={ticket}", f"{made.path}?ticket={ticket}",
                 f"{made.path}?pages=1&ticket={ticket}", f"{made.path}?pages=0&ticket={ticket}x"):  # fmt: skip
        assert (await shelf.client.get(path)).status_code == 401, path
    assert (await shelf.client.get(made.path, headers=bearer)).status_code == 401
    assert (await shelf.client.get(f"{made.path}?{made.query}")).status_code == 200


async def test_a_ticket_ends_with_its_time_and_its_session(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    services, world = shelf.platform.services, shelf.platform.world
    made = urlsplit((await shelf.ticket(kind="LOG"))["url"])
    with monkeypatch.context() as patch:
        patch.setattr(tickets, "LASTS", -tickets.LASTS)
        late = urlsplit((await shelf.ticket(kind="LOG"))["url"])
    assert (await shelf.client.get(f"{late.path}?{late.query}")).status_code == 401
    async with services.database.write(as_system="test") as session:
        ended = sa.update(models.Credential).where(models.Credential.user_id == world.tom)
        await session.execute(ended.values(revoked_at=sa.func.now()).execution_options(synchronize_session=False))
    assert (await shelf.client.get(f"{made.path}?{made.query}")).status_code == 401


async def test_a_ticket_is_worth_what_its_owner_may_see_when_it_is_used(shelf: Shelf) -> None:
    made = urlsplit((await shelf.ticket("maria", kind="RESULTS"))["url"])
    assert (await shelf.client.get(f"{made.path}?{made.query}")).status_code == 200
    async with shelf.platform.services.database.write(as_system="test") as session:
        apart = sa.update(models.Simulation).values(project_id=None)
        await session.execute(apart.execution_options(synchronize_session=False))
    assert (await shelf.client.get(f"{made.path}?{made.query}")).status_code == 404
    assert (await shelf.ticket("maria", kind="RESULTS"))["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"kind": "PAGE", "page": 1}, "estimator"),
        ({"kind": "LOG", "file": "x"}, "file"),
        ({"kind": "RESULTS", "pages": "x"}, "pages"),
    ],
)
async def test_a_ticket_is_for_a_file_that_is_named_as_a_whole(shelf: Shelf, given: dict[str, Any], field: str) -> None:
    made = await shelf.ticket(**given)
    assert (made["code"], made["field"]) == ("INVALID", field)


# How they are sent ----------------------------------------------------------------------------------------------------


def test_a_name_is_safe_in_a_header_and_on_a_disk() -> None:
    assert safe('../a\\b:c*?"<>|\r\n') == "_a_b_c________"
    assert safe("..") == "file"
    assert [safe(name) for name in ("con.txt", "AUX", "com1.tar.gz", "console.txt", "lpt²")] == [
        "_con.txt", "_AUX", "_com1.tar.gz", "console.txt", "_lpt²",
    ]  # fmt: skip
    assert safe("x" * 300) == "x" * 100
    assert disposition('Übung "1"\r\nX: y.json') == (
        "attachment; filename=\"Ubung _1___X_ y.json\"; filename*=UTF-8''%C3%9Cbung%20%221%22%0D%0AX%3A%20y.json"
    )
    assert disposition("测试") == "attachment; filename=\"download\"; filename*=UTF-8''%E6%B5%8B%E8%AF%95"


async def test_a_file_is_called_as_the_simulation(shelf: Shelf) -> None:
    async with shelf.platform.services.database.write(as_system="test") as session:
        (await session.get_one(models.Simulation, shelf.platform.world.simulation)).title = 'Ω/"\r\nSet-Cookie: x'
    answer = await shelf.get("/results.json")
    assert "set-cookie" not in answer.headers
    name = "Ω____Set-Cookie_ x.json"
    assert answer.headers["content-disposition"].endswith(f"filename*=UTF-8''{quote(name, safe='')}")


async def _large(platform: Platform, pages: int = 30, values: int = 50_000) -> None:
    """Results of a megabyte a page."""
    numbers = [1 / (n + 3) for n in range(values)]
    axis = Series("Z", "cm", [float(n) for n in range(values)])
    made = [Page(1, Data("DOSE", "MeV/g", numbers), {"page_number": str(n)}, axis) for n in range(pages)]
    await keep(platform.services.database, platform.world.simulation, [Estimator("large_", "large.bdo", {}, made)])


@pytest.mark.slow
async def test_memory_does_not_grow_with_what_is_sent(shelf: Shelf) -> None:
    await _large(shelf.platform, pages=12)
    ctx = Context(shelf.platform.services, await shelf.platform.principal("tom"))
    row = await exports.simulation(ctx, shelf.platform.world.simulation)
    held = await contents(ctx, row)
    for content in (results(ctx, None, held.chosen), archive(held.members(ctx), row.created_at)):
        size, longest = 0, 0
        tracemalloc.start()
        async for piece in packed(content):
            size, longest = size + len(piece), max(longest, len(piece))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert size > 10_000_000
        assert longest < 1_000_000
        assert peak < 12_000_000


@pytest.mark.slow
async def test_others_have_their_turn_while_a_file_is_made(shelf: Shelf) -> None:
    await _large(shelf.platform, pages=2, values=200_000)
    ctx = Context(shelf.platform.services, await shelf.platform.principal("tom"))
    row = await exports.simulation(ctx, shelf.platform.world.simulation)
    gaps: list[float] = []

    async def watch() -> None:
        loop = asyncio.get_running_loop()
        last = loop.time()
        while True:
            await asyncio.sleep(0)
            now = loop.time()
            gaps.append(now - last)
            last = now

    watching = asyncio.create_task(watch())
    held = await contents(ctx, row)
    async for _ in packed(archive(held.members(ctx), row.created_at)):
        pass
    watching.cancel()
    assert len(gaps) > 300
    assert sorted(gaps)[-5] < 0.2


async def test_a_client_that_goes_away_ends_the_reading(shelf: Shelf) -> None:
    await _large(shelf.platform)
    reads: list[int] = []
    own = exports.page

    async def counted(*given: Any) -> Any:
        reads.append(1)
        return await own(*given)

    port = free_port()
    server = make_server(shelf.app, ServerSettings(port=port))
    server.config.lifespan = "off"
    running = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exports, "page", counted)
        headers = await shelf.header("tom")
        async with (
            httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
            client.stream("GET", f"{shelf.folder}/results.json", headers=headers) as answer,
        ):
            async for _ in answer.aiter_raw():
                break
        await asyncio.sleep(0.5)
        seen = len(reads)
        await asyncio.sleep(0.5)
        assert seen == len(reads) < 25
    server.should_exit = True
    await running


async def test_a_file_that_can_t_be_finished_does_not_look_whole(shelf: Shelf) -> None:
    await _large(shelf.platform)
    port = free_port()
    server = make_server(shelf.app, ServerSettings(port=port))
    server.config.lifespan = "off"
    running = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    own, read_pages = exports.page, 0

    async def failing(ctx: Context, key: Any) -> Any:
        nonlocal read_pages
        read_pages += 1
        if read_pages == 2:
            async with ctx.database.write(as_system="test") as session:
                (await session.get_one(models.Simulation, shelf.platform.world.simulation)).deleted_at = sa.func.now()
        return await own(ctx, key)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exports, "page", failing)
        headers = await shelf.header("tom")
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            with pytest.raises(httpx2.RemoteProtocolError):
                await client.get(f"{shelf.folder}/results.json", headers=headers)
    server.should_exit = True
    await running


# Numbers of pages -----------------------------------------------------------------------------------------------------


def test_numbers_are_given_as_people_write_them() -> None:
    for text, found in (
        ("0", [0]),
        ("1-3,5", [1, 2, 3, 5]),
        ("5, 1-2,2-3", [1, 2, 3, 5]),
        ("0-999", list(range(1000))),
    ):
        assert ranges.numbers_in(text, "x") == found
    wrong = ("", ",", "1,", "-1", "1-", "a", "1.5", "3-1", "²", "1" * 10, "0-1000", "0-999,1000", "1," * 600 + "1")
    for text in (*wrong, "0-999999999"):
        with pytest.raises(Failure) as refused:
            ranges.numbers_in(text, "x")
        assert refused.value.field == "x"
        assert len(refused.value.message) < 200


async def test_pages_are_chosen_by_a_range(shelf: Shelf) -> None:
    query = """query($id:ID!,$r:String!){simulation(id:$id){estimators(first:9){nodes{
      pages(first:9,filter:{number:{ranges:$r}}){totalCount nodes{number}}}}}}"""
    id = shelf.platform.world.id("Simulation", "simulation")
    found = await shelf.platform.ask(query, "tom", id=id, r="1-3")
    pages = [one["pages"] for one in found["simulation"]["estimators"]["nodes"]]
    assert [[page["number"] for page in one["nodes"]] for one in pages] == [[], [], [1, 2, 3]]
    assert [one["totalCount"] for one in pages] == [0, 0, 3]
    assert await shelf.platform.refused(query, "tom", id=id, r="3-1") == ["INVALID"]
    assert await shelf.platform.refused(query, "tom", id=id, r="0-1000") == ["LIMIT_EXCEEDED"]


async def test_estimators_are_chosen_by_name_or_file(shelf: Shelf) -> None:
    query = (
        "query($id:ID!,$f:EstimatorFilter){simulation(id:$id){estimators(first:9,filter:$f){totalCount nodes{name}}}}"
    )
    id = shelf.platform.world.id("Simulation", "simulation")
    for given, names in (
        ({"name": {"in": ["fluence_", "x"]}}, ["fluence_"]),
        ({"fileName": {"equals": "fluence.bdo"}}, ["fluence_"]),
        ({}, ["a,b", "a/b", "fluence_"]),
    ):
        found = (await shelf.platform.ask(query, "tom", id=id, f=given))["simulation"]["estimators"]
        assert ([node["name"] for node in found["nodes"]], found["totalCount"]) == (names, len(names))


# As YAPTIDE reads them -----------------------------------------------------------------------------------------------


async def test_the_results_are_an_object_with_the_job(shelf: Shelf) -> None:
    found = (await shelf.get("/results.json")).json()
    assert set(found) == {"message", "estimators"}
    (row,) = await shelf.platform.services.database.rows(
        sa.select(models.Job.key).filter_by(simulation_id=shelf.platform.world.simulation)
    )
    assert found["message"] == f"Results for job: {row.key}"


EDITORS = {"input", "estimators", "jobState", "jobId", "jobTasksStatus", "metadata", "startTime"}
"""What the editor's loader asks of a file."""


async def test_a_simulation_is_a_document_that_the_editor_loads(shelf: Shelf) -> None:
    found = (await shelf.get("/simulation.json")).json()
    assert set(found) >= EDITORS
    assert found["input"]["inputFiles"] == {"beam.dat": "ENERGY 60\n", "geo.dat": "é"}
    assert [task["taskState"] for task in found["jobTasksStatus"]] == ["COMPLETED", "COMPLETED"]
    assert found["metadata"] == {"platform": "DIRECT", "server": "Torana", "inputType": "files", "simType": "shieldhit"}
    assert found["logfiles"] == {"1/output": "task 1\n", "2/output": "task 2\n"}
    page = found["estimators"][2]["pages"][3]
    assert {"axisDim1", "axisDim2", "axisDim3", "data", "dimensions", "metadata"} <= set(page)
    assert (await shelf.get("/simulation.json", "link")).json()["input"] == {}


@pytest.mark.parametrize("name", ["results.json", "simulation.json"])
async def test_what_was_written_is_read_back(shelf: Shelf, tmp_path: Path, name: str) -> None:
    (tmp_path / "results.json").write_bytes((await shelf.get(f"/{name}")).content)
    assert read(read_output("yaptide-json", tmp_path).estimators).estimators == IN_ORDER


async def test_a_log_is_a_text_for_each_file_of_a_task(shelf: Shelf) -> None:
    world, database = shelf.platform.world, shelf.platform.services.database
    async with database.write(as_system="test") as session:
        (job,) = await session.scalars(sa.select(models.Job).filter_by(simulation_id=world.simulation))
        (task,) = await session.scalars(sa.select(models.Task).filter_by(job_id=job.id, ordinal=1))
        job.log_length = 101
        for n, text in enumerate(("first", "second"), 100):
            session.add(
                models.LogEntry(job_id=job.id, task_id=task.id, sequence=n, line=n, file="beam 1.log", text=text)
            )
    assert (await shelf.get("/logs/1/beam 1.log")).text == "first\nsecond\n"
    assert (await shelf.get("/logs/1/output")).text == "task 1\n"
    assert (await shelf.get("/simulation.json")).json()["logfiles"]["1/beam 1.log"] == "first\nsecond\n"
    missing = await shelf.get("/logs/1/none")
    assert missing.status_code == 404
    assert "1/output, 1/beam 1.log, 2/output" in missing.json()["errors"][0]["message"]
    made = await shelf.ticket(kind="LOG_FILE", file="1/beam 1.log")
    address = urlsplit(made["url"])
    assert (await shelf.client.get(f"{address.path}?{address.query}")).text == "first\nsecond\n"


async def test_logs_whose_names_are_alike_are_told_apart(shelf: Shelf) -> None:
    world, database = shelf.platform.world, shelf.platform.services.database
    async with database.write(as_system="test") as session:
        (job,) = await session.scalars(sa.select(models.Job).filter_by(simulation_id=world.simulation))
        (task,) = await session.scalars(sa.select(models.Task).filter_by(job_id=job.id, ordinal=1))
        job.log_length = 103
        for n, file in enumerate(("a/b", "a_b", "A_B", "output"), 100):
            session.add(models.LogEntry(job_id=job.id, task_id=task.id, sequence=n, line=n, file=file, text=file))
    found = (await shelf.get("/simulation.json")).json()["logfiles"]
    assert found == {
        "1/A_B": "A_B\n", "1/a_b-2": "a/b\n", "1/a_b-3": "a_b\n", "1/output": "task 1\n", "1/output-2": "output\n",
        "2/output": "task 2\n",
    }  # fmt: skip
    for path, text in found.items():
        assert (await shelf.get(f"/logs/{path}")).text == text


async def test_a_table_begins_with_a_byte_order_mark_where_it_is_asked_for(shelf: Shelf) -> None:
    whole = (await shelf.get(PAGE)).content
    assert (await shelf.get(f"{PAGE}?bom=1")).content == b"\xef\xbb\xbf" + whole
    assert (await shelf.get(f"{PAGE}?bom=0")).content == whole
    wrong = await shelf.get(f"{PAGE}?bom=yes")
    assert (wrong.status_code, wrong.json()["errors"][0]["extensions"]["field"]) == (400, "bom")


async def test_an_archive_holds_the_project_of_the_editor(shelf: Shelf) -> None:
    project = {"metadata": {"type": "Editor"}, "project": {"title": "Łódź"}}
    async with shelf.platform.services.database.write(as_system="test") as session:
        held = sa.select(models.SimulationSetup).filter_by(simulation_id=shelf.platform.world.simulation)
        (await session.scalars(held)).one().project = project
    for path, name in (("/all.zip", "inputs/project.json"), ("/inputs.zip", "project.json")):
        with zipfile.ZipFile(io.BytesIO((await shelf.get(path)).content)) as held_files:
            assert orjson.loads(held_files.read(name)) == project
    assert (await shelf.get("/simulation.json")).json()["input"]["inputJson"] == project


async def test_a_file_tells_whether_it_changed_and_goes_on_where_it_was_cut(shelf: Shelf) -> None:
    headers = await shelf.header("tom")
    for path in FILES:
        whole = await shelf.get(path)
        tag, middle = whole.headers["etag"], len(whole.content) // 2
        again = await shelf.client.get(shelf.folder + path, headers={**headers, "If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b""), path
        rest = await shelf.client.get(
            shelf.folder + path, headers={**headers, "Range": f"bytes={middle}-", "If-Range": tag}
        )
        assert (rest.status_code, rest.content) == (206, whole.content[middle:]), path
        last = await shelf.client.get(shelf.folder + path, headers={**headers, "Range": "bytes=-3"})
        assert last.content == whole.content[-3:], path
    tag = (await shelf.get("/results.json")).headers["etag"]
    await keep(shelf.platform.services.database, shelf.platform.world.simulation, STORED[:1])
    assert (await shelf.get("/results.json")).headers["etag"] != tag
    assert (await shelf.get("/inputs/geo.dat")).headers["content-length"] == "2"
