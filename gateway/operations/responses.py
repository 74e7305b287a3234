"""Responses: the answer to an operation, and the refusal of one that is not run."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from gateway.operations.errors import Formatted, status_of
from resolvers.reading.marks import Rendered


@dataclass(frozen=True)
class Answer:
    """The answer to an operation. `status` is the HTTP status for clients that read it; `data` is absent when nothing
    was run."""

    status: int
    body: Mapping[str, Any]

    @classmethod
    def refusal(cls, status: int, *errors: Formatted) -> "Answer":
        return cls(status, {"errors": list(errors)})

    @classmethod
    def failed(cls, *errors: Formatted) -> "Answer":
        """A refusal with the status of its errors' codes."""
        return cls.refusal(status_of(errors), *errors)

    @property
    def retry_after(self) -> int | None:
        """Seconds after which to try again, when an error allows it."""
        waits = [error.get("extensions", {}).get("retryAfterSeconds") for error in self.body.get("errors", ())]
        return max((wait for wait in waits if wait is not None), default=None)

    @cached_property
    def text(self) -> bytes:
        """The answer as JSON, made once for all clients that it is sent to."""
        return encode(self.body)

    @property
    def codes(self) -> list[str]:
        if "errors" not in self.body:
            return []
        return sorted({error.get("extensions", {}).get("code", "") for error in self.body["errors"]})


class Refused(Exception):
    """The operation is not run; `answer` says why, and `headers` go with it over HTTP."""

    def __init__(self, answer: Answer, headers: Mapping[str, str] | None = None) -> None:
        self.answer = answer
        self.headers = headers or {}

    @classmethod
    def because(cls, status: int, message: str, code: str) -> "Refused":
        return cls(Answer.refusal(status, {"message": message, "extensions": {"code": code}}))


_GAP = secrets.token_hex(16)


def encode(body: Any) -> bytes:
    """A body as JSON. What is `Rendered` in pieces is copied once."""
    pieces: list[Sequence[str | bytes]] = []

    def later(value: Any) -> str:
        if not isinstance(value, Rendered):
            raise TypeError(f"no JSON for {type(value).__name__}")
        pieces.append(value.pieces)
        return _GAP

    made = orjson.dumps(body, default=later, option=orjson.OPT_PASSTHROUGH_DATACLASS)
    if not pieces:
        return made
    first, *others = made.split(b'"%b"' % _GAP.encode())
    texts = [first]
    for inner, following in zip(pieces, others, strict=True):
        texts += [piece if isinstance(piece, bytes) else piece.encode() for piece in inner]
        texts.append(following)
    return b"".join(texts)
