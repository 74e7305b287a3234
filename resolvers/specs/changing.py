"""Change and delete specs and their versions."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of, row_topic
from db.locks import held_in_order, in_order
from db.models import Credential, Job, Project, Spec, SpecLabel, SpecVersion
from db.searching.folding import composed
from db.written import because
from resolvers.access.policy import policy_of
from resolvers.access.rules import PROJECT_USER, SUPERADMIN
from resolvers.accounts.owners import Owner, for_whom, owner_there
from resolvers.context import Context
from resolvers.failures import Forbidden, Invalid, WrongState
from resolvers.feed import principal_topic
from resolvers.identity.principal import Kind
from resolvers.labels import checked_labels, put_labels
from resolvers.specs import builds
from resolvers.specs.usage import count, hold_owner
from resolvers.writing.audit import record
from resolvers.writing.cascade import erase, hold
from resolvers.writing.refusals import writing
from resolvers.writing.rows import expect, locked, require, seen

REASON = 500


async def update(ctx: Context, key: UUID, expected_version: int, changes: Mapping[str, Any]) -> UUID:
    """Change the state, the compatibility rule, the labels or the project of a spec."""
    async with writing(ctx, "UPDATE", Spec, key) as session:
        if (project := changes.get("project_id")) is not None:
            await held_in_order(session, Project, Project.id == project)
        row = await locked(session, ctx, Spec, key)
        await require(session, ctx, row, policy_of(Spec).update, "change")
        if project is not None and ctx.principal.kind is Kind.SERVICE:
            raise Forbidden("a service does not share specs of users with projects")
        expect(row, expected_version)
        if project is not None:
            shared = await locked(session, ctx, Project, project, field="input.project")
            await require(session, ctx, shared, (PROJECT_USER, SUPERADMIN), "share specs with")
        for name in ("state", "compatibility", "project_id"):
            if name in changes:
                setattr(row, name, changes[name])
        if "project_id" in changes:
            await _carry(session, row)
        if "labels" in changes:
            given = checked_labels(changes["labels"], "a spec")
            if await put_labels(session, SpecLabel, SpecLabel.spec_id, key, given):
                row.updated_at = await moment_of(session)
        told = {name: getattr(value, "name", value) for name, value in changes.items() if name != "labels"}
        record(session, ctx, "UPDATE", "Spec", key, **told, **for_whom(ctx, row.user_id))
    return key


async def _carry(session: AsyncSession, row: Spec) -> None:
    """Give the builds of a spec its project."""
    await session.flush()
    because(session, "builds are their spec's project's", Job)
    versions = sa.select(SpecVersion.id).where(SpecVersion.spec_id == row.id)
    of_it = sa.update(Job).where(Job.spec_version_id.in_(versions))
    await in_order(session, of_it.values(project_id=row.project_id, version=Job.version + 1))


async def delete(ctx: Context, key: UUID, expected_version: int | None = None) -> datetime:
    """Delete a spec with its versions; returns when."""
    async with writing(ctx, "DELETE", Spec, key) as session:
        owner = (await seen(session, ctx, Spec, key)).user_id
        await hold_owner(session, owner)
        await hold(session, Spec, key)
        row = await locked(session, ctx, Spec, key)
        await require(session, ctx, row, policy_of(Spec).delete, "delete")
        if expected_version is not None:
            expect(row, expected_version)
        moment = await _erase(session, ctx, row)
        await count(session, owner)
        return moment


async def delete_all(ctx: Context, of: Owner | None = None) -> datetime:
    """Delete all specs of the owner, or one's own; returns when."""
    async with writing(ctx, "DELETE", Spec) as session:
        owner = await owner_there(session, ctx, of, hold=True, disabled=True)
        if owner is None:
            return await moment_of(session)
        mine = sa.select(Spec).where(Spec.user_id == owner, Spec.deleted_at.is_(None))
        rows = (await session.scalars(mine.order_by(Spec.id).with_for_update())).all()
        for row in rows:
            await require(session, ctx, row, policy_of(Spec).delete, "delete")
        for row in rows:
            await hold(session, Spec, row.id)
            await _erase(session, ctx, row)
        await count(session, owner)
        return await moment_of(session)


async def delete_version(ctx: Context, key: UUID, expected_version: int | None = None) -> datetime:
    """Delete a version; the one that was stored last before it is then the latest. Returns when."""
    async with writing(ctx, "DELETE", SpecVersion, key) as session:
        spec, row = await _version(session, ctx, key, "delete a version of")
        if expected_version is not None:
            expect(row, expected_version)
        await builds.end(session, [key])
        moment = await erase(session, row)
        if spec.latest_version_id == key:
            left = sa.select(SpecVersion.id).where(SpecVersion.spec_id == spec.id, SpecVersion.deleted_at.is_(None))
            left = left.order_by(SpecVersion.updated_at.desc(), SpecVersion.id.desc()).limit(1)
            spec.latest_version_id = await session.scalar(left)
        spec.updated_at = moment
        await session.flush()
        await count(session, spec.user_id)
        of = for_whom(ctx, spec.user_id)
        record(session, ctx, "DELETE", "SpecVersion", key, name=spec.canonical_name, version=row.name, **of)
        return moment


async def _erase(session: AsyncSession, ctx: Context, row: Spec) -> datetime:
    """Delete a spec, held by the transaction, with its versions, and cancel their builds; returns when."""
    versions = await session.scalars(sa.select(SpecVersion.id).where(SpecVersion.spec_id == row.id))
    await builds.end(session, versions.all())
    record(session, ctx, "DELETE", "Spec", row.id, name=row.canonical_name, **for_whom(ctx, row.user_id))
    tokens = await session.scalars(sa.select(Credential.id).where(Credential.spec_id == row.id))
    changed(session, *map(principal_topic, tokens))
    return await erase(session, row)


async def yank(ctx: Context, key: UUID, reason: str | None) -> UUID:
    """Take the package of a version out of what is chosen by default; who names the version still gets it."""
    reason = composed((reason or "").strip())
    if len(reason) > REASON or not (reason.isprintable()):
        raise Invalid(f"a reason is one line of at most {REASON} characters", field="reason")
    async with writing(ctx, "YANK", SpecVersion, key) as session:
        spec, row = await _version(session, ctx, key, "yank a version of")
        if row.yanked_at is not None:
            raise WrongState("the version is yanked already", field="id")
        row.yanked_at, row.yank_reason = await moment_of(session), reason or None
        await _note(session, ctx, spec, row, "YANK", reason=reason)
    return key


async def unyank(ctx: Context, key: UUID) -> UUID:
    """Let the package of a version be chosen again."""
    async with writing(ctx, "UNYANK", SpecVersion, key) as session:
        spec, row = await _version(session, ctx, key, "unyank a version of")
        if row.yanked_at is None:
            raise WrongState("the version is not yanked", field="id")
        row.yanked_at = row.yank_reason = None
        await _note(session, ctx, spec, row, "UNYANK")
    return key


async def _version(session: AsyncSession, ctx: Context, key: UUID, verb: str) -> tuple[Spec, SpecVersion]:
    """A version with its spec, both locked, if the principal may change the spec."""
    spec_of = (await seen(session, ctx, SpecVersion, key)).spec_id
    owner = (await session.get_one(Spec, spec_of)).user_id
    await hold_owner(session, owner)
    spec = await locked(session, ctx, Spec, spec_of)
    row = await locked(session, ctx, SpecVersion, key)
    await require(session, ctx, spec, policy_of(Spec).update, verb)
    because(session, "a version is its spec's", SpecVersion)
    return spec, row


async def _note(session: AsyncSession, ctx: Context, spec: Spec, row: SpecVersion, action: str, **told: Any) -> None:
    spec.updated_at = await moment_of(session)
    of = for_whom(ctx, spec.user_id)
    record(session, ctx, action, "SpecVersion", row.id, name=spec.canonical_name, version=row.name, **told, **of)
    changed(session, row_topic(SpecVersion, row.id))
