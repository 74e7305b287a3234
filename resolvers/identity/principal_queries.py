"""The statements that find a principal: one for each kind of principal and of credential."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from db.models import (
    Challenge,
    Credential,
    CredentialKind,
    Device,
    Participant,
    PlatformRole,
    Project,
    Service,
    Simulation,
    SimulationLink,
    User,
)
from db.types import now
from resolvers.identity.credentials import LIVE
from resolvers.identity.place_queries import services, users
from resolvers.identity.principal import Kind
from resolvers.identity.providers import External
from resolvers.identity.tokens import Fetch, Secret, Session

Presented = Session | Secret | External | Fetch

_CREDENTIAL: tuple[Any, ...] = (
    Credential.id.label("credential"),
    Credential.scopes,
    Credential.expires_at,
    Credential.public_key,
)
_PRESENTED: Mapping[type, Any] = {
    Session: sa.and_(
        Credential.kind == CredentialKind.LOGIN_SESSION,
        Credential.family == sa.bindparam("family", type_=User.id.type),
        LIVE,
    ),
    Secret: sa.and_(
        Credential.kind.in_(
            (
                CredentialKind.API_KEY,
                CredentialKind.STATIC_TOKEN,
                CredentialKind.CHALLENGE_WORKER,
                CredentialKind.CERTIFICATE,
            )
        ),
        Credential.secret_hash == sa.bindparam("digest"),
        LIVE,
    ),
}


USER: Any = sa.select(
    User.id,
    User.auth_provider,
    User.email,
    User.email_verified,
    User.superadmin,
    User.platform_role,
    User.two_factor,
    User.force_password_change,
).where(User.active, User.deleted_at.is_(None))


def _owned(columns: Any, owner: Any, presented: type) -> Any:
    """A SELECT of `columns` for the owner of the presented credential."""
    return columns.add_columns(*_CREDENTIAL).join(Credential, owner).where(_PRESENTED[presented])


_PARTICIPANT: Any = (
    sa.select(Participant.id)
    .join(Project, Project.id == Participant.project_id)
    .where(Participant.enabled, Participant.deleted_at.is_(None), Project.enabled, Project.deleted_at.is_(None))
)
_DEVICE: Any = sa.select(Device.id).where(Device.enabled, Device.deleted_at.is_(None))
_CHALLENGE: Any = sa.select(Challenge.id)
_SERVICE: Any = sa.select(Service.id, Service.acts_for).where(Service.enabled, Service.deleted_at.is_(None))


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
_MADE_BY: Any = Credential.made_by_id.label("made_by")
_MAKER_ACTS: Any = sa.or_(
    Credential.made_by_id.is_(None),
    sa.exists().where(
        Service.id == Credential.made_by_id,
        Service.enabled,
        Service.deleted_at.is_(None),
        Service.acts_for == User.auth_provider,
        sa.not_(User.superadmin),
        User.platform_role != PlatformRole.MANAGER,
    ),
)
"""A service that made a key or token still acts for its user: else it would have what it may not make."""
_SPEC_TOKEN: Any = (
    sa.select(Credential.id, *_CREDENTIAL, Credential.user_id, _MADE_BY)
    .join(User, User.id == Credential.user_id)
    .where(
        Credential.kind == CredentialKind.SPEC_TOKEN,
        Credential.secret_hash == sa.bindparam("digest"),
        LIVE,
        _MAKER_ACTS,
        User.active,
        User.deleted_at.is_(None),
    )
)
_OWNER: Any = sa.bindparam("owner", type_=User.id.type)
_MADE_WITH: Any = sa.bindparam("credential", type_=User.id.type)
"""The credential that a ticket was made with; null for an external identity."""


def _made_with(owner: Any) -> Any:
    """The credential that a ticket was made with still holds."""
    made_with = sa.or_(Credential.id == _MADE_WITH, Credential.family == _MADE_WITH)
    return sa.exists().where(made_with, owner, LIVE)


_IN_PERSON: Any = sa.exists().where(Credential.family == _MADE_WITH, LIVE).label("full")
"""The ticket was made by somebody who signed in."""

STATEMENTS: Mapping[tuple[Kind, type], Any] = {
    (Kind.USER, Session): users(_owned(USER, Credential.user_id == User.id, Session)),
    (Kind.USER, Secret): users(
        _owned(USER.add_columns(_MADE_BY), Credential.user_id == User.id, Secret).where(_MAKER_ACTS)
    ),
    (Kind.USER, External): users(
        USER.where(
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
    (Kind.SERVICE, Secret): services(_owned(_SERVICE, Credential.service_id == Service.id, Secret)),
    (Kind.CHALLENGE_WORKER, Secret): _owned(_CHALLENGE, Credential.challenge_id == Challenge.id, Secret),
    (Kind.SPEC_TOKEN, Secret): _SPEC_TOKEN,
    (Kind.PARTICIPANT, Fetch): _PARTICIPANT.add_columns(_IN_PERSON).where(
        Participant.id == _OWNER, _made_with(Credential.participant_id == Participant.id)
    ),
    (Kind.DEVICE, Fetch): _DEVICE.where(Device.id == _OWNER, _made_with(Credential.device_id == Device.id)),
    (Kind.SERVICE, Fetch): services(
        _SERVICE.where(Service.id == _OWNER, _made_with(Credential.service_id == Service.id))
    ),
    (Kind.LINK, Secret): _LINK.where(SimulationLink.secret_hash == sa.bindparam("digest")),
    (Kind.LINK, Fetch): _LINK.where(SimulationLink.id == _OWNER),
    (Kind.CHALLENGE_WORKER, Fetch): _CHALLENGE.where(Challenge.id == _OWNER),
    (Kind.USER, Fetch): users(
        USER.where(
            User.id == _OWNER,
            sa.or_(_MADE_WITH.is_(None), _made_with(Credential.user_id == User.id)),
        )
    ),
}
"""For each kind of principal and of credential: one statement that reads all there is to know."""
