"""The client for programs without asyncio."""

import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import httpx2

from torana_client.connections import Path, Walk
from torana_client.exchange import JSON, KEPT, Operation, Outcome, Send, Steps, address_of, authorization_of, exchange


class Client:
    """Sends operations to a gateway, over connections that it keeps. Threads may share it.

    `url` is the address of the gateway. `token` is an access token, the secret of an API key, or the token of a
    service; `basic` is an API key as a pair, the public key and the secret. Without both, anybody asks.
    `timeout` is the seconds to connect, and to wait for bytes of an answer. `retries` is how often what may be sent
    again is: an error that says so (RATE_LIMITED, TIMEOUT, UNAVAILABLE) after the pause that it names, and a query
    without an answer. A mutation is not sent again once it may have run: it raises `Unconfirmed`.
    `transport` is another transport of httpx2, such as that of a test.

    Close it, or use it in a `with` statement. Raises ValueError for an address or a token that can be none.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        basic: tuple[str, str] | None = None,
        timeout: float = 30.0,
        retries: int = 3,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._address = address_of(url)
        self._headers = {**JSON, **authorization_of(token, basic)}
        self._retries = retries
        self._http = httpx2.Client(timeout=timeout, limits=KEPT, transport=transport)
        self._sleep = time.sleep

    def execute(
        self, document: str, variables: Mapping[str, Any] | None = None, *, operation_name: str | None = None
    ) -> dict[str, Any]:
        """The data of an operation. A `Problem` of a mutation is in the data: `mutate` raises it.

        Raises ToranaError, of the class of its code, where the answer has errors; its `data` are what is there beside
        them.
        """
        return self._follow(exchange(Operation(document, variables, operation_name), self._retries, problems=False))

    def mutate(
        self, document: str, variables: Mapping[str, Any] | None = None, *, operation_name: str | None = None
    ) -> dict[str, Any]:
        """The data of a mutation whose fields did what they were to do.

        Raises ToranaError as `execute` does, and for a field that answers with a `Problem`. Let the document select
        `... on Problem { code message field details }`. Where several fields were sent, the others may be done: the
        error's `data` tell.
        """
        return self._follow(exchange(Operation(document, variables, operation_name), self._retries, problems=True))

    def pages(
        self,
        document: str,
        variables: Mapping[str, Any] | None = None,
        path: Path = (),
        *,
        operation_name: str | None = None,
    ) -> Iterator[Any]:
        """The nodes of a connection, page by page, each fetched when it is wanted.

        `path` is where it stands in the data, such as `specs` or `project.simulations`. The document takes `$after:
        String`, gives it to the connection, and selects `nodes` and `pageInfo { hasNextPage endCursor }`.

        Raises ToranaError as `execute` does, NotFound where the path leads to null, ValueError where it leads to no
        connection.
        """
        walk = Walk(variables, path)
        while walk.variables is not None:
            yield from walk.nodes(self.execute(document, walk.variables, operation_name=operation_name))

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _as(self, basic: tuple[str, str]) -> "Client":
        """Who has this pair of keys, over the same connections. It is not to be closed."""
        other = object.__new__(Client)
        vars(other).update({**vars(self), "_headers": {**self._headers, **authorization_of(None, basic)}})
        return other

    def _follow(self, steps: Steps) -> dict[str, Any]:
        outcome: Outcome = None
        try:
            while True:
                step = steps.send(outcome)
                if isinstance(step, Send):
                    outcome = self._sent(step.body)
                else:
                    self._sleep(step.seconds)
                    outcome = None
        except StopIteration as done:
            data: dict[str, Any] = done.value
            return data

    def _sent(self, body: bytes) -> Outcome:
        try:
            return self._http.post(self._address, content=body, headers=self._headers)
        except httpx2.RequestError as error:
            return error
