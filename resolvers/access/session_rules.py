"""Rules of sessions: their types, members, events and assets."""

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from db import models
from db.aliases import Alias
from db.types import Key
from resolvers.access.administration import in_no_other_site
from resolvers.access.clauses import FALSE, Clause, any_of, me, some
from resolvers.access.places import Belongs, OneOf, in_linked_projects, in_linked_sites
from resolvers.access.rules import CREATOR, PROJECT_ADMIN, PROJECT_USER, Rule, owner
from resolvers.identity.principal import AccessProfile, Kind

_ME = sa.bindparam("me", type_=Key())


def _invited(column: str, kind: Kind) -> Callable[[Any, AccessProfile], Clause]:
    def clause(entity: Any, profile: AccessProfile) -> Clause:
        member = Alias(models.SessionMember)
        mine = me(getattr(member, column), profile, kind)
        if mine is FALSE:
            return FALSE
        return sa.exists().where(member.session_id == entity.id, member.deleted_at.is_(None), mine)

    return clause


def _made_by(column: str, kind: Kind, role: str) -> Rule:
    return owner(f"the {kind.value} that made it", column, kind, (role,))


def _limited(profile: AccessProfile) -> bool:
    """A participant with a static token."""
    return profile.kind is Kind.PARTICIPANT and not profile.full


def _open_to_tokens(project_id: Any) -> Clause:
    """The project lets participants with a static token make and read sessions of their own."""
    project = Alias(models.Project)
    return sa.exists().where(project.id == project_id, project.participant_sessions)


def _limited_maker(entity: Any, profile: AccessProfile) -> Clause:
    if not _limited(profile):
        return FALSE
    return sa.and_(entity.creator_participant_id == _ME, _open_to_tokens(entity.project_id))


def _limited_member(entity: Any, profile: AccessProfile) -> Clause:
    if not _limited(profile):
        return FALSE
    member = Alias(models.SessionMember)
    of_mine = sa.exists().where(
        member.session_id == entity.id, member.deleted_at.is_(None), member.participant_id == _ME
    )
    return sa.and_(of_mine, _open_to_tokens(entity.project_id))


def _of_service(type_id: Any, service_id: Any = None) -> Clause:
    """The service runs sessions of the type, or helps in them."""
    link, kind = Alias(models.SessionTypeService), Alias(models.SessionType)
    runs = sa.exists().where(kind.id == type_id, kind.service_id == _ME) if service_id is None else service_id == _ME
    return sa.or_(runs, sa.exists().where(link.session_type_id == type_id, link.service_id == _ME))


def _serves(entity: Any, profile: AccessProfile) -> Clause:
    here = in_linked_projects(entity, profile)
    return FALSE if here is FALSE else sa.and_(here, _of_service(entity.type_id))


def _type_of_service(entity: Any, profile: AccessProfile) -> Clause:
    if profile.kind is not Kind.SERVICE:
        return FALSE
    return _of_service(entity.id, entity.service_id)


def _type_of_participant(entity: Any, profile: AccessProfile) -> Clause:
    if profile.kind is not Kind.PARTICIPANT:
        return FALSE
    link, participant = Alias(models.SessionTypeProject), Alias(models.Participant)
    there = sa.join(link, participant, participant.project_id == link.project_id)
    allowed = () if profile.full else (_open_to_tokens(link.project_id),)
    return some(there, link.session_type_id == entity.id, participant.id == _ME, *allowed)


def _type_of_device(entity: Any, profile: AccessProfile) -> Clause:
    link, device = Alias(models.SessionTypeProject), Alias(models.ProjectDevice)
    mine = me(device.device_id, profile, Kind.DEVICE)
    if mine is FALSE:
        return FALSE
    return some(sa.join(link, device, device.project_id == link.project_id), link.session_type_id == entity.id, mine)


def in_sites_of_type(key: str) -> Belongs:
    """A type of sessions, or a row that refers to one by `key`, belongs to the sites that the type is in."""

    def through(entity: Any, held: OneOf) -> Clause:
        link = Alias(models.SessionTypeSite)
        return sa.exists().where(link.session_type_id == getattr(entity, key), held(link.site_id))

    return through


def _own_type_in(place: Callable[[Any, AccessProfile], Clause]) -> Callable[[Any, AccessProfile], Clause]:
    """A link of a type that the service runs, to a place where it works."""

    def clause(entity: Any, profile: AccessProfile) -> Clause:
        here, kind = place(entity, profile), Alias(models.SessionType)
        if here is FALSE:
            return FALSE
        return sa.and_(here, sa.exists().where(kind.id == entity.session_type_id, kind.service_id == _ME))

    return clause


def _runs_type_of(entity: Any, profile: AccessProfile) -> Clause:
    kind = Alias(models.SessionType)
    mine = me(kind.service_id, profile, Kind.SERVICE)
    return FALSE if mine is FALSE else sa.exists().where(kind.id == entity.session_type_id, mine)


def of_session(rules: Sequence[Rule]) -> Callable[[Any, AccessProfile], Clause]:
    """One of the rules holds for the session of the row."""

    def clause(entity: Any, profile: AccessProfile) -> Clause:
        session = Alias(models.Session)
        met = any_of(*(rule.clause(session, profile) for rule in rules))
        if met is FALSE:
            return FALSE
        return sa.exists().where(session.id == entity.session_id, session.deleted_at.is_(None), met)

    return clause


_SITES = (models.SessionTypeSite, "session_type_id")
TYPE_ADMIN = Rule("administrators of every site that the type is in", ("SA",), in_no_other_site("id", *_SITES))
TYPE_LINKER = Rule(
    "administrators of every site that the type is in", ("SA",), in_no_other_site("session_type_id", *_SITES)
)
TYPE_SERVICE = Rule("services that run its sessions or help in them", ("SV",), _type_of_service)
TYPE_PARTICIPANT = Rule(
    "participants of projects that have it (with a static token where the project lets them make sessions)",
    ("PT", "PL"),
    _type_of_participant,
)
TYPE_DEVICE = Rule("devices of projects that have it", ("DV",), _type_of_device)
TYPE_RUNNER = owner("the service that runs its sessions", "service_id", Kind.SERVICE, ("SV",))
RUNNER_OF_LINK = Rule("the service that runs its sessions", ("SV",), _runs_type_of)
RUNNER_IN_SITE = Rule("the service that runs its sessions, where it works", ("SV",), _own_type_in(in_linked_sites))
RUNNER_IN_PROJECT = Rule(
    "the service that runs its sessions, where it works", ("SV",), _own_type_in(in_linked_projects)
)

INVITED = Rule("invited users", ("OW",), _invited("user_id", Kind.USER))
INVITED_PARTICIPANT = Rule("participants in it", ("PT",), _invited("participant_id", Kind.PARTICIPANT))
INVITED_DEVICE = Rule("devices in it", ("DV",), _invited("device_id", Kind.DEVICE))
MADE_BY_PARTICIPANT = _made_by("creator_participant_id", Kind.PARTICIPANT, "PT")
MADE_BY_DEVICE = _made_by("creator_device_id", Kind.DEVICE, "DV")
MADE_BY_SERVICE = _made_by("creator_service_id", Kind.SERVICE, "SV")
MADE_WITH_TOKEN = Rule(
    "the participant that made it with a static token, where the project allows it", ("PL",), _limited_maker
)
TOKEN_PARTICIPANT = Rule(
    "participants in it with a static token, where the project allows it", ("PL",), _limited_member
)
SESSION_SERVICE = Rule("services of its type that work in the project", ("SV",), _serves)


def _checks(entity: Any, profile: AccessProfile) -> Clause:
    """The service checks assets of the project, where those wait for it."""
    here, service = in_linked_projects(entity, profile), Alias(models.Service)
    if here is FALSE:
        return FALSE
    return sa.and_(
        entity.purpose == models.FilePurpose.SESSION_ASSET,
        here,
        sa.exists().where(service.id == _ME, service.checks_assets),
    )


CHECKER = Rule("services that check assets, of its project", ("SV",), _checks)

APART = (
    CREATOR, INVITED, INVITED_PARTICIPANT, INVITED_DEVICE, MADE_BY_PARTICIPANT, MADE_BY_DEVICE, MADE_BY_SERVICE,
    MADE_WITH_TOKEN, TOKEN_PARTICIPANT, SESSION_SERVICE,
)  # fmt: skip
"""Who reads a session, besides users of its project."""
MAKERS = (
    PROJECT_USER, MADE_BY_PARTICIPANT, MADE_BY_DEVICE, MADE_WITH_TOKEN, SESSION_SERVICE,
)  # fmt: skip
"""Who makes a session."""
KEEPERS = (
    CREATOR, PROJECT_USER, MADE_BY_PARTICIPANT, MADE_BY_DEVICE, MADE_BY_SERVICE, MADE_WITH_TOKEN, SESSION_SERVICE,
)  # fmt: skip
"""Who changes a session: its words, its members, and how far it is."""
REPORTING = (CREATOR, PROJECT_USER, INVITED, INVITED_DEVICE, MADE_BY_DEVICE, MADE_BY_SERVICE, SESSION_SERVICE)
"""Who tells of what happens in a session."""
BRINGING = (
    CREATOR, PROJECT_ADMIN, INVITED_DEVICE, MADE_BY_PARTICIPANT, MADE_BY_DEVICE, MADE_BY_SERVICE, MADE_WITH_TOKEN,
    SESSION_SERVICE,
)  # fmt: skip
"""Who brings assets of a session."""

SESSION_READER = Rule("whoever reads its session", ("OW", "PT", "PL", "DV", "SV"), of_session(APART))
REPORTER = Rule(
    "the creator of the session, its users and devices, users of its project, services of its type",
    ("OW", "PU", "PA", "DV", "SV"),
    of_session(REPORTING),
)
EVENT_KEEPER = Rule(
    "the creator of the session, users of its project, services of its type",
    ("OW", "PU", "PA", "SV"),
    of_session((CREATOR, PROJECT_USER, MADE_BY_SERVICE, SESSION_SERVICE)),
)
EVENT_REMOVER = Rule(
    "the creator of the session, users of its project", ("OW", "PU", "PA"), of_session((CREATOR, PROJECT_USER))
)
