"""Writing rows of any model, as its principal may: made, changed, deleted, brought back, each in one transaction.

A rule of `access.WRITES` is asked of the row in the database: for a new row once it is there, for a changed one before
and after. When none holds, all is rolled back, and the refusal is recorded.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import set_committed_value

from db import models
from db.engine import aside, changed, row_topic
from db.keys import among
from db.locks import referred_held
from db.models import Entity, Erasable
from db.written import asked, because
from resolvers.access import roles
from resolvers.access.rules import FALSE, TRUE, Rule, allowed, words
from resolvers.access.visibility import WRITES, visible
from resolvers.context import Context
from resolvers.failures import Failure, Forbidden, NotFound, WrongState
from resolvers.feed import RIGHTS, principal_topic
from resolvers.identity.principal import Kind
from resolvers.limits import Bound
from resolvers.writing import rate_limits
from resolvers.writing.audit import record
from resolvers.writing.cascade import erase, hold, revive
from resolvers.writing.checks import CHECKS
from resolvers.writing.constraints import Taken, everywhere, names_of, spelled, unlike
from resolvers.writing.returning import hold_granted, take_back
from resolvers.writing.rows import expect, locked, seen

_RIGHTS = (
    models.UserGroup, models.UserGroupMember, models.Role, models.RoleGrant, models.Site, models.Project,
    models.ParticipantGroup, models.SiteService, models.ProjectService,
)  # fmt: skip
_PRINCIPALS = (models.User, models.Participant, models.Device, models.Service, models.SimulationLink)
_LINKS = (
    models.UserGroupMember, models.SiteDevice, models.ProjectDevice, models.ParticipantDevice, models.SiteService,
    models.ProjectService,
)  # fmt: skip

_RANK = ("platform_role", "superadmin")
"""What a user may do everywhere."""
_SWITCHES = frozenset({"active", "enabled"})
"""The columns by which a row is put in or out of use."""

_SIGNING_IN = frozenset(
    {"username", "email", "email_verified", "login_enabled", "token_enabled", "two_factor_required"}
)
"""The columns that decide how one signs in."""

TAKEN = Bound(50, 86_400)
"""How often one may be told that a name is taken that no other row of any place may have."""


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
    async with recorded(ctx, "CREATE", model), ctx.database.write() as session:
        await _expect_room(session, ctx, model, values)
        row, joined = await _make(session, ctx, model, values, links)
        for link in joined:
            await check(session, ctx, link, {})
            await note_link(session, ctx, link)
        await check(session, ctx, row, values)
        told(session, row)
        if isinstance(row, models.User):
            rank = {"platform_role": row.platform_role, "superadmin": row.superadmin}
            record(session, ctx, "CREATE", "User", row.id, **rank, **await place_of(session, row))
        return row.id


async def _make(
    session: AsyncSession, ctx: Context, model: type[Entity], values: Mapping[str, Any], links: Sequence[Link]
) -> tuple[Entity, Sequence[Entity]]:
    """A row and its links, which the principal may make: the references are seen, and the rules asked. The row has the
    names that must be its own only then: who may not make it hears no sooner or later that one is taken."""
    await referred_held(session, model, values)
    await refer(session, ctx, model, values)
    apart = names_of(model).items()
    others = {name: uuid4().hex[:16] for name, within in apart if within or values.get(name) is not None}
    row = model(**{**values, **others})
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
    joined = []
    for link in links:
        other = target(link.model, link.other)
        for n, key in enumerate(link.keys):
            if key in link.keys[:n]:
                continue
            await _seen(session, ctx, other, key, f"input.{link.field}.{n}")
            made = link.model(**{link.own: row.id, link.other: key})
            session.add(made)
            await stored(session, link.model)
            founding = WRITES[link.model].founding
            await must(session, ctx, made, WRITES[link.model].create if founding is None else founding, "make")
            joined.append(made)
    await must(session, ctx, row, WRITES[model].create, "make")
    for name, rules in WRITES[model].giving.items():
        if name in values and values[name] not in (None, default(model, name)):
            await must(session, ctx, row, rules, "give", name)
    if others:
        with unlike(model, values):
            await _name(session, row, {name: values.get(name, default(model, name)) for name in others})
    return row, joined


async def _name(session: AsyncSession, row: Entity, names: Mapping[str, Any]) -> None:
    """Give a row that was just made the names that must be its own; it stays as new as it is."""
    model: Any = type(row)
    because(session, "what was just made gets its names", model)
    own = {"updated_at": model.updated_at} if "updated_at" in model.__table__.columns else {}
    await session.execute(
        sa.update(model).where(model.id == row.id).values(**names, **own).execution_options(synchronize_session=False)
    )
    for name, value in names.items():
        set_committed_value(row, name, value)


async def update(
    ctx: Context, model: type[Entity], key: UUID, expected_version: int, values: Mapping[str, Any]
) -> None:
    """Change columns of a row, each by the rules for it."""

    async def change(session: AsyncSession, given: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
        return await _change(session, ctx, model, key, expected_version, given)

    async with recorded(ctx, "UPDATE", model, key), _asking(ctx, change, values), ctx.database.write() as session:
        row, before = await change(session, values)
        await check(session, ctx, row, before)
        told(session, row)
        await _note_change(session, ctx, row, before)


async def _change(
    session: AsyncSession,
    ctx: Context,
    model: type[Entity],
    key: UUID,
    expected_version: int,
    values: Mapping[str, Any],
) -> tuple[Entity, Mapping[str, Any]]:
    """A row with new values that the principal may give it, and the old ones."""
    may = WRITES[model]
    await referred_held(session, model, values, key)
    row: Any = await locked(session, ctx, model, key)
    needed = {name: may.changing(name) for name in values} or {"": may.update}
    for name, rules in needed.items():
        await must(session, ctx, row, may.leaving.get(name, rules), "change", name)
    expect(row, expected_version)
    await refer(session, ctx, model, values)
    before = {name: getattr(row, name) for name in values}
    await _expect_room(session, ctx, model, {name: value for name, value in values.items() if value != before[name]})
    for name, value in values.items():
        setattr(row, name, value)
    await stored(session, model, values)
    for name, rules in needed.items():
        await must(session, ctx, row, rules, "change", name)
    return row, before


async def _note_change(session: AsyncSession, ctx: Context, row: Any, before: Mapping[str, Any]) -> None:
    """Put on record what a user may do now, and what was put in or out of use."""
    new = {name: getattr(row, name) for name, value in before.items() if getattr(row, name) != value}
    place = await place_of(session, row) if new.keys() & {*_RANK, *_SWITCHES, *_SIGNING_IN} else {}
    if isinstance(row, models.User) and (rank := {name: new[name] for name in _RANK if name in new}):
        record(session, ctx, "CHANGE_ROLE", "User", row.id, **rank, **place)
    if told := sorted(_SIGNING_IN & new.keys()):
        record(session, ctx, "CHANGE_SIGN_IN", type(row).__name__, row.id, changed=[*map(spelled, told)], **place)
    for name in _SWITCHES & new.keys():
        record(session, ctx, "ACTIVATE" if new[name] else "DEACTIVATE", type(row).__name__, row.id, **place)


async def delete(ctx: Context, model: type[Entity], key: UUID, expected_version: int | None = None) -> datetime:
    """Delete a row with what hangs on it; DEPENDENCY when something stands in the way. Returns when."""
    async with writing(ctx, "DELETE", model, key) as session:
        await must(session, ctx, await seen(session, ctx, model, key), WRITES[model].delete, "delete")
        await hold(session, model, key)
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
        perhaps = sa.select(model).where(model.id == key, _perhaps_restored(model, ctx))
        if await session.scalar(perhaps.with_only_columns(model.id), dict(ctx.principal.parameters)) is not None:
            if model is models.Project:
                await hold_granted(session, key)
            await hold(session, model, key, restoring=True)
        wanted = perhaps.with_for_update(of=model, key_share=issubclass(model, Erasable))
        row: Any = (await session.scalars(wanted, dict(ctx.principal.parameters))).one_or_none()
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


def _perhaps_restored(model: Any, ctx: Context) -> Any:
    """Which rows the principal may bring back, or might once what was deleted with them is back. Of others not even as
    much is read as shows that they are there."""
    standing = ctx.principal.standing
    may = allowed(WRITES[model].restore, model, standing)
    if model is not models.UserGroup:
        return may
    grant = models.RoleGrant
    mine = sa.exists().where(
        grant.user_group_id == model.id,
        grant.deleted_at == model.deleted_at,
        allowed(WRITES[grant].delete, grant, standing),
    )
    return sa.or_(may, mine)


@asynccontextmanager
async def writing(
    ctx: Context, action: str, model: type[Entity], key: UUID | None = None
) -> AsyncIterator[AsyncSession]:
    """A transaction; what it refuses is recorded beside it."""
    async with recorded(ctx, action, model, key), ctx.database.write() as session:
        yield session


@asynccontextmanager
async def recorded(ctx: Context, action: str, model: type[Entity], key: UUID | None = None) -> AsyncIterator[None]:
    """What is refused inside is recorded. That a name of all places is taken tells of rows that one doesn't see: it is
    recorded, too, and counted."""
    try:
        yield
    except (Forbidden, Taken) as refusal:
        if isinstance(refusal, Taken) and (not refusal.everywhere or ctx.principal.superadmin):
            raise
        async with ctx.database.write() as session:
            aside(session)
            record(session, ctx, "REFUSED", model.__name__, key, tried=action, why=refusal.message)
        if isinstance(refusal, Taken):
            await rate_limits.count(ctx, {_taken_key(ctx): TAKEN.most}, TAKEN.seconds)
        raise


class _Undone(Exception):
    """Rolls back what was only tried."""


@asynccontextmanager
async def _asking(
    ctx: Context, write: Callable[[AsyncSession, Mapping[str, Any]], Awaitable[Any]], values: Mapping[str, Any]
) -> AsyncIterator[None]:
    """Who may not write at all hears so, and not that a name is taken: the rules, which are asked of a row that is
    there, are asked of one with other names."""
    try:
        yield
    except Taken as taken:
        others = {name: uuid4().hex[:16] for name in taken.columns if isinstance(values.get(name), str)}
        if others:
            with suppress(_Undone):
                async with ctx.database.write() as session:
                    await write(session, {**values, **others})
                    raise _Undone from None
        raise


async def _expect_room(session: AsyncSession, ctx: Context, model: type[Entity], values: Mapping[str, Any]) -> None:
    """Refuse a name that no other row of any place may have from who was told too often that one is taken: else it
    would still tell which are free."""
    if not ctx.principal.superadmin and any(values.get(name) is not None for name in everywhere(model)):
        await rate_limits.expect_room(session, _taken_key(ctx), TAKEN)


def _taken_key(ctx: Context) -> str:
    return f"taken:{ctx.principal.id}"


async def must(
    session: AsyncSession, ctx: Context, row: Entity, rules: Sequence[Rule], verb: str, column: str = ""
) -> None:
    """Raise FORBIDDEN when none of the rules holds for the row as it stands in the transaction."""
    if not await _holds(session, ctx, row, rules):
        what = f"`{spelled(column)}` of a {type(row).__name__}" if column else f"a {type(row).__name__} here"
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
    """Put on record what gives or takes rights: who is in a group, what roles it has, where devices and services
    work."""
    if isinstance(link, models.UserGroupMember):
        place = await place_of(session, link)
        record(session, ctx, action, "UserGroup", link.user_group_id, user=link.user_id, **place)
    elif isinstance(link, models.RoleGrant):
        granted = await session.get_one(models.Role, link.role_id)
        record(session, ctx, "GRANT_ROLE", "RoleGrant", link.id, role=granted.name, **await place_of(session, granted))
    else:
        ends = {c.key: getattr(link, c.key) for c in link.__table__.columns if c.foreign_keys}
        owner = next(name for name in ("device_id", "service_id", "cluster_id") if name in ends)
        place = {name: ends[name] for name in ("site_id", "project_id") if name in ends}
        others = {spelled(name): key for name, key in ends.items() if name != owner}
        record(session, ctx, action, target(type(link), owner).__name__, ends[owner], **others, **place)


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
