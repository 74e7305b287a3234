"""Declare a connection: its orders, its filter, and its page."""

import inspect
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Annotated, Any

import strawberry
from graphql import GraphQLSchema
from strawberry.types.field import StrawberryField

from resolvers.access.clauses import all_of, any_of
from resolvers.access.policy import Rules, policy_of
from resolvers.access.rules import allowed
from resolvers.failures import LimitExceeded
from resolvers.identity.principal import AccessProfile
from resolvers.reading import filters as how_to
from resolvers.reading.conditions import Where
from resolvers.reading.paging import MOST, Page, Slice
from resolvers.reading.plan import Asked
from resolvers.reading.ranges import numbers_in
from resolvers.spelling import camel
from schema.fields.declarations import Connected, Listed, Orders, target_of
from schema.fields.fields import Info, rendered_else, resolver_of, sign
from schema.fields.scalars import key_of
from schema.fields.selection import DEFINITION, select
from schema.fields.values import check_text


class Condition(StrawberryField):
    """A field of a filter: the places that it compares, at least one of which must match, and how. Null is no
    condition."""

    compares: Sequence["Compared"]
    how: Callable[..., Any]
    names: str | None


@dataclass(frozen=True, slots=True)
class Compared:
    """A column of the row, or of a row that the relationships of `path` lead to. Rows whose value the principal may not
    read don't match."""

    path: tuple[Any, ...]

    def __post_init__(self) -> None:
        if self.needs and len(self.path) > 1:
            raise TypeError(f"{self.path[-1]} is guarded, and asked of another row")

    @property
    def needs(self) -> Rules:
        """The rules for reading the value, besides those of its row; empty: all readers of the row."""
        column = self.path[-1]
        return policy_of(column.class_).fields.get(column.key, ())


CHOICES = 50
"""The most values of a list to choose from."""


def _bounded(how: Callable[..., Any], value: Any) -> list[Any]:
    """The value as parameters of conditions, all of which must hold; raises LimitExceeded for too many or too long
    ones."""
    if how is how_to.contains:
        return how_to.patterns(value)
    if how is how_to.ranged:
        return [tuple(numbers_in(value, "filter"))]
    if how is not how_to.chosen:
        return [value]
    if len(value) > CHOICES:
        raise LimitExceeded(
            f"a filter names at most {CHOICES} values", limit="choices", allowed=CHOICES, value=len(value)
        )
    return [tuple(value)]


def _condition(
    how: Callable[..., Any], compares: Sequence[Compared], description: str, names: str | None = None
) -> Any:
    field = Condition(description=description, default=strawberry.UNSET)
    field.compares, field.how, field.names = compares, how, names
    return field


def equal(column: Any, description: str) -> Any:
    """Matches this value."""
    return _condition(how_to.equal, [Compared((column,))], description)


def filled(column: Any, description: str) -> Any:
    """Matches rows with a value, or without one."""
    return _condition(how_to.filled, [Compared((column,))], description)


def chosen(column: Any, description: str) -> Any:
    """Matches one of several values."""
    return _condition(how_to.chosen, [Compared((column,))], description)


def ranged(column: Any, description: str) -> Any:
    """Matches one of the numbers that a text such as `1-3,5` names."""
    return _condition(how_to.ranged, [Compared((column,))], description)


def among(description: str, *path: Any) -> Any:
    """Matches one of several values of a column of related rows, which the principal must see."""
    return _condition(how_to.chosen, [Compared(path)], description)


def since(column: Any, description: str) -> Any:
    """Matches this moment or later ones."""
    return _condition(how_to.since, [Compared((column,))], description)


def until(column: Any, description: str) -> Any:
    """Matches moments before this one."""
    return _condition(how_to.until, [Compared((column,))], description)


def contains(column: Any, description: str) -> Any:
    """Matches when all words of a text are parts of the value, whatever their case, marks and order."""
    return _condition(how_to.contains, [Compared((column,))], description)


def search(description: str, *columns: Any) -> Any:
    """Matches when each word is a part of at least one of several texts that the principal may read."""
    return _condition(how_to.contains, [Compared((column,)) for column in columns], description)


def refers(typename: str, description: str, *path: Any) -> Any:
    """Matches the global id of a related `typename`; the principal must see every row on the way to it."""
    return _condition(how_to.equal, [Compared(path)], description, typename)


def conditions(filter: Any) -> Where | None:
    """The conditions of a filter's input, as SQL."""
    if filter is None:
        return None
    found: list[tuple[Condition, str]] = []
    values: dict[str, Any] = {}
    for field in filter.__strawberry_definition__.fields:
        value = getattr(filter, field.python_name)
        if value is None or value is strawberry.UNSET:
            continue
        if field.names is not None:
            value = key_of(field.names, value, f"filter.{camel(field.python_name)}")
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str):
                check_text(text, f"filter.{camel(field.python_name)}")
        for number, given in enumerate(_bounded(field.how, value)):
            name = f"filter_{number}_{field.python_name}"
            found.append((field, name))
            values[name] = given
    clauses, searches = _built(tuple(found))
    return Where(clauses, values, searches)


@lru_cache(maxsize=2_000)
def _built(found: tuple[tuple[Condition, str], ...]) -> tuple[Callable[..., list[Any]], bool]:
    """The function that makes the clauses of these conditions, the same one for each operation; and whether one
    searches a text."""
    return partial(_clauses, found), any(field.how is how_to.contains for field, _ in found)


def _clauses(found: Sequence[tuple[Condition, str]], entity: Any, suffix: str, profile: AccessProfile) -> list[Any]:
    return [_clause(field, f"{name}{suffix}", entity, profile) for field, name in found]


def _clause(field: Condition, parameter: str, entity: Any, profile: AccessProfile) -> Any:
    """At least one of the places matches. Rules that several places share are asked once."""
    by_needs: dict[Rules, list[Any]] = {}
    for place in field.compares:
        met = how_to.along(entity, place.path, profile, partial(field.how, parameter=parameter))
        by_needs.setdefault(place.needs, []).append(met)
    return any_of(
        *(
            all_of(allowed(needs, entity, profile), any_of(*met)) if needs else any_of(*met)
            for needs, met in by_needs.items()
        )
    )


def connection(source: Any, description: str, *, orders: Orders, filter: type | None = None, most: int = MOST) -> Any:
    """A page of a relationship, or of a whole model; `first` or `last` is required, up to `most`."""
    model = target_of(source)

    def asked(**arguments: Any) -> Asked:
        slice = Slice.of(orders[arguments.get("order")], most, **{k: arguments.get(k) for k in _PAGE})
        return Asked(slice, conditions(arguments.get("filter")))

    async def resolve(root: Any, info: Info, **arguments: Any) -> Any:
        async def rows() -> Any:
            this, selection = asked(**arguments), select(info, model, page=True)
            assert this.slice is not None
            if isinstance(source, type):
                return await info.context.loaders.listing(this.slice, selection, this.where)
            return await info.context.loaders.page(source, root, this.slice, selection, this.where)

        return await rendered_else(info, None if isinstance(source, type) else root, rows)

    offered = _page_of(most) | {"order": _offered(orders.enum, "The order of the list; cursors belong to one order.")}
    if filter is not None:
        offered["filter"] = _offered(filter, "Only rows that meet all its conditions.")
    either, defaults = inspect.Parameter.POSITIONAL_OR_KEYWORD, {"order": orders.default}
    sign(
        resolve,
        (
            inspect.Parameter(n, either, default=defaults.get(n, strawberry.UNSET), annotation=kind)
            for n, kind in offered.items()
        ),
    )
    field = Connected(description=description, base_resolver=resolver_of(resolve))
    field.source, field.orders, field.most, field.asked = source, orders, most, asked
    return field


Sliced = Callable[[Any], Slice]
"""A function that gives the slice which a page asks for, in an order."""


def listed(description: str, page: Callable[..., Awaitable[Page]], *, most: int = MOST) -> Any:
    """A page of values that are no nodes. `page` makes it from the info, a function that gives a slice in an order, and
    the field's own arguments: its parameters."""

    async def resolve(root: Any, info: Info, **arguments: Any) -> Any:
        given = {name: arguments.pop(name, None) for name in _PAGE}
        return await page(info, partial(Slice.of, most=most, **given), **arguments)

    _, _, *more = inspect.signature(page).parameters.values()
    either = inspect.Parameter.POSITIONAL_OR_KEYWORD
    offered = [
        inspect.Parameter(n, either, default=strawberry.UNSET, annotation=kind) for n, kind in _page_of(most).items()
    ]
    sign(resolve, [*more, *offered])
    field = Listed(description=description, base_resolver=resolver_of(resolve))
    field.most = most
    return field


_PAGE = ("first", "after", "last", "before")


def _page_of(most: int) -> dict[str, Any]:
    """The arguments of a page."""
    return {
        "first": _offered(int, f"Rows from the start, 0 to {most}. Give this or `last`."),
        "after": _offered(str, "Only rows after this cursor; goes with `first`."),
        "last": _offered(int, f"Rows from the end, 0 to {most}. Give this or `first`."),
        "before": _offered(str, "Only rows before this cursor; goes with `last`."),
    }


def _offered(kind: Any, description: str) -> Any:
    return Annotated[kind | None, strawberry.argument(description=description)]


def searched(schema: GraphQLSchema) -> Iterator[Any]:
    """The columns that filters search for parts of a text, each once."""
    found: dict[Any, None] = {}
    for kind in schema.type_map.values():
        for field in getattr(kind.extensions.get(DEFINITION), "fields", ()):
            if isinstance(field, Condition) and field.how is how_to.contains:
                for place in field.compares:
                    found[place.path[-1].property.columns[0]] = None
    return iter(found)
