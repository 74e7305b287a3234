"""Begin a submission: who may, and for which team."""

from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of
from db.models import (
    Challenge,
    Phase,
    Registration,
    RegistrationMode,
    RegistrationState,
    Submission,
    SubmissionStatus,
)
from db.types import instant_text, later, uuid7
from resolvers.access.challenge_rules import ORGANISES
from resolvers.access.policy import policy_of
from resolvers.access.rules import SUPERADMIN
from resolvers.challenges import openness, quotas
from resolvers.challenges.names import one_line
from resolvers.challenges.statuses import LASTS
from resolvers.context import Context
from resolvers.failures import Forbidden, NotFound
from resolvers.feed import submission_topic
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.rows import holds, require, seen, signed_in

LABEL = 255
"""The most characters of an author's label."""


async def create(ctx: Context, phase_id: UUID, *, team_id: UUID | None = None, author_label: str | None = None) -> UUID:
    """Begin a submission to a phase: it waits for its file. It counts in the quota from now on, and no more when the
    file does not come."""
    user = signed_in(ctx)
    async with writing(ctx, "CREATE", Submission) as session:
        phase = await seen(session, ctx, Phase, phase_id, field="input.phase")
        challenge = await seen(session, ctx, Challenge, phase.challenge_id, field="input.phase")
        label = label_of(author_label)
        await openness.expect_open(session, challenge, phase)
        await expect_registered(session, ctx, challenge, user)
        team = await _team(session, challenge, user, team_id)
        await quotas.expect_room(session, phase, user, team)
        moment = await moment_of(session)
        submission = Submission(
            id=uuid7(),
            public_id=f"{moment:%Y%m-%d%H-%M%S}-{uuid4()}",
            challenge_id=challenge.id,
            phase_id=phase.id,
            user_id=user,
            team_id=team,
            evaluator_id=challenge.evaluator_id,
            auto_eval=challenge.auto_eval,
            author_label=label,
            status_ends_at=later(LASTS[SubmissionStatus.UPLOADING]),
            history=[{"status": SubmissionStatus.UPLOADING.name, "at": instant_text(moment)}],
        )
        session.add(submission)
        await session.flush()
        await require(session, ctx, submission, policy_of(Submission).create, "make")
        record(session, ctx, "CREATE", "Submission", submission.id, challenge=challenge.label, phase=phase.name)
        changed(session, submission_topic(submission.id))
        return submission.id


def label_of(text: str | None, field: str = "input.authorLabel") -> str | None:
    return None if text is None else one_line(text, LABEL, "an author's label", field)


async def expect_registered(
    session: AsyncSession, ctx: Context, challenge: Challenge, user: UUID, field: str = "input.phase"
) -> None:
    """FORBIDDEN for somebody who must register first, or accept the terms. Organisers need not."""
    if challenge.registration_mode is RegistrationMode.NONE and not challenge.terms:
        return
    wanted = sa.select(Registration).where(Registration.challenge_id == challenge.id, Registration.user_id == user)
    held = (await session.scalars(wanted)).one_or_none()
    if held is not None and held.state is RegistrationState.ACCEPTED:
        return
    if await holds(session, ctx, challenge, (ORGANISES, SUPERADMIN)):
        return
    if held is None:
        raise Forbidden("register for this challenge first, with joinChallenge", field=field)
    told = (
        "your registration waits for approval"
        if held.state is RegistrationState.PENDING
        else (f"your registration was refused: {held.reason or 'no reason is given'}")
    )
    raise Forbidden(told, field=field)


async def _team(session: AsyncSession, challenge: Challenge, user: UUID, team: UUID | None) -> UUID | None:
    """The team that somebody submits for: the one that is named, or joined."""
    if team is None and challenge.team_size == 1:
        return None
    mine = await quotas.team_of(session, challenge.id, user)
    if team is not None and team != mine:
        raise NotFound("no Team with this id that you have joined", field="input.team")
    return mine
