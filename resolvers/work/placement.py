"""Where a job runs: the gateway's own machine or a cluster, and the checked options of the cluster."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db.models import Cluster
from jobs.engine import MOST, WORD
from resolvers.context import Context
from resolvers.failures import Forbidden, Invalid
from resolvers.queue.lifecycle import Place
from resolvers.writing.rows import locked


def checked_options(given: Mapping[str, Any], cluster: UUID | None, within: str = "input.") -> dict[str, Any]:
    """The options that were set; INVALID, with what is allowed, for wrong ones. `within` is the path of the
    argument."""
    options = {name: value for name, value in given.items() if value is not None}
    if options and cluster is None:
        raise Invalid("options are for a cluster; name one", field=f"{within}options")
    for name, value in options.items():
        field = f"{within}options.{name}"
        if name in MOST:
            if not 1 <= value <= MOST[name]:
                raise Invalid(
                    f"{name} must be between 1 and {MOST[name]}, not {value}",
                    field=field,
                    allowed=MOST[name],
                    value=value,
                )
        elif not WORD.fullmatch(value):
            raise Invalid(
                f"{name} has up to 64 letters, digits, dots, dashes and underscores, not first a dash", field=field
            )
    return options


async def chosen_place(
    session: AsyncSession, ctx: Context, cluster: UUID | None, options: Mapping[str, Any], within: str = "input."
) -> Place:
    """The place where the job will run: the gateway's own machine, or a cluster that the principal sees, that is
    enabled, and that this gateway is configured to reach."""
    if cluster is None:
        return Place()
    row = await locked(session, ctx, Cluster, cluster, field=f"{within}cluster")
    if not row.enabled:
        raise Forbidden(f"the cluster {row.name} takes no jobs now", field=f"{within}cluster")
    return Place(row.platform, row.id, options)
