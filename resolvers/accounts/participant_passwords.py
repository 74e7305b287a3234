"""The passwords of participants: changed by themselves, reset by a link in a mail, or set by who cares for them."""

import secrets
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of
from db.locks import in_order
from db.models import Credential, CredentialKind, Participant
from db.types import later
from db.written import because
from resolvers.access.policy import policy_of
from resolvers.accounts.email_links import PAGES
from resolvers.accounts.link_mails import bound_mails, throttle
from resolvers.context import Context
from resolvers.failures import Forbidden, Invalid, WrongState
from resolvers.feed import principal_topic
from resolvers.identity import session_store
from resolvers.identity.credentials import LIVE
from resolvers.identity.principal import Kind
from resolvers.identity.tokens import digest_of
from resolvers.mail.outbox import mailable, post
from resolvers.writing import rate_limits
from resolvers.writing.audit import record
from resolvers.writing.rate_limits import Tries
from resolvers.writing.refusals import writing
from resolvers.writing.row_events import place_of
from resolvers.writing.rows import locked, require

_RESET = CredentialKind.PASSWORD_RESET


def _tries(participant: UUID) -> Tries:
    return Tries("participant password", str(participant))


async def change(ctx: Context, old: str, new: str) -> UUID:
    """Change one's own password, by the old one. All other login sessions of the participant end."""
    principal, limits = ctx.principal, ctx.services.limits
    if principal.kind is not Kind.PARTICIPANT or principal.id is None or principal.session is None:
        raise Forbidden("a participant who signed in changes a password")
    await rate_limits.count_for(ctx, _tries(principal.id), limits.here, limits.anywhere)
    mine = sa.select(Credential.id, Credential.secret_hash, Participant.username, Participant.email).join(
        Participant, Participant.id == Credential.participant_id
    )
    mine = mine.where(Participant.id == principal.id, Credential.kind == CredentialKind.PASSWORD)
    stored = next(iter(await ctx.database.rows(mine)), None)
    passwords = ctx.services.identity.passwords
    if not await passwords.verify(stored.secret_hash if stored else None, old) or stored is None:
        raise Invalid("the password is wrong", field="oldPassword")
    await passwords.check(new, "newPassword", stored.username, stored.email)
    if await passwords.verify(stored.secret_hash, new):
        raise Invalid("the new password is the old one", field="newPassword")
    hashed = await passwords.hash(new)
    async with ctx.database.write() as session:
        row = await _held(session, principal.id)
        await rate_limits.clear(session, ctx, _tries(row.id))
        await put(session, hashed, participant_id=row.id)
        await _follow(session, row, Credential.family != principal.session)
        record(session, ctx, "CHANGE_PASSWORD", "Participant", row.id, **await place_of(session, row))
    return principal.id


async def request_reset(ctx: Context, username: str) -> datetime:
    """Mail a link that sets a new password to a participant who may sign in and has an address. The answer is the same
    for a name that nobody has, after the same work."""
    name = username.lower()
    await throttle(ctx)
    await bound_mails(ctx, f"participant_reset:{digest_of(name)}")
    lifetime = ctx.services.limits.reset_lifetime
    wanted = sa.select(Participant).where(
        Participant.username == name, Participant.enabled, Participant.login_enabled, Participant.deleted_at.is_(None)
    )
    async with ctx.database.write() as session:
        row = await session.scalar(wanted.with_for_update(key_share=True))
        address = None if row is None else mailable(row.email)
        if row is not None and address is not None:
            token = secrets.token_urlsafe(32)
            await _drop(session, row.id)
            session.add(
                Credential(
                    participant_id=row.id,
                    kind=_RESET,
                    label=digest_of(address),
                    secret_hash=digest_of(token),
                    algorithm="sha256",
                    expires_at=later(lifetime.total_seconds()),
                )
            )
            await session.flush()
            url = f"{ctx.services.entrance.address}/{PAGES[_RESET]}#token={token}"
            await post(session, "password_reset", to=address, lasting=lifetime, url=url, username=row.username)
        place = {} if row is None else await place_of(session, row)
        record(session, ctx, "REQUEST_PASSWORD_RESET", "Participant", None if row is None else row.id, **place)
        return await moment_of(session)


async def owner(ctx: Context, token: str) -> UUID | None:
    """The participant whose link this is; None for another's, and for one that is not valid."""
    wanted = sa.select(Credential.participant_id).where(*_live(token))
    for (participant,) in await ctx.database.rows(wanted):
        return participant  # type: ignore[no-any-return]
    return None


async def reset(ctx: Context, participant: UUID, token: str, new: str) -> datetime:
    """Set the password of a participant by a link. All login sessions end. Returns when."""
    names = sa.select(Participant.username, Participant.email).where(Participant.id == participant)
    passwords = ctx.services.identity.passwords
    await passwords.check(new, "newPassword", *(await ctx.database.rows(names))[0])
    hashed = await passwords.hash(new)
    async with ctx.database.write() as session:
        row = await _held(session, participant)
        because(session, "a link holds once, and only the latest", Credential)
        used: Any = await session.execute(
            sa.delete(Credential).where(*_live(token)).execution_options(synchronize_session=False)
        )
        if used.rowcount != 1:
            raise Invalid("the link does not hold; ask for another", field="token")
        await put(session, hashed, participant_id=row.id)
        await _follow(session, row)
        place = await place_of(session, row)
        record(session, ctx, "RESET_PASSWORD", "Participant", row.id, actor_id=row.id, **place)
        return await moment_of(session)


async def set_for_participant(ctx: Context, participant: UUID, new: str) -> UUID:
    """Set the password of a participant. All login sessions of the participant end."""
    async with writing(ctx, "SET_PASSWORD", Participant, participant) as session:
        row = await _kept(session, ctx, participant)
    await ctx.services.identity.passwords.check(new, "newPassword", row.username, row.email)
    hashed = await ctx.services.identity.passwords.hash(new)
    async with writing(ctx, "SET_PASSWORD", Participant, participant) as session:
        row = await _kept(session, ctx, participant)
        await put(session, hashed, participant_id=participant)
        await session_store.end(session, Kind.PARTICIPANT, participant)
        record(session, ctx, "SET_PASSWORD", "Participant", participant, **await place_of(session, row))
    return participant


async def _kept(session: AsyncSession, ctx: Context, participant: UUID) -> Participant:
    """As `_administered`, for a participant."""
    row = await locked(session, ctx, Participant, participant, field="id")
    await require(session, ctx, row, policy_of(Participant).columns["login_enabled"], "set the password of")
    if row.username is None:
        raise WrongState("give the participant a username first", field="id")
    return row


async def _held(session: AsyncSession, participant: UUID) -> Participant:
    wanted = sa.select(Participant).where(Participant.id == participant, Participant.deleted_at.is_(None))
    row = await session.scalar(wanted.with_for_update(key_share=True))
    if row is None or not row.enabled or not row.login_enabled:
        raise WrongState("this participant may not sign in")
    return row


async def _drop(session: AsyncSession, participant: UUID) -> None:
    because(session, "a link holds once, and only the latest", Credential)
    await in_order(
        session, sa.delete(Credential).where(Credential.participant_id == participant, Credential.kind == _RESET)
    )


async def _follow(session: AsyncSession, row: Participant, *which: Any) -> None:
    """What follows a new password: login sessions (only `which`) and links end, and the owner is told by mail."""
    await session_store.end(session, Kind.PARTICIPANT, row.id, *which)
    await _drop(session, row.id)
    changed(session, principal_topic(row.id))
    if (address := mailable(row.email)) is not None:
        await post(session, "password_changed", to=address, username=row.username)


def _live(token: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        Credential.kind == _RESET,
        Credential.secret_hash == digest_of(token),
        Credential.participant_id.is_not(None),
        LIVE,
    )


async def put(session: AsyncSession, hashed: str, **owner: UUID) -> None:
    """Store the only password of an owner whose row is locked."""
    because(session, "a password is set by its owner, by a link, or by who may set it", Credential)
    (column, key), *_ = owner.items()
    stored: Any = await session.execute(
        sa.update(Credential)
        .where(getattr(Credential, column) == key, Credential.kind == CredentialKind.PASSWORD)
        .values(secret_hash=hashed, version=Credential.version + 1)
    )
    if not stored.rowcount:
        session.add(Credential(kind=CredentialKind.PASSWORD, secret_hash=hashed, algorithm="argon2id", **owner))
