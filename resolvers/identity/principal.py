"""The principal: who is asking, with roles, scopes and duties, and the `AccessProfile` that decides its statements."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID

from db.keys import Keys
from db.models import AuthProvider
from resolvers.feed import principal_topic


class Kind(Enum):
    ANONYMOUS = "anonymous"
    USER = "user"
    PARTICIPANT = "participant"
    DEVICE = "device"
    SERVICE = "service"
    WORKER = "worker"
    LINK = "link"
    CHALLENGE_WORKER = "challenge worker"
    SPEC_TOKEN = "spec token"  # noqa: S105


WRITE = "write"
"""The scope of keys that may change something; every key may read."""


class Duty(Enum):
    """What a user must do before anything else."""

    VERIFY_EMAIL = "verify the e-mail address"
    CHANGE_PASSWORD = "change the password"  # noqa: S105
    SET_UP_TWO_FACTOR = "set up a second factor"


@dataclass(frozen=True, slots=True)
class TaskClaim:
    """The claim of a worker: one attempt of one task, which was handed over in a batch."""

    job_id: UUID
    ordinal: int
    attempt: int
    scopes: frozenset[str]
    batch: str = ""


class AccessProfile(NamedTuple):
    """What decides the text of a principal's statements; who exactly it is comes as parameters.

    `wide` tells that the principal sees much. `full` is false for a user with duties and for a participant with a
    static token. `settled` tells that nothing was written since the principal was looked up, so that statements may use
    what was read of others then: the groups with a role in its places.
    """

    kind: Kind
    full: bool
    superadmin: bool
    manager: bool
    in_projects: bool
    administers: bool
    in_sites: bool
    administers_sites: bool
    wide: bool
    settled: bool = False
    organises: bool = False
    in_teams: bool = False
    acts: bool = False


WIDE = 16
"""With more projects than these, most rows of a list are taken to be visible."""
GROUPED = 250
"""The most roles of groups that are read with a principal."""


def groups_of(parameter: str) -> str:
    """The name of the parameter with the groups that have a role in the places of `parameter`."""
    return f"groups_of_{parameter}"


@dataclass(frozen=True)
class Principal:
    """Who is asking, with rights.

    `id` is the key of the user, participant, device, service or link. `projects` and `sites` are those that the
    principal has a part in, each with whether it administers it. Roles are inherited: an administrator of a site
    administers its projects, and a role in a project makes one a user of its site.

    `organised` are the challenges that it organises: by their user groups, and by their sites.
    `teams` are those that a user has joined.

    `groups` are the roles of user groups in those sites: the group, the site, and the project if the role is in one of
    those; None when they are not known or too many.

    `session` is the family of the login session and `credential` the key of the presented credential. `scopes` bounds
    what an API key may do; with None it may do all that its owner may. `duties` must be done before anything else.
    `behind` has the keys of the rows that it also depends on: for a link, the simulation and the link's creator; for a
    token of specs, their owner; for what a service made for its user, that service. `acts_for` is the identity provider
    whose users a service acts for.
    """

    kind: Kind = Kind.ANONYMOUS
    id: UUID | None = None
    session: UUID | None = None
    credential: UUID | None = None
    scopes: frozenset[str] | None = None
    full: bool = True
    superadmin: bool = False
    manager: bool = False
    projects: Mapping[UUID, bool] = field(default_factory=dict)
    sites: Mapping[UUID, bool] = field(default_factory=dict)
    duties: frozenset[Duty] = frozenset()
    groups: frozenset[tuple[UUID, UUID, UUID | None]] | None = None
    organised: frozenset[UUID] = frozenset()
    teams: frozenset[UUID] = frozenset()
    task_claim: TaskClaim | None = None
    expires_at: datetime | None = None
    behind: tuple[UUID, ...] = ()
    acts_for: AuthProvider | None = None

    @cached_property
    def name(self) -> str:
        """The name in logs: the kind and the id, never a secret."""
        if self.task_claim is not None:
            return f"worker:{self.task_claim.job_id}/{self.task_claim.ordinal}#{self.task_claim.attempt}"
        return f"{self.kind.value}:{self.id}" if self.id else self.actor or self.kind.value

    @cached_property
    def actor(self) -> str | None:
        """The kind of principal for the audit record; None for anonymous."""
        if self.kind is Kind.USER and self.id is None:
            return "operator"
        return None if self.kind is Kind.ANONYMOUS else self.kind.value

    @cached_property
    def topics(self) -> tuple[str, ...]:
        """When any of these topics changes, the principal must be looked up anew."""
        return tuple(principal_topic(key) for key in (self.id, *self.behind))

    @cached_property
    def profile(self) -> AccessProfile:
        given = self.parameters
        return AccessProfile(
            kind=self.kind,
            full=self.full,
            superadmin=self.superadmin,
            manager=self.manager,
            in_projects=bool(given["projects"]),
            administers=bool(given["administered"]),
            in_sites=bool(given["sites"]),
            administers_sites=bool(given["administered_sites"]),
            wide=len(self.projects) > WIDE,
            organises=bool(given["organised"]),
            in_teams=bool(given["teams"]),
            acts=self.acts_for is not None,
        )

    @cached_property
    def settled(self) -> AccessProfile:
        """The profile for reads, until something is written."""
        return self.profile._replace(settled=self.groups is not None)

    @cached_property
    def parameters(self) -> Mapping[str, Any]:
        """The parameters that access rules ask for by name."""
        places = {
            "projects": Keys(self.projects),
            "administered": Keys(project for project, admin in self.projects.items() if admin),
            "sites": Keys(self.sites),
            "administered_sites": Keys(site for site, admin in self.sites.items() if admin),
        }
        given = {
            "me": self.id,
            "acts_for": self.acts_for,
            "organised": Keys(self.organised),
            "teams": Keys(self.teams),
            **places,
        }
        for name, keys in places.items() if self.groups is not None else ():
            place, held = (1 if name.endswith("sites") else 2), frozenset(keys)
            given[groups_of(name)] = Keys({role[0] for role in self.groups or () if role[place] in held})
        return given


ANONYMOUS = Principal()
OPERATOR = Principal(kind=Kind.USER, superadmin=True)
"""The operator, who may run commands on the gateway's machine. It is no user, so it has no account of its own to
change."""
