"""Policies of users, their credentials and preferences, and of audit events."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.locks import in_order
from db.models import AuditEvent, Credential, CredentialKind, PlatformRole, Preference, User, UserGroupMember
from db.written import because
from resolvers.access.acting import ACTS_FOR_OWNER, ACTS_FOR_USER
from resolvers.access.challenge_rules import ORGANISER
from resolvers.access.clauses import Clause
from resolvers.access.places import in_project, in_site, of_owners, of_owners_site, of_user
from resolvers.access.policy import Change, Policy, Rules
from resolvers.access.roles import only_site
from resolvers.access.rules import (
    ACCOUNT_ADMIN,
    ACTOR,
    ANY_USER,
    CONCERNED,
    LINKED_SERVICE,
    MANAGER,
    OWN_DEVICE,
    OWN_PARTICIPANT,
    OWN_SERVICE,
    OWNER,
    PROJECT_ADMIN,
    PROJECT_USER,
    SELF,
    SITE_ADMIN,
    SITE_USER,
    SUPERADMIN,
    USER_ADMIN,
)  # fmt: skip
from resolvers.failures import Forbidden
from resolvers.identity import session_store
from resolvers.identity.principal import Kind
from resolvers.identity.usernames import check_username

ACCOUNT: Rules = (ACCOUNT_ADMIN, SUPERADMIN)
"""Who may change what opens a user's account, such as its address, password and second factor."""

_PEOPLE: Rules = (SELF, PROJECT_USER, SITE_USER, LINKED_SERVICE, SUPERADMIN)
_PRIVATE: Rules = (SELF, PROJECT_ADMIN, SITE_ADMIN, LINKED_SERVICE, SUPERADMIN)
_STATUS: Rules = (SELF, SITE_ADMIN, SUPERADMIN)
_OWN: Rules = (SELF, SUPERADMIN)
_RANK = ("platform_role", "superadmin")

_SENT = (CredentialKind.EMAIL_VERIFY, CredentialKind.PASSWORD_RESET, CredentialKind.EMAIL_CODE)
"""Credentials that were mailed to an address."""


async def _site_of(session: AsyncSession, user: User) -> dict[str, UUID | None]:
    return {"site_id": await only_site(session, UserGroupMember.user_id == user.id)}


async def _validate(change: Change) -> None:
    user, before = change.row, change.before
    if user.id == change.principal.id and (before is None or before.keys() & {"active", *_RANK}):
        raise Forbidden("nobody may delete, disable or promote themself")
    if before is None:
        return
    if "username" in before:
        check_username(user.username)
    if change.principal.superadmin:
        return
    if "platform_role" in before and PlatformRole.MANAGER in (before["platform_role"], user.platform_role):
        raise Forbidden("only superadmins make managers, or change them")
    if user.superadmin:
        raise Forbidden("only superadmins may change a superadmin")


async def _then(change: Change) -> None:
    session, user, before = change.session, change.row, change.before
    if before is None:
        return
    if change.differs("email") and "email_verified" not in before:
        user.email_verified = False
        because(session, "links to an address end with it", Credential)
        await in_order(session, sa.delete(Credential).where(Credential.user_id == user.id, Credential.kind.in_(_SENT)))
    if change.ended("active"):
        await session_store.end(session, Kind.USER, user.id)
    if change.new:
        rank = {name: getattr(user, name) for name in _RANK}
        change.note("CREATE", "User", user.id, **rank, **await _site_of(session, user))


def _of_programs(credential: Any) -> Clause:
    """API keys and static tokens. Nobody reads login sessions, or the links and codes of mails."""
    return sa.or_(
        credential.kind == CredentialKind.API_KEY,
        credential.kind == CredentialKind.STATIC_TOKEN,
        credential.kind == CredentialKind.CHALLENGE_WORKER,
        credential.kind == CredentialKind.SPEC_TOKEN,
        credential.kind == CredentialKind.CERTIFICATE,
    )


POLICIES = (
    Policy(
        model=User,
        read=(ANY_USER, SELF, LINKED_SERVICE, ACTS_FOR_USER),
        fields={
            "username": (*_PEOPLE, ACTS_FOR_USER),
            **dict.fromkeys(("first_name", "last_name", "affiliation", "last_online_at"), _PEOPLE),
            **dict.fromkeys(("online", "presence"), _PEOPLE),
            **dict.fromkeys(("email", "profile"), _PRIVATE),
            "email_verified": _STATUS,
            "active": (*_STATUS, ACTS_FOR_USER),
            "platform_role": (MANAGER, *_STATUS),
            "notes": (SITE_ADMIN, SUPERADMIN),
            **dict.fromkeys(("superadmin", "language", "notified", "notified_of_jobs"), _OWN),
            **dict.fromkeys(("two_factor", "force_password_change"), _OWN),
            **dict.fromkeys(("auth_provider", "external_subject", "spec_model_count"), (*_OWN, ACTS_FOR_USER)),
        },
        project=of_user(in_project),
        site=of_user(in_site),
        recorded_in=_site_of,
        create=(MANAGER, SITE_ADMIN, SUPERADMIN),
        given={"platform_role": (MANAGER, SUPERADMIN), "superadmin": (SUPERADMIN,)},
        update=(USER_ADMIN, SUPERADMIN),
        columns={
            "platform_role": (MANAGER, SUPERADMIN),
            "superadmin": (SUPERADMIN,),
            **dict.fromkeys(("email", "email_verified", "active", "force_password_change"), ACCOUNT),
        },
        delete=(SUPERADMIN,),
        validate=_validate,
        then=_then,
        principal=True,
        rank=_RANK,
        sign_in=("username", "email", "email_verified"),
        switch="active",
    ),
    Policy(
        model=Credential,
        read=(OWNER, OWN_PARTICIPANT, OWN_DEVICE, OWN_SERVICE, PROJECT_ADMIN, SITE_ADMIN, ORGANISER, ACTS_FOR_OWNER),
        shown=_of_programs,
        project=of_owners,
        site=of_owners_site,
        goes_with=(
            Credential.user_id,
            Credential.participant_id,
            Credential.device_id,
            Credential.service_id,
            Credential.challenge_id,
            Credential.spec_id,
        ),
        stays=(Credential.made_by_id,),
    ),
    Policy(
        model=Preference,
        read=(OWNER,),
        create=(OWNER,),
        update=(OWNER,),
        delete=(OWNER,),
        goes_with=(Preference.user_id,),
    ),
    Policy(
        model=AuditEvent,
        read=(ACTOR, CONCERNED, PROJECT_ADMIN, SITE_ADMIN),
        fields={"client": (ACTOR, SUPERADMIN)},
    ),
)
