"""What the package index tells of specs: their names, their packages, and the bytes of one.

The packages of one owner are told as the principal may see them. A spec that is a DRAFT has none here.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from packaging.version import Version

from db.models import AuthProvider, File, FilePurpose, FileState, Spec, SpecState, SpecVersion, User
from db.types import now
from jobs.specs.distributions import Package
from resolvers.access.visibility import visible
from resolvers.context import Context
from resolvers.identity.principal import Kind

STATUSES: Mapping[SpecState, str] = {
    SpecState.ACTIVE: "active",
    SpecState.DEPRECATED: "deprecated",
    SpecState.ARCHIVED: "archived",
}
"""Project statuses of PEP 792, by the states of specs."""
ENDS = (".whl", ".tar.gz")
"""How the names of packages end; a version has a JSON Schema beside them."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A spec in the index. `state` is equal as long as its page is."""

    key: UUID
    name: str
    status: str
    state: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Distribution:
    """A package of a version: a file with its SHA-256."""

    file: UUID
    filename: str
    digest: str
    size: int
    uploaded_at: datetime
    version_key: UUID
    version: str
    fetched_at: datetime | None
    yanked: str | bool
    metadata_digest: str


async def owner_of(ctx: Context, named: str | None) -> UUID | None:
    """The owner whose specs are meant: the principal, or whose token it has, or the user who is named: by the username
    of a user of the gateway itself, or as `provider:subject`. Neither goes to another user, ever."""
    if named is None:
        return ctx.principal.behind[0] if ctx.principal.kind is Kind.SPEC_TOKEN else ctx.principal.id
    if "\0" in named:
        return None
    provider, colon, subject = named.partition(":")
    if not colon:
        which = (User.username == named, User.auth_provider == AuthProvider.LOCAL)
    elif (known := provider.upper()) in AuthProvider.__members__:
        which = (User.external_subject == subject, User.auth_provider == AuthProvider[known])
    else:
        return None
    found = await ctx.database.rows(sa.select(User.id).where(*which, User.deleted_at.is_(None)))
    return found[0].id if found else None


async def held(ctx: Context, owner: UUID, name: str) -> bool:
    """Whether the owner has a spec of this name, with packages or not."""
    of_owner = (Spec.user_id == owner, Spec.canonical_name == name, Spec.deleted_at.is_(None))
    return bool(await ctx.database.rows(sa.select(Spec.id).where(*of_owner)))


async def names(ctx: Context, owner: UUID) -> Sequence[str]:
    """The names of the owner's specs that have packages."""
    built = _packages().where(SpecVersion.spec_id == Spec.id).correlate(Spec).exists()
    wanted = sa.select(Spec.canonical_name).where(*_of(ctx, owner), built).order_by(Spec.canonical_name)
    return [row.canonical_name for row in await ctx.database.rows(wanted, dict(ctx.principal.parameters))]


async def listed(ctx: Context, owner: UUID, name: str) -> Listed | None:
    """The owner's spec of this name."""
    columns = (Spec.id, Spec.state, Spec.version, Spec.package_changes)
    wanted = sa.select(*columns).where(*_of(ctx, owner), Spec.canonical_name == name)
    rows = await ctx.database.rows(wanted, dict(ctx.principal.parameters))
    if not rows:
        return None
    key, state, version, changes = rows[0]
    return Listed(key, name, STATUSES[state], (str(key), state.name, version, changes))


async def distributions(ctx: Context, spec: Listed, filename: str | None = None) -> Sequence[Distribution]:
    """The packages of a spec, in the order of their versions; or the one of this name."""
    version = (SpecVersion.name, SpecVersion.metadata_digest, SpecVersion.fetched_at)
    yanked = (SpecVersion.yanked_at, SpecVersion.yank_reason)
    file = (File.id, File.name.label("filename"), File.digest, File.size, File.created_at)
    wanted = _packages().with_only_columns(SpecVersion.id.label("version_key"), *version, *yanked, *file)
    wanted = wanted.where(SpecVersion.spec_id == spec.key)
    if filename is not None:
        wanted = wanted.where(File.name == filename)
    rows = await ctx.database.rows(wanted)
    order = {name: Version(name) for name in {row.name for row in rows}}
    missing = {row.version_key for row in rows if row.metadata_digest is None}
    digests = {key: hashlib.sha256(await metadata(ctx, spec, key)).hexdigest() for key in missing}
    return [
        Distribution(
            row.id, row.filename, row.digest, row.size, row.created_at, row.version_key, row.name, row.fetched_at,
            False if row.yanked_at is None else row.yank_reason or True,
            row.metadata_digest or digests[row.version_key],
        )
        for row in sorted(rows, key=lambda row: (order[row.name], row.filename))
    ]  # fmt: skip


async def metadata(ctx: Context, spec: Listed, version: UUID) -> bytes:
    """The metadata of the packages of a version."""
    columns = (SpecVersion.name, SpecVersion.title, SpecVersion.description)
    (row,) = await ctx.database.rows(sa.select(*columns).where(SpecVersion.id == version))
    return Package(spec.name, *row).metadata()


async def note_fetched(ctx: Context, version: UUID, file: UUID) -> bool:
    """Note that a package is fetched for the first time: its version keeps its content from then on. False where it is
    no longer there."""
    fetched = await ctx.database.rows(sa.select(SpecVersion.fetched_at).where(SpecVersion.id == version))
    if fetched and fetched[0].fetched_at is not None:
        return True
    async with ctx.database.write(as_system="a package is fetched") as session:
        row = await session.get(SpecVersion, version, with_for_update=True)
        there = sa.select(File.id).where(File.id == file, File.deleted_at.is_(None))
        if row is None or row.deleted_at is not None or await session.scalar(there) is None:
            return False
        if row.fetched_at is None:
            own = {"updated_at": SpecVersion.updated_at}
            noted = sa.update(SpecVersion).where(SpecVersion.id == row.id).values(fetched_at=now(), **own)
            await session.execute(noted.execution_options(synchronize_session=False))
        return True


def _of(ctx: Context, owner: UUID) -> tuple[Any, ...]:
    return Spec.user_id == owner, Spec.state != SpecState.DRAFT, visible(Spec, ctx.principal.profile)


def _packages() -> sa.Select[Any]:
    """The packages of versions, whoever sees those."""
    ends = sa.or_(*(File.name.endswith(end) for end in ENDS))
    live = (File.deleted_at.is_(None), SpecVersion.deleted_at.is_(None))
    found = sa.select(File.id).join(SpecVersion, SpecVersion.id == File.spec_version_id)
    return found.where(File.purpose == FilePurpose.SPEC_PACKAGE, File.state == FileState.READY, *live, ends)
