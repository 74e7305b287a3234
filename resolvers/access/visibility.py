"""Which rows a principal may read. Every statement that selects a model adds `visible(...)`, so no path goes around
it."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa

from db import models
from db.aliases import Alias, Joined, Unknown, model_of
from resolvers.access import policies  # noqa: F401  (declares them)
from resolvers.access.clauses import FALSE, TRUE, Clause, all_of, any_of
from resolvers.access.policy import Rules, policy_of
from resolvers.access.rules import allowed, alternatives, needed, words
from resolvers.identity.principal import AccessProfile, Kind


def reading(model: type[models.Entity]) -> Rules:
    """The rules of who reads rows of `model`, besides superadmins."""
    policy = policy_of(model)
    return policy.read if policy.read or policy.parent is None else reading(policy.parent)


def readers(model: type[models.Entity]) -> str:
    """Who reads rows of `model`, in words."""
    return words(reading(model))


def alive(entity: Any) -> Clause:
    """The rows of `entity` that anybody may see at all: not deleted, and shown."""
    model = model_of(entity)
    policy = policy_of(model)
    live: Clause = entity.deleted_at.is_(None) if issubclass(model, models.Erasable) else TRUE
    return live if policy.shown is None else all_of(live, policy.shown(entity))


def visible(entity: Any, profile: AccessProfile, *, via: Any = None) -> Clause:
    """The rows of `entity` (a model or an alias of one) that a principal of this access profile may read.

    `via` is the relationship that leads to them, if any: children of a parent that was read as visible need not ask for
    the parent again.
    """
    model, live = model_of(entity), alive(entity)
    policy = policy_of(model)
    if via is not None and _entailed(profile, via):
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


def may_read(guard: Rules, entity: Any, profile: AccessProfile) -> Clause:
    """Whether a reader of the row may read a field with this guard."""
    return allowed(guard, entity, profile) if guard else TRUE


def _entailed(profile: AccessProfile, via: Any) -> bool:
    """Whether a user reads what this relationship leads to whenever they read a row that leads to it."""
    return profile.kind is Kind.USER and any(via is one for one in policy_of(via.class_).seen_with)


def ways(entity: Any, profile: AccessProfile) -> Sequence[Clause]:
    """The clauses any one of which shows a live row to a principal of this profile; none where there is another reason,
    or no reason."""
    policy = policy_of(model_of(entity))
    if policy.parent is not None or profile.superadmin:
        return ()
    return alternatives(policy.read, entity, profile)


def decided(
    model: type[models.Entity], profile: AccessProfile, via: Any, name: str, key: Any
) -> tuple[Clause, Callable[[Any], Clause]] | None:
    """The rules of who reads children of a parent, where some depend on the parent alone: the clause about it, and the
    clause of the others about a child. None where no rule is decided so.

    `name` is the column of a child that has the parent's `key`.
    """
    policy = policy_of(model)
    if policy.parent is not None or profile.superadmin or _entailed(profile, via):
        return None
    known, others = [], []
    for rule in needed(policy.read, model, profile):
        try:
            known.append(rule.clause(Joined(model, name, key), profile))
        except Unknown:
            others.append(rule)
    when = any_of(*known)
    if when is TRUE or when is FALSE:
        return None
    return when, lambda entity: any_of(*(rule.clause(entity, profile) for rule in others))


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
