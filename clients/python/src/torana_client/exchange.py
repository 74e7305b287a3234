"""How an operation is sent and its answer read, whatever sends the bytes: `Client` and `AsyncClient` share it."""

import base64
import json
import random
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from torana_client.errors import (
    AGAIN,
    BadRequest,
    RateLimited,
    Timeout,
    ToranaError,
    Unavailable,
    Unconfirmed,
    error_of,
    problem_of,
)

JSON = {
    "Accept": "application/graphql-response+json, application/json;q=0.9",
    "Content-Type": "application/json",
}
"""Headers of queries and mutations."""
KEPT = httpx2.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=3.0)
"""A connection without a request is closed before the gateway closes it, after 5 s: what is sent meanwhile is lost."""
LONGEST = 60.0
"""Seconds: who is to wait for longer is told so by the error."""
FIRST, MOST = 0.25, 8.0
"""Seconds of the first pause, each further one is twice as long, and of the longest."""

_UNSENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
"""The gateway was not reached: it can't have begun."""


@dataclass(frozen=True, slots=True)
class Send:
    """A request to be sent; the answer, or what went wrong, comes back."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """A pause, in seconds."""

    seconds: float


Outcome = httpx2.Response | httpx2.RequestError | None
Steps = Generator[Send | Wait, Outcome, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Operation:
    """A document with its variables."""

    document: str
    variables: Mapping[str, Any] | None = None
    name: str | None = None

    @property
    def repeatable(self) -> bool:
        """Whether it changes nothing. A document with the word `mutation` in it counts as one that may."""
        return re.search(r"\bmutation\b", self.document) is None

    @property
    def body(self) -> bytes:
        """The request; ValueError for variables that JSON does not have."""
        said: dict[str, Any] = {"query": self.document}
        if self.variables:
            said["variables"] = dict(self.variables)
        if self.name is not None:
            said["operationName"] = self.name
        return json.dumps(said, ensure_ascii=False, allow_nan=False).encode()


def address_of(url: str) -> str:
    """The endpoint of a gateway, named by its address or by that of the endpoint."""
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"the address of a gateway begins with http:// or https://, not {url[:60]!r}")
    base = url.rstrip("/")
    try:
        httpx2.URL(base)
    except httpx2.InvalidURL as error:
        raise ValueError(f"this is no address of a gateway: {error}") from None
    return base if base.endswith("/graphql") else f"{base}/graphql"


def authorization_of(token: str | None, basic: tuple[str, str] | None) -> dict[str, str]:
    """The header that says who asks; without a token and keys there is none, and anybody asks."""
    if token is not None and basic is not None:
        raise ValueError("give a token or a pair of keys, not both")
    if token is not None:
        token = token.strip()
        if not token or not token.isascii() or not token.isprintable():
            raise ValueError("the token is empty, or has characters that no token has")
        return {"Authorization": f"Bearer {token}"}
    if basic is not None:
        if ":" in basic[0]:
            raise ValueError("a public key has no colon")
        pair = base64.b64encode(":".join(basic).encode()).decode()
        return {"Authorization": f"Basic {pair}"}
    return {}


def exchange(operation: Operation, retries: int, *, problems: bool) -> Steps:
    """The steps until the data are there. Sends again what may be sent again, up to `retries` times.

    With `problems`, a Problem is an error. Raises ToranaError.
    """
    attempt = 0
    while True:
        outcome = yield Send(operation.body)
        try:
            return _data_of(outcome, operation, problems=problems)
        except ToranaError as error:
            if attempt >= retries or not error.again or (error.retry_after or 0) > LONGEST:
                raise
            pause = max(error.retry_after or 0, min(FIRST * 2**attempt, MOST))
        attempt += 1
        yield Wait(pause * random.uniform(1.0, 1.25))  # noqa: S311


def _data_of(outcome: Outcome, operation: Operation, *, problems: bool) -> dict[str, Any]:
    if isinstance(outcome, httpx2.RequestError):
        raise unanswered(outcome, repeatable=operation.repeatable) from outcome
    assert outcome is not None
    data = data_of(answer_of(outcome, repeatable=operation.repeatable))
    if problems:
        _expect_no_problem(data)
    return data


def data_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The data of an answer. Raises ToranaError for its errors: the first of those that do not pass by themselves."""
    data = answer.get("data")
    errors: list[Mapping[str, Any]] = answer.get("errors") or []
    if not errors:
        if isinstance(data, dict):
            return data
        raise BadRequest("the answer has neither data nor errors: is it a gateway?", code="BAD_REQUEST")
    lasting = [told for told in errors if (told.get("extensions") or {}).get("code") not in AGAIN]
    raise error_of((lasting or errors)[0], data, again=not lasting and not data)


def answer_of(response: httpx2.Response, *, repeatable: bool) -> dict[str, Any]:
    """The JSON of a response. Raises ToranaError for one that no gateway made, such as that of a proxy."""
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if isinstance(answer, dict) and ("data" in answer or "errors" in answer):
        return answer
    status = response.status_code
    told = f"HTTP {status}, and no answer of a gateway"
    waits = response.headers.get("retry-after", "")
    extensions = {"retryAfterSeconds": int(waits)} if waits.isdecimal() else {}
    if status == 429:
        raise RateLimited(told, code="RATE_LIMITED", extensions=extensions, again=True)
    if status < 500 or status == 501:
        raise BadRequest(told, code="BAD_REQUEST")
    if repeatable:
        raise Unavailable(told, code="UNAVAILABLE", extensions=extensions, again=True)
    raise _perhaps(told)


def unanswered(error: httpx2.RequestError, *, repeatable: bool) -> ToranaError:
    """The error for a request without an answer."""
    told = f"the gateway does not answer: {type(error).__name__}"
    if isinstance(error, _UNSENT):
        return Unavailable(told, code="UNAVAILABLE", again=True)
    if not repeatable:
        return _perhaps(told)
    if isinstance(error, httpx2.TimeoutException):
        return Timeout(told, code="TIMEOUT", again=True)
    return Unavailable(told, code="UNAVAILABLE", again=True)


def _perhaps(told: str) -> Unconfirmed:
    message = f"{told}; the mutation may be done: read before you send it again"
    return Unconfirmed(message, code="UNCONFIRMED", extensions={"committed": None})


def _expect_no_problem(data: dict[str, Any]) -> None:
    """Raise for the first Problem of a mutation's answer; one that does not pass by itself goes first."""
    found = {name: value for name, value in data.items() if _is_problem(value)}
    if not found:
        return
    lasting = [name for name, value in found.items() if value.get("code") not in AGAIN]
    name = (lasting or list(found))[0]
    raise problem_of(name, found[name], data, again=not lasting and len(found) == len(data))


def _is_problem(value: Any) -> bool:
    """Whether a value is a Problem. Nothing of a value is selected where its type is none of the document's: such a
    value is a Problem that was left out."""
    if not isinstance(value, dict):
        return False
    return not value or value.get("__typename") == "Problem" or {"code", "message"} <= value.keys()
