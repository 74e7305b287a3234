"""Every table, one module per area; the areas have the same names in `schema` and `resolvers`."""

from db.models.accounts import (
    Attempts,
    AuditEvent,
    AuthProvider,
    Credential,
    CredentialKind,
    PlatformRole,
    TwoFactor,
    User,
)
from db.models.base import Base, Entity, Erasable
from db.models.challenges import Challenge, Leaderboard, LeaderboardEntry
from db.models.jobs import TERMINAL, Job, JobKind, JobState, LogEntry, Platform, Task, TaskResult
from db.models.organisation import Membership, Project, ProjectRole, Site
from db.models.sessions import Session, SessionCategory, SessionEvent, SessionEventType, SessionStatus, SessionType
from db.models.simulations import Estimator, InputType, Page, Simulation, SimulationInput, SimulationType
from db.models.specs import Spec, SpecLanguage, SpecVersion

__all__ = [
    "TERMINAL",
    "Attempts",
    "AuditEvent",
    "AuthProvider",
    "Base",
    "Challenge",
    "Credential",
    "CredentialKind",
    "Entity",
    "Erasable",
    "Estimator",
    "InputType",
    "Job",
    "JobKind",
    "JobState",
    "Leaderboard",
    "LeaderboardEntry",
    "LogEntry",
    "Membership",
    "Page",
    "Platform",
    "PlatformRole",
    "Project",
    "ProjectRole",
    "Session",
    "SessionCategory",
    "SessionEvent",
    "SessionEventType",
    "SessionStatus",
    "SessionType",
    "Simulation",
    "SimulationInput",
    "SimulationType",
    "Site",
    "Spec",
    "SpecLanguage",
    "SpecVersion",
    "Task",
    "TaskResult",
    "TwoFactor",
    "User",
]
