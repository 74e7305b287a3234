"""Archives: results as one zip, made by a job."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from db import models
from resolvers.archives import archives
from resolvers.writing import crud
from schema.fields.fields import Info, column, node, related
from schema.fields.inputs import AnyVersion, Deleted, DeletedResult
from schema.fields.mutations import SIGNED_IN, mutation, written
from schema.fields.nodes import Node
from schema.fields.problems import Problem
from schema.fields.scalars import key_of, optional_key, parse_id
from schema.lists.connections import connection
from schema.types.simulations.simulations import NEWEST_JOB, ClusterOptions

if TYPE_CHECKING:
    pass


@node(models.Archive, by="-created_at", listed="Your archives.")
class Archive(Node):
    """Results of a simulation, or of the simulations of a project, as one zip. A job makes it from what its owner may
    read. It is its owner's alone, and its file is kept for some days."""

    title: str = column("The title of its subject.", filter=True)
    expires_at: datetime = column("When its file is removed.", filter=True)
    owner = related(models.Archive.owner, "Who asked for it.")
    simulation = related(models.Archive.simulation, "The simulation, if it is of one.")
    project = related(models.Archive.project, "The project, if it is of one.")
    job = related(models.Archive.jobs, "The latest job that makes it.", order=NEWEST_JOB)
    jobs = connection(models.Archive.jobs, "All its jobs, one for each attempt.", order="-attempt")
    file = related(models.Archive.file, "The zip; null until it is made, and once it has expired.")


@strawberry.input(description="An archive to make: of a simulation, or of a project.")
class NewArchive:
    subject: strawberry.ID = strawberry.field(
        description="A Simulation; or a Project, for all of its simulations that you may read, at most 2000."
    )
    cluster: strawberry.ID | None = strawberry.field(
        default=None, description="The cluster that is to make it; null: the gateway's own machine."
    )
    options: ClusterOptions | None = strawberry.field(default=None, description="What is asked of the cluster.")


ArchiveResult = Annotated[Archive | Problem, strawberry.union("ArchiveResult", description="The archive, or why not.")]


@strawberry.type
class ArchivesMutation:
    @mutation(needs=SIGNED_IN)
    async def create_archive(
        self, info: Info, input: Annotated[NewArchive, strawberry.argument(description="The archive.")]
    ) -> ArchiveResult:
        """Have results packed into one zip. Watch `job` with `jobUpdated`, then fetch `file.downloadUrl`."""
        key = await archives.request(
            info.context,
            *parse_id(input.subject, "input.subject"),
            cluster=optional_key("Cluster", input.cluster, "input.cluster"),
            options=vars(input.options) if input.options else {},
        )
        return await written(info, "Archive", models.Archive, key)  # type: ignore[no-any-return]

    @mutation(needs=SIGNED_IN)
    async def delete_archive(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The archive.")],
        expected_version: AnyVersion = None,
    ) -> DeletedResult:
        """Delete an archive of your own, with its file and its jobs, which must have ended."""
        at = await crud.delete(info.context, models.Archive, key_of("Archive", id), expected_version)
        return Deleted(id=id, at=at)
