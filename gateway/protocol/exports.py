"""Exports of lists over HTTP: `GET /exports/{list}`, by a token or a ticket."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
from graphql import GraphQLSchema
from starlette.requests import Request
from starlette.routing import Route

from gateway.operations.documents import Documents, Envelope
from gateway.operations.execution import Execution
from gateway.operations.responses import Refused, encode
from gateway.protocol.files import CSV, File, Note, answer
from resolvers.context import Context, Services
from resolvers.failures import Invalid
from resolvers.organisation import list_exports
from resolvers.spelling import between_commas
from schema.lists.exporting import Format, Run, export_of

NDJSON = "application/x-ndjson"
TAKEN = {"format", "fields", "filter", "orderBy", "ticket"}


@dataclass(frozen=True)
class Exports:
    """The route of exports. Its operations count for nothing but themselves: they are the gateway's own documents."""

    services: Services
    schema: GraphQLSchema
    documents: Documents
    execution: Execution

    @property
    def routes(self) -> list[Route]:
        return [Route(f"/{list_exports.FOLDER}/{{list}}", partial(answer, self.services, self._found), methods=["GET"])]

    async def _found(self, ctx: Context, request: Request) -> tuple[File, Note]:
        given = request.query_params
        if unknown := sorted(set(given) - TAKEN):
            raise Invalid(
                f"an export takes no {unknown[0][:80]}", field=unknown[0][:80], allowed=sorted(TAKEN - {"ticket"})
            )
        format = _format(given.get("format", "csv"))
        fields = between_commas(given.get("fields", ""))
        filter, order = (_json(given.get(name), name) for name in ("filter", "orderBy"))
        export = export_of(self.schema, request.path_params["list"], fields, filter, order)
        content = export.lines(runner(ctx, self.documents, self.execution), format)
        first = await anext(content)  # so that what is wrong is told before anything is sent
        media = CSV if format is Format.CSV else NDJSON
        note = partial(list_exports.note, ctx, export.name, format.value, fields, given.get("filter"))
        return File(f"{export.name}.{format.value}", media, lambda: _all(first, content)), note


def runner(ctx: Context, documents: Documents, execution: Execution) -> Run:
    """Runs operations as the principal of a context, each by itself."""

    async def run(document: str, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            operation = documents.operation(Envelope(document), any_text=True)
            found = await execution.run(operation, dict(variables), ctx.fork())
        except Refused as refusal:
            found = refusal.answer
        told: Mapping[str, Any] = orjson.loads(encode(found.body))
        return told

    return run


async def _all(first: bytes, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in content:
        yield piece


def _format(name: str) -> Format:
    try:
        return Format(name.lower())
    except ValueError:
        allowed = [one.value for one in Format]
        raise Invalid(f"an export is {' or '.join(allowed)}", field="format", allowed=allowed) from None


def _json(text: str | None, name: str) -> Any:
    if not text:
        return None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise Invalid(f"{name} is a JSON object, as the argument of the list", field=name)
    return value
