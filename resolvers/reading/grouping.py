"""Groups of the rows of a list: how many have the same values, and sums of their numbers."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum
from functools import cache
from typing import Any
from zoneinfo import available_timezones

import sqlalchemy as sa

from db.aliases import Alias
from db.buckets import Bucket
from db.models import Entity
from db.prepared import Statement
from db.types import Instant
from resolvers.access.clauses import TRUE
from resolvers.access.policy import policy_of
from resolvers.access.visibility import may_read, visible
from resolvers.failures import Invalid, LimitExceeded, check_limit
from resolvers.identity.principal import AccessProfile
from resolvers.reading.aggregates import Bucketed, Start, Total
from resolvers.reading.conditions import Where
from resolvers.reading.relationships import Relationship, ends

DIMENSIONS, GROUPS = 2, 1_000
"""The most dimensions of a list of groups, and the most groups."""
_LEAST = {
    Bucket.HOUR: timedelta(hours=1),
    Bucket.DAY: timedelta(hours=23),
    Bucket.WEEK: timedelta(days=7),
    Bucket.MONTH: timedelta(days=28),
}
"""The least time of a bucket."""


class How(Enum):
    """How the numbers of a group become one."""

    SUM = "sum"
    MIN = "min"
    MAX = "max"
    AVG = "avg"


@dataclass(frozen=True, slots=True)
class Measure:
    """What is computed of the numbers in a column."""

    how: How
    key: str

    @property
    def shape(self) -> Hashable:
        return self

    def values(self, _: str) -> dict[str, Any]:
        return {}


@dataclass(frozen=True, slots=True)
class Grouping:
    """Rows of a model by their values of some columns, each a dimension: of a moment, by the `bucket` that it is in by
    the clocks of a `zone`; of a reference, by the row there, if the principal sees that. A value that the principal may
    not read counts as null."""

    model: type[Entity]
    keys: tuple[str, ...]
    bucket: Bucket
    zone: str

    @property
    def shape(self) -> Hashable:
        return self.model, self.keys, self.bucket

    def values(self, suffix: str) -> dict[str, Any]:
        return {f"zone{suffix}": self.zone}

    @property
    def unzoned(self) -> "Grouping":
        """The same for all zones, by which statements are kept."""
        return replace(self, zone="")

    @property
    def moments(self) -> list[str]:
        return [key for key in self.keys if _moment(self.model, key)]

    def columns(self, entity: Any, profile: AccessProfile, measures: Sequence[Measure], suffix: str) -> list[Any]:
        """What is read of each row, of an alias of the model."""
        found = [
            self._dimension(entity, key, profile, suffix).label(f"dimension{number}")
            for number, key in enumerate(self.keys)
        ]
        for key in dict.fromkeys(measure.key for measure in measures):
            found.append(_readable(entity, key, profile, getattr(entity, key)).label(f"number_{key}"))
        return found

    def grouped(self, rows: Any, measures: Sequence[Measure], suffix: str, *, by: Sequence[Any] = ()) -> Statement:
        """The groups of the `rows` that have these columns: `dimension0` and so on, `count`, and `measure0` and so
        on. `by` are further columns of the rows."""
        own = [rows.c[f"dimension{number}"] for number, _ in enumerate(self.keys)]
        labelled = [
            (Start(self.bucket, column, _zone(suffix)) if _moment(self.model, key) else column).label(column.name)
            for key, column in zip(self.keys, own, strict=True)
        ]
        numbers = [
            _measured(measure.how, rows.c[f"number_{measure.key}"]).label(f"measure{n}")
            for n, measure in enumerate(measures)
        ]
        statement = sa.select(*by, *labelled, sa.func.count().label("count"), *numbers).select_from(rows)
        order = [part for key, column in zip(self.keys, own, strict=True) for part in _ordered(self.model, key, column)]
        return statement.group_by(*by, *own).order_by(*order)

    def made(self, rows: Sequence[Any], measures: Sequence[Measure]) -> Sequence["Group"]:
        """The groups of rows that `grouped` gave; raises LimitExceeded for too many."""
        if len(rows) > GROUPS:
            raise too_many()
        return [Group.of(row, self, measures) for row in rows]

    def check(self, where: Where | None) -> None:
        """Raise LimitExceeded where the filter names a time that has too many buckets."""
        for key in self.moments:
            span = None if where is None else where.spans.get(key)
            if span is None:
                continue
            number = int(span / _LEAST[self.bucket])
            times = f"the filter names a time of {number:,} {self.bucket.value}s"
            told = f"{times}; groups are at most {GROUPS:,}: name a shorter time, or a longer bucket"
            check_limit(told, number, GROUPS, limit="buckets", field="bucket")

    def _dimension(self, entity: Any, key: str, profile: AccessProfile, suffix: str) -> Any:
        column = getattr(entity, _column(self.model, key))
        if (relationship := _relationship(self.model, key)) is not None:
            target = Alias(relationship.property.mapper.class_)
            seen = sa.select(target.id).where(visible(target, profile))
            return sa.case((column.in_(seen.correlate(None)), column))
        value = Bucketed(self.bucket, column, _zone(suffix)) if _moment(self.model, key) else column
        return _readable(entity, key, profile, value)


def grouping(model: type[Entity], keys: Sequence[str], bucket: Bucket, zone: str) -> Grouping:
    """A grouping; raises INVALID for an unknown time zone and for a dimension given twice, LIMIT_EXCEEDED for too many
    or no dimensions."""
    if zone not in _zones():
        raise Invalid("this is no time zone; give its name, such as Europe/Zurich or UTC", field="timeZone")
    told = f"groups are by one value or by {DIMENSIONS}"
    if not keys:
        raise Invalid(told, field="by")
    check_limit(told, len(keys), DIMENSIONS, limit="dimensions", field="by")
    if len(set(keys)) < len(keys):
        raise Invalid("groups are by different values", field="by")
    return Grouping(model, tuple(keys), bucket, zone)


def too_many(number: int | None = None) -> LimitExceeded:
    told = f"there are more than {GROUPS:,} groups: give a filter, or larger buckets"
    return LimitExceeded(told, limit="groups", allowed=GROUPS, value=number or GROUPS + 1)


@dataclass(frozen=True, slots=True)
class Group:
    """A group as a row: its values by dimension, the number of its rows, and its measures."""

    keys: Mapping[str, Any]
    count: int
    measures: Mapping[Measure, float | None]

    @classmethod
    def of(cls, row: Any, grouping: Grouping, measures: Sequence[Measure]) -> "Group":
        return cls(
            {key: getattr(row, f"dimension{number}") for number, key in enumerate(grouping.keys)},
            row.count,
            {measure: getattr(row, f"measure{number}") for number, measure in enumerate(measures)},
        )


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones()) - {"localtime", "Factory"}


def _zone(suffix: str) -> Any:
    return sa.bindparam(f"zone{suffix}", type_=sa.Text())


def _relationship(model: type[Entity], key: str) -> Relationship | None:
    return getattr(model, key) if key in sa.inspect(model).relationships else None


def _column(model: type[Entity], key: str) -> str:
    """The attribute of a dimension: the column, or the foreign key of a reference."""
    relationship = _relationship(model, key)
    return key if relationship is None else ends(relationship)[0]


def _moment(model: type[Entity], key: str) -> bool:
    return isinstance(sa.inspect(model).mapper.columns[_column(model, key)].type, Instant)


def _readable(entity: Any, key: str, profile: AccessProfile, value: Any) -> Any:
    """A value of a column, null where the principal may not read that."""
    may = may_read(policy_of(entity._model).guard(key), entity, profile)
    return value if may is TRUE else sa.case((may, value))


def _ordered(model: type[Entity], key: str, column: Any) -> list[Any]:
    """The order of groups by a dimension: of an enumeration as it is declared, null last."""
    kind = column.type
    if isinstance(kind, sa.Enum):
        column = sa.case(
            *(
                (column == sa.literal_column(f"'{name}'"), sa.literal_column(str(n)))
                for n, name in enumerate(kind.enums)
            )
        )
    return [column.is_(None), column]


def _measured(how: How, column: Any) -> Any:
    if how in (How.MIN, How.MAX):
        return sa.cast(getattr(sa.func, how.value)(column), sa.Float())
    number = sa.func.nullif(sa.func.count(column), sa.literal_column("0"))
    total = Total(column)
    return total / sa.cast(number, sa.Float()) if how is How.AVG else sa.case((number.is_not(None), total))
