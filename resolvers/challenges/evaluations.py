"""Evaluations: begin one, by the automatic way or on request, and end one."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of, row_topic
from db.models import (
    TERMINAL,
    Challenge,
    Cluster,
    Evaluation,
    Evaluator,
    EvaluatorVersion,
    Executor,
    File,
    FilePurpose,
    FileState,
    Job,
    JobKind,
    Platform,
    Submission,
    SubmissionStatus,
    Task,
)
from db.types import uuid7
from db.written import because
from jobs.programs.metering import SHARE
from resolvers.challenges.statuses import move
from resolvers.failures import WrongState
from resolvers.queue.lifecycle import RERUN, Place, Subject, enqueue, new_job


async def accepted(session: AsyncSession, submission: Submission) -> None:
    """What was submitted is complete and checked: evaluate it, unless it has no evaluator or waits for an organiser."""
    version = await version_of(session, submission)
    if version is None:
        await move(session, submission, SubmissionStatus.NO_EVAL)
    elif not submission.auto_eval:
        await move(session, submission, SubmissionStatus.NO_AUTO_EVAL)
    else:
        await begin(session, submission, version)
        await move(session, submission, SubmissionStatus.ON_QUEUE)


async def version_of(session: AsyncSession, submission: Submission) -> EvaluatorVersion | None:
    """The version that a submission is evaluated with now: the current one of its own evaluator, else of that of the
    challenge."""
    key = submission.evaluator_id
    if key is None:
        key = await session.scalar(sa.select(Challenge.evaluator_id).where(Challenge.id == submission.challenge_id))
    if key is None:
        return None
    wanted = sa.select(EvaluatorVersion).join(Evaluator, Evaluator.current_version_id == EvaluatorVersion.id)
    return (await session.scalars(wanted.where(Evaluator.id == key))).one_or_none()


async def begin(
    session: AsyncSession,
    submission: Submission,
    version: EvaluatorVersion,
    *,
    extra: Sequence[str] = (),
    reevaluation: UUID | None = None,
) -> Evaluation:
    """Begin an evaluation of a submission, locked by the transaction: a job is to do it. STATE while another is under
    way, and for a submission without its file."""
    if await session.scalar(_open(submission.id).with_only_columns(Evaluation.id)) is not None:
        raise WrongState("an evaluation of it is under way", state=submission.status.name)
    file = await input_of(session, submission.id)
    if file is None:
        raise WrongState("the files of this submission are gone", state=submission.status.name)
    highest = sa.select(sa.func.max(Evaluation.number)).where(Evaluation.submission_id == submission.id)
    because(session, "a submission is evaluated by a job", Evaluation, Job, Task)
    evaluation = Evaluation(
        id=uuid7(),
        submission_id=submission.id,
        challenge_id=submission.challenge_id,
        number=(await session.scalar(highest) or 0) + 1,
        evaluator_version_id=version.id,
        reevaluation_id=reevaluation,
        extra_arguments=list(extra),
        digests={"submission": file.digest, "evaluator": version.digest},
    )
    session.add(evaluation)
    await session.flush()
    label = await session.scalar(sa.select(Challenge.label).where(Challenge.id == submission.challenge_id))
    title = f"{label}: {submission.public_id}"[:255]
    subject = Subject(
        JobKind.SUBMISSION_EVALUATION, evaluation.id, submission.user_id, None, title, submission.challenge_id
    )
    job, tasks = new_job(subject, [SHARE], await _place(session, version), await moment_of(session))
    job.priority = 0 if reevaluation is None else RERUN
    await enqueue(session, job, tasks)
    changed(session, row_topic(Evaluation, evaluation.id))
    return evaluation


def _open(submission: UUID) -> Any:
    return sa.select(Evaluation).where(Evaluation.submission_id == submission, Evaluation.ended_at.is_(None))


async def input_of(session: AsyncSession, submission: UUID) -> File | None:
    """The file that was submitted."""
    wanted = sa.select(File).where(
        File.submission_id == submission,
        File.purpose == FilePurpose.SUBMISSION_INPUT,
        File.state == FileState.READY,
        File.deleted_at.is_(None),
    )
    return (await session.scalars(wanted.order_by(File.created_at.desc(), File.id.desc()).limit(1))).one_or_none()


async def _place(session: AsyncSession, version: EvaluatorVersion) -> Place:
    """Where a version runs: at an organiser's, on its cluster, or on the gateway's own machine."""
    if version.executor is Executor.EXTERNAL:
        return Place(Platform.EXTERNAL)
    if version.cluster_id is None:
        return Place()
    cluster = await session.get_one(Cluster, version.cluster_id)
    if cluster.deleted_at is not None or not cluster.enabled:
        raise WrongState(f"the cluster {cluster.name} of the evaluator takes no jobs now", state="NO_CLUSTER")
    return Place(cluster.platform, cluster.id)


async def live_job(session: AsyncSession, submission: UUID) -> UUID | None:
    """The job of the evaluation that is under way, other than one of a re-evaluation."""
    wanted = sa.select(Job.id).join(Evaluation, Evaluation.id == Job.evaluation_id)
    return await session.scalar(
        wanted.where(
            Evaluation.submission_id == submission,
            Evaluation.reevaluation_id.is_(None),
            Evaluation.ended_at.is_(None),
            Job.state.not_in(TERMINAL),
        )
    )


async def job_of(session: AsyncSession, evaluation: UUID) -> UUID | None:
    """The job of an evaluation that has not ended."""
    return await session.scalar(sa.select(Job.id).where(Job.evaluation_id == evaluation, Job.state.not_in(TERMINAL)))


async def end(
    session: AsyncSession, evaluation: Evaluation, *, error: Mapping[str, Any] | None = None, scores: Any = None
) -> None:
    """End an evaluation, locked by the transaction, with its scores or with why it has none."""
    because(session, "an evaluation ends with its job", Evaluation)
    evaluation.ended_at = await moment_of(session)
    evaluation.error, evaluation.scores = None if error is None else dict(error), scores
    await session.flush()
    changed(session, row_topic(Evaluation, evaluation.id))


async def end_open(session: AsyncSession, submission: UUID, reason: Mapping[str, Any]) -> None:
    """End what is under way for a submission, locked by the transaction, but for what a re-evaluation began."""
    for evaluation in await session.scalars(
        _open(submission).where(Evaluation.reevaluation_id.is_(None)).with_for_update()
    ):
        await end(session, evaluation, error=reason)


async def held(session: AsyncSession, key: UUID) -> Submission | None:
    """A submission as it is now, locked."""
    return await session.get(Submission, key, with_for_update={"key_share": True}, populate_existing=True)


async def locked(session: AsyncSession, key: UUID) -> tuple[Submission, Evaluation] | None:
    """An evaluation with its submission, both locked, in the order of locks."""
    of = await session.scalar(sa.select(Evaluation.submission_id).where(Evaluation.id == key))
    if of is None:
        return None
    submission = await held(session, of)
    evaluation = await session.get(Evaluation, key, with_for_update=True, populate_existing=True)
    return None if submission is None or evaluation is None else (submission, evaluation)
