"""How the value of a column may be compared: an input type for each kind of value, the same in every filter."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum
from functools import cache
from typing import Any

import sqlalchemy as sa
import strawberry

from db.searching.folding import composed, folded
from resolvers.failures import Invalid, check_limit
from resolvers.reading import filters
from resolvers.reading.filters import AllOf, Compared, Condition, How
from resolvers.reading.ranges import numbers_in
from resolvers.spelling import camel
from schema.fields.scalars import BigInt, parse_id
from schema.fields.values import check_text

CHOICES, CONDITIONS, REFERENCES, DEPTH = 100, 50, 10, 8
"""The most values to choose from, conditions of a filter, of them references to other rows, and filters within one
another."""
LENGTH = 1_000
"""The most characters of a text to compare with."""


@dataclass(slots=True)
class Reading:
    """The filter that is being read: the values of its conditions by the names of their parameters, and how many
    conditions and references it has."""

    values: dict[str, Any] = field(default_factory=dict)
    conditions: int = 0
    references: int = 0

    def parameter(self, value: Any) -> str:
        """A parameter with this value."""
        name = f"filter{len(self.values)}_"
        self.values[name] = value
        return name

    def enter(self, number: int, path: str) -> None:
        """Count conditions; raises LimitExceeded for too many."""
        self.conditions += number
        told = f"a filter has at most {CONDITIONS} conditions"
        check_limit(told, self.conditions, CONDITIONS, limit="conditions", field=path)

    def follow(self, path: str) -> None:
        """Count a reference; raises LimitExceeded for too many."""
        self.references += 1
        told = f"a filter has at most {REFERENCES} references"
        check_limit(told, self.references, REFERENCES, limit="references", field=path)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a model, by the name of its attribute."""

    model: Any
    key: str

    def compared(self, how: How, reading: Reading, value: Any) -> Condition:
        return Compared(self.model, self.key, how, reading.parameter(value))


Read = Callable[[Column, Reading, Any, str], Condition]
"""Makes the condition of a value, which stands in a filter at a path."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The ways to compare values of one kind: their input type, and how each of its fields is read."""

    input: Any
    reads: Mapping[str, Read]

    def condition(self, column: Column, reading: Reading, given: Mapping[str, Any], path: str) -> Condition:
        _check_order(given, path)
        return AllOf(
            tuple(
                self.reads[name](column, reading, value, f"{path}.{name}")
                for name, value in given.items()
                if value is not None
            )
        )


def choices(values: Sequence[Any], path: str) -> Sequence[Any]:
    """The values, each once; raises LimitExceeded for too many."""
    check_limit(f"a filter names at most {CHOICES} values", len(values), CHOICES, limit="choices", field=path)
    return tuple(dict.fromkeys(values))


def one_of(column: Column, reading: Reading, values: Sequence[Any]) -> Condition:
    """The column has one of these values. A single one is compared as such, so that an index can have the rows in the
    order of the list."""
    if len(values) == 1:
        return column.compared(filters.equal, reading, values[0])
    return column.compared(filters.chosen, reading, tuple(values))


def _check_order(given: Mapping[str, Any], path: str) -> None:
    first, last = given.get("from"), given.get("to")
    if first is not None and last is not None and first > last:
        raise Invalid("`from` is after `to`", field=path)


def _text(value: Any, path: str) -> Any:
    if isinstance(value, str):
        check_text(value, path)
        told = f"a text to compare with has at most {LENGTH} characters"
        check_limit(told, len(value), LENGTH, limit="text", field=path)
        return composed(value)
    return value


def _equals(column: Column, reading: Reading, value: Any, path: str) -> Condition:
    return column.compared(filters.equal, reading, _text(value, path))


def _in(column: Column, reading: Reading, value: Any, path: str) -> Condition:
    chosen = choices(value, path)
    return one_of(column, reading, [_text(one, f"{path}.{number}") for number, one in enumerate(chosen)])


def _is_null(column: Column, reading: Reading, value: bool, path: str) -> Condition:
    return column.compared(filters.filled, reading, not value)


def _at(how: How) -> Read:
    return lambda column, reading, value, path: column.compared(how, reading, value)


def _contains(column: Column, reading: Reading, value: str, path: str) -> Condition:
    return _pattern(column, reading, value, path, "%")


def _starts(column: Column, reading: Reading, value: str, path: str) -> Condition:
    return _pattern(column, reading, value, path, "")


def _pattern(column: Column, reading: Reading, value: str, path: str, start: str) -> Condition:
    check_text(value, path)
    words = filters.folded_words(value, path, once=False)
    if not words:
        return AllOf(())
    return column.compared(filters.like, reading, f"{start}{filters.escaped(' '.join(words))}%")


def _begins(column: Column, reading: Reading, value: str, path: str) -> Condition:
    return column.compared(filters.begins, reading, _text(value, path))


def _ranges(column: Column, reading: Reading, value: str, path: str) -> Condition:
    return column.compared(filters.chosen, reading, tuple(numbers_in(value, path)))


def _ids(column: Column, reading: Reading, value: Sequence[str], path: str) -> Condition:
    chosen = choices(value, path)
    return one_of(column, reading, [parse_id(one, f"{path}.{number}")[1] for number, one in enumerate(chosen)])


_Op = tuple[Any, str, Read]
_NULL: _Op = (bool, "True: there is no value. False: there is one.", _is_null)


def _made(name: str, description: str, **ops: _Op) -> Comparison:
    """A comparison, whose input type has a field for each of `ops`; Python's own words end with `_`."""
    named = {key: key[:-1] if key.endswith("_") else camel(key) for key in ops}
    fields = {
        key: strawberry.field(name=named[key], description=text, default=strawberry.UNSET)
        for key, (_, text, _) in ops.items()
    }
    kinds = {key: kind | None for key, (kind, _, _) in ops.items()}
    made = input_of(name, f"{description} All that is given must hold.", fields, kinds)
    return Comparison(made, {named[key]: read for key, (_, _, read) in ops.items()})


def input_of(name: str, description: str, fields: Mapping[str, Any], kinds: Mapping[str, Any]) -> Any:
    """An input type of these fields. Its values stay the mappings that the client sent."""
    made: Any = strawberry.input(type(name, (), {**fields, "__annotations__": dict(kinds)}), description=description)
    made.__strawberry_definition__.from_input = lambda _, given, __: given
    return made


def _ordered(
    name: str, kind: Any, what: str, more: str, to: str, until: How = filters.most, /, **ops: _Op
) -> Comparison:
    """A comparison of values that have an order, each called `what`: a later one is `more`, and `to` tells `until`."""
    return _made(
        name,
        f"How a {what} compares.",
        equals=(kind, f"This {what}.", _equals),
        in_=(list[kind], f"One of these, at most {CHOICES}.", _in),
        from_=(kind, f"This {what} or a {more} one.", _at(filters.least)),
        to=(kind, to, _at(until)),
        is_null=_NULL,
        **ops,
    )


def _numbers(name: str, kind: Any, **ops: _Op) -> Comparison:
    return _ordered(name, kind, "number", "greater", "This number or a smaller one.", **ops)


TEXT = _made(
    "TextFilter",
    "How a text compares.",
    equals=(str, "This text, letter by letter.", _equals),
    in_=(list[str], f"One of these texts, at most {CHOICES}, letter by letter. `[]`: no row.", _in),
    contains=(str, "A part of it, whatever its case and marks.", _contains),
    starts_with=(str, "How it begins, whatever its case and marks.", _starts),
    is_null=_NULL,
)
CODE = _made(
    "CodeFilter",
    "How a text for programs compares, letter by letter.",
    equals=(str, "This text.", _equals),
    in_=(list[str], f"One of these texts, at most {CHOICES}.", _in),
    starts_with=(str, "How it begins.", _begins),
    is_null=_NULL,
)
INT = _numbers("IntFilter", int, ranges=(str, "One of the numbers of a text such as `1-3,5`: at most 1,000.", _ranges))
BIG = _numbers("BigIntFilter", BigInt)
FLOAT = _numbers("FloatFilter", float)
BOOLEAN = _made("BooleanFilter", "How a truth value compares.", equals=(bool, "True, or false.", _equals))
MOMENT = _ordered("DateTimeFilter", datetime, "moment", "later", "Before this moment.", filters.before)
DAY = _ordered("DateFilter", date, "day", "later", "This day or an earlier one.")
ID = _made(
    "IdFilter",
    "Which rows are named.",
    in_=(list[strawberry.ID], f"One of these ids, at most {CHOICES}.", _ids),
    is_null=_NULL,
)
_BY_KIND = {str: TEXT, int: INT, BigInt: BIG, float: FLOAT, bool: BOOLEAN, datetime: MOMENT, date: DAY}


@cache
def _enumerated(members: type[Enum]) -> Comparison:
    definition: Any = getattr(members, "__strawberry_definition__")  # noqa: B009
    return _made(
        f"{definition.name}Filter",
        "Which values.",
        in_=(list[members], "One of these.", _in),  # type: ignore[valid-type]
    )


def comparison_of(column: sa.Column[Any], kind: Any) -> Comparison:
    """How a column may be compared that is published as a type; raises TypeError for a type without a comparison."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _enumerated(kind)
    if kind is strawberry.ID:
        return ID
    if kind is str and column.name not in folded(column.table):
        return CODE
    if kind not in _BY_KIND:
        raise TypeError(f"{column} can't be filtered: nothing compares values of {kind!r}")
    return _BY_KIND[kind]
