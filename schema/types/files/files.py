"""Files that are stored."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from db import models
from resolvers.accounts.tickets import TICKETS, ticket
from resolvers.files import files
from resolvers.spelling import global_id, safe
from resolvers.writing import crud
from schema.fields.fields import Info, column, computed, node, related
from schema.fields.inputs import AnyVersion, Deleted, DeletedResult
from schema.fields.mutations import WRITER, mutation, written
from schema.fields.nodes import Node
from schema.fields.problems import Problem
from schema.fields.scalars import BigInt, enum, key_of

if TYPE_CHECKING:
    pass

FilePurpose = enum(
    models.FilePurpose,
    "What a file is for.",
    SESSION_ASSET="Data of a session, which is its target.",
    DATASET="Data of a project, which is its target, or of one's own. Archives are looked through first.",
    ARCHIVE="Results as one zip, made by a job.",
    OUTPUT="What the program of a simulation wrote. Whoever sees the simulation sees it, until it expires.",
    SUBMISSION_INPUT="What was submitted to a challenge. Its target is the Submission; archives are looked into first.",
    SUBMISSION_OUTPUT="What the evaluation of a submission wrote.",
    EVALUATOR_PROGRAM="The program of an evaluator. Its target is the Challenge; without one it is the platform's.",
    REFERENCE_DATA="What submissions are compared with. Its target is the Challenge; without one it is the platform's.",
    CHALLENGE_DATA="What a challenge gives to whoever takes part. Its target is the Challenge.",
    SPEC_PACKAGE="A package of a version of a spec, which a job built.",
    PUBLIC="For everyone, at `/static/{name}`. A file with the same name takes the place of the one before.",
)
FileState = enum(
    models.FileState,
    "Whether a file's bytes are there.",
    CHECKING="All bytes came; they are being checked.",
    READY="They are there, and their hash was checked.",
    REFUSED="They were not taken. `refusal` says why.",
    QUARANTINED="They are there, and wait for a service that checks them.",
)


@strawberry.type(description="Why the bytes of a file were not taken.")
class Refusal:
    code: str = strawberry.field(description="For programs: CHECKSUM, TYPE, ARCHIVE_PATH and others, see the docs.")
    message: str = strawberry.field(description="For people.")
    entry: str | None = strawberry.field(description="The entry of the archive where it was found.")


def refusal_of(row: Any) -> Refusal | None:
    if row.refusal is None:
        return None
    return Refusal(code=row.refusal["code"], message=row.refusal["message"], entry=row.refusal.get("entry"))


@node(models.File, by="-created_at", listed="The files that you may see.")
class File(Node):
    """A file. Its bytes are fetched from `downloadUrl`."""

    purpose: FilePurpose = column("What it is for.", filter=True, group=True)  # type: ignore[valid-type]
    state: FileState = column("Whether its bytes are there.", filter=True, group=True)  # type: ignore[valid-type]
    name: str = column("Its name.", filter=True, order=True, search=True)
    media_type: str = column("Its media type, by its name.", filter=True, group=True)
    size: BigInt = column("How many bytes it has.", filter=True, group=True)
    digest: str | None = column("Their SHA-256 in hexadecimal digits; null until it is READY.", filter=True)
    recorded_at: datetime | None = column("When its data were recorded, if that was told.", filter=True)
    expires_at: datetime | None = column("When it is removed; null: it is kept.", filter=True)
    owner = related(models.File.owner, "Who brought it.", group=True)
    service = related(models.File.service, "The service that brought it.")
    participant = related(models.File.participant, "The participant that brought it.")
    device = related(models.File.device, "The device that brought it.")
    address: str | None = column("Where its bytes are, if its service keeps them.")
    session = related(models.File.session, "The session that it belongs to.", group=True)
    simulation = related(models.File.simulation, "The simulation whose program wrote it.", group=True)
    task = related(models.File.task, "The task whose program wrote it.")
    submission = related(models.File.submission, "The submission that it is of.", group=True)
    challenge = related(models.File.challenge, "The challenge that it is of.", group=True)
    project = related(models.File.project, "The project whose users see it.", group=True)
    archive = related(models.File.archive, "The archive whose file it is.")
    spec_version = related(models.File.spec_version, "The version of a spec whose package it is.", group=True)

    @computed("Why its bytes were not taken.", reads=["refusal"])
    def refusal(self: Any) -> Refusal | None:
        return refusal_of(self)

    @computed(
        "An address for this file alone, which a browser may open for a few minutes; null until it is READY. Ranges "
        "may be asked for. Of a file whose service keeps its bytes it is where they are.",
        reads=["state", "name", "address"],
    )
    def download_url(self: Any, info: Info) -> str | None:
        if self.address is not None or self.state is not models.FileState.READY:
            return self.address if self.state is models.FileState.READY else None
        path = ("files", global_id("File", self.id), safe(self.name))
        ctx = info.context
        if ctx.principal.kind in TICKETS:
            return ticket(ctx, path, ()).url
        return f"{ctx.services.entrance.address}/{'/'.join(path)}"


FileResult = Annotated[File | Problem, strawberry.union("FileResult", description="The file, or why not.")]


@strawberry.type
class FilesMutation:
    @mutation(needs=WRITER)
    async def delete_file(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The file.")],
        expected_version: AnyVersion = None,
    ) -> DeletedResult:
        """Delete a file. It can be restored for some days, and counts in the quota until then."""
        at = await crud.delete(info.context, models.File, key_of("File", id), expected_version)
        return Deleted(id=id, at=at)

    @mutation(needs=WRITER)
    async def delete_file_forever(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The file.")],
        expected_version: AnyVersion = None,
    ) -> DeletedResult:
        """Delete a file for good, also one that was deleted before: it can't be restored, and counts no more. Its bytes
        go with the last file that has them."""
        at = await files.delete_forever(info.context, key_of("File", id), expected_version)
        return Deleted(id=id, at=at)

    @mutation(needs=WRITER)
    async def restore_file(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The file.")]
    ) -> FileResult:
        """Restore a deleted file. For superadmins."""
        key = key_of("File", id)
        await crud.restore(info.context, models.File, key)
        return await written(info, "File", models.File, key)  # type: ignore[no-any-return]
