"""The second factor of an account: set up, confirm by a first code, disable, or remove for a user who lost it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of
from db.models import AuthProvider, Credential, CredentialKind, TwoFactor, User
from db.written import because
from resolvers.access.policies.accounts import ACCOUNT
from resolvers.accounts import one_time_codes, sessions
from resolvers.accounts.one_time_codes import Use
from resolvers.accounts.reauthentication import prove
from resolvers.context import Context
from resolvers.failures import Forbidden, Invalid, Unauthenticated, WrongState
from resolvers.feed import principal_topic
from resolvers.identity import session_store
from resolvers.identity.lookup import two_factor_required
from resolvers.identity.principal import Kind
from resolvers.mail.outbox import Change, tell
from resolvers.writing import rate_limits
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.rows import locked, require


@dataclass(frozen=True, slots=True)
class SetUp:
    """What an authenticator needs: an address for a QR code, and the text to type. Both are None for codes by
    e-mail."""

    method: TwoFactor
    address: str | None = None
    seed: str | None = None


async def set_up(ctx: Context, method: TwoFactor, password: str | None) -> SetUp:
    """Begin to set up a second factor, which takes the password. Nothing changes before its first code."""
    user = sessions.person(ctx)
    if method is TwoFactor.NONE:
        raise Invalid("choose TOTP or EMAIL; disableTwoFactor ends it", field="method")
    limits = ctx.services.limits
    await rate_limits.count_for(ctx, rate_limits.Tries("factor", str(user)), limits.here, limits.anywhere)
    present = (await ctx.database.rows(sa.select(User.two_factor).where(User.id == user)))[0].two_factor
    if password is None:
        raise Invalid("to set up a second factor, give your password", field="password")
    await prove(ctx, user, password, "password")
    async with ctx.database.write() as session:
        row = await _held(session, user)
        if row.two_factor is not present:
            raise WrongState("the second factor was changed meanwhile")
        record(session, ctx, "TWO_FACTOR_BEGUN", "User", user, method=method)
        if method is TwoFactor.TOTP:
            seed = await one_time_codes.new_seed(session, ctx, user)
            return SetUp(method, one_time_codes.address_of(seed, row.username), seed)
        if row.email is None or not row.email_verified:
            raise WrongState("your account has no confirmed e-mail address", field="method")
        await one_time_codes.send(session, ctx, row, Use.SET_UP)
        return SetUp(method)


async def confirm(ctx: Context, code: str) -> Sequence[str]:
    """Turn on the second factor that was set up; returns its recovery codes."""
    user, principal = sessions.person(ctx), ctx.principal
    await one_time_codes.count(ctx, user)
    found: Sequence[str] = ()
    async with ctx.database.write() as session:
        row = await _held(session, user)
        for method in (TwoFactor.TOTP, TwoFactor.EMAIL):
            if await one_time_codes.spend(session, ctx, user, method, code, Use.SET_UP):
                await one_time_codes.forget(
                    session, user, CredentialKind.TOTP, CredentialKind.EMAIL_CODE, use=Use.SIGN_IN
                )
                await session.flush()
                confirmed = sa.update(Credential).where(
                    Credential.user_id == user, Credential.kind == CredentialKind.TOTP
                )
                await session.execute(confirmed.values(label=Use.SIGN_IN.value, expires_at=None))
                row.two_factor = method
                found = await one_time_codes.new_recovery_codes(session, user)
                await rate_limits.clear(session, ctx, one_time_codes.tries(user))
                changed(session, principal_topic(user))
                record(session, ctx, "TWO_FACTOR_SET_UP", "User", user, method=method)
                await tell(session, row, Change.TWO_FACTOR_SET_UP)
                principal = await sessions.renewed(session, ctx)
                break
        else:
            record(session, ctx, "TWO_FACTOR_FAILED", "User", user)
    if not found:
        raise Invalid("the code is wrong or too old; set the second factor up again for another", field="code")
    ctx.become(principal)
    return found


async def disable(ctx: Context, password: str) -> datetime:
    """Turn off the second factor; STATE where a site requires one. Returns when."""
    user = sessions.person(ctx)
    await prove(ctx, user, password, "password")
    async with ctx.database.write() as session:
        row = await _held(session, user)
        if await two_factor_required(session, user):
            raise WrongState("a site that you have a part in wants a second factor")
        await _off(session, row)
        record(session, ctx, "TWO_FACTOR_DISABLED", "User", user)
        return await moment_of(session)


async def remove(ctx: Context, user: UUID) -> UUID:
    """Remove the second factor of a user who lost it, and whose account the principal administers. The login sessions
    of the user end."""
    if user == ctx.principal.id:
        raise Forbidden("your own second factor is disabled by disableTwoFactor")
    async with writing(ctx, "REMOVE_TWO_FACTOR", User, user) as session:
        row = await locked(session, ctx, User, user, field="id")
        await require(session, ctx, row, ACCOUNT, "remove the second factor of")
        if row.two_factor is TwoFactor.NONE:
            raise WrongState("this user has no second factor", field="id")
        await _off(session, row)
        await session_store.end(session, Kind.USER, user)
        record(session, ctx, "TWO_FACTOR_REMOVED", "User", user)
    return user


async def _off(session: AsyncSession, user: User) -> None:
    user.two_factor = TwoFactor.NONE
    await one_time_codes.forget(
        session, user.id, CredentialKind.TOTP, CredentialKind.EMAIL_CODE, CredentialKind.RECOVERY_CODE
    )
    await tell(session, user, Change.TWO_FACTOR_GONE)
    changed(session, principal_topic(user.id))


async def renew_codes(ctx: Context, password: str) -> Sequence[str]:
    """Create new recovery codes; the former ones end."""
    user = sessions.person(ctx)
    await prove(ctx, user, password, "password")
    async with ctx.database.write() as session:
        row = await _held(session, user)
        if row.two_factor is TwoFactor.NONE:
            raise WrongState("there is no second factor to recover; set one up first")
        found = await one_time_codes.new_recovery_codes(session, user)
        changed(session, principal_topic(user))
        record(session, ctx, "NEW_RECOVERY_CODES", "User", user)
        await tell(session, row, Change.RECOVERY_CODES)
        return found


async def _held(session: AsyncSession, user: UUID) -> User:
    because(session, "one's own second factor, once the password is proved", User, Credential)
    row = await sessions.held(session, user)
    if row is None:
        raise Unauthenticated("the account can't sign in any more")
    if row.auth_provider is not AuthProvider.LOCAL:
        raise WrongState("your identity comes from elsewhere, and so does its second factor")
    return row
