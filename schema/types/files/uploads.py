"""Uploads, which bring files."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry

from db import models
from resolvers.failures import Invalid
from resolvers.files import uploads
from resolvers.files.grants import PLACE, grant
from resolvers.files.new_uploads import NewUpload as Asked
from resolvers.files.new_uploads import Part
from resolvers.files.purposes import target_of
from resolvers.live import upload_streams
from schema.fields.fields import Info, column, computed, node, related
from schema.fields.inputs import Deleted, DeletedResult
from schema.fields.mutations import UPLOADER, mutation, written
from schema.fields.nodes import Node
from schema.fields.problems import Problem
from schema.fields.scalars import BigInt, enum, key_of, member_name, parse_id
from schema.fields.selection import select
from schema.lists.connections import connection
from schema.types.files.files import FilePurpose, Refusal, refusal_of

if TYPE_CHECKING:
    pass

UploadState = enum(
    models.UploadState,
    "The state of an upload.",
    OPEN="It waits for bytes.",
    ASSEMBLING="All bytes came; they are being checked.",
    COMPLETE="Its file is READY.",
    FAILED="Its file was refused. Parts of a manifest may be sent again.",
    EXPIRED="Nothing came for too long; what had come is gone.",
)
ChecksumAlgorithm = enum(
    models.ChecksumAlgorithm,
    "How a checksum is computed.",
    SHA256="SHA-256.",
    MD5="MD5, for clients that have no other.",
)


@node(models.Upload, by="-created_at", listed="Your uploads.")
class Upload(Node):
    """Bytes on their way in, by tus or by the parts of a manifest. Watch it with `uploadUpdated`."""

    purpose: FilePurpose = column("What its file will be for.", filter=True, group=True)  # type: ignore[valid-type]
    state: UploadState = column("Its state.", filter=True, group=True)  # type: ignore[valid-type]
    name: str = column("The name of its file.", filter=True)
    media_type: str = column("The media type of its file, by its name.")
    size: BigInt | None = column("How many bytes it will have; null while that is not told.", filter=True)
    received: BigInt = column("How many bytes have come.", filter=True)
    checksum: str | None = column(
        "The checksum that its file is to have, in hexadecimal digits, where that was told.", filter=True
    )
    checksum_algorithm: ChecksumAlgorithm | None = column("How that is computed.")  # type: ignore[valid-type]
    expires_at: datetime = column("When it expires, if nothing comes until then.", filter=True)
    owner = related(models.Upload.owner, "Who brings it.")
    service = related(models.Upload.service, "The service that brings it.")
    participant = related(models.Upload.participant, "The participant that brings it.")
    device = related(models.Upload.device, "The device that brings it.")
    session = related(models.Upload.session, "The session that its file will belong to.")
    submission = related(models.Upload.submission, "The submission that its file will belong to.")
    challenge = related(models.Upload.challenge, "The challenge that its file will belong to.")
    project = related(models.Upload.project, "The project that its file will belong to.")
    file = related(models.Upload.file, "Its file, once all bytes have come.")
    parts = connection(models.Upload.parts, "The parts of its manifest; none for tus.", order="ordinal")

    @computed("Why its file was refused.", reads=["refusal"])
    def refusal(self: Any) -> Refusal | None:
        return refusal_of(self)

    @computed("Where its bytes are sent: the address of tus for this upload.", reads=["state"])
    def url(self: Any, info: Info) -> str:
        return f"{info.context.services.entrance.address}{PLACE}/{self.id}"

    @computed(
        "A grant for this upload alone, sent as the header `Upload-Grant` in place of credentials; null for services.",
        reads=["owner_user_id", "task_id"],
    )
    def grant(self: Any, info: Info) -> str | None:
        mine = self.task_id is None and self.owner_user_id == info.context.principal.id
        return grant(info.context, self.id) if mine else None


@node(models.UploadPart)
class UploadPart(Node):
    """A part of an upload, sent to `{url}/parts/{ordinal}` in any order."""

    ordinal: int = column("Its number, from 1.", filter=True, order=True)
    name: str = column("Its name in the manifest.")
    size: BigInt = column("How many bytes it has.")
    checksum: str = column("Its checksum in hexadecimal digits.")
    checksum_algorithm: ChecksumAlgorithm = column("How that is computed.")  # type: ignore[valid-type]

    @computed("Whether it came.", reads=["staged", "upload_id"])
    def received(self: Any) -> bool:
        return self.staged is not None

    upload = related(models.UploadPart.upload, "The upload.")


@strawberry.input(description="A checksum.")
class NewChecksum:
    algorithm: ChecksumAlgorithm = strawberry.field(description="How it is computed.")  # type: ignore[valid-type]
    value: str = strawberry.field(description="Hexadecimal digits: 64 of SHA-256, 32 of MD5.")


@strawberry.input(description="A part of an upload by manifest.")
class NewUploadPart:
    name: str = strawberry.field(description="Up to 128 letters, digits, dots, dashes and underscores.")
    size: BigInt = strawberry.field(description="How many bytes it has.")
    checksum: NewChecksum = strawberry.field(description="The checksum of its bytes.")


@strawberry.input(description="An upload to begin.")
class NewUpload:
    purpose: FilePurpose = strawberry.field(description="What the file is for.")  # type: ignore[valid-type]
    name: str = strawberry.field(description="The file's name: 1 to 128 characters, no path.")
    size: BigInt | None = strawberry.field(
        default=None, description="How many bytes it has; left out where it is told later, as tus allows."
    )
    target: strawberry.ID | None = strawberry.field(
        default=None,
        description="What it belongs to: a Session, a Project, a Submission or a Challenge, as its purpose says.",
    )
    checksum: NewChecksum | None = strawberry.field(
        default=None, description="The checksum of the whole file: a file with another one is refused."
    )
    parts: list[NewUploadPart] = strawberry.field(
        default_factory=list, description="Its parts, in order, where it is not sent by tus; at most 2000."
    )
    recorded_at: datetime | None = strawberry.field(default=None, description="When its data were recorded.")
    expires_at: datetime | None = strawberry.field(
        default=None, description="When the file is removed; left out: it is kept."
    )


@strawberry.type(description="An upload that was begun, and how to bring its bytes.")
class UploadBegun:
    url: str = strawberry.field(description="The address at which tus clients begin, the same for all uploads.")
    grant: str | None = strawberry.field(description="Sent there as the header `Upload-Grant`; null for services.")
    key: strawberry.Private[UUID]

    @strawberry.field(description="The upload.")
    async def upload(self, info: Info) -> Upload:
        return await written(info, "Upload", models.Upload, self.key)  # type: ignore[no-any-return]


UploadBegunResult = Annotated[
    UploadBegun | Problem, strawberry.union("UploadBegunResult", description="The upload, or why not.")
]


def _checksum(given: NewChecksum | None) -> tuple[models.ChecksumAlgorithm, str] | None:
    return None if given is None else (_algorithm(given), given.value)


def _algorithm(given: NewChecksum) -> models.ChecksumAlgorithm:
    return models.ChecksumAlgorithm[member_name(given.algorithm)]


@strawberry.type
class UploadsMutation:
    @mutation(needs=UPLOADER)
    async def create_upload(
        self, info: Info, input: Annotated[NewUpload, strawberry.argument(description="The upload.")]
    ) -> UploadBegunResult:
        """Begin an upload. Then send the bytes by tus to `url`, or part by part to the `url` of the upload."""
        parts = [Part(part.name, part.size, part.checksum.value, _algorithm(part.checksum)) for part in input.parts]
        target = None if input.target is None else target_of(*parse_id(input.target, "input.target"), "input.target")
        if input.parts and input.size is None:
            raise Invalid("an upload by parts tells its size", field="input.size")
        asked = Asked(
            purpose=models.FilePurpose[member_name(input.purpose)],
            name=input.name,
            size=input.size,
            target=target,
            checksum=_checksum(input.checksum),
            parts=parts,
            recorded_at=input.recorded_at,
            expires_at=input.expires_at,
        )
        key = (await uploads.create(info.context, asked)).id
        address = f"{info.context.services.entrance.address}{PLACE}"
        return UploadBegun(url=address, grant=grant(info.context, key), key=key)

    @mutation(needs=UPLOADER)
    async def delete_upload(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The upload.")]
    ) -> DeletedResult:
        """End an upload of your own; what came of it is removed. A file that it has become stays."""
        await uploads.end(info.context, key_of("Upload", id))
        return Deleted(id=id, at=datetime.now(UTC))


@strawberry.type
class UploadStreamsSubscription:
    @strawberry.subscription(
        description="An upload: first as it is, then as bytes come, at most every 2 s, until its file is READY or "
        "refused."
    )
    async def upload_updated(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The upload.")]
    ) -> AsyncGenerator[Upload, None]:
        changed = upload_streams.upload(info.context, key_of("Upload", id), select(info, models.Upload))
        async with aclosing(changed) as rows:
            async for row in rows:
                yield row
