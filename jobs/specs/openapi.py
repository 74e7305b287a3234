"""What OpenAPI itself says of a specification, 3.0 or 3.1. Nothing that it refers to is fetched."""

from collections.abc import Iterator, Mapping
from typing import Any

from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError

from jobs.specs.faults import MOST, Fault, below

_VALIDATORS = {"3.0": OpenAPIV30SpecValidator, "3.1": OpenAPIV31SpecValidator}
_LONGEST = 300
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
    validator = _VALIDATORS.get(given[:3]) if isinstance(given, str) else None
    if validator is None:
        return [Fault("/openapi", f"a specification is of OpenAPI {' or '.join(_VALIDATORS)}, not {str(given)[:20]}")]
    if outside := list(_outside(document, "")):
        return outside[:MOST]
    found = []
    for error in validator(dict(document)).iter_errors():
        if error.absolute_path and error.absolute_path[0] not in document:
            continue  # the same once more, from within
        found.append(Fault(below("", *error.absolute_path), _told(error)))
        if len(found) == MOST:
            break
    return found


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


def _told(error: OpenAPIValidationError) -> str:
    """A sentence, without the schema that the value is against."""
    inner = sorted(error.context or (), key=lambda one: (-len(one.absolute_path), str(one.validator)))
    deepest = inner[0] if inner else error
    place = below("", *list(deepest.absolute_path)[len(error.absolute_path) :]) if inner else ""
    text = str(deepest.message).splitlines()[0]
    if len(text) > _LONGEST:
        text = f"it is not as OpenAPI says: {deepest.validator}"
    return f"{place}: {text}" if place else text
