"""Tables of sites, projects, participants and participant groups."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Entity, Erasable, lists, refers, relates, unique
from db.models.ordering import folded
from db.searching.folding import folds
from db.types import Name

if TYPE_CHECKING:
    from db.models.devices import Device
    from db.models.groups import Role
    from db.models.services import Service
    from db.models.sessions import Session, SessionMember, SessionType
    from db.models.simulations import Simulation


class Site(Erasable, Entity):
    __tablename__ = "sites"
    __table_args__ = (lists("ix_sites_by_name", folded("name"), "id"),)

    name: Mapped[str] = mapped_column(Name(255))
    name_folded: Mapped[str | None] = folds("name")
    two_factor_required: Mapped[bool] = mapped_column(default=False)

    projects: Mapped[list["Project"]] = relates(back_populates="site")
    roles: Mapped[list["Role"]] = relates(back_populates="site")
    devices: Mapped[list["Device"]] = relates(secondary="site_devices", back_populates="sites")
    services: Mapped[list["Service"]] = relates(secondary="site_services", back_populates="sites")
    session_types: Mapped[list["SessionType"]] = relates(secondary="session_type_sites", back_populates="sites")


class Project(Erasable, Entity):
    __tablename__ = "projects"
    __table_args__ = (
        lists("ix_projects_by_name", folded("name"), "id"),
        lists("ix_projects_created_at_id", "created_at", "id"),
        lists("ix_projects_site_id_by_name", "site_id", folded("name"), "id"),
        lists("ix_projects_site_id_created_at_id", "site_id", "created_at", "id"),
    )

    site_id: Mapped[UUID] = refers("sites.id", ondelete="RESTRICT")
    name: Mapped[str] = mapped_column(Name(255))
    name_folded: Mapped[str | None] = folds("name")
    enabled: Mapped[bool] = mapped_column(default=True)
    description: Mapped[str | None] = mapped_column(sa.Text)
    quarantine: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    """Whether assets of its sessions wait for a service that checks them."""
    participant_sessions: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    """Whether participants with a static token make and read sessions of their own."""

    site: Mapped[Site] = relates(back_populates="projects")
    roles: Mapped[list["Role"]] = relates(back_populates="project")
    participants: Mapped[list["Participant"]] = relates(back_populates="project")
    participant_groups: Mapped[list["ParticipantGroup"]] = relates(back_populates="project")
    devices: Mapped[list["Device"]] = relates(secondary="project_devices", back_populates="projects")
    services: Mapped[list["Service"]] = relates(secondary="project_services", back_populates="projects")
    sessions: Mapped[list["Session"]] = relates(back_populates="project")
    session_types: Mapped[list["SessionType"]] = relates(secondary="session_type_projects", back_populates="projects")
    simulations: Mapped[list["Simulation"]] = relates(back_populates="project")


class ParticipantGroup(Erasable, Entity):
    __tablename__ = "participant_groups"
    __table_args__ = (
        lists("ix_participant_groups_by_name", folded("name"), "id"),
        lists("ix_participant_groups_project_id_by_name", "project_id", folded("name"), "id"),
    )

    project_id: Mapped[UUID] = refers("projects.id", ondelete="RESTRICT")
    name: Mapped[str] = mapped_column(Name(255))
    name_folded: Mapped[str | None] = folds("name")

    project: Mapped[Project] = relates(back_populates="participant_groups")
    participants: Mapped[list["Participant"]] = relates(back_populates="group")


class Participant(Erasable, Entity):
    __tablename__ = "participants"
    __table_args__ = (
        unique("uq_participants_username", "username", where="deleted_at IS NULL"),
        lists("ix_participants_by_name", folded("name"), "id"),
        lists("ix_participants_created_at_id", "created_at", "id"),
        lists("ix_participants_project_id_by_name", "project_id", folded("name"), "id"),
        lists("ix_participants_project_id_created_at_id", "project_id", "created_at", "id"),
        lists("ix_participants_group_id_by_name", "group_id", folded("name"), "id"),
        sa.Index("ix_participants_updated_at_id", "updated_at", "id"),
    )

    project_id: Mapped[UUID] = refers("projects.id", ondelete="RESTRICT")
    group_id: Mapped[UUID | None] = refers("participant_groups.id", ondelete="SET NULL")
    name: Mapped[str] = mapped_column(Name(255))
    name_folded: Mapped[str | None] = folds("name")
    username: Mapped[str | None] = mapped_column(Name(150))
    username_folded: Mapped[str | None] = folds("username")
    email: Mapped[str | None] = mapped_column(Name(254))
    email_folded: Mapped[str | None] = folds("email")
    enabled: Mapped[bool] = mapped_column(default=True)
    login_enabled: Mapped[bool] = mapped_column(default=False)
    token_enabled: Mapped[bool] = mapped_column(default=False)
    last_online_at: Mapped[datetime | None]
    busy: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    """Whether it is in a session that is under way."""

    project: Mapped[Project] = relates(back_populates="participants")
    group: Mapped[ParticipantGroup | None] = relates(back_populates="participants")
    devices: Mapped[list["Device"]] = relates(secondary="participant_devices", back_populates="participants")
    memberships: Mapped[list["SessionMember"]] = relates(back_populates="participant")
