"""Violated constraints of the database as failures: a name that is taken, columns that contradict each other."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from db.models import Entity, Erasable
from db.types import Name
from resolvers.access.policy import policy_of
from resolvers.failures import Conflict, Invalid
from resolvers.spelling import spelled


class Taken(Conflict):
    """Another row has the values that must be unique, in these columns; with `everywhere`, the row may be in another
    place."""

    columns: Collection[str] = ()
    everywhere: bool = False


@contextmanager
def unlike(model: type[Entity], given: Collection[str] = (), argument: str = "input.") -> Iterator[None]:
    """Raise CONFLICT when another row has the values that must be unique, INVALID for columns that contradict each
    other. `given` are the columns that the client gave, each in the argument of its name after `argument`."""
    try:
        yield
    except IntegrityError as error:
        said = str(error.orig)
        if "check constraint" in said.lower():
            raise Invalid(policy_of(model).contradiction, field="input") from None
        raise _taken(model, said, given, argument) from None


@cache
def everywhere(model: type[Entity]) -> frozenset[str]:
    """The columns in which rows of all places must differ: unique ones without a place."""
    found = [columns for columns in _unique(model).values() if _of_no_place(model, columns)]
    return frozenset(column for columns in found for column in columns)


@cache
def names_of(model: type[Entity]) -> Mapping[str, bool]:
    """The text columns in which rows of a model must differ, each with whether it distinguishes only rows of one
    place."""
    columns, found = model.__table__.columns, dict[str, bool]()
    for names in _unique(model).values():
        for name in names:
            if columns[name].type.python_type is str and not columns[name].foreign_keys:
                found[name] = found.get(name, False) or not _of_no_place(model, names)
    return found


def _unique(model: type[Entity]) -> Mapping[str, Sequence[str]]:
    """The unique constraints and indexes by name, with their columns."""
    table: Any = model.__table__
    plain = [c for c in table.constraints if isinstance(c, sa.UniqueConstraint)]
    return {str(u.name): [c.name for c in u.columns] for u in (*plain, *(i for i in table.indexes if i.unique))}


def _of_no_place(model: type[Entity], columns: Sequence[str]) -> bool:
    return not any(model.__table__.c[column].foreign_keys for column in columns)


def _taken(model: type[Entity], said: str, given: Collection[str], argument: str) -> Taken:
    """The columns whose values another row already has. PostgreSQL names the constraint, SQLite its columns."""
    table: Any = model.__table__
    met = [
        columns
        for name, columns in _unique(model).items()
        if f'"{name}"' in said or all(f"{table.name}.{column}" in said for column in columns)
    ]
    if not met:
        return Taken(f"there is already such a {model.__name__}")
    columns = max(met, key=len)
    told = [c for c in columns if c in given] or columns
    named = next((c for c in told if isinstance(table.c[c].type, Name)), told[0])
    shown = " and ".join(column.removesuffix("_id").replace("_", " ") for column in told)
    # Who looks for the one that has the name would not find it.
    plain = [[c.name for c in u.columns] for u in table.constraints if isinstance(u, sa.UniqueConstraint)]
    deleted = issubclass(model, Erasable) and columns in plain
    taken = Taken(
        f"there is already a {model.__name__} with this {shown}{', or a deleted one had it' if deleted else ''}",
        field=f"{argument}{spelled(named)}" if given else None,
    )
    taken.columns, taken.everywhere = columns, _of_no_place(model, columns)
    return taken
