"""The failures that clients are told about. Each has a code that a program can act on."""

from enum import Enum
from typing import Any


class Code(Enum):
    UNAUTHENTICATED = "UNAUTHENTICATED"
    TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    INVALID = "INVALID"
    CONFLICT = "CONFLICT"
    STATE = "STATE"
    DEPENDENCY = "DEPENDENCY"
    QUOTA = "QUOTA"
    LOCKED = "LOCKED"
    RATE_LIMITED = "RATE_LIMITED"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    TIMEOUT = "TIMEOUT"
    UNAVAILABLE = "UNAVAILABLE"
    UNCONFIRMED = "UNCONFIRMED"
    CLIENT_TOO_OLD = "CLIENT_TOO_OLD"


CONTENDED = "others were changing the same at this moment, and nothing was done; read it again, and try again"
BIGGEST = 2**53 - 1
"""The largest integer that every reader of JSON takes for the same number."""
ERRORS = 1_000
"""The most errors of one answer."""
RETRY_AFTER = 2
"""Seconds after which to try again what may pass by itself."""


class Failure(Exception):
    """A failure whose message, code and details reach the client; every other exception is masked.

    `field` is the path of the input that was wrong, in the client's spelling; `details` holds what the message says,
    for programs.
    """

    code: Code

    def __init__(self, message: str, *, field: str | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.details = details

    @property
    def extensions(self) -> dict[str, Any]:
        details = {name: min(told, BIGGEST) if type(told) is int else told for name, told in self.details.items()}
        found: dict[str, Any] = {"code": self.code.name, **details}
        return {**found, "field": self.field} if self.field else found


class Unauthenticated(Failure):
    code = Code.UNAUTHENTICATED


class TokenExpired(Unauthenticated):
    """An access token that expired: its owner refreshes it, and need not sign in again."""

    code = Code.TOKEN_EXPIRED


class Forbidden(Failure):
    code = Code.FORBIDDEN


class NotFound(Failure):
    """The row does not exist or is hidden: clients must not be able to tell the two apart."""

    code = Code.NOT_FOUND


class Invalid(Failure):
    code = Code.INVALID


class Conflict(Failure):
    """The row changed since the client read it."""

    code = Code.CONFLICT


class WrongState(Failure):
    code = Code.STATE


class Dependency(Failure):
    """Other rows block this; `blockedBy` has their types and how many of each."""

    code = Code.DEPENDENCY


class Quota(Failure):
    """More was asked for than one may have: `limit`, `used`, `requested`, and `resetsAt` where time gives some back."""

    code = Code.QUOTA


class Locked(Failure):
    """The gateway is locked for maintenance: nothing may change."""

    code = Code.LOCKED


class RateLimited(Failure):
    code = Code.RATE_LIMITED


class LimitExceeded(Failure):
    code = Code.LIMIT_EXCEEDED


def check_limit(told: str, value: int, allowed: int, *, limit: str, field: str | None = None) -> None:
    """Raise LimitExceeded, with these words, for more than is allowed."""
    if value > allowed:
        raise LimitExceeded(told, field=field, limit=limit, allowed=allowed, value=value)


class ClientTooOld(Failure):
    """The client program is too old to sign in; `oldest` is the first version that may."""

    code = Code.CLIENT_TOO_OLD


class TooLarge(LimitExceeded):
    """The whole answer is larger than is allowed: no part of it is sent."""


def check_errors(number: int) -> None:
    """Raise TooLarge for more errors than one answer has."""
    if number > ERRORS:
        told = f"an answer has at most {ERRORS} errors; leave out the fields that may not be read"
        raise TooLarge(told, limit="errors", allowed=ERRORS, value=number)


class TimedOut(Failure):
    code = Code.TIMEOUT

    def __init__(self, message: str) -> None:
        super().__init__(message, retryAfterSeconds=RETRY_AFTER)


class Away(Failure):
    """Something that the request needs, such as the database, is out of reach; nothing was done."""

    code = Code.UNAVAILABLE

    def __init__(self, message: str, *, field: str | None = None, seconds: int = RETRY_AFTER) -> None:
        super().__init__(message, field=field, retryAfterSeconds=seconds)


class NotShown(Failure):
    """The write was committed and its result can't be shown; with null for `committed` it may have been. It must not
    simply be repeated."""

    code = Code.UNCONFIRMED

    def __init__(self, message: str, *, committed: bool | None = True) -> None:
        super().__init__(message, committed=committed)
