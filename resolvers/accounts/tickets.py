"""Tickets, with which a browser fetches one address of this gateway as a principal, without a header."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

from resolvers.context import Context
from resolvers.identity.principal import Kind
from resolvers.writing.rows import signed_in

LASTS = timedelta(minutes=5)
"""How long a ticket is valid."""
TICKETS = (Kind.USER, Kind.LINK, Kind.PARTICIPANT, Kind.DEVICE, Kind.SERVICE)
"""Who may have tickets."""
TICKET = "ticket"
"""The query parameter that holds the ticket."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """An address that a browser may fetch without a header, and until when."""

    url: str
    expires_at: datetime


def ticket(ctx: Context, path: Sequence[str], query: Iterable[tuple[str, str]]) -> Ticket:
    """Create a ticket for one path, whose parts may hold slashes. Access is checked when it is used."""
    owner, principal = signed_in(ctx), ctx.principal
    expires_at = datetime.now(UTC) + LASTS
    made_with = None if principal.kind is Kind.LINK else principal.session or principal.credential
    query = list(query)
    address = address_of(f"/{'/'.join(path)}", query)
    token = ctx.services.identity.keys.fetch_ticket(principal.kind, owner, made_with, address, LASTS)
    spelled, given = "/".join(quote(part, safe="") for part in path), urlencode([*query, (TICKET, token)])
    return Ticket(f"{ctx.services.entrance.address}/{spelled}?{given}", expires_at)


def address_of(path: str, query: Iterable[tuple[str, str]]) -> str:
    """The address that a ticket is bound to, in one spelling whatever the client's is."""
    return f"{path}?{urlencode(sorted(pair for pair in query if pair[0] != TICKET))}"
