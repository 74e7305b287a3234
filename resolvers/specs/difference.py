"""What differs between two versions of specs."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from db.models import SpecVersion
from jobs.specs.comparing import Action, Change, Part, changes
from jobs.specs.tables import Tables
from resolvers.access.visibility import visible
from resolvers.context import Context
from resolvers.failures import Invalid, NotFound, WrongState
from resolvers.specs.reading import tables_of

__all__ = ["CHANGES", "Action", "Part", "difference"]

CHANGES = 1_000
"""The most changes that are told."""


async def difference(ctx: Context, version: UUID, other: UUID) -> Sequence[Change]:
    """The changes from a version to another one, in the order of the latter. NOT_FOUND for one that is not there,
    STATE for one that describes no tables."""
    rows = [(await _version(ctx, key, field), field) for key, field in ((version, "version"), (other, "other"))]

    def compared() -> Sequence[Change]:
        return changes(*(_tables(row, field) for row, field in rows))

    return await ctx.services.jobs.inputs.run(ctx.lane, compared)


def _tables(row: Any, field: str) -> Tables:
    try:
        return tables_of(row.source, row.language)
    except Invalid as invalid:
        raise WrongState(f"this version can't be compared: {invalid.message}", field=field) from None


async def _version(ctx: Context, key: UUID, field: str) -> Any:
    seen = visible(SpecVersion, ctx.principal.profile)
    wanted = sa.select(SpecVersion.source, SpecVersion.language).where(SpecVersion.id == key, seen)
    rows = await ctx.database.rows(wanted, dict(ctx.principal.parameters))
    if not rows:
        raise NotFound("no SpecVersion with this id", field=field)
    return rows[0]
