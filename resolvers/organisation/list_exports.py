"""Exports of lists: what is put on record, and addresses for browsers."""

from collections.abc import Mapping, Sequence

from resolvers.accounts.tickets import Ticket, ticket
from resolvers.context import Context
from resolvers.writing.audit import record

FOLDER = "exports"


async def note(ctx: Context, name: str, format: str, fields: Sequence[str], filter: str | None) -> None:
    """Record that a list is exported."""
    async with ctx.database.write() as session:
        record(session, ctx, "EXPORT", "List", list=name, format=format, fields=list(fields), filter=filter)


def address(ctx: Context, name: str, query: Mapping[str, str]) -> Ticket:
    """An address from which a browser fetches an export without a header. Access is checked when it is used."""
    return ticket(ctx, (FOLDER, name), query.items())
