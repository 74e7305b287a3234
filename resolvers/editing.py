"""Writing rows of any model, as its principal may: made, changed, deleted, brought back, each in one transaction.

A rule of `access.WRITES` is asked of the row in the database: for a new row once it is there, for a changed one before
and after. When none holds, all is rolled back, and the refusal is recorded.
"""

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from db import models
from db.engine import changed, row_topic
from db.keys import among
from db.models import Entity, Erasable
from db.written import asked, because
from resolvers import attempts, roles
from resolvers.access import WRITES, visible
from resolvers.audit import record
from resolvers.checking import CHECKS, CONTRADICTIONS
from resolvers.context import Context
from resolvers.deleting import erase, revive
from resolvers.failures import Conflict, Failure, Forbidden, Invalid, NotFound, WrongState
from resolvers.feed import RIGHTS, principal_topic
from resolvers.principal import Kind
from resolvers.returning import take_back
from resolvers.rules import FALSE, TRUE, Rule, allowed, words
from resolvers.writing import expect, locked

_RIGHTS = (
    models.UserGroup, models.UserGroupMember, models.Role, models.RoleGrant, models.Site, models.Project,
    models.ParticipantGroup, models.SiteService, models.ProjectService,
)  # fmt: skip
_PRINCIPALS = (models.User, models.Participant, models.Device, models.Service, models.SimulationLink)
_LINKS = (
    models.UserGroupMember, models.SiteDevice, models.ProjectDevice, models.ParticipantDevice, models.SiteService,
    models.ProjectService,
)  # fmt: skip

TAKEN, WITHIN = 20, 86_400
"""How often in so many seconds who makes users may be told that a name or an address is taken."""


@dataclass(frozen=True, slots=True)
class Link:
    """Rows of `model` to make with a new row: `own` holds its key, `other` each of `keys`, given as input `field`."""

    model: type[Entity]
    own: str
    other: str
    field: str
    keys: Sequence[UUID]


async def create(ctx: Context, model: type[Entity], values: Mapping[str, Any], links: Sequence[Link] = ()) -> UUID:
    """A new row with its links; returns its key."""
    async with writing(ctx, "CREATE", model) as session:
        await refer(session, ctx, model, values)
        row = model(**values)
        if isinstance(row, models.UserGroup) and ctx.principal.kind is Kind.USER:
            row.creator_id = ctx.principal.id
        session.add(row)
        await stored(session, model, values)
        if isinstance(row, models.Site | models.Project):
            because(session, "a place has its roles from the beginning", models.Role)
            await roles.found(session, row)
        if isinstance(row, models.Project) and ctx.principal.kind is Kind.SERVICE:
            because(session, "a service works in the projects that it makes", models.ProjectService)
            session.add(models.ProjectService(project_id=row.id, service_id=ctx.principal.id))
        for link in links:
            other = target(link.model, link.other)
            for n, key in enumerate(link.keys):
                if key in link.keys[:n]:
                    continue
                await _seen(session, ctx, other, key, f"input.{link.field}.{n}")
                joined = link.model(**{link.own: row.id, link.other: key})
                session.add(joined)
                await stored(session, link.model)
                await check(session, ctx, joined, {})
                founding = WRITES[link.model].founding
                await must(session, ctx, joined, WRITES[link.model].create if founding is None else founding, "make")
                await note_link(session, ctx, joined)
        await must(session, ctx, row, WRITES[model].create, "make")
        for name, rules in WRITES[model].giving.items():
            if name in values and values[name] not in (None, default(model, name)):
                await must(session, ctx, row, rules, "give", name)
        await check(session, ctx, row, values)
        told(session, row)
        if isinstance(row, models.User):
            rank = {"role": row.platform_role.name, "superadmin": row.superadmin}
            record(session, ctx, "CREATE", "User", row.id, **rank, **await place_of(session, row))
        return row.id


async def update(
    ctx: Context, model: type[Entity], key: UUID, expected_version: int, values: Mapping[str, Any]
) -> None:
    """Change columns of a row, each by the rules for it."""
    may = WRITES[model]
    async with writing(ctx, "UPDATE", model, key) as session:
        row: Any = await locked(session, ctx, model, key)
        needed = {name: may.changing(name) for name in values} or {"": may.update}
        for name, rules in needed.items():
            await must(session, ctx, row, may.leaving.get(name, rules), "change", name)
        expect(row, expected_version)
        await refer(session, ctx, model, values)
        before = {name: getattr(row, name) for name in values}
        for name, value in values.items():
            setattr(row, name, value)
        await stored(session, model, values)
        for name, rules in needed.items():
            await must(session, ctx, row, rules, "change", name)
        await check(session, ctx, row, before)
        told(session, row)
        if isinstance(row, models.User) and {"platform_role", "superadmin", "active"} & values.keys():
            told_of = {n: str(values[n]) for n in ("platform_role", "superadmin", "active") if n in values}
            record(session, ctx, "CHANGE_ROLE", "User", row.id, **told_of, **await place_of(session, row))


async def delete(ctx: Context, model: type[Entity], key: UUID, expected_version: int | None = None) -> datetime:
    """Delete a row with what hangs on it; DEPENDENCY when something stands in the way. Returns when."""
    async with writing(ctx, "DELETE", model, key) as session:
        row: Any = await locked(session, ctx, model, key)
        await must(session, ctx, row, WRITES[model].delete, "delete")
        if expected_version is not None:
            expect(row, expected_version)
        await check(session, ctx, row, None)
        told(session, row)
        record(session, ctx, "DELETE", model.__name__, key, **await place_of(session, row))
        return await erase(session, row, partial(_may_go, session, ctx))


async def _may_go(session: AsyncSession, ctx: Context, model: type[Entity], keys: Collection[UUID]) -> int:
    """How many of the rows that go with another the principal may not delete themself."""
    clause = allowed(WRITES[model].delete, model, ctx.principal.standing)
    kept = sa.select(sa.func.count()).where(among(model.id, "keys", list(keys)), sa.not_(clause))
    return await session.scalar(kept.select_from(model), dict(ctx.principal.parameters)) or 0


async def restore(ctx: Context, model: type[Entity], key: UUID) -> None:
    """Bring back a row with what was deleted with it; NOT_FOUND also for those who may not."""
    async with writing(ctx, "RESTORE", model, key) as session:
        missing = NotFound(f"no deleted {model.__name__} with this id", field="id")
        row: Any = await session.get(model, key, with_for_update=True)
        if row is None or not issubclass(model, Erasable):
            raise missing
        known, there = await _holds(session, ctx, row, WRITES[model].restore), row.deleted_at is None
        if not there:
            try:
                if isinstance(row, models.Project) and known:
                    await take_back(session, ctx, row)
                with unlike(model):
                    await revive(session, row)
            except Failure:
                if not known:
                    raise missing from None
                raise
        # A rule may ask for what comes back with it: the roles of a group.
        if not await _holds(session, ctx, row, WRITES[model].restore):
            raise missing
        asked(session, row)
        if there:
            raise WrongState(f"this {model.__name__} is not deleted", field="id")
        told(session, row)
        record(session, ctx, "RESTORE", model.__name__, key, **await place_of(session, row))


@asynccontextmanager
async def writing(
    ctx: Context, action: str, model: type[Entity], key: UUID | None = None
) -> AsyncIterator[AsyncSession]:
    """A transaction; what it refuses is recorded beside it."""
    try:
        async with ctx.database.write() as session:
            yield session
    except Forbidden as refusal:
        async with ctx.database.write() as session:
            record(session, ctx, "REFUSED", model.__name__, key, tried=action, why=refusal.message)
        raise
    except Conflict as refusal:
        if model is models.User and not ctx.principal.superadmin and refusal.field != "expectedVersion":
            # Each tells that somebody has a name or an address.
            async with ctx.database.write() as session:
                record(session, ctx, "REFUSED", "User", key, tried=action, why=refusal.message)
            await attempts.count(ctx, {f"taken:{ctx.principal.id}": TAKEN}, WITHIN)
        raise


async def must(
    session: AsyncSession, ctx: Context, row: Entity, rules: Sequence[Rule], verb: str, column: str = ""
) -> None:
    """Raise FORBIDDEN when none of the rules holds for the row as it stands in the transaction."""
    if not await _holds(session, ctx, row, rules):
        what = f"`{column.removesuffix('_id')}` of a {type(row).__name__}" if column else f"a {type(row).__name__} here"
        who = f"only {words(rules)} may {verb}" if rules else f"nobody may {verb}"
        raise Forbidden(f"{who} {what}")
    asked(session, row)


async def _holds(session: AsyncSession, ctx: Context, row: Entity, rules: Sequence[Rule]) -> bool:
    model = type(row)
    may = allowed(rules, model, ctx.principal.standing)
    if may is TRUE or may is FALSE:
        return may is TRUE
    found = sa.select(model.id).where(model.id == row.id, may)
    return (await session.execute(found, dict(ctx.principal.parameters))).first() is not None


async def refer(session: AsyncSession, ctx: Context, model: type[Entity], values: Mapping[str, Any]) -> None:
    """Raise NOT_FOUND for a reference to a row that the principal does not see; hold those that it sees."""
    for column, key in values.items():
        if key is not None and (referred := target(model, column)) is not None:
            await _seen(session, ctx, referred, key, f"input.{spelled(column)}")


def default(model: type[Entity], name: str) -> Any:
    """What a column has when nothing is given."""
    found = sa.inspect(model).mapper.columns[name].default
    return None if found is None else getattr(found, "arg", None)


async def _seen(session: AsyncSession, ctx: Context, model: Any, key: UUID, field: str) -> None:
    seen = sa.select(model.id).where(model.id == key, visible(model, ctx.principal.standing)).with_for_update(read=True)
    if (await session.execute(seen, dict(ctx.principal.parameters))).first() is None:
        raise NotFound(f"no {model.__name__} with this id", field=field)


def target(model: type[Entity], column: str) -> Any:
    """The model that a column refers to, if any."""
    for key in sa.inspect(model).mapper.columns[column].foreign_keys:
        return next(m.class_ for m in models.Base.registry.mappers if m.local_table is key.column.table)
    return None


async def stored(session: AsyncSession, model: type[Entity], given: Collection[str] = ()) -> None:
    """Send what was changed, of which the client gave some columns as `input`."""
    with unlike(model, given):
        await session.flush()


@contextmanager
def unlike(model: type[Entity], given: Collection[str] = ()) -> Iterator[None]:
    """Raise CONFLICT when another row has what must be unique, INVALID for columns that contradict each other."""
    try:
        yield
    except IntegrityError as error:
        said = str(error.orig)
        if "check constraint" in said.lower():
            raise Invalid(CONTRADICTIONS.get(model, "the input contradicts itself"), field="input") from None
        raise _taken(model, said, given) from None


def _taken(model: type[Entity], said: str, given: Collection[str]) -> Conflict:
    """Which columns another row has already. PostgreSQL says the name of what is unique, SQLite its columns."""
    table: Any = model.__table__
    plain = [u for u in table.constraints if isinstance(u, sa.UniqueConstraint)]
    unique = {str(u.name): [c.name for c in u.columns] for u in (*plain, *(i for i in table.indexes if i.unique))}
    met = [
        columns
        for name, columns in unique.items()
        if f'"{name}"' in said or all(f"{table.name}.{column}" in said for column in columns)
    ]
    if not met:
        return Conflict(f"there is already such a {model.__name__}")
    columns = max(met, key=len)
    told = [c for c in columns if c in given] or columns
    shown = " and ".join(column.removesuffix("_id").replace("_", " ") for column in told)
    # Who looks for the one that has the name would not find it.
    deleted = issubclass(model, Erasable) and columns in [[c.name for c in u.columns] for u in plain]
    return Conflict(
        f"there is already a {model.__name__} with this {shown}{', or a deleted one had it' if deleted else ''}",
        field=f"input.{spelled(told[0])}" if given else None,
    )


def spelled(column: str) -> str:
    """A column as clients spell it."""
    first, *others = column.removesuffix("_id").split("_")
    return first + "".join(map(str.title, others))


async def check(session: AsyncSession, ctx: Context, row: Entity, before: Mapping[str, Any] | None) -> None:
    """What else must hold of a row of this model: `before` has what it had (for a new one what was given), and is None
    for one that is to go."""
    if (checked := CHECKS.get(type(row))) is not None:
        await checked(session, ctx, row, before)


def told(session: AsyncSession, row: Entity) -> None:
    """Let every process forget the principals whose rights this may change; of a link, that both its ends changed."""
    if isinstance(row, _LINKS):
        for column in type(row).__table__.columns:
            if (end := target(type(row), column.key)) is not None:
                changed(session, row_topic(end, getattr(row, column.key)))
    if isinstance(row, _RIGHTS):
        changed(session, RIGHTS)
    if isinstance(row, _PRINCIPALS):
        changed(session, principal_topic(row.id))


async def note_link(session: AsyncSession, ctx: Context, link: Any, action: str = "LINK") -> None:
    """Put on record what gives or takes rights: who is in a group, and what roles it has."""
    if isinstance(link, models.UserGroupMember):
        place = await place_of(session, link)
        record(session, ctx, action, "UserGroup", link.user_group_id, user=str(link.user_id), **place)
    elif isinstance(link, models.RoleGrant):
        granted = await session.get_one(models.Role, link.role_id)
        record(session, ctx, "GRANT_ROLE", "RoleGrant", link.id, role=granted.name, **await place_of(session, granted))


async def place_of(session: AsyncSession, row: Any) -> dict[str, UUID | None]:
    """The project and site that a row belongs to, for the record; a site, where it is one only, of what may have
    several."""
    if isinstance(row, models.Site):
        return {"site_id": row.id}
    if isinstance(row, models.RoleGrant):
        row = await session.get_one(models.Role, row.role_id)
    if isinstance(row, models.User):
        return {"site_id": await roles.only_site(session, models.UserGroupMember.user_id == row.id)}
    if isinstance(row, models.UserGroup | models.UserGroupMember):
        group = row.id if isinstance(row, models.UserGroup) else row.user_group_id
        return {"site_id": await roles.only_site(session, models.RoleGrant.user_group_id == group)}
    if isinstance(row, models.Device):
        linked = sa.select(models.SiteDevice.site_id).where(models.SiteDevice.device_id == row.id).limit(2)
        sites = (await session.scalars(linked)).all()
        return {"site_id": sites[0] if len(sites) == 1 else None}
    project = row.id if isinstance(row, models.Project) else getattr(row, "project_id", None)
    site = getattr(row, "site_id", None)
    if project is not None and site is None:
        site = await session.scalar(sa.select(models.Project.site_id).where(models.Project.id == project))
    return {"project_id": project, "site_id": site}
