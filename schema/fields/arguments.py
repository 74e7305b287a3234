"""Read the arguments of a field, as a document gives them, with the variables of an operation."""

from collections.abc import Sequence
from typing import Any

from graphql import (
    FieldNode,
    GraphQLField,
    ObjectValueNode,
    VariableNode,
    VariableValues,
    get_argument_values,
    get_nullable_type,
    is_input_object_type,
    is_non_null_type,
)
from strawberry.types.arguments import convert_arguments

from schema.fields.selection import Scope

Variable = tuple[tuple[str, ...], str, bool]
"""Where a variable goes: the argument and the fields of the objects in it, the variable, whether null is refused."""


class Arguments:
    """Reads the arguments of a field, as a document gives them, with the variables of an operation."""

    def __init__(self, scope: Scope, declared: Any, field: GraphQLField, node: FieldNode) -> None:
        self._strawberry: Any = getattr(scope.schema, "_strawberry_schema")  # noqa: B009
        self._declared, self._field, self._node = declared, field, node
        self._constant: dict[str, Any] | None = None
        self._known: Any = None
        self._plain: list[Variable] | None = []
        """None where a variable stands in a list."""
        named = self._strawberry.config.name_converter.from_argument
        names = {named(argument): argument.python_name for argument in declared.arguments}
        for argument in node.arguments or ():
            kind = field.args[argument.name.value].type
            places = _places(kind, argument.value, (names[argument.name.value],))
            if places is None:
                self._plain = None
                break
            self._plain += places

    def __call__(self, variables: VariableValues) -> Any:
        values = variables.coerced
        if self._plain is None or any(v not in values or (r and values[v] is None) for _, v, r in self._plain):
            return self._declared.asked(**self._read(variables))
        if self._constant is None:
            self._constant = self._read(variables)
            for path, _, _ in self._plain:  # no value of a client is kept with the document
                _put(self._constant, path, None)
            if not self._plain:
                self._known = self._declared.asked(**self._constant)
        if self._known is not None:
            return self._known
        given = dict(self._constant)
        for path, variable, _ in self._plain:
            _put(given, path, values[variable])
        return self._declared.asked(**given)

    def _read(self, variables: VariableValues) -> dict[str, Any]:
        read = get_argument_values(self._field, self._node, variables)
        schema = self._strawberry
        return convert_arguments(read, self._declared.arguments, schema.schema_converter.scalar_registry, schema.config)


def _put(given: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Put a value in its place, in copies of the objects that hold it."""
    *above, last = path
    for name in above:
        given[name] = given = dict(given[name])
    given[last] = value


def _places(kind: Any, value: Any, path: tuple[str, ...]) -> list[Variable] | None:
    """Where an argument's value holds variables; None where one stands in a list."""
    if not _varies(value):
        return []
    if isinstance(value, VariableNode):
        return [(path, value.name.value, is_non_null_type(kind))]
    bare = get_nullable_type(kind)
    if not isinstance(value, ObjectValueNode) or not is_input_object_type(bare):
        return None
    found: list[Variable] = []
    for inner in value.fields:
        asked = bare.fields.get(inner.name.value)
        places = None if asked is None else _places(asked.type, inner.value, (*path, inner.name.value))
        if places is None:
            return None
        found += places
    return found


def _varies(value: Any) -> bool:
    """Whether an argument's value holds a variable."""
    inner = (*getattr(value, "values", ()), *(field.value for field in getattr(value, "fields", ())))
    return isinstance(value, VariableNode) or any(map(_varies, inner))
