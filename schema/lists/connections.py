"""Declare a list: a page of rows, filtered, in an order, counted and grouped."""

import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any, Optional

import strawberry
from graphql import GraphQLSchema

from resolvers.failures import Conflict
from resolvers.reading.paging import MOST, Page, Slice
from resolvers.reading.plan import Asked
from resolvers.reading.relationships import ends, held
from schema.fields.declarations import Connected, Later, Listed, target_of
from schema.fields.fields import Info, rendered_else, resolver_of, sign
from schema.fields.selection import DEFINITION, select
from schema.lists.filters import conditions, filter_type
from schema.lists.groups import connection_of
from schema.lists.orders import orders_of


def connection(
    source: Any,
    description: str,
    *,
    order: str = "",
    small: bool = False,
    filter: bool = True,
    most: int = MOST,
    pinned: bool = False,
) -> Any:
    """A page of a relationship, or of a whole model; `first` or `last` is required, up to `most`. `order` is its
    default, else that of the type. A `small` list may be sorted by all that lists of the type are ordered by. Lists of
    parents may be filtered by what is in this one, unless `filter` is false. A `pinned` list of a row is replaced as a
    whole: a cursor of the one before is CONFLICT."""
    model = target_of(source)

    def asked(**arguments: Any) -> Asked:
        given = arguments.get
        order, filter = orders_of(source)[given("order_by")], given("filter")
        slice = Slice.of(
            order, most, first=given("first"), after=given("after"), last=given("last"), before=given("before")
        )
        return Asked(slice, conditions(model, filter) if filter else None, pinned and slice.after is not None)

    async def resolve(root: Any, info: Info, **arguments: Any) -> Any:
        async def rows() -> Any:
            this, selection = asked(**arguments), select(info, model, page=True)
            assert this.slice is not None
            if isinstance(source, type):
                return await info.context.loaders.listing(this.slice, selection, this.where)
            if this.held:
                await _expect_held(info, source, root, this.slice)
            return await info.context.loaders.page(source, root, this.slice, selection, this.where)

        return await rendered_else(info, None if isinstance(source, type) else root, rows)

    offered = _page_of(most) | {
        "order_by": _offered(
            Later(f"{model.__name__}Order", lambda: orders_of(source).input), "The order; cursors belong to one order."
        ),
        "filter": _offered(filter_type(model), "Only rows that meet it."),
    }
    either = inspect.Parameter.POSITIONAL_OR_KEYWORD
    sign(
        resolve,
        (inspect.Parameter(n, either, default=strawberry.UNSET, annotation=kind) for n, kind in offered.items()),
    )
    field = Connected(description=description, base_resolver=resolver_of(resolve))
    field.source, field.order, field.small, field.filter = source, order, small, filter
    field.pinned = pinned
    field.most, field.asked, field.orders = most, asked, partial(orders_of, source)
    field.kind = Later(f"{model.__name__}Connection", lambda: connection_of(model))
    return field


async def _expect_held(info: Info, source: Any, root: Any, slice: Slice) -> None:
    """Raise CONFLICT for a cursor whose row is not in the list of this parent now."""
    assert slice.after is not None
    local = getattr(root, ends(source)[0])
    if local is None or not await info.context.loaders.select(held(source, local, slice.after[-1])):
        field = "before" if slice.backward else "after"
        raise Conflict("the list was made anew since this cursor was given: read it from its start", field=field)


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
    return Annotated[Optional[kind], strawberry.argument(description=description)]  # noqa: UP045  (perhaps no type yet)


def give_defaults(schema: GraphQLSchema) -> None:
    """Put the default order of each list into the schema. It is known once all types are."""
    for kind in schema.type_map.values():
        for field in getattr(kind, "fields", {}).values():
            declared = field.extensions.get(DEFINITION)
            if isinstance(declared, Connected):
                field.args["orderBy"].default_value = declared.orders().given
