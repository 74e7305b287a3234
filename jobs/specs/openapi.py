"""What OpenAPI itself says of a specification, 3.0 or 3.1. Nothing that it refers to is fetched."""

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any

import jsonschema_rs
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator
from openapi_spec_validator.schemas import schema_v30, schema_v31
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError

from jobs.specs.faults import MOST, Fault, below

_VALIDATORS = {"3.0": (OpenAPIV30SpecValidator, schema_v30), "3.1": (OpenAPIV31SpecValidator, schema_v31)}
_LONGEST = 300
_REFERENCE = {"$ref": "#/definitions/Reference"}
LOCAL = "#/"


def completed(document: Mapping[str, Any], title: str) -> dict[str, Any]:
    """The document with what OpenAPI needs and OpenAlchemy's service did not ask for: the version of OpenAPI, a title,
    a version, and paths."""
    made = {"openapi": "3.0.3", "paths": {}, **document}
    if isinstance(info := document.get("info", {}), Mapping):
        made["info"] = {"title": title, "version": "1", **info}
    return made


def openapi_faults(document: Mapping[str, Any]) -> list[Fault]:
    """The faults of a document."""
    given = document.get("openapi")
    version = given[:3] if isinstance(given, str) else ""
    if version not in _VALIDATORS:
        return [Fault("/openapi", f"a specification is of OpenAPI {' or '.join(_VALIDATORS)}, not {str(given)[:20]}")]
    if found := list(_outside(document, "")):
        return found[:MOST]
    for error in _shape(version).iter_errors(document):
        found.append(Fault(below("", *error.instance_path), _told(error.message, str(error.kind.name))))
        if len(found) == MOST:
            break
    if found:
        return found
    return _followed(version, document)[:MOST]


def _followed(version: str, document: Mapping[str, Any]) -> list[Fault]:
    """The faults of what refers to each other, such as parameters and responses. Schemas are left out: the compiler
    tells of those that count, and to follow them, and to try their defaults, could take for ever."""
    validator, _ = _VALIDATORS[version]
    try:
        return [
            Fault(below("", *told.absolute_path), _told(told.message, ""))
            for told in islice(validator(_outline(document)).iter_errors(), MOST)
            if type(told) is not OpenAPIValidationError
        ]
    except RecursionError:
        return [Fault("/paths", "its parts refer to each other in a circle, or too far")]
    except Exception as error:  # it raises what it meets, such as a reference that leads nowhere
        return [Fault("/paths", f"it can't be followed: {_told(str(error) or 'it is', type(error).__name__)}")]


def _outline(document: Mapping[str, Any]) -> dict[str, Any]:
    made = {name: _without_schemas(part) for name, part in document.items() if name not in ("components", "webhooks")}
    components = document.get("components")
    if isinstance(components, Mapping):
        made["components"] = {
            section: {name: {} if section == "schemas" else _without_schemas(part) for name, part in parts.items()}
            for section, parts in components.items()
            if isinstance(parts, Mapping)
        }
    return made


def _without_schemas(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: {} if name == "schema" and isinstance(part, Mapping) else _without_schemas(part)
            for name, part in value.items()
        }
    return [_without_schemas(one) for one in value] if isinstance(value, list) else value


@cache
def _shape(version: str) -> Any:
    """OpenAPI's own schema of documents, which says of each part whether it is a reference before it says more: of two
    that a part is neither of, nobody would know the fault."""
    _, schema = _VALIDATORS[version]
    decided = _decided(dict(schema))
    if "id" in decided:  # of draft 4, which has no conditions
        decided |= {"$schema": "http://json-schema.org/draft-07/schema#", "$id": decided.pop("id")}
    return jsonschema_rs.validator_for(decided)


def _decided(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_decided(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    choices = schema.get("oneOf")
    made = {key: _decided(one) for key, one in schema.items()}
    if made.get("exclusiveMinimum") is True:
        made["exclusiveMinimum"] = made.pop("minimum")
    if isinstance(choices, list) and len(choices) == 2 and _REFERENCE in choices:
        (other,) = [one for one in choices if one != _REFERENCE]
        del made["oneOf"]
        refers = {"type": "object", "required": ["$ref"]}
        made["allOf"] = [
            {"anyOf": [{"not": refers}, dict(_REFERENCE)]},
            {"if": refers, "then": True, "else": dict(other)},
        ]
    return made


def _outside(value: Any, pointer: str) -> Iterator[Fault]:
    """References to files and addresses."""
    if isinstance(value, Mapping):
        to = value.get("$ref")
        if isinstance(to, str) and not to.startswith(LOCAL):
            yield Fault(below(pointer, "$ref"), f"a reference begins with {LOCAL}; nothing else is fetched")
        for key, one in value.items():
            yield from _outside(one, below(pointer, key))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _outside(one, below(pointer, number))


def _told(message: str, kind: str) -> str:
    """The first line of a message, unless it shows much of the document."""
    text = message.splitlines()[0]
    return text if len(text) <= _LONGEST else f"it is not as OpenAPI says: {kind}"
