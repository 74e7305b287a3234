"""The `Node` interface, and the connection, edge and page types of every list."""

from datetime import datetime
from typing import Generic, TypeVar

import strawberry

from resolvers.reading.paging import COUNTED
from schema.fields.fields import column

T = TypeVar("T")


@strawberry.interface(description="A row with an id of its own. `node(id:)` finds it, and clients cache it by `id`.")
class Node:
    id: strawberry.ID = strawberry.field(description="The global id: opaque, unique among all nodes, never changes.")
    created_at: datetime = column("When it was created.", filter=True, order=True, group=True)
    updated_at: datetime = column("When it last changed.", filter=True, order=True)
    version: int = column(
        "Counts the changes. Send it as `expectedVersion` with an update, so that you overwrite nobody else's change."
    )


@strawberry.type(description="Where a page lies in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether rows follow; go on with `after: endCursor`.")
    has_previous_page: bool = strawberry.field(
        description="Whether rows come before; go back with `before: startCursor`."
    )
    start_cursor: str | None = strawberry.field(description="The cursor of the first row; null on an empty page.")
    end_cursor: str | None = strawberry.field(description="The cursor of the last row; null on an empty page.")


@strawberry.type(description="A row of a list, with its place in it.")
class Edge(Generic[T]):
    node: T = strawberry.field(description="The row.")
    cursor: str = strawberry.field(description="The row's place in the list, for `after` and `before`.")


@strawberry.type(description="One page of a list.")
class Connection(Generic[T]):
    nodes: list[T] = strawberry.field(description="The rows, in the order of the list.")
    edges: list[Edge[T]] = strawberry.field(description="The rows with their cursors.")
    page_info: PageInfo = strawberry.field(description="How to go on from this page.")
    total_count: int | None = strawberry.field(
        description="All rows of the list that you may see; counted only when asked for. "
        f"Null where there are more than {COUNTED:,}."
    )
    total_count_at_least: int = strawberry.field(description=f"As `totalCount`, but {COUNTED:,} where there are more.")
