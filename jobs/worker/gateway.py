"""The worker's client of the gateway: it sends operations, and tries again while the gateway is away."""

import http.client
import json
import random
import time
import urllib.error
import urllib.request
from typing import Any

PATIENCE = 120.0
"""Seconds for which the worker tries again to reach a gateway that does not answer."""
PASSING = frozenset({"RATE_LIMITED", "TIMEOUT", "UNAVAILABLE"})
"""Codes of failures that may pass when tried again: those that docs/clients.md says so of."""


class Refused(Exception):
    """The gateway refuses this worker; or, with the code INVALID, what it sent."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class Unreachable(Exception):
    """The gateway did not answer for a long time."""


class Gateway:
    """Sends operations with a token; while the gateway is away it tries again, ever more slowly."""

    def __init__(self, address: str, token: str) -> None:
        self.address = address
        self.bearer = {"Authorization": f"Bearer {token}"}
        self._headers = {
            **self.bearer,
            "Content-Type": "application/json",
            "Accept": "application/graphql-response+json",
        }

    def with_token(self, token: str) -> "Gateway":
        return Gateway(self.address, token)

    def ask(self, query: str, patience: float = PATIENCE, **variables: Any) -> Any:
        """The data of the answer; raises Refused when the gateway refuses, Unreachable when it does not answer for
        `patience` seconds."""
        body = json.dumps({"query": query, "variables": variables}, allow_nan=False).encode()
        request = urllib.request.Request(f"{self.address}/graphql", body, self._headers)  # noqa: S310
        deadline, pause = time.monotonic() + patience, 0.2
        while True:
            try:
                answer = self._send(request)
                errors = answer.get("errors")
                if not errors:
                    return answer["data"]
                failure = str(errors[0]["message"])
                for error in errors:
                    if (code := error.get("extensions", {}).get("code")) not in PASSING:
                        raise Refused(str(error["message"]), str(code))
            except (OSError, ValueError, http.client.HTTPException) as error:
                failure = str(error)
            if time.monotonic() > deadline:
                raise Unreachable(f"the gateway did not answer: {failure}")
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
            pause = min(pause * 2, 5.0)

    def _send(self, request: urllib.request.Request) -> Any:
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
                return json.load(response)
        except urllib.error.HTTPError as error:
            return json.load(error)
