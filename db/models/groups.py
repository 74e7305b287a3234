"""Tables of user groups, roles, and the grants of roles to groups, devices and participant groups."""

from enum import Enum
from typing import TYPE_CHECKING
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Entity, Erasable, lists, of_one, refers, relates, unique
from db.models.ordering import folded
from db.searching.folding import folds
from db.types import Name, choice

if TYPE_CHECKING:
    from db.models.accounts import User
    from db.models.clusters import Cluster
    from db.models.devices import Device
    from db.models.organisation import ParticipantGroup, Project, Site
    from db.models.services import Service


class RoleScope(Enum):
    GLOBAL = "GLOBAL"
    SITE = "SITE"
    PROJECT = "PROJECT"


ADMIN, USER = "admin", "user"
"""The roles of the core service, which every site and every project has."""
GRANTEES = ("user_group_id", "device_id", "participant_group_id")
"""The grantees of a role; exactly one is set."""


class UserGroup(Erasable, Entity):
    __tablename__ = "user_groups"
    __table_args__ = (
        lists("ix_user_groups_by_name", folded("name"), "id"),
        sa.Index("ix_user_groups_creator_id", "creator_id"),
    )

    name: Mapped[str] = mapped_column(Name(255))
    name_folded: Mapped[str | None] = folds("name")
    creator_id: Mapped[UUID | None] = refers("users.id", ondelete="SET NULL")

    users: Mapped[list["User"]] = relates(secondary="user_group_members", back_populates="groups")
    clusters: Mapped[list["Cluster"]] = relates(secondary="cluster_user_groups", back_populates="user_groups")
    grants: Mapped[list["RoleGrant"]] = relates(back_populates="user_group")


class UserGroupMember(Entity):
    __tablename__ = "user_group_members"
    __table_args__ = (
        sa.UniqueConstraint("user_group_id", "user_id"),
        sa.Index("ix_user_group_members_user_id_user_group_id", "user_id", "user_group_id"),
    )

    user_group_id: Mapped[UUID] = refers("user_groups.id", ondelete="CASCADE")
    user_id: Mapped[UUID] = refers("users.id", ondelete="CASCADE")


class Role(Entity):
    """A role of a service: one that holds everywhere, in a site, or in a project."""

    __tablename__ = "roles"
    __table_args__ = (
        sa.CheckConstraint("(scope = 'SITE') = (site_id IS NOT NULL)", name="site"),
        sa.CheckConstraint("(scope = 'PROJECT') = (project_id IS NOT NULL)", name="project"),
        unique("uq_roles_site", "service_id", "site_id", "name", where="scope = 'SITE'"),
        unique("uq_roles_project", "service_id", "project_id", "name", where="scope = 'PROJECT'"),
        unique("uq_roles_global", "service_id", "name", where="scope = 'GLOBAL'"),
        sa.Index("ix_roles_site_id_by_name", "site_id", folded("name"), "id"),
        sa.Index("ix_roles_project_id_by_name", "project_id", folded("name"), "id"),
        sa.Index("ix_roles_service_id_by_name", "service_id", folded("name"), "id"),
        sa.Index("ix_roles_by_name", folded("name"), "id"),
    )

    service_id: Mapped[UUID] = refers("services.id", ondelete="CASCADE")
    scope: Mapped[RoleScope] = mapped_column(choice(RoleScope))
    site_id: Mapped[UUID | None] = refers("sites.id", ondelete="CASCADE")
    project_id: Mapped[UUID | None] = refers("projects.id", ondelete="CASCADE")
    name: Mapped[str] = mapped_column(Name(100))
    name_folded: Mapped[str | None] = folds("name")

    service: Mapped["Service"] = relates(back_populates="roles")
    site: Mapped["Site | None"] = relates(back_populates="roles")
    project: Mapped["Project | None"] = relates(back_populates="roles")
    grants: Mapped[list["RoleGrant"]] = relates(back_populates="role")


class RoleGrant(Erasable, Entity):
    __tablename__ = "role_grants"
    __table_args__ = (
        of_one(*GRANTEES),
        *(unique(f"uq_role_grants_{g}", "role_id", g, where="deleted_at IS NULL") for g in GRANTEES),
        *(lists(f"ix_role_grants_{g}_id", g, "id") for g in GRANTEES),
        lists("ix_role_grants_role_id_id", "role_id", "id"),
    )

    role_id: Mapped[UUID] = refers("roles.id", ondelete="CASCADE")
    user_group_id: Mapped[UUID | None] = refers("user_groups.id", ondelete="CASCADE")
    device_id: Mapped[UUID | None] = refers("devices.id", ondelete="CASCADE")
    participant_group_id: Mapped[UUID | None] = refers("participant_groups.id", ondelete="CASCADE")

    role: Mapped[Role] = relates(back_populates="grants")
    user_group: Mapped[UserGroup | None] = relates(back_populates="grants")
    device: Mapped["Device | None"] = relates()
    participant_group: Mapped["ParticipantGroup | None"] = relates()
