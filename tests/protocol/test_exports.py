"""Exports of lists: what they hold, for whom, and what is wrong with their arguments."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import orjson
import pytest
import sqlalchemy as sa
from starlette.applications import Starlette

from db import models
from gateway.operations.documents import Documents
from gateway.protocol.exports import Exports, runner
from resolvers.accounts import tickets
from resolvers.context import Context
from resolvers.identity.principal import Kind
from schema.fields.cost import Bounds
from schema.lists.exporting import TOGETHER, Format, export_of
from tests.support.platforms import Platform
from tests.support.recording import recorded

MANY = 250


class Counter:
    """Asks for exports as somebody."""

    def __init__(self, platform: Platform, client: httpx2.AsyncClient) -> None:
        self.platform, self.client = platform, client

    async def header(self, who: str) -> dict[str, str]:
        principal = await self.platform.principal(who)
        keys = self.platform.services.identity.keys
        token = keys.access_token(Kind.USER, principal.id, principal.session, tickets.LASTS)  # type: ignore[arg-type]
        return {"Authorization": f"Bearer {token}"}

    async def get(self, name: str, who: str | None = "tom", **given: Any) -> httpx2.Response:
        query = {key: value if isinstance(value, str) else orjson.dumps(value).decode() for key, value in given.items()}
        headers = {} if who is None else await self.header(who)
        return await self.client.get(f"/exports/{name}", params=query, headers=headers)


@pytest.fixture
async def counter(platform: Platform) -> AsyncIterator[Counter]:
    schema = platform.execution._schema
    documents = Documents(schema, Bounds(), keep=10**6)
    app = Starlette(routes=Exports(platform.services, schema, documents, platform.execution).routes)
    app.state.closing = asyncio.Event()
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://torana.example") as client:
        yield Counter(platform, client)


async def _participants(platform: Platform, names: list[str]) -> None:
    async with platform.services.database.write(as_system="test") as session:
        session.add_all(models.Participant(project_id=platform.world.shared, name=name) for name in names)


async def test_an_export_has_all_rows_of_the_list_in_its_order(counter: Counter) -> None:
    await _participants(counter.platform, [f"P{n:04}" for n in range(MANY)])
    given = {"filter": {"name": {"startsWith": "P0"}}, "orderBy": {"field": "NAME", "direction": "DESC"}}
    answer = await counter.get("participants", fields="name,project.site.name,enabled,group.name", **given)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert answer.headers["content-disposition"].startswith('attachment; filename="participants.csv"')
    header, *rows = csv.reader(io.StringIO(answer.text))
    assert header == ["name", "project.site.name", "enabled", "group.name"]
    assert [row[0] for row in rows] == [f"P{n:04}" for n in reversed(range(MANY))]
    assert {tuple(row[1:]) for row in rows} == {("Harbour", "true", "")}
    lines = (
        await counter.get("participants", format="ndjson", fields="name,project.site.name", **given)
    ).text.splitlines()
    assert orjson.loads(lines[0]) == {"name": f"P{MANY - 1:04}", "project": {"site": {"name": "Harbour"}}}
    assert len(lines) == MANY > 2 * TOGETHER


async def test_an_export_tells_what_its_reader_may_read(counter: Counter) -> None:
    query = "{participants(first:100){nodes{id}}}"
    for who in ("tom", "maria", "eve", "root", "sita"):
        ids = [node["id"] for node in (await counter.platform.ask(query, who))["participants"]["nodes"]]
        answer = await counter.get("participants", who, fields="id,username,email")
        _, *rows = csv.reader(io.StringIO(answer.text))
        assert [row[0] for row in rows] == ids, who
        shown = [row[1] for row in rows if row[1]]
        assert bool(shown) == (who in ("maria", "root", "sita")), who
    assert (await counter.get("participants", None)).status_code == 401


async def test_cells_are_what_a_spreadsheet_takes_for_text(counter: Counter) -> None:
    names = ["=1+1", "+x", "-x", "@x", 'a "quoted", name', "plain"]
    await _participants(counter.platform, names)
    answer = await counter.get("participants", fields="name", filter={"project": {"isNull": False}})
    cells = {row[0] for row in csv.reader(io.StringIO(answer.text))}
    assert {"'=1+1", "'+x", "'-x", "'@x", 'a "quoted", name', "plain"} <= cells
    assert not cells & {"=1+1", "+x", "-x", "@x"}
    text = (await counter.get("participants", fields="name", format="ndjson")).text
    assert {orjson.loads(line)["name"] for line in text.splitlines()} >= set(names)


async def test_without_fields_the_plain_values_of_a_row_are_given(counter: Counter) -> None:
    header, row, *_ = csv.reader(io.StringIO((await counter.get("jobs")).text))
    assert {"id", "key", "state", "title", "submittedAt", "endedAt", "version"} <= set(header)
    assert not {"owner", "history", "options", "error", "tasks"} & set(header)
    assert len(row) == len(header)


@pytest.mark.parametrize(
    ("name", "given", "status", "told"),
    [
        ("nothing", {}, 404, {"code": "NOT_FOUND", "field": "list"}),
        ("viewer", {}, 404, {"code": "NOT_FOUND"}),
        ("jobs", {"fields": "nam"}, 400, {"code": "INVALID", "field": "fields"}),
        ("jobs", {"fields": "tasks"}, 400, {"code": "INVALID", "field": "fields"}),
        ("jobs", {"fields": "owner"}, 400, {"code": "INVALID", "field": "fields"}),
        ("jobs", {"fields": "key}} #"}, 400, {"code": "INVALID", "field": "fields"}),
        ("jobs", {"fields": "a.b.c.d.e.f"}, 400, {"code": "INVALID", "field": "fields"}),
        ("jobs", {"fields": ",".join(f"x{n}" for n in range(51))}, 400, {"code": "LIMIT_EXCEEDED", "allowed": 50}),
        ("jobs", {"filter": "["}, 400, {"code": "INVALID", "field": "filter"}),
        ("jobs", {"filter": "[]"}, 400, {"code": "INVALID", "field": "filter"}),
        ("jobs", {"filter": {"no": 1}}, 400, {"code": "INVALID", "field": "filter"}),
        ("jobs", {"filter": {"text": "%"}}, 400, {"code": "INVALID", "field": "filter.text"}),
        ("jobs", {"orderBy": {"field": "NO"}}, 400, {"code": "INVALID", "field": "orderBy"}),
        ("jobs", {"format": "xls"}, 400, {"code": "INVALID", "field": "format", "allowed": ["csv", "ndjson"]}),
        ("jobs", {"first": "9"}, 400, {"code": "INVALID", "field": "first"}),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_told_before_anything_is_sent(
    counter: Counter, name: str, given: dict[str, Any], status: int, told: dict[str, Any]
) -> None:
    answer = await counter.get(name, **given)
    assert answer.status_code == status
    (error,) = answer.json()["errors"]
    assert told.items() <= error["extensions"].items()
    assert (await _events(counter.platform)) == []


async def _events(platform: Platform) -> list[Any]:
    event = models.AuditEvent
    return await platform.services.database.rows(
        sa.select(event.detail, event.actor_id).where(event.action == "EXPORT")
    )  # type: ignore[return-value]


async def test_an_export_is_on_record(counter: Counter) -> None:
    await counter.get("jobs", fields="key,state", filter={"state": {"in": ["COMPLETED"]}})
    (event,) = await _events(counter.platform)
    assert event.actor_id == counter.platform.world.tom
    assert event.detail == {
        "list": "jobs", "format": "csv", "fields": ["key", "state"], "filter": '{"state":{"in":["COMPLETED"]}}',
    }  # fmt: skip


async def test_a_browser_gets_an_export_by_a_link_of_its_own(counter: Counter) -> None:
    query = """mutation($f:JSON,$o:JSON,$n:[String!]){made:createExport(list:"jobs",format:NDJSON,fields:$n,filter:$f,orderBy:$o){
        ...on Download{url expiresAt} ...on Problem{code message}}}"""
    given = {"f": {"state": {"in": ["COMPLETED"]}}, "o": {"field": "ENDED_AT"}, "n": ["key", "owner.username"]}
    url = (await counter.platform.ask(query, "tom", **given))["made"]["url"]
    path = url[url.index("/exports/") :]
    answer = await counter.client.get(path)
    assert answer.status_code == 200
    assert [orjson.loads(line)["owner"] for line in answer.text.splitlines()]
    assert (await counter.client.get(path.replace("ENDED_AT", "TITLE"))).status_code == 401
    assert (await counter.client.get(path.replace("jobs", "users"))).status_code == 401


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"l": "nope"}, "list"),
        ({"n": ["x"]}, "fields"),
        ({"f": {"x": 1}}, "filter"),
        ({"f": {"text": "%"}}, "filter.text"),
        ({"o": {"field": "X"}}, "orderBy"),
        ({"f": {"key": {"in": ["é" * 90 + str(n) for n in range(50)]}}}, "filter"),
    ],
)
async def test_a_link_to_an_export_is_refused_for_what_the_export_is_refused(
    counter: Counter, given: dict[str, Any], field: str
) -> None:
    query = """mutation($l:String!,$f:JSON,$o:JSON,$n:[String!]){made:createExport(list:$l,fields:$n,filter:$f,orderBy:$o){
        ...on Download{url} ...on Problem{code field}}}"""
    made = (await counter.platform.ask(query, "tom", **{"l": "jobs", **given}))["made"]
    assert made == {"code": made["code"], "field": field}
    assert made["code"] in ("INVALID", "NOT_FOUND", "LIMIT_EXCEEDED")


async def test_an_export_is_made_a_page_at_a_time(counter: Counter) -> None:
    """However many rows there are: one statement and no more text for each page."""
    await _participants(counter.platform, [f"{n:05}" + "x" * 200 for n in range(1_000)])
    platform = counter.platform
    ctx = Context(platform.services, await platform.principal("tom"))
    schema = platform.execution._schema
    export = export_of(schema, "participants", ["name"], {"name": {"startsWith": "0"}})
    run = runner(ctx, Documents(schema, Bounds(), keep=10**6), platform.execution)
    pieces = export.lines(run, Format.CSV)
    sizes = []
    while True:
        with recorded() as counted:
            if (piece := await anext(pieces, None)) is None:
                break
        assert counted.statements == 1
        sizes.append(len(piece))
    assert len(sizes) == 1_000 // TOGETHER
    assert max(sizes) < TOGETHER * 210
