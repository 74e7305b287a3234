"""GraphQL over HTTP: the two JSON media types, and server-sent events for subscriptions."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import msgspec
import structlog
from graphql import OperationType
from starlette.types import Receive, Scope, Send

from db.tally import Tally, tally
from gateway.operations.documents import Documents, Envelope, Operation
from gateway.operations.errors import AGAIN, BAD_REQUEST, internal, of_outage, refused
from gateway.operations.execution import Execution
from gateway.operations.fanout import Broadcasts, until
from gateway.operations.responses import Answer, Refused, encode
from gateway.protocol import client_certificates, cookies
from gateway.protocol.asgi import PARAMETERS, Disconnected, Incoming, Reply
from gateway.protocol.authentication import CHALLENGES, authenticate, keep, presented
from gateway.protocol.bodies import STEP, read, read_in_steps
from gateway.protocol.negotiation import EVENTS, GRAPHQL, JSON, Ranges, accepted, choose
from gateway.protocol.server import request_id
from gateway.settings.server import ServerSettings
from resolvers.context import Context, Services, lane_of
from resolvers.failures import Code, Failure, TimedOut
from resolvers.identity.principal import Kind, Principal

log = structlog.get_logger("torana")

_OFFERED = (JSON, GRAPHQL, EVENTS)

HEARTBEAT = 12.0
"""Seconds of silence after which a stream sends a sign of life."""
PREFLIGHT = ("graphql-require-preflight", "apollo-require-preflight", "x-apollo-operation-name", "authorization")
"""Headers that a form or an image of another site can't send unless the browser asks us first."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The endpoint of POST and GET. `closing` is set when the process ends, and ends the streams."""

    documents: Documents
    execution: Execution
    broadcasts: Broadcasts
    services: Services
    settings: ServerSettings
    closing: asyncio.Event

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        number = os.urandom(16).hex()
        request_id.set(number)
        tally.set(Tally())
        request = Incoming(scope, receive)
        ranges = accepted(request.header(b"accept"))
        chosen = choose(ranges, _OFFERED)
        media = chosen or JSON
        try:
            if chosen is None:
                raise _bad(406, f"this answers as {GRAPHQL}, {JSON} or {EVENTS}")
            reply = await self._answer(request, scope, media, ranges)
        except Refused as refusal:
            log.info("refused", status=refusal.answer.status, errors=refusal.answer.codes)
            reply = _json(refusal.answer, media)
            reply.headers.update(refusal.headers)
        except Disconnected:
            reply = Reply(400, JSON)
        except Exception as error:
            failure = of_outage(error)
            reply = _json(Answer.failed(internal(error) if failure is None else refused(failure)), media)
        reply.headers["X-Request-Id"] = number
        reply.headers["Cache-Control"] = "no-store"
        await reply(scope, receive, send)

    async def _answer(self, request: Incoming, scope: Scope, media: str, ranges: Ranges) -> Reply:
        if request.method not in ("GET", "POST"):
            raise _bad(405, "GraphQL takes POST, and GET for queries", Allow="GET, POST")
        envelope = self._from_url(request) if request.method == "GET" else None
        if envelope is None:
            _check_content_type(request.header(b"content-type") or "")
        authorization = request.header(b"authorization")
        principal, no_good = await presented(self.services, authorization)
        if envelope is None:
            envelope = await _decode(await self._body(request, worker=principal.kind is Kind.WORKER))
        client = request.client
        lane = lane_of(principal, client)
        operation = await self.documents.asked(envelope, lane, any_text=principal.kind is Kind.WORKER)
        if operation.kind is not OperationType.QUERY and request.method == "GET":
            raise _bad(405, f"a {operation.kind.value} must be sent by POST", Allow="POST")
        if no_good is not None and not operation.defined.open:
            challenge = {} if no_good.code in AGAIN else {"WWW-Authenticate": CHALLENGES[no_good.code]}
            raise Refused(Answer.failed(refused(no_good)), challenge)
        plain = media != EVENTS and operation.kind is not OperationType.SUBSCRIPTION
        browser = cookies.browser_of(request, scope, self.settings, able=plain)
        again = partial(authenticate, self.services, authorization)
        ctx = Context(self.services, principal, client, browser=browser, refused=no_good, presented=again)
        if operation.kind is OperationType.SUBSCRIPTION:
            if choose(ranges, (EVENTS,)) is None:
                raise _bad(406, f"a subscription is answered as {EVENTS}, or over a WebSocket")
            return _events(self._subscription(operation, envelope.variables, ctx, authorization))
        answer = await run_logged(self.execution, operation, envelope.variables, ctx)
        reply = _events(_once(answer)) if media == EVENTS else _json(answer, media, run=True)
        cookies.keep(browser, reply, scope, self.settings, self.services.limits.refresh_lifetime)
        return reply

    async def _body(self, request: Incoming, *, worker: bool) -> bytes:
        most = self.settings.worker_body_limit if worker else self.settings.body_limit
        seconds = None if worker else self.settings.body_timeout
        try:
            body = await request.body(most, seconds)
        except TimeoutError:
            failure = TimedOut(f"the body of a request is to come within {seconds:g} s")
            raise Refused(Answer.failed(refused(failure)), {"Connection": "close"}) from None
        if body is None:
            raise _bad(413, f"the request is over {most} bytes")
        return body

    def _from_url(self, request: Incoming) -> Envelope:
        """The envelope in a GET's query string; only when the browser would have asked us first."""
        headers = request.headers
        asked = any(headers.get(name.encode()) for name in PREFLIGHT)
        if client_certificates.shown(request.header(b"authorization")) is not None:
            asked = False  # the browser adds a certificate to whatever another site sends
        if not asked and GRAPHQL not in (request.header(b"accept") or ""):
            simple = headers.get(b"sec-fetch-site") or headers.get(b"origin")
            if simple not in (None, b"same-origin", b"none"):
                raise _bad(403, f"a GET from another site needs one of the headers {', '.join(PREFLIGHT)}")
        try:
            given = request.query
        except ValueError:
            raise _bad(400, f"a query string has at most {PARAMETERS} parameters") from None
        raw: dict[str, Any] = {name: given[name] for name in ("query", "documentId", "operationName") if name in given}
        try:
            for name in ("variables", "extensions"):
                if given.get(name):
                    raw[name] = read(given[name])
            return msgspec.convert(raw, Envelope)
        except (ValueError, msgspec.MsgspecError) as error:
            raise _bad(400, f"the query string is not a GraphQL request: {error}") from None

    async def _subscription(
        self, operation: Operation, variables: Mapping[str, Any] | None, ctx: Context, authorization: str | None
    ) -> AsyncIterator[Answer]:
        began = time.perf_counter()
        ending = [
            asyncio.create_task(self.closing.wait()),
            asyncio.create_task(keep(self.services, authorization, ctx.principal, ctx.become)),
        ]
        try:
            stream = until(self.broadcasts.stream(operation, variables, ctx), ending)
            async with contextlib.aclosing(stream) as answers:
                async for answer in answers:
                    yield answer
        except Refused as refusal:
            yield refusal.answer
        except Failure as failure:
            yield Answer.failed(refused(failure))
        finally:
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)
            note(operation, ctx, began, 0, [])


async def run_logged(
    execution: Execution, operation: Operation, variables: Mapping[str, Any] | None, ctx: Context
) -> Answer:
    """Run a query or mutation, and log it."""
    began, asked = time.perf_counter(), ctx.principal
    counted = tally.get() or Tally()
    token = tally.set(counted)
    answer = Answer.refusal(500)
    try:
        answer = await execution.run(operation, variables, ctx)
        return answer
    except Refused as refusal:
        answer = refusal.answer
        return answer
    finally:
        tally.reset(token)
        note(operation, ctx, began, counted.statements, answer.codes, asked)


def note(
    operation: Operation,
    ctx: Context,
    began: float,
    statements: int,
    codes: list[str],
    principal: Principal | None = None,
) -> None:
    """Log one line for each operation, without variables and credentials."""
    who = principal or ctx.principal
    write = log.debug if who.kind is Kind.WORKER else log.info
    write(
        "operation",
        kind=operation.kind.value,
        name=(operation.name or "-")[:80],
        document=operation.document.digest[:16],
        principal=who.name,
        ms=round((time.perf_counter() - began) * 1000, 1),
        statements=statements,
        errors=codes,
    )


@lru_cache(maxsize=100)
def _check_content_type(content_type: str) -> None:
    media, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = [p.removeprefix("charset=").strip('"') for p in parameters if p.startswith("charset=")]
    if media != JSON or any(charset not in ("utf-8", "utf8") for charset in charsets):
        raise _bad(415, f"the body must be {JSON} in UTF-8")


async def _decode(body: bytes) -> Envelope:
    try:
        return msgspec.convert(read(body) if len(body) <= STEP else await read_in_steps(body), Envelope)
    except (ValueError, msgspec.MsgspecError) as error:
        raise _bad(400, f"the body is not a GraphQL request: {error}") from None


def _bad(status: int, message: str, **headers: str) -> Refused:
    return Refused(Answer.refusal(status, {"message": message, "extensions": {"code": BAD_REQUEST}}), headers)


def _json(answer: Answer, media: str, *, run: bool = False) -> Reply:
    """The reply to an operation. With the older media type, clients take any status but 200 for a broken server and
    ignore the errors. So it has another status only for what was not `run`: a bad or incomplete request, a bad token, a
    fault of ours."""
    at_fault = answer.status in (401, 500) or answer.codes in ([BAD_REQUEST], [Code.TIMEOUT.name])
    if media != GRAPHQL:
        media = JSON
    status = 200 if media == JSON and (run or not at_fault) else answer.status
    content = encode({"data": None, **answer.body} if status == 200 and "data" not in answer.body else answer.body)
    headers = {} if (wait := answer.retry_after) is None else {"Retry-After": str(wait)}
    return Reply(status, f"{media}; charset=utf-8", content, headers=headers)


def _events(answers: AsyncIterator[Answer]) -> Reply:
    return Reply(200, f"{EVENTS}; charset=utf-8", stream=_framed(answers), headers={"X-Accel-Buffering": "no"})


async def _framed(answers: AsyncIterator[Answer]) -> AsyncIterator[bytes]:
    """The events of graphql-sse, in distinct connections mode. Lines end with LF alone: urql splits on that."""
    source = answers.__aiter__()
    following: asyncio.Task[Answer] | None = None
    try:
        yield b":\n\n"
        while True:
            following = following or asyncio.ensure_future(anext(source))
            done, _ = await asyncio.wait({following}, timeout=HEARTBEAT)
            if not done:
                yield b":\n\n"
                continue
            try:
                answer = following.result()
            except StopAsyncIteration:
                break
            following = None
            yield b"event: next\ndata: " + encode(answer.body) + b"\n\n"
        yield b"event: complete\ndata: \n\n"
    finally:
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        if isinstance(source, AsyncGenerator):
            await source.aclose()


async def _once(answer: Answer) -> AsyncIterator[Answer]:
    yield answer
