"""Make the `Tree` of a field from the document and the declarations: all that the field gives, if SQL alone can make
it."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    get_named_type,
    get_nullable_type,
    is_list_type,
)

from resolvers.failures import Failure, Forbidden
from resolvers.reading.grouping import too_many
from resolvers.reading.numbers import too_many as too_many_numbers
from resolvers.reading.plan import (
    Asked,
    Constant,
    Denial,
    Dimension,
    Edges,
    Fields,
    Form,
    Group,
    GroupKey,
    Groups,
    Id,
    Info,
    Many,
    Measured,
    One,
    Place,
    ReadPlan,
    Rows,
    Tree,
    Value,
)
from schema.fields import declarations
from schema.fields.arguments import Arguments
from schema.fields.declarations import Column, Connected, Found, Grouped, Key, Numbers, Part, Related, Slabbed, Varied
from schema.fields.selection import DEFINITION, Scope, keep, model_of

PARTS = 1_000
"""The most fields of one tree; larger ones are read row by row."""

_PLACES = {
    "cursor": Place.CURSOR,
    "has_next_page": Place.NEXT,
    "has_previous_page": Place.PREVIOUS,
    "start_cursor": Place.START,
    "end_cursor": Place.END,
    "total_count": Place.TOTAL,
    "total_count_at_least": Place.AT_LEAST,
}


class NotRenderable(Exception):
    """SQL alone can't make a field; `where` is its path below the tree's field, without the first key."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.where: list[str] = []

    def __str__(self) -> str:
        return ": ".join(filter(None, (".".join(self.where), self.args[0])))


def read_plan_of(info: Any) -> ReadPlan | None:
    """The read plan of the field in `info`; None when it is read row by row."""
    raw, context = info._raw_info, info.context
    if not context.rendering:
        return None
    key = ("tree", *map(id, raw.field_nodes))
    if key not in context.memo:
        scope = Scope(raw.schema, raw.fragments, raw.variable_values.coerced)
        try:
            made = tree_of(scope, raw.parent_type, raw.field_nodes)
        except NotRenderable:
            made = None
        keep(context.memo, key, made)
    tree: Tree | None = context.memo[key]
    return None if tree is None else read_plan(tree, raw.variable_values)


def read_plan(tree: Tree, variables: Any) -> ReadPlan | None:
    """The tree with its arguments. None when an argument is wrong, so that the field itself reports it, and for a tree
    that a database refused."""
    if tree.refused:
        return None
    try:
        made = ReadPlan(tree, tuple(question(variables) for question in tree.questions))
        for number, of in tree.grouped:
            made.asked[number].check(made.asked[of].where)
        return made
    except (Failure, GraphQLError):
        return None


def tree_of(scope: Scope, parent: GraphQLObjectType, nodes: Sequence[FieldNode]) -> Tree:
    """The tree of a field of `parent`; raises NotRenderable."""
    builder = _Builder(scope)
    declared = _declared(parent, nodes)
    if not isinstance(declared, Connected | Related | Found):
        raise NotRenderable("made in Python")
    return builder.tree(builder.branch(declared, parent.fields[nodes[0].name.value], nodes))


def is_renderable(scope: Scope, parent: GraphQLObjectType, node: FieldNode) -> bool:
    """Whether a field of `parent` has a tree."""
    try:
        tree_of(scope, parent, [node])
    except NotRenderable:
        return False
    return True


def tree_of_node(scope: Scope, kind: GraphQLObjectType, nodes: Sequence[FieldNode]) -> Tree:
    """The tree of `node` or `nodes` for ids of one type; its first question is left to the caller."""
    builder = _Builder(scope)
    builder.questions.append(lambda _: Asked(None, None))
    fields = builder.row(scope.below(nodes), kind)
    model = model_of(kind)
    assert model is not None
    return builder.tree(One(model, fields, number=0))


class _Builder:
    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._parts = 0
        self.questions: list[Callable[[Any], Any]] = []
        self._denials: list[Denial] = []
        self._grouped: list[tuple[int, int]] = []

    def tree(self, root: One | Many) -> Tree:
        return Tree(root, self.questions, self._denials, self._grouped)

    def branch(self, declared: Any, field: GraphQLField, nodes: Sequence[FieldNode]) -> One | Many:
        """The plan of a relationship, a list or a row of the root."""
        kind, sets = _kind(field), self._scope.below(nodes)
        if isinstance(declared, Related):
            return One(declared.model, self.row(sets, kind), declared.relationship, declared.order)
        number = self._question(declared, field, nodes)
        if isinstance(declared, Found):
            return One(declared.model, self.row(sets, kind), number=number)
        relationship = None if isinstance(declared.source, type) else declared.source
        return Many(declared.model, self._object(sets, kind, partial(self._of_page, number)), number, relationship)

    def row(self, sets: Any, kind: GraphQLObjectType) -> Fields:
        return self._object(sets, kind, self._of_row)

    def _object(self, sets: Any, kind: GraphQLObjectType, made: Callable[..., Any]) -> Fields:
        found: list[tuple[str, Any]] = []
        for key, nodes in self._scope.collect(sets, kind).items():
            self._parts += 1
            if self._parts > PARTS:
                raise NotRenderable(f"more than {PARTS} fields")
            name = nodes[0].name.value
            if name == "__typename":
                found.append((key, Constant(kind.name)))
                continue
            try:
                found.append((key, made(_declared(kind, nodes), kind.fields[name], nodes)))
            except NotRenderable as refusal:
                refusal.where.insert(0, key)
                raise
        return tuple(found)

    def _of_row(self, declared: Any, field: GraphQLField, nodes: Sequence[FieldNode]) -> Any:
        if isinstance(declared, Key):
            return Id(declared.typename)
        if isinstance(declared, Column):
            if declared.needs:
                self._denials.append(Denial(Forbidden(declared.refusal), nodes))
            ways = declared.ways if isinstance(declared, Varied) else ()
            return Value(declared.key, self._form(declared, field), declared.needs, len(self._denials) - 1, ways)
        if isinstance(declared, Part):
            return self._group(declared, field, nodes)
        if isinstance(declared, Related | Connected):
            return self.branch(declared, field, nodes)
        raise NotRenderable("made in Python")

    def _group(self, declared: Part, field: GraphQLField, nodes: Sequence[FieldNode]) -> Group:
        def made(inner: Any, field: GraphQLField, nodes: Sequence[FieldNode]) -> Value:
            key = declared.names[inner.python_name]
            if not isinstance(inner, Slabbed):
                return Value(key, self._form(inner, field))
            if nodes[0].arguments:
                raise NotRenderable("a slice")
            self._denials.append(Denial(too_many_numbers(), nodes))
            return Value(key, Form.SLABBED, denied=len(self._denials) - 1)

        return Group(declared.present, self._object(self._scope.below(nodes), _kind(field), made))

    def _of_page(self, of: int, declared: Any, field: GraphQLField, nodes: Sequence[FieldNode]) -> Any:
        sets, name = self._scope.below(nodes), declared.python_name
        if isinstance(declared, Grouped):
            self._denials.append(Denial(too_many(), nodes))
            denied, number = len(self._denials) - 1, self._question(declared, field, nodes)
            self._grouped.append((number, of))
            return Groups(self._object(sets, _kind(field), self._of_group), number, denied)
        if name in _PLACES:
            return _PLACES[name]
        if name in ("nodes", "node"):
            return Rows(self.row(sets, _kind(field)))
        return (Edges if name == "edges" else Info)(self._object(sets, _kind(field), partial(self._of_page, of)))

    def _of_group(self, declared: Any, field: GraphQLField, nodes: Sequence[FieldNode]) -> Any:
        if isinstance(declared, declarations.Measured):
            return Measured(self._question(declared, field, nodes))
        if declared.python_name == "count":
            return Place.COUNT
        return GroupKey(self._object(self._scope.below(nodes), _kind(field), self._of_key))

    def _of_key(self, declared: Any, field: GraphQLField, nodes: Sequence[FieldNode]) -> Any:
        if declared.target is None:
            return Dimension(declared.key)
        row = self.row(self._scope.below(nodes), _kind(field))
        return Dimension(declared.key, One(declared.target, row, getattr(declared.model, declared.key)))

    def _question(self, declared: Any, field: GraphQLField, nodes: Sequence[FieldNode]) -> int:
        self.questions.append(Arguments(self._scope, declared, field, nodes[0]))
        return len(self.questions) - 1

    def _form(self, declared: Any, field: GraphQLField) -> Form:
        if isinstance(declared, Numbers):
            return Form.STORED
        if is_list_type(get_nullable_type(field.type)):
            raise NotRenderable("a list that is not a connection")
        return {"BigInt": Form.STRING, "JSON": Form.JSON}.get(get_named_type(field.type).name, Form.TYPED)


def _declared(kind: GraphQLObjectType, nodes: Sequence[FieldNode]) -> Any:
    field = kind.fields.get(nodes[0].name.value)
    return field and field.extensions.get(DEFINITION)


def _kind(field: GraphQLField) -> GraphQLObjectType:
    kind = get_named_type(field.type)
    assert isinstance(kind, GraphQLObjectType)
    return kind
