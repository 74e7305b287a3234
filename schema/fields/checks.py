"""Checks of the declarations, run when the schema is built."""

from collections.abc import Iterator
from typing import Any

from graphql import GraphQLObjectType, GraphQLSchema, get_named_type, is_non_null_type

from resolvers.access.policy import has_policy
from schema.fields.declarations import Column, Connected, Related
from schema.fields.selection import DEFINITION, model_of


def declared_fields(schema: GraphQLSchema) -> Iterator[tuple[GraphQLObjectType, str, Any, Any]]:
    """All fields of all object types: the type, the field's name, graphql-core's field, our declaration."""
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__"):
            for name, field in kind.fields.items():
                yield kind, name, field, field.extensions[DEFINITION]


def check(schema: GraphQLSchema) -> None:
    """Raise TypeError for a guarded field that is not nullable, or for a model without a row rule."""
    for kind, name, field, declared in declared_fields(schema):
        where = f"{kind.name}.{name}"
        if isinstance(declared, Column) and declared.needs and is_non_null_type(field.type):
            raise TypeError(f"{where} is guarded, so it must be nullable: a refusal is null for this field alone")
        if isinstance(declared, Connected | Related):
            target: Any = get_named_type(field.type)
            target = target.fields["nodes"].type if isinstance(declared, Connected) else target
            model = model_of(get_named_type(target))
            if not has_policy(model):
                raise TypeError(f"{where}: no policy says who sees rows of {model and model.__name__}")
