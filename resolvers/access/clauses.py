"""Clauses of SQL about a row: whether something holds of it for a principal of some access profile.

They depend on the access profile; who the principal is comes as the parameters `me`, `projects`, `administered`,
`sites` and `administered_sites`.
"""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from db.keys import among
from db.types import Key
from resolvers.identity.principal import AccessProfile, Kind

Clause = sa.ColumnElement[bool]

TRUE: Clause = sa.literal_column("true", sa.Boolean())
FALSE: Clause = sa.literal_column("false", sa.Boolean())
"""Literals: SQLAlchemy drops what stands beside its own `false()`, and with it the joins of a statement."""


def all_of(*clauses: Clause) -> Clause:
    """Every one holds; the constants fall away."""
    left = [clause for clause in clauses if clause is not TRUE]
    if any(clause is FALSE for clause in left):
        return FALSE
    return sa.and_(*left) if left else TRUE


def any_of(*clauses: Clause) -> Clause:
    """One holds; the constants fall away."""
    left = [clause for clause in clauses if clause is not FALSE]
    if any(clause is TRUE for clause in left):
        return TRUE
    return sa.or_(*left) if left else FALSE


def me(column: Any, profile: AccessProfile, kind: Kind = Kind.USER) -> Clause:
    """The column holds the principal's key, who is of this kind and may act."""
    held = profile.kind is kind and profile.full
    return column == sa.bindparam("me", type_=Key()) if held else FALSE


def among_if(held: bool, column: Any, parameter: str) -> Clause:
    return among(column, parameter) if held else FALSE


def of_kind(*kinds: Kind) -> Callable[[Any, AccessProfile], Clause]:
    return lambda _, profile: TRUE if profile.kind in kinds and profile.full else FALSE


def some(tables: Any, *clauses: Clause) -> Clause:
    """There is a row of joined tables that meets all clauses. What else they name is of the statements around it,
    however far."""
    found: Any = sa.select(sa.literal_column("1")).select_from(tables).where(*clauses)
    return sa.exists(found.correlate_except(tables))
