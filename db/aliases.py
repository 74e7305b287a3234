"""A lighter alias of a model for statements than SQLAlchemy's `aliased`."""

from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.util import ClauseAdapter
from sqlalchemy.sql.visitors import InternalTraversal

from db.models import Entity


class Alias:
    """An alias of a model's table, with attributes named as the model's.

    It makes only the columns that are asked for. SQLAlchemy's `aliased` makes all columns of the table, and finds each
    through the mapper, which took two thirds of the time of making a statement. It has no relationships and loads no
    objects.
    """

    def __init__(self, model: type[Entity]) -> None:
        self._table = model.__table__.alias()
        self._model = model

    def __getattr__(self, name: str) -> Any:
        known = _known(self._model, name)
        if isinstance(known, sa.Column):
            column: Any = sa.column(known.name, known.type)
            column.table = self._table
        else:
            column = ClauseAdapter(self._table).traverse(known)
        setattr(self, name, column)
        return column

    def __clause_element__(self) -> Any:
        return self._table


class Found(Alias):
    """The rows of a subquery `called` so. `asked_of` makes the columns that were asked for, of an alias of the same
    model in the subquery."""

    def __init__(self, model: type[Entity], called: str) -> None:
        self._model = model
        self.called = called
        self._asked: dict[str, None] = {}

    def __getattr__(self, name: str) -> Any:
        kind = _known(self._model, name).type
        self._asked[name] = None
        column: Any = sa.literal_column(f'{self.called}."{name}"', kind)
        setattr(self, name, column)
        return column

    def __clause_element__(self) -> Any:
        raise TypeError("it stands in no FROM by itself")

    def asked_of(self, entity: Any) -> list[Any]:
        asked = self._asked or {"id": None}
        return [getattr(entity, name).label(name) for name in asked]


class Joined(Alias):
    """A child of a parent, of which only the column that joins them is known: it has the parent's value. Any other
    raises Unknown."""

    def __init__(self, model: type[Entity], name: str, value: Any) -> None:
        self._model = model
        self._joins, self._value = name, value

    def __getattr__(self, name: str) -> Any:
        if name != self._joins:
            raise Unknown(name)
        return self._value


class Unknown(Exception):
    """A column of which nothing is known."""


class outer(sa.ColumnElement[Any]):
    """A column of an enclosing statement: here it stands in no FROM."""

    inherit_cache = True
    __visit_name__ = "outer"
    _traverse_internals = [("column", InternalTraversal.dp_clauseelement), ("type", InternalTraversal.dp_type)]

    def __init__(self, column: Any) -> None:
        self.column = column
        self.type = column.type

    @property
    def _from_objects(self) -> list[Any]:
        return []


@compiles(outer)
def _outer(element: outer, compiler: Any, **kw: Any) -> str:
    text: str = compiler.process(element.column, **kw)
    return text


def model_of(entity: Any) -> type[Entity]:
    """The model of an alias, or the model itself."""
    model: type[Entity] = entity._model if isinstance(entity, Alias) else entity
    return model


def nullable(entity: Any, name: str) -> bool:
    """Whether a column of an alias may be null. What is computed may be."""
    column = _columns(model_of(entity))[name]
    return not isinstance(column, sa.Column) or bool(column.nullable)


def _known(model: type[Entity], name: str) -> Any:
    try:
        return _columns(model)[name]
    except KeyError:
        raise AttributeError(f"{model.__name__} has no column {name}") from None


@cache
def _columns(model: type[Entity]) -> dict[str, Any]:
    """For each attribute: its column, or the expression that computes it."""
    return {name: attribute.columns[0] for name, attribute in sa.inspect(model).mapper.column_attrs.items()}
