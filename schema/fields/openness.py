"""Which operations are run for anyone, also for who presents a token that is no good: what signs in, refreshes and the
like. Clients attach a token to everything, and it may have ended."""

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
"""In the metadata of a field of the root: whether it needs no principal."""

Fragments = Mapping[str, FragmentDefinitionNode]


def is_open(schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Fragments) -> bool:
    """Whether to run a valid operation beside a token that is no good: a mutation with a field that needs no principal,
    whose other fields tell what is wrong with the token; a query of such fields alone, as others would answer as if
    nothing was presented."""
    root = schema.get_root_type(operation.operation)
    assert root is not None
    names = set(_names(operation.selection_set, fragments, set())) - {"__typename"}
    fields = [root.fields.get(name) for name in names]
    found = [field is not None and bool(field.extensions[DEFINITION].metadata.get(OPEN)) for field in fields]
    return any(found) if operation.operation is OperationType.MUTATION else bool(found) and all(found)


def _names(selected: SelectionSetNode, fragments: Fragments, spread: set[str]) -> Iterator[str]:
    """The fields of the root, each fragment looked at once."""
    for node in selected.selections:
        if isinstance(node, FieldNode):
            yield node.name.value
        elif isinstance(node, InlineFragmentNode):
            yield from _names(node.selection_set, fragments, spread)
        elif isinstance(node, FragmentSpreadNode) and node.name.value not in spread:
            spread.add(node.name.value)
            yield from _names(fragments[node.name.value].selection_set, fragments, spread)
