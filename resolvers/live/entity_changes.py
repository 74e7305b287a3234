"""The subscription to rows of any type: created, changed, deleted or restored, sent to those who may see each."""

import asyncio
import time
from collections.abc import AsyncGenerator, Collection, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from db import models
from db.engine import row_topic
from db.keys import among
from db.models import Entity
from db.types import later
from resolvers.access.places import project_of, site_of
from resolvers.access.visibility import visible
from resolvers.context import Context
from resolvers.failures import Invalid, LimitExceeded, NotFound
from resolvers.feed import any_of_kind, key_of_topic, renewed_topic
from resolvers.identity.principal import Principal
from resolvers.live.watching import SOME, TOGETHER, UNHEARD, watch

MOST = 20_000
"""The most rows that one subscription follows."""

_PLACES: dict[str, tuple[Any, Any]] = {"Site": (models.Site, site_of), "Project": (models.Project, project_of)}


@dataclass(frozen=True, slots=True)
class Change:
    """A row that changed or appeared, or that is `gone` from the principal's sight."""

    model: type[Entity]
    id: UUID
    gone: bool


@dataclass(frozen=True, slots=True)
class Place:
    """A Site or a Project."""

    model: Any
    belongs: Any
    key: UUID


def place_named(kind: str, key: UUID) -> Place:
    """Raises INVALID for another kind."""
    if kind not in _PLACES:
        raise Invalid("changes are of a Site or a Project", field="scope")
    return Place(*_PLACES[kind], key)


async def changes(ctx: Context, watched: Collection[Any], place: Place | None) -> AsyncGenerator[list[Change], None]:
    """The changes of the visible rows of these models, everywhere or in a place: at most `SOME` at once, and each row
    once however often it changed meanwhile. The first list is empty, and is sent as soon as no change can be missed.

    The subscription knows from its start which rows are visible. So it tells of every row that disappears, whether it
    was deleted, moved or unlinked, or the principal's rights changed, and tells nothing of hidden rows. Raises INVALID
    for a model whose rows belong to no such place, NOT_FOUND for a place that is not visible, LIMIT_EXCEEDED for more
    than `MOST` rows or `watching.AT_ONCE` subscriptions.
    """
    sights = {any_of_kind(row_topic(model, "")): _Sight(model, place) for model in watched}
    with watch(ctx, *sights, renewed_topic(ctx.principal.id)) as heard:
        if place is not None:
            await _check(ctx, place, watched)
        principal, looked = ctx.principal, time.monotonic()
        for sight in sights.values():
            sight.known = await sight.rows(ctx)
        _bound(sights.values())
        yield []
        while True:
            dirty = await heard.next()
            differs = _differ(principal, ctx.principal)
            unheard, looked, principal = time.monotonic() - looked + UNHEARD, time.monotonic(), ctx.principal
            found: list[Change] = []
            for kind, sight in sights.items():
                touched = {key for topic in dirty if any_of_kind(topic) == kind and (key := key_of_topic(topic))}
                if kind in dirty or differs:
                    found += await sight.look_anew(ctx, touched, unheard if kind in dirty else None)
                elif touched:
                    found += await sight.look(ctx, touched)
            for start in range(0, len(found), SOME):
                yield found[start : start + SOME]
            _bound(sights.values())
            await asyncio.sleep(TOGETHER)


class _Sight:
    """The keys of the rows of a model that a principal sees."""

    def __init__(self, model: Any, place: Place | None) -> None:
        self.known: set[UUID] = set()
        self._model = model
        self._place = place

    async def look(self, ctx: Context, touched: set[UUID]) -> list[Change]:
        """The changes to send about rows that were touched."""
        return self._told(touched, await self.rows(ctx, among(self._model.id, "keys", sorted(touched))))

    async def look_anew(self, ctx: Context, touched: set[UUID], unheard: float | None) -> list[Change]:
        """The same, and all rows that appeared or disappeared. In the last `unheard` seconds, changes of rows may
        have been missed."""
        seen = await self.rows(ctx)
        if unheard is not None:
            touched = touched | await self.rows(ctx, self._model.updated_at >= later(-unheard))
        return self._told(touched | (seen ^ self.known), seen)

    async def rows(self, ctx: Context, *which: sa.ColumnElement[bool]) -> set[UUID]:
        """The keys of the rows in the place that the principal sees; with `which`, only of those that meet it."""
        model, place = self._model, self._place
        wanted = sa.select(model.id).where(visible(model, ctx.principal.profile), *which).limit(MOST + 1)
        values = dict(ctx.principal.parameters)
        if place is not None:
            within = sa.bindparam("place", type_=model.id.type)
            wanted = wanted.where(place.belongs(model)(model, lambda column: column == within))
            values["place"] = place.key
        return {row.id for row in await ctx.database.rows(wanted, values, ctx.lane)}

    def _told(self, touched: set[UUID], seen: set[UUID]) -> list[Change]:
        told = [Change(self._model, key, key not in seen) for key in sorted(touched & (seen | self.known))]
        self.known -= touched
        self.known |= seen & touched
        return told


async def _check(ctx: Context, place: Place, watched: Collection[Any]) -> None:
    for model in watched:
        if place.belongs(model) is None:
            raise Invalid(f"no {model.__name__} belongs to a {place.model.__name__}", field="types")
    there = sa.select(place.model.id).where(place.model.id == place.key)
    there = there.where(visible(place.model, ctx.principal.profile))
    if not await ctx.database.rows(there, dict(ctx.principal.parameters)):
        raise NotFound(f"no {place.model.__name__} with this id", field="scope")


def _bound(sights: Iterable[_Sight]) -> None:
    if (number := sum(len(sight.known) for sight in sights)) > MOST:
        raise LimitExceeded(
            f"these are more than {MOST} rows; watch fewer types, or a scope", limit="rows", allowed=MOST, value=number
        )


def _differ(before: Principal, after: Principal) -> bool:
    """Whether the principal may see other rows than before."""
    former, now = ((one.profile, one.projects, one.sites, one.groups) for one in (before, after))
    return former != now
