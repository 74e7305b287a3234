"""Who the live login sessions belong to, kept for a few seconds and forgotten when something about the user changes."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from db.engine import Database
from db.models import Credential, CredentialKind, Membership, Project, User
from db.types import now
from resolvers.failures import NotFound, Unauthenticated
from resolvers.feed import user_topic
from resolvers.keyring import Session
from resolvers.principal import Kind, Principal

KEPT = 5.0
"""Seconds, for changes that are made past the gateway."""
MOST = 10_000


_WITH_PROJECTS = (
    sa.select(User.id, User.superadmin, Membership.role, Project.id.label("project_id"))
    .select_from(User)
    .outerjoin(Membership, Membership.user_id == User.id)
    .outerjoin(Project, sa.and_(Project.id == Membership.project_id, Project.deleted_at.is_(None)))
)
_STANDING = _WITH_PROJECTS.where(
    User.id == sa.bindparam("user", type_=User.id.type),
    User.active,
    User.deleted_at.is_(None),
    sa.exists().where(
        Credential.user_id == User.id,
        Credential.kind == CredentialKind.LOGIN_SESSION,
        Credential.family == sa.bindparam("family", type_=User.id.type),
        Credential.revoked_at.is_(None),
        Credential.expires_at > now(),
    ),
)


async def principal_named(database: Database, username: str) -> Principal:
    """The user of this name, with memberships, as if signed in; NOT_FOUND for none."""
    rows = await database.rows(_WITH_PROJECTS.where(User.username == username.lower(), User.deleted_at.is_(None)))
    if not rows:
        raise NotFound(f"no user is called {username}")
    return _principal(rows)


def _principal(rows: Sequence[Any], **more: Any) -> Principal:
    projects = {row.project_id: row.role for row in rows if row.project_id is not None}
    return Principal(kind=Kind.USER, id=rows[0].id, superadmin=rows[0].superadmin, projects=projects, **more)


async def principal_of(database: Database, said: Session) -> Principal:
    """The user of a login session that still stands, with memberships; one statement."""
    rows = await database.rows(_STANDING, {"user": said.user, "family": said.family})
    if not rows:
        raise Unauthenticated("the login session has ended; sign in again")
    return _principal(rows, session=said.family, expires_at=said.expires_at)


class Principals:
    """Forgets a user when any process commits a change of the topic `user:<key>`, and all when some were missed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[Session, tuple[Principal, float]] = {}
        self._changes = 0
        database.listen(self._changed, self._missed)

    async def of(self, said: Session) -> Principal:
        """The principal of a token; UNAUTHENTICATED when its session has ended."""
        known = self._known.get(said)
        if known is not None and known[1] > time.monotonic():
            return known[0]
        changes = self._changes
        principal = await principal_of(self._database, said)
        if changes == self._changes:  # else it may be older than what we were told to forget
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[said] = (principal, time.monotonic() + KEPT)
        return principal

    def _changed(self, topics: Iterable[str]) -> None:
        users = {topic for topic in topics if topic.startswith("user:")}
        if users:
            self._changes += 1
            for said in [said for said in self._known if user_topic(said.user) in users]:
                del self._known[said]

    def _missed(self) -> None:
        self._changes += 1
        self._known.clear()
