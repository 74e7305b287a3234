"""Who may see which rows and which fields of them. Each rule stands here once.

Clauses depend on a principal's standing; who it is comes as the parameters `me`, `projects` and `administered`.

Whatever selects a model adds `visible(...)`, so that no path to a row goes around it. A guarded field names the rules
of which one must hold; they become SQL beside the field, so that a value that may not be seen never leaves the
database.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from db import models
from db.keys import among
from db.types import Key
from resolvers.principal import Kind, Standing

Clause = sa.ColumnElement[bool]

TRUE: Clause = sa.true()
FALSE: Clause = sa.false()


def _mine(key: Any, standing: Standing) -> Clause:
    return key == sa.bindparam("me", type_=Key()) if standing.kind is Kind.USER else FALSE


def _in_projects(key: Any, standing: Standing) -> Clause:
    return among(key, "projects") if standing.in_projects else FALSE


# Rows ---------------------------------------------------------------------------------------------------------------


def _everyone(entity: Any, standing: Standing) -> Clause:
    return TRUE


def _signed_in(entity: Any, standing: Standing) -> Clause:
    return TRUE if standing.kind is Kind.USER else FALSE


def _own(entity: Any, standing: Standing) -> Clause:
    return _mine(entity.user_id, standing)


def _project(entity: Any, standing: Standing) -> Clause:
    return _in_projects(entity.id, standing)


def _site(entity: Any, standing: Standing) -> Clause:
    project = aliased(models.Project)
    held = sa.exists().where(project.site_id == entity.id, _in_projects(project.id, standing))
    return held if standing.in_projects else FALSE


def _membership(entity: Any, standing: Standing) -> Clause:
    return sa.or_(_own(entity, standing), _in_projects(entity.project_id, standing))


def _session(entity: Any, standing: Standing) -> Clause:
    return sa.or_(_mine(entity.creator_id, standing), _in_projects(entity.project_id, standing))


def _simulation(entity: Any, standing: Standing) -> Clause:
    return sa.or_(_own(entity, standing), _in_projects(entity.project_id, standing))


def _audit(entity: Any, standing: Standing) -> Clause:
    return _mine(entity.actor_id, standing)


ROWS: dict[type[models.Entity], tuple[str, Callable[[Any, Standing], Clause]]] = {
    models.User: ("any signed-in user", _signed_in),
    models.Site: ("members of one of its projects", _site),
    models.Project: ("its members", _project),
    models.Membership: ("the member, and members of the project", _membership),
    models.SessionType: ("any signed-in user", _signed_in),
    models.Session: ("its creator, and members of its project", _session),
    models.Challenge: ("everyone", _everyone),
    models.Leaderboard: ("everyone", _everyone),
    models.LeaderboardEntry: ("everyone", _everyone),
    models.Spec: ("its owner", _own),
    models.Simulation: ("its owner, and members of its project", _simulation),
    models.AuditEvent: ("who did it", _audit),
}
"""Per model: who sees a row, in words and as SQL. Superadmins see every row of each."""

THROUGH: dict[type[models.Entity], Any] = {
    models.SessionEvent: models.SessionEvent.session,
    models.SpecVersion: models.SpecVersion.spec,
    models.SimulationInput: models.SimulationInput.simulation,
    models.Estimator: models.Estimator.simulation,
    models.Page: models.Page.estimator,
    models.Job: models.Job.simulation,
    models.Task: models.Task.job,
    models.LogEntry: models.LogEntry.job,
}
"""Per model: the parent whose readers see its rows."""


def _log(entity: Any, standing: Standing) -> Clause:
    job, simulation = aliased(models.Job), aliased(models.Simulation)
    rules = [_mine(job.owner_user_id, standing)]
    if standing.administers:
        administered = among(simulation.project_id, "administered")
        rules.append(sa.exists().where(simulation.id == job.simulation_id, administered))
    return sa.exists().where(job.id == entity.job_id, sa.or_(*rules))


NARROWED: dict[type[models.Entity], tuple[str, Callable[[Any, Standing], Clause]]] = {
    models.LogEntry: ("the owner of the job, and administrators of its project", _log),
}
"""Per model: who of its parent's readers sees its rows, where that is not all of them."""


ENTAILED = {models.Project.memberships, models.Project.sessions, models.Project.simulations}
"""Relationships from a parent whose readers see all that it leads to, by the rules above."""


def readers(model: type[models.Entity]) -> str:
    """Who sees rows of `model`, in words."""
    if model in NARROWED:
        return NARROWED[model][0]
    if (through := THROUGH.get(model)) is not None:
        return readers(through.property.mapper.class_)
    return ROWS[model][0]


def visible(entity: Any, standing: Standing, *, via: Any = None) -> Clause:
    """The rows of `entity` (a model or an alias of one) that a principal of this standing may see.

    `via` is the relationship by which they are reached, if any: children of a parent that was read as visible need
    not ask for the parent again.
    """
    model: type[models.Entity] = sa.inspect(entity).mapper.class_
    live = entity.deleted_at.is_(None) if issubclass(model, models.Erasable) else TRUE
    if via is not None and via in ENTAILED:
        return live
    if model in NARROWED and not standing.superadmin:
        live = sa.and_(live, NARROWED[model][1](entity, standing))
    if (through := THROUGH.get(model)) is not None:
        if via is not None and via.property in through.property._reverse_property:
            return live
        if standing.superadmin and not _erasable_above(model):
            return live
        parent = aliased(through.property.mapper.class_)
        (local, remote) = through.property.local_remote_pairs[0]
        held = sa.exists().where(getattr(parent, remote.key) == getattr(entity, local.key), visible(parent, standing))
        return sa.and_(live, held)
    return live if standing.superadmin else sa.and_(live, ROWS[model][1](entity, standing))


@cache
def _erasable_above(model: type[models.Entity]) -> bool:
    """Whether a row of `model` disappears when something above it is deleted."""
    while (through := THROUGH.get(model)) is not None:
        model = through.property.mapper.class_
        if issubclass(model, models.Erasable):
            return True
    return False


# Fields -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to be allowed to read a field: in words, and as SQL over the row."""

    words: str
    clause: Callable[[Any, Standing], Clause]


def _self(entity: Any, standing: Standing) -> Clause:
    return _mine(entity.id, standing)


def _shares(entity: Any, projects: str) -> Clause:
    membership = aliased(models.Membership)
    return sa.exists().where(membership.user_id == entity.id, among(membership.project_id, projects))


def _of_simulation(entity: Any, standing: Standing) -> Clause:
    simulation = aliased(models.Simulation)
    return sa.exists().where(simulation.id == entity.simulation_id, _own(simulation, standing))


def _of_task(entity: Any, standing: Standing) -> Clause:
    job = aliased(models.Job)
    return sa.exists().where(job.id == entity.job_id, _mine(job.owner_user_id, standing))


SUPERADMIN = Rule("superadmins", lambda _, standing: TRUE if standing.superadmin else FALSE)
SELF = Rule("the user", _self)
OWNER = Rule("the owner", _own)
OWNER_OF_JOB = Rule("the owner", lambda entity, standing: _mine(entity.owner_user_id, standing))
OWNER_OF_TASK = Rule("the owner", _of_task)
OWNER_OF_SIMULATION = Rule("the owner of the simulation", _of_simulation)
SHARES_PROJECT = Rule("users who share a project", lambda e, s: _shares(e, "projects") if s.in_projects else FALSE)
ADMINISTERS_USER = Rule(
    "administrators of a shared project", lambda e, s: _shares(e, "administered") if s.administers else FALSE
)
PROJECT_MEMBER = Rule("members of the project", lambda e, s: _in_projects(e.project_id, s))
CREATOR = Rule("the creator", lambda entity, standing: _mine(entity.creator_id, standing))
ANY_USER = Rule("any signed-in user", _signed_in)
ACTOR = Rule("who did it", _audit)
IN_A_PROJECT = Rule("members of any project", lambda _, standing: TRUE if standing.in_projects else FALSE)


def allowed(rules: Sequence[Rule], entity: Any, standing: Standing) -> Clause:
    """Whether a principal of this standing may read a field of `entity` that needs one of `rules`."""
    if standing.superadmin and SUPERADMIN in rules:
        return TRUE
    return sa.or_(*(rule.clause(entity, standing) for rule in rules))
