"""Tables of devices, device types, and the sites, projects and participants that devices belong to."""

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Entity, Erasable, lists, refers, relates
from db.models.ordering import folded
from db.searching.folding import folds
from db.types import Json, Name

if TYPE_CHECKING:
    from db.models.organisation import Participant, Project, Site


class DeviceType(Entity):
    __tablename__ = "device_types"
    __table_args__ = (sa.UniqueConstraint("key"), sa.Index("ix_device_types_by_name", folded("name"), "id"))

    name: Mapped[str] = mapped_column(Name(255))
    name_folded: Mapped[str | None] = folds("name")
    key: Mapped[str] = mapped_column(sa.String(100))

    subtypes: Mapped[list["DeviceSubtype"]] = relates(back_populates="type")
    devices: Mapped[list["Device"]] = relates(back_populates="type")


class DeviceSubtype(Entity):
    __tablename__ = "device_subtypes"
    __table_args__ = (
        sa.Index("ix_device_subtypes_type_id_by_name", "type_id", folded("name"), "id"),
        sa.Index("ix_device_subtypes_by_name", folded("name"), "id"),
    )

    type_id: Mapped[UUID] = refers("device_types.id", ondelete="CASCADE")
    name: Mapped[str] = mapped_column(Name(255))
    name_folded: Mapped[str | None] = folds("name")

    type: Mapped[DeviceType] = relates(back_populates="subtypes")
    devices: Mapped[list["Device"]] = relates(back_populates="subtype")


class Device(Erasable, Entity):
    __tablename__ = "devices"
    __table_args__ = (
        lists("ix_devices_by_name", folded("name"), "id"),
        lists("ix_devices_type_id_by_name", "type_id", folded("name"), "id"),
        lists("ix_devices_subtype_id_by_name", "subtype_id", folded("name"), "id"),
        sa.Index("ix_devices_updated_at_id", "updated_at", "id"),
    )

    name: Mapped[str] = mapped_column(Name(255))
    name_folded: Mapped[str | None] = folds("name")
    type_id: Mapped[UUID] = refers("device_types.id", ondelete="RESTRICT")
    subtype_id: Mapped[UUID | None] = refers("device_subtypes.id", ondelete="RESTRICT")
    enabled: Mapped[bool] = mapped_column(default=False)
    onlineable: Mapped[bool] = mapped_column(default=False)
    config: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))
    infos: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))
    notes: Mapped[str | None] = mapped_column(sa.Text)
    status: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))
    last_online_at: Mapped[datetime | None]
    busy: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    """Whether it is in a session that is under way."""

    type: Mapped[DeviceType] = relates(back_populates="devices")
    subtype: Mapped[DeviceSubtype | None] = relates(back_populates="devices")
    sites: Mapped[list["Site"]] = relates(secondary="site_devices", back_populates="devices")
    projects: Mapped[list["Project"]] = relates(secondary="project_devices", back_populates="devices")
    participants: Mapped[list["Participant"]] = relates(secondary="participant_devices", back_populates="devices")


class SiteDevice(Entity):
    __tablename__ = "site_devices"
    __table_args__ = (
        sa.UniqueConstraint("site_id", "device_id"),
        sa.Index("ix_site_devices_device_id_site_id", "device_id", "site_id"),
    )

    site_id: Mapped[UUID] = refers("sites.id", ondelete="CASCADE")
    device_id: Mapped[UUID] = refers("devices.id", ondelete="CASCADE")


class ProjectDevice(Entity):
    """A device in a project; it must be in the project's site."""

    __tablename__ = "project_devices"
    __table_args__ = (
        sa.UniqueConstraint("project_id", "device_id"),
        sa.Index("ix_project_devices_device_id_project_id", "device_id", "project_id"),
    )

    project_id: Mapped[UUID] = refers("projects.id", ondelete="CASCADE")
    device_id: Mapped[UUID] = refers("devices.id", ondelete="CASCADE")


class ParticipantDevice(Entity):
    """A device of a participant; it must be in the participant's project."""

    __tablename__ = "participant_devices"
    __table_args__ = (
        sa.UniqueConstraint("participant_id", "device_id"),
        sa.Index("ix_participant_devices_device_id_participant_id", "device_id", "participant_id"),
    )

    participant_id: Mapped[UUID] = refers("participants.id", ondelete="CASCADE")
    device_id: Mapped[UUID] = refers("devices.id", ondelete="CASCADE")
