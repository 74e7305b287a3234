"""Specifications: small ones, and such as are made by chance, of all that models can be."""

import json
from collections.abc import Iterable
from random import Random
from typing import Any

Schema = dict[str, Any]


def described(*models: str, version: str | None = "1.0", **columns: Schema) -> str:
    """A specification as JSON: models with a key, a name and these columns."""
    properties = {"id": {"type": "integer", "x-primary-key": True}, "name": {"type": "string"}, **columns}
    made: Iterable[tuple[str, Schema]] = (
        (name, {"type": "object", "x-tablename": name.lower(), "properties": properties}) for name in models
    )
    info = {"title": "Beams", "description": "What a beam line has.", "version": version}
    return json.dumps({
        "openapi": "3.0.3",
        "info": {name: value for name, value in info.items() if value is not None},
        "paths": {},
        "components": {"schemas": dict(made)},
    })  # fmt: skip


SPEC = described("Magnet")
REF = "#/components/schemas/"
_SIMPLE: tuple[Schema, ...] = (
    {"type": "integer"},
    {"type": "integer", "format": "int32"},
    {"type": "integer", "format": "int64"},
    {"type": "number"},
    {"type": "number", "format": "float"},
    {"type": "string"},
    {"type": "string", "maxLength": 40},
    {"type": "string", "format": "binary"},
    {"type": "string", "format": "date"},
    {"type": "string", "format": "date-time"},
    {"type": "string", "format": "uuid"},
    {"type": "boolean"},
    {"type": "object", "x-json": True},
    {"type": "array", "x-json": True, "items": {"type": "integer"}},
)
_DEFAULTS = {
    ("integer", None): 7, ("integer", "int64"): 2**40, ("number", None): 2.5, ("string", None): "it's \"so\"",
    ("boolean", None): True, ("string", "date"): "2026-01-02", ("string", "date-time"): "2026-01-02T03:04:05",
}  # fmt: skip


def specification(seed: int) -> Schema:
    """A valid specification, another one for each seed."""
    chance = Random(seed)
    names = [f"Model{letter}" for letter in "ABCDE"[: chance.randint(1, 5)]]
    schemas: Schema = {
        "Named": {
            "type": "object",
            "properties": {"label": {"type": "string", "maxLength": 20}},
            "required": ["label"],
        },
        "Amount": {"type": "number", "description": "How much."},
    }
    for name in names:
        schemas[name] = _model(chance, name)
    for number, name in enumerate(names[1:], 1):
        _relate(chance, schemas, names, name, number)
    for number in range(chance.randint(0, 2)):
        _extend(chance, schemas, chance.choice(names), f"Child{number}", number)
    return {
        "openapi": "3.0.3",
        "info": {"title": f"Specification {seed}", "version": f"1.{seed}"},
        "paths": {},
        "components": {"schemas": schemas},
    }


def own(schema: Schema) -> Schema:
    """The part of a model's schema that says what is its own."""
    found: Schema = schema["allOf"][-1] if "allOf" in schema else schema
    return found


def _model(chance: Random, name: str) -> Schema:
    key: Schema = {"type": "integer", "x-primary-key": True}
    if chance.random() < 0.5:
        key["x-autoincrement"] = True
    properties: Schema = {"id": key}
    for number in range(chance.randint(1, 5)):
        properties[f"value_{number}"] = _column(chance)
    required = [one for one in properties if chance.random() < 0.3]
    made: Schema = {"type": "object", "x-tablename": f"table_{name.lower()}", "properties": properties}
    made |= {"description": f"What {name} is."} if chance.random() < 0.5 else {}
    made |= {"required": required} if required else {}
    plain = [one for one, given in properties.items() if not given.get("x-json")]
    if len(plain) > 1 and chance.random() < 0.3:
        made["x-composite-index"] = chance.choice([plain[:2], [plain[:2]], {"expressions": plain[:2], "unique": True}])
    if len(plain) > 1 and chance.random() < 0.3:
        made["x-composite-unique"] = chance.choice([plain[:2], {"columns": plain[:2], "name": f"uq_{name.lower()}"}])
    return {"allOf": [{"$ref": f"{REF}Named"}, made]} if chance.random() < 0.3 else made


def _column(chance: Random) -> Schema:
    if chance.random() < 0.1:
        return {"$ref": f"{REF}Amount"}
    made = dict(chance.choice(_SIMPLE))
    if chance.random() < 0.3:
        made["nullable"] = chance.random() < 0.5
    if made.get("x-json"):
        return made
    default = _DEFAULTS.get((made["type"], made.get("format")))
    if default is not None and chance.random() < 0.3:
        made["default"] = default
    elif made["type"] == "integer" and chance.random() < 0.2:
        made["x-server-default"] = "12"
    for key in ("x-index", "x-unique"):
        if chance.random() < 0.15:
            made[key] = True
    return made


def _relate(chance: Random, schemas: Schema, names: list[str], name: str, number: int) -> None:
    """A relation to an earlier model."""
    other, properties = chance.choice(names[:number]), own(schemas[name])["properties"]
    said: Schema = {"x-backref": f"back_{name.lower()}"} if chance.random() < 0.5 else {}
    kind = chance.randrange(4)
    if kind == 0:
        if chance.random() < 0.3:
            said["nullable"] = chance.random() < 0.5
        properties["one"] = {"allOf": [{"$ref": REF + other}, said]} if said else {"$ref": REF + other}
    elif kind == 1:
        said = {"x-backref": f"back_{name.lower()}", "x-uselist": False}
        properties["single"] = {"allOf": [{"$ref": REF + other}, said]}
    elif kind == 2:
        items = {"allOf": [{"$ref": REF + other}, said]} if said else {"$ref": REF + other}
        properties["several"] = {"type": "array", "items": items}
    else:
        said["x-secondary"] = f"{name.lower()}_{other.lower()}"
        properties["many"] = {"type": "array", "items": {"allOf": [{"$ref": REF + other}, said]}}


def _extend(chance: Random, schemas: Schema, parent: str, name: str, number: int) -> None:
    """A model that extends another one, in its table or in one of its own."""
    above = own(schemas[parent])
    for key in ("x-composite-index", "x-composite-unique"):  # OpenAlchemy looks for their columns in the child, too
        above.pop(key, None)
    if "kind" not in above["properties"]:
        above["properties"]["kind"] = {"type": "string"}
        above["x-kwargs"] = {"__mapper_args__": {"polymorphic_on": "kind", "polymorphic_identity": parent}}
    made: Schema = {
        "x-inherits": chance.choice([True, parent]),
        "type": "object",
        "properties": {f"more_{number}": {"type": "integer"}},
        "x-kwargs": {"__mapper_args__": {"polymorphic_identity": name}},
    }
    if chance.random() < 0.5:
        made["x-tablename"] = f"table_{name.lower()}"
        key = {"type": "integer", "x-primary-key": True, "x-foreign-key": f"{above['x-tablename']}.id"}
        made["properties"]["id"] = key
    schemas[name] = {"allOf": [{"$ref": REF + parent}, made]}
