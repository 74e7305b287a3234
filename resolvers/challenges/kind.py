"""Evaluations as a kind of jobs: the task gets the submission, the evaluator's program and its reference data, and
delivers scores, with files that the program wrote beside them."""

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, row_topic
from db.models import (
    Evaluation,
    EvaluatorFile,
    EvaluatorFileRole,
    EvaluatorVersion,
    File,
    FilePurpose,
    FileState,
    Job,
    JobKind,
    Submission,
    SubmissionStatus,
    Task,
    TaskResult,
    Upload,
)
from db.written import because
from jobs.programs import evaluation as program
from jobs.results.estimators import ResultError
from jobs.scores.values import DEPTH, finite
from resolvers.access import board_requests, json_schemas
from resolvers.accounts.tickets import TICKET, address_of
from resolvers.challenges import audiences, evaluations
from resolvers.challenges.statuses import move
from resolvers.context import Services
from resolvers.failures import NotFound, WrongState
from resolvers.identity.principal import Kind as Who
from resolvers.queue.kinds import Accepted, Fetched, Finished, Inputs, Kind
from resolvers.queue.lifecycle import Subject
from resolvers.spelling import global_id, safe

LASTS = timedelta(days=2)
"""How long a task may take to fetch what it needs."""
SCORES = 1_000_000
"""The most bytes of scores."""


async def _inputs(services: Services, job: Job, task: Task) -> Inputs:
    """The description of the evaluation, and the addresses of its files: tickets for them alone."""
    async with services.database.write(as_system="an evaluation begins") as session:
        evaluation = await session.get_one(Evaluation, job.evaluation_id)
        version = await session.get_one(EvaluatorVersion, evaluation.evaluator_version_id)
        submitted = await evaluations.input_of(session, evaluation.submission_id)
        wanted = sa.select(EvaluatorFile.role, File).join(File, File.id == EvaluatorFile.file_id)
        held = (await session.execute(wanted.where(EvaluatorFile.evaluator_version_id == version.id))).all()
    if submitted is None:
        raise NotFound("the files of this submission are gone")
    if any(file.state is not FileState.READY or file.deleted_at is not None for _, file in held):
        raise NotFound("files of the evaluator are gone")
    found: dict[EvaluatorFileRole, list[File]] = {role: [] for role in EvaluatorFileRole}
    for role, file in sorted(held, key=lambda one: (one[1].name, one[1].id)):
        found[role].append(file)
    fetched: list[Fetched] = []

    def fetch(file: File) -> dict[str, str]:
        name = f"{len(fetched)}{''.join(PurePosixPath(file.name).suffixes[-2:])[-16:]}"
        name = name if program.PLAIN.fullmatch(name) else str(len(fetched))
        address = f"/files/{global_id('File', file.id)}/{safe(file.name)}"
        ticket = services.identity.keys.fetch_ticket(
            Who.CHALLENGE_WORKER, evaluation.challenge_id, None, address_of(address, ()), LASTS
        )
        fetched.append(Fetched(name, f"{address}?{TICKET}={ticket}", file.digest))
        return {"file": name, "name": file.name}

    described = {
        "executor": version.executor.value,
        "program": version.program,
        "executorArguments": version.executor_arguments,
        "arguments": [*version.arguments, *evaluation.extra_arguments],
        "entryPoint": version.entry_point,
        "bounds": version.bounds,
        "submission": fetch(submitted),
        "files": {role.value: [fetch(file) for file in files] for role, files in found.items()},
    }
    return Inputs(program.PROGRAM, {program.DESCRIPTION: json.dumps(described)}, fetched)


async def _subject(session: AsyncSession, job: Job) -> Subject:
    raise WrongState("evaluate the submission again with evaluateSubmission", state=job.state.name)


async def _accept(_: Services, session: AsyncSession, job: Job, task: Task, uploads: Sequence[Upload]) -> None:
    """Files beside the scores belong to the submission. They are nobody's own: who sees them is asked of the phase."""
    because(session, "what a job made belongs to its subject", File)
    of = await session.scalar(sa.select(Evaluation.submission_id).where(Evaluation.id == job.evaluation_id))
    for upload in uploads:
        file = await session.get_one(File, upload.file_id, with_for_update=True)
        file.submission_id, file.task_id, file.owner_user_id, file.expires_at = of, task.id, None, None
        changed(session, row_topic(File, file.id))


def _accept_json(_: Services, given: Any, numbers: int) -> Accepted:
    """Scores are an object. What no double holds is null from here on, and named."""
    if not isinstance(given, dict):
        raise ResultError('scores are an object, such as {"accuracy": 0.9}')
    try:
        scores, lost = finite(given)
    except ValueError:
        raise ResultError(f"scores are at most {DEPTH} levels deep") from None
    data = orjson.dumps(scores)
    if len(data) > SCORES:
        raise ResultError(f"scores have at most {SCORES:,} bytes, not {len(data):,}")
    return Accepted(data, [f"{path} is no finite number: it counts as missing" for path in lost[:20]])


async def _finish(services: Services, key: UUID) -> Finished:
    """The scores of a job, held against the schema of its evaluator."""
    wanted = (
        sa.select(TaskResult.id, TaskResult.data, TaskResult.warnings, EvaluatorVersion.scores_schema)
        .join(Task, Task.id == TaskResult.task_id)
        .join(Job, Job.id == Task.job_id)
        .join(Evaluation, Evaluation.id == Job.evaluation_id)
        .join(EvaluatorVersion, EvaluatorVersion.id == Evaluation.evaluator_version_id)
        .where(Job.id == key)
    )
    ((result, data, warnings, schema),) = await services.database.rows(wanted)
    scores = orjson.loads(data)
    against = await asyncio.to_thread(partial(json_schemas.against, schema, scores, masked=True)) if schema else None
    if against is not None:
        path, why = against
        return Finished(
            [result],
            error=f"SCORES: the scores are not as the evaluator says, at {'.'.join(path) or 'their root'}: {why}",
        )
    return Finished([result], partial(_store, scores, warnings))


async def _store(scores: dict[str, Any], warnings: Sequence[str], session: AsyncSession, job: Job) -> None:
    assert job.evaluation_id is not None
    held = await evaluations.locked(session, job.evaluation_id)
    if held is None or held[1].ended_at is not None:
        return
    submission, evaluation = held
    job.warnings = [*job.warnings, *warnings]
    await evaluations.end(session, evaluation, scores=scores)
    evaluation.owner_scores = await audiences.for_owner(session, submission, scores)
    if evaluation.reevaluation_id is not None:  # counts with all others of it
        return
    await count(session, submission, evaluation)


async def count(session: AsyncSession, submission: Submission, evaluation: Evaluation) -> None:
    """Let the scores of an evaluation be those of its submission."""
    because(session, "a submission has the scores of its evaluation", Submission)
    had = submission.has_scores
    submission.evaluation_id, submission.has_scores = evaluation.id, True
    await session.flush()
    if submission.status in (SubmissionStatus.ON_QUEUE, SubmissionStatus.EVALUATING):
        await move(session, submission, SubmissionStatus.COMPLETED)
    if not had or submission.status is SubmissionStatus.COMPLETED:
        await board_requests.ask(session, submission.challenge_id, "a submission was evaluated")


KIND: Kind[Services] = Kind(
    name=JobKind.SUBMISSION_EVALUATION,
    inputs=_inputs,
    subject=_subject,
    purpose=FilePurpose.SUBMISSION_OUTPUT,
    accept=_accept,
    accept_json=_accept_json,
    finish=_finish,
)
