"""Bring submissions in line with the jobs that evaluate them, end those that waited for too long, and let the scores of
a re-evaluation count once all of it has ended. Any number of processes may; each submission is locked."""

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of, row_topic
from db.models import (
    Evaluation,
    Job,
    JobState,
    LogEntry,
    Phase,
    Reevaluation,
    ReevaluationState,
    Submission,
    SubmissionStatus,
    Upload,
    UploadState,
)
from db.types import now
from db.written import because
from jobs.programs.readers.scores import FILE as SCORES_FILE
from resolvers.access import board_requests
from resolvers.challenges import evaluations
from resolvers.challenges.commands import cancelled
from resolvers.challenges.statuses import OVERDUE, move, reason_of
from resolvers.context import Services
from resolvers.queue.cancelling import end_job
from resolvers.steps import guarded

log = structlog.get_logger("torana.challenges")

MOST = 200
"""The most submissions that are looked at in one pass."""
TAIL = 500
"""The most characters of the last line of an evaluator that stand in a reason."""
OURS = frozenset({
    "TASK_LOST", "SUBMIT_FAILED", "CLUSTER_ENDED", "MERGE_FAILED", "NO_SANDBOX", "REFERENCE", "SCORES", "LOST",
    "STOPPED", "IMAGE", "PACKAGE", "EVALUATOR", "QUEUE_TIMEOUT", "EVALUATION_TIMEOUT", "NO_RESULT",
})  # fmt: skip
"""The codes of failures for which the submitter can do nothing: the submission is given back to the quota."""
_CODE = re.compile(r"([A-Z][A-Z_]{2,31}): (.*)", re.DOTALL)


async def settle(services: Services) -> None:
    """One pass."""
    for part in (_follow, _overdue, _reevaluated):
        await _each(services, part)


async def _each(services: Services, part: Callable[[Services], Awaitable[None]]) -> None:
    """Run one part; when it fails, the others run all the same."""
    await guarded(partial(part, services), f"challenges: {part.__name__}", away=1.0, failed=0.5)


async def _follow(services: Services) -> None:
    """Evaluations whose job has another state than their submission shows."""
    wanted = (
        sa.select(Evaluation.id, Job.state)
        .join(Job, Job.evaluation_id == Evaluation.id)
        .join(Submission, Submission.id == Evaluation.submission_id)
        .where(
            Evaluation.ended_at.is_(None),
            sa.or_(
                Job.state.in_((JobState.FAILED, JobState.CANCELED)),
                sa.and_(
                    Job.state == JobState.RUNNING,
                    Evaluation.reevaluation_id.is_(None),
                    Submission.status == SubmissionStatus.ON_QUEUE,
                ),
            ),
        )
        .order_by(Evaluation.id)
        .limit(MOST)
    )
    for row in await services.database.rows(wanted):
        async with services.database.write(as_system="submissions follow their jobs") as session:
            await _agree(session, row.id)


async def _agree(session: AsyncSession, key: UUID) -> None:
    job = (
        await session.scalars(sa.select(Job).where(Job.evaluation_id == key).order_by(Job.attempt.desc()).limit(1))
    ).one()
    held = await evaluations.locked(session, key)
    if held is None or held[1].ended_at is not None:
        return
    submission, evaluation = held
    state = await session.scalar(sa.select(Job.state).where(Job.id == job.id))
    again = evaluation.reevaluation_id is not None
    if state is JobState.RUNNING:
        if not again and submission.status is SubmissionStatus.ON_QUEUE:
            await move(session, submission, SubmissionStatus.EVALUATING)
    elif state is JobState.FAILED:
        error = _error(job.error)
        await evaluations.end(session, evaluation, error=error)
        if not again:
            reason = await _reason(session, submission, job, error)
            await _failed(session, submission, reason, ours=error["code"] in OURS)
    elif state is JobState.CANCELED:
        error = _error(job.error) if job.error else reason_of("CANCELED", "its job was cancelled")
        if again:
            await evaluations.end(session, evaluation, error=error)
        else:
            await cancelled(session, submission, error)


def _error(given: Any) -> dict[str, Any]:
    """The code and the sentence of a job's error. Evaluations that fail name a code of their own."""
    found = given or {"code": "NO_RESULT", "message": "no reason was given"}
    if found.get("message", "").startswith(f"{SCORES_FILE}: "):
        return reason_of("SCORES", found["message"])
    match = _CODE.fullmatch(found.get("message", ""))
    return reason_of(match[1], match[2]) if match else reason_of(found["code"], found.get("message", ""))


async def _reason(session: AsyncSession, submission: Submission, job: Job, error: dict[str, Any]) -> dict[str, Any]:
    """Why it failed, with the last words of the evaluator where the phase shows its log."""
    shows = await session.scalar(sa.select(Phase.shows_log).where(Phase.id == submission.phase_id))
    if not shows or error["code"] != "PROGRAM_FAILED":
        return error
    said = sa.select(LogEntry.text).where(LogEntry.job_id == job.id, LogEntry.file == "stderr")
    lines = list(await session.scalars(said.order_by(LogEntry.sequence.desc()).limit(2)))
    tail = next((line.strip() for line in lines if line.strip() and line.strip() not in error["message"]), "")
    return {**error, "message": f"{error['message']}: {tail[:TAIL]}"} if tail else error


async def _overdue(services: Services) -> None:
    """Submissions that waited for too long."""
    wanted = sa.select(Submission.id).where(Submission.status_ends_at <= now(), Submission.deleted_at.is_(None))
    for row in await services.database.rows(wanted.order_by(Submission.id).limit(MOST)):
        async with services.database.write(as_system="submissions that waited for too long are ended") as session:
            if (job := await evaluations.live_job(session, row.id)) is not None:
                await end_job(session, job, asked=False)
            submission = await evaluations.held(session, row.id)
            if submission is not None:
                await _end(session, submission)


async def _end(session: AsyncSession, submission: Submission) -> None:
    moment = await moment_of(session)
    if submission.status_ends_at is None or submission.status_ends_at > moment or submission.status not in OVERDUE:
        return
    if submission.status is SubmissionStatus.UPLOADING:
        coming = sa.select(sa.func.max(Upload.expires_at)).where(
            Upload.submission_id == submission.id,
            Upload.state.in_((UploadState.OPEN, UploadState.ASSEMBLING)),
            Upload.expires_at > moment,
        )
        if (until := await session.scalar(coming)) is not None:
            because(session, "an upload goes on", Submission)
            submission.status_ends_at = until
            return
    status, code, message = OVERDUE[submission.status]
    reason = reason_of(code, message)
    await evaluations.end_open(session, submission.id, reason)
    log.info("challenges.overdue", submission=submission.public_id, status=submission.status.name)
    if status is SubmissionStatus.FAILED:
        await _failed(session, submission, reason, ours=True)
    else:
        await move(session, submission, status, reason, charged=False)


async def _failed(session: AsyncSession, submission: Submission, reason: dict[str, Any], *, ours: bool) -> None:
    """An evaluation failed. One that has scores of an earlier evaluation keeps them, and stays in the quota; else what
    was our fault is given back."""
    if submission.has_scores:
        await move(session, submission, SubmissionStatus.COMPLETED, reason)
    else:
        await move(session, submission, SubmissionStatus.FAILED, reason, charged=False if ours else None)


async def _reevaluated(services: Services) -> None:
    """Re-evaluations of which nothing is under way any more."""
    waiting = sa.exists().where(Evaluation.reevaluation_id == Reevaluation.id, Evaluation.ended_at.is_(None))
    wanted = sa.select(Reevaluation.id).where(Reevaluation.state == ReevaluationState.RUNNING, ~waiting)
    for row in await services.database.rows(wanted.limit(MOST)):
        async with services.database.write(as_system="a re-evaluation ends") as session:
            await _switch(session, row.id)


async def _switch(session: AsyncSession, key: UUID) -> None:
    """Let all scores of a re-evaluation count at once; what failed keeps the scores that it has."""
    of = sa.select(Evaluation).where(Evaluation.reevaluation_id == key)
    submissions = sa.select(Submission).where(Submission.id.in_(of.with_only_columns(Evaluation.submission_id)))
    held = await session.scalars(submissions.order_by(Submission.id).with_for_update(key_share=True))
    rows = {submission.id: submission for submission in held}
    reevaluation = await session.get(Reevaluation, key, with_for_update=True, populate_existing=True)
    if reevaluation is None or reevaluation.state is not ReevaluationState.RUNNING:
        return
    found = (await session.scalars(of.order_by(Evaluation.id))).all()
    if any(one.ended_at is None for one in found):
        return
    because(session, "a re-evaluation ends with its last evaluation", Reevaluation, Submission)
    failed = 0
    for evaluation in found:
        submission = rows.get(evaluation.submission_id)
        if evaluation.scores is None:
            failed += 1
        elif submission is not None and submission.evaluation_id is not None:
            submission.evaluation_id, submission.has_scores = evaluation.id, True
    reevaluation.state, reevaluation.failed = ReevaluationState.DONE, failed
    reevaluation.ended_at = await moment_of(session)
    await session.flush()
    changed(session, row_topic(Reevaluation, key))
    await board_requests.ask(session, reevaluation.challenge_id, "a phase was evaluated again")
