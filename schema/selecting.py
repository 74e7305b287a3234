"""The document and the declarations make a Selection: the columns that are wanted below one field."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    InlineFragmentNode,
    SelectionSetNode,
    get_named_type,
)

from db import models
from resolvers.access import Rule
from resolvers.selection import Selection

DEFINITION = "strawberry-definition"
"""Where Strawberry keeps, on graphql-core's types and fields, the declarations they were made from."""

KEPT = 200
"""Selections of one document."""

Fragments = Mapping[str, FragmentDefinitionNode]


def select(info: Any, model: type[models.Entity], *, page: bool = False, typename: str | None = None) -> Selection:
    """What the field in `info` wants of `model`: of its own object, of the rows of its page, or (with `typename`) of
    that member of its interface or union. The answer is kept with the document, for each combination of fields that
    @skip and @include leave, a bounded number of them.
    """
    raw = info._raw_info
    memo = info.context.memo
    key = (typename, *map(id, raw.field_nodes))
    if (found := memo.get(key)) is None:
        sets = [node.selection_set for node in raw.field_nodes if node.selection_set]
        kind: Any = get_named_type(raw.return_type) if typename is None else raw.schema.get_type(typename)
        if page:
            sets = list(_rows_of_page(sets, kind, raw.fragments))
            kind = get_named_type(kind.fields["nodes"].type)
        if len(memo) >= KEPT:
            memo.clear()
        found = memo[key] = _selection(model, kind, sets, raw.fragments, typename)
    selection: Selection = found
    return selection


def fields_of(sets: Iterable[SelectionSetNode], kind: GraphQLObjectType, fragments: Fragments) -> Iterator[FieldNode]:
    """The fields that a selection has on an object of `kind`, through fragments, each fragment once."""
    todo: list[SelectionSetNode] = list(sets)
    spread: set[str] = set()
    applies = {kind.name, *(interface.name for interface in kind.interfaces)}
    while todo:
        for selected in todo.pop().selections:
            if isinstance(selected, FieldNode):
                yield selected
            elif isinstance(selected, InlineFragmentNode):
                if selected.type_condition is None or selected.type_condition.name.value in applies:
                    todo.append(selected.selection_set)
            elif isinstance(selected, FragmentSpreadNode) and selected.name.value not in spread:
                spread.add(selected.name.value)
                fragment = fragments[selected.name.value]
                if fragment.type_condition.name.value in applies:
                    todo.append(fragment.selection_set)


def _rows_of_page(
    sets: Sequence[SelectionSetNode], kind: GraphQLObjectType, fragments: Fragments
) -> Iterator[SelectionSetNode]:
    for node in fields_of(sets, kind, fragments):
        if node.selection_set is None:
            continue
        if node.name.value == "nodes":
            yield node.selection_set
        elif node.name.value == "edges":
            edge: Any = get_named_type(kind.fields["edges"].type)
            for inner in fields_of([node.selection_set], edge, fragments):
                if inner.name.value == "node" and inner.selection_set is not None:
                    yield inner.selection_set


def _selection(
    model: type[models.Entity],
    kind: GraphQLObjectType,
    sets: Sequence[SelectionSetNode],
    fragments: Fragments,
    typename: str | None,
) -> Selection:
    columns: set[str] = set()
    guards: dict[str, tuple[Rule, ...]] = {}
    asks: dict[str, tuple[Rule, ...]] = {}
    for node in fields_of(sets, kind, fragments):
        if node.name.value.startswith("__"):
            continue
        declared: Any = kind.fields[node.name.value].extensions[DEFINITION]
        columns.update(_columns(declared, node, fragments, kind))
        if needs := getattr(declared, "needs", ()):
            guards[declared.key] = needs
        asks.update(getattr(declared, "asks", {}))
    return Selection(
        model, tuple(sorted(columns)), tuple(sorted(guards.items())), typename, tuple(sorted(asks.items()))
    )


def _columns(declared: Any, node: FieldNode, fragments: Fragments, kind: GraphQLObjectType) -> Iterable[str]:
    if (key := getattr(declared, "key", None)) is not None:
        yield key
    yield from getattr(declared, "reads", ())
    if (names := getattr(declared, "names", None)) is not None:
        yield declared.present
        inner: Any = get_named_type(kind.fields[node.name.value].type)
        if node.selection_set is not None:
            for part in fields_of([node.selection_set], inner, fragments):
                if not part.name.value.startswith("__"):
                    yield names[inner.fields[part.name.value].extensions[DEFINITION].python_name]
