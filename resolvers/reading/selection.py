"""The selection of a field: which columns it needs of the rows below it, as plain data that statements are built
from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from db import models
from resolvers.access.clauses import TRUE
from resolvers.access.rules import Rule, allowed
from resolvers.identity.principal import AccessProfile


@dataclass(frozen=True)
class Selection:
    """The wanted columns of `model` by attribute name, and the rules of those that are guarded.

    A row made from it has an attribute for each column. A guarded attribute is null unless a rule holds, and
    `may_<column>` beside it tells whether one held. `asks` names further such questions, for fields computed in Python.
    `typename` is set where the row must tell its own type.
    """

    model: type[models.Entity]
    columns: tuple[str, ...]
    guards: tuple[tuple[str, tuple[Rule, ...]], ...] = ()
    typename: str | None = None
    asks: tuple[tuple[str, tuple[Rule, ...]], ...] = ()

    @cached_property
    def required(self) -> tuple[str, ...]:
        """The columns, with the keys from which rows are identified and related."""
        mapper = sa.inspect(self.model)
        keys = {mapper.get_property_by_column(c).key for c in mapper.columns if c.primary_key or c.foreign_keys}
        return tuple(sorted(keys | set(self.columns)))

    def on(self, entity: Any, profile: AccessProfile, also: Sequence[str] = ()) -> list[Any]:
        """The columns of a SELECT over `entity`, labelled by attribute name."""
        guards = dict(self.guards)
        found: list[Any] = []
        for name in dict.fromkeys((*self.required, *also)):
            column = getattr(entity, name)
            if (rules := guards.get(name)) is not None:
                may = allowed(rules, entity, profile)
                found.append(may.label(f"may_{name}"))
                if may is not TRUE:
                    column = sa.case((may, column))
            found.append(column.label(name))
        found += [allowed(rules, entity, profile).label(f"may_{name}") for name, rules in self.asks]
        if self.typename is not None:
            found.append(sa.literal_column(f"'{self.typename}'").label("typename"))
        return found
