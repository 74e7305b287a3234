"""Rules of what belongs to a spec."""

from typing import Any

import sqlalchemy as sa

from db import models
from db.aliases import Alias
from resolvers.access.clauses import FALSE, Clause, any_of, some
from resolvers.access.rules import OWNER, PROJECT_USER, Rule
from resolvers.identity.principal import AccessProfile


def _of_own_spec(entity: Any, profile: AccessProfile) -> Clause:
    spec = Alias(models.Spec)
    mine = OWNER.clause(spec, profile)
    return FALSE if mine is FALSE else some(spec, spec.id == entity.spec_id, mine)


def _of_readable_version(entity: Any, profile: AccessProfile) -> Clause:
    version, spec = Alias(models.SpecVersion), Alias(models.Spec)
    reads = any_of(*(rule.clause(spec, profile) for rule in (OWNER, PROJECT_USER)))
    both = sa.join(version, spec, spec.id == version.spec_id)
    live = (version.deleted_at.is_(None), spec.deleted_at.is_(None))
    return FALSE if reads is FALSE else some(both, version.id == entity.spec_version_id, *live, reads)


OWNER_OF_SPEC = Rule("the owner of the spec", ("OW",), _of_own_spec)
SPEC_READER = Rule("whoever reads its spec", ("OW", *PROJECT_USER.roles), _of_readable_version)
"""Of a package."""
