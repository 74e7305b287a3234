"""Relations, from the properties of a model that refer to another one, and the columns and tables that they need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from jobs.specs.columns import nullable
from jobs.specs.faults import Fault
from jobs.specs.schemas import Part, Schemas
from jobs.specs.tables import Column, Kind, Model, Relation, Way
from jobs.specs.values import Faults, Reader

KEY = "id"
"""The column that a relation joins by unless `x-foreign-key-column` names another one."""
_OPTIONS = (
    "active_history", "cascade", "doc", "info", "innerjoin", "join_depth", "lazy", "passive_deletes", "passive_updates",
    "post_update", "single_parent", "viewonly",
)  # fmt: skip
_PATHS = ("order_by", "remote_side")
"""Keyword arguments of relations. What has an extension of its own is not among them."""
_ON_ITEMS = ("x-backref", "x-foreign-key-column", "x-kwargs", "x-uselist", "x-secondary", "nullable")


@dataclass(frozen=True, slots=True)
class Joined:
    """A relation of the model `owner`, with the name of the column that it joins by."""

    owner: str
    relation: Relation
    by: str
    pointer: str


def joined(schemas: Schemas, owner: str, name: str, part: Part, required: bool, faults: Faults) -> Joined | None:
    """The relation of a property; None where it is none, which is among the faults."""
    parts = schemas.parts(part)
    outer = Reader(parts, faults)
    if outer.type() == "object":
        return _one(schemas, owner, name, part, required, faults)
    items = outer.value("items", lambda given: isinstance(given, Mapping), "a schema")
    if items is None:
        if not outer.has("items"):
            faults.append(Fault(part.pointer, "an array has items, which refer to a model"))
        return None
    local = Reader(schemas.local(part), faults)
    for key in _ON_ITEMS:
        if local.has(key):
            local.wrong(key, f"{key} stands in the items of a relation to many")
    return _many(schemas, owner, name, Part(items, outer.at("items")), local.text("description"), faults)


def _one(schemas: Schemas, owner: str, name: str, part: Part, required: bool, faults: Faults) -> Joined | None:
    model = _referred(schemas, part, faults)
    read, local = Reader(schemas.parts(part), faults), Reader(schemas.local(part), faults)
    back, uselist = read.name("x-backref"), read.flag("x-uselist")
    if uselist is False and back is None:
        read.wrong("x-uselist", "a relation of one to one has an x-backref")
    by = read.name("x-foreign-key-column") or KEY
    relation = Relation(
        name=name,
        model=model or "",
        way=Way.ONE_TO_ONE if uselist is False else Way.MANY_TO_ONE,
        back=back,
        nullable=local.flag("nullable"),
        required=required,
        description=local.text("description"),
        write_only=bool(local.flag("writeOnly")),
        options=local.options("x-kwargs", _OPTIONS, _PATHS),
    )
    return None if model is None else Joined(owner, relation, by, part.pointer)


def _many(
    schemas: Schemas, owner: str, name: str, items: Part, description: str | None, faults: Faults
) -> Joined | None:
    model = _referred(schemas, items, faults)
    read, local = Reader(schemas.parts(items), faults), Reader(schemas.local(items), faults)
    association = read.name("x-secondary")
    if read.flag("x-uselist") is False:
        read.wrong("x-uselist", "a relation to many is a list")
    if local.flag("nullable"):
        local.wrong("nullable", "a relation to many is not null")
    if association is not None and read.has("x-foreign-key-column"):
        read.wrong("x-foreign-key-column", "a relation of many to many joins by primary keys")
    relation = Relation(
        name=name,
        model=model or "",
        way=Way.ONE_TO_MANY if association is None else Way.MANY_TO_MANY,
        back=read.name("x-backref"),
        association=association,
        description=description,
        options=local.options("x-kwargs", _OPTIONS, _PATHS),
    )
    by = read.name("x-foreign-key-column") or KEY
    return None if model is None else Joined(owner, relation, by, items.pointer)


def _referred(schemas: Schemas, part: Part, faults: Faults) -> str | None:
    name = schemas.refers_to(part)
    if name is None:
        faults.append(Fault(part.pointer, "an object refers to a model by $ref, or is x-json"))
    elif not schemas.is_model(name):
        faults.append(Fault(part.pointer, f"{name} is no model: it has no x-tablename"))
        return None
    return name


class Joins:
    """Completes models with the columns that their relations need, and makes the tables between them."""

    def __init__(self, models: Sequence[Model], faults: Faults) -> None:
        self.models = {model.name: model for model in models}
        self._faults = faults

    def add(self, join: Joined) -> None:
        if join.relation.way is Way.MANY_TO_MANY:
            self._associate(join)
        else:
            self._refer(join)

    def on_table(self, name: str) -> list[Column]:
        """The columns of the table of a model, by all models that have it."""
        table = self.models[name].table
        return [column for model in self.models.values() if model.table == table for column in model.columns]

    def _refer(self, join: Joined) -> None:
        """The column that refers to the other table: on the model itself, or on the other one for one to many."""
        relation, to_many = join.relation, join.relation.way is Way.ONE_TO_MANY
        holder, target = (relation.model, join.owner) if to_many else (join.owner, relation.model)
        table = self.models[target].table
        key = next((column for column in self.on_table(target) if column.name == join.by), None)
        if key is None:
            told = "by which the relation joins; x-foreign-key-column names another"
            self._wrong(join, f"{target} has no column {join.by}, {told}")
            return
        if key.kind is Kind.JSON:
            self._wrong(join, f"{target}.{join.by} is JSON, by which no relation joins")
            return
        name = f"{table}_{relation.name}_{join.by}" if to_many else f"{relation.name}_{join.by}"
        defaulted = key.default is not None or key.server_default is not None
        given, required = (None, False) if to_many else (relation.nullable, relation.required)
        column = Column(
            name=name,
            kind=key.kind,
            length=key.length,
            nullable=nullable(given, required, defaulted),
            default=key.default,
            server_default=key.server_default,
            foreign_key=self._qualified(target, join.by),
            implied=True,
            pointer=relation.pointer,
        )
        held = next((one for one in self.on_table(holder) if one.name == name), None)
        owner = self.models[join.owner]
        keyed = [replace(one, key=(holder, name)) if one.name == relation.name else one for one in owner.relations]
        self.models[join.owner] = replace(owner, relations=keyed)
        if held is None:
            model = self.models[holder]
            self.models[holder] = replace(model, columns=[*model.columns, column])
        elif held.foreign_key != column.foreign_key:
            self._wrong(join, f"{holder} has a column {name}, which must have the x-foreign-key {column.foreign_key}")
        elif (held.kind, held.length, held.default) != (column.kind, column.length, column.default):
            self._wrong(join, f"{holder} has a column {name} of another type than {column.foreign_key}")

    def _associate(self, join: Joined) -> None:
        relation = join.relation
        assert relation.association is not None
        sides = [self._side(join, name) for name in (join.owner, relation.model)]
        if None in sides:
            return
        first, second = sides
        assert first is not None
        assert second is not None
        if first.name == second.name:
            self._wrong(join, f"both columns of {relation.association} would be {first.name}")
            return
        holder = next((one for one in self.models.values() if one.table == relation.association), None)
        if holder is None:
            self._between(join, relation.association, [first, second])
        elif holder.implied:
            self._wrong(join, f"another relation has the table {relation.association}")
        else:
            known = {column.foreign_key for column in self.on_table(holder.name)}
            more = [column for column in (first, second) if column.foreign_key not in known]
            self.models[holder.name] = replace(holder, columns=[*holder.columns, *more])

    def _between(self, join: Joined, table: str, columns: list[Column]) -> None:
        """Make the table between two models a model of its own, as OpenAlchemy does."""
        name = table.title().replace("_", "")
        while name in self.models:
            name = f"Autogen{name}"
        space = self.models[join.owner].database_schema
        self.models[name] = Model(
            name=name, table=table, columns=columns, database_schema=space, implied=True, pointer=join.relation.pointer
        )

    def _side(self, join: Joined, name: str) -> Column | None:
        """The column of a table between, for the key of one of its models."""
        keys = [column for column in self.on_table(name) if column.primary_key]
        if len(keys) != 1 or keys[0].kind is Kind.JSON:
            self._wrong(join, f"a relation of many to many needs one primary key; {name} has {len(keys)}")
            return None
        (key,), table = keys, self.models[name].table
        return Column(
            name=f"{table}_{key.name}",
            kind=key.kind,
            length=key.length,
            nullable=False,
            primary_key=True,
            foreign_key=self._qualified(name, key.name),
            required=True,
            implied=True,
            pointer=join.relation.pointer,
        )

    def _qualified(self, model: str, column: str) -> str:
        """A column as a foreign key names it."""
        held = self.models[model]
        space = "" if held.database_schema is None else f"{held.database_schema}."
        return f"{space}{held.table}.{column}"

    def _wrong(self, join: Joined, message: str) -> None:
        self._faults.append(Fault(join.pointer, message))
