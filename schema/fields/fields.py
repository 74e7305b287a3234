"""Declare a field: a `column`, a `part`, `related`, `computed`, `by_id`, or a row `found` from the root.

Each can be read in two ways: from one statement that makes all below it, or row by row.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Optional, TypeVar, cast, dataclass_transform

import strawberry
from strawberry.types.fields.resolver import StrawberryResolver

from db import models
from resolvers.access import visibility
from resolvers.access.policy import policy_of
from resolvers.access.rules import Rule, unreadable, words
from resolvers.context import Context
from resolvers.failures import Forbidden
from resolvers.identity.presence import Present
from resolvers.reading.conditions import Where
from resolvers.reading.numbers import COLUMNS, chosen
from resolvers.reading.paging import Order, Slice
from resolvers.reading.plan import Asked
from resolvers.reading.ranges import spans_in
from resolvers.spelling import camel, plural
from schema.fields.declarations import (
    NODES,
    ById,
    Column,
    Computed,
    Connected,
    Found,
    FoundBy,
    Key,
    Lasting,
    Lists,
    NodeType,
    Numbers,
    Part,
    Related,
    Slabbed,
    Varied,
    later,
    target_of,
)
from schema.fields.planner import read_plan_of
from schema.fields.scalars import Bins, enum
from schema.fields.selection import select
from schema.fields.values import check_text

T = TypeVar("T")
Info = strawberry.Info[Context, None]

Reached = enum(
    Present,
    "How somebody can be reached.",
    name="Presence",
    OFFLINE="Not heard of for 90 s.",
    ONLINE="Heard of within 90 s.",
    BUSY="In a session that is under way.",
)


def column(
    description: str,
    *,
    name: str | None = None,
    filter: bool = False,
    order: bool = False,
    group: bool = False,
    search: bool = False,
    found: bool = False,
) -> Any:
    """A column of the model, by the name of the field. The model's policy says who reads its value. The others are the
    ways in which lists may be asked for it (`Lists`)."""
    return Column(description=description, graphql_name=name, lists=Lists(filter, order, group, search, found))


def varied(
    description: str,
    *ways: tuple[Sequence[Rule], str],
    name: str | None = None,
    filter: bool = False,
) -> Any:
    """A column of the model that has another value for some readers: for each way, rules and the name of the column
    with their value."""
    field = Varied(description=description, graphql_name=name, lists=Lists(filter))
    field.ways = tuple((tuple(rules), key) for rules, key in ways)
    return field


def numbers(description: str) -> Any:
    return Numbers(description=description)


def slabbed(description: str) -> Any:
    """Numbers of a part of a page's row, all or those of some bins."""

    async def resolve(
        root: strawberry.Parent[Any],
        info: Info,
        axis1: Annotated[Bins | None, strawberry.argument(description="Only these bins of axis 1.")] = None,
        axis2: Annotated[Bins | None, strawberry.argument(description="Only these bins of axis 2.")] = None,
        axis3: Annotated[Bins | None, strawberry.argument(description="Only these bins of axis 3.")] = None,
    ) -> Any:
        given = ("axis1", axis1), ("axis2", axis2), ("axis3", axis3)
        bins = [None if text is None else spans_in(text, name) for name, text in given]
        key = root.names[info._field.python_name]
        ctx = info.context
        turn = partial(ctx.database.turns.run, ctx.lane)
        return await chosen(ctx.loaders.select, turn, ctx.spend, root.row, key, bins)

    field = Slabbed(description=description, base_resolver=resolver_of(resolve))
    field.reads = COLUMNS
    return field


def part(description: str, **names: str) -> Any:
    """An object whose fields are columns of this row, by field name."""
    return Part(description=description, names=names)


def related(
    relationship: Any, description: str, *, order: Order | None = None, filter: bool = True, group: bool = False
) -> Any:
    """The row that a relationship leads to; with `order`, the first of many. Lists may be filtered by that row, and
    with `group` counted by it."""
    model = target_of(relationship)

    def resolve(root: strawberry.Parent[Any], info: Info) -> Awaitable[Any]:
        return rendered_else(info, root, lambda: info.context.loaders.related(relationship, root, select(info, model)))

    def resolve_first(root: strawberry.Parent[Any], info: Info) -> Awaitable[Any]:
        async def rows() -> Any:
            assert order is not None
            page = await info.context.loaders.page(relationship, root, Slice(order, 1), select(info, model))
            return page.nodes[0] if page.nodes else None

        return rendered_else(info, root, rows)

    field = Related(description=description, base_resolver=resolver_of(resolve_first if order else resolve))
    field.relationship, field.order, field.filter, field.group = relationship, order, filter, group
    return field


def computed(description: str, *, reads: Sequence[str], filter: bool = False) -> Callable[[Callable[..., T]], T]:
    """A field made in Python from its row, which is given as `self`. When the policy guards it, the row has
    `may_<name>`. A `filter` compares the last column that it reads."""

    def declare(function: Callable[..., T]) -> T:
        field = Computed(description=description, base_resolver=resolver_of(function))
        field.reads, field.asks, field.lists = tuple(reads), {}, Lists(filter)
        return field  # type: ignore[return-value]

    return declare


def present(model: type[models.Entity]) -> Any:
    """Whether the row's principal is online. The model's policy says who may know."""
    rules = policy_of(model).fields["online"]

    @computed(_guarded("Whether it is online now.", rules), reads=["last_online_at"])
    def online(self: Any, info: Info) -> bool | None:
        if not self.may_online:
            raise Forbidden(unreadable(info._raw_info.parent_type.name, info.field_name, rules))
        found: bool = info.context.services.identity.presence.online(self.last_online_at)
        return found

    return online


def reached(model: type[models.Entity]) -> Any:
    """How the row's principal can be reached. The model's policy says who may know."""
    rules = policy_of(model).fields["presence"]

    @computed(
        _guarded("Whether it is online, and whether it is in a session.", rules), reads=["last_online_at", "busy"]
    )
    def presence(self: Any, info: Info) -> Reached | None:  # type: ignore[valid-type]
        if not self.may_presence:
            raise Forbidden(unreadable(info._raw_info.parent_type.name, info.field_name, rules))
        found: Present = info.context.services.identity.presence.of(self.last_online_at, self.busy)
        return found

    return presence


def by_id(description: str) -> Callable[[Callable[..., T]], T]:
    """A field of the root that finds nodes of any type by their ids."""

    def declare(function: Callable[..., T]) -> T:
        return ById(description=description, base_resolver=resolver_of(function))  # type: ignore[return-value]

    return declare


def found(model: type[models.Entity], description: str, where: Callable[..., Where]) -> Any:
    """One row from the root, or null: the row that meets the condition. The parameters of `where` are the field's
    arguments."""

    def asked(**arguments: Any) -> Where:
        for name, value in arguments.items():
            if isinstance(value, str):
                check_text(value, camel(name))
        return where(**arguments)

    async def resolve(root: Any, info: Info, **arguments: Any) -> Any:
        return await rendered_else(
            info, None, lambda: info.context.loaders.first(select(info, model), asked(**arguments))
        )

    sign(resolve, inspect.signature(where).parameters.values())
    field = Found(description=description, base_resolver=resolver_of(resolve))
    field.model, field.asked = model, lambda **arguments: Asked(None, asked(**arguments))
    return field


@dataclass_transform(kw_only_default=True)
def node(
    model: type[models.Entity],
    *,
    by: str = "id",
    orders: Mapping[str, Sequence[str]] | None = None,
    found_by: Mapping[str, FoundBy] | None = None,
    listed: str = "",
    many: str = "",
    lasting: Lasting | None = None,
) -> Callable[[type[T]], type[T]]:
    """A type whose fields are read from rows of `model`, and whose rows have global ids. The other
    arguments are about the list of all rows (`NodeType`)."""

    def declare(cls: type[T]) -> type[T]:
        for name, rules in policy_of(model).fields.items():
            field = vars(cls).get(name)
            if isinstance(field, Column):
                field.needs, field.description = rules, _guarded(field.description or "", rules)
                field.refusal = unreadable(cls.__name__, field.graphql_name or camel(name), rules)
            elif isinstance(field, Computed):
                field.asks = {name: rules}
            else:
                raise TypeError(f"{cls.__name__}.{name} is guarded by its policy, and no field of the type")
        for name, field in tuple(vars(cls).items()):
            if isinstance(field, Related):
                cls.__annotations__[name] = Optional[later(field.model)]  # noqa: UP045  (it is no type)
            elif isinstance(field, Connected):
                cls.__annotations__[name] = field.kind
        key = Key(description="The global id: opaque, unique among all nodes, never changes.")
        key.typename = cls.__name__
        cls.__annotations__["id"] = strawberry.ID
        cls.id = key  # type: ignore[attr-defined]
        cls.model = model  # type: ignore[attr-defined]
        description = (
            f"{inspect.cleandoc(cls.__doc__ or '')}\n\nSeen by {visibility.readers(model)}; superadmins see all."
        )
        made = strawberry.type(cls, description=description)
        declared = NodeType(
            model, made, many or plural(cls.__name__), listed, by, orders or {}, found_by or {}, lasting
        )
        NODES.setdefault(model, declared)
        return made

    return declare


_READERS = " Readable by "


def _guarded(description: str, needs: Sequence[Rule]) -> str:
    return f"{description}{_READERS}{words(needs)}; for others null, with a FORBIDDEN error." if needs else description


def unguarded(field: Any) -> str:
    """The description of a field, without who reads it."""
    return (field.description or "").partition(_READERS)[0]


def rendered_else(info: Info, row: Any, otherwise: Callable[[], Awaitable[Any]]) -> Awaitable[Any]:
    """The value of a field below `row` (None at the root): rendered where possible, else read row by row by
    `otherwise`."""
    if (read_plan := read_plan_of(info)) is None:
        return otherwise()
    loaders = info.context.loaders
    return loaders.text(read_plan, otherwise) if row is None else loaders.below(read_plan, row, otherwise)


def resolver_of(function: Callable[..., Any]) -> Any:
    return StrawberryResolver(function)


def sign(function: Callable[..., Any], offered: Iterable[inspect.Parameter]) -> None:
    """Give `function` the parameters that Strawberry reads as arguments."""
    either, parent = inspect.Parameter.POSITIONAL_OR_KEYWORD, cast("Any", strawberry.Parent)[Any]
    parameters = [
        inspect.Parameter("root", either, annotation=parent),
        inspect.Parameter("info", either, annotation=Info),
        *offered,
    ]
    function.__signature__ = inspect.Signature(parameters, return_annotation=Any)  # type: ignore[attr-defined]
    function.__annotations__ = {p.name: p.annotation for p in parameters}
