"""Unique constraints and indexes over several columns, in the four shapes that OpenAlchemy takes."""

from collections.abc import Mapping
from typing import Any

from jobs.specs.tables import Constraint
from jobs.specs.values import Reader, is_name

_TOLD = "a list of columns, a list of such lists, or objects with {}"


def constraints(read: Reader) -> tuple[list[Constraint], list[Constraint]]:
    """The unique constraints and the indexes of a model."""
    return _listed(read, "x-composite-unique", "columns"), _listed(read, "x-composite-index", "expressions")


def _listed(read: Reader, key: str, columns: str) -> list[Constraint]:
    given = read.value(key, lambda value: isinstance(value, list | Mapping) and bool(value), _TOLD.format(columns))
    if given is None:
        return []
    several = given if isinstance(given, list) and not _is_columns(given) else [given]
    made = [_constraint(one, columns) for one in several]
    if None in made:
        read.wrong(key, f"{key} is {_TOLD.format(columns)}")
        return []
    return [one for one in made if one is not None]


def _constraint(given: Any, columns: str) -> Constraint | None:
    if _is_columns(given):
        return Constraint(tuple(given))
    if not isinstance(given, Mapping) or not _is_columns(given.get(columns)):
        return None
    name, unique = given.get("name"), given.get("unique")
    if not (name is None or is_name(name)) or not (unique is None or isinstance(unique, bool)):
        return None
    return Constraint(tuple(given[columns]), name, unique if columns == "expressions" else None)


def _is_columns(given: Any) -> bool:
    return isinstance(given, list) and bool(given) and all(map(is_name, given))
