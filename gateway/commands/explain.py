"""Explain an operation: for each root field its statement and query plan, or why it is read row by row."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import graphql
from graphql import FieldNode, GraphQLObjectType, OperationType, VariableValues

from gateway.operations.documents import Operation
from gateway.operations.errors import BAD_VARIABLES, coded
from gateway.operations.responses import Answer, Refused
from resolvers.context import Services
from resolvers.identity.principal import Principal
from resolvers.reading import rendering
from resolvers.reading.plan import Constant, Id, ReadPlan, Tree
from schema.fields.planner import NotRenderable, read_plan, tree_of
from schema.fields.root_plan import Nodes, TypeName, entry_of
from schema.fields.selection import Scope


@dataclass(frozen=True, slots=True)
class Explained:
    """A field by its path. A rendered field has its statement and the lines of the query plan; any other has `why`
    not."""

    path: str
    statement: str = ""
    plan: tuple[str, ...] = ()
    why: str = ""


async def explain(
    schema: graphql.GraphQLSchema,
    services: Services,
    principal: Principal,
    operation: Operation,
    given: Mapping[str, Any],
) -> AsyncIterator[Explained]:
    """The root fields of an operation, and the fields below rows that are rendered again; raises Refused."""
    read = graphql.get_variable_values(schema, operation.node.variable_definitions or (), dict(given))
    if isinstance(read, list):
        raise Refused(Answer.refusal(422, *(coded(error, BAD_VARIABLES) for error in read)))
    scope = Scope(schema, operation.document.fragments, read.coerced)
    root = schema.get_root_type(operation.kind)
    assert root is not None
    explaining = _Explaining(services, principal, scope, read)
    for key, nodes in scope.collect([operation.node.selection_set], root).items():
        async for found in explaining.root(root, key, nodes, queried=operation.kind is OperationType.QUERY):
            yield found


class _Explaining:
    def __init__(self, services: Services, principal: Principal, scope: Scope, variables: VariableValues) -> None:
        self._database = services.database
        self._principal = principal
        self._scope = scope
        self._variables = variables

    async def root(
        self, kind: GraphQLObjectType, key: str, nodes: list[FieldNode], *, queried: bool
    ) -> AsyncIterator[Explained]:
        try:
            if not queried:
                raise NotRenderable("not a query")
            made = entry_of(self._scope, kind, nodes)
        except NotRenderable as refusal:
            yield Explained(key, why=str(refusal))
            async for found in self._rows(kind, key, nodes):
                yield found
            return
        if isinstance(made, TypeName):
            yield Explained(key, why="a constant")
        elif isinstance(made, Nodes):
            possible = list(made.possible())
            asked = [one for one in possible if isinstance(one[1], NotRenderable) or not _alike(one[1])]
            for typename, tree in asked or possible[:1]:
                where = f"{key} ({typename})"
                if isinstance(tree, NotRenderable):
                    yield Explained(where, why=str(tree))
                else:
                    yield await self._explained(where, read_plan(tree, self._variables), rendering.by_key, keys=[])
        else:
            async for found in self._list(key, read_plan(made.tree, self._variables)):
                yield found

    async def _list(self, key: str, planned: ReadPlan | None) -> AsyncIterator[Explained]:
        """A list or a row of the root, by one statement, or by one that finds its rows and one that reads them."""
        if planned is None or not await rendering.varies(self._database, planned, self._principal.settled):
            yield await self._explained(key, planned, rendering.root)
        elif not rendering.finds_first(planned):
            yield await self._explained(key, planned, rendering.root, True)
        else:
            yield await self._explained(f"{key} (its rows)", planned, rendering.keys)
            yield await self._explained(key, planned, rendering.found, keys=[], more=False, total=0)

    async def _rows(self, parent: GraphQLObjectType, path: str, nodes: list[FieldNode]) -> AsyncIterator[Explained]:
        """The rendered fields below a field that is read row by row."""
        field = parent.fields.get(nodes[0].name.value)
        kind = field and graphql.get_named_type(field.type)
        if not isinstance(kind, GraphQLObjectType):
            return
        for key, inner in self._scope.collect(self._scope.below(nodes), kind).items():
            if inner[0].selection_set is None:
                continue
            where = f"{path}.{key}"
            try:
                tree: Tree = tree_of(self._scope, kind, inner)
            except NotRenderable as refusal:
                yield Explained(where, why=str(refusal))
                async for found in self._rows(kind, where, inner):
                    yield found
                continue
            planned = read_plan(tree, self._variables)
            yield await self._explained(where, planned, rendering.below, self._database.dialect, keys=[])

    async def _explained(self, path: str, planned: ReadPlan | None, make: Any, *more: Any, **given: Any) -> Explained:
        if planned is None:
            return Explained(path, why="an argument is wrong, and its field says how")
        statement = make(planned, self._principal.settled, *more)
        values = {**self._principal.parameters, **planned.values, **given}
        sql, plan = await self._database.explain(statement, values)
        return Explained(path, sql, tuple(plan))


def _alike(tree: Tree) -> bool:
    """Whether a tree has only fields that nodes of every type have."""
    return all(isinstance(part, Id | Constant) for _, part in tree.root.fields)
