"""Leaderboards as files: `GET /leaderboards/{label}.json`, in the shape that Zerospeech's site reads, and `.csv`.

Both are made by operations of the schema, so they tell what a read would tell, to whoever asks, signed in or not;
what nobody signed in for is kept until the leaderboard is built anew.
"""

import asyncio
import contextlib
import csv
import hashlib
import io
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.operations.documents import Documents
from gateway.operations.execution import Execution
from gateway.protocol.exports import runner
from gateway.protocol.files import CSV, JSON, File, answered, sent
from jobs.scores.columns import Column, read
from jobs.scores.values import found
from resolvers.context import Context, Services
from resolvers.failures import Away, NotFound
from resolvers.identity.principal import Kind
from schema.lists.exporting import Run, Unreadable, cell

TOGETHER = 100
"""Entries that are read at once."""
AGAIN = 5
"""How often a leaderboard is read anew that is built meanwhile."""
KEPT, KEPT_BYTES = 32, 4_000_000
"""The most files that are kept for whoever does not sign in, and the most bytes of one."""
_FRESH = {"Cache-Control": "no-cache", "Vary": "Authorization"}

_BOARD = "query Board($label: String!) { leaderboard(label: $label) { id label builtAt columns version build { id } } }"
_PAGE = """query Entries($board: ID!, $build: ID!, $first: Int!, $after: String) {
    page: node(id: $build) { ... on LeaderboardBuild { entries(first: $first, after: $after) {
        nodes { place rank authorLabel data external baseline } pageInfo { hasNextPage endCursor } } } }
    leaderboard(id: $board) { build { id } } }"""
"""The leaderboard is asked after the page: while it still has the build, the page is whole."""

Entry = Mapping[str, Any]
Write = Callable[[Mapping[str, Any], Sequence[Entry]], bytes]


class _Replaced(Exception):
    """The leaderboard was built anew while it was read."""


@dataclass(frozen=True)
class Boards:
    """The routes of leaderboards."""

    services: Services
    documents: Documents
    execution: Execution
    _kept: OrderedDict[tuple[str, ...], File] = field(default_factory=OrderedDict)
    _making: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def routes(self) -> list[Route]:
        return [
            Route(f"/leaderboards/{{label:path}}.{format}", partial(self._answer, format), methods=["GET", "HEAD"])
            for format in ("json", "csv")
        ]

    async def _answer(self, format: str, request: Request) -> Response:
        async def make(ctx: Context) -> Response:
            return await sent(await self._file(ctx, request.path_params["label"], format), request, _unnoted)

        return await answered(self.services, request, make, optional=True)

    async def _file(self, ctx: Context, label: str, format: str) -> File:
        run = runner(ctx, self.documents, self.execution)
        for _ in range(AGAIN):
            board = await _board(run, label)
            with contextlib.suppress(_Replaced):
                if ctx.principal.kind is Kind.ANONYMOUS and board["build"] is not None:
                    return await self._for_anyone(run, board, format)
                return await _made(run, board, format)
        raise Away("the leaderboard is built again and again; try again in a while", seconds=5)

    async def _for_anyone(self, run: Run, board: Mapping[str, Any], format: str) -> File:
        """What is made once for all who do not sign in."""
        key = (board["id"], str(board["version"]), board["build"]["id"], format)
        if key not in self._kept:
            async with self._making:
                if key not in self._kept:
                    made = await _made(run, board, format)
                    if made.size is None or made.size > KEPT_BYTES:
                        return made
                    self._kept[key] = made
                    while len(self._kept) > KEPT:
                        self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


async def _board(run: Run, label: str) -> Mapping[str, Any]:
    """The leaderboard, as the principal sees it."""
    board: Mapping[str, Any] | None = (await _data(run, _BOARD, {"label": label}))["leaderboard"]
    if board is None:
        raise NotFound("there is no such leaderboard", field="label")
    return board


async def _made(run: Run, board: Mapping[str, Any], format: str) -> File:
    entries = await _entries(run, board)
    media, write = (JSON, _json) if format == "json" else (CSV, _csv)
    content, state = await asyncio.to_thread(_written, write, board, entries)
    return File(f"{board['label']}.{format}", media, partial(_once, content), state, len(content), _FRESH)


def _written(write: Write, board: Mapping[str, Any], entries: Sequence[Entry]) -> tuple[bytes, str]:
    content = write(board, entries)
    return content, hashlib.sha256(content).hexdigest()


async def _entries(run: Run, board: Mapping[str, Any]) -> list[Entry]:
    """All entries of its build; raises _Replaced where that is no longer the leaderboard's."""
    if (build := board["build"]) is None:
        return []
    found: list[Entry] = []
    given = {"board": board["id"], "build": build["id"], "first": TOGETHER}
    after = None
    while True:
        data = await _data(run, _PAGE, {**given, "after": after})
        if (data["leaderboard"] or {}).get("build") != build or data["page"] is None:
            raise _Replaced
        page = data["page"]["entries"]
        found += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


async def _data(run: Run, document: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    told = await run(document, given)
    data: Mapping[str, Any] | None = told.get("data")
    if data is None or told.get("errors"):
        raise Unreadable(told["errors"][0])
    return data


def _json(board: Mapping[str, Any], entries: Sequence[Entry]) -> bytes:
    """`updatedOn`, and in `data` each entry's own scores with its `index`, `rank` and `author_label`."""
    data = [
        {**_object(one["data"]), "index": one["place"], "rank": one["rank"], "author_label": one["authorLabel"]}
        for one in entries
    ]
    return orjson.dumps({"updatedOn": board["builtAt"], "data": data})


def _object(data: Any) -> Mapping[str, Any]:
    return data if isinstance(data, dict) else {"scores": data}


def _csv(board: Mapping[str, Any], entries: Sequence[Entry]) -> bytes:
    """A line of names, then the entries: place, rank, author, whether it is a baseline, and the columns by their keys.
    Without columns all values of the scores, by their paths."""
    columns = [column for column in read(board["columns"]) if not column.hidden] or _paths(entries)
    names = [(column.key, column.path) for column in columns]
    names += [(f"{column.key}_error", column.error_path) for column in columns if column.error_path]
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(["place", "rank", "author", "baseline", *(cell(name) for name, _ in names)])
    for one in entries:
        values = [found(one["data"], path) for _, path in names]
        writer.writerow([cell(v) for v in (one["place"], one["rank"], one["authorLabel"], one["baseline"], *values)])
    return written.getvalue().encode()


def _paths(entries: Sequence[Entry]) -> list[Column]:
    """A column for each path at which some entry has a single value."""
    names: dict[str, None] = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict):
            for key, one in value.items():
                walk(one, f"{path}.{key}" if path else key)
        elif not isinstance(value, list):
            names[path] = None

    for one in entries:
        walk(one["data"], "")
    return [Column(path, path) for path in names if path]


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _unnoted() -> None:
    """What everyone may read is not put on record."""
