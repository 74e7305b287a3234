"""Count the visible rows of each model: in a site, in a project, or everywhere."""

from collections.abc import Mapping
from uuid import UUID

import sqlalchemy as sa

from db import models
from db.aliases import Alias
from db.models import Entity
from resolvers.access.places import project_of, site_of
from resolvers.access.visibility import visible
from resolvers.context import Context
from resolvers.failures import Invalid, NotFound

COUNTED: Mapping[str, type[Entity]] = {
    "sites": models.Site,
    "projects": models.Project,
    "users": models.User,
    "user_groups": models.UserGroup,
    "participant_groups": models.ParticipantGroup,
    "participants": models.Participant,
    "devices": models.Device,
    "services": models.Service,
    "sessions": models.Session,
    "simulations": models.Simulation,
}


async def count(ctx: Context, kind: str | None, key: UUID | None) -> Mapping[str, int]:
    """The number of visible rows of each model in a Site, in a Project or everywhere; 0 where a model belongs to no
    such place. One statement; NOT_FOUND for a place that the principal does not see."""
    profile = ctx.principal.profile
    if kind not in (None, "Site", "Project"):
        raise Invalid("counts are of a Site or a Project", field="scope")
    place_of = project_of if kind == "Project" else site_of
    place = sa.bindparam("scope", type_=models.Site.id.type)
    columns = []
    for name, model in COUNTED.items():
        entity = Alias(model)
        counted = sa.select(sa.func.count()).select_from(entity).where(visible(entity, profile))
        if kind is not None:
            belongs = place_of(model)
            counted = counted.where(sa.false() if belongs is None else belongs(entity, lambda column: column == place))
        columns.append(counted.scalar_subquery().label(name))
    statement = sa.select(*columns)
    if kind is not None:
        scope = Alias(models.Site if kind == "Site" else models.Project)
        statement = statement.select_from(scope).where(scope.id == place, visible(scope, profile))
    rows = await ctx.database.rows(statement, {**ctx.principal.parameters, "scope": key}, ctx.lane)
    if not rows:
        raise NotFound(f"no {kind} with this id", field="scope")
    return {name: getattr(rows[0], name) for name in COUNTED}
