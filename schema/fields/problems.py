"""How expected failures reach a client: as the `Problem` member of a mutation's result, elsewhere as an error."""

from typing import Any

import strawberry

from resolvers.failures import Code, Failure
from schema.fields.scalars import JSON, enum

ErrorCode = enum(
    Code,
    "What went wrong, for programs. Errors of a response carry it as `extensions.code`.",
    name="ErrorCode",
    UNAUTHENTICATED="No sign-in, or one that has ended.",
    FORBIDDEN="Signed in, but this is not allowed.",
    NOT_FOUND="There is no such thing, or it is hidden from you.",
    INVALID="An input is wrong; `field` names it.",
    CONFLICT="It changed since you read it.",
    STATE="Its state does not allow this.",
    DEPENDENCY="Other things need it; the details name what, and how many.",
    LOCKED="Administrators locked the gateway: reading goes on, nothing may change for now.",
    RATE_LIMITED="Too often; wait.",
    LIMIT_EXCEEDED="The operation is larger than allowed; the details name limit, allowed and value.",
    TIMEOUT="It took longer than allowed.",
    UNAVAILABLE="Something that the gateway needs, such as its database, is away, and nothing was done: try again.",
    UNCONFIRMED="It is done, and can't be shown; or, where `committed` in the details is null, it may be done. Read "
    "before doing it again.",
)


@strawberry.type(description="Why a mutation changed nothing; with UNCONFIRMED, why what it changed can't be shown.")
class Problem:
    code: ErrorCode = strawberry.field(description="For programs.")  # type: ignore[valid-type]
    message: str = strawberry.field(description="For people: what was wrong, and what is allowed.")
    field: str | None = strawberry.field(description="The input that was wrong, as a path such as `input.tasks`.")
    details: JSON | None = strawberry.field(description="What the message says, for programs.")


class ProblemHandler(strawberry.ExceptionHandler[Failure, Problem]):
    def handle(self, exception: Failure, *, field: Any, info: Any) -> Problem:
        return Problem(
            code=exception.code,
            message=exception.message,
            field=exception.field,
            details=JSON(exception.details) if exception.details else None,
        )
