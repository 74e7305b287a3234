"""Put a specification into the registry: a new one, a new version, or an earlier version in place."""

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from packaging.utils import canonicalize_version
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import aside, changed, moment_of, row_topic
from db.models import Spec, SpecCompatibility, SpecLanguage, SpecModel, SpecState, SpecVersion
from db.types import uuid7
from db.written import because
from jobs.specs.comparing import Compatibility, broken, changes
from jobs.specs.distributions import Package
from jobs.specs.faults import Fault
from resolvers.access.policy import policy_of
from resolvers.accounts.owners import Owner, for_whom, owner_made, owner_there
from resolvers.context import Context
from resolvers.failures import Conflict, Invalid, NotFound, WrongState, check_limit
from resolvers.specs import builds
from resolvers.specs.names import canonical
from resolvers.specs.reading import SOURCE, Specification, listed, read, tables_of
from resolvers.specs.usage import count, expect_room
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.rows import locked, require

SPECS = 1_000
"""The most specs of one user."""
VERSIONS = 1_000
"""The most versions of one spec."""
_TRIES = 5


class _Overtaken(Exception):
    """Another put came meanwhile: what this one is compared with is no longer what was read."""


@dataclass(frozen=True, slots=True)
class _Before:
    """What a put finds: the spec, if there is one, and the version that the next one must be compatible with."""

    spec: UUID | None = None
    rule: SpecCompatibility = SpecCompatibility.NONE
    version: UUID | None = None
    name: str = ""
    source: str = ""
    language: SpecLanguage = SpecLanguage.JSON
    digest: str | None = None


async def put(
    ctx: Context,
    name: str,
    source: str,
    language: SpecLanguage,
    *,
    version: str | None = None,
    expected_version: int | None = None,
    owner: Owner | None = None,
) -> UUID:
    """Store a version of the owner's spec with this name, which is then the latest; returns its key. Without `owner` it
    is one's own. `expected_version` is that of the spec, and 0 for one that must be new.

    CONFLICT for other content than a fetched package was made of, and for what the spec's compatibility rule refuses;
    QUOTA for too many models; STATE for an archived spec.
    """
    known = canonical(name)
    async with writing(ctx, "PUT", Spec) as session:
        aside(session)  # nothing is written yet
        await _found(session, ctx, await owner_there(session, ctx, owner), known, expected_version)
    said = await ctx.services.jobs.inputs.run(ctx.lane, partial(read, known, source, language, version))
    digest = hashlib.sha256(f"{language.name}\n{source}".encode()).hexdigest()
    for _ in range(_TRIES):
        async with ctx.database.write() as session:
            aside(session)
            user = await owner_there(session, ctx, owner)
            before = await _before(session, await _found(session, ctx, user, known, expected_version), said)
        await _expect_compatible(ctx, before, said)
        try:
            async with writing(ctx, "PUT", Spec) as session:
                user = await owner_made(session, ctx, owner)
                spec = await _found(session, ctx, user, known, expected_version)
                if await _before(session, spec, said) != before:
                    raise _Overtaken
                await expect_room(session, user, said.tables.count, ctx.services.limits.spec_models, before.spec)
                content = {"source": source, "language": language, "digest": digest}
                return await _store(session, ctx, spec, _Put(user, known, name, said, content))
        except _Overtaken:
            continue
    raise Conflict("others put versions of this spec at this moment; try again", field="name")


@dataclass(frozen=True, slots=True)
class _Put:
    owner: UUID
    canonical_name: str
    name: str
    said: Specification
    content: dict[str, Any]


async def _found(
    session: AsyncSession, ctx: Context, owner: UUID | None, known: str, expected_version: int | None
) -> Spec | None:
    """The owner's spec of this name, locked, if it may be put to. An owner who is to be made has none."""
    named = sa.select(Spec.id).where(Spec.user_id == owner, Spec.canonical_name == known, Spec.deleted_at.is_(None))
    key = None if owner is None else await session.scalar(named)
    try:
        spec = None if key is None else await locked(session, ctx, Spec, key)
    except NotFound:  # it was deleted at this moment
        spec = None
    if spec is not None:
        await require(session, ctx, spec, policy_of(Spec).update, "change")
    present = 0 if spec is None else spec.version
    if expected_version is not None and expected_version != present:
        told = "there is no such spec" if spec is None else f"the Spec is at version {present}, not {expected_version}"
        raise Conflict(f"{told}; read it again", field="expectedVersion", version=present)
    if spec is not None and spec.state is SpecState.ARCHIVED:
        raise WrongState("the spec is archived: make it ACTIVE to put versions", field="name", state=spec.state.name)
    return spec


async def _before(session: AsyncSession, spec: Spec | None, said: Specification) -> _Before:
    """What is there to compare with: the version stored last, of those that are not put anew."""
    if spec is None:
        return _Before()
    if spec.compatibility is SpecCompatibility.NONE:
        return _Before(spec.id)
    columns = (SpecVersion.id, SpecVersion.name, SpecVersion.source, SpecVersion.language, SpecVersion.digest)
    last = sa.select(*columns).where(SpecVersion.spec_id == spec.id, SpecVersion.deleted_at.is_(None))
    last = last.where(SpecVersion.canonical_name != _equal(said.version))
    row = (await session.execute(last.order_by(SpecVersion.updated_at.desc(), SpecVersion.id.desc()).limit(1))).first()
    return _Before(spec.id, spec.compatibility, *row) if row is not None else _Before(spec.id)


async def _expect_compatible(ctx: Context, before: _Before, said: Specification) -> None:
    if before.version is None:
        return

    def compared() -> list[Fault]:
        try:
            former = tables_of(before.source, before.language)
        except Invalid:  # it was stored before sources were read: there is nothing to compare with
            return []
        found = changes(former, said.tables)
        return [Fault(pointer, why) for pointer, why in broken(found, Compatibility[before.rule.name])]

    if reasons := await ctx.services.jobs.inputs.run(ctx.lane, compared):
        more, faults = listed(reasons)
        told = f"{reasons[0].message}{more}; the spec must stay {before.rule.name} compatible with {before.name}"
        raise Conflict(told, field=SOURCE, faults=faults, compatibility=before.rule.name, version=before.name)


async def _store(session: AsyncSession, ctx: Context, spec: Spec | None, given: _Put) -> UUID:
    made = spec is None
    if spec is None:
        spec = await _new(session, ctx, given)
    spec.name, spec.updated_at = given.name, await moment_of(session)
    because(session, "a version is put with its models", SpecVersion, SpecModel)
    version, other = await _version(session, spec, given)
    await session.execute(sa.delete(SpecModel).where(SpecModel.spec_version_id == version.id))
    models = [
        {
            "id": uuid7(), "spec_version_id": version.id, "name": model.name, "table_name": model.table,
            "column_names": "\n".join(column.name for column in model.own_columns), "version": 1,
        }
        for model in given.said.tables.models if not model.implied
    ]  # fmt: skip
    if models:
        await session.execute(sa.insert(SpecModel), models)
    spec.latest_version_id = version.id
    await session.flush()
    await count(session, given.owner)
    if other:
        await builds.end(session, [version.id])
        await builds.drop_packages(session, version.id)
        await builds.begin(session, spec, version)
    told = {"name": given.canonical_name, "version": version.name, "new": made, **for_whom(ctx, given.owner)}
    record(session, ctx, "PUT", "Spec", spec.id, **told)
    changed(session, row_topic(Spec, spec.id), row_topic(SpecVersion, version.id))
    return version.id


async def _new(session: AsyncSession, ctx: Context, given: _Put) -> Spec:
    live = sa.select(sa.func.count()).where(Spec.user_id == given.owner, Spec.deleted_at.is_(None))
    number = (await session.scalar(live) or 0) + 1
    check_limit(f"a user has at most {SPECS:,} specs", number, SPECS, limit="specs", field="name")
    spec = Spec(id=uuid7(), user_id=given.owner, canonical_name=given.canonical_name, name=given.name)
    session.add(spec)
    await session.flush()
    await require(session, ctx, spec, policy_of(Spec).create, "make")
    return spec


async def _version(session: AsyncSession, spec: Spec, given: _Put) -> tuple[SpecVersion, bool]:
    """The row of the version, the one that is equal to it, or a new one; and whether it has other content now."""
    said, equal = given.said, _equal(given.said.version)
    of_it = (SpecVersion.spec_id == spec.id, SpecVersion.canonical_name == equal, SpecVersion.deleted_at.is_(None))
    row = (await session.scalars(sa.select(SpecVersion).where(*of_it).with_for_update())).one_or_none()
    await _expect_unfetched(session, given, equal)
    columns = {
        **given.content, "name": said.version, "title": said.title, "description": said.description,
        "model_count": said.tables.count, "metadata_digest": _metadata(given), "updated_at": spec.updated_at,
    }  # fmt: skip
    if row is None:
        live = sa.select(sa.func.count()).where(SpecVersion.spec_id == spec.id, SpecVersion.deleted_at.is_(None))
        number = (await session.scalar(live) or 0) + 1
        check_limit(f"a spec has at most {VERSIONS:,} versions", number, VERSIONS, limit="versions", field="version")
        row = SpecVersion(id=uuid7(), spec_id=spec.id, canonical_name=equal)
        session.add(row)
    other = (row.digest, row.name) != (given.content["digest"], said.version)
    for name, value in columns.items():
        setattr(row, name, value)
    await session.flush()
    return row, other


async def _expect_unfetched(session: AsyncSession, given: _Put, equal: str) -> None:
    """CONFLICT for other content under a name whose package was fetched, also where it was deleted since: whoever has
    its hash would be given other bytes."""
    same = (Spec.user_id == given.owner, Spec.canonical_name == given.canonical_name)
    fetched = sa.select(SpecVersion.name).join(Spec, Spec.id == SpecVersion.spec_id)
    fetched = fetched.where(*same, SpecVersion.canonical_name == equal, SpecVersion.fetched_at.is_not(None))
    other = (SpecVersion.digest.is_distinct_from(given.content["digest"]), SpecVersion.name != given.said.version)
    if (name := await session.scalar(fetched.where(sa.or_(*other)).limit(1))) is not None:
        told = f"the package of version {name} was fetched, so its content stays as it is; put another version"
        raise Conflict(told, field="version", version=name)


def _metadata(given: _Put) -> str:
    said = given.said
    package = Package(given.canonical_name, said.version, said.title, said.description)
    return hashlib.sha256(package.metadata()).hexdigest()


def _equal(version: str) -> str:
    """What versions have in common that are equal by PEP 440."""
    return str(canonicalize_version(version))
