"""Rate limits. Attempts are counted in the database, so all processes share the counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from db.engine import aside, inserting
from db.locks import in_order
from db.models import Attempts
from db.types import later, now
from db.written import because
from resolvers.context import Context
from resolvers.failures import RateLimited
from resolvers.identity.tokens import digest_of
from resolvers.limits import Bound
from resolvers.retention import Sweep

KNOWN, KNOWN_FOR = "known:", 30 * 86_400
"""The prefix of keys which say that someone signed in from an address, and the seconds for which they are stored."""


@dataclass(frozen=True, slots=True)
class Tries:
    """Attempts for an account: `what` names the kind, such as a password, `of` the account."""

    what: str
    of: str

    @property
    def anywhere(self) -> str:
        """The key that counts attempts from all addresses."""
        return f"{self.what}:{digest_of(self.of)[:32]}"

    def here(self, ctx: Context) -> str:
        """The key that counts attempts from the client's address."""
        return f"{self.anywhere}:{digest_of(address_of(ctx))[:32]}"

    def known(self, ctx: Context) -> list[str]:
        """The keys that mark the client's address as known to the account: one by each key of the ring, the current one
        first."""
        return [f"{KNOWN}{mark}" for mark in ctx.services.identity.keys.marks(f"{self.of} {address_of(ctx)}")]


async def count(ctx: Context, bounds: Mapping[str, int], seconds: int) -> None:
    """Count one attempt under each key. It is counted before the check, so that parallel attempts all count.

    Raises RATE_LIMITED when one of the keys was tried more often than its bound within these seconds.
    """
    async with ctx.database.write(as_system="attempts are counted") as session:
        aside(session)
        over = await _over(session, ctx, bounds, seconds)
    if over:
        raise _refused(seconds)


async def count_for(
    ctx: Context, tries: Tries, here: Bound, anywhere: Bound, bounds: Mapping[str, int] | None = None
) -> None:
    """Count one attempt for an account: among those from the client's address (with `bounds` of other keys) and, if
    these are not too many, among those from all addresses. An address from which someone signed in to the account
    within 30 days is known: attempts from there don't count among all, so strangers can't lock the owner out."""
    wait = 0
    async with ctx.database.write(as_system="attempts are counted") as session:
        aside(session)
        if await _over(session, ctx, {**(bounds or {}), tries.here(ctx): here.most}, here.seconds):
            wait = here.seconds
        elif not await _known(session, ctx, tries) and await _over(
            session, ctx, {tries.anywhere: anywhere.most}, anywhere.seconds
        ):
            wait = anywhere.seconds
    if wait:
        raise _refused(wait)


async def entered(session: AsyncSession, ctx: Context, *tries: Tries) -> None:
    """Clear the count of a successful attempt and of the attempts before it from this address, which is known from now
    on."""
    await forgive(session, source_key(ctx))
    await clear(session, ctx, *tries)
    because(session, "an address is known from which an account was entered", Attempts)
    known = [{"key": one.known(ctx)[0], "count": 1, "since": now()} for one in tries]
    again = inserting(session, Attempts).values(sorted(known, key=lambda row: str(row["key"])))
    await session.execute(again.on_conflict_do_update(index_elements=[Attempts.key], set_={"since": now()}))


async def clear(session: AsyncSession, ctx: Context, *tries: Tries) -> None:
    """After a successful attempt from an address: clear the failed ones before it from there. From an address that is
    not known, the successful one is also taken out of the count of all addresses."""
    because(session, "a right try no longer counts", Attempts)
    gone = sa.delete(Attempts).where(Attempts.key.in_([one.here(ctx) for one in tries]))
    await in_order(session, gone)
    for one in sorted(tries, key=lambda one: one.anywhere):
        known = sa.exists(_marks(ctx, one, aliased(Attempts)))
        await forgive(session, one.anywhere, sa.not_(known))


async def forget(session: AsyncSession, tries: Tries) -> None:
    """Clear all counts of these attempts, from any address."""
    gone = sa.delete(Attempts).where(Attempts.key.startswith(tries.anywhere, autoescape=True))
    await in_order(session, gone)


async def expect_room(session: AsyncSession, key: str, bound: Bound) -> None:
    """Raise RATE_LIMITED when so many were counted already, without counting."""
    counted = sa.select(Attempts.key).where(
        Attempts.key == key, Attempts.count >= bound.most, Attempts.since >= later(-bound.seconds)
    )
    if await session.scalar(counted) is not None:
        raise _refused(bound.seconds)


def address_of(ctx: Context) -> str:
    """The address of a client; for IPv6 the network of 64 bits, which one client has as a whole."""
    address = str(ctx.client.get("ip", "unknown"))
    try:
        known = IPv6Address(address)
    except AddressValueError:
        return address
    return str(known.ipv4_mapped or f"{IPv6Address(int(known) >> 64 << 64)}/64")


async def forgive(session: AsyncSession, key: str, *which: sa.ColumnElement[bool]) -> None:
    """Take one attempt out of the count: it was right."""
    because(session, "a right try no longer counts", Attempts)
    less = sa.update(Attempts).where(Attempts.key == key, Attempts.count > 0, *which).values(count=Attempts.count - 1)
    await session.execute(less.execution_options(synchronize_session=False))


def source_key(ctx: Context) -> str:
    """The key that counts all attempts from one source."""
    return f"address:{address_of(ctx)}"


async def _over(session: AsyncSession, ctx: Context, bounds: Mapping[str, int], seconds: int) -> bool:
    """Count one attempt under each key; returns whether one was tried too often. Keys are locked in one order, so that
    parallel transactions don't wait for each other."""
    over = Attempts.since < later(-seconds)
    tried: dict[str, int] = {}
    for key in sorted(bounds):
        statement = inserting(session, Attempts).values(key=key, count=1, since=now())
        counted = statement.on_conflict_do_update(
            index_elements=[Attempts.key],
            set_={
                "count": sa.case((over, 1), else_=Attempts.count + 1),
                "since": sa.case((over, now()), else_=Attempts.since),
            },
        )
        tried[key] = (await session.scalars(counted.returning(Attempts.count))).one()
    return any(tried[key] > most for key, most in bounds.items())


async def _known(session: AsyncSession, ctx: Context, tries: Tries) -> bool:
    return (await session.execute(_marks(ctx, tries, Attempts).limit(1))).first() is not None


def _marks(ctx: Context, tries: Tries, marked: Any) -> Any:
    """The stored marks of known addresses of the account, for the client's address."""
    return sa.select(marked.key).where(marked.key.in_(tries.known(ctx)), marked.since >= later(-KNOWN_FOR))


def _refused(seconds: int) -> RateLimited:
    return RateLimited(f"too many attempts; wait {seconds} seconds", retryAfterSeconds=seconds)


def sweep() -> Sweep:
    """The sweep of counts that are a day old, and of known addresses past their time."""
    outdated = sa.or_(sa.not_(Attempts.key.startswith(KNOWN)), Attempts.since < later(-KNOWN_FOR))
    return Sweep.of_rows(Attempts, 1, lambda before: sa.and_(Attempts.since < before, outdated))
