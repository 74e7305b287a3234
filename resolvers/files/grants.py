"""Grants, with which one upload is brought in place of its owner's credentials, by a client that can send a header."""

from datetime import timedelta
from uuid import UUID

from resolvers.context import Context
from resolvers.failures import Unauthenticated
from resolvers.identity.principal import WRITE, Kind
from resolvers.identity.tokens import Fetch
from resolvers.writing.rows import signed_in

LASTS = timedelta(days=7)
PLACE = "/uploads"
"""The constant address at which uploads begin; each has its own below it."""


def grant(ctx: Context, key: UUID) -> str | None:
    """A grant for one upload of the principal's own. It ends with the login session that it was asked for in. None for
    services, which send their token, and for keys that may only read."""
    principal = ctx.principal
    reads_only = principal.scopes is not None and WRITE not in principal.scopes
    if principal.kind is not Kind.USER or principal.duties or reads_only:
        return None
    made_with = principal.session or principal.credential
    return ctx.services.identity.keys.fetch_ticket(Kind.USER, signed_in(ctx), made_with, f"{PLACE}/{key}", LASTS)


def granted(said: Fetch) -> UUID:
    """The upload that a grant is for."""
    place, _, key = said.address.rpartition("/")
    if place != PLACE:
        raise Unauthenticated("this is no grant for an upload")
    return UUID(key)
