"""The cost of an operation, computed from the document, the declarations and the variables before any SQL.

One pass over a document looks at each fragment once, however often it is spread, so the work grows with the text. The
size of the document was counted before (`counting`).
"""

from collections.abc import Callable, Mapping
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
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_composite_type,
)

from resolvers.failures import BIGGEST, Failure, LimitExceeded
from resolvers.reading.paging import MOST, page_size
from schema.fields.declarations import Connected, Grouped, Listed, Numbers
from schema.fields.mutations import SEVERAL
from schema.fields.selection import DEFINITION

STORED = 20
"""The cost of an array of numbers or a JSON value. An object costs 1."""
TOTAL, GROUPS = 1_000, 2_000
"""The costs of counting a list of the root, and of grouping its rows: the database looks at all of them, whatever the
page. Each condition of the filter costs as much again."""
BELOW = 50
"""A list below a row costs this part of it."""
CONDITION = 5
"""The cost of each object in the filter of a list, whatever its page: rows are looked at that do not meet it."""
LEAVES = 8
"""This many scalars of one selection cost 1; fewer cost nothing."""
MUTATION = 10
Renderable = Callable[[Any, FieldNode], bool]
"""Whether one statement makes all that a field of a type gives."""
INTROSPECTION = {"__schema": 5_000, "__type": 100}


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of one operation. `tokens` and `characters` bound its text, the others what it asks for."""

    tokens: int = 2_000
    characters: int = 100_000
    depth: int = 20
    aliases: int = 50
    directives: int = 50
    root_fields: int = 20
    fields: int = 2_000
    """Fields of a document, with its fragments written out."""
    repetitions: int = 5_000
    """Pairs of fields of the same name at the same place: what validating compares."""
    cost: int = 50_000
    rows: int = 5_000
    """The cost of what is read row by row."""


@dataclass(slots=True)
class Cost:
    """The cost of a selection: its own objects, and lists whose size the variables decide. `leaves` are scalars that
    are not paid for yet, `counted` is what a list costs once, whatever its page."""

    own: int = 0
    leaves: int = 0
    counted: int = 0
    below: list[tuple["Size | Conditions | None", "Cost"]] = field(default_factory=list)

    def add(self, fragment: "Cost") -> None:
        """Add the cost of a fragment."""
        self.leaves += fragment.leaves
        self.counted += fragment.counted
        self.below.append((None, fragment))

    def paid(self) -> "Cost":
        """The cost of a whole selection, with its fragments."""
        self.own += self.leaves // LEAVES
        return self

    def total(self, variables: Mapping[str, Any], known: dict[int, int]) -> int:
        """The cost with these variables; raises for a page size out of bounds. `known` has the sums computed before."""
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
    ids: str = "ids"
    """The argument that names the rows, where `most` is None; without it, a filter may find as many as a page has."""

    def of(self, variables: Mapping[str, Any]) -> int:
        given = {argument.name.value: _value(argument.value, variables) for argument in self.node.arguments or ()}
        if self.most is None:
            return len(given.get(self.ids) or ()) or (MOST if given.get("filter") is not None else 0)
        try:
            return page_size(given.get("first"), given.get("last"), self.most)
        except Failure as failure:
            raise GraphQLError(failure.message, self.node, original_error=failure) from None


@dataclass(frozen=True, slots=True)
class Conditions:
    """The objects in the filter of a list: those that stand in the document, and those in variables."""

    number: int
    variables: tuple[str, ...]

    @classmethod
    def written(cls, node: FieldNode) -> "Conditions | None":
        """None for a list without a filter."""
        for argument in node.arguments or ():
            if argument.name.value == "filter":
                found: list[str] = []
                return cls(_objects(argument.value, found), tuple(found))
        return None

    def of(self, variables: Mapping[str, Any]) -> int:
        number = self.number
        for name in self.variables:
            if isinstance(value := variables.get(name), Mapping | list):
                number += _objects(value, [])
        return max(1, number)


def _objects(value: Any, variables: list[str]) -> int:
    """The objects in a value, of a document or a variable; the variables in it are put into the list."""
    if isinstance(value, VariableNode):
        variables.append(value.name.value)
    if isinstance(value, Mapping):
        return 1 + sum(_objects(one, variables) for one in value.values())
    if isinstance(value, ObjectValueNode):
        return 1 + sum(_objects(one.value, variables) for one in value.fields)
    several = value.values if isinstance(value, ListValueNode) else value if isinstance(value, list) else ()
    return sum(_objects(one, variables) for one in several)


def costs(schema: GraphQLSchema, document: DocumentNode) -> dict[str | None, Cost]:
    """The cost of each operation of a valid document, by name."""
    return _Adding(schema, document).operations()


def cost_of_rows(
    schema: GraphQLSchema, document: DocumentNode, query: OperationDefinitionNode, renderable: Renderable
) -> Cost:
    """The cost of what a query reads row by row: of all fields, at any depth, that are not `renderable`."""
    return _Adding(schema, document, renderable).operation(query)


def check_cost(cost: Cost, variables: Mapping[str, Any], bounds: Bounds) -> int:
    """The cost with these variables; raises LimitExceeded when it is over the bound."""
    total = cost.total(variables, {})
    bound("cost", total, bounds.cost)
    return total


def check_rows(cost: Cost, variables: Mapping[str, Any], bounds: Bounds) -> None:
    """Raise LimitExceeded when what is read row by row costs more than its bound."""
    bound("cost", cost.total(variables, {}), bounds.rows, of="part of the operation that is read row by row")


class _Adding:
    def __init__(self, schema: GraphQLSchema, document: DocumentNode, renderable: Renderable | None = None) -> None:
        self._renderable = renderable
        self._schema = schema
        self._operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
        self._fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        self._known: dict[str, Cost] = {}

    def operations(self) -> dict[str | None, Cost]:
        return {op.name.value if op.name else None: self.operation(op) for op in self._operations}

    def operation(self, operation: OperationDefinitionNode) -> Cost:
        return self._selection(operation.selection_set, self._schema.get_root_type(operation.operation)).paid()

    def _selection(self, selected: SelectionSetNode, kind: Any) -> Cost:
        """The cost of a selection on `kind`."""
        total = Cost()
        for node in selected.selections:
            if isinstance(node, FieldNode):
                self._field(total, node, kind)
            elif isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                inner = kind if condition is None else self._schema.get_type(condition.name.value)
                total.add(self._selection(node.selection_set, inner))
            else:
                assert isinstance(node, FragmentSpreadNode)
                total.add(self._fragment(node.name.value))
        return total

    def _fragment(self, name: str) -> Cost:
        if (known := self._known.get(name)) is None:
            fragment = self._fragments[name]
            kind = self._schema.get_type(fragment.type_condition.name.value)
            known = self._known[name] = self._selection(fragment.selection_set, kind)
        return known

    def _field(self, total: Cost, node: FieldNode, kind: Any) -> None:
        if kind is self._schema.mutation_type:
            total.own += MUTATION
        name = node.name.value
        if name.startswith("__"):
            total.own += 0 if self._renderable else INTROSPECTION.get(name, 0)
            total.leaves += name not in INTROSPECTION
            return
        defined = kind.fields[name]
        declared, inner = defined.extensions[DEFINITION], get_named_type(defined.type)
        if node.selection_set is None:
            total.leaves += 1
            stored = isinstance(declared, Numbers) or inner.name == "JSON"
            total.own += STORED if stored else 0
            total.counted += TOTAL if name.startswith("totalCount") else 0
            return
        assert is_composite_type(inner)
        if self._renderable is not None and self._renderable(kind, node):
            return
        below = self._selection(node.selection_set, inner).paid()
        total.own += 1
        if isinstance(declared, Grouped):
            total.counted += GROUPS
            total.below.append((None, below))
        elif isinstance(declared, Connected | Listed):
            total.below.append((Size(node, declared.most), below))
            conditions = Conditions.written(node)
            if below.counted or conditions is not None:
                of_all = isinstance(declared, Connected) and isinstance(declared.source, type)
                once = below.counted if of_all else below.counted // BELOW
                total.below.append((conditions, Cost(once + (CONDITION if conditions else 0))))
        elif kind is self._schema.mutation_type and (ids := declared.metadata.get(SEVERAL)):
            below.own += MUTATION
            total.below.append((Size(node, None, ids), below))
        elif "ids" in defined.args:
            below.own += 1
            total.below.append((Size(node, None), below))
        else:
            total.below.append((None, below))


def bound(limit: str, value: int, allowed: int, of: str = "operation") -> None:
    """Raise LimitExceeded for more than is allowed."""
    if value > allowed:
        value = min(value, BIGGEST)  # fragments that double come to any number
        raise LimitExceeded(
            f"the {limit} of the {of} is {value}; at most {allowed} is allowed",
            limit=limit,
            allowed=allowed,
            value=value,
        )


def _value(node: Node, variables: Mapping[str, Any]) -> Any:
    """The value of an argument, as far as sizes need it."""
    if isinstance(node, VariableNode):
        return variables.get(node.name.value)
    if isinstance(node, IntValueNode):
        return int(node.value)
    if isinstance(node, ListValueNode):
        return node.values
    if isinstance(node, NullValueNode):
        return None
    return [node]
