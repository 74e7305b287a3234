"""Rules of services that act for the users of an identity provider: for their specs and keys."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from db import models
from db.aliases import Alias
from resolvers.access.clauses import FALSE, Clause
from resolvers.access.rules import Rule
from resolvers.identity.principal import AccessProfile


def _acts_for(column: str) -> Callable[[Any, AccessProfile], Clause]:
    """The column holds a user of the provider that the service acts for, who is no superadmin or manager."""

    def clause(entity: Any, profile: AccessProfile) -> Clause:
        if not profile.acts:
            return FALSE
        user = Alias(models.User)
        return sa.exists().where(
            user.id == getattr(entity, column),
            user.auth_provider == sa.bindparam("acts_for", type_=models.User.auth_provider.type),
            user.superadmin.is_(sa.false()),
            user.platform_role != models.PlatformRole.MANAGER,
            user.deleted_at.is_(None),
        )

    return clause


def _of_build(entity: Any, profile: AccessProfile) -> Clause:
    mine = _acts_for("owner_user_id")(entity, profile)
    return FALSE if mine is FALSE else sa.and_(entity.spec_version_id.is_not(None), mine)


ACTS_FOR_OWNER = Rule("services that act for the owner", (), _acts_for("user_id"))
ACTS_FOR_JOB = Rule("services that act for the owner, of a build", (), _of_build)
ACTS_FOR_USER = Rule("services that act for the user", (), _acts_for("id"))
