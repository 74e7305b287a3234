"""Check the values that clients give: the shape and size of each JSON input, and characters that no text may hold."""

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import strawberry
from graphql import (
    BooleanValueNode,
    EnumValueNode,
    FloatValueNode,
    IntValueNode,
    ListValueNode,
    ObjectValueNode,
    StringValueNode,
    ValueNode,
    VariableNode,
)
from strawberry.types import has_object_definition

from db.searching.folding import MARKS, bounded
from resolvers.failures import BIGGEST, Invalid
from resolvers.spelling import camel

DEPTH = 32
BYTES = 65_536
"""The most bytes of a status, a configuration, or a device's description of itself."""
_NEAR = 65_536
"""The most bytes whose values are checked at once; larger values are checked beside the event loop."""
_DIGITS = 400


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a JSON input: its kind (any, or an `object`), and its most bytes. Without a bound of its own it is
    checked by its reader, and bounded as the request is."""

    kind: type = dict
    most: int | None = BYTES

    @property
    def words(self) -> str:
        kind = "An object" if self.kind is dict else "A list" if self.kind is list else "Any value"
        return f"{kind} of at most {self.most:,} bytes." if self.most is not None else f"{kind}."

    def described(self, description: str) -> str:
        """The description of an argument or input field with this shape."""
        return f"{description} {self.words}"

    @property
    def metadata(self) -> dict[Any, Any]:
        """The metadata of an argument or input field with this shape."""
        return {Shape: self}


OBJECT, ANY = Shape(), Shape(object)

PRINTED: Mapping[Any, Any] = {"printed": True}
"""The metadata of a text that a program printed: any text is accepted, and `readable` makes what is stored."""


def readable(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


async def check(value: Any, path: str, metadata: Mapping[Any, Any]) -> None:
    """Raise INVALID, with its path, for a value that no input takes: a text with NUL, a JSON value of another shape."""
    if value is None or value is strawberry.UNSET:
        return
    if (shape := metadata.get(Shape)) is not None:
        await _check_json(value, path, shape)
    elif isinstance(value, str):
        if "printed" not in metadata:
            check_text(value, path)
    elif isinstance(value, list):
        for n, one in enumerate(value):
            await check(one, f"{path}.{n}", metadata if "printed" in metadata else {})
    elif has_object_definition(value):
        for field in value.__strawberry_definition__.fields:
            await check(getattr(value, field.python_name), f"{path}.{camel(field.python_name)}", field.metadata or {})


def check_text(text: str, path: str) -> None:
    """Refuse a text that PostgreSQL can't store, or that takes long to normalise."""
    if (wrong := _wrong_text(text)) is not None:
        raise Invalid(wrong, field=path)
    if len(bounded(text)) < len(text):
        raise Invalid(f"a letter has at most {MARKS} marks", field=path)


async def _check_json(value: Any, path: str, shape: Shape) -> None:
    if not isinstance(value, shape.kind):
        raise Invalid(f"this is not what is wanted here: {shape.words}", field=path)
    if shape.most is None:
        return
    try:
        size = len(orjson.dumps(value))
    except TypeError:  # what it does not take is found below
        size = 0
    if size > shape.most:
        raise Invalid(
            f"this has {size} bytes; at most {shape.most} are taken", field=path, allowed=shape.most, value=size
        )
    wrong = _wrong(value) if size <= _NEAR else await asyncio.to_thread(_wrong, value)
    if wrong is not None:
        below, why = wrong
        raise Invalid(why, field=".".join([path, *reversed(below)]))


def _wrong(value: Any, depth: int = 1) -> tuple[list[str], str] | None:
    """The path to the error in a JSON value, from its end, and the reason."""
    kind = type(value)
    if kind is str:
        why = _wrong_text(value)
        return None if why is None else ([], why)
    if kind is int:
        return None if -BIGGEST <= value <= BIGGEST else ([], f"an integer lies within ±{BIGGEST}")
    if kind is float:
        return None if math.isfinite(value) else ([], "a number is finite, within what 64 bits hold")
    if kind is not dict and kind is not list:
        return None if value is None or kind is bool else ([], "this is no JSON value")
    if depth > DEPTH:
        return [], f"a value is nested {DEPTH} deep at most"
    members: Any = value.items() if kind is dict else enumerate(value)
    for key, inner in members:
        if isinstance(key, str) and (why := _wrong_text(key)) is not None:
            return [], f"a key of this object is not taken: {why}"
        if (found := _wrong(inner, depth + 1)) is not None:
            found[0].append(str(key)[:100])
            return found
    return None


def _wrong_text(text: str) -> str | None:
    if "\0" in text:
        return "a text holds no NUL"
    try:
        text.isascii() or text.encode()
    except UnicodeEncodeError:
        return "a text holds no lone surrogate"
    return None


def read_literal(node: ValueNode, variables: Mapping[str, Any] | None = None) -> Any:
    """A JSON value written in a document. One that is out of bounds is refused as in a variable: by `check`."""
    given = variables or {}
    if isinstance(node, VariableNode):
        return given.get(node.name.value)
    if isinstance(node, ListValueNode):
        return [read_literal(one, given) for one in node.values]
    if isinstance(node, ObjectValueNode):
        return {
            field.name.value: read_literal(field.value, given)
            for field in node.fields
            if not isinstance(field.value, VariableNode) or field.value.name.value in given
        }
    if isinstance(node, IntValueNode):
        return whole(node.value)
    if isinstance(node, FloatValueNode):
        return float(node.value)
    return node.value if isinstance(node, StringValueNode | BooleanValueNode | EnumValueNode) else None


def whole(digits: str) -> int | float:
    """An integer; infinity for a number of so many digits that reading it would take long."""
    if len(digits) <= _DIGITS:
        return int(digits)
    return -math.inf if digits.startswith("-") else math.inf
