"""Rows of generated models, to and from dictionaries and JSON. This module stands in every generated package."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, ClassVar, TypeVar

R = TypeVar("R", bound="Row")


class MalformedModelDictionaryError(ValueError):
    """A dictionary or a text does not describe a row of the model; the message says where and why."""


@dataclass(frozen=True)
class Field:
    """A property of a model. `kind` is the type and format of a column, `json`, or `row` and `rows` for relations.
    `nullable` is what the specification says; `shown` are the names of what a property shows that is read alone."""

    name: str
    kind: str
    required: bool = False
    nullable: bool | None = None
    write_only: bool = False
    read_only: bool = False
    shown: tuple[str, ...] = ()


def _binary(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else None


def _moment(of: Callable[[str], Any]) -> Callable[[Any], Any]:
    def made(value: Any) -> Any:
        try:
            return of(value) if isinstance(value, str) else None
        except ValueError:
            return None

    return made


def _of(*types: type) -> Callable[[Any], Any]:
    return lambda value: value if type(value) in types else None


_FROM: dict[str, Callable[[Any], Any]] = {
    "integer": _of(int),
    "integer int64": _of(int),
    "number": lambda value: float(value) if type(value) in (int, float) else None,
    "string": _of(str),
    "string binary": _binary,
    "string date": _moment(date.fromisoformat),
    "string date-time": _moment(datetime.fromisoformat),
    "boolean": _of(bool),
    "json": lambda value: value,
}
_TO: dict[str, Callable[[Any], Any]] = {
    "string binary": lambda value: value.decode(),
    "string date": lambda value: value.isoformat(),
    "string date-time": lambda value: value.isoformat(),
    "row": lambda value: value.to_dict(),
    "rows": lambda value: [one.to_dict() for one in value],
}


class Row:
    """What every model has beside its columns and relations."""

    __fields__: ClassVar[tuple[Field, ...]] = ()
    """The properties of the model itself, without those of the one that it extends."""

    @classmethod
    def _fields(cls) -> dict[str, Field]:
        """The properties by name, those of extended models first."""
        classes: list[Any] = [one for one in reversed(cls.__mro__) if "__fields__" in vars(one)]
        return {field.name: field for one in classes for field in one.__fields__}

    @classmethod
    def from_dict(cls: type[R], **values: Any) -> R:
        """Make a row; raises MalformedModelDictionaryError."""
        fields = cls._fields()
        for name, field in fields.items():
            if field.required and name not in values:
                raise MalformedModelDictionaryError(f"{cls.__name__}: {name} is required")
        return cls(**{name: cls._from(name, fields.get(name), value) for name, value in values.items()})

    @classmethod
    def _from(cls, name: str, field: Field | None, value: Any) -> Any:
        if field is None:
            raise MalformedModelDictionaryError(f"{cls.__name__} has no property {name}")
        if field.read_only and field.kind in ("row", "rows"):
            raise MalformedModelDictionaryError(f"{cls.__name__}: {name} is read alone")
        if value is None and (field.nullable or not field.required):
            return None
        if field.kind in ("row", "rows"):
            return cls._related(name, field, value)
        made = _FROM[field.kind](value)
        if made is None and field.kind != "json":
            raise MalformedModelDictionaryError(f"{cls.__name__}: {name} is of the type {field.kind}")
        return made

    @classmethod
    def _related(cls, name: str, field: Field, value: Any) -> Any:
        several = value if field.kind == "rows" else [value]
        if not isinstance(several, list) or not all(isinstance(one, Mapping) for one in several):
            raise MalformedModelDictionaryError(f"{cls.__name__}: {name} takes objects")
        mapper: Any = vars(cls)["__mapper__"]
        model: Any = mapper.relationships[name].mapper.class_
        rows = [model.from_dict(**one) for one in several]
        return rows if field.kind == "rows" else rows[0]

    @classmethod
    def from_str(cls: type[R], value: str) -> R:
        """Make a row of JSON; raises MalformedModelDictionaryError."""
        try:
            given = json.loads(value)
        except (TypeError, ValueError):
            raise MalformedModelDictionaryError(f"{cls.__name__}: this is no JSON") from None
        if not isinstance(given, dict):
            raise MalformedModelDictionaryError(f"{cls.__name__}: this is no object")
        return cls.from_dict(**given)

    def to_dict(self) -> dict[str, Any]:
        """The properties of the row that are told. Null is told where it is required or said to be allowed."""
        made: dict[str, Any] = {}
        for name, field in self._fields().items():
            if field.write_only:
                continue
            value = getattr(self, name, None)
            if value is None:
                if field.required or field.nullable:
                    made[name] = None
            elif field.shown:
                several = [{key: getattr(one, key, None) for key in field.shown} for one in _listed(value)]
                made[name] = several if field.kind == "rows" else several[0]
            else:
                made[name] = _TO.get(field.kind, lambda one: one)(value)
        return made

    def to_str(self) -> str:
        """The same as JSON."""
        return json.dumps(self.to_dict())

    __str__ = to_str

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name, None)!r}" for name in self._fields())
        return f"{type(self).__name__}({', '.join(shown)})"


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]
