"""The conditions of a list beyond what a principal may see."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from resolvers.identity.principal import AccessProfile
from resolvers.reading.shapes import shape


@dataclass(frozen=True, slots=True)
class Where:
    """Conditions beyond visibility: `clauses(entity, suffix, profile)` builds them, with parameters that `values`
    fills. A statement of several lists tells their parameters apart by the suffix. Two are equal when their functions
    have the same `shape`. `searches` is true when they search for a part of a text, which few rows may have."""

    clauses: Callable[[Any, str, AccessProfile], Sequence[Any]] = field(compare=False)
    values: Mapping[str, Any] = field(default_factory=dict, compare=False)
    searches: bool = False
    spans: Mapping[str, timedelta] = field(default_factory=dict, compare=False)
    """How long the times are in which moments are to be, by column."""
    shape: Hashable = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", shape(self.clauses))

    @classmethod
    def equal(cls, column: Any, value: Any) -> "Where":
        """The column has this value."""
        return cls(_equal(column.key), {f"where_{column.key}": value})


@lru_cache(maxsize=2_000)
def _equal(key: str) -> Callable[[Any, str, AccessProfile], Sequence[Any]]:
    def clauses(entity: Any, suffix: str, profile: AccessProfile) -> Sequence[Any]:
        own = getattr(entity, key)
        return [own == sa.bindparam(f"where_{key}{suffix}", type_=own.type)]

    return clauses
