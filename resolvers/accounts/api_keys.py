"""API keys of users, and static tokens of participants, devices and services: create, rotate, revoke.

A secret is shown once, when it is made. Only its digest is stored.
"""

import secrets
import string
from dataclasses import dataclass
from datetime import datetime
from types import EllipsisType
from typing import Any
from uuid import UUID
from zlib import crc32

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of
from db.models import CORE, OWNERS, Challenge, Credential, CredentialKind, Entity, Participant, User
from db.searching.folding import composed
from db.written import because
from resolvers.access.challenge_rules import ORGANISER
from resolvers.access.policy import Rules, policy_of
from resolvers.access.rules import (
    DEVICE_LINKER,
    LINKED_SERVICE,
    OWNER,
    PROJECT_ADMIN,
    SITE_ADMIN,
    SUPERADMIN,
    allowed,
)
from resolvers.access.visibility import visible
from resolvers.context import Context
from resolvers.failures import Conflict, Forbidden, Invalid, LimitExceeded, NotFound, WrongState
from resolvers.feed import principal_topic
from resolvers.identity.credentials import LIVE
from resolvers.identity.tokens import digest_of
from resolvers.mail.outbox import Change, tell
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.row_events import conclude, place_of
from resolvers.writing.rows import locked, require, signed_in

READ, WRITE = "read", "write"
"""The scopes that a key may have; every key may read."""
ACTIVE = 2
"""The most keys of one label, or tokens of one owner: two, so that the older one works until programs use the newer."""
MOST = 50
"""The most keys of one user."""

_ENDED = (CredentialKind.API_KEY, CredentialKind.STATIC_TOKEN, CredentialKind.CHALLENGE_WORKER)
"""The kinds of credentials that are revoked."""
_DIGITS = string.digits + string.ascii_letters


@dataclass(frozen=True, slots=True)
class Issued:
    """A new credential with its secret, which is never shown again."""

    credential: UUID
    secret: str
    public_key: str | None = None


_PREFIXES = {"participant": "pt", "device": "dt", "service": "st", "challenge": "cw"}
"""The owners of static tokens, and of tokens of external workers, with the prefix of each kind of token."""


def new_secret(prefix: str) -> str:
    """256 random bits, with a checksum by which scanners of source code tell a secret from chance."""
    body = _written(int.from_bytes(secrets.token_bytes(32)), 43)
    return f"{prefix}_{body}{_written(crc32(body.encode()), 6)}"


def _written(number: int, length: int) -> str:
    found = ""
    for _ in range(length):
        number, digit = divmod(number, len(_DIGITS))
        found = _DIGITS[digit] + found
    return found


async def create_key(
    ctx: Context, label: str, scopes: frozenset[str], expires_at: datetime | None, *, replace: bool = False
) -> Issued:
    """Create a key pair for the user. CONFLICT when a key of this label is active, unless it is to `replace` it."""
    user = _in_person(ctx)
    label = _label(label)
    async with ctx.database.write() as session:
        await _hold(session, user)
        same = (Credential.user_id == user, Credential.kind == CredentialKind.API_KEY, Credential.label == label)
        if replace:
            await _end(session, ctx, *same)
        elif await session.scalar(sa.select(Credential.id).where(*same, LIVE).limit(1)) is not None:
            told = "a key of this label is active: rotate it, replace it, or choose another label"
            raise Conflict(told, field="label")
        issued = await _pair(session, user, label, scopes, expires_at)
        await tell(session, await session.get_one(User, user), Change.API_KEY, label=label)
        record(session, ctx, "CREATE_KEY", "Credential", issued.credential, label=label, scopes=sorted(scopes | {READ}))
        return issued


async def rotate_key(ctx: Context, key: UUID, expires_at: datetime | EllipsisType | None = ...) -> Issued:
    """Create a second key pair like this one, which stays valid. With `...` as its end, it lives as long as this one
    was made for."""
    user = _in_person(ctx)
    async with ctx.database.write() as session:
        await _hold(session, user)
        row = await locked(session, ctx, Credential, key)
        if row.user_id != user:
            raise Forbidden("only its owner may rotate a key")
        moment = await moment_of(session)
        if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= moment):
            raise WrongState("the key is no longer active; make another", field="id")
        if isinstance(expires_at, EllipsisType):
            expires_at = None if row.expires_at is None else moment + (row.expires_at - row.created_at)
        issued = await _pair(session, user, row.label, frozenset(row.scopes or (READ, WRITE)), expires_at)
        record(session, ctx, "ROTATE_KEY", "Credential", issued.credential, label=row.label, of=row.id)
        return issued


async def create_token(ctx: Context, model: type[Entity], owner: UUID) -> Issued:
    """Create a static token for a participant (which enables static tokens for the participant), a device or a
    service; or one of an external worker, for a challenge."""
    kind = model.__name__.lower()
    async with writing(ctx, "CREATE_TOKEN", model, owner) as session:
        row: Any = await locked(session, ctx, model, owner, field=kind)
        await require(session, ctx, row, policy_of(model).tokens, "make a token of")
        if row.id == CORE:
            raise Forbidden("the gateway's own service has no tokens")
        if isinstance(row, Participant):
            before = {"token_enabled": row.token_enabled}
            row.token_enabled = True
            await session.flush()
            await conclude(session, ctx, row, before)
        owned: Any = getattr(Credential, f"{kind}_id")
        of_kind = CredentialKind.CHALLENGE_WORKER if isinstance(row, Challenge) else CredentialKind.STATIC_TOKEN
        await _room(session, ACTIVE, owned == owner, Credential.kind == of_kind)
        issued = await _issue(session, of_kind, new_secret(_PREFIXES[kind]), **{f"{kind}_id": owner})
        record(session, ctx, "CREATE_TOKEN", model.__name__, owner, **await place_of(session, row))
        return issued


async def token_of(session: AsyncSession, device: UUID) -> Issued:
    """Create the first token of a device that registers itself, in the transaction of `session`."""
    return await _issue(session, CredentialKind.STATIC_TOKEN, new_secret("dt"), device_id=device)


async def revoke(ctx: Context, key: UUID) -> datetime:
    """Revoke a key or token at once; returns when. For one that was revoked before, that moment stays."""
    async with writing(ctx, "REVOKE_CREDENTIAL", Credential, key) as session:
        profile = ctx.principal.profile
        # A service ends tokens of participants that it doesn't see.
        ends = sa.and_(Credential.participant_id.is_not(None), allowed((LINKED_SERVICE,), Credential, profile))
        known = sa.or_(visible(Credential, profile), sa.and_(Credential.kind.in_(_ENDED), ends))
        wanted = sa.select(Credential).where(Credential.id == key, known).with_for_update(of=Credential)
        row = (await session.scalars(wanted, dict(ctx.principal.parameters))).one_or_none()
        if row is None:
            raise NotFound("no Credential with this id", field="id")
        rules: Rules = (DEVICE_LINKER, SUPERADMIN) if row.device_id else (OWNER, PROJECT_ADMIN, SITE_ADMIN, SUPERADMIN)
        rules = (ORGANISER, SUPERADMIN) if row.challenge_id else rules
        await require(session, ctx, row, (*rules, LINKED_SERVICE) if row.participant_id else rules, "revoke")
        return row.revoked_at or _revoked(session, ctx, row, await moment_of(session))


async def revoke_all(ctx: Context) -> datetime:
    """Revoke all one's own keys; returns when."""
    user = signed_in(ctx)
    async with writing(ctx, "REVOKE_CREDENTIAL", Credential) as session:
        await _hold(session, user)
        await _end(session, ctx, Credential.user_id == user, Credential.kind == CredentialKind.API_KEY)
        return await moment_of(session)


async def _end(session: AsyncSession, ctx: Context, *which: Any) -> None:
    """Revoke keys of the user, whose row is locked."""
    rows = (await session.scalars(sa.select(Credential).where(*which, LIVE).order_by(Credential.id))).all()
    because(session, "keys are revoked by their owner", Credential)
    moment = await moment_of(session)
    for row in rows:
        _revoked(session, ctx, row, moment)
    await session.flush()


def _revoked(session: AsyncSession, ctx: Context, row: Credential, moment: datetime) -> datetime:
    """Note in a credential, and on record, that it is revoked; returns when."""
    row.revoked_at, owner = moment, _owner_of(row)
    changed(session, principal_topic(owner))
    record(session, ctx, "REVOKE_CREDENTIAL", "Credential", row.id, label=row.label, owner=owner)
    return moment


def _in_person(ctx: Context) -> UUID:
    """The id of the user who signed in. A key may not create keys, which could do more or live longer than itself."""
    principal = ctx.principal
    if principal.credential is not None and principal.session is None:
        raise Forbidden("keys are made by a user who signed in, not by a key")
    return signed_in(ctx)


async def _hold(session: AsyncSession, user: UUID) -> None:
    """Lock the user, so that keys are counted one after another."""
    await session.execute(sa.select(User.id).where(User.id == user).with_for_update(key_share=True))


async def _pair(
    session: AsyncSession, user: UUID, label: str, scopes: frozenset[str], expires_at: datetime | None
) -> Issued:
    if expires_at is not None and expires_at <= await moment_of(session):
        raise Invalid("a key ends in the future", field="expiresAt")
    mine = (Credential.user_id == user, Credential.kind == CredentialKind.API_KEY)
    await _room(session, MOST, *mine)
    await _room(session, ACTIVE, *mine, Credential.label == label)
    return await _issue(
        session,
        CredentialKind.API_KEY,
        new_secret("sk"),
        user_id=user,
        public_key=f"pk_{_written(int.from_bytes(secrets.token_bytes(16)), 22)}",
        label=label,
        scopes=sorted(scopes | {READ}),
        expires_at=expires_at,
    )


async def _room(session: AsyncSession, most: int, *which: Any) -> None:
    count = await session.scalar(sa.select(sa.func.count()).where(*which, LIVE)) or 0
    if count >= most:
        raise LimitExceeded(
            f"{most} are active, and no more can be; revoke one first",
            limit="credentials",
            allowed=most,
            value=count + 1,
        )


async def _issue(session: AsyncSession, kind: CredentialKind, secret: str, **columns: Any) -> Issued:
    because(session, "a credential is made by its owner, or by who may make one for it", Credential)
    row = Credential(kind=kind, secret_hash=digest_of(secret), algorithm="sha256", **columns)
    session.add(row)
    await session.flush()
    changed(session, principal_topic(_owner_of(row)))
    return Issued(row.id, secret, row.public_key)


def _owner_of(row: Credential) -> UUID | None:
    return next((key for key in (getattr(row, name) for name in OWNERS) if key is not None), None)


def _label(label: str) -> str:
    label = composed(label.strip())
    most = 100
    if not label or len(label) > most or not label.isprintable():
        raise Invalid(f"a label has 1 to {most} characters that can be seen", field="label")
    return label
