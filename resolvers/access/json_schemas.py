"""JSON schemas, and the check of a configuration against its schema.

Schemas are compiled, patterns are matched in linear time, and references may lead to a bounded number of parts. So a
check takes a few milliseconds at most, in which the process answers nothing else.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import orjson
from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

PARTS = 1_000
"""Parts of a schema, counting what its references lead to, each time that they do."""
PATTERN = 10
"""The number of parts that a pattern for names counts as: each name in a configuration is tried with it."""
_WORDS = 500


def wrong(schema: Any) -> str | None:
    """What is wrong with a schema, in words for those who may correct it."""
    try:
        _compiled(orjson.dumps(schema))
    except ValueError as error:
        return str(error)
    return None


def against(schema: Any, config: Any, *, masked: bool = False) -> tuple[list[str], str] | None:
    """The first place in a configuration that its schema does not allow, and why; with `masked` without the value.
    ValueError for a schema that is `wrong`."""
    try:
        _compiled(orjson.dumps(schema), masked).validate(config)
    except ValidationError as error:
        return [str(key) for key in error.instance_path], error.message[:_WORDS]
    return None


@lru_cache(maxsize=64)
def _compiled(text: bytes, masked: bool = False) -> Draft202012Validator:
    schema = orjson.loads(text)
    _bound(schema)
    try:
        mask = "the value" if masked else None
        return Draft202012Validator(schema, pattern_options=RegexOptions(), retriever=_nowhere, mask=mask)
    except ValidationError as error:
        raise ValueError(f"this is no JSON schema that is taken: {error.message[:_WORDS]}") from None


def _nowhere(address: str) -> Any:
    raise LookupError("a $ref leads to a place in the schema itself, not elsewhere")


def _bound(schema: Any) -> None:
    """Raise ValueError when references lead out of the schema, back to where they stand, or to too many parts."""
    known: dict[str, int] = {}

    def parts(value: Any, within: tuple[str, ...]) -> int:
        number = 1
        if isinstance(value, Mapping) and ("$dynamicRef" in value or ("$id" in value and value is not schema)):
            raise ValueError("a schema has no parts with an $id of their own, and no $dynamicRef")
        if isinstance(value, Mapping) and isinstance(patterns := value.get("patternProperties"), Mapping):
            number += PATTERN * len(patterns)
        for reference in _own_references(value):
            if reference in within:
                raise ValueError("a $ref leads back to where it stands")
            if reference not in known:
                known[reference] = parts(_place(schema, reference), (*within, reference))
            number += known[reference]
        inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
        number += sum(parts(one, within) for one in inner if isinstance(one, Mapping | list))
        if number > PARTS:
            raise ValueError(f"a schema has at most {PARTS} parts, with those that its references lead to")
        return number

    parts(schema, ("#",))


def _own_references(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping) and isinstance(value.get("$ref"), str):
        yield value["$ref"]


def _place(schema: Any, reference: str) -> Any:
    """The part of the schema that a reference such as `#/$defs/size` leads to."""
    if not reference.startswith("#/"):
        raise ValueError(f"a $ref leads to a place in the schema itself, not elsewhere: {reference[:200]}")
    place = schema
    for part in reference[2:].split("/"):
        step = part.replace("~1", "/").replace("~0", "~")
        if isinstance(place, Mapping) and step in place:
            place = place[step]
        elif isinstance(place, list) and step.isdecimal() and int(step) < len(place):
            place = place[int(step)]
        else:
            raise ValueError(f"a $ref leads to a place in the schema itself, not elsewhere: {reference[:200]}")
    return place
