"""Evaluate all completed submissions of a phase again, after new ones. Their scores are replaced together, at the
end."""

from uuid import UUID

import sqlalchemy as sa

from db.engine import moment_of
from db.models import Evaluation, EvaluatorVersion, Phase, Reevaluation, ReevaluationState, Submission, SubmissionStatus
from db.types import uuid7
from db.written import because
from resolvers.access.challenge_rules import ORGANISER
from resolvers.access.rules import SUPERADMIN
from resolvers.challenges import evaluations
from resolvers.challenges.statuses import reason_of
from resolvers.context import Context
from resolvers.failures import LimitExceeded, WrongState
from resolvers.identity.principal import Kind
from resolvers.queue.cancelling import end_job
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.rows import locked, require

MOST = 5_000
"""The most submissions of one re-evaluation."""


async def begin(ctx: Context, phase_id: UUID) -> UUID:
    """Evaluate the completed submissions of a phase with the present version of their evaluator. Those that it has
    evaluated already are left out."""
    async with writing(ctx, "REEVALUATE", Phase, phase_id) as session:
        phase = await locked(session, ctx, Phase, phase_id, field="phase")
        await require(session, ctx, phase, (ORGANISER, SUPERADMIN), "evaluate all submissions of")
        running = sa.select(Reevaluation.id).where(
            Reevaluation.phase_id == phase.id, Reevaluation.state == ReevaluationState.RUNNING
        )
        if await session.scalar(running) is not None:
            raise WrongState("the phase is being evaluated again", state=ReevaluationState.RUNNING.name)
        wanted = sa.select(Submission).where(
            Submission.phase_id == phase.id,
            Submission.status == SubmissionStatus.COMPLETED,
            Submission.archived_at.is_(None),
            Submission.deleted_at.is_(None),
        )
        wanted = wanted.order_by(Submission.id).limit(MOST + 1).with_for_update(key_share=True)
        rows = (await session.scalars(wanted)).all()
        if len(rows) > MOST:
            told = f"at most {MOST:,} submissions are evaluated again at once"
            raise LimitExceeded(told, limit="submissions", allowed=MOST, value=len(rows))
        key = uuid7()
        made: list[tuple[Submission, EvaluatorVersion]] = []
        for submission in rows:
            version = await evaluations.version_of(session, submission)
            current = None
            if submission.evaluation_id is not None:
                current = (await session.get_one(Evaluation, submission.evaluation_id)).evaluator_version_id
            if version is not None and version.id != current:
                made.append((submission, version))
        if not made:
            raise WrongState("no submission of this phase has scores of an earlier version")
        because(session, "an organiser has a phase evaluated again", Reevaluation)
        who = ctx.principal.id if ctx.principal.kind is Kind.USER else None
        session.add(
            Reevaluation(
                id=key,
                challenge_id=phase.challenge_id,
                phase_id=phase.id,
                evaluator_version_id=made[0][1].id,
                user_id=who,
                total=len(made),
            )
        )
        await session.flush()
        for submission, version in made:
            await evaluations.begin(session, submission, version, reevaluation=key)
        record(session, ctx, "REEVALUATE", "Phase", phase.id, submissions=len(made))
        return key


async def cancel(ctx: Context, key: UUID) -> UUID:
    """Cancel a re-evaluation: all submissions keep the scores that they have."""
    async with writing(ctx, "CANCEL", Reevaluation, key) as session:
        row = await locked(session, ctx, Reevaluation, key)
        await require(session, ctx, row, (ORGANISER, SUPERADMIN), "cancel")
        if row.state is not ReevaluationState.RUNNING:
            raise WrongState(f"the re-evaluation is {row.state.name}", state=row.state.name)
        row.state, row.ended_at = ReevaluationState.CANCELED, await moment_of(session)
        await session.flush()
        record(session, ctx, "CANCEL", "Reevaluation", key)
    while await _cancel_some(ctx, key):
        pass
    return key


async def _cancel_some(ctx: Context, key: UUID) -> bool:
    """Cancel some jobs of a re-evaluation; False when none is left."""
    async with ctx.database.write(as_system="the jobs of a cancelled re-evaluation end") as session:
        wanted = sa.select(Evaluation.id).where(Evaluation.reevaluation_id == key, Evaluation.ended_at.is_(None))
        keys = (await session.scalars(wanted.order_by(Evaluation.id).limit(100))).all()
        for one in keys:
            if (job := await evaluations.job_of(session, one)) is not None:
                await end_job(session, job, asked=True)
            held = await evaluations.locked(session, one)
            if held is not None and held[1].ended_at is None:
                await evaluations.end(session, held[1], error=reason_of("CANCELED", "the re-evaluation was cancelled"))
        return bool(keys)
