"""The rows of a mutation of several: named by ids, or found by the filter of their list."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import strawberry

from db.models import Entity
from resolvers.failures import Failure, Invalid, TimedOut, check_limit
from resolvers.reading.conditions import Where
from resolvers.reading.paging import Slice
from resolvers.reading.selection import Selection
from resolvers.spelling import camel, global_id, plural
from resolvers.writing import batches
from resolvers.writing.batches import MOST, Named, Outcome
from schema.fields.fields import Info
from schema.fields.mutations import Need, expect_allowed
from schema.fields.problems import Problem, problem_of
from schema.fields.scalars import key_of
from schema.lists.filters import narrowing
from schema.lists.orders import orders_of

AFTER = "With a filter: the `endCursor` of the answer before, to go on after its rows."
FILTER = (
    f"Instead of ids: the rows that you see and that meet this, in the order of their list, at most {MOST} at once. "
    "One that no longer meets it when its turn comes is refused with CONFLICT. A filter that all rows meet is INVALID."
)
IDS = f"Their ids, at most {MOST}. Those that there was no time for are refused with TIMEOUT: send them again."

ORDER = "One for each row, in the order of the ids. An id that is given twice has one."

Ids = Annotated[list[strawberry.ID] | None, strawberry.argument(description=IDS)]
After = Annotated[str | None, strawberry.argument(description=AFTER)]


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a mutation, and the cursor after which more are found by its filter: `where` are its conditions."""

    named: Sequence[Named]
    cursor: str | None = None
    where: Where | None = None


async def rows_of(
    info: Info,
    model: type[Entity],
    ids: Sequence[str] | None,
    filter: Mapping[str, Any] | None,
    after: str | None,
) -> Rows:
    """The rows that are named by ids or found by a filter. An id that is none is told as that of its row. INVALID when
    both or none are given, or for a filter that every row meets; LIMIT_EXCEEDED for too many ids."""
    many = camel(plural(model.__name__))
    if (ids is None) == (filter is None):
        raise Invalid(f"give {many} or filter", field=many)
    if ids is not None:
        if after is not None:
            raise Invalid("after goes with filter", field="after")
        check_limit(f"at most {MOST} ids, not {len(ids)}", len(ids), MOST, limit=many, field=many)
        return Rows([_named(model, id, f"{many}.{n}") for n, id in enumerate(ids)])
    assert filter is not None
    where = narrowing(model, filter)
    order = orders_of(model)[strawberry.UNSET]
    slice = Slice.of(order, MOST, first=MOST, after=after, last=None, before=None)
    page = await info.context.loaders.listing(slice, Selection(model, order.names), where)
    named = [Named(global_id(model.__name__, edge.node.id), edge.node.id, cursor=edge.cursor) for edge in page.edges]
    return Rows(named, page.page_info.end_cursor if page.more else None, where)


def _named(model: type[Entity], id: str, field: str) -> Named:
    try:
        return Named(id, key_of(model.__name__, id, field), field)
    except Failure as failure:
        return Named(id, failure, field)


@dataclass(frozen=True, slots=True)
class Done:
    """What became of rows, and the cursor after which more are found by the filter."""

    outcomes: Sequence[Outcome]
    cursor: str | None


async def each(info: Info, rows: Rows, do: Callable[..., Awaitable[Any]], needs: Need) -> Done:
    """Do it to each row, as long as the principal may run such a mutation and the gateway is not locked. Half of the
    time that is left to the operation is for this; rows that are not tried in it are TIMEOUT, or found again after the
    cursor. `do` takes the context, the key, and as `where` the conditions that the row must meet as it is changed. What
    is read afterwards is read anew."""
    ctx = info.context
    ready = partial(expect_allowed, ctx, needs, again=True)
    outcomes = await batches.each(
        rows.named, partial(do, ctx, where=rows.where), info.field_name, ready=ready, until=_half(ctx.until)
    )
    ctx.loaders.forget()
    left = list({row.id: row for row in rows.named}.values())[len(outcomes) :]
    if left and rows.where is not None:
        return Done(outcomes, rows.named[len(outcomes) - 1].cursor)
    late = TimedOut("there was no time for this one, and nothing was done to it; send it again")
    return Done([*outcomes, *(Outcome(row.id, failure=late) for row in left)], rows.cursor)


def _half(until: float | None) -> float | None:
    """The middle of the time from now until then, by the clock of the loop."""
    return None if until is None else (asyncio.get_running_loop().time() + until) / 2


def told(outcome: Outcome) -> Problem | None:
    return None if outcome.failure is None else problem_of(outcome.failure)


@strawberry.type(description="What became of one of several rows that were to be deleted.")
class DeletedOutcome:
    id: strawberry.ID = strawberry.field(description="The row, as it was named.")
    at: datetime | None = strawberry.field(description="When it was deleted; null when it was not.")
    problem: Problem | None = strawberry.field(description="Why it was not deleted; null when it was.")


@strawberry.type(description="What became of several rows, each of which is changed or refused by itself.")
class Batch:
    done: int = strawberry.field(description="For how many it was done.")
    refused: int = strawberry.field(description="For how many it was not; `problem` of each says why.")
    end_cursor: str | None = strawberry.field(
        description="Further rows meet the filter, or there was no time for them: send it again with this as `after`. "
        "Null when there are none."
    )


@strawberry.type(description="What became of several rows that were to be deleted.")
class DeletedBatch(Batch):
    outcomes: list[DeletedOutcome] = strawberry.field(description=ORDER)

    @classmethod
    def of(cls, done: Done) -> "DeletedBatch":
        outcomes = [DeletedOutcome(id=strawberry.ID(one.id), at=one.result, problem=told(one)) for one in done.outcomes]
        return cls(**counted(done), outcomes=outcomes)


DeletedBatchResult = Annotated[
    DeletedBatch | Problem,
    strawberry.union("DeletedBatchResult", description="What became of each row, or why nothing was done."),
]


def counted(done: Done) -> dict[str, Any]:
    """The fields that all batches have."""
    refused = sum(one.failure is not None for one in done.outcomes)
    return {"done": len(done.outcomes) - refused, "refused": refused, "end_cursor": done.cursor}
