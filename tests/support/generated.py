"""Operations made from the schema, with the ids, cursors and texts of a database in them.

A `Shape` says which fields stand below which: hypothesis-graphql makes small ones of every kind, `_walk` deep ones. A
`_Writer` makes an operation of a shape: arguments, variables, aliases, fragments, directives, fields that merge.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar
from uuid import UUID

import hypothesis.strategies as st
import sqlalchemy as sa
from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    InlineFragmentNode,
    SelectionSetNode,
    get_named_type,
    is_abstract_type,
    is_composite_type,
)
from graphql.language.print_string import print_string
from hypothesis_graphql import queries

from db import models
from db.engine import Database
from resolvers.reading.paging import Order
from resolvers.spelling import global_id
from schema.fields.checks import declared_fields
from schema.fields.declarations import Connected, Grouped, Listed, Measured
from schema.fields.selection import DEFINITION
from tests.support.filtering import ODD_TEXTS, Filtering

T = TypeVar("T")

EXCLUDED = ()
"""Root fields for workers only."""

PUBLIC = ("challenges", "leaderboards", "challenge")
"""Root fields that anonymous callers get rows from; asked more often."""

TEXTS = {
    "challenge.label": models.Challenge.label,
    "spec.name": models.Spec.canonical_name,
    "job.key": models.Job.key,
    "simulation.jobKey": models.Job.key,
}
"""The columns that arguments of root fields compare."""

NO_IDS = ("", "nonsense", "VXNlcjoxMjM=", "VXNlcjo=", "VXNlcjo", "\0", "5", "\N{CASTLE}", "a" * 300)
NO_CURSORS = ("", "x", "WyJhIiwxLDJd", "bnVsbA", "\0", "\N{CASTLE}")
NOWHERE = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
SIZES = (2, 3, 1, 5, 4, 0, 2, 3, 5, 4, 3, 2, 100, 20)
WRONG_SIZES = (-1, 101, 2**31 - 1)
ALIASES = (
    "select",
    "from",
    "order",
    "group",
    "null_",
    "row",
    "id",
    "title",
    "name",
    "node",
    "nodes",
    "x" * 70,
    "_",
    "A1",
)
"""Also the names of other fields, words of SQL, and more than the 63 characters of a name in PostgreSQL."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A field and what is selected below it; or (`typed`) a fragment on the type of that name."""

    name: str
    below: tuple["Shape", ...] = ()
    typed: bool = False


@dataclass(frozen=True, slots=True)
class Generated:
    text: str
    variables: dict[str, Any]


@dataclass
class Known:
    """What a database holds, whoever may see it: rows by type. And the orders of all lists."""

    rows: Mapping[str, Sequence[Any]]
    orders: Sequence[Order]

    @classmethod
    async def read(cls, database: Database, schema: GraphQLSchema) -> "Known":
        rows = {}
        nodes: Any = schema.get_type("Node")
        async with database.read() as connection:
            for kind in sorted(schema.get_possible_types(nodes), key=str):
                model = kind.extensions[DEFINITION].origin.model
                columns = [getattr(model, c.key) for c in sa.inspect(model).column_attrs if _read(c)]
                rows[kind.name] = (await connection.execute(sa.select(*columns).order_by(model.id))).all()
        lists = [declared for *_, declared in declared_fields(schema) if isinstance(declared, Connected)]
        return cls(rows, [order for declared in lists for order in declared.orders()])

    def ids(self, typename: str) -> list[str]:
        return [global_id(typename, row.id) for row in self.rows.get(typename, ())]

    def texts(self, column: Any) -> list[str]:
        return [text for row in self.rows[column.class_.__name__] if (text := getattr(row, column.key)) is not None]


def _read(column: Any) -> bool:
    return not column.deferred or column.key.endswith("_folded")


def operations(schema: GraphQLSchema, known: Known) -> st.SearchStrategy[Generated]:
    """Deep operations, from a walk through the schema."""

    @st.composite
    def made(draw: st.DrawFn) -> Generated:
        pick = _Pick(draw)
        return _Writer(pick, schema, known).operation(_walk(pick, schema, schema.query_type, 0, [40]))

    return made()


def borrowed(schema: GraphQLSchema, known: Known) -> st.SearchStrategy[Generated]:
    """Operations of the shapes that hypothesis-graphql makes."""
    assert schema.query_type is not None
    shapes: Any = [
        queries(schema, fields=[name], print_ast=_shape_of) for name in schema.query_type.fields if name not in EXCLUDED
    ]

    @st.composite
    def made(draw: st.DrawFn) -> Generated:
        pick = _Pick(draw)
        return _Writer(pick, schema, known).operation(draw(pick.one(shapes)))

    return made()


class _Pick:
    """Choices. The first of several is the plainest, to which a failing operation shrinks.

    Hypothesis decides once for each field, not for each choice, which would take most of the time.
    """

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self.fresh()

    def fresh(self) -> None:
        """The next choices do not depend on how many were made before."""
        seed = self._draw(_SEEDS)
        self._random = Random(seed) if seed else None

    def below(self, number: int) -> int:
        return int(self._random.random() * number) if self._random else 0

    def one(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def some(self, options: Sequence[T], most: int) -> list[T]:
        return [self.one(options) for _ in range(self.below(most + 1))] if options else []

    def chance(self, percent: int) -> bool:
        return self.below(100) >= 100 - percent


_SEEDS = st.integers(0, 2**16)


# Shapes -------------------------------------------------------------------------------------------------------------


def _shape_of(document: DocumentNode) -> tuple[Shape, ...]:
    def shapes(selected: SelectionSetNode | None) -> Iterator[Shape]:
        for node in selected.selections if selected else ():
            if isinstance(node, FieldNode):
                yield Shape(node.name.value, tuple(shapes(node.selection_set)))
            else:
                assert isinstance(node, InlineFragmentNode)
                assert node.type_condition
                yield Shape(node.type_condition.name.value, tuple(shapes(node.selection_set)), typed=True)

    return tuple(shapes(document.definitions[0].selection_set))  # type: ignore[attr-defined]


def _walk(pick: _Pick, schema: GraphQLSchema, kind: Any, depth: int, left: list[int]) -> tuple[Shape, ...]:
    """A selection on `kind`, of at most about `left` fields."""
    pick.fresh()
    names = [name for name in kind.fields if name not in EXCLUDED] + [
        name for name in PUBLIC if name in kind.fields
    ] * 2
    composite = [name for name in names if is_composite_type(get_named_type(kind.fields[name].type))]
    leaves = [name for name in names if name not in composite]
    first = pick.below(len(leaves)) if leaves else 0
    found = [Shape(name) for name in (leaves[first:] + leaves[:first])[: 1 + pick.below(5)]]
    if is_abstract_type(kind):
        for inner in pick.some(sorted(schema.get_possible_types(kind), key=str), 3):
            found.append(Shape(inner.name, _walk(pick, schema, inner, depth, left), typed=True))
    number = 1 + pick.below(2) if depth < 5 or not leaves else pick.below(2)
    below = [pick.one(composite) for _ in range(number)] if composite else []
    if "pageInfo" in composite and not {"nodes", "edges"} & {*below}:
        below.append(pick.one(("nodes", "edges")))
    for name in below:
        if (left[0] > 0 and depth < 10) or not found:
            left[0] -= 1
            found.append(Shape(name, _walk(pick, schema, get_named_type(kind.fields[name].type), depth + 1, left)))
    left[0] -= len(found)
    return tuple(found)


# Text ---------------------------------------------------------------------------------------------------------------

Path = tuple[str, ...]
Entry = tuple[Path, str, Any]


@dataclass
class _Fragment:
    name: str
    entries: list[Entry]
    aliases: int


@dataclass
class _Writer:
    """Writes one operation.

    `keys` holds, for each place in the response, what stands there under which key: a key is used twice only for what
    merges, so that every operation is valid.
    """

    pick: _Pick
    schema: GraphQLSchema
    known: Known
    variables: dict[str, Any] = field(default_factory=dict)
    declared: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    fragments: list[str] = field(default_factory=list)
    finished: dict[str, list[_Fragment]] = field(default_factory=dict)
    keys: dict[Path, dict[str, Any]] = field(default_factory=dict)
    log: list[Entry] = field(default_factory=list)
    aliases: int = 0
    directives: int = 0

    def operation(self, shapes: Sequence[Shape]) -> Generated:
        selected = self.selection(shapes, self.schema.query_type, ())
        head = f"query({','.join(self.declared)})" if self.declared else "query"
        return Generated("\n".join([head + selected, *self.fragments]), self.variables)

    def selection(self, shapes: Sequence[Shape], kind: Any, path: Path) -> str:
        pieces: list[str] = []
        marks: list[int] = []
        for shape in shapes:
            marks.append(len(self.log))
            pieces.append(self.typed(shape, path) if shape.typed else self.field(shape, kind, path))
        self.pick.fresh()
        if pieces and self.pick.chance(15):
            pieces = self.folded(pieces, marks, shapes, kind, path)
        if self.pick.chance(8):
            pieces.append(self.again(kind, path))
        if not any(pieces) or self.pick.chance(8):
            pieces.append("__typename")
        return f"{{{' '.join(pieces)}}}"

    def typed(self, shape: Shape, path: Path) -> str:
        kind = self.schema.get_type(shape.name)
        return f"...on {shape.name}{self.directive()}{self.selection(shape.below, kind, path)}"

    def folded(self, pieces: list[str], marks: list[int], shapes: Sequence[Shape], kind: Any, path: Path) -> list[str]:
        """The same with some of the fields in a fragment."""
        start = self.pick.below(len(pieces))
        end = start + 1 + self.pick.below(len(pieces) - start)
        inner = " ".join(pieces[start:end]) or "__typename"
        interface: Any = self.schema.get_type("Node")
        on = kind.name
        if (
            interface in getattr(kind, "interfaces", ())
            and all(s.name in interface.fields and not s.typed for s in shapes[start:end])
            and self.pick.chance(50)
        ):
            on = "Node"
        if self.pick.chance(50):
            name = f"F{len(self.fragments)}"
            self.fragments.append(f"fragment {name} on {on}{{{inner}}}")
            entries = self.log[marks[start] : marks[end] if end < len(marks) else None]
            relative = [(at[len(path) :], key, what) for at, key, what in entries]
            aliases = sum(key != what[0] for _, key, what in entries)
            self.finished.setdefault(on, []).append(_Fragment(name, relative, aliases))
            fold = f"...{name}{self.directive()}"
        else:
            on = "" if self.pick.chance(30) and on == kind.name else f" on {on}"
            fold = f"...{on}{self.directive()}{{{inner}}}"
        return [*pieces[:start], fold, *pieces[end:]]

    def again(self, kind: Any, path: Path) -> str:
        """A fragment that was written already, where its fields merge with those that stand there."""
        if not (finished := self.finished.get(kind.name)):
            return ""
        fragment = self.pick.one(finished)
        if self.aliases + fragment.aliases > 40:
            return ""
        entries = [((*path, *at), key, what) for at, key, what in fragment.entries]
        if not all(self.keys.get(at, {}).get(key, what) == what for at, key, what in entries):
            return ""
        for entry in entries:
            self.holds(*entry)
        self.aliases += fragment.aliases
        return f"...{fragment.name}{self.directive()}"

    def field(self, shape: Shape, kind: Any, path: Path) -> str:
        self.pick.fresh()
        defined = kind.fields[shape.name]
        arguments = self.arguments(shape, kind, defined)
        named = get_named_type(defined.type)
        shown = str(defined.type).replace(named.name, "*" if is_composite_type(named) else named.name)
        if (key := self.key(path, shape.name, (shape.name, arguments, shown))) is None:
            return ""
        head = f"{shape.name}{arguments}" if key == shape.name else f"{key}:{shape.name}{arguments}"
        if not shape.below:
            return head + self.directive()
        parts: list[Sequence[Shape]] = [shape.below]
        if len(shape.below) > 1 and self.pick.chance(6):
            cut = 1 + self.pick.below(len(shape.below) - 1)
            parts = [shape.below[:cut], shape.below[cut:]]
            self.aliases += key != shape.name
        return " ".join(head + self.directive() + self.selection(part, named, (*path, key)) for part in parts)

    def key(self, path: Path, name: str, what: Any) -> str | None:
        """A key for a field in the response; none when the operation has aliases enough."""
        wished = [name]
        if self.aliases < 35:
            wished += [f"{name}_{number}" for number in range(self.aliases, self.aliases + 9)]
            if self.pick.chance(8):
                wished.insert(0, self.pick.one(ALIASES))
        for key in wished:
            if self.holds(path, key, what):
                self.aliases += key != name
                return key
        return None

    def holds(self, path: Path, key: str, what: Any) -> bool:
        if self.keys.setdefault(path, {}).setdefault(key, what) != what:
            return False
        self.log.append((path, key, what))
        return True

    def directive(self) -> str:
        if self.directives > 40 or not self.pick.chance(7):
            return ""
        self.directives += 2
        forms = (("include", True), ("skip", False), ("include", False), ("skip", True))
        first = self.pick.one(forms)
        given = [first, self.pick.one(forms)] if self.pick.chance(20) else [first]
        return "".join(f"@{name}(if:{self.flag(value)})" for name, value in dict(given).items())

    def flag(self, value: bool) -> str:
        match self.pick.below(4):
            case 0:
                return "true" if value else "false"
            case 1 if same := [name for name in self.flags if self.variables.get(name) is value]:
                return f"${self.pick.one(same)}"
            case 2:
                return self.variable(GraphQLNonNull(self.schema.type_map["Boolean"]), value)
        name = f"v{len(self.declared)}"
        self.declared.append(f"${name}:Boolean!")
        self.variables[name] = value
        self.flags.append(name)
        return f"${name}"

    # Arguments

    def arguments(self, shape: Shape, kind: Any, defined: Any) -> str:
        if not defined.args:
            return ""
        declared = defined.extensions[DEFINITION]
        if isinstance(declared, Connected):
            given = self.of_page(declared, defined)
        elif isinstance(declared, Grouped):
            given = self.filtering.groups(defined.args)
        elif isinstance(declared, Measured):
            given = {"field": self.pick.one(list(get_named_type(defined.args["field"].type).values))}
        elif isinstance(declared, Listed):
            needed = {name for name, argument in defined.args.items() if isinstance(argument.type, GraphQLNonNull)}
            given = self.of_root(shape, kind, defined) if needed else {}
            given[self.pick.one(["first", "last"])] = self.pick.one(SIZES)
        elif shape.name in ("node", "nodes"):
            given = self.of_nodes(shape)
        else:
            given = self.of_root(shape, kind, defined)
        written = [f"{name}:{self.value(defined.args[name].type, value)}" for name, value in given.items()]
        return f"({','.join(written)})" if written else ""

    def of_page(self, declared: Connected, defined: Any) -> dict[str, Any]:
        pick = self.pick
        by = self.filtering.order(declared) if pick.chance(50) else None
        order = declared.orders()[by]
        backward = pick.chance(25)
        size, place = ("last", "before") if backward else ("first", "after")
        given: dict[str, Any] = {size: pick.one(WRONG_SIZES) if pick.below(500) == 499 else pick.one(SIZES)}
        if by is not None:
            given["orderBy"] = by
        elif pick.chance(8):
            given["orderBy"] = None
        if pick.chance(20):
            given[place] = self.cursor(order)
        if pick.below(200) == 199:
            given["after" if backward else "before"] = self.cursor(order)
        if pick.chance(25):
            given["filter"] = None if pick.chance(8) else self.filtering.filter(defined.args["filter"].type)
        return dict(sorted(given.items())) if pick.chance(30) else given

    @property
    def filtering(self) -> Filtering:
        return Filtering(self.pick, self.known.rows, self.id, odd=True)

    def cursor(self, order: Order) -> str | None:
        pick = self.pick
        match pick.below(25):
            case 24:
                return pick.one(NO_CURSORS)
            case 23:
                order = pick.one(self.known.orders)
            case 22:
                return None
        rows = self.known.rows[order.model.__name__]
        if not rows:
            return None
        row = pick.one(rows)
        text: str = order.cursor(row)
        return text + "=" * (-len(text) % 4) if pick.chance(2) else text

    def id(self, typenames: Sequence[str]) -> str:
        pick = self.pick
        typename = pick.one(typenames)
        match pick.below(20):
            case 19:
                return pick.one(NO_IDS)
            case 18:
                typename = pick.one(sorted(self.known.rows))
            case 17:
                return global_id(typename, NOWHERE)
        ids = self.known.ids(typename) or [global_id(typename, NOWHERE)]
        return pick.one(ids)

    def of_nodes(self, shape: Shape) -> dict[str, Any]:
        typenames = [below.name for below in shape.below if below.typed] or sorted(self.known.rows)
        if shape.name == "node":
            return {"id": self.id(typenames)}
        number = 101 if self.pick.below(200) == 199 else self.pick.below(7)
        return {"ids": [self.id(typenames) for _ in range(number)]}

    def of_root(self, shape: Shape, kind: Any, defined: Any) -> dict[str, Any]:
        """Arguments of a field that is no list: one of them, where none is required."""
        pick = self.pick
        required = [name for name, argument in defined.args.items() if isinstance(argument.type, GraphQLNonNull)]
        names = required or [pick.one(list(defined.args))]
        if not required and pick.chance(5):
            names = list(defined.args)
        given: dict[str, Any] = {}
        for name in names:
            kind = get_named_type(defined.args[name].type)
            if kind.name == "ID":
                given[name] = self.id([get_named_type(defined.type).name])
            else:
                column = TEXTS.get(f"{shape.name}.{name}", models.Challenge.label)
                texts = self.known.texts(column)
                given[name] = pick.one(ODD_TEXTS) if pick.chance(10) else pick.one(texts)
        if not required and pick.chance(10):
            given.update({name: None for name in defined.args if name not in given})
        return given

    # Values

    def value(self, kind: Any, value: Any) -> str:
        if len(self.declared) < 15 and self.pick.chance(20):
            return self.variable(kind, value)
        return self.literal(kind, value, self.value)

    def literal(self, kind: Any, value: Any, inner: Callable[[Any, Any], str]) -> str:
        if isinstance(kind, GraphQLNonNull):
            kind = kind.of_type
        if value is None:
            return "null"
        if isinstance(kind, GraphQLList):
            if len(value) == 1 and self.pick.chance(10):
                return self.literal(kind.of_type, value[0], inner)
            return f"[{','.join(inner(kind.of_type, item) for item in value)}]"
        if isinstance(kind, GraphQLInputObjectType):
            return f"{{{','.join(f'{name}:{inner(kind.fields[name].type, item)}' for name, item in value.items())}}}"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(kind, GraphQLEnumType) or isinstance(value, int | float):
            return str(value)
        return print_string(value)

    def variable(self, kind: Any, value: Any) -> str:
        """A variable in place of a value: given, by its default, given over a default, or absent for null."""
        name = f"v{len(self.declared)}"
        optional = not isinstance(kind, GraphQLNonNull)
        nullable = str(kind).removesuffix("!")
        form = self.pick.below(4)
        if value is None and form >= 2:
            declared = nullable
        elif form == 3:
            declared = f"{nullable}={self.literal(kind, value, self.plain)}"
        else:
            declared = nullable if value is None or (optional and form == 1) else f"{nullable}!"
            if optional and form == 2:
                declared = f"{nullable}=null"
            self.variables[name] = value
        self.declared.append(f"${name}:{declared}")
        return f"${name}"

    def plain(self, kind: Any, value: Any) -> str:
        return self.literal(kind, value, self.plain)
