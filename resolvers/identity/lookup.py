"""Whose the presented credentials are, kept for a few seconds and forgotten when something about it changes."""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import Database
from db.models import (
    ADMIN,
    CORE,
    AuthProvider,
    Credential,
    CredentialKind,
    Device,
    Participant,
    PlatformRole,
    Project,
    ProjectService,
    Role,
    RoleGrant,
    Service,
    Simulation,
    SimulationLink,
    Site,
    SiteService,
    TwoFactor,
    User,
    UserGroup,
    UserGroupMember,
)
from db.texts import joined, listed
from db.types import now
from resolvers.failures import Conflict, NotFound, Unauthenticated
from resolvers.feed import RIGHTS
from resolvers.identity.oidc import External
from resolvers.identity.principal import Duty, Kind, Principal
from resolvers.identity.tokens import Fetch, Secret, Session

KEPT = 5.0
"""Seconds, for changes that are made past the gateway."""
UNHEARD = 2.5
"""The same on SQLite, where nothing is heard of what the command line does."""
MOST = 10_000

Said = Session | Secret | External | Fetch

_CREDENTIAL: tuple[Any, ...] = (
    Credential.id.label("credential"),
    Credential.scopes,
    Credential.expires_at,
    Credential.public_key,
)
_LIVE: Any = sa.and_(
    Credential.revoked_at.is_(None), sa.or_(Credential.expires_at.is_(None), Credential.expires_at > now())
)
_PRESENTED: Mapping[type, Any] = {
    Session: sa.and_(
        Credential.kind == CredentialKind.LOGIN_SESSION,
        Credential.family == sa.bindparam("family", type_=User.id.type),
        _LIVE,
    ),
    Secret: sa.and_(
        Credential.kind.in_((CredentialKind.API_KEY, CredentialKind.STATIC_TOKEN)),
        Credential.secret_hash == sa.bindparam("digest"),
        _LIVE,
    ),
}


def _users(chosen: Any) -> Any:
    """Users by a SELECT of them, with the `places` that they have a role in, after inheritance."""
    who = chosen.cte("who")
    granted = (
        sa.select(Role.site_id, Role.project_id, (Role.name == ADMIN).label("admin"))
        .select_from(who)
        .join(UserGroupMember, UserGroupMember.user_id == who.c.id)
        .join(UserGroup, sa.and_(UserGroup.id == UserGroupMember.user_group_id, UserGroup.deleted_at.is_(None)))
        .join(RoleGrant, sa.and_(RoleGrant.user_group_id == UserGroup.id, RoleGrant.deleted_at.is_(None)))
        .join(Role, sa.and_(Role.id == RoleGrant.role_id, Role.service_id == CORE))
        .cte("granted")
    )
    place: tuple[Any, ...] = (Site.id.label("site_id"), granted.c.admin, Site.two_factor_required)
    live = sa.and_(Site.deleted_at.is_(None), Project.deleted_at.is_(None))
    in_site = (
        sa.select(*place, sa.cast(sa.null(), Project.id.type).label("project_id"))
        .join(granted, granted.c.site_id == Site.id)
        .where(Site.deleted_at.is_(None))
    )
    in_project = (
        sa.select(*place, Project.id.label("project_id"))
        .join(Project, Project.site_id == Site.id)
        .join(granted, granted.c.project_id == Project.id)
        .where(live)
    )
    inherited = (
        sa.select(*place, Project.id.label("project_id"))
        .join(Project, Project.site_id == Site.id)
        .join(granted, sa.and_(granted.c.site_id == Site.id, granted.c.admin))
        .where(live)
    )
    held = sa.union_all(in_site, in_project, inherited).subquery("held")
    admin = sa.case((held.c.admin, _ADMIN), else_=_PLAIN)
    required = sa.func.max(sa.case((held.c.two_factor_required, 1), else_=0))
    found = sa.select(_places(admin, held).label("places"), required.label("two_factor_required")).subquery("found")
    return sa.select(*who.c, *found.c).select_from(who).join(found, sa.true())


_ADMIN, _PLAIN = sa.literal_column("'a'", sa.Text()), sa.literal_column("'u'", sa.Text())


def _places(admin: Any, held: Any) -> Any:
    """One text for all: rows would cost more to read than to find."""
    project = sa.func.coalesce(sa.cast(held.c.project_id, sa.Text()), sa.literal_column("''"))
    return listed(joined([admin, sa.cast(held.c.site_id, sa.Text()), project]))


def _read(places: str | None) -> tuple[dict[UUID, bool], dict[UUID, bool]]:
    """The sites and the projects, and whether each is administered."""
    sites: dict[str, bool] = {}
    projects: dict[str, bool] = {}
    for place in places.split(",") if places else ():
        admin, site, project = place[0] == "a", place[1:37], place[37:]
        if project:
            projects[project] = admin or projects.get(project, False)
            sites.setdefault(site, False)
        else:
            sites[site] = admin or sites.get(site, False)
    return {UUID(key): admin for key, admin in sites.items()}, {UUID(key): admin for key, admin in projects.items()}


_USER: Any = sa.select(
    User.id,
    User.auth_provider,
    User.email,
    User.email_verified,
    User.superadmin,
    User.platform_role,
    User.two_factor,
    User.force_password_change,
).where(User.active, User.deleted_at.is_(None))


def _owned(columns: Any, owner: Any, said: type) -> Any:
    """Those of `columns` to whom the presented credential belongs."""
    return columns.add_columns(*_CREDENTIAL).join(Credential, owner).where(_PRESENTED[said])


_PARTICIPANT: Any = (
    sa.select(Participant.id)
    .join(Project, Project.id == Participant.project_id)
    .where(Participant.enabled, Participant.deleted_at.is_(None), Project.enabled, Project.deleted_at.is_(None))
)
_DEVICE: Any = sa.select(Device.id).where(Device.enabled, Device.deleted_at.is_(None))
_SERVICE: Any = sa.select(Service.id).where(Service.enabled, Service.deleted_at.is_(None))


def _services(chosen: Any) -> Any:
    """Services by a SELECT of them, with the `places` that they are linked to."""
    who = chosen.cte("who")
    sites = (
        sa.select(Site.id.label("site_id"), sa.cast(sa.null(), Project.id.type).label("project_id"))
        .join(SiteService, SiteService.site_id == Site.id)
        .join(who, who.c.id == SiteService.service_id)
        .where(Site.deleted_at.is_(None))
    )
    projects = (
        sa.select(Project.site_id, Project.id)
        .join(ProjectService, ProjectService.project_id == Project.id)
        .join(who, who.c.id == ProjectService.service_id)
        .where(Project.deleted_at.is_(None))
    )
    held = sa.union_all(sites, projects).subquery("held")
    found = sa.select(_places(_PLAIN, held).label("places")).subquery("found")
    return sa.select(*who.c, *found.c).select_from(who).join(found, sa.true())


_LINK: Any = (
    sa.select(
        SimulationLink.id,
        SimulationLink.id.label("credential"),
        sa.null().label("scopes"),
        SimulationLink.expires_at,
        sa.null().label("public_key"),
        SimulationLink.simulation_id,
        SimulationLink.user_id,
    )
    .join(Simulation, Simulation.id == SimulationLink.simulation_id)
    .join(User, User.id == SimulationLink.user_id)
    .where(
        SimulationLink.expires_at > now(),
        Simulation.deleted_at.is_(None),
        User.active,
        User.deleted_at.is_(None),
    )
)
_OWNER: Any = sa.bindparam("owner", type_=User.id.type)
_MADE_WITH: Any = sa.bindparam("credential", type_=User.id.type)
"""What a ticket was made with; null for an identity of elsewhere."""

_STATEMENTS: Mapping[tuple[Kind, type], Any] = {
    (Kind.USER, Session): _users(_owned(_USER, Credential.user_id == User.id, Session)),
    (Kind.USER, Secret): _users(_owned(_USER, Credential.user_id == User.id, Secret)),
    (Kind.USER, External): _users(
        _USER.where(
            User.auth_provider == sa.bindparam("provider", type_=User.auth_provider.type),
            User.external_subject == sa.bindparam("subject"),
        )
    ),
    (Kind.PARTICIPANT, Session): _owned(
        _PARTICIPANT.where(Participant.login_enabled), Credential.participant_id == Participant.id, Session
    ),
    (Kind.PARTICIPANT, Secret): _owned(
        _PARTICIPANT.where(Participant.token_enabled), Credential.participant_id == Participant.id, Secret
    ),
    (Kind.DEVICE, Secret): _owned(_DEVICE, Credential.device_id == Device.id, Secret),
    (Kind.SERVICE, Secret): _services(_owned(_SERVICE, Credential.service_id == Service.id, Secret)),
    (Kind.LINK, Secret): _LINK.where(SimulationLink.secret_hash == sa.bindparam("digest")),
    (Kind.LINK, Fetch): _LINK.where(SimulationLink.id == _OWNER),
    (Kind.USER, Fetch): _users(
        _USER.where(
            User.id == _OWNER,
            sa.or_(
                _MADE_WITH.is_(None),
                sa.exists().where(
                    sa.or_(Credential.id == _MADE_WITH, Credential.family == _MADE_WITH),
                    Credential.user_id == User.id,
                    _LIVE,
                ),
            ),
        )
    ),
}
"""Per kind of principal and of what it presents: one statement for all there is to know."""


async def principal_named(database: Database, username: str) -> Principal:
    """The user of this name, with roles, as if signed in; NOT_FOUND for none. Of several whom different providers call
    so, the local one."""
    named = sa.select(User.id).where(User.username == username.lower(), User.deleted_at.is_(None))
    local = named.where(User.auth_provider == AuthProvider.LOCAL)
    known = await database.rows(local) or await database.rows(named)
    if len(known) > 1:
        raise Conflict(f"several users are called {username}, each by another provider")
    rows = await database.rows(_users(_USER.where(User.id == known[0].id))) if known else []
    if not rows:
        raise NotFound(f"no user is called {username}")
    return _user(rows)


def _user(rows: Sequence[Any], **more: Any) -> Principal:
    sites, projects = _read(rows[0].places)
    user = rows[0]
    duties = set()
    if user.auth_provider is AuthProvider.LOCAL:
        if user.email is not None and not user.email_verified:
            duties.add(Duty.VERIFY_EMAIL)
        if user.force_password_change:
            duties.add(Duty.CHANGE_PASSWORD)
        if user.two_factor is TwoFactor.NONE and user.two_factor_required:
            duties.add(Duty.SET_UP_TWO_FACTOR)
    return Principal(
        kind=Kind.USER,
        id=user.id,
        full=not duties,
        superadmin=user.superadmin and not duties,
        manager=user.platform_role is PlatformRole.MANAGER and not duties,
        sites={} if duties else sites,
        projects={} if duties else projects,
        duties=frozenset(duties),
        **more,
    )


def _service(rows: Sequence[Any], **more: Any) -> Principal:
    sites, projects = _read(rows[0].places)
    return Principal(kind=Kind.SERVICE, id=rows[0].id, sites=sites, projects=projects, **more)


async def two_factor_required(session: AsyncSession, user: UUID) -> bool:
    """Whether a site that the user has a part in wants a second factor."""
    rows = await session.execute(_users(_USER.where(User.id == user)))
    return any(row.two_factor_required for row in rows.all())


async def principal_of(source: Database | AsyncSession, said: Said) -> Principal:
    """Whose a login session, key, token or identity elsewhere is that still stands, with all rights; one statement.

    Inside of a transaction it sees what that has done.
    """
    statement = _STATEMENTS.get((said.kind, type(said)))
    rows: Sequence[Any] = []
    if statement is not None and isinstance(source, Database):
        rows = await source.rows(statement, _given(said))
    elif statement is not None and isinstance(source, AsyncSession):
        rows = (await source.execute(statement, _given(said))).all()
    if not rows or (isinstance(said, Secret) and said.public_key not in (None, rows[0].public_key)):
        raise Unauthenticated(_WHY_NOT[type(said)])
    row = rows[0]
    if said.kind is Kind.LINK:
        return Principal(
            kind=Kind.LINK, id=row.id, behind=(row.simulation_id, row.user_id), credential=row.credential,
            expires_at=row.expires_at,
        )  # fmt: skip
    if isinstance(said, External | Fetch):
        return _user(rows, expires_at=said.expires_at)
    more: dict[str, Any] = {"credential": row.credential}
    if isinstance(said, Session):
        more |= {"session": said.family, "expires_at": said.expires_at}
    else:
        more |= {"expires_at": row.expires_at, "scopes": None if row.scopes is None else frozenset(row.scopes)}
    if said.kind is Kind.USER:
        return _user(rows, **more)
    if said.kind is Kind.SERVICE:
        return _service(rows, **more)
    return Principal(kind=said.kind, id=row.id, full=said.kind is Kind.DEVICE or isinstance(said, Session), **more)


_WHY_NOT: Mapping[type, str] = {
    Session: "the login session has ended; sign in again",
    Secret: "the key or token is not valid",
    Fetch: "the ticket is no longer valid; ask for another",
    External: "no active user of this gateway is linked with this identity; sign in through the browser first",
}


def _given(said: Said) -> dict[str, Any]:
    """The parameters of the statement."""
    if isinstance(said, Session):
        return {"family": said.family}
    if isinstance(said, Secret):
        return {"digest": said.digest}
    if isinstance(said, Fetch):
        return {"owner": said.owner, "credential": said.credential}
    return {"provider": said.provider, "subject": said.subject}


def _over(principal: Principal) -> bool:
    return principal.expires_at is not None and principal.expires_at <= datetime.now(UTC)


class Principals:
    """Forgets a principal when any process commits a change of the topic `principal:<key>`, and all when rights
    changed, or when some changes were missed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[Said, tuple[Principal, float]] = {}
        self._changes = 0
        self._kept = UNHEARD if database.dialect == "sqlite" else KEPT
        database.listen(self._changed, self._missed)

    async def of(self, said: Said) -> Principal:
        """The principal of what was presented; UNAUTHENTICATED when that holds no more."""
        known = self._known.get(said)
        if known is not None and known[1] > time.monotonic() and not _over(known[0]):
            return known[0]
        changes = self._changes
        principal = await principal_of(self._database, said)
        if changes == self._changes:  # else it may be older than what we were told to forget
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[said] = (principal, time.monotonic() + self._kept)
        return principal

    def _changed(self, topics: Iterable[str]) -> None:
        told = set(topics)
        if RIGHTS in told:
            self._missed()
        elif concerned := {topic for topic in told if topic.startswith("principal:")}:
            self._changes += 1
            for said in [s for s, (p, _) in self._known.items() if concerned.intersection(p.topics)]:
                del self._known[said]

    def _missed(self) -> None:
        self._changes += 1
        self._known.clear()
