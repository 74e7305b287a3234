"""Answers to introspection: the schema's description of itself is made once, and cut to what a document asks.

An executor would visit each object of the introspection anew, half a second for a common one.
"""

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import Any

import orjson
from graphql import (
    FieldNode,
    GraphQLObjectType,
    GraphQLSchema,
    VariableValues,
    get_argument_values,
    get_introspection_query,
    get_named_type,
    get_nullable_type,
    introspection_types,
    is_input_object_type,
    is_leaf_type,
    is_list_type,
    is_named_type,
    parse,
)

from resolvers.failures import LimitExceeded
from schema.fields.selection import Scope

KINDS: Mapping[str, GraphQLObjectType] = {name: introspection_types[name] for name in ("__Schema", "__Type")}  # type: ignore[misc]
MARGIN = 12
"""The most bytes of one introspection, as a multiple of a complete one."""
ANSWERS = 8
"""The most introspections that are cached."""


@dataclass(slots=True)
class Piece:
    """An object of the introspection: its scalars as JSON, the objects and lists of objects below it."""

    kind: GraphQLObjectType
    scalars: dict[str, bytes] = field(default_factory=dict)
    objects: dict[str, "Piece | None"] = field(default_factory=dict)
    lists: dict[str, "list[Piece] | None"] = field(default_factory=dict)


@dataclass(slots=True)
class Line:
    """A field of a projection: the text before it, and what it takes of a piece."""

    prefix: bytes
    name: str
    deprecated: bool
    below: "list[Line] | None" = None


@cache
def introspection_of(schema: GraphQLSchema) -> "Introspection":
    return Introspection(schema)


class Introspection:
    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._info = SimpleNamespace(schema=schema)
        self._pieces: dict[tuple[str, str], Piece] = {}
        self._answers: OrderedDict[Hashable, bytes] = OrderedDict()
        self._most: int | None = None
        self._piece(schema, KINDS["__Schema"])
        for kind in schema.type_map.values():
            self._piece(kind, KINDS["__Type"])
        operation: Any = parse(get_introspection_query(input_value_deprecation=True))
        fragments = {d.name.value: d for d in operation.definitions[1:]}
        node = operation.definitions[0].selection_set.selections[0]
        complete = self.text(schema, KINDS["__Schema"], [node], Scope(schema, fragments, {}))
        self._most = MARGIN * len(complete)

    def known(self, key: Hashable) -> bytes | None:
        """The cached JSON of the same question."""
        if (found := self._answers.get(key)) is not None:
            self._answers.move_to_end(key)
        return found

    def keep(self, key: Hashable, text: bytes) -> None:
        self._answers[key] = text
        if len(self._answers) > ANSWERS:
            self._answers.popitem(last=False)

    def text(self, shown: Any, kind: GraphQLObjectType, nodes: Sequence[FieldNode], scope: Scope) -> bytes:
        """The JSON of the schema or of a type, which takes some hundredths of a second; raises LimitExceeded when it is
        too large."""
        lines = _lines(kind, nodes, scope)
        return _Projection(self._most).text(self._piece(shown, kind), lines)

    def _piece(self, shown: Any, kind: GraphQLObjectType) -> Piece:
        """The piece of a schema or type, with all pieces below it."""
        pending: list[tuple[Any, Piece]] = []
        piece = self._named(shown, kind, pending)
        while pending:
            self._fill(*pending.pop(), pending)
        return piece

    def _named(self, shown: Any, kind: GraphQLObjectType, pending: list[tuple[Any, Piece]]) -> Piece:
        """The piece of this name, made at its first use. Types are compared by their text, because each use of
        `[Int!]!` is an object of its own."""
        key = (kind.name, str(shown))
        if kind.name in KINDS and key in self._pieces:
            return self._pieces[key]
        piece = Piece(kind)
        if kind.name in KINDS:
            self._pieces[key] = piece
        pending.append((shown, piece))
        return piece

    def _fill(self, shown: Any, piece: Piece, pending: list[tuple[Any, Piece]]) -> None:
        for name, defined in piece.kind.fields.items():
            inner: Any = get_named_type(defined.type)
            if name == "isOneOf" and not is_input_object_type(shown):  # Strawberry's resolver fails for `[Int!]`
                piece.scalars[name] = b"false" if is_named_type(shown) else b"null"
                continue
            given = {"includeDeprecated": True} if "includeDeprecated" in defined.args else {}
            value: Any = defined.resolve(shown, self._info, **given)
            many = is_list_type(get_nullable_type(defined.type))
            if is_leaf_type(inner):
                write = inner.serialize
                made = None if value is None else [write(one) for one in value] if many else write(value)
                piece.scalars[name] = orjson.dumps(made)
            elif many:
                piece.lists[name] = None if value is None else [self._named(one, inner, pending) for one in value]
            else:
                piece.objects[name] = None if value is None else self._named(value, inner, pending)


def _lines(kind: GraphQLObjectType, nodes: Sequence[FieldNode], scope: Scope) -> list[Line]:
    found = []
    for key, same in scope.collect(scope.below(nodes), kind).items():
        prefix, name = b'"%b":' % key.encode(), same[0].name.value
        if name == "__typename":
            found.append(Line(prefix + orjson.dumps(kind.name), "", False))
            continue
        defined = kind.fields[name]
        deprecated = "includeDeprecated" not in defined.args
        if not deprecated:
            deprecated = bool(
                get_argument_values(defined, same[0], VariableValues({}, dict(scope.variables))).get(
                    "includeDeprecated"
                )
            )
        inner: Any = get_named_type(defined.type)
        below = None if is_leaf_type(inner) else _lines(inner, same, scope)
        found.append(Line(prefix, name, deprecated, below))
    return found


class _Projection:
    """One projection. The same piece under the same lines is made once."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._known: dict[tuple[int, int], bytes] = {}
        self._made = 0

    def text(self, piece: Piece, lines: list[Line]) -> bytes:
        key = (id(piece), id(lines))
        if (known := self._known.get(key)) is not None:
            return known
        parts = []
        for line in lines:
            if line.below is None:
                parts.append(line.prefix + piece.scalars[line.name] if line.name else line.prefix)
            elif line.name in piece.objects:
                below = piece.objects[line.name]
                parts.append(line.prefix + (b"null" if below is None else self.text(below, line.below)))
            elif (pieces := piece.lists[line.name]) is None:
                parts.append(line.prefix + b"null")
            else:
                shown = [one for one in pieces if line.deprecated or one.scalars.get("isDeprecated") != b"true"]
                inner = b",".join([self.text(one, line.below) for one in shown])
                parts.append(b"%b[%b]" % (line.prefix, inner))
        found = self._known[key] = b"{%b}" % b",".join(parts)
        self._made += len(found)
        if self._most is not None and self._made > self._most:
            what = "the introspection is too large; ask for less of it"
            raise LimitExceeded(what, limit="introspection", allowed=self._most)
        return found
