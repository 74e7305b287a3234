"""Assets of sessions: those whose bytes a service keeps, those that wait for a check, and grants to fetch some."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, row_topic
from db.keys import among
from db.models import File, FilePurpose, FileState, Service, Session
from db.searching.folding import composed
from db.types import uuid7
from db.written import because
from resolvers.access.rules import SUPERADMIN
from resolvers.access.session_rules import BRINGING, CHECKER
from resolvers.access.visibility import visible
from resolvers.context import Context
from resolvers.failures import Forbidden, Invalid, NotFound, Unauthenticated, WrongState, check_limit
from resolvers.files.checking import state_of
from resolvers.files.purposes import PURPOSES, media_type
from resolvers.identity.principal import Kind
from resolvers.identity.tokens import Fetch
from resolvers.sessions.members import MODELS, Who
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.rows import locked, referred_seen, require, seen, signed_in

MOST = 100
"""The most files of one grant."""
LONGEST = timedelta(hours=1)
"""The longest time for which a grant holds."""
PLACE = "/assets"
ADDRESS = 2_000
"""The most characters of an address."""


@dataclass(frozen=True, slots=True)
class NewAsset:
    """An asset whose bytes a service keeps. `creator` is on whose behalf it does, if not its own."""

    session: UUID
    name: str
    address: str
    size: int
    media_type: str | None
    digest: str | None
    recorded_at: datetime | None
    expires_at: datetime | None
    creator: Who | None


_COLUMNS = {"user_id": "owner_user_id", "participant_id": "participant_id", "device_id": "device_id"}


async def create(ctx: Context, new: NewAsset) -> UUID:
    """Note an asset whose bytes the service that asks keeps itself."""
    if ctx.principal.kind is not Kind.SERVICE:
        raise Forbidden("only a service keeps assets; bring the bytes by createUpload")
    async with writing(ctx, "CREATE", File) as session:
        service = await session.get_one(Service, signed_in(ctx))
        if not service.has_assets:
            raise Forbidden("this service stores no assets; a superadmin may say that it does")
        if new.creator is not None:
            await referred_seen(session, ctx, MODELS[new.creator[0]], new.creator[1], "input.creator")
        row = await seen(session, ctx, Session, new.session, field="input.session")
        await require(session, ctx, row, (*BRINGING, SUPERADMIN), "bring assets of")
        _check(new)
        await referred_seen(session, ctx, Session, new.session, "input.session")
        file = File(
            id=uuid7(),
            purpose=FilePurpose.SESSION_ASSET,
            name=composed(new.name),
            media_type=new.media_type or media_type(new.name),
            size=new.size,
            digest=new.digest,
            address=new.address,
            service_id=service.id,
            session_id=row.id,
            project_id=row.project_id,
            recorded_at=new.recorded_at,
            expires_at=new.expires_at,
            **({} if new.creator is None else {_COLUMNS[new.creator[0]]: new.creator[1]}),
        )
        file.state = await state_of(session, file)
        because(session, "a service keeps assets of its sessions", File)
        session.add(file)
        await session.flush()
        record(session, ctx, "CREATE", "File", file.id, project_id=row.project_id)
        changed(session, row_topic(Session, row.id))
        return file.id


_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+( *;[ -~]+)?", re.ASCII)


def _check(new: NewAsset) -> None:
    PURPOSES[FilePurpose.SESSION_ASSET].check_name(new.name, "input.name")
    if len(new.address) > ADDRESS or not new.address.isprintable() or not _leads(new.address):
        told = f"an address begins with https:// or http://, names a machine, and has at most {ADDRESS} characters"
        raise Invalid(told, field="input.address")
    if new.size < 1:
        raise Invalid("a file has at least one byte", field="input.size")
    digits = new.digest
    if digits is not None and (len(digits) != 64 or not set(digits) <= set("0123456789abcdef")):
        raise Invalid("a SHA-256 is 64 hexadecimal digits in lower case", field="input.digest")
    if new.media_type is not None and (len(new.media_type) > 128 or not _MEDIA_TYPE.fullmatch(new.media_type)):
        raise Invalid("a media type is such as video/mp4", field="input.mediaType")
    if new.expires_at is not None and new.expires_at <= datetime.now(UTC):
        raise Invalid("an asset expires in the future", field="input.expiresAt")


def _leads(text: str) -> bool:
    """Whether a text is an address on the web, without a user in it."""
    try:
        address = urlsplit(text)
        return (
            address.scheme in ("http", "https")
            and bool(address.hostname)
            and not address.username
            and address.port != 0
        )
    except ValueError:
        return False


async def release(ctx: Context, key: UUID) -> UUID:
    """Set an asset free that waited for a check."""
    async with writing(ctx, "RELEASE", File, key) as session:
        file = await _waiting(session, ctx, key, "set free")
        file.state = FileState.READY
        await session.flush()
        record(session, ctx, "RELEASE", "File", key, project_id=file.project_id)
    return key


async def refuse(ctx: Context, key: UUID, message: str) -> UUID:
    """Refuse an asset that waited for a check: its bytes go, and it says why."""
    async with writing(ctx, "REFUSE", File, key) as session:
        file = await _waiting(session, ctx, key, "refuse")
        if not message.strip() or len(message) > 1_000:
            raise Invalid("a reason has 1 to 1000 characters", field="message")
        file.state, file.blob_id, file.address = FileState.REFUSED, None, None
        file.refusal = {"code": "CHECK_REFUSED", "message": message}
        await session.flush()
        record(session, ctx, "REFUSE", "File", key, project_id=file.project_id)
    return key


async def _waiting(session: AsyncSession, ctx: Context, key: UUID, verb: str) -> File:
    file = await locked(session, ctx, File, key)
    await require(session, ctx, file, (CHECKER, SUPERADMIN), verb)
    if file.state is not FileState.QUARANTINED:
        raise WrongState("this file does not wait for a check", field="id", state=file.state.name)
    return file


@dataclass(frozen=True, slots=True)
class Grant:
    """A token with which anybody fetches some files, as far as who made it may, and until when."""

    token: str
    expires_at: datetime
    files: Sequence[UUID]


async def granting(ctx: Context, files: Sequence[UUID], minutes: int) -> Grant:
    """A grant for some files that one sees. NOT_FOUND names one that one does not."""
    owner, principal = signed_in(ctx), ctx.principal
    check_limit(f"at most {MOST} files, not {len(files)}", len(files), MOST, limit="files", field="files")
    lasts = timedelta(minutes=minutes)
    if not files:
        raise Invalid("name at least one file", field="files")
    if not timedelta(minutes=1) <= lasts <= LONGEST:
        raise Invalid(f"a grant holds 1 to {LONGEST // timedelta(minutes=1)} minutes", field="minutes")
    known = await _seen(ctx, files)
    for n, key in enumerate(files):
        if key not in known:
            raise NotFound("no File with this id", field=f"files.{n}")
    keys = sorted({*files})
    made_with = principal.session or principal.credential
    address = f"{PLACE}?{','.join(key.hex for key in keys)}"
    token = ctx.services.identity.keys.fetch_ticket(principal.kind, owner, made_with, address, lasts)
    async with ctx.database.write() as session:
        record(session, ctx, "GRANT", "File", keys[0] if len(keys) == 1 else None, files=len(keys), minutes=minutes)
    return Grant(token, datetime.now(UTC) + lasts, keys)


async def _seen(ctx: Context, keys: Sequence[UUID]) -> set[UUID]:
    wanted = sa.select(File.id).where(among(File.id, "keys", list(keys)), visible(File, ctx.principal.profile))
    return {row.id for row in await ctx.database.rows(wanted, {**ctx.principal.parameters, "keys": list(keys)})}


def granted(said: Fetch) -> frozenset[UUID]:
    """The files that a grant is for."""
    place, _, keys = said.address.partition("?")
    if place != PLACE:
        raise Unauthenticated("this is no grant for assets")
    return frozenset(UUID(key) for key in keys.split(","))


async def opened(ctx: Context, token: str) -> Grant:
    """What a grant opens of the files that the service which asks keeps: those that its maker still sees.
    UNAUTHENTICATED for a grant that does not hold."""
    signed_in(ctx)
    if ctx.principal.kind is not Kind.SERVICE:
        raise Forbidden("services ask what a grant opens")
    said = ctx.services.identity.keys.read_fetch(token)
    keys = granted(said)
    maker = await ctx.services.identity.principals.of(said)
    wanted = sa.select(File.id).where(
        among(File.id, "keys", list(keys)),
        File.service_id == ctx.principal.id,
        File.state == FileState.READY,
        visible(File, maker.profile),
    )
    rows = await ctx.database.rows(wanted, {**maker.parameters, "keys": list(keys)})
    return Grant(token, said.expires_at, sorted(row.id for row in rows))
