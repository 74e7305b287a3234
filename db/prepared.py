"""A statement as its driver takes it: compiled once, run many times without SQLAlchemy."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import sqlalchemy as sa

Statement: TypeAlias = sa.Select[*tuple[Any, ...]]


class Prepared:
    """`sql` is the driver's text; `arguments` puts named values into its order and its types."""

    def __init__(self, statement: Statement, dialect: sa.Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self.sql = str(compiled)
        self._given = compiled.params
        self._places = [
            (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in getattr(compiled, "positiontup", None) or ()
        ]

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        found = []
        for name, process in self._places:
            value = values[name] if name in values else self._given[name]
            found.append(value if process is None else process(value))
        return found
