"""How expected failures reach a client: as the `Problem` of a mutation's result, elsewhere as an error."""

from typing import Any

import strawberry

from resolvers.failures import Code, Failure
from schema.fields.scalars import JSON, enum

ErrorCode = enum(
    Code,
    "What went wrong, for programs. An error of a response has it as `extensions.code`.",
    name="ErrorCode",
    UNAUTHENTICATED="No sign-in, or one that has ended: sign in.",
    TOKEN_EXPIRED="The access token has ended: refresh it, and ask again.",  # noqa: S106
    FORBIDDEN="Signed in, but this is not allowed.",
    NOT_FOUND="There is no such row, or you may not see it.",
    INVALID="An input is wrong; `field` names it.",
    CONFLICT="It changed since you read it.",
    STATE="Its state does not allow this.",
    DEPENDENCY="Other rows need it. The details name their types, and how many there are.",
    QUOTA="More than one may have; the details name limit, used, requested, and resetsAt where time gives some back.",
    LOCKED="Administrators locked the gateway: reading goes on, nothing may change for now.",
    RATE_LIMITED="Too many requests of this kind. Wait.",
    LIMIT_EXCEEDED="The operation is larger than allowed; the details name limit, allowed and value.",
    TIMEOUT="It took longer than allowed.",
    UNAVAILABLE="The gateway can't reach something that it needs, such as its database. Nothing was done: try again.",
    CLIENT_TOO_OLD="This version of your program may no longer sign in: get a newer one.",
    UNCONFIRMED="It is done but can't be shown. Where `committed` in the details is null, it may be done. Read "
    "before doing it again.",
)


@strawberry.type(
    description="Why a mutation changed nothing. With the code UNCONFIRMED: why its change can't be shown."
)
class Problem:
    code: ErrorCode = strawberry.field(description="The kind of problem, for programs.")  # type: ignore[valid-type]
    message: str = strawberry.field(description="What was wrong and what is allowed, for people.")
    field: str | None = strawberry.field(
        description="The input that was wrong, as a path such as `input.tasks`; null when it was none."
    )
    details: JSON | None = strawberry.field(description="The facts of the message, for programs.")


def problem_of(failure: Failure) -> Problem:
    """The failure as an answer."""
    return Problem(
        code=failure.code,
        message=failure.message,
        field=failure.field,
        details=JSON(failure.details) if failure.details else None,
    )


class ProblemHandler(strawberry.ExceptionHandler[Failure, Problem]):
    def handle(self, exception: Failure, *, field: Any, info: Any) -> Problem:
        return problem_of(exception)
