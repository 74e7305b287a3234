"""How often something is tried, counted in the database, so that every process counts the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from db.engine import aside
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
"""How keys begin that say that someone signed in from an address, and the seconds for which they are kept."""


@dataclass(frozen=True, slots=True)
class Tries:
    """What is tried for an account: `what` names it, such as a password, `of` the account."""

    what: str
    of: str

    @property
    def anywhere(self) -> str:
        """Under which the tries from all addresses are counted."""
        return f"{self.what}:{digest_of(self.of)[:32]}"

    def here(self, ctx: Context) -> str:
        """Under which those from the client's address are counted."""
        return f"{self.anywhere}:{digest_of(address_of(ctx))[:32]}"

    def known(self, ctx: Context) -> list[str]:
        """Under which it is kept that the account was entered from this address: by each key of the ring, the present
        one first."""
        return [f"{KNOWN}{mark}" for mark in ctx.services.identity.keys.marks(f"{self.of} {address_of(ctx)}")]


async def count(ctx: Context, bounds: Mapping[str, int], seconds: int) -> None:
    """Count one try under each key, before it is looked at, so that tries side by side all count.

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
    """Count one try for an account: among those from the client's address (with `bounds` of other keys), and if these
    are not too many among those from all addresses. What strangers try keeps nobody out who comes from an address from
    which the account was entered within 30 days: tries from there are not counted among all."""
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
    """No longer count what was right, nor what was tried before it from this address, which is known from now on."""
    await forgive(session, source_key(ctx))
    await clear(session, ctx, *tries)
    because(session, "an address is known from which an account was entered", Attempts)
    insert = _insert(ctx)
    known = [{"key": one.known(ctx)[0], "count": 1, "since": now()} for one in tries]
    again = insert(Attempts).values(sorted(known, key=lambda row: str(row["key"])))
    await session.execute(again.on_conflict_do_update(index_elements=[Attempts.key], set_={"since": now()}))


async def clear(session: AsyncSession, ctx: Context, *tries: Tries) -> None:
    """After a right one, the wrong ones before it from this address no longer count, and it itself does not among
    those from everywhere, where it did: from an address that is not known."""
    because(session, "a right try no longer counts", Attempts)
    gone = sa.delete(Attempts).where(Attempts.key.in_([one.here(ctx) for one in tries]))
    await in_order(session, gone)
    for one in sorted(tries, key=lambda one: one.anywhere):
        known = sa.exists(_marks(ctx, one, aliased(Attempts)))
        await forgive(session, one.anywhere, sa.not_(known))


async def forget(session: AsyncSession, tries: Tries) -> None:
    """Count nothing of what was tried so far, from anywhere."""
    gone = sa.delete(Attempts).where(Attempts.key.startswith(tries.anywhere, autoescape=True))
    await in_order(session, gone)


async def expect_room(session: AsyncSession, key: str, bound: Bound) -> None:
    """Raise RATE_LIMITED where so much was counted already, without counting."""
    counted = sa.select(Attempts.key).where(
        Attempts.key == key, Attempts.count >= bound.most, Attempts.since >= later(-bound.seconds)
    )
    if await session.scalar(counted) is not None:
        raise _refused(bound.seconds)


def address_of(ctx: Context) -> str:
    """Where a client comes from: its address, of IPv6 the network of 64 bits that one client has."""
    address = str(ctx.client.get("ip", "unknown"))
    try:
        known = IPv6Address(address)
    except AddressValueError:
        return address
    return str(known.ipv4_mapped or f"{IPv6Address(int(known) >> 64 << 64)}/64")


async def forgive(session: AsyncSession, key: str, *which: sa.ColumnElement[bool]) -> None:
    """No longer count one try: it was right."""
    because(session, "a right try no longer counts", Attempts)
    less = sa.update(Attempts).where(Attempts.key == key, Attempts.count > 0, *which).values(count=Attempts.count - 1)
    await session.execute(less.execution_options(synchronize_session=False))


def source_key(ctx: Context) -> str:
    """Under which all tries from one place are counted."""
    return f"address:{address_of(ctx)}"


async def _over(session: AsyncSession, ctx: Context, bounds: Mapping[str, int], seconds: int) -> bool:
    """Count one try under each key; whether one was tried too often. Keys are taken in one order, so that transactions
    side by side don't wait for each other."""
    over = Attempts.since < later(-seconds)
    tried: dict[str, int] = {}
    for key in sorted(bounds):
        statement = _insert(ctx)(Attempts).values(key=key, count=1, since=now())
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
    """What is kept of addresses from which the account was entered, of the client's."""
    return sa.select(marked.key).where(marked.key.in_(tries.known(ctx)), marked.since >= later(-KNOWN_FOR))


def _insert(ctx: Context) -> Any:
    return postgresql.insert if ctx.database.dialect == "postgresql" else sqlite.insert


def _refused(seconds: int) -> RateLimited:
    return RateLimited(f"too many attempts; wait {seconds} seconds", retryAfterSeconds=seconds)


def sweep() -> Sweep:
    """Counts of a day ago, and addresses that were known for longer than they are kept."""
    outdated = sa.or_(sa.not_(Attempts.key.startswith(KNOWN)), Attempts.since < later(-KNOWN_FOR))
    return Sweep.of_rows(Attempts, 1, lambda before: sa.and_(Attempts.since < before, outdated))
