"""Links that share one simulation. The secret is shown once, when the link is made; the common mutation deletes it."""

from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from db.engine import moment_of
from db.models import Simulation, SimulationLink
from db.searching.folding import composed
from db.types import instant_text
from resolvers.access.policy import policy_of
from resolvers.accounts.api_keys import Issued, new_secret
from resolvers.context import Context
from resolvers.failures import Invalid, LimitExceeded
from resolvers.identity.tokens import digest_of
from resolvers.retention import Sweep
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.rows import locked, require, signed_in

USUAL, LONGEST = timedelta(days=7), timedelta(days=90)
"""How long a link is valid by default, and at most."""
MOST = 50
"""The most live links of one simulation."""
LABEL = 100


async def create(ctx: Context, simulation: UUID, label: str = "", expires_at: datetime | None = None) -> Issued:
    """Create a link to a simulation that the principal owns; `credential` is its key.

    INVALID for an end that is past or too far away, LIMIT_EXCEEDED when too many links are live.
    """
    async with writing(ctx, "CREATE", SimulationLink) as session:
        await locked(session, ctx, Simulation, simulation, field="simulation")
        moment, secret = await moment_of(session), new_secret("sl")
        link = SimulationLink(
            simulation_id=simulation,
            user_id=signed_in(ctx),
            secret_hash=digest_of(secret),
            expires_at=moment + USUAL,
        )
        session.add(link)
        await session.flush()
        await require(session, ctx, link, policy_of(SimulationLink).create, "make")
        link.label, link.expires_at = _label(label), _end(moment, expires_at)
        await session.flush()
        held = sa.select(sa.func.count()).where(
            SimulationLink.simulation_id == simulation, SimulationLink.expires_at > moment
        )
        if (count := await session.scalar(held) or 0) > MOST:
            raise LimitExceeded(
                f"at most {MOST} links to a simulation hold at once; delete one first",
                limit="links",
                allowed=MOST,
                value=count,
            )
        record(session, ctx, "CREATE", "SimulationLink", link.id, simulation=simulation, label=link.label)
        return Issued(link.id, secret)


def _end(moment: datetime, asked: datetime | None) -> datetime:
    last = moment + LONGEST
    if asked is None:
        return moment + USUAL
    if not moment < asked <= last:
        raise Invalid(
            f"a link ends in the future, at most {LONGEST.days} days from now",
            field="expiresAt",
            allowed=instant_text(last),
        )
    return asked


def _label(label: str) -> str:
    label = composed(label.strip())
    if len(label) > LABEL or not label.isprintable():
        raise Invalid(f"a label has at most {LABEL} characters that can be seen", field="label")
    return label


def sweep() -> Sweep:
    """The sweep of links that expired a day ago."""
    return Sweep.of_rows(SimulationLink, 1, lambda before: SimulationLink.expires_at < before)
