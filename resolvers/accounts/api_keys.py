"""API keys of users, and static tokens of participants, devices and services, and tokens of specs: create and
rotate.

A secret is shown once, when it is made. Only its digest is stored.
"""

import secrets
import string
from dataclasses import dataclass
from datetime import UTC, datetime
from types import EllipsisType
from typing import Any
from uuid import UUID
from zlib import crc32

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of
from db.models import CORE, Challenge, Credential, CredentialKind, Entity, Participant, Spec, User
from db.searching.folding import composed
from db.written import because
from resolvers.access.acting import ACTS_FOR_OWNER
from resolvers.access.policy import policy_of
from resolvers.access.rules import (
    OWNER,
)
from resolvers.accounts.owners import Owner, expect_active, for_whom, owner_made
from resolvers.accounts.revocation import end, owner_of
from resolvers.context import Context
from resolvers.failures import Conflict, Forbidden, Invalid, LimitExceeded, WrongState
from resolvers.feed import principal_topic
from resolvers.identity.credentials import LIVE
from resolvers.identity.principal import Kind
from resolvers.identity.tokens import digest_of
from resolvers.mail.outbox import Change, tell
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.row_events import conclude, place_of
from resolvers.writing.rows import locked, require, seen

READ, WRITE = "read", "write"
"""The scopes that a key may have; every key may read."""
ACTIVE = 2
"""The most keys of one label, or tokens of one owner: two, so that the older one works until programs use the newer."""
MOST = 50
"""The most keys of one user."""

_LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
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
    ctx: Context,
    label: str,
    scopes: frozenset[str],
    expires_at: datetime | None,
    *,
    replace: bool = False,
    owner: Owner | None = None,
) -> Issued:
    """Create a key pair for the owner, or for oneself. CONFLICT when a key of this label is active, unless it is to
    `replace` it."""
    _in_person(ctx)
    label = _label(label)
    async with writing(ctx, "CREATE_KEY", Credential) as session:
        user = await owner_made(session, ctx, owner)
        await _free(session, ctx, user, CredentialKind.API_KEY, label, replace)
        issued = await _pair(session, user, label, scopes, expires_at, _maker(ctx))
        await tell(session, await session.get_one(User, user), Change.API_KEY, label=label)
        told = {"label": label, "scopes": sorted(scopes | {READ}), **for_whom(ctx, user)}
        record(session, ctx, "CREATE_KEY", "Credential", issued.credential, **told)
        return issued


async def create_spec_token(
    ctx: Context,
    label: str,
    spec: UUID | None,
    expires_at: datetime,
    *,
    replace: bool = False,
    owner: Owner | None = None,
) -> Issued:
    """Create a token that reads a spec of the owner, or of oneself, and its packages; or with None all of them."""
    _in_person(ctx)
    label = _label(label)
    async with writing(ctx, "CREATE_TOKEN", Credential) as session:
        user = await owner_made(session, ctx, owner)
        if spec is not None and (await locked(session, ctx, Spec, spec, field="spec")).user_id != user:
            raise Forbidden("a token is for specs of its owner")
        await _free(session, ctx, user, CredentialKind.SPEC_TOKEN, label, replace)
        await _expect_later(session, expires_at)
        kind = CredentialKind.SPEC_TOKEN
        await room(session, MOST, Credential.user_id == user, Credential.kind == kind)
        columns = {"user_id": user, "spec_id": spec, "label": label, "expires_at": expires_at, "scopes": [READ]}
        issued = await _issue(session, kind, new_secret("tk"), made_by_id=_maker(ctx), **columns)
        told = {"label": label, "spec": spec, **for_whom(ctx, user)}
        record(session, ctx, "CREATE_TOKEN", "Credential", issued.credential, **told)
        return issued


async def _free(
    session: AsyncSession, ctx: Context, user: UUID, kind: CredentialKind, label: str, replace: bool
) -> None:
    """CONFLICT where a key or token of this label is active, unless it is to be replaced. The user is locked."""
    same = (Credential.user_id == user, Credential.kind == kind, Credential.label == label)
    if replace:
        await end(session, ctx, *same)
    elif await session.scalar(sa.select(Credential.id).where(*same, LIVE).limit(1)) is not None:
        what, rotate = ("key", "rotate it, ") if kind is CredentialKind.API_KEY else ("token", "")
        raise Conflict(f"a {what} of this label is active: {rotate}replace it, or choose another label", field="label")


async def rotate_key(ctx: Context, key: UUID, expires_at: datetime | EllipsisType | None = ...) -> Issued:
    """Create a second key pair like this one, which stays valid. With `...` as its end, it lives as long as this one
    was made for."""
    _in_person(ctx)
    async with writing(ctx, "ROTATE_KEY", Credential, key) as session:
        user = (await seen(session, ctx, Credential, key)).user_id
        if user is not None:
            await expect_active(session, user)
        row = await locked(session, ctx, Credential, key)
        if user is None or row.kind is not CredentialKind.API_KEY:
            raise Invalid("only API keys are rotated", field="id")
        await require(session, ctx, row, (OWNER, ACTS_FOR_OWNER), "rotate")
        moment = await moment_of(session)
        if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= moment):
            raise WrongState("the key is no longer active; make another", field="id")
        if isinstance(expires_at, EllipsisType):
            lifetime = None if row.expires_at is None else row.expires_at - row.created_at
            expires_at = None if lifetime is None else moment + min(lifetime, _LAST - moment)
        issued = await _pair(session, user, row.label, frozenset(row.scopes or (READ, WRITE)), expires_at, _maker(ctx))
        told = {"label": row.label, "of": row.id, **for_whom(ctx, user)}
        record(session, ctx, "ROTATE_KEY", "Credential", issued.credential, **told)
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
        await room(session, ACTIVE, owned == owner, Credential.kind == of_kind)
        issued = await _issue(session, of_kind, new_secret(_PREFIXES[kind]), **{f"{kind}_id": owner})
        record(session, ctx, "CREATE_TOKEN", model.__name__, owner, **await place_of(session, row))
        return issued


async def token_of(session: AsyncSession, device: UUID) -> Issued:
    """Create the first token of a device that registers itself, in the transaction of `session`."""
    return await _issue(session, CredentialKind.STATIC_TOKEN, new_secret("dt"), device_id=device)


def _in_person(ctx: Context) -> None:
    """FORBIDDEN for a user's key, which may not create keys: these could do more or live longer than itself."""
    principal = ctx.principal
    if principal.kind is Kind.USER and principal.credential is not None and principal.session is None:
        raise Forbidden("keys are made by a user who signed in, not by a key")


async def _pair(
    session: AsyncSession,
    user: UUID,
    label: str,
    scopes: frozenset[str],
    expires_at: datetime | None,
    made_by: UUID | None,
) -> Issued:
    await _expect_later(session, expires_at)
    mine = (Credential.user_id == user, Credential.kind == CredentialKind.API_KEY)
    await room(session, MOST, *mine)
    await room(session, ACTIVE, *mine, Credential.label == label)
    return await _issue(
        session,
        CredentialKind.API_KEY,
        new_secret("sk"),
        user_id=user,
        made_by_id=made_by,
        public_key=f"pk_{_written(int.from_bytes(secrets.token_bytes(16)), 22)}",
        label=label,
        scopes=sorted(scopes | {READ}),
        expires_at=expires_at,
    )


def _maker(ctx: Context) -> UUID | None:
    """The service that makes a key or token for its user."""
    return ctx.principal.id if ctx.principal.kind is Kind.SERVICE else None


async def _expect_later(session: AsyncSession, expires_at: datetime | None) -> None:
    if expires_at is not None and expires_at <= await moment_of(session):
        raise Invalid("a key or token ends in the future", field="expiresAt")


async def room(session: AsyncSession, most: int, *which: Any) -> None:
    """LIMIT_EXCEEDED where so many are active."""
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
    changed(session, principal_topic(owner_of(row)))
    return Issued(row.id, secret, row.public_key)


def _label(label: str) -> str:
    label = composed(label.strip())
    most = 100
    if not label or len(label) > most or not label.isprintable():
        raise Invalid(f"a label has 1 to {most} characters that can be seen", field="label")
    return label
