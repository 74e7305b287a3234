"""What goes wrong, as exceptions: one base, and a class for each code of the gateway."""

from collections.abc import Iterable, Mapping
from typing import Any

AGAIN = frozenset({"RATE_LIMITED", "TIMEOUT", "UNAVAILABLE"})
"""Codes after which the gateway lets the same request be sent again: nothing was done."""


class ToranaError(Exception):
    """The gateway refused an operation or a part of it, or it could not be asked.

    `code` is for programs, `message` for people. `field` is the input that was wrong, such as `input.tasks`. `path` is
    the place in the answer that has the error. `extensions` has the details that the gateway gives, such as `limit` and
    `used` of a QUOTA. `data` is the part of the answer that is there all the same, None without one. `again` tells
    whether the same request may be sent again: nothing was done, and it may work later.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        field: str | None = None,
        path: Iterable[str | int] | None = None,
        extensions: Mapping[str, Any] | None = None,
        data: dict[str, Any] | None = None,
        again: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.field = field
        self.path = None if path is None else list(path)
        self.extensions = dict(extensions or {})
        self.data = data
        self.again = again

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    @property
    def retry_after(self) -> float | None:
        """The seconds after which the gateway wants to be asked again; None where it names none."""
        seconds = self.extensions.get("retryAfterSeconds")
        return float(seconds) if isinstance(seconds, int | float) else None


class BadRequest(ToranaError):
    """The document, its variables or the request are wrong: a fault of the program that sends them."""


class Unauthenticated(ToranaError):
    """There is no sign-in, or the token or key is no good."""


class TokenExpired(Unauthenticated):
    """The access token has ended: refresh it."""


class Forbidden(ToranaError):
    """This action, or the field that the message names, is not for this principal."""


class NotFound(ToranaError):
    """There is no such row, or it is hidden: the two are not told apart."""


class Invalid(ToranaError):
    """The gateway refuses the value of `field`."""


class Conflict(ToranaError):
    """It changed since it was read: read it again."""


class State(ToranaError):
    """The state of the row does not allow this."""


class Dependency(ToranaError):
    """Other rows need this one; `extensions["blockedBy"]` tells which."""


class Quota(ToranaError):
    """More than one may have; `extensions` has `limit`, `used` and `requested`."""


class Locked(ToranaError):
    """The gateway is locked for maintenance: read on, write later."""


class LimitExceeded(ToranaError):
    """The operation is larger than allowed; `extensions` has `limit`, `allowed` and `value`."""


class RateLimited(ToranaError):
    """Too many requests: wait for `retry_after` seconds."""


class Timeout(ToranaError):
    """It took too long. Nothing was done."""


class Unavailable(ToranaError):
    """The gateway, or something that it needs, is out of reach. Nothing was done."""


class Unconfirmed(ToranaError):
    """A mutation is done and can't be shown. Where `extensions["committed"]` is None, it may be done: read first."""


class ClientTooOld(ToranaError):
    """This version of the program may no longer sign in; `extensions["oldest"]` is the first that may."""


class DocumentNotTrusted(ToranaError):
    """The gateway runs only the documents of its list, and this is none of them."""


class InternalError(ToranaError):
    """A fault of the gateway, recorded there under `extensions["errorId"]`."""


CLASSES: Mapping[str, type[ToranaError]] = {
    "BAD_REQUEST": BadRequest,
    "GRAPHQL_PARSE_FAILED": BadRequest,
    "GRAPHQL_VALIDATION_FAILED": BadRequest,
    "OPERATION_RESOLUTION_FAILURE": BadRequest,
    "BAD_USER_INPUT": BadRequest,
    "PERSISTED_QUERY_NOT_FOUND": BadRequest,
    "DOCUMENT_NOT_TRUSTED": DocumentNotTrusted,
    "UNAUTHENTICATED": Unauthenticated,
    "TOKEN_EXPIRED": TokenExpired,
    "FORBIDDEN": Forbidden,
    "NOT_FOUND": NotFound,
    "INVALID": Invalid,
    "CONFLICT": Conflict,
    "STATE": State,
    "DEPENDENCY": Dependency,
    "QUOTA": Quota,
    "LOCKED": Locked,
    "LIMIT_EXCEEDED": LimitExceeded,
    "RATE_LIMITED": RateLimited,
    "TIMEOUT": Timeout,
    "UNAVAILABLE": Unavailable,
    "UNCONFIRMED": Unconfirmed,
    "CLIENT_TOO_OLD": ClientTooOld,
    "INTERNAL_SERVER_ERROR": InternalError,
}
"""The class of each code. Another code, of a gateway that is newer than this package, is a `ToranaError`."""


def error_of(told: Mapping[str, Any], data: dict[str, Any] | None = None, *, again: bool = False) -> ToranaError:
    """The exception for one of the `errors` of an answer."""
    extensions = dict(told.get("extensions") or {})
    code, field = str(extensions.pop("code", "")), extensions.pop("field", None)
    made, message = CLASSES.get(code, ToranaError), str(told.get("message", ""))
    return made(message, code=code, field=field, path=told.get("path"), extensions=extensions, data=data, again=again)


def problem_of(name: str, value: Mapping[str, Any], data: dict[str, Any], *, again: bool) -> ToranaError:
    """The exception for a `Problem`, which the field `name` of a mutation answered with."""
    code = str(value.get("code", ""))
    message = str(value.get("message") or "the answer is a Problem, of which the document selects no message")
    details, field = value.get("details"), value.get("field")
    extensions = details if isinstance(details, Mapping) else None
    made = CLASSES.get(code, ToranaError)
    return made(message, code=code, field=field, path=[name], extensions=extensions, data=data, again=again)
