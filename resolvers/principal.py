"""Who is asking, and what that alone allows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID

from db.models import ProjectRole


class Kind(Enum):
    ANONYMOUS = "anonymous"
    USER = "user"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class Errand:
    """What a worker was sent to do: one attempt of one task."""

    job_id: UUID
    ordinal: int
    attempt: int
    scopes: frozenset[str]


class Standing(NamedTuple):
    """What decides the text of a principal's statements; who exactly it is comes as parameters."""

    kind: Kind
    superadmin: bool
    in_projects: bool
    administers: bool


@dataclass(frozen=True)
class Principal:
    """`id` is the user's; `session` the family of the login session; `projects` maps each project to the role in it."""

    kind: Kind = Kind.ANONYMOUS
    id: UUID | None = None
    session: UUID | None = None
    superadmin: bool = False
    projects: Mapping[UUID, ProjectRole] = field(default_factory=dict)
    errand: Errand | None = None
    expires_at: datetime | None = None

    @cached_property
    def name(self) -> str:
        """For logs: the kind and the id, never a secret."""
        if self.errand is not None:
            return f"worker:{self.errand.job_id}/{self.errand.ordinal}#{self.errand.attempt}"
        return f"{self.kind.value}:{self.id}" if self.id else self.kind.value

    @cached_property
    def standing(self) -> Standing:
        return Standing(self.kind, self.superadmin, bool(self.projects), bool(self.parameters["administered"]))

    @cached_property
    def parameters(self) -> Mapping[str, Any]:
        """The values that the clauses of `access` ask for by name."""
        administered = [project for project, role in self.projects.items() if role is ProjectRole.ADMIN]
        return {"me": self.id, "projects": list(self.projects), "administered": administered}


ANONYMOUS = Principal()
