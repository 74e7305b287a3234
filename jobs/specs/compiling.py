"""Compile the schemas of a specification into tables. All faults are told, not the first."""

import keyword
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from jobs.specs.columns import column
from jobs.specs.constraints import constraints
from jobs.specs.faults import Fault, Faulty, below
from jobs.specs.relations import Joined, Joins, joined
from jobs.specs.schemas import AT, Part, Schemas, Wrong, find, inherits
from jobs.specs.tables import MODULES, Column, Model, Tables
from jobs.specs.values import LONGEST, Faults, Reader, is_name

COLUMNS, PROPERTIES = 1_000, 30_000
"""The most columns of a model, of which PostgreSQL has up to 1,600, and the most properties of all models."""
_OF_COLUMNS = ("x-primary-key", "x-autoincrement", "x-index", "x-unique", "x-foreign-key", "x-foreign-key-kwargs")

_MAPPER = ("batch", "confirm_deleted_rows", "eager_defaults", "polymorphic_identity", "polymorphic_on")
_TAKEN = {"metadata", "registry", "from_dict", "from_str", "to_dict", "to_str", *MODULES}
"""Names that generated models have for something else."""
_NAMED = f"has letters, digits and underscores, at most {LONGEST}"


def compiled(document: Mapping[str, Any]) -> Tables:
    """The tables of a specification; raises Faulty."""
    faults: Faults = []
    schemas = (document.get("components") or {}).get("schemas")
    if not isinstance(schemas, Mapping) or not schemas:
        raise Faulty([Fault(AT, "a specification has schemas, of which at least one has x-tablename")])
    try:
        tables = _Compiler(Schemas(schemas), faults).tables()
    except Wrong as wrong:
        raise Faulty([*faults, wrong.fault]) from None
    if faults:
        raise Faulty(faults)
    return tables


class _Compiler:
    def __init__(self, schemas: Schemas, faults: Faults) -> None:
        self._schemas, self._faults = schemas, faults
        self._relations: list[Joined] = []
        self._number = 0

    def tables(self) -> Tables:
        names = self._schemas.models()
        if not names:
            self._fault(AT, "at least one schema has x-tablename, which makes it a model")
        models = []
        for name in names:
            try:
                if (model := self._model(name)) is not None:
                    models.append(model)
            except Wrong as wrong:
                self._faults.append(wrong.fault)
        self._check_tables(models)
        if self._faults:  # relations are told of whole models
            raise Faulty(self._faults)
        joins = Joins(models, self._faults)
        for relation in self._relations:
            joins.add(relation)
        completed = list(joins.models.values())
        self._check_names(completed)
        for model in completed:
            self._check_constraints(model, joins)
        return Tables(completed)

    def _model(self, name: str) -> Model | None:
        part = self._schemas.named(name)
        if not is_name(name):
            self._fault(part.pointer, f"the name of a model {_NAMED}")
        elif keyword.iskeyword(name) or name in ("Base", *MODULES):
            self._fault(part.pointer, f"{name} means something else in Python; the model needs another name")
        parent = self._parent(name, part)
        parts = self._schemas.parts(part, parent)
        whole = Reader(self._schemas.parts(part), self._faults)
        own = Reader(parts or [part], self._faults)
        if whole.type() not in ("object", None):
            whole.wrong("type", "a model is an object")
        _check_keys(own)
        table = whole.name("x-tablename")
        if table is None:
            if not whole.has("x-tablename"):
                self._fault(part.pointer, "a model has an x-tablename, or extends one that has")
            return None
        required = self._required(parts)
        columns, relations = [], []
        properties = dict(self._properties(parts))
        self._number += len(properties)
        if self._number > PROPERTIES:
            raise Wrong(AT, f"the models have at most {PROPERTIES:,} properties, all together")
        for key, property_ in properties.items():
            made = self._property(name, key, property_, key in required)
            if isinstance(made, Column):
                columns.append(replace(made, pointer=property_.pointer))
            elif made is not None:
                relations.append(replace(made, relation=replace(made.relation, pointer=property_.pointer)))
        if not columns and not relations and parent is None:
            self._fault(part.pointer, "a model has at least one property of its own")
        if len(columns) > COLUMNS:
            self._fault(own.at("properties"), f"a model has at most {COLUMNS:,} columns, not {len(columns):,}")
        for key in sorted(required - properties.keys()):
            self._fault(own.at("required"), f"{key} is required and is no property")
        self._relations += relations
        uniques, indexes = constraints(own)
        return Model(
            name=name,
            table=table,
            extends=parent,
            columns=columns,
            relations=[join.relation for join in relations],
            uniques=uniques,
            indexes=indexes,
            database_schema=own.text("x-schema-name"),
            description=own.text("description"),
            options=self._options(own, columns),
            pointer=part.pointer,
            own_table=own.has("x-tablename"),
        )

    def _parent(self, name: str, part: Part) -> str | None:
        """The model that one extends."""
        said = inherits(self._schemas.parts(part))
        if said is None:
            return None
        above = [one for one in self._schemas.ancestors(part) if one != name]
        if said.given is True:
            if above:
                return above[0]
            raise Wrong(said.pointer, "x-inherits goes with a $ref to the model that is extended, in allOf")
        if said.given in above:
            return str(said.given)
        raise Wrong(said.pointer, "x-inherits is true, or the name of a model that allOf refers to")

    def _properties(self, parts: list[Part]) -> Iterator[tuple[str, Part]]:
        """The properties by name; of several with one name the first counts."""
        seen: set[str] = set()
        for part in parts:
            if "properties" not in part.given:
                continue
            listed, at = part.given["properties"], below(part.pointer, "properties")
            if not isinstance(listed, Mapping):
                raise Wrong(at, "properties are an object")
            for key, given in listed.items():
                if key not in seen:
                    seen.add(key)
                    yield key, Part(given, below(at, key))

    def _required(self, parts: list[Part]) -> set[str]:
        found: set[str] = set()
        for part in parts:
            listed = part.given.get("required", [])
            if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
                self._fault(below(part.pointer, "required"), "required is a list of names of properties")
            else:
                found.update(listed)
        return found

    def _property(self, owner: str, name: str, part: Part, required: bool) -> Column | Joined | None:
        if not is_name(name):
            self._fault(part.pointer, f"the name of a property {_NAMED}")
            return None
        if name in _TAKEN or name.startswith("__"):
            self._fault(part.pointer, f"{name} means something else in a model; the property needs another name")
            return None
        try:
            read = Reader(self._schemas.parts(part), self._faults)
            type_ = read.type()
            if type_ is None:
                return None
            if read.flag("x-json") or type_ not in ("object", "array"):
                return column(name, read.parts, required, self._faults)
            if read.flag("readOnly"):  # tells of what another model's relation brings
                return None
            return joined(self._schemas, owner, name, part, required, self._faults)
        except Wrong as wrong:
            self._faults.append(wrong.fault)
            return None

    def _options(self, read: Reader, columns: Iterable[Column]) -> Mapping[str, Any]:
        given = read.options("x-kwargs", ("__mapper_args__",))
        arguments = given.get("__mapper_args__", {})
        at = below(read.at("x-kwargs"), "__mapper_args__")
        if not isinstance(arguments, Mapping):
            self._fault(at, "__mapper_args__ is an object")
            return {}
        for name, value in arguments.items():
            if name not in _MAPPER:
                self._fault(below(at, name), f"__mapper_args__ has no {name} here; it has {', '.join(_MAPPER)}")
            elif name == "polymorphic_on" and value not in [column.name for column in columns]:
                self._fault(below(at, name), "polymorphic_on is a column of the model")
        return {"__mapper_args__": dict(arguments)} if arguments else {}

    def _check_tables(self, models: list[Model]) -> None:
        """Two models have one table only where one extends the other."""
        known = {model.name: model for model in models}
        first: dict[str, Model] = {}
        for model in models:
            parent = known.get(model.extends or "")
            if parent is not None and parent.table == model.table:
                continue
            if (other := first.setdefault(model.table, model)) is not model:
                at = find(self._schemas.local(self._schemas.named(model.name)), "x-tablename")
                place = model.pointer if at is None else at.pointer
                self._fault(place, f"the table {model.table} is that of {other.name}, too")
            if not any(column.primary_key for column in model.columns) and parent is None:
                self._fault(model.pointer, f"{model.name} has no primary key; x-primary-key makes one")

    def _check_names(self, models: list[Model]) -> None:
        """A name of a relation from the other side is that of nothing else."""
        backs: Counter[tuple[str, str]] = Counter()
        known = {model.name: {*(c.name for c in model.columns), *(r.name for r in model.relations)} for model in models}
        for model in models:
            for relation in model.relations:
                if relation.back is None:
                    continue
                backs[relation.model, relation.back] += 1
                if relation.back in known[relation.model] or backs[relation.model, relation.back] > 1:
                    told = f"{relation.model} has a {relation.back} already; another x-backref is needed"
                    self._fault(relation.pointer, told)

    def _check_constraints(self, model: Model, joins: Joins) -> None:
        known = {column.name for column in joins.on_table(model.name)}
        for key, listed in (("x-composite-unique", model.uniques), ("x-composite-index", model.indexes)):
            for one in listed:
                for name in one.columns:
                    if name not in known:
                        self._fault(below(model.pointer, key), f"{name} is no column of {model.table}")

    def _fault(self, pointer: str, message: str) -> None:
        self._faults.append(Fault(pointer, message))


def _check_keys(own: Reader) -> None:
    """What no model has. Mixins are import paths of the user's code, which packages can't have."""
    for key in _OF_COLUMNS:
        if own.has(key):
            own.wrong(key, f"{key} is for properties, not for models")
    if own.has("x-mixins"):
        own.wrong("x-mixins", "x-mixins are code, which packages do not have; leave them out")
