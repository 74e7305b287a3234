"""The filters of lists: for each type an input with a field for each column and each relationship that may be asked
for, and their conditions as data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any, Optional

import sqlalchemy as sa
import strawberry
from strawberry.types.base import StrawberryContainer, StrawberryOptional
from strawberry.types.enum import StrawberryEnumDefinition

from db.models import Entity
from db.searching.folding import folded
from resolvers.failures import Invalid, check_limit
from resolvers.reading import filters
from resolvers.reading.conditions import Where
from resolvers.reading.constants import constant
from resolvers.reading.filters import AllOf, AnyOf, Compared, Condition, IsNull, Not, Reached, Searched
from resolvers.reading.relationships import ends
from resolvers.spelling import camel, snake
from schema.fields.declarations import NODES, Column, Computed, Connected, Key, Lasting, Later, Related
from schema.fields.fields import unguarded
from schema.fields.scalars import key_of
from schema.fields.values import check_text
from schema.lists import calendars, comparisons
from schema.lists.comparisons import DEPTH, Reading, choices, comparison_of, input_of, one_of

Model = type[Entity]
Read = Callable[[Reading, Any, str, int], Condition]
"""Makes the condition of a value, which stands in a filter at a path, so deep."""


@dataclass(frozen=True, slots=True)
class Filter:
    """The filter of a type: its input, how each field of that is read, and the columns that `text` searches."""

    input: Any
    reads: Mapping[str, Read]
    searched: Sequence[str]

    def condition(self, reading: Reading, given: Mapping[str, Any], path: str, depth: int = 1) -> Condition:
        told = f"filters stand at most {DEPTH} deep within one another"
        check_limit(told, depth, DEPTH, limit="filterDepth", field=path)
        reading.enter(len(given), path)
        return AllOf(
            tuple(
                self.reads[name](reading, value, f"{path}.{name}", depth)
                for name, value in given.items()
                if not _empty(value)
            )
        )


def filter_type(model: Model) -> Any:
    """The input type of the filter of a model's lists."""
    return Later(f"{model.__name__}Filter", lambda: filter_of(model).input)


def conditions(model: Model, given: Mapping[str, Any] | None, path: str = "filter") -> Where | None:
    """The conditions of a filter, as SQL. INVALID and LIMIT_EXCEEDED name the place in it that is wrong."""
    if given is None or _empty(given):
        return None
    return _where(*_condition(model, given, path), given)


def narrowing(model: Model, given: Mapping[str, Any], path: str = "filter") -> Where:
    """The conditions of a filter that is to name rows: INVALID, besides, for one that every row meets."""
    condition, reading = _condition(model, given, path)
    if constant(condition, reading.values) is True:
        raise Invalid("every row meets this filter: give a condition that some don't meet", field=path)
    return _where(condition, reading, given)


def _condition(model: Model, given: Mapping[str, Any], path: str) -> tuple[Condition, Reading]:
    reading = Reading()
    return filter_of(model).condition(reading, given, path), reading


def _where(condition: Condition, reading: Reading, given: Mapping[str, Any]) -> Where:
    return Where(filters.clauses_of(condition), reading.values, filters.searches(condition), _spans(given))


def _spans(given: Mapping[str, Any]) -> Mapping[str, timedelta]:
    """How long the times are in which moments are to be."""
    times = ((name, at.get("from"), at.get("to")) for name, at in given.items() if isinstance(at, Mapping))
    return {
        snake(name): last - first for name, first, last in times if isinstance(first, datetime) and last is not None
    }


@cache
def filter_of(model: Model) -> Filter:
    """The filter of a model's lists, made from its type."""
    making = _Making(model)
    making.own()
    if (lasting := NODES[model].lasting) is not None:
        making.add_time(lasting)
    for field in NODES[model].fields:
        making.field(field)
    return making.made()


class _Making:
    def __init__(self, model: Model) -> None:
        self._model = model
        self._name = NODES[model].name
        self._fields: dict[str, Any] = {}
        self._kinds: dict[str, Any] = {}
        self._reads: dict[str, Read] = {}
        self._searched: list[str] = []

    def made(self) -> Filter:
        if self._searched:
            texts = ", ".join(map(camel, self._searched))
            words = f"Words in any order, each a part of one of these: {texts}."
            self._add("text", str, words, _searching(self._model, self._searched))
        made = input_of(
            f"{self._name}Filter",
            f"Which rows of {self._name}. All that is given must hold; without any, it is no condition.",
            self._fields,
            self._kinds,
        )
        return Filter(made, self._reads, self._searched)

    def own(self) -> None:
        """What every filter has."""
        this = filter_type(self._model)
        several: Any = list[this]  # type: ignore[valid-type]

        def each(reading: Reading, given: Any, path: str, depth: int) -> tuple[Condition, ...]:
            own = filter_of(self._model)
            return tuple(
                own.condition(reading, one, f"{path}.{n}", depth + 1) for n, one in enumerate(given) if not _empty(one)
            )

        def negated(reading: Reading, given: Any, path: str, depth: int) -> Condition:
            return Not(filter_of(self._model).condition(reading, given, path, depth + 1))

        self._add("and_", several, "All of these hold.", lambda *at: AllOf(each(*at)))
        self._add(
            "or_", several, "At least one of these holds; of an empty list none does.", lambda *at: AnyOf(each(*at))
        )
        self._add("not_", this, "This does not hold.", negated)

        about = "Of a reference. True: it leads to no row that you may see. False: it leads to one."
        self._add("is_null", bool, about, lambda reading, given, path, depth: IsNull(given))

    def add_time(self, lasting: Lasting) -> None:
        """The time in which rows are asked for that last."""
        about = "Those that have a part in this time, by the clocks of a place."
        read = partial(calendars.read, self._model, lasting)
        self._add("during", calendars.Time, about, lambda reading, given, path, depth: read(reading, given, path))

    def field(self, field: Any) -> None:
        if isinstance(field, Key):
            self._add("ids", list[strawberry.ID], f"Rows with these ids, at most {comparisons.CHOICES}.", self._ids)
        elif isinstance(field, Related) and field.filter:
            self._reference(field)
        elif isinstance(field, Connected) and field.filter:
            self._list(field)
        elif isinstance(field, Column | Computed):
            if isinstance(field, Column) and field.lists.search:
                self._searched.append(field.key)
            if field.lists.filter:
                self._compare(field)

    def _compare(self, field: Any) -> None:
        key = field.key if isinstance(field, Column) else field.reads[-1]
        column = sa.inspect(self._model).mapper.columns[key]
        comparison = comparison_of(column, bare(field.type))
        own = comparisons.Column(self._model, key)
        self._add(
            field.python_name,
            comparison.input,
            unguarded(field),
            lambda reading, given, path, _: comparison.condition(own, reading, given, path),
            field.graphql_name,
        )

    def _ids(self, reading: Reading, given: Any, path: str, _: int) -> Condition:
        keys = [key_of(self._name, id, f"{path}.{number}") for number, id in enumerate(choices(given, path))]
        return one_of(comparisons.Column(self._model, "id"), reading, keys)

    def _reference(self, field: Related) -> None:
        target, relationship, order = field.model, field.relationship, field.order
        local, remote = ends(relationship)

        def read(reading: Reading, given: Any, path: str, depth: int) -> Condition:
            reading.follow(path)
            inner = filter_of(target).condition(reading, given, path, depth + 1)
            reached = Reached(self._model, relationship.key, inner, order, _names(inner) and not filters.of_none(inner))
            if remote != "id" or order is not None or not isinstance(inner, AllOf):
                return reached
            # The key beside it finds rows in the order of an index.
            own = (
                Compared(self._model, local, part.how, part.parameter)
                for part in inner.parts
                if isinstance(part, Compared) and part.key == "id"
            )
            return AllOf((*own, reached))

        self._add(field.python_name, filter_type(target), field.description or "", read, field.graphql_name)

    def _list(self, field: Connected) -> None:
        target, relationship = field.model, field.source

        def some(reading: Reading, given: Any, path: str, depth: int) -> Condition:
            reading.follow(path)
            inner = filter_of(target).condition(reading, given, path, depth + 1)
            return Reached(self._model, relationship.key, inner, None, _names(inner), several=True)

        def read(reading: Reading, given: Mapping[str, Any], path: str, depth: int) -> Condition:
            parts: list[Condition] = []
            if (one := given.get("some")) is not None and not _empty(one):
                parts.append(some(reading, one, f"{path}.some", depth))
            if (empty := given.get("isEmpty")) is not None:
                reading.follow(path)
                there = Reached(self._model, relationship.key, IsNull(False), several=True)
                parts.append(Not(there) if empty else there)
            if (one := given.get("none")) is not None and not _empty(one):
                parts.append(Not(some(reading, one, f"{path}.none", depth)))
            return AllOf(tuple(parts))

        kind = Later(f"{NODES[target].name}ListFilter", lambda: _list_filter(target))
        self._add(field.python_name, kind, field.description or "", read, field.graphql_name)

    def _add(self, name: str, kind: Any, description: str, read: Read, spelling: str | None = None) -> None:
        spelling = spelling or (name[:-1] if name.endswith("_") else None)
        self._fields[name] = strawberry.field(name=spelling, description=description, default=strawberry.UNSET)
        self._kinds[name] = Optional[kind]  # noqa: UP045  (it may be no type yet)
        self._reads[spelling or camel(name)] = read


@cache
def _list_filter(model: Model) -> Any:
    name = NODES[model].name
    kind = filter_type(model)
    fields = {
        "some": strawberry.field(description="At least one of them meets this.", default=strawberry.UNSET),
        "none": strawberry.field(description="None of them meets this.", default=strawberry.UNSET),
        "is_empty": strawberry.field(
            description="True: there are none that you may see. False: there is one at least.", default=strawberry.UNSET
        ),
    }
    kinds = {**dict.fromkeys(("some", "none"), Optional[kind]), "is_empty": bool | None}  # noqa: UP045
    return input_of(f"{name}ListFilter", f"What holds for several rows of {name}.", fields, kinds)


def _searching(model: Model, keys: Sequence[str]) -> Read:
    def read(reading: Reading, given: str, path: str, _: int) -> Condition:
        check_text(given, path)
        words = filters.folded_words(given, path)
        patterns = (f"%{filters.escaped(word)}%" for word in words)
        return AllOf(tuple(Searched(model, tuple(keys), reading.parameter(pattern)) for pattern in patterns))

    return read


def _empty(given: Any) -> bool:
    """Whether a filter, or a list of some, has no condition: then it is left out. An empty list is one."""
    if isinstance(given, Mapping):
        return all(map(_empty, given.values()))
    return given is None or (isinstance(given, list) and bool(given) and all(map(_empty, given)))


def _names(condition: Condition) -> bool:
    """Whether the condition names a few rows, directly or at the end of relationships."""
    if isinstance(condition, AllOf):
        return any(map(_names, condition.parts))
    if isinstance(condition, Reached):
        return condition.few
    return isinstance(condition, Compared) and condition.key == "id"


def bare(kind: Any) -> Any:
    """A type without null around it; of an enumeration its Python class."""
    while isinstance(kind, StrawberryOptional):
        kind = kind.of_type
    if isinstance(kind, StrawberryContainer):
        raise TypeError(f"{kind!r} is a list, which nothing compares")
    return kind.wrapped_cls if isinstance(kind, StrawberryEnumDefinition) else kind


def searched() -> list[Any]:
    """The columns that filters search for parts of a text, each once: those with a fold."""
    found: dict[Any, None] = {}
    for model in NODES:
        for field in NODES[model].fields:
            if isinstance(field, Column) and (field.lists.search or field.lists.filter):
                column = sa.inspect(model).mapper.columns[field.key]
                if column.name in folded(column.table):
                    found[column] = None
    return list(found)
