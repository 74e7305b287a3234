"""Ask a signed-in user for the password again, before an action that a stolen token must not allow."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from db.models import Credential, CredentialKind
from resolvers.context import Context
from resolvers.failures import Invalid
from resolvers.writing import rate_limits
from resolvers.writing.rate_limits import Tries


def tries(user: UUID) -> Tries:
    return Tries("password", str(user))


async def prove(ctx: Context, user: UUID, password: str, field: str) -> Any:
    """The id and hash of the user's password if it is this one; INVALID for a wrong one, RATE_LIMITED after too
    many."""
    limits = ctx.services.limits
    await rate_limits.count_for(ctx, tries(user), limits.here, limits.anywhere)
    mine = sa.select(Credential.id, Credential.secret_hash).where(
        Credential.user_id == user, Credential.kind == CredentialKind.PASSWORD
    )
    stored = next(iter(await ctx.database.rows(mine)), None)
    if (
        not await ctx.services.identity.passwords.verify(stored.secret_hash if stored else None, password)
        or stored is None
    ):
        raise Invalid("the password is wrong", field=field)
    async with ctx.database.write() as session:
        await rate_limits.clear(session, ctx, tries(user))
    return stored
