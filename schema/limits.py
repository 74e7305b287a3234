"""How large an operation may be, known from the document, the declarations and the variables before any SQL.

One pass over a document, each fragment once whatever spreads it, so the work grows with the text.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    Node,
    NullValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_composite_type,
)

from resolvers.failures import Failure, LimitExceeded
from resolvers.paging import page_size
from schema.declarations import Connected, Numbers
from schema.selecting import DEFINITION

NUMBERS = 20
"""The cost of an array of numbers; an object costs 1, a scalar nothing."""
MUTATION = 10
INTROSPECTION = {"__schema": 5_000, "__type": 100}


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one operation may be. `tokens` and `characters` bound the text, the others what it says."""

    tokens: int = 2_000
    characters: int = 100_000
    depth: int = 20
    aliases: int = 50
    directives: int = 50
    root_fields: int = 20
    fields: int = 2_000
    """Of a document, with its fragments written out."""
    repetitions: int = 5_000
    """Pairs of fields of the same name at the same place: what validating compares."""
    cost: int = 50_000


@dataclass(slots=True)
class Cost:
    """What a selection costs: its own objects, and lists whose size the variables decide."""

    own: int = 0
    below: list[tuple["Size | None", "Cost"]] = field(default_factory=list)

    def total(self, variables: Mapping[str, Any], known: dict[int, int]) -> int:
        """The cost with these variables; raises for a page size out of bounds. `known` has what was added up before."""
        if (found := known.get(id(self))) is None:
            found = self.own
            for size, cost in self.below:
                times = 1 if size is None else size.of(variables)
                found += times * cost.total(variables, known)
            known[id(self)] = found
        return found


@dataclass(frozen=True, slots=True)
class Size:
    """How many rows a field gives, by its arguments."""

    node: FieldNode
    most: int | None

    def of(self, variables: Mapping[str, Any]) -> int:
        given = {argument.name.value: _value(argument.value, variables) for argument in self.node.arguments or ()}
        if self.most is None:
            return len(given.get("ids") or ())
        try:
            return page_size(given.get("first"), given.get("last"), self.most)
        except Failure as failure:
            raise GraphQLError(failure.message, self.node, original_error=failure) from None


@dataclass(slots=True)
class Measure:
    """What an operation, or a fragment, holds."""

    depth: int = 0
    aliases: int = 0
    directives: int = 0
    root_fields: int = 0
    cost: Cost = field(default_factory=Cost)


def measure(schema: GraphQLSchema, document: DocumentNode, bounds: Bounds) -> dict[str | None, Measure]:
    """The measure of each operation of a valid document, by name; raises LimitExceeded for what no variable changes."""
    return _Measuring(schema, document, bounds).operations()


def check_cost(measured: Measure, variables: Mapping[str, Any], bounds: Bounds) -> int:
    """The cost with these variables, refused when over the bound."""
    cost = measured.cost.total(variables, {})
    bound("cost", cost, bounds.cost)
    return cost


class _Measuring:
    def __init__(self, schema: GraphQLSchema, document: DocumentNode, bounds: Bounds) -> None:
        self._schema = schema
        self._bounds = bounds
        self._operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
        self._fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        self._known: dict[str, Measure] = {}

    def operations(self) -> dict[str | None, Measure]:
        return {op.name.value if op.name else None: self._operation(op) for op in self._operations}

    def _operation(self, operation: OperationDefinitionNode) -> Measure:
        root = self._schema.get_root_type(operation.operation)
        measured = self._selection(operation.selection_set, root, 0)
        measured.directives += len(operation.directives or ())
        if operation.operation.value == "mutation":
            measured.cost.own += MUTATION * measured.root_fields
        bound("aliases", measured.aliases, self._bounds.aliases)
        bound("directives", measured.directives, self._bounds.directives)
        bound("rootFields", measured.root_fields, self._bounds.root_fields)
        return measured

    def _selection(self, selected: SelectionSetNode, kind: Any, above: int) -> Measure:
        """The measure of a selection on `kind`, which lies `above` fields deep in its operation or fragment."""
        total = Measure()
        for node in selected.selections:
            if isinstance(node, FieldNode):
                self._field(total, node, kind, above)
                continue
            if isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                inner = kind if condition is None else self._schema.get_type(condition.name.value)
                part = self._selection(node.selection_set, inner, above)
            else:
                assert isinstance(node, FragmentSpreadNode)
                part = self._fragment(node.name.value)
                bound("depth", above + part.depth, self._bounds.depth)
            total.depth = max(total.depth, part.depth)
            total.aliases += part.aliases
            total.directives += part.directives + len(node.directives or ())
            total.root_fields += part.root_fields
            total.cost.below.append((None, part.cost))
        return total

    def _fragment(self, name: str) -> Measure:
        if (known := self._known.get(name)) is None:
            fragment = self._fragments[name]
            kind = self._schema.get_type(fragment.type_condition.name.value)
            known = self._known[name] = self._selection(fragment.selection_set, kind, 0)
        return known

    def _field(self, total: Measure, node: FieldNode, kind: Any, above: int) -> None:
        total.root_fields += 1
        total.aliases += node.alias is not None
        total.directives += len(node.directives or ())
        if node.name.value.startswith("__"):  # introspection has a rule of its own in graphql-core
            total.depth = max(total.depth, 1)
            total.cost.own += INTROSPECTION.get(node.name.value, 0)
            return
        bound("depth", above + 1, self._bounds.depth)
        defined = kind.fields[node.name.value]
        declared = defined.extensions[DEFINITION]
        if node.selection_set is None:
            total.depth = max(total.depth, 1)
            total.cost.own += NUMBERS if isinstance(declared, Numbers) else 0
            return
        inner = get_named_type(defined.type)
        assert is_composite_type(inner)
        below = self._selection(node.selection_set, inner, above + 1)
        total.depth = max(total.depth, 1 + below.depth)
        total.aliases += below.aliases
        total.directives += below.directives
        total.cost.own += 1
        if isinstance(declared, Connected):
            total.cost.below.append((Size(node, declared.most), below.cost))
        elif "ids" in defined.args:
            below.cost.own += 1
            total.cost.below.append((Size(node, None), below.cost))
        else:
            total.cost.below.append((None, below.cost))


def bound(limit: str, value: int, allowed: int) -> None:
    """Raise LimitExceeded for more than is allowed."""
    if value > allowed:
        raise LimitExceeded(
            f"the operation's {limit} is {value}; at most {allowed} is allowed",
            limit=limit,
            allowed=allowed,
            value=value,
        )


def _value(node: Node, variables: Mapping[str, Any]) -> Any:
    """An argument's value, as far as sizes need it."""
    if isinstance(node, VariableNode):
        return variables.get(node.name.value)
    if isinstance(node, IntValueNode):
        return int(node.value)
    if isinstance(node, ListValueNode):
        return node.values
    if isinstance(node, NullValueNode):
        return None
    return [node]
