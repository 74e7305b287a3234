"""Errors as clients see them. Failures keep their message and code, errors of the document get a code, and all others
are masked and logged."""

import re
import sqlite3
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]
import sqlalchemy as sa
import structlog
from graphql import GraphQLError, ValueNode

from db.outages import Contended, Unconfirmed, passing
from db.storage.storage import StorageAway, StorageFull
from resolvers.failures import CONTENDED, Away, Code, Conflict, Failure, Invalid, NotShown, TimedOut
from resolvers.files.quotas import full

log = structlog.get_logger("torana")

PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
OPERATION_UNKNOWN = "OPERATION_RESOLUTION_FAILURE"
BAD_VARIABLES = "BAD_USER_INPUT"
BAD_REQUEST = "BAD_REQUEST"
INTERNAL = "INTERNAL_SERVER_ERROR"
PERSISTED_QUERY_NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"
DOCUMENT_NOT_TRUSTED = "DOCUMENT_NOT_TRUSTED"

STOPPED, DATA_EXCEPTION = ("57014", "55P03"), "22"
"""PostgreSQL's error codes, appendix A of its manual."""

AGAIN = frozenset({Code.TIMEOUT, Code.UNAVAILABLE, Code.RATE_LIMITED})
"""Codes of errors after which the same request may be tried again."""

STATUS = {
    BAD_REQUEST: 400,
    PARSE_FAILED: 400,
    VALIDATION_FAILED: 422,
    OPERATION_UNKNOWN: 422,
    BAD_VARIABLES: 422,
    Code.LIMIT_EXCEEDED.name: 422,
    Code.TOKEN_EXPIRED.name: 401,
    Code.UNAUTHENTICATED.name: 401,
    DOCUMENT_NOT_TRUSTED: 403,
    Code.CLIENT_TOO_OLD.name: 426,
    Code.RATE_LIMITED.name: 429,
    Code.TIMEOUT.name: 503,
    Code.UNAVAILABLE.name: 503,
    INTERNAL: 500,
}
"""The HTTP status of an answer that has an error of this code and no data, as application/graphql-response+json; 200
for all other codes. A BAD_REQUEST for which HTTP has a status of its own, such as 413, has that one."""

Formatted = dict[str, Any]

_FOUND = re.compile(r"(?:, found|(cannot represent .*?value)): .*$", re.DOTALL)


def status_of(errors: Iterable[Formatted]) -> int:
    """The status of an answer without data: that of the gravest error; 200 when something may have been done."""
    codes = [error["extensions"]["code"] for error in errors]
    return 200 if Code.UNCONFIRMED.name in codes else max((STATUS.get(code, 200) for code in codes), default=200)


def coded(error: GraphQLError, code: str) -> Formatted:
    """An error of the document or of its variables."""
    return {**error.formatted, "extensions": {"code": code}}


def of_variable(error: GraphQLError) -> Formatted:
    """An error of a variable, without the value that was found: it may be a password."""
    told = coded(error, BAD_VARIABLES)
    return {**told, "message": _FOUND.sub(lambda found: f"{found[1] or ''}.", told["message"])}


def refused(failure: Failure) -> Formatted:
    """A failure without a place in the document."""
    return {"message": failure.message, "extensions": failure.extensions}


def masked(error: GraphQLError, *, written: bool = False) -> Formatted:
    """An error of a field. A failure keeps its message and code; anything else becomes an id, under which it is logged.
    When something was `written`, no error says that the request may be tried again."""
    cause = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    formatted: Formatted = dict(error.formatted)
    failure = cause if isinstance(cause, Failure) else of_outage(cause)
    if failure is not None:
        if written and failure.code in AGAIN:
            failure = NotShown(f"the write is done; this part of its answer can't be shown: {failure.message}")
        return {**formatted, **refused(failure)}
    if (cause is None and error.path is None) or _of_argument(cause):
        return {**formatted, "extensions": {"code": BAD_VARIABLES}}
    return {**formatted, **internal(cause or error)}


def _of_argument(cause: BaseException | None) -> bool:
    """Whether an argument could not be read: for example, a variable is null where the argument's default should
    stand."""
    return isinstance(cause, GraphQLError) and any(isinstance(node, ValueNode) for node in cause.nodes or ())


def internal(cause: BaseException) -> Formatted:
    """An error that tells a client no more than that a fault of ours happened."""
    number = uuid4().hex
    log.error("internal_error", error_id=number, exc_info=cause)
    message = "something went wrong here; it was recorded under the id in extensions"
    return {"message": message, "extensions": {"code": INTERNAL, "errorId": number}}


def of_outage(cause: BaseException | None) -> Failure | None:
    """The error for an exception of the database or of the storage of files, when it is no fault of ours."""
    if cause is None:
        return None
    if isinstance(cause, StorageFull):
        return full()
    if isinstance(cause, StorageAway):
        return Away("the storage of files is away; try again")
    if isinstance(cause, sa.exc.TimeoutError):
        return TimedOut("the gateway is busy: no database connection became free in time")
    if isinstance(cause, sa.exc.DBAPIError | asyncpg.PostgresError | asyncpg.InterfaceError | sqlite3.Error):
        raised = getattr(cause, "orig", None) or cause
        origin = raised.__cause__ or raised
        state = str(getattr(origin, "sqlstate", None) or "")
        if state in STOPPED or "interrupted" in str(raised):
            return TimedOut("reading took longer than allowed")
        if state.startswith(DATA_EXCEPTION) or "DataError" in (type(raised).__name__, type(origin).__name__):
            return Invalid("a value is outside of what can be stored")
    if isinstance(cause, UnicodeEncodeError | OverflowError):
        return Invalid("a value is outside of what can be stored")
    if not isinstance(cause, Contended | ConnectionError | sa.exc.DBAPIError):
        return None
    known = passing(cause)
    if isinstance(known, Unconfirmed):
        return NotShown("the database went away as this was being stored: it may be done; read first", committed=None)
    if isinstance(known, Contended):
        return Conflict(CONTENDED)
    return None if known is None else Away("the database is away; try again")
