"""Sites, their projects, and who belongs to them."""

from enum import Enum
from typing import TYPE_CHECKING
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Entity, Erasable, lists, refers, relates
from db.types import choice

if TYPE_CHECKING:
    from db.models.accounts import User
    from db.models.sessions import Session
    from db.models.simulations import Simulation


class ProjectRole(Enum):
    USER = "USER"
    ADMIN = "ADMIN"


class Site(Erasable, Entity):
    __tablename__ = "sites"
    __table_args__ = (lists("ix_sites_name_id", "name", "id"),)

    name: Mapped[str] = mapped_column(sa.String(255))
    two_factor_required: Mapped[bool] = mapped_column(default=False)

    projects: Mapped[list["Project"]] = relates(back_populates="site")


class Project(Erasable, Entity):
    __tablename__ = "projects"
    __table_args__ = (
        lists("ix_projects_name_id", "name", "id"),
        lists("ix_projects_site_id_name_id", "site_id", "name", "id"),
    )

    site_id: Mapped[UUID] = refers("sites.id", ondelete="RESTRICT")
    name: Mapped[str] = mapped_column(sa.String(255))
    enabled: Mapped[bool] = mapped_column(default=True)
    description: Mapped[str | None] = mapped_column(sa.Text)

    site: Mapped[Site] = relates(back_populates="projects")
    memberships: Mapped[list["Membership"]] = relates(back_populates="project")
    sessions: Mapped[list["Session"]] = relates(back_populates="project")
    simulations: Mapped[list["Simulation"]] = relates(back_populates="project")


class Membership(Entity):
    """A user's role in a project."""

    __tablename__ = "memberships"
    __table_args__ = (
        sa.UniqueConstraint("user_id", "project_id"),
        sa.Index("ix_memberships_project_id_id", "project_id", "id"),
        sa.Index("ix_memberships_user_id_id", "user_id", "id"),
    )

    user_id: Mapped[UUID] = refers("users.id", ondelete="CASCADE")
    project_id: Mapped[UUID] = refers("projects.id", ondelete="CASCADE")
    role: Mapped[ProjectRole] = mapped_column(choice(ProjectRole), default=ProjectRole.USER)

    user: Mapped["User"] = relates(back_populates="memberships")
    project: Mapped[Project] = relates(back_populates="memberships")
