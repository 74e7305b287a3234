"""How a field is declared. The declaration is data, from which come the GraphQL field, its loader, its columns, its
cost and its tests.

A field of a node is a `column`, a `part` (an object made of columns), `related` (to one), a `connection` (a page of
many) or `computed` from columns.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum
from typing import Annotated, Any, TypeVar, cast, dataclass_transform

import sqlalchemy as sa
import strawberry
from strawberry.extensions.field_extension import AsyncExtensionResolver, FieldExtension
from strawberry.types.field import StrawberryField
from strawberry.types.fields.resolver import StrawberryResolver

from db import models
from resolvers import access, paging
from resolvers.access import Rule
from resolvers.context import Context
from resolvers.failures import Failure, Forbidden, LimitExceeded, Unauthenticated
from resolvers.paging import MOST, Order, Slice
from resolvers.principal import Kind, Principal
from resolvers.statements import Where
from schema.scalars import global_id, key_of
from schema.selecting import select

T = TypeVar("T")
Info = strawberry.Info[Context, None]


# Nodes --------------------------------------------------------------------------------------------------------------


class Key(StrawberryField):
    """The global id."""

    def get_result(self, source: Any, info: Any, args: Any, kwargs: Any) -> str:
        return global_id(self.typename, source.id)

    typename: str


class Column(StrawberryField):
    """A column of the row, by its name; guarded when it `needs` one of some rules."""

    def __init__(self, *args: Any, needs: tuple[Rule, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.needs = needs

    @property
    def key(self) -> str:
        """The column's attribute of the model."""
        return self.python_name

    def get_result(self, source: Any, info: Any, args: Any, kwargs: Any) -> Any:
        if self.needs and not getattr(source, f"may_{self.python_name}"):
            raise Forbidden(f"readable by {_words(self.needs)}")
        return getattr(source, self.python_name)


class Numbers(Column):
    """A column that holds a JSON array as text; as bytes, the executor passes it into the response as it is."""

    def get_result(self, source: Any, info: Any, args: Any, kwargs: Any) -> Any:
        text = super().get_result(source, info, args, kwargs)
        return None if text is None else text.encode()


class Part(StrawberryField):
    """An object made of columns of the same row: `names` maps its fields to them; null when the first one is."""

    def __init__(self, *args: Any, names: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.names = names

    @property
    def present(self) -> str:
        return next(iter(self.names.values()))

    def get_result(self, source: Any, info: Any, args: Any, kwargs: Any) -> Any:
        return None if getattr(source, self.present) is None else _PartOf(source, self.names)


class _PartOf:
    __slots__ = ("_names", "_row")

    def __init__(self, row: Any, names: Mapping[str, str]) -> None:
        self._row = row
        self._names = names

    def __getattr__(self, name: str) -> Any:
        if name not in self._names:
            raise AttributeError(name)
        return getattr(self._row, self._names[name])


class Related(StrawberryField):
    """The row at the other end of a to-one relationship, or the first of a to-many one in an order."""

    relationship: Any
    order: Order | None


class Connected(StrawberryField):
    """A page of the rows of a relationship, or (from the root) of all rows of a model."""

    source: Any
    orders: "Orders"
    most: int

    @property
    def model(self) -> type[models.Entity]:
        return _target(self.source)


class Computed(StrawberryField):
    """Made in Python from the columns it `reads`; `asks` names rules that it wants to know of, as `may_<name>`."""

    reads: tuple[str, ...]
    asks: Mapping[str, tuple[Rule, ...]]


def column(description: str, *, needs: Sequence[Rule] = (), name: str | None = None) -> Any:
    """A column of the model, by the field's name."""
    return Column(description=_guarded(description, needs), needs=tuple(needs), graphql_name=name)


def numbers(description: str) -> Any:
    return Numbers(description=description)


def part(description: str, **names: str) -> Any:
    """An object whose fields are columns of this row, by field name."""
    return Part(description=description, names=names)


def related(relationship: Any, description: str, *, order: Order | None = None) -> Any:
    """The row that a relationship leads to; with `order`, the first of many."""
    model = _target(relationship)

    def resolve(root: strawberry.Parent[Any], info: Info) -> Awaitable[Any]:
        return info.context.loaders.related(relationship, root, select(info, model))

    async def resolve_first(root: strawberry.Parent[Any], info: Info) -> Any:
        assert order is not None
        page = await info.context.loaders.page(relationship, root, Slice(order, 1), select(info, model))
        return page.nodes[0] if page.nodes else None

    field = Related(description=description, base_resolver=_resolver(resolve_first if order else resolve))
    field.relationship, field.order = relationship, order
    return field


def computed(description: str, *, reads: Sequence[str], **asks: tuple[Rule, ...]) -> Callable[[Callable[..., T]], T]:
    """A field made in Python, from the row that it is given as `self`."""

    def declare(function: Callable[..., T]) -> T:
        field = Computed(description=description, base_resolver=_resolver(function))
        field.reads, field.asks = tuple(reads), asks
        return field  # type: ignore[return-value]

    return declare


@dataclass_transform(kw_only_default=True)
def node(model: type[models.Entity]) -> Callable[[type[T]], type[T]]:
    """A type whose fields are read from rows of `model`, reachable by its global id."""

    def declare(cls: type[T]) -> type[T]:
        key = Key(description="The global id: opaque, unique among all nodes, never changes.")
        key.typename = cls.__name__
        cls.__annotations__["id"] = strawberry.ID
        cls.id = key  # type: ignore[attr-defined]
        cls.model = model  # type: ignore[attr-defined]
        description = f"{inspect.cleandoc(cls.__doc__ or '')}\n\nSeen by {access.readers(model)}; superadmins see all."
        return strawberry.type(cls, description=description)

    return declare


def _words(rules: Sequence[Rule]) -> str:
    return ", ".join(rule.words for rule in rules)


def _guarded(description: str, needs: Sequence[Rule]) -> str:
    return (
        f"{description} Readable by {_words(needs)}; for others null, with a FORBIDDEN error." if needs else description
    )


def _target(source: Any) -> type[models.Entity]:
    model: type[models.Entity] = source if isinstance(source, type) else source.property.mapper.class_
    return model


def _resolver(function: Callable[..., Any]) -> Any:
    return StrawberryResolver(function)


# Lists --------------------------------------------------------------------------------------------------------------


class Orders:
    """The orders that a list may be asked for, by name; the first is the default."""

    def __init__(self, name: str, description: str, **orders: tuple[Order, str]) -> None:
        members: Any = Enum(name, [(key, key) for key in orders])  # type: ignore[misc]
        self.enum: Any = strawberry.enum(members, description=description)
        definition: Any = getattr(self.enum, "__strawberry_definition__")  # noqa: B009
        for value in definition.values:
            value.description = orders[value.name][1]
        self._orders = {key: order for key, (order, _) in orders.items()}

    def __getitem__(self, member: Enum | None) -> Order:
        return next(iter(self._orders.values())) if member is None else self._orders[member.name]

    def __iter__(self) -> Any:
        return iter(self._orders.values())


class Condition(StrawberryField):
    """A field of a filter: what it compares, and how. Null is no condition."""

    compares: Any
    how: Callable[[Any, str], Any]
    names: str | None


TEXT, CHOICES = 100, 50
"""Characters of a text to search for; values of a list to choose from."""


def _equal(column: Any, parameter: str) -> Any:
    return column == sa.bindparam(parameter, type_=column.type)


def _chosen(column: Any, parameter: str) -> Any:
    return column.in_(sa.bindparam(parameter, expanding=True, type_=column.type))


def _contains(column: Any, parameter: str) -> Any:
    return sa.func.lower(column).like(sa.bindparam(parameter, type_=sa.Text()), escape="/")


def _bounded(how: Callable[..., Any], value: Any) -> Any:
    """The value as the parameter of a condition; raises LimitExceeded for too many, or too long."""
    if how is _chosen and len(value) > CHOICES:
        raise LimitExceeded(
            f"a filter names at most {CHOICES} values", limit="choices", allowed=CHOICES, value=len(value)
        )
    if how is not _contains:
        return tuple(value) if how is _chosen else value
    if len(value) > TEXT:
        raise LimitExceeded(
            f"a text filter has at most {TEXT} characters", limit="text", allowed=TEXT, value=len(value)
        )
    escaped = value.lower().replace("/", "//").replace("%", "/%").replace("_", "/_")
    return f"%{escaped}%"


def _condition(how: Callable[[Any, str], Any], compares: Any, description: str, names: str | None = None) -> Any:
    field = Condition(description=description, default=strawberry.UNSET)
    field.compares, field.how, field.names = compares, how, names
    return field


def equal(compares: Any, description: str) -> Any:
    return _condition(_equal, compares, description)


def chosen(compares: Any, description: str) -> Any:
    """One of several values."""
    return _condition(_chosen, compares, description)


def contains(compares: Any, description: str) -> Any:
    """A part of a text, whatever its case."""
    return _condition(_contains, compares, description)


def refers(typename: str, compares: Any, description: str) -> Any:
    """The global id of a `typename`."""
    return _condition(_equal, compares, description, typename)


def conditions(filter: Any) -> Where | None:
    """What a filter's input asks for, as SQL."""
    if filter is None:
        return None
    found: list[Condition] = []
    values: dict[str, Any] = {}
    for field in filter.__strawberry_definition__.fields:
        value = getattr(filter, field.python_name)
        if value is None or value is strawberry.UNSET:
            continue
        if field.names is not None:
            value = key_of(field.names, value, f"filter.{field.python_name}")
        found.append(field)
        values[f"filter_{field.python_name}"] = _bounded(field.how, value)

    def clauses(entity: Any) -> list[Any]:
        return [field.how(getattr(entity, field.compares.key), f"filter_{field.python_name}") for field in found]

    return Where((type(filter), *(field.python_name for field in found)), clauses, values)


def connection(source: Any, description: str, *, orders: Orders, filter: type | None = None, most: int = MOST) -> Any:
    """A page of a relationship, or of a whole model; `first` or `last` is required, up to `most`."""
    model = _target(source)

    async def resolve(root: Any, info: Info, **arguments: Any) -> paging.Page:
        slice = Slice.of(
            orders[arguments.get("order")], most, **{k: arguments.get(k) for k in ("first", "after", "last", "before")}
        )
        where = conditions(arguments.get("filter"))
        selection = select(info, model, page=True)
        if isinstance(source, type):
            return await info.context.loaders.listing(slice, selection, where)
        return await info.context.loaders.page(source, root, slice, selection, where)

    offered = {
        "first": _offered(int, f"Rows from the start, 0 to {most}. Give this or `last`."),
        "after": _offered(str, "Only rows after this cursor; goes with `first`."),
        "last": _offered(int, f"Rows from the end, 0 to {most}. Give this or `first`."),
        "before": _offered(str, "Only rows before this cursor; goes with `last`."),
        "order": _offered(orders.enum, "The order of the list; cursors belong to one order."),
    }
    if filter is not None:
        offered["filter"] = _offered(filter, "Only rows that meet all its conditions.")
    _sign(resolve, offered)
    field = Connected(description=description, base_resolver=_resolver(resolve))
    field.source, field.orders, field.most = source, orders, most
    return field


def _offered(kind: Any, description: str) -> Any:
    return Annotated[kind | None, strawberry.argument(description=description)]


def _sign(function: Callable[..., Any], offered: Mapping[str, Any]) -> None:
    """Give `function` the parameters that Strawberry reads as arguments."""
    either, parent = inspect.Parameter.POSITIONAL_OR_KEYWORD, cast("Any", strawberry.Parent)[Any]
    parameters = [
        inspect.Parameter("root", either, annotation=parent),
        inspect.Parameter("info", either, annotation=Info),
        *(inspect.Parameter(name, either, default=strawberry.UNSET, annotation=kind) for name, kind in offered.items()),
    ]
    function.__signature__ = inspect.Signature(parameters, return_annotation=Any)  # type: ignore[attr-defined]
    function.__annotations__ = {p.name: p.annotation for p in parameters}


# Writes -------------------------------------------------------------------------------------------------------------


class Need:
    """Who may run a mutation at all, in words and as a check of the principal."""

    def __init__(self, words: str, failure: Failure | None, allows: Callable[[Principal], bool]) -> None:
        self.words = words
        self.failure = failure
        self.allows = allows


ANYONE = Need("anyone", None, lambda _: True)
SIGNED_IN = Need("a signed-in user", Unauthenticated("sign in first"), lambda p: p.kind is Kind.USER)
WORKER = Need(
    "a worker, with the token of its task",
    Unauthenticated("this is for workers, with the token of their task"),
    lambda p: p.kind is Kind.WORKER,
)


class _Guard(FieldExtension):
    """Checks the need, and has the fields below read what the mutation wrote."""

    def __init__(self, need: Need) -> None:
        self.need = need

    async def resolve_async(self, next_: AsyncExtensionResolver, source: Any, info: Info, **kwargs: Any) -> Any:
        if not self.need.allows(info.context.principal):
            assert self.need.failure is not None
            raise type(self.need.failure)(self.need.failure.message)
        info.context.loaders.forget()
        return await next_(source, info, **kwargs)


def mutation(*, needs: Need) -> Callable[[Callable[..., Any]], Any]:
    """A write. Its docstring is its description; who may run it can't be left out."""

    def declare(function: Callable[..., Any]) -> Any:
        description = f"{inspect.cleandoc(function.__doc__ or '')} Needs {needs.words}."
        return strawberry.mutation(resolver=function, description=description, extensions=[_Guard(needs)])

    return declare


async def written(info: Info, typename: str, model: type[models.Entity], key: Any) -> Any:
    """The row that a mutation wrote, read as its principal may see it."""
    return await info.context.loaders.one(select(info, model, typename=typename), key)
