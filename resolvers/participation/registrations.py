"""Who takes part in a challenge: join it, and decide on who asks to."""

from uuid import UUID

import sqlalchemy as sa

from db.engine import moment_of
from db.models import Challenge, Registration, RegistrationMode, RegistrationState
from db.types import uuid7
from resolvers.access.challenge_rules import ORGANISER
from resolvers.access.memberships import put_out
from resolvers.access.policy import policy_of
from resolvers.access.rules import SUPERADMIN
from resolvers.challenges.decisions import reason_given
from resolvers.context import Context
from resolvers.failures import Invalid, WrongState
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.rows import locked, require, seen, signed_in

_R = RegistrationState


async def join(ctx: Context, challenge_id: UUID, *, accept_terms: bool = False, message: str = "") -> UUID:
    """Take part in a challenge, or ask to. Whoever was refused may ask again, and waits for an organiser."""
    user = signed_in(ctx)
    async with writing(ctx, "CREATE", Registration) as session:
        challenge = await seen(session, ctx, Challenge, challenge_id, field="challenge")
        if challenge.terms and not accept_terms:
            raise Invalid("accept the terms of the challenge to take part", field="acceptTerms")
        if len(message) > 2_000:
            raise Invalid("a message has at most 2000 characters", field="message")
        wanted = sa.select(Registration).where(Registration.challenge_id == challenge.id, Registration.user_id == user)
        held = (await session.scalars(wanted.with_for_update())).one_or_none()
        open_ = challenge.registration_mode is not RegistrationMode.APPROVAL
        accepted = await moment_of(session) if challenge.terms else None
        if held is None:
            held = Registration(id=uuid7(), challenge_id=challenge.id, user_id=user)
            session.add(held)
        elif held.state is not _R.REFUSED and not (challenge.terms and held.terms_accepted_at is None):
            raise WrongState("you take part, or have asked to", state=held.state.name)
        if held.state is not _R.ACCEPTED:
            again = held.state is _R.REFUSED
            held.state, held.reason = _R.ACCEPTED if open_ and not again else _R.PENDING, None
        held.message, held.terms_accepted_at = message, accepted
        await session.flush()
        await require(session, ctx, held, policy_of(Registration).create, "make")
        record(session, ctx, "JOIN", "Challenge", challenge.id, state=held.state.name)
        return held.id


async def decide(ctx: Context, key: UUID, *, accept: bool, reason: str | None) -> UUID:
    """Accept who asks to take part, or refuse it with a reason."""
    async with writing(ctx, "UPDATE", Registration, key) as session:
        row = await locked(session, ctx, Registration, key)
        await require(session, ctx, row, (ORGANISER, SUPERADMIN), "decide on")
        told = None if reason is None else reason_given(reason)
        if not accept and told is None:
            raise Invalid("a refusal has a reason", field="reason")
        row.state, row.reason = _R.ACCEPTED if accept else _R.REFUSED, told
        await session.flush()
        if not accept:
            await put_out(session, row.challenge_id, row.user_id)
        record(session, ctx, "DECIDE", "Registration", key, state=row.state.name)
    return key
