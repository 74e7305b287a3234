"""Where a schema takes values: every argument of a root field, and every field of an input object below it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    get_named_type,
    get_nullable_type,
    is_composite_type,
)

PLAIN = {
    "Int": "1", "Float": "1.5", "String": '"x"', "ID": '"x"', "Boolean": "true", "BigInt": '"1"', "JSON": "{}", "SpecSource": '"{}"',
    "DateTime": '"2026-01-01T00:00:00Z"', "Date": '"2026-01-01"',
}  # fmt: skip


@dataclass(frozen=True)
class Position:
    """A place for a value of type `kind`: `operation` has `$v` there, of type `declared`."""

    name: str
    kind: Any
    operation: str

    def asking(self, declared: str) -> str:
        return self.operation.replace("<declared>", declared)


def literal(kind: Any) -> str:
    """A value of a type, in an object only what is required."""
    kind = get_nullable_type(kind)
    if isinstance(kind, GraphQLList):
        return f"[{literal(kind.of_type)}]"
    if isinstance(kind, GraphQLEnumType):
        return next(iter(kind.values))
    if isinstance(kind, GraphQLInputObjectType):
        return _object(kind)
    return PLAIN[kind.name]


def positions(schema: GraphQLSchema) -> Iterator[Position]:
    """All positions, each in an operation of one field."""
    roots = {"query": schema.query_type, "mutation": schema.mutation_type, "subscription": schema.subscription_type}
    for word, root in roots.items():
        assert root is not None
        for name, field in root.fields.items():
            below = "{__typename}" if is_composite_type(get_named_type(field.type)) else ""
            others = {a: literal(arg.type) for a, arg in field.args.items() if isinstance(arg.type, GraphQLNonNull)}
            if "first" in field.args:
                others["first"] = "1"
            for a, arg in field.args.items():
                for path, kind, value in _within(arg.type, a):
                    given = ",".join(f"{k}:{v}" for k, v in {**others, a: value}.items() if (k, a) != ("first", "last"))
                    yield Position(f"{name}.{path}", kind, f"{word}($v:<declared>){{{name}({given}){below}}}")


def _within(
    kind: Any, path: str, wrap: Callable[[str], str] = str, above: tuple[Any, ...] = ()
) -> Iterator[tuple[str, Any, str]]:
    """The type itself, and what it holds: the path, the type there, the value with `$v` in it. Of filters, those of one
    type once, and those within them not."""
    yield path, kind, wrap("$v")
    bare = get_nullable_type(kind)
    if isinstance(bare, GraphQLList):
        yield from _within(bare.of_type, f"{path}.0", lambda inner: wrap(f"[{inner}]"), above)
    elif isinstance(bare, GraphQLInputObjectType) and not (
        above and bare.name.endswith("Filter") and "and" in bare.fields
    ):
        for name, field in bare.fields.items():

            def within(inner: str, kind: GraphQLInputObjectType = bare, name: str = name) -> str:
                return wrap(_object(kind, name, inner))

            yield from _within(field.type, f"{path}.{name}", within, (*above, bare))


def _object(kind: GraphQLInputObjectType, name: str = "", value: str = "") -> str:
    required = {n: literal(f.type) for n, f in kind.fields.items() if isinstance(f.type, GraphQLNonNull)}
    required |= {name: value} if name else {}
    return "{" + ",".join(f"{n}:{v}" for n, v in required.items()) + "}"
