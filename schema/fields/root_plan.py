"""The plan of a whole query: what each root field gives, when SQL alone can make all of them without an executor."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    OperationDefinitionNode,
    get_argument_values,
    get_named_type,
    is_non_null_type,
)

from resolvers.failures import Invalid
from resolvers.reading.conditions import Where
from resolvers.reading.loaders import Loaders
from resolvers.reading.marks import Rendered
from resolvers.reading.paging import MOST
from resolvers.reading.plan import Asked, ReadPlan, Tree
from schema.fields.declarations import ById
from schema.fields.planner import NotRenderable, read_plan, tree_of, tree_of_node
from schema.fields.scalars import parse_id
from schema.fields.selection import DEFINITION, Scope, model_of

NULL = Rendered(("null",))


class Unrendered(Exception):
    """The operation must be read row by row, for these variables at least."""


@dataclass(frozen=True, slots=True)
class TypeName:
    """`__typename` of the root."""

    name: str

    async def text(self, loaders: Loaders, variables: Any) -> Rendered:
        return Rendered((f'"{self.name}"',))


@dataclass(frozen=True, slots=True)
class Branch:
    """A list, or a row that a condition finds."""

    tree: Tree

    async def text(self, loaders: Loaders, variables: Any) -> Rendered:
        if (planned := read_plan(self.tree, variables)) is None:
            raise Unrendered
        return await loaders.text(planned) or NULL


@dataclass(frozen=True, slots=True)
class Nodes:
    """The nodes of global ids, each of which tells its type: `many`, or one."""

    scope: Scope
    field: GraphQLField
    nodes: Sequence[FieldNode]
    many: bool
    trees: dict[str, Tree] = dataclasses.field(default_factory=dict)

    async def text(self, loaders: Loaders, variables: Any) -> Rendered:
        try:
            given = get_argument_values(self.field, self.nodes[0], variables)
        except GraphQLError:
            raise Unrendered from None
        ids = given["ids"] if self.many else [given["id"]]
        if len(ids) > MOST:
            raise Unrendered
        try:
            named = [parse_id(one) for one in ids]
        except Invalid:
            raise Unrendered from None
        if self.many:
            return await self._list(loaders, variables, named)
        ((typename, key),) = named
        planned = self._read_plan(typename, variables)
        if planned is None:
            return NULL
        asked = Asked(None, Where.equal(planned.tree.root.model.id, key))
        return await loaders.text(ReadPlan(planned.tree, (asked, *planned.asked[1:]))) or NULL

    def possible(self) -> Iterator[tuple[str, Tree | NotRenderable]]:
        """For each type that ids may name: its tree, or why there is none."""
        node: Any = get_named_type(self.field.type)
        for kind in self.scope.schema.get_possible_types(node):
            try:
                yield kind.name, tree_of_node(self.scope, kind, self.nodes)
            except NotRenderable as refusal:
                yield kind.name, refusal

    async def _list(self, loaders: Loaders, variables: Any, named: Sequence[tuple[str, Any]]) -> Rendered:
        keys: dict[str, list[Any]] = {}
        for typename, key in named:
            keys.setdefault(typename, []).append(key)
        planned = {typename: self._read_plan(typename, variables) for typename in keys}
        found = {
            typename: {} if one is None else await loaders.texts(one, keys[typename])
            for typename, one in planned.items()
        }
        rows = [found[typename].get(key, NULL) for typename, key in named]
        denied = [([n, *path], denial) for n, row in enumerate(rows) for path, denial in row.denied]
        return Rendered((f"[{','.join(row.text for row in rows)}]",), denied)

    def _read_plan(self, typename: str, variables: Any) -> ReadPlan | None:
        """The read plan for a type; None for a type that is no node."""
        kind: Any = self.scope.schema.get_type(typename)
        if model_of(kind) is None:
            return None
        if typename not in self.trees:
            try:
                self.trees[typename] = tree_of_node(self.scope, kind, self.nodes)
            except NotRenderable:
                raise Unrendered from None
        if (planned := read_plan(self.trees[typename], variables)) is None:
            raise Unrendered
        return planned


@dataclass(frozen=True, slots=True)
class Entry:
    """A field of the root."""

    key: str
    nodes: Sequence[FieldNode]
    required: bool
    made: TypeName | Branch | Nodes


def outline(scope: Scope, root: GraphQLObjectType, operation: OperationDefinitionNode) -> list[Entry]:
    """The root fields of a query; raises NotRenderable when SQL alone can't make one of them."""
    found = []
    for key, nodes in scope.collect([operation.selection_set], root).items():
        name = nodes[0].name.value
        made = entry_of(scope, root, nodes)
        found.append(Entry(key, nodes, name not in root.fields or is_non_null_type(root.fields[name].type), made))
    return found


def entry_of(scope: Scope, root: GraphQLObjectType, nodes: Sequence[FieldNode]) -> TypeName | Branch | Nodes:
    """The plan of a root field; raises NotRenderable."""
    name = nodes[0].name.value
    if name == "__typename":
        return TypeName(root.name)
    field = root.fields.get(name)
    if field is None:
        raise NotRenderable("introspection")
    if isinstance(field.extensions[DEFINITION], ById):
        return Nodes(scope, field, nodes, "ids" in field.args)
    return Branch(tree_of(scope, root, nodes))
