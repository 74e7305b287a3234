"""How a field is declared. The declaration is data, from which come the GraphQL field, its loader, its columns, its
cost and its tests.

A field of a node is a `column`, a `part` (an object made of columns), `related` (to one), a `connection` (a page of
many) or `computed` from columns.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar, dataclass_transform

import strawberry
from strawberry.types.field import StrawberryField
from strawberry.types.fields.resolver import StrawberryResolver

from db import models
from resolvers import access
from resolvers.access import Rule
from resolvers.context import Context
from resolvers.failures import Forbidden
from resolvers.paging import Order, Slice
from schema.scalars import global_id
from schema.selecting import select

T = TypeVar("T")
Info = strawberry.Info[Context, None]


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
    model = target_of(relationship)

    def resolve(root: strawberry.Parent[Any], info: Info) -> Awaitable[Any]:
        return info.context.loaders.related(relationship, root, select(info, model))

    async def resolve_first(root: strawberry.Parent[Any], info: Info) -> Any:
        assert order is not None
        page = await info.context.loaders.page(relationship, root, Slice(order, 1), select(info, model))
        return page.nodes[0] if page.nodes else None

    field = Related(description=description, base_resolver=resolver_of(resolve_first if order else resolve))
    field.relationship, field.order = relationship, order
    return field


def computed(description: str, *, reads: Sequence[str], **asks: tuple[Rule, ...]) -> Callable[[Callable[..., T]], T]:
    """A field made in Python, from the row that it is given as `self`."""

    def declare(function: Callable[..., T]) -> T:
        field = Computed(description=description, base_resolver=resolver_of(function))
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


def target_of(source: Any) -> type[models.Entity]:
    model: type[models.Entity] = source if isinstance(source, type) else source.property.mapper.class_
    return model


def resolver_of(function: Callable[..., Any]) -> Any:
    return StrawberryResolver(function)
