"""Find the principal of a presented credential. It is cached for a few seconds, and dropped when its rights change."""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import Database
from db.keys import key_from
from db.models import (
    AuthProvider,
    PlatformRole,
    TwoFactor,
    User,
)
from resolvers.failures import Conflict, NotFound, Unauthenticated
from resolvers.feed import RIGHTS
from resolvers.identity.place_queries import users
from resolvers.identity.places_held import groups_there, places_of
from resolvers.identity.principal import Duty, Kind, Principal
from resolvers.identity.principal_queries import STATEMENTS, USER, Presented
from resolvers.identity.providers import External
from resolvers.identity.tokens import Fetch, Secret, Session

KEPT = 5.0
"""Seconds for which a principal is cached, for changes that are made without the gateway."""
UNHEARD = 2.5
"""The same on SQLite, where a process does not hear of the command line's changes."""
MOST = 10_000


async def principal_named(database: Database, username: str) -> Principal:
    """The user of this name with roles, as if signed in; NOT_FOUND for none. When users of several providers have this
    name, the local one."""
    named = sa.select(User.id).where(User.username == username.lower(), User.deleted_at.is_(None))
    local = named.where(User.auth_provider == AuthProvider.LOCAL)
    known = await database.rows(local) or await database.rows(named)
    if len(known) > 1:
        raise Conflict(f"several users are called {username}, each by another provider")
    rows = await database.rows(users(USER.where(User.id == known[0].id))) if known else []
    if not rows:
        raise NotFound(f"no user is called {username}")
    return _user(rows)


def _user(rows: Sequence[Any], **more: Any) -> Principal:
    sites, projects = places_of(rows[0].places)
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
        groups=frozenset() if duties else groups_there(rows[0].groups, sites, projects),
        organised=frozenset() if duties else _keys(user.organised),
        teams=frozenset() if duties else _keys(user.teams),
        duties=frozenset(duties),
        **more,
    )


def _keys(listed: str | None) -> frozenset[UUID]:
    return frozenset(map(key_from, listed.split(","))) if listed else frozenset()


def _maker(row: Any) -> tuple[UUID, ...]:
    """The service that made the credential, if one did."""
    return () if row.made_by is None else (row.made_by,)


def _service(rows: Sequence[Any], **more: Any) -> Principal:
    sites, projects = places_of(rows[0].places)
    return Principal(
        kind=Kind.SERVICE, id=rows[0].id, sites=sites, projects=projects, acts_for=rows[0].acts_for, **more
    )


async def two_factor_required(session: AsyncSession, user: UUID) -> bool:
    """Whether a site that the user has a part in wants a second factor."""
    rows = await session.execute(users(USER.where(User.id == user)))
    return any(row.two_factor_required for row in rows.all())


def _by_ticket(presented: Fetch, rows: Sequence[Any]) -> Principal:
    """The principal who made a ticket."""
    row, kind, expires_at = rows[0], presented.kind, presented.expires_at
    if kind is Kind.USER:
        return _user(rows, expires_at=expires_at)
    if kind is Kind.SERVICE:
        return _service(rows, expires_at=expires_at)
    full = kind is not Kind.PARTICIPANT or bool(row.full)
    return Principal(kind=kind, id=row.id, full=full, expires_at=expires_at)


async def principal_of(source: Database | AsyncSession, presented: Presented) -> Principal:
    """The principal of a login session, key, token or external identity that is still valid, with all rights; one
    statement.

    Inside a transaction it sees what that has changed.
    """
    statement = STATEMENTS.get((presented.kind, type(presented)))
    rows: Sequence[Any] = []
    if statement is not None and isinstance(source, Database):
        rows = await source.rows(statement, _parameters(presented))
    elif statement is not None and isinstance(source, AsyncSession):
        rows = (await source.execute(statement, _parameters(presented))).all()
    if not rows or (isinstance(presented, Secret) and presented.public_key not in (None, rows[0].public_key)):
        raise Unauthenticated(_WHY_NOT[type(presented)])
    row = rows[0]
    if presented.kind is Kind.LINK:
        return Principal(
            kind=Kind.LINK, id=row.id, behind=(row.simulation_id, row.user_id), credential=row.credential,
            expires_at=row.expires_at,
        )  # fmt: skip
    if presented.kind is Kind.SPEC_TOKEN:
        return Principal(
            kind=Kind.SPEC_TOKEN, id=row.id, behind=(row.user_id, *_maker(row)), credential=row.credential,
            expires_at=row.expires_at,
        )  # fmt: skip
    if isinstance(presented, Fetch):
        return _by_ticket(presented, rows)
    if presented.kind is Kind.CHALLENGE_WORKER:
        return Principal(kind=presented.kind, id=row.id, credential=row.credential, expires_at=row.expires_at)
    if isinstance(presented, External):
        return _user(rows, expires_at=presented.expires_at)
    more: dict[str, Any] = {"credential": row.credential}
    if isinstance(presented, Session):
        more |= {"session": presented.family, "expires_at": presented.expires_at}
    else:
        more |= {"expires_at": row.expires_at, "scopes": None if row.scopes is None else frozenset(row.scopes)}
    if presented.kind is Kind.USER:
        return _user(rows, behind=_maker(row) if isinstance(presented, Secret) else (), **more)
    if presented.kind is Kind.SERVICE:
        return _service(rows, **more)
    return Principal(
        kind=presented.kind,
        id=row.id,
        full=presented.kind is Kind.DEVICE or isinstance(presented, Session),
        **more,
    )


_WHY_NOT: Mapping[type, str] = {
    Session: "the login session has ended; sign in again",
    Secret: "the key or token is not valid",
    Fetch: "the ticket is no longer valid; ask for another",
    External: "no active user of this gateway is linked with this identity; sign in through the browser first",
}


def _parameters(presented: Presented) -> dict[str, Any]:
    """The parameters of the statement."""
    if isinstance(presented, Session):
        return {"family": presented.family}
    if isinstance(presented, Secret):
        return {"digest": presented.digest}
    if isinstance(presented, Fetch):
        return {"owner": presented.owner, "credential": presented.credential}
    return {"provider": presented.provider, "subject": presented.subject}


def _over(principal: Principal) -> bool:
    return principal.expires_at is not None and principal.expires_at <= datetime.now(UTC)


class Principals:
    """A cache of principals. It drops a principal when any process commits a change of its topic `principal:<key>`, and
    all of them when rights changed or changes were missed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[Presented, tuple[Principal, float]] = {}
        self._changes = 0
        self._kept = UNHEARD if database.dialect == "sqlite" else KEPT
        database.listen(self._changed, self._missed)

    async def of(self, presented: Presented) -> Principal:
        """The principal of a presented credential; UNAUTHENTICATED when that is no longer valid."""
        known = self._known.get(presented)
        if known is not None and known[1] > time.monotonic() and not _over(known[0]):
            return known[0]
        changes = self._changes
        principal = await principal_of(self._database, presented)
        if changes == self._changes:  # else it may be older than what we were told to forget
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[presented] = (principal, time.monotonic() + self._kept)
        return principal

    def _changed(self, topics: Iterable[str]) -> None:
        told = set(topics)
        if RIGHTS in told:
            self._missed()
        elif concerned := {topic for topic in told if topic.startswith("principal:")}:
            self._changes += 1
            for presented in [s for s, (p, _) in self._known.items() if concerned.intersection(p.topics)]:
                del self._known[presented]

    def _missed(self) -> None:
        self._changes += 1
        self._known.clear()
