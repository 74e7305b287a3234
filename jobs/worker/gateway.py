"""The worker's client of the gateway: it sends operations, and tries again while the gateway is away."""

import http.client
import json
import random
import re
import time
import urllib.error
import urllib.request
from typing import Any

PATIENCE = 120.0
"""Seconds for which the worker tries again to reach a gateway that does not answer."""
PASSING = frozenset({"RATE_LIMITED", "TIMEOUT", "UNAVAILABLE"})
"""Codes of failures that may pass when tried again: those that docs/clients.md says so of."""

OVER = ("STATE", "NOT_FOUND", "UNAUTHENTICATED", "TOKEN_EXPIRED", "FORBIDDEN")
"""Codes that say that the task is no longer this worker's."""
AWAY = (408, 429, 502, 503, 504)
"""Statuses of HTTP that say the same, from a server before the gateway."""


class Refused(Exception):
    """The gateway refuses this worker; or, with the code INVALID, what it sent."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class Unreachable(Exception):
    """The gateway did not answer for a long time."""


class Gateway:
    """Sends operations with a token; while the gateway is away it tries again, ever more slowly."""

    def __init__(self, address: str, token: str, limit: int | None = None) -> None:
        self.address = address
        self._limit = limit
        self.bearer = {"Authorization": f"Bearer {token}"}
        self._headers = {
            **self.bearer,
            "Content-Type": "application/json",
            "Accept": "application/graphql-response+json",
        }

    def of_task(self, token: str, limit: int) -> "Gateway":
        """The gateway for the task that was claimed, which takes requests of up to `limit` bytes."""
        return Gateway(self.address, token, limit)

    def ask(self, query: str, patience: float = PATIENCE, **variables: Any) -> Any:
        """The data of the answer; raises Refused when the gateway refuses, Unreachable when for `patience` seconds
        it says that it can't now, or when it does not answer at all for `PATIENCE` seconds."""
        body = _encoded({"query": query, "variables": variables})
        if self._limit is not None and len(body) > self._limit:
            raise Refused(f"a request has {len(body)} bytes, and the gateway takes {self._limit}", "BAD_REQUEST")
        request = urllib.request.Request(f"{self.address}/graphql", body, self._headers)  # noqa: S310
        began = heard = time.monotonic()
        pause = 0.2
        while True:
            try:
                answer = self._send(request)
                heard = time.monotonic()
                errors = answer.get("errors")
                if not errors:
                    return answer["data"]
                failure = str(errors[0]["message"])
                for error in errors:
                    if (code := error.get("extensions", {}).get("code")) not in PASSING:
                        raise Refused(str(error["message"]), str(code))
            except (OSError, ValueError, http.client.HTTPException) as error:
                failure = str(error)
            now = time.monotonic()
            if now - began > patience or now - heard > PATIENCE:
                raise Unreachable(f"the gateway did not answer: {failure}")
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
            pause = min(pause * 2, 5.0)

    def _send(self, request: urllib.request.Request) -> Any:
        try:
            with _OPENER.open(request, timeout=30) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            code, message = why(error)
            return {"errors": [{"message": message, "extensions": {"code": code}}]}


def _encoded(given: object) -> bytes:
    """JSON of what programs and files are called and say, which may be no text: halves of characters are replaced."""
    text = json.dumps(given, allow_nan=False, ensure_ascii=False)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _HALVES.sub("\N{REPLACEMENT CHARACTER}", text).encode()


_HALVES = re.compile("[\ud800-\udfff]")


def why(error: urllib.error.HTTPError) -> tuple[str, str]:
    """The code and the message of an answer that is no success: of the gateway, or of a server before it."""
    try:
        told = json.load(error)["errors"]
        first = next((one for one in told if one["extensions"]["code"] not in PASSING), told[0])
        return str(first["extensions"]["code"]), str(first["message"])
    except (ValueError, LookupError, TypeError, OSError, http.client.HTTPException):
        return "UNAVAILABLE" if error.code in AWAY else "BAD_REQUEST", f"HTTP {error.code}"


def _hearing(connection: type[http.client.HTTPConnection]) -> Any:
    """A connection that reads the answer of a server that takes no more of a request: it says why."""

    class Hearing(connection):  # type: ignore[misc, valid-type]
        def send(self, data: Any) -> None:
            connected = self.sock is not None
            try:
                super().send(data)
            except (BrokenPipeError, ConnectionResetError):
                if not connected:
                    raise

    return Hearing


class _Http(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_hearing(http.client.HTTPConnection), request)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_hearing(http.client.HTTPSConnection), request)


_OPENER = urllib.request.build_opener(_Http, _Https)
