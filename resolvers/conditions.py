"""How a filter compares a column with its parameter."""

from typing import Any

import sqlalchemy as sa

from db.keys import among


def equal(column: Any, parameter: str) -> Any:
    return column == sa.bindparam(parameter, type_=column.type)


def chosen(column: Any, parameter: str) -> Any:
    """One of several values."""
    return among(column, parameter)


def contains(column: Any, parameter: str) -> Any:
    """A part of a text, whatever its case: the parameter is a pattern in lower case."""
    return sa.func.lower(column).like(sa.bindparam(parameter, type_=sa.Text()), escape="/")
