"""Which rows a principal may read. Every statement that selects a model adds `visible(...)`, so no path goes around
it."""

from functools import cache
from typing import Any

import sqlalchemy as sa

from db import models
from db.aliases import Alias, model_of
from resolvers.access import policies  # noqa: F401  (declares them)
from resolvers.access.clauses import FALSE, TRUE, Clause, all_of
from resolvers.access.policy import Rules, policy_of
from resolvers.access.rules import allowed, words
from resolvers.identity.principal import AccessProfile, Kind


def reading(model: type[models.Entity]) -> Rules:
    """The rules of who reads rows of `model`, besides superadmins."""
    policy = policy_of(model)
    return policy.read if policy.read or policy.parent is None else reading(policy.parent)


def readers(model: type[models.Entity]) -> str:
    """Who reads rows of `model`, in words."""
    return words(reading(model))


def visible(entity: Any, profile: AccessProfile, *, via: Any = None) -> Clause:
    """The rows of `entity` (a model or an alias of one) that a principal of this access profile may read.

    `via` is the relationship that leads to them, if any: children of a parent that was read as visible need not ask for
    the parent again.
    """
    model = model_of(entity)
    policy = policy_of(model)
    live: Clause = entity.deleted_at.is_(None) if issubclass(model, models.Erasable) else TRUE
    if policy.shown is not None:
        live = all_of(live, policy.shown(entity))
    if via is not None and profile.kind is Kind.USER and any(via is one for one in policy_of(via.class_).seen_with):
        return live
    if policy.parent is None:
        return live if profile.superadmin else all_of(live, allowed(policy.read, entity, profile))
    if policy.read and not profile.superadmin:
        live = all_of(live, allowed(policy.read, entity, profile))
    if via is not None and via.property in policy.through.property._reverse_property:
        return live
    if profile.superadmin and not _erasable_above(model):
        return live
    parent = Alias(policy.parent)
    (local, remote) = policy.through.property.local_remote_pairs[0]
    held = sa.exists().where(getattr(parent, remote.key) == getattr(entity, local.key), visible(parent, profile))
    return all_of(live, held)


@cache
def sees_part(model: type[models.Entity], profile: AccessProfile) -> bool:
    """Whether a principal of this profile reads only some rows of `model`, and presumably few. The cost of its lists
    must not grow with the rows of others."""
    if profile.superadmin or profile.wide:
        return False
    owner = model
    while (parent := policy_of(owner).parent) is not None:
        owner = parent
    seen = allowed(policy_of(owner).read, Alias(owner), profile)
    return seen is not TRUE and seen is not FALSE


@cache
def _erasable_above(model: type[models.Entity]) -> bool:
    """Whether a row of `model` disappears when a parent of it is deleted."""
    while (parent := policy_of(model).parent) is not None:
        model = parent
        if issubclass(model, models.Erasable):
            return True
    return False
