"""Filters, orders and groups made from the SDL, with values of a database in them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol, TypeVar
from uuid import UUID

import sqlalchemy as sa
from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLList, get_named_type

from db import models
from db.types import instant_text
from resolvers.reading.filters import TEXT
from resolvers.spelling import global_id, snake
from schema.fields.declarations import NODES, Connected, Related
from schema.lists.comparisons import CHOICES

T = TypeVar("T")

ODD_TEXTS = ("", "%", "_", "/", "\\", '"', "'", "\0", "\N{CASTLE}", "\u2028", "</script>", "o" * TEXT, "o" * (TEXT + 1))
RANGES = ("0", "1,0", "0-1", "0-999", "7", "", "1-0", "0-1000")
ZONES = ("UTC", "Europe/Zurich", "Asia/Kolkata", "America/Havana", "Nowhere/None", "")
COLUMNS = {
    "Estimator.metadata": "meta",
    "EvaluatorFile.use": "role",
    "LeaderboardEntry.place": "position",
    "Credential.kind": "kind",
    "AuditEvent.actor": "actor_id",
    "AuditEvent.entity": "entity_id",
}
"""Conditions that are not called like their column."""


class Picking(Protocol):
    def below(self, number: int) -> int: ...
    def one(self, options: Sequence[T]) -> T: ...
    def some(self, options: Sequence[T], most: int) -> list[T]: ...
    def chance(self, percent: int) -> bool: ...


def model_named(name: str) -> type[models.Entity]:
    return next(node.model for node in NODES.values() if node.name == name)


class Filtering:
    """Makes filters. `rows` are those of the database by type, `odd` says whether wrong values are among those given."""

    def __init__(
        self, pick: Picking, rows: Mapping[str, Sequence[Any]], id: Callable[[Sequence[str]], str], *, odd: bool
    ):
        self.pick, self.rows, self.id, self.odd = pick, rows, id, odd

    def filter(self, kind: GraphQLInputObjectType, depth: int = 0) -> dict[str, Any]:
        model = model_named(kind.name.removesuffix("Filter"))
        plain = [name for name, field in kind.fields.items() if not self._nests(field.type)]
        nested = [name for name in kind.fields if name not in plain]
        names = self.pick.some(sorted(plain), 2)
        if depth < 3 and self.pick.chance(35):
            names += self.pick.some(sorted(nested), 1)
        given = {}
        for name in dict.fromkeys(names):
            null = self.pick.chance(5)
            given[name] = None if null else self.condition(model, kind, name, kind.fields[name].type, depth)
        return given

    def _nests(self, kind: Any) -> bool:
        named: Any = get_named_type(kind)
        return isinstance(named, GraphQLInputObjectType) and ("and" in named.fields or "some" in named.fields)

    def condition(self, model: Any, owner: Any, name: str, kind: Any, depth: int) -> Any:
        named: Any = get_named_type(kind)
        if name in ("and", "or"):
            return [self.filter(owner, depth + 1) for _ in range(self.pick.below(3))]
        if name == "not":
            return self.filter(owner, depth + 1)
        if name == "ids":
            return [self.id([NODES[model].name]) for _ in range(self.number())]
        if name == "text":
            column = self.pick.one([field.key for field in NODES[model].fields if _searched(field)])
            return self.part_of_text(model, column)
        if name == "isNull":
            return self.pick.chance(50)
        if "some" in named.fields:
            inner = get_named_type(named.fields["some"].type)
            if self.pick.chance(20):
                return {"isEmpty": self.pick.chance(50)}
            return {way: self.filter(inner, depth + 1) for way in self.pick.some(["some", "none"], 1) or ["some"]}
        if "and" in named.fields:
            return self.filter(named, depth + 1)
        if named.name == "TimeFilter":
            return self.time(model)
        key = COLUMNS.get(f"{NODES[model].name}.{name}", snake(name))
        return self.comparison(model, key, named)

    def time(self, model: Any) -> dict[str, Any]:
        """A time near the start of a row, by the clocks of some place."""
        pick, node = self.pick, NODES[model]
        assert node.lasting is not None
        starts = [start for row in self.rows[node.name] if (start := getattr(row, node.lasting.start)) is not None][
            :200
        ]
        first = _beside(pick.one(starts) if starts else datetime.now(UTC), hours=pick.below(49) - 24)
        last = _beside(first, minutes=1 + pick.below(4_320))
        if self.odd and pick.chance(10):
            first, last = last, first
        told = {name: moment.replace(tzinfo=None).isoformat() for name, moment in (("from", first), ("to", last))}
        return {**told, "timeZone": pick.one(ZONES if self.odd else ZONES[:4])} if pick.chance(70) else told

    def number(self) -> int:
        return CHOICES + 1 if self.odd and self.pick.below(100) == 99 else self.pick.below(4)

    def comparison(self, model: Any, key: str, kind: GraphQLInputObjectType) -> dict[str, Any]:
        given: dict[str, Any] = {}
        for name in dict.fromkeys([self.pick.one(sorted(kind.fields)), *self.pick.some(sorted(kind.fields), 1)]):
            wanted = kind.fields[name].type
            if isinstance(wanted, GraphQLList):
                given[name] = [self.value(model, key, get_named_type(wanted)) for _ in range(self.number())]
            elif name in ("contains", "startsWith"):
                given[name] = self.part_of_text(model, key, start=name == "startsWith")
            elif name == "ranges":
                given[name] = self.pick.one(RANGES if self.odd else RANGES[:5])
            elif name == "isNull":
                given[name] = self.pick.chance(50)
            else:
                given[name] = self.value(model, key, get_named_type(wanted))
        if {"from", "to"} <= given.keys() and (not self.odd or self.pick.chance(90)):
            given["from"], given["to"] = sorted((given["from"], given["to"]), key=str if _text(given) else float)
        return given

    def value(self, model: Any, key: str, kind: Any) -> Any:
        """A value that rows have, or one near it."""
        pick = self.pick
        if isinstance(kind, GraphQLEnumType):
            return pick.one(list(kind.values))
        if kind.name == "Boolean":
            return pick.chance(50)
        found = [value for row in self.rows[NODES[model].name] if (value := getattr(row, key)) is not None][:200]
        value = pick.one(found) if found else None
        if kind.name == "DateTime":
            return instant_text(
                _beside(value or datetime.now(UTC), microseconds=pick.one((0, 0, 1, -1, 3_600_000_000)))
            )
        if kind.name == "Date":
            return _beside(value or date(2026, 1, 1), days=pick.one((0, 0, 1, -1))).isoformat()
        if kind.name == "Int":
            return (value or 0) + pick.one((0, 0, 1, -1))
        if kind.name == "BigInt":
            return str((value or 0) + pick.one((0, 0, 1, -1)))
        if kind.name == "Float":
            return float(value or 0.0) + pick.one((0.0, 0.0, 0.25))
        if kind.name == "ID":
            return global_id("User", value) if isinstance(value, UUID) else self.id(["User"])
        if self.odd and pick.chance(10):
            return pick.one(ODD_TEXTS)
        return value if isinstance(value, str) else "x"

    def part_of_text(self, model: Any, key: str, *, start: bool = False) -> str:
        pick = self.pick
        texts = [text for row in self.rows[NODES[model].name] if (text := getattr(row, key)) is not None]
        if not texts or (self.odd and pick.chance(12)):
            return pick.one(ODD_TEXTS if self.odd else ("x",))
        text = pick.one(texts)
        first = 0 if start else pick.below(len(text)) if text else 0
        part = text[first : first + 1 + pick.below(8)]
        return (part, part.upper(), part.lower(), text[:TEXT])[pick.below(4)]

    def order(self, declared: Connected) -> dict[str, Any]:
        given = {"field": self.pick.one(declared.orders().names)}
        if self.pick.chance(60):
            given["direction"] = self.pick.one(("ASC", "DESC"))
        return given

    def groups(self, args: Mapping[str, Any]) -> dict[str, Any]:
        pick, names = self.pick, list(get_named_type(args["by"].type).values)
        first = pick.one(names)
        others = [name for name in names if name != first or (self.odd and pick.below(50) == 49)]
        given: dict[str, Any] = {"by": [first, *pick.some(others, 1)]}
        if self.odd and pick.below(50) == 49:
            given["by"] = pick.one([[], names[:3]])
        if pick.chance(70):
            given["bucket"] = pick.one(("DAY", "HOUR", "WEEK", "MONTH"))
        if pick.chance(50):
            given["timeZone"] = pick.one(ZONES if self.odd else ZONES[:4])
        return given


def _text(given: Mapping[str, Any]) -> bool:
    return isinstance(given["from"], str) and not given["from"].lstrip("-").isdigit()


def _searched(field: Any) -> bool:
    return getattr(getattr(field, "lists", None), "search", False)


def column_of(model: Any, key: str) -> Any:
    return sa.inspect(model).mapper.columns[key]


def target_of(model: Any, name: str) -> Any:
    """The declared field of a type by its GraphQL name."""
    return next(f for f in NODES[model].fields if isinstance(f, Related | Connected) and snake(name) == f.python_name)


def _beside(value: Any, **distance: int) -> Any:
    """A moment or a day so far from another; itself where the calendar ends."""
    try:
        return value + timedelta(**distance)
    except OverflowError:
        return value
