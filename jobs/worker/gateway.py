"""The gateway as a worker sees it: it is sent operations, and asked again when it is away."""

import http.client
import json
import random
import time
import urllib.error
import urllib.request
from typing import Any

PATIENCE = 120.0
"""Seconds for which a gateway that does not answer is asked again."""
PASSING = frozenset({"RATE_LIMITED", "TIMEOUT", "UNAVAILABLE"})
"""Codes of what may be over when it is tried again: those that docs/clients.md says this of."""


class Refused(Exception):
    """The gateway does not want this worker to go on; or, with the code INVALID, does not take what it sent."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class Unreachable(Exception):
    """The gateway did not answer for long."""


class Gateway:
    """Sends operations with a token; a gateway that is away is asked again, ever more slowly."""

    def __init__(self, address: str, token: str) -> None:
        self._address = address
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Accept": "application/graphql-response+json",
        }

    def with_token(self, token: str) -> "Gateway":
        return Gateway(self._address, token)

    def ask(self, query: str, **variables: Any) -> Any:
        """The data of the answer; raises Refused when the gateway says no, Unreachable when it says nothing."""
        body = json.dumps({"query": query, "variables": variables}, allow_nan=False).encode()
        request = urllib.request.Request(f"{self._address}/graphql", body, self._headers)  # noqa: S310
        deadline, pause = time.monotonic() + PATIENCE, 0.2
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
