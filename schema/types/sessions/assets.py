"""Assets of sessions: what services keep themselves, what waits for a check, and grants to fetch some."""

from datetime import datetime
from typing import Annotated

import strawberry

from db import models
from resolvers.failures import Invalid
from resolvers.sessions import assets
from resolvers.spelling import global_id
from schema.fields.fields import Info
from schema.fields.mutations import MEMBER, WRITER, mutation, written
from schema.fields.problems import Problem
from schema.fields.scalars import BigInt, key_of, parse_id
from schema.types.files.files import FileResult

_CREATORS = {"User": "user_id", "Participant": "participant_id", "Device": "device_id"}


@strawberry.input(description="An asset whose bytes the service that notes it keeps itself.")
class NewAsset:
    session: strawberry.ID = strawberry.field(description="The session that it is of.")
    name: str = strawberry.field(description="Its name: 1 to 128 characters, no path.")
    address: str = strawberry.field(description="Where its bytes are: an address of the service, for its clients.")
    size: BigInt = strawberry.field(description="How many bytes it has.")
    media_type: str | None = strawberry.field(default=None, description="Its media type; left out: by its name.")
    digest: str | None = strawberry.field(default=None, description="The SHA-256 of its bytes, in hexadecimal digits.")
    recorded_at: datetime | None = strawberry.field(default=None, description="When its data were recorded.")
    expires_at: datetime | None = strawberry.field(
        default=None, description="When it is removed; left out: it is kept."
    )
    creator: strawberry.ID | None = strawberry.field(
        default=None, description="The User, Participant or Device that it is of, if it is not the service's own."
    )


@strawberry.type(description="A token with which anybody fetches some files, until it expires.")
class AssetGrant:
    token: str = strawberry.field(
        description="Sent as the query parameter `grant` to `/files/{id}/{name}`, or to the service that keeps them."
    )
    expires_at: datetime = strawberry.field(description="Until when it holds.")
    file_ids: list[strawberry.ID] = strawberry.field(name="files", description="The files that it opens.")

    @classmethod
    def of(cls, made: assets.Grant) -> "AssetGrant":
        ids = [strawberry.ID(global_id("File", key)) for key in made.files]
        return cls(token=made.token, expires_at=made.expires_at, file_ids=ids)


AssetGrantResult = Annotated[
    AssetGrant | Problem, strawberry.union("AssetGrantResult", description="The grant, or why not.")
]
_FILE = Annotated[strawberry.ID, strawberry.argument(description="The file.")]


@strawberry.type
class AssetsQuery:
    @strawberry.field(
        description="What a grant opens of the files that you, a service, keep: those that its maker may see now. "
        "UNAUTHENTICATED for one that does not hold."
    )
    async def asset_grant(
        self, info: Info, token: Annotated[str, strawberry.argument(description="The token of the grant.")]
    ) -> AssetGrant:
        return AssetGrant.of(await assets.opened(info.context, token))


@strawberry.type
class AssetsMutation:
    @mutation(needs=WRITER)
    async def create_asset(
        self, info: Info, input: Annotated[NewAsset, strawberry.argument(description="The asset.")]
    ) -> FileResult:
        """Note an asset whose bytes you keep. Allowed to services that store assets, of their sessions."""
        creator = None
        if input.creator is not None:
            kind, key = parse_id(input.creator, "input.creator")
            if kind not in _CREATORS:
                told = f"an asset is of a {', a '.join(_CREATORS)}, not of a {kind}"
                raise Invalid(told, field="input.creator")
            creator = (_CREATORS[kind], key)
        made = await assets.create(
            info.context,
            assets.NewAsset(
                session=key_of("Session", input.session, "input.session"),
                name=input.name,
                address=input.address,
                size=input.size,
                media_type=input.media_type,
                digest=input.digest,
                recorded_at=input.recorded_at,
                expires_at=input.expires_at,
                creator=creator,
            ),
        )
        return await written(info, "File", models.File, made)  # type: ignore[no-any-return]

    @mutation(needs=WRITER)
    async def release_asset(self, info: Info, id: _FILE) -> FileResult:
        """Set an asset free that is QUARANTINED. Allowed to services that check assets, of its project, and to
        superadmins."""
        key = await assets.release(info.context, key_of("File", id))
        return await written(info, "File", models.File, key)  # type: ignore[no-any-return]

    @mutation(needs=WRITER)
    async def refuse_asset(
        self,
        info: Info,
        id: _FILE,
        message: Annotated[str, strawberry.argument(description="Why, for people; at most 1000 characters.")],
    ) -> FileResult:
        """Refuse an asset that is QUARANTINED: its bytes go. Allowed to services that check assets, of its project, and
        to superadmins."""
        key = await assets.refuse(info.context, key_of("File", id), message)
        return await written(info, "File", models.File, key)  # type: ignore[no-any-return]

    @mutation(needs=MEMBER)
    async def create_asset_grant(
        self,
        info: Info,
        files: Annotated[list[strawberry.ID], strawberry.argument(description="Files that you see, at most 100.")],
        minutes: Annotated[int, strawberry.argument(description="For how long it holds, 1 to 60.")] = 30,
    ) -> AssetGrantResult:
        """Let anybody who has the token fetch some files for some minutes. It ends with what you signed in with, and
        opens no more than you may see when it is used."""
        keys = [key_of("File", id, f"files.{n}") for n, id in enumerate(files)]
        return AssetGrant.of(await assets.granting(info.context, keys, minutes))
