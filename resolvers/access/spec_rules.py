"""Rules of what belongs to a spec."""

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from db import models
from db.aliases import Alias
from db.types import Key
from resolvers.access.acting import ACTS_FOR_OWNER
from resolvers.access.clauses import FALSE, Clause, any_of, some
from resolvers.access.rules import OWNER, PROJECT_USER, Rule
from resolvers.identity.principal import AccessProfile, Kind


def _by_token(entity: Any, profile: AccessProfile) -> Clause:
    """The token is its owner's, and for all their specs or for this one."""
    if profile.kind is not Kind.SPEC_TOKEN:
        return FALSE
    token = Alias(models.Credential)
    held = (token.id == sa.bindparam("me", type_=Key()), token.user_id == entity.user_id)
    return sa.exists().where(*held, sa.or_(token.spec_id.is_(None), token.spec_id == entity.id))


SPEC_TOKEN = Rule("whoever has a token of the spec", ("TK",), _by_token)
READERS = (OWNER, PROJECT_USER, SPEC_TOKEN, ACTS_FOR_OWNER)
"""Who reads a spec."""


def _of_spec(*rules: Rule) -> Callable[[Any, AccessProfile], Clause]:
    def clause(entity: Any, profile: AccessProfile) -> Clause:
        spec = Alias(models.Spec)
        may = any_of(*(rule.clause(spec, profile) for rule in rules))
        return FALSE if may is FALSE else some(spec, spec.id == entity.spec_id, may)

    return clause


def _of_readable_version(entity: Any, profile: AccessProfile) -> Clause:
    version, spec = Alias(models.SpecVersion), Alias(models.Spec)
    reads = any_of(*(rule.clause(spec, profile) for rule in READERS))
    both = sa.join(version, spec, spec.id == version.spec_id)
    live = (version.deleted_at.is_(None), spec.deleted_at.is_(None))
    return FALSE if reads is FALSE else some(both, version.id == entity.spec_version_id, *live, reads)


def _roles(rules: Sequence[Rule]) -> tuple[str, ...]:
    return tuple(role for rule in rules for role in rule.roles)


OWNER_OF_SPEC = Rule("the owner of the spec", OWNER.roles, _of_spec(OWNER))
ACTS_FOR_SPEC = Rule("services that act for the owner of the spec", ACTS_FOR_OWNER.roles, _of_spec(ACTS_FOR_OWNER))
SPEC_READER = Rule("whoever reads its spec", _roles(READERS), _of_readable_version)
"""Of a package."""
