"""The client for programs with asyncio, which also subscribes."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self

import httpx2

from torana_client.connections import Path, Walk
from torana_client.errors import Unavailable
from torana_client.exchange import (
    JSON,
    KEPT,
    Operation,
    Outcome,
    Send,
    Steps,
    address_of,
    answer_of,
    authorization_of,
    data_of,
    exchange,
    unanswered,
)

EVENTS = "text/event-stream"
SILENCE = 40.0
"""Seconds without a byte after which a stream is broken: the gateway sends a sign of life each 12 s."""
LARGEST = 64_000_000
"""Bytes of one event; an answer of the gateway has half of it at most."""


class AsyncClient:
    """Sends operations to a gateway, over connections that it keeps. All of its parameters are those of `Client`.

    Close it, or use it in an `async with` statement. Raises ValueError for an address or a token that can be none.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        basic: tuple[str, str] | None = None,
        timeout: float = 30.0,
        retries: int = 3,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._address = address_of(url)
        self._headers = {**JSON, **authorization_of(token, basic)}
        self._retries = retries
        self._timeout = timeout
        self._http = httpx2.AsyncClient(timeout=timeout, limits=KEPT, transport=transport)
        self._sleep = asyncio.sleep

    async def execute(
        self, document: str, variables: Mapping[str, Any] | None = None, *, operation_name: str | None = None
    ) -> dict[str, Any]:
        """The data of an operation, as `Client.execute` gives them. Raises ToranaError."""
        operation = Operation(document, variables, operation_name)
        return await self._follow(exchange(operation, self._retries, problems=False))

    async def mutate(
        self, document: str, variables: Mapping[str, Any] | None = None, *, operation_name: str | None = None
    ) -> dict[str, Any]:
        """The data of a mutation, as `Client.mutate` gives them. Raises ToranaError, also for a `Problem`."""
        operation = Operation(document, variables, operation_name)
        return await self._follow(exchange(operation, self._retries, problems=True))

    async def pages(
        self,
        document: str,
        variables: Mapping[str, Any] | None = None,
        path: Path = (),
        *,
        operation_name: str | None = None,
    ) -> AsyncIterator[Any]:
        """The nodes of a connection, page by page, as `Client.pages` gives them, with the same errors."""
        walk = Walk(variables, path)
        while walk.variables is not None:
            for node in walk.nodes(await self.execute(document, walk.variables, operation_name=operation_name)):
                yield node

    async def subscribe(
        self, document: str, variables: Mapping[str, Any] | None = None, *, operation_name: str | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The data of each event of a subscription, over server-sent events, until the gateway ends it.

        A stream that breaks raises Unavailable and is not begun again: the protocol has no way to go on where it broke.
        Subscribe once more: each subscription begins with what is now, and `jobLog` goes on after the `cursor` of its
        last line; only after `jobsChanged` ask the list for what was missed. A gateway that is stopped ends its streams
        as if they were over. The other errors are those of `execute`; Unauthenticated and TokenExpired also come later,
        when the sign-in ends.

        Who leaves early closes it: `async with contextlib.aclosing(client.subscribe(...)) as events`.
        """
        body = Operation(document, variables, operation_name).body
        headers = {**self._headers, "Accept": EVENTS}
        timeout = httpx2.Timeout(self._timeout, read=max(self._timeout, SILENCE))
        asked = self._http.stream("POST", self._address, content=body, headers=headers, timeout=timeout)
        try:
            async with asked as response:
                if not response.headers.get("content-type", "").startswith(EVENTS):
                    await response.aread()
                    yield data_of(answer_of(response, repeatable=True))
                    return
                async for event in httpx2.EventSource(response, max_event_size=LARGEST):
                    if event.event == "complete":
                        return
                    yield data_of(json.loads(event.data))
        except httpx2.RequestError as error:
            raise unanswered(error, repeatable=True) from error
        raise Unavailable("the stream broke off", code="UNAVAILABLE", again=True)

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _follow(self, steps: Steps) -> dict[str, Any]:
        outcome: Outcome = None
        try:
            while True:
                step = steps.send(outcome)
                if isinstance(step, Send):
                    outcome = await self._sent(step.body)
                else:
                    await self._sleep(step.seconds)
                    outcome = None
        except StopIteration as done:
            data: dict[str, Any] = done.value
            return data

    async def _sent(self, body: bytes) -> Outcome:
        try:
            return await self._http.post(self._address, content=body, headers=self._headers)
        except httpx2.RequestError as error:
            return error
