"""Make the `Tree` of a field from the document and the declarations: all that the field gives, if SQL alone can make
it."""

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    ObjectValueNode,
    VariableNode,
    VariableValues,
    get_argument_values,
    get_named_type,
    get_nullable_type,
    is_input_object_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)
from strawberry.types.arguments import convert_arguments

from resolvers.failures import Failure
from resolvers.reading.plan import (
    Asked,
    Constant,
    Denial,
    Edges,
    Fields,
    Form,
    Group,
    Id,
    Info,
    Many,
    One,
    Place,
    ReadPlan,
    Rows,
    Tree,
    Value,
)
from resolvers.spelling import camel
from schema.fields.declarations import Column, Connected, Found, Key, Numbers, Part, Related
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
        return ReadPlan(tree, tuple(question(variables) for question in tree.questions))
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
        self.questions: list[Callable[[Any], Asked]] = []
        self._denials: list[Denial] = []

    def tree(self, root: One | Many) -> Tree:
        return Tree(root, self.questions, self._denials)

    def branch(self, declared: Any, field: GraphQLField, nodes: Sequence[FieldNode]) -> One | Many:
        """The plan of a relationship, a list or a row of the root."""
        kind, sets = _kind(field), self._scope.below(nodes)
        if isinstance(declared, Related):
            return One(declared.model, self.row(sets, kind), declared.relationship, declared.order)
        number = len(self.questions)
        self.questions.append(_Question(self._scope, declared, field, nodes[0]))
        if isinstance(declared, Found):
            return One(declared.model, self.row(sets, kind), number=number)
        relationship = None if isinstance(declared.source, type) else declared.source
        return Many(declared.model, self._object(sets, kind, self._of_page), number, relationship)

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
                self._denials.append(Denial(declared.refusal, nodes))
            return Value(declared.key, self._form(declared, field), declared.needs, len(self._denials) - 1)
        if isinstance(declared, Part):
            return self._group(declared, field, nodes)
        if isinstance(declared, Related | Connected):
            return self.branch(declared, field, nodes)
        raise NotRenderable("made in Python")

    def _group(self, declared: Part, field: GraphQLField, nodes: Sequence[FieldNode]) -> Group:
        def made(inner: Any, field: GraphQLField, _: Any) -> Value:
            return Value(declared.names[inner.python_name], self._form(inner, field))

        return Group(declared.present, self._object(self._scope.below(nodes), _kind(field), made))

    def _of_page(self, declared: Any, field: GraphQLField, nodes: Sequence[FieldNode]) -> Any:
        sets, name = self._scope.below(nodes), declared.python_name
        if name in _PLACES:
            return _PLACES[name]
        if name in ("nodes", "node"):
            return Rows(self.row(sets, _kind(field)))
        return (Edges if name == "edges" else Info)(self._object(sets, _kind(field), self._of_page))

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


class _Question:
    """Reads the arguments of a field, as a document gives them, with the variables of an operation."""

    def __init__(self, scope: Scope, declared: Any, field: GraphQLField, node: FieldNode) -> None:
        self._strawberry: Any = getattr(scope.schema, "_strawberry_schema")  # noqa: B009
        self._declared, self._field, self._node = declared, field, node
        self._constant: dict[str, Any] | None = None
        self._known: Asked | None = None
        self._plain: list[tuple[str, str | None, str, bool]] | None = []
        """Where variables of leaf types go: the argument, its field if it is an object, the variable, whether null is
        refused. None where a variable goes elsewhere."""
        named = self._strawberry.config.name_converter.from_argument
        names = {named(argument): argument.python_name for argument in declared.arguments}
        for argument in node.arguments or ():
            kind = field.args[argument.name.value].type
            places = _places(kind, argument.value, names[argument.name.value])
            if places is None:
                self._plain = None
                break
            self._plain += places

    def __call__(self, variables: VariableValues) -> Asked:
        values = variables.coerced
        if self._plain is None or any(v not in values or (r and values[v] is None) for _, _, v, r in self._plain):
            return self._declared.asked(**self._read(variables))  # type: ignore[no-any-return]
        if self._constant is None:
            self._constant = self._read(variables)
            for name, inner, _, _ in self._plain:  # no value of a client is kept with the document
                _put(self._constant, name, inner, None)
            if not self._plain:
                self._known = self._declared.asked(**self._constant)
        if self._known is not None:
            return self._known
        given = dict(self._constant)
        for name in {name for name, inner, _, _ in self._plain if inner is not None}:
            given[name] = copy(given[name])
        for name, inner, variable, _ in self._plain:
            _put(given, name, inner, values[variable])
        return self._declared.asked(**given)  # type: ignore[no-any-return]

    def _read(self, variables: VariableValues) -> dict[str, Any]:
        read = get_argument_values(self._field, self._node, variables)
        schema = self._strawberry
        return convert_arguments(read, self._declared.arguments, schema.schema_converter.scalar_registry, schema.config)


def _put(given: dict[str, Any], name: str, inner: str | None, value: Any) -> None:
    if inner is None:
        given[name] = value
    else:
        setattr(given[name], inner, value)


def _places(kind: Any, value: Any, name: str) -> list[tuple[str, str | None, str, bool]] | None:
    """Where an argument's value holds variables, as in `_plain`."""
    if not _varies(value):
        return []
    bare = get_nullable_type(kind)
    if isinstance(value, VariableNode):
        return [(name, None, value.name.value, is_non_null_type(kind))] if is_leaf_type(bare) else None
    if not isinstance(value, ObjectValueNode) or not is_input_object_type(bare):
        return None
    known = {one.graphql_name or camel(one.python_name): one.python_name for one in bare.extensions[DEFINITION].fields}
    found: list[tuple[str, str | None, str, bool]] = []
    for inner in value.fields:
        asked = bare.fields.get(inner.name.value)
        places = None if asked is None else _places(asked.type, inner.value, known[inner.name.value])
        if places is None or any(deeper is not None for _, deeper, _, _ in places):
            return None
        found += [(name, field, variable, required) for field, _, variable, required in places]
    return found


def _varies(value: Any) -> bool:
    """Whether an argument's value holds a variable."""
    inner = (*getattr(value, "values", ()), *(field.value for field in getattr(value, "fields", ())))
    return isinstance(value, VariableNode) or any(map(_varies, inner))
