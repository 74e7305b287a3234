"""Whether the parents of a row are alive: rows that can't be deleted by themselves go with what they belong to."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from db.aliases import Alias
from resolvers.access.clauses import Clause


def of_live(*relationships: Any) -> Callable[[Any], Clause]:
    """Rows whose parents at the other end of these relationships are all alive."""

    def clause(entity: Any) -> Clause:
        gone = []
        for relationship in relationships:
            ((local, _),) = relationship.property.local_remote_pairs
            place = Alias(relationship.property.mapper.class_)
            gone.append(sa.exists().where(place.id == getattr(entity, local.key), place.deleted_at.is_not(None)))
        return sa.not_(sa.or_(*gone))

    return clause
