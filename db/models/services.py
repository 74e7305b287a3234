"""Tables of services that work beside the gateway: where they may work, and their configurations."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from db.models.accounts import AuthProvider
from db.models.base import Entity, Erasable, lists, of_one, refers, relates, unique
from db.models.ordering import folded
from db.searching.folding import folds
from db.types import Name, Value, choice

if TYPE_CHECKING:
    from db.models.accounts import User
    from db.models.devices import Device
    from db.models.groups import Role
    from db.models.organisation import Participant, Project, Site
    from db.models.sessions import SessionType

CORE = UUID("70726f6a-6563-7470-8f00-746f72616e61")
"""The key of the gateway's own service (the core), whose roles decide what users may do. A migration creates it."""
CONFIGURED = ("user_id", "participant_id", "device_id")
"""The rows that a service may be configured for; exactly one is set."""


class Service(Erasable, Entity):
    __tablename__ = "services"
    __table_args__ = (
        unique("uq_services_key", "key", where="deleted_at IS NULL"),
        lists("ix_services_by_name", folded("name"), "id"),
    )

    name: Mapped[str] = mapped_column(Name(255))
    name_folded: Mapped[str | None] = folds("name")
    key: Mapped[str] = mapped_column(sa.String(100))
    hostname: Mapped[str] = mapped_column(sa.String(255))
    port: Mapped[int]
    endpoint: Mapped[str] = mapped_column(sa.String(255))
    client_endpoint: Mapped[str] = mapped_column(sa.String(255))
    endpoint_user: Mapped[str | None] = mapped_column(sa.String(255))
    endpoint_participant: Mapped[str | None] = mapped_column(sa.String(255))
    endpoint_device: Mapped[str | None] = mapped_column(sa.String(255))
    enabled: Mapped[bool] = mapped_column(default=False)
    system: Mapped[bool] = mapped_column(default=False)
    editable_config: Mapped[bool] = mapped_column(default=False)
    config_schema: Mapped[dict[str, Any]] = mapped_column(default=dict)
    has_assets: Mapped[bool] = mapped_column(default=False)
    has_tests: Mapped[bool] = mapped_column(default=False)
    checks_assets: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    """Whether it sets free, or refuses, assets that wait for a check."""
    acts_for: Mapped[AuthProvider | None] = mapped_column(choice(AuthProvider))
    """The identity provider whose users the service acts for."""

    roles: Mapped[list["Role"]] = relates(back_populates="service")
    sites: Mapped[list["Site"]] = relates(secondary="site_services", back_populates="services")
    projects: Mapped[list["Project"]] = relates(secondary="project_services", back_populates="services")
    session_types: Mapped[list["SessionType"]] = relates(secondary="session_type_services", back_populates="services")


class SiteService(Entity):
    __tablename__ = "site_services"
    __table_args__ = (
        sa.UniqueConstraint("site_id", "service_id"),
        sa.Index("ix_site_services_service_id_site_id", "service_id", "site_id"),
    )

    site_id: Mapped[UUID] = refers("sites.id", ondelete="CASCADE")
    service_id: Mapped[UUID] = refers("services.id", ondelete="CASCADE")


class ProjectService(Entity):
    """A service in a project; it must be in the project's site."""

    __tablename__ = "project_services"
    __table_args__ = (
        sa.UniqueConstraint("project_id", "service_id"),
        sa.Index("ix_project_services_service_id_project_id", "service_id", "project_id"),
    )

    project_id: Mapped[UUID] = refers("projects.id", ondelete="CASCADE")
    service_id: Mapped[UUID] = refers("services.id", ondelete="CASCADE")


class ServiceConfig(Erasable, Entity):
    """A configuration of a service. `specific_id` names one installation of the service; empty for all."""

    __tablename__ = "service_configs"
    __table_args__ = (
        of_one(*CONFIGURED),
        *(
            unique(f"uq_service_configs_{who}", "service_id", who, "specific_id", where="deleted_at IS NULL")
            for who in CONFIGURED
        ),
        *(lists(f"ix_service_configs_{who}_id", who, "id") for who in CONFIGURED),
    )

    service_id: Mapped[UUID] = refers("services.id", ondelete="CASCADE")
    user_id: Mapped[UUID | None] = refers("users.id", ondelete="CASCADE")
    participant_id: Mapped[UUID | None] = refers("participants.id", ondelete="CASCADE")
    device_id: Mapped[UUID | None] = refers("devices.id", ondelete="CASCADE")
    specific_id: Mapped[str] = mapped_column(sa.String(100), default="")
    config: Mapped[Any] = mapped_column(Value())

    service: Mapped[Service] = relates()
    user: Mapped["User | None"] = relates()
    participant: Mapped["Participant | None"] = relates()
    device: Mapped["Device | None"] = relates()
