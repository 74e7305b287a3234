"""Codes of the second factor: from an authenticator (RFC 6238), by e-mail, and recovery codes."""

import hmac
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from uuid import UUID

import pyotp
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import moment_of
from db.locks import in_order
from db.models import Credential, CredentialKind, TwoFactor, User
from db.types import later, now
from db.written import because
from resolvers.context import Context
from resolvers.identity.tokens import digest_of
from resolvers.limits import Bound
from resolvers.mail.outbox import post
from resolvers.writing import rate_limits
from resolvers.writing.rate_limits import Tries

STEP = 30
"""Seconds for which an authenticator shows one code; the codes of the steps before and after count too."""
RECOVERY_CODES = 10
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""The characters of recovery codes: none that are confused with another. 16 of them have 80 random bits, so one round
of a hash is enough."""


class Use(Enum):
    """What a code by e-mail is for; the label of its credential."""

    SIGN_IN = "default"
    SET_UP = "pending"


def tries(user: UUID) -> Tries:
    return Tries("code", str(user))


async def count(ctx: Context, user: UUID) -> None:
    """Count an attempt before the code is checked; RATE_LIMITED when there were too many wrong ones."""
    limits, window = ctx.services.limits, ctx.services.limits.code_window
    here, anywhere = Bound(limits.codes_per_account, window), Bound(limits.codes_anywhere, window)
    await rate_limits.count_for(ctx, tries(user), here, anywhere)


async def new_seed(session: AsyncSession, ctx: Context, user: UUID) -> str:
    """A new seed for an authenticator, which waits for its first code and replaces any other that waits."""
    seed = pyotp.random_base32()
    await forget(session, user, CredentialKind.TOTP, CredentialKind.EMAIL_CODE, use=Use.SET_UP)
    session.add(
        Credential(
            user_id=user,
            kind=CredentialKind.TOTP,
            label=Use.SET_UP.value,
            sealed=ctx.services.identity.keys.seal(seed),
            algorithm="totp",
            expires_at=later(ctx.services.limits.code_window),
        )
    )
    return seed


def address_of(seed: str, username: str) -> str:
    """The address that an authenticator reads from a QR code."""
    return pyotp.TOTP(seed).provisioning_uri(name=username, issuer_name="Torana")


async def send(session: AsyncSession, ctx: Context, user: User, use: Use) -> None:
    """Mail a code of six digits to the user. It replaces any code that waits."""
    code = f"{secrets.randbelow(1_000_000):06}"
    lifetime = ctx.services.limits.ticket_lifetime
    kinds = [CredentialKind.EMAIL_CODE, CredentialKind.TOTP] if use is Use.SET_UP else [CredentialKind.EMAIL_CODE]
    await forget(session, user.id, *kinds, use=use)
    session.add(
        Credential(
            user_id=user.id,
            kind=CredentialKind.EMAIL_CODE,
            label=use.value,
            # So short a code would be found from its hash.
            sealed=ctx.services.identity.keys.seal(code),
            algorithm="code",
            expires_at=later(lifetime.total_seconds()),
        )
    )
    await post(session, "two_factor_code", user, lasting=lifetime, code=code)


async def accept(session: AsyncSession, ctx: Context, user: User, code: str) -> str | None:
    """The method by which a code of a locked user is right, which it is once; None for a wrong one."""
    text = _plain(code)
    if len(text) != 6:
        return "RECOVERY_CODE" if await _recover(session, user.id, text) else None
    right = await spend(session, ctx, user.id, user.two_factor, text, Use.SIGN_IN)
    return user.two_factor.name if right else None


async def spend(session: AsyncSession, ctx: Context, user: UUID, method: TwoFactor, code: str, use: Use) -> bool:
    """Whether a code of a locked user is right. A right code is used up."""
    because(session, "a code is used once, and only the latest", Credential)
    if method is TwoFactor.NONE:
        return False
    kind = CredentialKind[{TwoFactor.TOTP: "TOTP", TwoFactor.EMAIL: "EMAIL_CODE"}[method]]
    live = sa.or_(Credential.expires_at.is_(None), Credential.expires_at > now())
    wanted = sa.select(Credential).where(Credential.user_id == user, Credential.kind == kind, live)
    row = (await session.scalars(wanted.where(Credential.label == use.value))).one_or_none()
    if row is None or row.sealed is None or (kept := ctx.services.identity.keys.unseal(row.sealed)) is None:
        return False
    text = _plain(code)
    if method is TwoFactor.TOTP:
        step = _step(kept, text, await moment_of(session))
        if step is None or (row.last_used_at is not None and step <= row.last_used_at):
            return False
        row.last_used_at = step
        row.sealed = ctx.services.identity.keys.seal(kept)  # so that a key may leave the ring
        return True
    if not hmac.compare_digest(kept.encode(), text.encode()):
        return False
    await session.delete(row)
    return True


async def new_recovery_codes(session: AsyncSession, user: UUID) -> Sequence[str]:
    """Ten new recovery codes, which replace all former ones. They are shown once."""
    await forget(session, user, CredentialKind.RECOVERY_CODE)
    codes = ["".join(secrets.choice(_LETTERS) for _ in range(16)) for _ in range(RECOVERY_CODES)]
    session.add_all(
        Credential(
            user_id=user, kind=CredentialKind.RECOVERY_CODE, secret_hash=_recovery_hash(user, code), algorithm="sha256"
        )
        for code in codes
    )
    return ["-".join(code[n : n + 4] for n in range(0, 16, 4)) for code in codes]


async def forget(session: AsyncSession, user: UUID, *kinds: CredentialKind, use: Use | None = None) -> None:
    because(session, "a code is used once, and only the latest", Credential)
    gone = sa.delete(Credential).where(Credential.user_id == user, Credential.kind.in_(kinds))
    if use is not None:
        gone = gone.where(Credential.label == use.value)
    await in_order(session, gone)


def _step(seed: str, code: str, moment: datetime) -> datetime | None:
    """The start of the step, near this moment, whose code this is."""
    here = int(moment.timestamp()) // STEP
    found: datetime | None = None
    for step in (here - 1, here, here + 1):
        if hmac.compare_digest(pyotp.TOTP(seed).generate_otp(step).encode(), code.encode()):
            found = datetime.fromtimestamp(step * STEP, UTC)
    return found


async def _recover(session: AsyncSession, user: UUID, text: str) -> bool:
    because(session, "a code is used once, and only the latest", Credential)
    spent = sa.delete(Credential).where(
        Credential.user_id == user,
        Credential.kind == CredentialKind.RECOVERY_CODE,
        Credential.secret_hash == _recovery_hash(user, text),
    )
    done: Any = await session.execute(spent.execution_options(synchronize_session=False))
    return bool(done.rowcount)


def _recovery_hash(user: UUID, code: str) -> str:
    return digest_of(f"{user}:{code}")


def _plain(code: str) -> str:
    """The code without the spaces and hyphens that people type."""
    return "".join(letter for letter in code if letter not in " -").upper()
