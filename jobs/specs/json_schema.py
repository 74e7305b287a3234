"""The models of a specification as JSON Schema (draft 2020-12): what `to_dict` gives and `from_dict` takes."""

from typing import Any

from jobs.specs.tables import Column, Kind, Model, Relation, Tables, Way

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TYPES: dict[Kind, dict[str, Any]] = {
    Kind.INTEGER: {"type": "integer"},
    Kind.BIG_INTEGER: {"type": "integer"},
    Kind.FLOAT: {"type": "number"},
    Kind.STRING: {"type": "string"},
    Kind.BINARY: {"type": "string"},
    Kind.DATE: {"type": "string", "format": "date"},
    Kind.DATE_TIME: {"type": "string", "format": "date-time"},
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.JSON: {},
}


def json_schema(tables: Tables) -> dict[str, Any]:
    """A schema with a definition for each model."""
    return {"$schema": DIALECT, "$defs": {model.name: _model(model) for model in tables.models}}


def _model(model: Model) -> dict[str, Any]:
    columns = model.own_columns
    properties = {column.name: _column(column) for column in columns}
    properties |= {relation.name: _relation(relation) for relation in model.relations}
    required = [column.name for column in columns if column.required]
    required += [relation.name for relation in model.relations if relation.required]
    made: dict[str, Any] = {"type": "object", "title": model.name}
    made |= {} if model.description is None else {"description": model.description}
    made |= {} if model.extends is None else {"allOf": [_reference(model.extends)]}
    made["properties"] = properties
    return made | ({"required": required} if required else {})


def _column(column: Column) -> dict[str, Any]:
    made = dict(_TYPES[column.kind])
    if column.length is not None and column.kind is Kind.STRING:
        made["maxLength"] = column.length
    if (column.allows_null or not column.required) and "type" in made:
        made["type"] = [made["type"], "null"]
    for name, value in (
        ("default", column.default),
        ("description", column.description),
        ("readOnly", column.read_only or None),
        ("writeOnly", column.write_only or None),
    ):
        if value is not None:
            made[name] = value
    return made


def _relation(relation: Relation) -> dict[str, Any]:
    to = _reference(relation.model)
    if relation.way in (Way.ONE_TO_MANY, Way.MANY_TO_MANY):
        made: dict[str, Any] = {"type": "array", "items": to}
    else:
        made = dict(to) if relation.required else {"anyOf": [to, {"type": "null"}]}
    made |= {} if relation.description is None else {"description": relation.description}
    return made | ({"writeOnly": True} if relation.write_only else {})


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}
