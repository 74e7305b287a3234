"""The demo's files: a data set that is uploaded as a client does it, and an archive that waits for its job."""

from uuid import UUID

import sqlalchemy as sa

from db.models import FilePurpose, Project, Simulation
from resolvers.archives import archives
from resolvers.context import Context, Services
from resolvers.files import receiving, uploads
from resolvers.files.checking import check_next
from resolvers.files.new_uploads import NewUpload
from resolvers.identity.principal import Kind, Principal

CONTENT = b"depth_cm,dose_Gy\n" + b"".join(b"%.1f,%.4f\n" % (n / 10, 1 + n / 400) for n in range(160))


async def fill_files(services: Services, owner: UUID, project: UUID) -> None:
    """Upload a data set of the project, and ask for an archive of the owner's simulation in it."""
    ctx = Context(services, Principal(kind=Kind.USER, id=owner, projects={project: False}))
    asked = NewUpload(FilePurpose.DATASET, "depth-dose.csv", len(CONTENT), (Project, project))
    upload = await uploads.create(ctx, asked)
    async with receiving.receiving(ctx, upload.id, 0, len(CONTENT)) as at:
        await at.take(CONTENT)
        await at.finish()
    while await check_next(services):
        pass
    wanted = sa.select(Simulation.id).where(Simulation.user_id == owner, Simulation.project_id == project).limit(1)
    ((simulation,),) = await services.database.rows(wanted)
    await archives.request(ctx, "Simulation", simulation)
