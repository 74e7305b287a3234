"""Building blocks of the rules: SQL clauses about a row and the principal who asks.

A clause's text depends on the access profile alone. Who the principal is comes as the parameters `me`, `projects`,
`administered`, `sites` and `administered_sites`.
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
"""Literals, because SQLAlchemy drops the clauses beside its own `false()`, and with them the joins of a statement."""


def all_of(*clauses: Clause) -> Clause:
    """All clauses hold; constants are left out."""
    left = [clause for clause in clauses if clause is not TRUE]
    if any(clause is FALSE for clause in left):
        return FALSE
    return sa.and_(*left) if left else TRUE


def any_of(*clauses: Clause) -> Clause:
    """At least one clause holds; constants are left out."""
    left = [clause for clause in clauses if clause is not FALSE]
    if any(clause is TRUE for clause in left):
        return TRUE
    return sa.or_(*left) if left else FALSE


def me(column: Any, profile: AccessProfile, kind: Kind = Kind.USER) -> Clause:
    """The column holds the principal's key, and the principal is of this kind and may act."""
    held = profile.kind is kind and profile.full
    return column == sa.bindparam("me", type_=Key()) if held else FALSE


def among_if(held: bool, column: Any, parameter: str) -> Clause:
    return among(column, parameter) if held else FALSE


def of_kind(*kinds: Kind) -> Callable[[Any, AccessProfile], Clause]:
    return lambda _, profile: TRUE if profile.kind in kinds and profile.full else FALSE


def some(tables: Any, *clauses: Clause) -> Clause:
    """The joined tables have a row that meets all clauses. Other tables in the clauses belong to the enclosing
    statements, at any level."""
    found: Any = sa.select(sa.literal_column("1")).select_from(tables).where(*clauses)
    return sa.exists(found.correlate_except(tables))
