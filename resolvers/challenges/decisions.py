"""What organisers decide about a submission: its status, author, evaluator, and end."""

from uuid import UUID

import sqlalchemy as sa

from db.engine import changed, moment_of, row_topic
from db.models import (
    Evaluator,
    File,
    FilePurpose,
    Submission,
    SubmissionStatus,
)
from db.searching.folding import composed
from db.written import because
from resolvers.access import board_requests
from resolvers.challenges.commands import ORGANISING
from resolvers.challenges.statuses import ACTIVE, BY_HAND, move, reason_of
from resolvers.challenges.submissions import label_of
from resolvers.context import Context
from resolvers.failures import Invalid, WrongState
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.rows import locked, require, seen

_S = SubmissionStatus
REASON = 2_000
"""The most characters of a reason."""


async def set_status(ctx: Context, key: UUID, status: SubmissionStatus, reason: str) -> UUID:
    """Set the status of a submission for which nothing is under way."""
    async with writing(ctx, "SET_STATUS", Submission, key) as session:
        submission = await locked(session, ctx, Submission, key)
        await require(session, ctx, submission, ORGANISING, "set the status of")
        told = reason_given(reason)
        if status not in BY_HAND:
            names = [one.name for one in BY_HAND]
            raise Invalid(f"organisers set {', '.join(names)}", field="status", allowed=names, value=status.name)
        if submission.status in ACTIVE:
            raise WrongState("something is under way; cancel it first", state=submission.status.name)
        if status is _S.COMPLETED and not submission.has_scores:
            raise WrongState("it has no scores", state=submission.status.name)
        free = False if status in (_S.CANCELED, _S.INVALID) else None
        await move(session, submission, status, reason_of("BY_ORGANISER", told), charged=free)
        record(session, ctx, "SET_STATUS", "Submission", key, status=status.name, reason=told)
    return key


async def set_author_label(ctx: Context, key: UUID, label: str | None) -> UUID:
    """What is shown for the author on leaderboards; null: the name of the team or user."""
    async with writing(ctx, "UPDATE", Submission, key) as session:
        submission = await locked(session, ctx, Submission, key)
        await require(session, ctx, submission, ORGANISING, "name the author of")
        submission.author_label = label_of(label, "label")
        await session.flush()
        await board_requests.ask(session, submission.challenge_id, "an author was named")
        record(session, ctx, "SET_AUTHOR", "Submission", key)
    return key


async def set_evaluator(ctx: Context, key: UUID, evaluator: UUID | None) -> UUID:
    """The evaluator of a submission, in place of that of its challenge."""
    async with writing(ctx, "UPDATE", Submission, key) as session:
        if evaluator is not None:
            found = await seen(session, ctx, Evaluator, evaluator, field="evaluator")
        submission = await locked(session, ctx, Submission, key)
        await require(session, ctx, submission, ORGANISING, "name the evaluator of")
        if evaluator is not None and found.challenge_id not in (None, submission.challenge_id):
            raise Invalid("the evaluator is of another challenge", field="evaluator")
        if submission.status in (_S.ON_QUEUE, _S.EVALUATING):
            raise WrongState("an evaluation is under way; cancel it first", state=submission.status.name)
        submission.evaluator_id = evaluator
        await session.flush()
        if submission.status is _S.NO_EVAL and evaluator is not None:
            await move(session, submission, _S.NO_AUTO_EVAL)
        record(session, ctx, "SET_EVALUATOR", "Submission", key)
    return key


async def archive(ctx: Context, key: UUID) -> UUID:
    """Set a submission aside for good: its scores and its file stay, what evaluations wrote beside them goes, and it is
    not evaluated any more."""
    async with writing(ctx, "ARCHIVE", Submission, key) as session:
        submission = await locked(session, ctx, Submission, key)
        await require(session, ctx, submission, ORGANISING, "archive")
        if submission.status in ACTIVE:
            raise WrongState("something is under way; cancel it first", state=submission.status.name)
        moment = await moment_of(session)
        submission.archived_at = submission.archived_at or moment
        written = sa.select(File).where(
            File.submission_id == key, File.purpose == FilePurpose.SUBMISSION_OUTPUT, File.deleted_at.is_(None)
        )
        because(session, "what evaluations wrote goes when a submission is archived", File)
        for file in await session.scalars(written.order_by(File.id).with_for_update()):
            file.expires_at = moment
            changed(session, row_topic(File, file.id))
        await session.flush()
        record(session, ctx, "ARCHIVE", "Submission", key)
    return key


def reason_given(text: str, field: str = "reason") -> str:
    text = composed(text.strip())
    if not 1 <= len(text) <= REASON or not all(c.isprintable() or c in "\n\t" for c in text):
        raise Invalid(f"a reason has 1 to {REASON} characters", field=field)
    return text
