"""The statuses of a submission. Every change of one goes through `move`."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of, row_topic
from db.models import Submission, SubmissionStatus
from db.types import instant_text
from db.written import because
from resolvers.access import board_requests
from resolvers.failures import WrongState
from resolvers.feed import submission_topic

_S = SubmissionStatus
ACTIVE = (_S.UPLOADING, _S.UPLOADED, _S.VALIDATING, _S.ON_QUEUE, _S.EVALUATING)
"""Something is being done for it: it counts among those of a submitter that are under way."""
EVALUATED = (_S.COMPLETED, _S.ON_QUEUE, _S.EVALUATING)
"""With scores it is on leaderboards: also while it is evaluated once more."""
AGAIN = (_S.NO_EVAL, _S.NO_AUTO_EVAL, _S.COMPLETED, _S.FAILED, _S.CANCELED)
"""It may be evaluated, or evaluated again."""
_END = frozenset({_S.INVALID, _S.CANCELED, _S.WITHDRAWN})
_WAITING = frozenset({_S.ON_QUEUE, _S.EXCLUDED, *_END})
MOVES: Mapping[SubmissionStatus, frozenset[SubmissionStatus]] = {
    _S.UPLOADING: frozenset({_S.UPLOADED, *_END}),
    _S.UPLOADED: frozenset({_S.VALIDATING, *_END}),
    _S.VALIDATING: frozenset({_S.UPLOADING, _S.NO_EVAL, _S.NO_AUTO_EVAL, _S.ON_QUEUE, *_END}),
    _S.NO_EVAL: frozenset({_S.NO_AUTO_EVAL, *_WAITING}),
    _S.NO_AUTO_EVAL: frozenset({_S.NO_EVAL, *_WAITING}),
    _S.ON_QUEUE: frozenset({_S.EVALUATING, _S.COMPLETED, _S.FAILED, *_END}),
    _S.EVALUATING: frozenset({_S.ON_QUEUE, _S.COMPLETED, _S.FAILED, *_END}),
    _S.COMPLETED: frozenset({_S.ON_QUEUE, _S.EXCLUDED, _S.INVALID}),
    _S.FAILED: frozenset({_S.COMPLETED, *_WAITING}),
    _S.CANCELED: frozenset({_S.COMPLETED, _S.ON_QUEUE, _S.INVALID}),
    _S.EXCLUDED: frozenset({_S.COMPLETED, _S.INVALID}),
    _S.INVALID: frozenset({_S.NO_AUTO_EVAL}),
    _S.WITHDRAWN: frozenset(),
}
"""The statuses that may follow each."""
BY_HAND = (_S.INVALID, _S.CANCELED, _S.NO_AUTO_EVAL, _S.EXCLUDED, _S.COMPLETED)
"""What organisers may set. COMPLETED needs scores."""
HOUR, DAY = 3_600.0, 86_400.0
LASTS: Mapping[SubmissionStatus, float] = {
    _S.UPLOADING: DAY,
    _S.UPLOADED: 6 * HOUR,
    _S.VALIDATING: 6 * HOUR,
    _S.ON_QUEUE: 14 * DAY,
    _S.EVALUATING: 7 * DAY,
    _S.NO_EVAL: 180 * DAY,
    _S.NO_AUTO_EVAL: 180 * DAY,
}
"""Seconds for which a submission may wait in a status; then it is ended, with a reason."""
OVERDUE: Mapping[SubmissionStatus, tuple[SubmissionStatus, str, str]] = {
    _S.UPLOADING: (_S.INVALID, "UPLOAD_EXPIRED", "its upload was not completed in time"),
    _S.UPLOADED: (_S.INVALID, "CHECK_FAILED", "its files could not be checked in time; submit it again"),
    _S.VALIDATING: (_S.INVALID, "CHECK_FAILED", "its files could not be checked in time; submit it again"),
    _S.ON_QUEUE: (_S.FAILED, "QUEUE_TIMEOUT", "no evaluator took it in time"),
    _S.EVALUATING: (_S.FAILED, "EVALUATION_TIMEOUT", "its evaluation did not end in time"),
    _S.NO_EVAL: (_S.CANCELED, "NOT_EVALUATED", "it was not evaluated in time"),
    _S.NO_AUTO_EVAL: (_S.CANCELED, "NOT_EVALUATED", "it was not evaluated in time"),
}
"""What becomes of a submission whose time in a status is over: the next status, and why."""


def reason_of(code: str, message: str) -> dict[str, Any]:
    return {"code": code, "message": message}


async def move(
    session: AsyncSession,
    submission: Submission,
    status: SubmissionStatus,
    reason: Mapping[str, Any] | None = None,
    *,
    charged: bool | None = None,
    lasts: float | None = None,
) -> None:
    """Bring a submission, locked by the transaction, into a status; the same again changes nothing. STATE for one that
    may not follow. With `charged` false it no longer counts in the quota. It may wait there for `lasts` seconds, or as
    long as that status usually does."""
    if submission.status is status:
        return
    if status not in MOVES[submission.status]:
        told = f"a submission that is {submission.status.name} does not become {status.name}"
        raise WrongState(told, state=submission.status.name)
    because(session, "a submission moves on", Submission)
    before, moment = submission.status, await moment_of(session)
    submission.status, submission.status_changed_at = status, moment
    seconds = lasts if lasts is not None else LASTS.get(status)
    submission.status_ends_at = None if seconds is None else moment + timedelta(seconds=seconds)
    submission.reason = None if reason is None else dict(reason)
    told_reason = {} if reason is None else {"reason": dict(reason)}
    submission.history = [*submission.history, {"status": status.name, "at": instant_text(moment), **told_reason}]
    if charged is not None:
        submission.charged = charged
    await session.flush()
    changed(session, submission_topic(submission.id), row_topic(Submission, submission.id))
    if submission.has_scores and (before in EVALUATED) != (status in EVALUATED):
        await board_requests.ask(session, submission.challenge_id, f"a submission became {status.name}")
