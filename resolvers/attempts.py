"""How often something is tried, counted in the database, so that every process counts the same."""

from collections.abc import Mapping
from ipaddress import AddressValueError, IPv6Address

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Attempts
from db.types import later, now
from db.written import because
from resolvers.context import Context
from resolvers.failures import RateLimited


async def count(ctx: Context, bounds: Mapping[str, int], seconds: int) -> None:
    """Count one try under each key, before it is looked at, so that tries side by side all count.

    Raises RATE_LIMITED when one of the keys was tried more often than its bound within these seconds.
    """
    insert = postgresql.insert if ctx.database.dialect == "postgresql" else sqlite.insert
    over = Attempts.since < later(-seconds)
    tried: dict[str, int] = {}
    async with ctx.database.write(as_system="attempts are counted") as session:
        for key in sorted(bounds):
            statement = insert(Attempts).values(key=key, count=1, since=now())
            counted = statement.on_conflict_do_update(
                index_elements=[Attempts.key],
                set_={
                    "count": sa.case((over, 1), else_=Attempts.count + 1),
                    "since": sa.case((over, now()), else_=Attempts.since),
                },
            )
            tried[key] = (await session.scalars(counted.returning(Attempts.count))).one()
    if any(tried[key] > most for key, most in bounds.items()):
        raise RateLimited(f"too many attempts; wait {seconds} seconds", retryAfterSeconds=seconds)


def address_of(ctx: Context) -> str:
    """Where a client comes from: its address, of IPv6 the network of 64 bits that one client has."""
    address = str(ctx.client.get("ip", "unknown"))
    try:
        known = IPv6Address(address)
    except AddressValueError:
        return address
    return str(known.ipv4_mapped or f"{IPv6Address(int(known) >> 64 << 64)}/64")


async def forgive(session: AsyncSession, key: str) -> None:
    """No longer count one try: it was right."""
    because(session, "a right try no longer counts", Attempts)
    less = sa.update(Attempts).where(Attempts.key == key, Attempts.count > 0).values(count=Attempts.count - 1)
    await session.execute(less.execution_options(synchronize_session=False))


def source_key(ctx: Context) -> str:
    """Under which all tries from one place are counted."""
    return f"address:{address_of(ctx)}"
