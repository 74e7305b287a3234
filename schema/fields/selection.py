"""Make the `Selection` of a field from the document and the declarations: the columns that are wanted below it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from graphql import (
    BooleanValueNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_abstract_type,
)

from db import models
from resolvers.access.rules import Rule
from resolvers.reading.selection import Selection

DEFINITION = "strawberry-definition"
"""The extension in which Strawberry keeps its declarations, on graphql-core's types and fields."""

KEPT = 200
"""The most selections that are kept with one document."""

Fragments = Mapping[str, FragmentDefinitionNode]
Collected = dict[str, list[FieldNode]]
"""The fields of an object by response key, in the order of the response; several nodes of one key are merged."""


def select(info: Any, model: type[models.Entity], *, page: bool = False, typename: str | None = None) -> Selection:
    """What the field in `info` selects of `model`: of its own object, of the rows of its page, or (with `typename`) of
    that member of its interface or union. The answer is kept with the document, a bounded number of them."""
    raw = info._raw_info
    memo = info.context.memo
    key = (typename, *map(id, raw.field_nodes))
    if (found := memo.get(key)) is None:
        scope = Scope(raw.schema, raw.fragments, raw.variable_values.coerced)
        kind: Any = get_named_type(raw.return_type) if typename is None else raw.schema.get_type(typename)
        sets = scope.below(raw.field_nodes)
        if page:
            sets = list(_rows_of_page(scope, sets, kind))
            kind = get_named_type(kind.fields["nodes"].type)
        found = _selection(scope, model, kind, sets, typename)
        keep(memo, key, found)
    selection: Selection = found
    return selection


def keep(memo: dict[Any, Any], key: Any, value: Any) -> None:
    """Keep a value with a document, which holds a bounded number of them."""
    if len(memo) >= KEPT:
        del memo[next(iter(memo))]
    memo[key] = value


class Scope:
    """The scope of a selection: the schema, the document's fragments, and the variables, of which only those that
    decide @skip and @include matter."""

    def __init__(self, schema: GraphQLSchema, fragments: Fragments, variables: Mapping[str, Any]) -> None:
        self.schema = schema
        self._fragments = fragments
        self.variables = variables

    def collect(self, sets: Iterable[SelectionSetNode], kind: GraphQLObjectType) -> Collected:
        """The fields that selections have on an object of `kind`, through fragments, each fragment once."""
        found: Collected = {}
        spread: set[str] = set()
        for selected in sets:
            self._collect(selected, kind, found, spread)
        return found

    def named(self, sets: Iterable[SelectionSetNode], kind: GraphQLObjectType) -> Collected:
        """The same by the names of the fields. The sets may be of several places in the response, such as `nodes` and
        `edges { node }`, where one response key may stand for different fields."""
        found: Collected = {}
        for nodes in self.collect(sets, kind).values():
            for node in nodes:
                found.setdefault(node.name.value, []).append(node)
        return found

    def below(self, nodes: Iterable[FieldNode]) -> list[SelectionSetNode]:
        return [node.selection_set for node in nodes if node.selection_set]

    def _collect(self, selected: SelectionSetNode, kind: GraphQLObjectType, found: Collected, spread: set[str]) -> None:
        for node in selected.selections:
            if not self._included(node):
                continue
            if isinstance(node, FieldNode):
                found.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
            elif isinstance(node, InlineFragmentNode):
                if node.type_condition is None or self._applies(node.type_condition.name.value, kind):
                    self._collect(node.selection_set, kind, found, spread)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in spread:
                spread.add(node.name.value)
                fragment = self._fragments[node.name.value]
                if self._applies(fragment.type_condition.name.value, kind):
                    self._collect(fragment.selection_set, kind, found, spread)

    def _included(self, node: SelectionNode) -> bool:
        for directive in node.directives or ():
            name = directive.name.value
            if name in ("skip", "include"):
                (argument,) = directive.arguments or ()
                given: Any = argument.value
                holds = self.variables[given.name.value] if isinstance(given, VariableNode) else given.value
                if holds is (name == "skip"):
                    return False
        return True

    def _applies(self, condition: str, kind: GraphQLObjectType) -> bool:
        wanted: Any = self.schema.get_type(condition)
        return wanted is kind or (is_abstract_type(wanted) and self.schema.is_sub_type(wanted, kind))


def model_of(kind: Any) -> type[models.Entity] | None:
    """The model whose rows a type shows; None for a type that is no node, or no object type."""
    definition = kind and kind.extensions.get(DEFINITION)
    return getattr(getattr(definition, "origin", None), "model", None)


def switches(nodes: Iterable[Any]) -> Iterator[str]:
    """The variables that decide @skip and @include in these definitions."""
    for node in nodes:
        for directive in getattr(node, "directives", None) or ():
            if directive.name.value in ("skip", "include") and not isinstance(
                directive.arguments[0].value, BooleanValueNode
            ):
                yield directive.arguments[0].value.name.value
        if (inner := getattr(node, "selection_set", None)) is not None:
            yield from switches(inner.selections)


def _rows_of_page(
    scope: Scope, sets: Sequence[SelectionSetNode], kind: GraphQLObjectType
) -> Iterator[SelectionSetNode]:
    for nodes in scope.collect(sets, kind).values():
        if nodes[0].name.value == "nodes":
            yield from scope.below(nodes)
        elif nodes[0].name.value == "edges":
            edge: Any = get_named_type(kind.fields["edges"].type)
            for inner in scope.collect(scope.below(nodes), edge).values():
                if inner[0].name.value == "node":
                    yield from scope.below(inner)


def _selection(
    scope: Scope,
    model: type[models.Entity],
    kind: GraphQLObjectType,
    sets: Sequence[SelectionSetNode],
    typename: str | None,
) -> Selection:
    columns: set[str] = set()
    guards: dict[str, tuple[Rule, ...]] = {}
    asks: dict[str, tuple[Rule, ...]] = {}
    for name, nodes in scope.named(sets, kind).items():
        if name.startswith("__"):
            continue
        declared: Any = kind.fields[name].extensions[DEFINITION]
        columns.update(_columns(scope, declared, nodes, kind))
        if needs := getattr(declared, "needs", ()):
            guards[declared.key] = needs
        asks.update(getattr(declared, "asks", {}))
    return Selection(
        model, tuple(sorted(columns)), tuple(sorted(guards.items())), typename, tuple(sorted(asks.items()))
    )


def _columns(scope: Scope, declared: Any, nodes: Sequence[FieldNode], kind: GraphQLObjectType) -> Iterable[str]:
    if (key := getattr(declared, "key", None)) is not None:
        yield key
    yield from getattr(declared, "reads", ())
    if (names := getattr(declared, "names", None)) is not None:
        yield declared.present
        inner: Any = get_named_type(kind.fields[nodes[0].name.value].type)
        for parts in scope.named(scope.below(nodes), inner).values():
            if not parts[0].name.value.startswith("__"):
                part = inner.fields[parts[0].name.value].extensions[DEFINITION]
                yield names[part.python_name]
                yield from getattr(part, "reads", ())
