"""Who is asking, and what that alone allows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID

from db.keys import Keys
from resolvers.feed import principal_topic


class Kind(Enum):
    ANONYMOUS = "anonymous"
    USER = "user"
    PARTICIPANT = "participant"
    DEVICE = "device"
    SERVICE = "service"
    WORKER = "worker"
    LINK = "link"


class Duty(Enum):
    """What a user must do before anything else."""

    VERIFY_EMAIL = "verify the e-mail address"
    CHANGE_PASSWORD = "change the password"  # noqa: S105
    SET_UP_TWO_FACTOR = "set up a second factor"


@dataclass(frozen=True, slots=True)
class TaskClaim:
    """What a worker was sent to do: one attempt of one task, which was handed over in a batch."""

    job_id: UUID
    ordinal: int
    attempt: int
    scopes: frozenset[str]
    batch: str = ""


class AccessProfile(NamedTuple):
    """What decides the text of a principal's statements; who exactly it is comes as parameters.

    `wide` tells that it sees much. `full` is false for a user with duties and for a participant with a static token.
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


WIDE = 16
"""With more projects than these, lists are taken to consist of visible rows for the most part."""


@dataclass(frozen=True)
class Principal:
    """`id` is the key of the user, participant, device, service or link. `projects` and `sites` map each that it has a
    part in to whether it administers that, after inheritance: who administers a site administers its projects, and who
    has a role in a project is a user of its site.

    `session` is the family of the login session and `credential` the key of what was presented; `scopes` bounds what an
    API key may do, None: everything its owner may. `duties` come before anything else. `behind` has the keys of what
    else it stands on: of a link, its simulation and who made it.
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
    task_claim: TaskClaim | None = None
    expires_at: datetime | None = None
    behind: tuple[UUID, ...] = ()

    @cached_property
    def name(self) -> str:
        """For logs: the kind and the id, never a secret."""
        if self.task_claim is not None:
            return f"worker:{self.task_claim.job_id}/{self.task_claim.ordinal}#{self.task_claim.attempt}"
        return f"{self.kind.value}:{self.id}" if self.id else self.actor or self.kind.value

    @cached_property
    def actor(self) -> str | None:
        """What kind of principal it is, for the record; None for anonymous."""
        if self.kind is Kind.USER and self.id is None:
            return "operator"
        return None if self.kind is Kind.ANONYMOUS else self.kind.value

    @cached_property
    def topics(self) -> tuple[str, ...]:
        """With a change of any of these, it is to be looked up anew."""
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
        )

    @cached_property
    def parameters(self) -> Mapping[str, Any]:
        """The values that the clauses of `access` ask for by name."""
        return {
            "me": self.id,
            "projects": Keys(self.projects),
            "administered": Keys(project for project, admin in self.projects.items() if admin),
            "sites": Keys(self.sites),
            "administered_sites": Keys(site for site, admin in self.sites.items() if admin),
        }


ANONYMOUS = Principal()
OPERATOR = Principal(kind=Kind.USER, superadmin=True)
"""Whoever may run commands on the gateway's machine: no user, so what is done to one's own account is not for them."""
