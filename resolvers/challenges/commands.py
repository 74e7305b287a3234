"""What submitters and organisers do with a submission: evaluate, cancel, withdraw, choose and delete it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import (
    Challenge,
    Phase,
    Submission,
    SubmissionStatus,
)
from db.written import because
from resolvers.access import board_requests
from resolvers.access.challenge_rules import ORGANISER, SUBMITTER
from resolvers.access.rules import SUPERADMIN
from resolvers.challenges import evaluations, openness
from resolvers.challenges.evaluators import check_arguments
from resolvers.challenges.statuses import ACTIVE, AGAIN, EVALUATED, move, reason_of
from resolvers.context import Context
from resolvers.failures import Forbidden, WrongState
from resolvers.queue.cancelling import end_job
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.rows import holds, locked, require, seen

_S = SubmissionStatus
ORGANISING = (ORGANISER, SUPERADMIN)
SUBMITTING = (SUBMITTER, ORGANISER, SUPERADMIN)


async def evaluate(ctx: Context, key: UUID, extra: Sequence[str] = ()) -> UUID:
    """Evaluate a submission, again or for the first time: by an organiser, or by its submitter where the phase allows
    it."""
    async with writing(ctx, "EVALUATE", Submission, key) as session:
        submission = await locked(session, ctx, Submission, key)
        organises = await holds(session, ctx, submission, ORGANISING)
        phase = await session.get_one(Phase, submission.phase_id)
        allowed = SUBMITTING if phase.self_evaluation else ORGANISING
        await require(session, ctx, submission, allowed, "evaluate")
        if extra and not organises:
            raise Forbidden("only organisers give further arguments", field="extraArguments")
        check_arguments(extra, "extraArguments")
        if submission.archived_at is not None:
            raise WrongState("it is archived", state="ARCHIVED")
        if submission.status not in AGAIN:
            told = f"a submission that is {submission.status.name} is not evaluated"
            raise WrongState(told, state=submission.status.name)
        if not organises:
            challenge = await session.get_one(Challenge, submission.challenge_id)
            await openness.expect_open(session, challenge, phase)
        version = await evaluations.version_of(session, submission)
        if version is None:
            raise WrongState("it has no evaluator; an organiser names one", state=_S.NO_EVAL.name)
        await evaluations.begin(session, submission, version, extra=extra)
        await move(session, submission, _S.ON_QUEUE)
        record(session, ctx, "EVALUATE", "Submission", key, arguments=list(extra))
    return key


async def cancel(ctx: Context, key: UUID) -> UUID:
    """Cancel what is under way. One that has scores keeps them. It is given back to the quota, unless its submitter has
    it evaluated already and may have read the log."""
    async with writing(ctx, "CANCEL", Submission, key) as session:
        submission = await seen(session, ctx, Submission, key)
        await require(session, ctx, submission, SUBMITTING, "cancel")
        job = await evaluations.live_job(session, key)
        if job is not None:
            await end_job(session, job, asked=True)
        submission = await locked(session, ctx, Submission, key)
        await require(session, ctx, submission, SUBMITTING, "cancel")
        waiting = (*ACTIVE, _S.NO_EVAL, _S.NO_AUTO_EVAL)
        if submission.status not in waiting:
            raise WrongState(f"a submission that is {submission.status.name} can't be cancelled",
                             state=submission.status.name)  # fmt: skip
        began = submission.status is _S.EVALUATING and not await holds(session, ctx, submission, ORGANISING)
        await cancelled(session, submission, reason_of("CANCELED", "it was cancelled"), free=not began)
        record(session, ctx, "CANCEL", "Submission", key)
    return key


async def cancelled(
    session: AsyncSession, submission: Submission, reason: dict[str, Any], *, free: bool = True
) -> None:
    """End the evaluation that is under way, and move the submission on."""
    await evaluations.end_open(session, submission.id, reason)
    back = submission.has_scores and submission.status in EVALUATED
    status = _S.COMPLETED if back else _S.CANCELED
    await move(session, submission, status, reason, charged=None if back or not free else False)


async def withdraw(ctx: Context, key: UUID) -> UUID:
    """Withdraw one's own submission, while it is not completed. What was evaluated of it stays charged."""
    async with writing(ctx, "WITHDRAW", Submission, key) as session:
        submission = await seen(session, ctx, Submission, key)
        await require(session, ctx, submission, (SUBMITTER,), "withdraw")
        if (job := await evaluations.live_job(session, key)) is not None:
            await end_job(session, job, asked=True)
        submission = await locked(session, ctx, Submission, key)
        await require(session, ctx, submission, (SUBMITTER,), "withdraw")
        if submission.has_scores:
            raise WrongState(
                "a submission with scores is not withdrawn; ask an organiser", state=submission.status.name
            )
        reason = reason_of("WITHDRAWN", "its submitter withdrew it")
        await evaluations.end_open(session, key, reason)
        begun = submission.status in (_S.EVALUATING, _S.FAILED)
        await move(session, submission, _S.WITHDRAWN, reason, charged=submission.charged and begun)
        record(session, ctx, "WITHDRAW", "Submission", key)
    return key


async def choose(ctx: Context, key: UUID) -> UUID:
    """Let this run count on leaderboards that show the one which its submitter chose."""
    async with writing(ctx, "UPDATE", Submission, key) as session:
        submission = await locked(session, ctx, Submission, key)
        await require(session, ctx, submission, (SUBMITTER,), "choose")
        if submission.status is not _S.COMPLETED:
            raise WrongState("only a completed submission is chosen", state=submission.status.name)
        because(session, "of the runs of a submitter one is chosen", Submission)
        whose = (
            Submission.team_id == submission.team_id
            if submission.team_id is not None
            else sa.and_(Submission.user_id == submission.user_id, Submission.team_id.is_(None))
        )
        others = (Submission.phase_id == submission.phase_id, whose, Submission.chosen, Submission.id != key)
        for other in await session.scalars(
            sa.select(Submission).where(*others).order_by(Submission.id).with_for_update()
        ):
            other.chosen = False
        submission.chosen = True
        await session.flush()
        await board_requests.ask(session, submission.challenge_id, "a run was chosen")
        record(session, ctx, "CHOOSE", "Submission", key)
    return key
