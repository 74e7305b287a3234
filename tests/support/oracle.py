"""What lists must answer, by brute force over all rows: filtered, sorted and grouped in Python.

Who sees what comes from the matrix, which is written by hand. Of the gateway it takes the declarations of models and
types alone: which columns and relationships there are.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from db import models as m
from db.searching.folding import fold
from resolvers.reading.ranges import numbers_in
from resolvers.spelling import global_id
from schema.fields.declarations import NODES
from schema.fields.scalars import BigInt, parse_id
from tests.support.diverse import SINCE
from tests.support.matrix import FIELDS, Stage, may

KINDS = ("Simulation", "Job", "Task", "Session", "SessionEvent", "Participant", "ParticipantGroup", "Device")
"""The types whose rows are diverse."""
ROLES = ("AN", "US", "OW", "PU", "PA", "SU", "SA", "SV", "XA")
"""Those for whom all rows here are like the one of the matrix."""


class Untold(Exception):
    """The matrix does not say who sees a row."""


@dataclass
class Oracle:
    """`rows` are all rows by model and key, `links` the pairs of keys in each table between two."""

    stage: Stage
    rows: Mapping[Any, Mapping[UUID, Any]]
    links: Mapping[str, Sequence[Any]]
    here: set[UUID]
    own: set[UUID]
    """Those of owen's rows that are in no project."""
    role: str = "XA"

    @classmethod
    async def of(cls, stage: Stage) -> "Oracle":
        database = stage.rendered.services.database
        rows: dict[Any, dict[UUID, Any]] = {}
        links = {}
        for node in NODES.values():
            attributes = sa.inspect(node.model).column_attrs
            columns = [getattr(node.model, c.key) for c in attributes if isinstance(c.columns[0], sa.Column)]
            rows[node.model] = {row.id: row for row in await database.rows(sa.select(*columns))}
            for relationship in sa.inspect(node.model).relationships:
                if (link := relationship.secondary) is not None and link.name not in links:
                    links[link.name] = await database.rows(sa.select(*link.c))
        place = stage.world.here
        here, own = (
            {row.id for row in rows[m.Simulation].values() if (row.project_id, row.user_id) == whose}
            for whose in ((place.project, stage.added["owen"]), (None, stage.added["owen"]))
        )
        for some in (here, own):
            some |= {row.id for row in rows[m.Job].values() if row.simulation_id in some}
            some |= {row.id for row in rows[m.Task].values() if row.job_id in some}
        for model in (m.Session, m.Participant, m.ParticipantGroup):
            here |= {row.id for row in rows[model].values() if row.project_id == place.project}
        here |= {row.id for row in rows[m.SessionEvent].values() if row.session_id in here}
        here |= {one.device_id for one in links["project_devices"] if one.project_id == place.project}
        return cls(stage, rows, links, here, own)

    def seen(self, model: Any, row: Any) -> bool:
        """Whether the role sees a row; raises Untold."""
        if getattr(row, "deleted_at", None) is not None:
            return False
        if self.role == "XA":
            return True
        name = NODES[model].name
        if name in KINDS and row.created_at >= SINCE:
            return (row.id in self.here and may(name, self.role, "R")) or (row.id in self.own and self.role == "OW")
        for kind in ("Project", "Site", "SessionType", "DeviceType"):
            if name == kind and row.id in (self.stage.here.get(kind), self.stage.there.get(kind)):
                return row.id == self.stage.here[kind] and may(kind, self.role, "R")
        if name == "User" and self.role != "SV":
            return may("User", self.role, "R")
        raise Untold(name)

    def readable(self, model: Any, row: Any, field: str) -> bool:
        """Whether the role reads a field of a row that it sees."""
        readers = FIELDS.get(f"{NODES[model].name}.{field}")
        if readers is None or self.role == "XA":
            return True
        if model is m.User:
            raise Untold("names")
        return self.role in readers.split()

    # Filters

    def listed(self, model: Any, given: Mapping[str, Any]) -> list[Any]:
        """The diverse rows that the role sees and that meet a filter."""
        rows = (row for row in self.rows[model].values() if row.created_at >= SINCE)
        return [row for row in rows if self.seen(model, row) and self.meets(model, row, given)]

    def meets(self, model: Any, row: Any, given: Mapping[str, Any]) -> bool:
        return all(self._holds(model, row, name, value) for name, value in given.items() if not blank(value))

    def _holds(self, model: Any, row: Any, name: str, value: Any) -> bool:
        if name == "and":
            return all(self.meets(model, row, one) for one in value if not blank(one))
        if name == "or":
            return any(self.meets(model, row, one) for one in value if not blank(one))
        if name == "not":
            return not self.meets(model, row, value)
        if name == "isNull":
            return value is False
        if name == "ids":
            return row.id in {parse_id(id)[1] for id in value}
        if name == "text":
            return self._searched(model, row, value)
        if name == "during":
            return _lasts(row, NODES[model].lasting, value)
        field = self._field(model, name)
        relationship = getattr(field, "relationship", None) or getattr(field, "source", None)
        if relationship is None:
            return self._compares(model, row, field, value)
        target = relationship.property.mapper.class_
        found = self._beyond(target, row, relationship)
        if "order" in vars(field) and getattr(field, "order", None) and hasattr(field, "relationship"):
            order = field.order
            found = sorted(found, key=lambda one: order.values(one), reverse=order.descending)[:1]
        if hasattr(field, "source"):
            ways = {way: inner for way, inner in value.items() if not blank(inner)}
            met = {
                way: way == "isEmpty" or any(self.meets(target, one, inner) for one in found)
                for way, inner in ways.items()
            }
            if "isEmpty" in met and (not found) != value["isEmpty"]:
                return False
            return met.get("some", True) and not met.get("none", False)
        return any(self.meets(target, one, value) for one in found) if found else self._of_none(target, value)

    def _of_none(self, model: Any, given: Mapping[str, Any]) -> bool:
        """Whether a filter holds where there is no row."""
        return all(self._none_holds(model, name, value) for name, value in given.items() if not blank(value))

    def _none_holds(self, model: Any, name: str, value: Any) -> bool:
        if name in ("and", "or"):
            return (all if name == "and" else any)(self._of_none(model, one) for one in value if not blank(one))
        if name == "not":
            return not self._of_none(model, value)
        if name == "isNull":
            return bool(value)
        field = None if name in ("ids", "text", "during") else self._field(model, name)
        if getattr(field, "relationship", None) is not None:
            return self._of_none(field.relationship.property.mapper.class_, value)  # type: ignore[union-attr]
        if hasattr(field, "source"):
            return blank(value.get("some")) and value.get("isEmpty") is not False
        return False

    def _field(self, model: Any, name: str) -> Any:
        for field in NODES[model].fields:
            if (field.graphql_name or _camel(field.python_name)) == name:
                return field
        raise AssertionError(name)

    def _beyond(self, target: Any, row: Any, relationship: Any) -> list[Any]:
        """The rows that the role sees at the other end."""
        if relationship.property.secondary is not None:
            ((_, own),) = relationship.property.synchronize_pairs
            ((_, other),) = relationship.property.secondary_synchronize_pairs
            keys = {
                getattr(link, other.key)
                for link in self.links[relationship.property.secondary.name]
                if getattr(link, own.key) == row.id
            }
            found = [one for key, one in self.rows[target].items() if key in keys]
        else:
            ((local, remote),) = relationship.property.local_remote_pairs
            key = getattr(row, relationship.property.parent.get_property_by_column(local).key)
            name = relationship.property.mapper.get_property_by_column(remote).key
            found = [] if key is None else [one for one in self.rows[target].values() if getattr(one, name) == key]
        return [one for one in found if self.seen(target, one)]

    def _searched(self, model: Any, row: Any, text: str) -> bool:
        texts = [
            fold(getattr(row, field.key) or "")
            for field in NODES[model].fields
            if getattr(getattr(field, "lists", None), "search", False)
            and self.readable(model, row, field.graphql_name or _camel(field.python_name))
        ]
        return all(any(word in one for one in texts) for word in fold(text).split())

    def _compares(self, model: Any, row: Any, field: Any, given: Mapping[str, Any]) -> bool:
        key = getattr(field, "key", None) or field.reads[-1]
        if not self.readable(model, row, field.graphql_name or _camel(field.python_name)):
            return False
        own = getattr(row, key)
        return all(_compare(own, name, value, field) for name, value in given.items() if value is not None)

    # Orders and groups

    def sorted(self, rows: Sequence[Any], order: Any) -> list[Any]:
        def key(row: Any) -> tuple[Any, ...]:
            found: list[Any] = []
            for column in order.columns:
                value = getattr(row, column.key.removesuffix("_folded"))
                if column.key.endswith("_folded"):
                    found.append(fold(value or "").encode())
                else:
                    found.append((value is None, getattr(value, "name", value) if value is not None else ""))
            return (*found, str(row.id))

        return sorted(rows, key=key, reverse=order.descending)

    def groups(
        self, model: Any, rows: Sequence[Any], by: Sequence[str], bucket: str, zone: str
    ) -> dict[Any, list[Any]]:
        """The rows by the values of `by`, the GraphQL names of fields, as JSON has them."""
        found: dict[Any, list[Any]] = {}
        for row in rows:
            found.setdefault(tuple(self._value(model, row, name, bucket, zone) for name in by), []).append(row)
        return found

    def _value(self, model: Any, row: Any, name: str, bucket: str, zone: str) -> Any:
        field = self._field(model, name)
        if (relationship := getattr(field, "relationship", None)) is not None:
            target = relationship.property.mapper.class_
            found = self._beyond(target, row, relationship)
            return global_id(NODES[target].name, found[0].id) if found else None
        if not self.readable(model, row, name):
            return None
        value = getattr(row, field.key)
        if isinstance(value, datetime):
            return first_moment(value, bucket, ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return getattr(value, "name", value)


def first_moment(moment: datetime, bucket: str, zone: ZoneInfo) -> datetime:
    """The first moment of a bucket, found by going back a quarter of an hour at a time."""

    def shown(at: datetime) -> Any:
        local = at.astimezone(zone)
        if bucket == "HOUR":
            return local.date(), local.hour, local.utcoffset()
        day: date = local.date()
        if bucket == "WEEK":
            return day - timedelta(days=day.weekday())
        return day.replace(day=1) if bucket == "MONTH" else day

    at, quarter = moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0), timedelta(minutes=15)
    while shown(at - quarter) == shown(moment):
        at -= quarter
    return at


def blank(given: Any) -> bool:
    """Whether something given is no condition."""
    if isinstance(given, Mapping):
        return all(map(blank, given.values()))
    return given is None or (isinstance(given, list) and bool(given) and all(map(blank, given)))


def _compare(own: Any, name: str, value: Any, field: Any) -> bool:
    if name == "isNull":
        return (own is None) == value
    if own is None:
        return False
    if name in ("contains", "startsWith") and not fold(value):
        return True
    comparisons: Mapping[str, Callable[[], bool]] = {
        "equals": lambda: own == _like(own, value),
        "in": lambda: own in [_like(own, one) for one in value],
        "contains": lambda: fold(value) in fold(own),
        "startsWith": lambda: fold(own).startswith(fold(value)),
        "from": lambda: own >= _like(own, value),
        "to": lambda: own < _like(own, value) if isinstance(own, datetime) else own <= _like(own, value),
        "ranges": lambda: own in numbers_in(value, ""),
    }
    return comparisons[name]()


def _lasts(row: Any, lasting: Any, value: Mapping[str, Any]) -> bool:
    """Whether a row has a part in a time: its end after the first moment, or its start not before it, or going on."""
    zone = ZoneInfo(value.get("timeZone") or "UTC")
    first, last = (datetime.fromisoformat(value[way]).replace(tzinfo=zone).astimezone(UTC) for way in ("from", "to"))
    start, end = getattr(row, lasting.start), getattr(row, lasting.end)
    if start is None or start >= last:
        return False
    key, going = lasting.going
    on = getattr(row, key) == going and first <= datetime.now(UTC)
    return start >= first or on or (end is not None and end > first)


def _like(own: Any, value: Any) -> Any:
    """A value of a filter as rows have it."""
    if isinstance(own, datetime):
        return datetime.fromisoformat(value).astimezone(UTC)
    if hasattr(own, "name"):
        return type(own)[value]
    if isinstance(own, int) and isinstance(value, str):
        return BigInt(int(value))
    return value


def _camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)
