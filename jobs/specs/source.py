"""The source of a package of SQLAlchemy models, from the tables of a specification."""

import keyword
from collections.abc import Iterator
from dataclasses import dataclass, replace

from jobs.specs.python import call, docstring, keywords, literal, text, tuple_
from jobs.specs.tables import MODULES, Column, Constraint, Kind, Model, Relation, Tables, Way

_TYPES = {
    Kind.INTEGER: ("_sa.Integer", "int"),
    Kind.BIG_INTEGER: ("_sa.BigInteger", "int"),
    Kind.FLOAT: ("_sa.Float", "float"),
    Kind.STRING: ("_sa.String", "str"),
    Kind.BINARY: ("_sa.LargeBinary", "bytes"),
    Kind.DATE: ("_sa.Date", "_datetime.date"),
    Kind.DATE_TIME: ("_sa.DateTime", "_datetime.datetime"),
    Kind.BOOLEAN: ("_sa.Boolean", "bool"),
    Kind.JSON: ("_sa.JSON", "_typing.Any"),
}
_JSON_TYPES = {Kind.BINARY: "str", Kind.DATE: "str", Kind.DATE_TIME: "str"}
HEAD = '"""Models, generated from an OpenAPI specification."""'


def source(tables: Tables) -> str:
    """The module with all models: typed, and formatted as ruff formats it."""
    return "\n".join(_Writer(tables).lines()) + "\n"


@dataclass(frozen=True, slots=True)
class _Back:
    """The other side of a relation: its name on the model that the relation leads to."""

    name: str
    owner: str
    relation: Relation


class _Writer:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._models = {model.name: model for model in tables.models}
        self._backs: dict[str, list[_Back]] = {}
        for model in tables.models:
            for relation in model.relations:
                if relation.back is not None:
                    self._backs.setdefault(relation.model, []).append(_Back(relation.back, model.name, relation))

    def lines(self) -> Iterator[str]:
        body = [line for part in self._parts() for line in ("", "", *part)]
        used = {name for name in MODULES if any(f"{name}." in line for line in body)}
        yield from (HEAD, "", "from __future__ import annotations", "")
        yield from (f"import {name[1:]} as {name}" for name in ("_datetime", "_typing") if name in used)
        yield ""
        yield from ("import sqlalchemy as _sa", "from sqlalchemy import orm as _orm", "", "from . import _rows")
        yield from body

    def _parts(self) -> Iterator[list[str]]:
        yield ["class Base(_orm.DeclarativeBase):", '    """What all models are declared on."""']
        for model in self._ordered():
            if f"{model.name}Dict" not in self._models:
                yield list(self._typed_dict(model))
            yield list(self._model(model))
            if f"T{model.name}" not in self._models:
                yield [f"T{model.name} = {model.name}"]

    def _ordered(self) -> Iterator[Model]:
        """Models after those that they extend."""
        done: set[str] = set()

        def after(model: Model) -> Iterator[Model]:
            if model.name in done:
                return
            done.add(model.name)
            if model.extends is not None:
                yield from after(self._models[model.extends])
            yield model

        for model in self._tables.models:
            yield from after(model)

    def _typed_dict(self, model: Model) -> Iterator[str]:
        base = "_typing.TypedDict" if model.extends is None else f"{model.extends}Dict"
        yield f"class {model.name}Dict({base}, total=False):"
        yield f'    """The properties of {model.name}."""'
        told = [column for column in model.own_columns if _is_told(column)]
        relations = [relation for relation in model.relations if _is_told(relation)]
        if told or relations:
            yield ""
        for column in told:
            plain = _JSON_TYPES.get(column.kind, _TYPES[column.kind][1])
            yield f"    {column.name}: {plain} | None" if plain != "_typing.Any" else f"    {column.name}: _typing.Any"
        for relation in relations:
            one = f"{relation.model}Dict"
            yield f"    {relation.name}: {f'list[{one}]' if _is_list(relation.way) else f'{one} | None'}"

    def _model(self, model: Model) -> Iterator[str]:
        base = "_rows.Row, Base" if model.extends is None else model.extends
        yield f"class {model.name}({base}):"
        yield from docstring(model.description or f"A row of the table {model.table}.")
        yield ""
        parent = None if model.extends is None else self._models[model.extends]
        if parent is None or parent.table != model.table:
            yield f"    __tablename__ = {text(model.table)}"
        yield from self._table_arguments(model)
        for name, value in model.options.items():
            yield f"    {name} = {literal(value)}"
        yield from self._fields(model)
        yield ""
        for column in model.columns:
            yield from _column(column)
        for relation in model.relations:
            yield from _relation(self._placed(relation), self._paths(model.name, relation, back=False))
        for back in self._backs.get(model.name, ()):
            placed = replace(back, relation=self._placed(back.relation))
            yield from _back(placed, self._paths(back.owner, back.relation, back=True))

    def _placed(self, relation: Relation) -> Relation:
        """The relation with its table between as SQLAlchemy names it: with its schema."""
        spaces = {model.table: model.database_schema for model in self._tables.models}
        space = spaces.get(relation.association or "")
        return relation if space is None else replace(relation, association=f"{space}.{relation.association}")

    def _paths(self, owner: str, relation: Relation, *, back: bool) -> list[str]:
        """The arguments that name the column which a relation joins by, where the tables are linked in several ways, or
        are one; `back` is for its other side."""
        if relation.key is None:
            return []
        holder, column = relation.key
        tables = {self._models[owner].table, self._models[relation.model].table}
        links = {
            (model.table, one.name)
            for model in self._tables.models if model.table in tables
            for one in model.columns
            if one.foreign_key is not None and one.foreign_key.split(".")[-2] in tables
        }  # fmt: skip
        if len(links) < 2 and len(tables) == 2:
            return []
        made = [("foreign_keys", f"{holder}.{column}")]
        to_one = (relation.way is not Way.ONE_TO_MANY) is not back
        if len(tables) == 1 and to_one and "remote_side" not in relation.options:
            by = next(one.foreign_key for one in self._models[holder].columns if one.name == column) or ""
            made.append(("remote_side", f"{relation.model}.{by.split('.')[-1]}"))
        return keywords((name, value) for name, value in made if name not in relation.options or back)

    def _table_arguments(self, model: Model) -> Iterator[str]:
        made = [_constraint("UniqueConstraint", one) for one in model.uniques]
        made += [_constraint("Index", one) for one in model.indexes]
        made += ["{" + f'"schema": {text(model.database_schema)}' + "}"] if model.database_schema is not None else []
        if made:
            yield from tuple_("    __table_args__ = ", made)

    def _fields(self, model: Model) -> Iterator[str]:
        fields = [_field(column) for column in model.own_columns]
        for relation in model.relations:
            given = [("required", relation.required), ("nullable", relation.nullable)]
            given += [("write_only", relation.write_only)]
            kind = "rows" if _is_list(relation.way) else "row"
            said = keywords((name, value) for name, value in given if value)
            fields.append(f"_rows.Field({', '.join([text(relation.name), text(kind), *said])})")
        yield from tuple_("    __fields__: _typing.ClassVar[tuple[_rows.Field, ...]] = ", fields)


def _relation(relation: Relation, paths: list[str]) -> list[str]:
    """The attribute of a relation."""
    type_ = f"list[{relation.model}]" if _is_list(relation.way) else f"{relation.model} | None"
    arguments = [text(relation.model)] if keyword.iskeyword(relation.name) else []
    arguments += _joining(relation.back, relation.association) + paths
    arguments += keywords(relation.options.items())
    arguments += _doc(relation)
    return call("_orm.relationship", arguments, start=_attribute(relation.name, type_))


def _back(back: _Back, paths: list[str]) -> list[str]:
    """The attribute of a relation on its other side."""
    many = back.relation.way in (Way.MANY_TO_ONE, Way.MANY_TO_MANY)
    type_ = f"list[{back.owner}]" if many else f"{back.owner} | None"
    arguments = [text(back.owner)] if keyword.iskeyword(back.name) else []
    arguments += _joining(back.relation.name, back.relation.association) + paths
    return call("_orm.relationship", arguments, start=_attribute(back.name, type_))


def _joining(other: str | None, association: str | None) -> list[str]:
    given = (("back_populates", other), ("secondary", association))
    return keywords((name, value) for name, value in given if value is not None)


def _is_told(one: Column | Relation) -> bool:
    """Whether a property is in the dictionary's type, in which a keyword of Python can't stand."""
    return not one.write_only and not keyword.iskeyword(one.name)


def _is_list(way: Way) -> bool:
    return way in (Way.ONE_TO_MANY, Way.MANY_TO_MANY)


def _type(column: Column) -> str:
    name, _ = _TYPES[column.kind]
    return name if column.length is None else f"{name}({column.length})"


def _foreign_key(column: Column) -> list[str]:
    if column.foreign_key is None:
        return []
    return [f"_sa.ForeignKey({', '.join([text(column.foreign_key), *keywords(column.foreign_key_options.items())])})"]


def _column(column: Column) -> list[str]:
    """The attribute of a column."""
    type_ = _TYPES[column.kind][1]
    shown = type_ if not column.nullable or column.primary_key or type_ == "_typing.Any" else f"{type_} | None"
    said = [("primary_key", column.primary_key or None), ("autoincrement", column.autoincrement)]
    said += [("index", column.index), ("unique", column.unique)]
    arguments = [_type(column), *_foreign_key(column)]
    arguments += [] if column.primary_key else [f"nullable={column.nullable}"]
    arguments += keywords((name, value) for name, value in said if value is not None)
    arguments += [] if column.default is None else [f"default={_default(column)}"]
    arguments += [] if column.server_default is None else [f"server_default=_sa.text({text(column.server_default)})"]
    arguments += keywords(column.options.items())
    arguments += _doc(column)
    return call("_orm.mapped_column", arguments, start=_attribute(column.name, shown))


def _doc(one: Column | Relation) -> list[str]:
    return [] if one.description is None or "doc" in one.options else [f"doc={text(one.description)}"]


def _attribute(name: str, type_: str) -> str:
    """How the attribute of a column or a relation begins. A keyword is no name, but may be that of an attribute."""
    if keyword.iskeyword(name):
        return f"    vars()[{text(name)}] = "
    return f"    {name}: _orm.Mapped[{type_}] = "


def _default(column: Column) -> str:
    given = column.default
    if column.kind is Kind.DATE:
        return f"_datetime.date.fromisoformat({text(given)})"
    if column.kind is Kind.DATE_TIME:
        return f"_datetime.datetime.fromisoformat({text(given)})"
    if column.kind is Kind.BINARY:
        return f"{text(given)}.encode()"
    return literal(float(given) if column.kind is Kind.FLOAT else given)


def _field(column: Column) -> str:
    given = [("required", column.required), ("nullable", column.allows_null)]
    given += [("write_only", column.write_only), ("read_only", column.read_only)]
    said = keywords((name, value) for name, value in given if value)
    return f"_rows.Field({', '.join([text(column.name), text(column.kind.value), *said])})"


def _constraint(kind: str, one: Constraint) -> str:
    columns = [text(name) for name in one.columns]
    if kind == "Index":
        unique = [] if one.unique is None else [f"unique={one.unique}"]
        return f"_sa.Index({', '.join([literal(one.name), *columns, *unique])})"
    return f"_sa.UniqueConstraint({', '.join([*columns, *keywords([('name', one.name)] if one.name else [])])})"
