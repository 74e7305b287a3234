"""Samples: what is taken in a project, perhaps of a participant, and measured by devices."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from db.models import Device, Participant, Project
from db.models.base import Entity, Erasable, lists, refers, relates
from db.models.ordering import folded
from db.searching.folding import folds
from db.types import Name


class Sample(Erasable, Entity):
    __tablename__ = "samples"
    __table_args__ = (
        lists("ix_samples_project_id_by_name", "project_id", folded("name"), "id"),
        lists("ix_samples_participant_id_by_name", "participant_id", folded("name"), "id"),
        lists("ix_samples_by_name", folded("name"), "id"),
    )

    project_id: Mapped[UUID] = refers("projects.id", ondelete="RESTRICT")
    participant_id: Mapped[UUID | None] = refers("participants.id", ondelete="SET NULL")
    name: Mapped[str] = mapped_column(Name(255))
    name_folded: Mapped[str | None] = folds("name")
    notes: Mapped[str | None] = mapped_column(sa.Text)

    project: Mapped[Project] = relates()
    participant: Mapped[Participant | None] = relates()
    devices: Mapped[list[Device]] = relates(secondary="sample_devices")


class SampleDevice(Entity):
    __tablename__ = "sample_devices"
    __table_args__ = (
        sa.UniqueConstraint("sample_id", "device_id"),
        sa.Index("ix_sample_devices_device_id", "device_id"),
    )

    sample_id: Mapped[UUID] = refers("samples.id", ondelete="CASCADE")
    device_id: Mapped[UUID] = refers("devices.id", ondelete="CASCADE")
