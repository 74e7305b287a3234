"""Open operations: those that run for anyone, even with a bad token beside them, such as sign-in and refresh.

Clients attach a token to every request, and it may have expired.
"""

from collections.abc import Iterator, Mapping

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
)

from schema.fields.selection import DEFINITION

OPEN = "open"
"""The key in the metadata of a root field that says whether it needs no principal."""

Fragments = Mapping[str, FragmentDefinitionNode]


def is_open(schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Fragments) -> bool:
    """Whether a valid operation runs although its token is bad. A mutation does when one of its fields needs no
    principal; its other fields report what is wrong with the token. A query does when none of its fields needs one:
    others would answer as if no token was sent."""
    root = schema.get_root_type(operation.operation)
    assert root is not None
    names = set(_names(operation.selection_set, fragments, set())) - {"__typename"}
    fields = [root.fields.get(name) for name in names]
    found = [field is not None and bool(field.extensions[DEFINITION].metadata.get(OPEN)) for field in fields]
    return any(found) if operation.operation is OperationType.MUTATION else bool(found) and all(found)


def _names(selected: SelectionSetNode, fragments: Fragments, spread: set[str]) -> Iterator[str]:
    """The names of the root fields; each fragment is looked at once."""
    for node in selected.selections:
        if isinstance(node, FieldNode):
            yield node.name.value
        elif isinstance(node, InlineFragmentNode):
            yield from _names(node.selection_set, fragments, spread)
        elif isinstance(node, FragmentSpreadNode) and node.name.value not in spread:
            spread.add(node.name.value)
            yield from _names(fragments[node.name.value].selection_set, fragments, spread)
