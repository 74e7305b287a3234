"""The tables that a specification describes. Each thing has the `pointer` to the place that describes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

MODULES = ("_datetime", "_orm", "_rows", "_sa", "_typing")
"""What generated modules import, by names that no model and no property has."""


class Kind(Enum):
    """The type of a column, by the type and format of its property."""

    INTEGER = "integer"
    BIG_INTEGER = "integer int64"
    FLOAT = "number"
    STRING = "string"
    BINARY = "string binary"
    DATE = "string date"
    DATE_TIME = "string date-time"
    BOOLEAN = "boolean"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column. `foreign_key` is `table.column`; options are keyword arguments of SQLAlchemy, as JSON. `required`,
    `default` and `allows_null` are what the property says; a column that a relation needs is `implied`."""

    name: str
    kind: Kind
    nullable: bool
    length: int | None = None
    primary_key: bool = False
    autoincrement: bool | None = None
    index: bool | None = None
    unique: bool | None = None
    default: Any = None
    server_default: str | None = None
    foreign_key: str | None = None
    foreign_key_options: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    description: str | None = None
    required: bool = False
    allows_null: bool | None = None
    read_only: bool = False
    write_only: bool = False
    implied: bool = False
    pointer: str = ""


class Way(Enum):
    """How many rows a relation joins."""

    MANY_TO_ONE = "many to one"
    ONE_TO_ONE = "one to one"
    ONE_TO_MANY = "one to many"
    MANY_TO_MANY = "many to many"


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A relation of a model to another one. `back` is its name there, `association` the table between. `key` is the
    column that it joins by, with the model that has it, where there is no table between."""

    name: str
    model: str
    way: Way
    back: str | None = None
    association: str | None = None
    key: tuple[str, str] | None = None
    nullable: bool | None = None
    required: bool = False
    description: str | None = None
    write_only: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    pointer: str = ""


@dataclass(frozen=True, slots=True)
class Constraint:
    """A unique constraint, or an index, over several columns."""

    columns: tuple[str, ...]
    name: str | None = None
    unique: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model: its own columns and relations, without those of the model that it `extends`. Where that has the same
    table, both are rows of one table. A table between two models is a model that is `implied`."""

    name: str
    table: str
    extends: str | None = None
    columns: Sequence[Column] = ()
    relations: Sequence[Relation] = ()
    uniques: Sequence[Constraint] = ()
    indexes: Sequence[Constraint] = ()
    database_schema: str | None = None
    description: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    pointer: str = ""
    implied: bool = False
    own_table: bool = True
    """Whether it says the name of its table itself."""

    @property
    def own_columns(self) -> list[Column]:
        """The columns that are properties, without those that relations imply."""
        return [column for column in self.columns if self.implied or not column.implied]


@dataclass(frozen=True, slots=True)
class Tables:
    """What a specification describes, in its order."""

    models: Sequence[Model]

    @property
    def count(self) -> int:
        """How many models there are, as OpenAlchemy's service counts them: those that say a table of their own."""
        return sum(model.own_table for model in self.models)
