"""The table of archives: results as one zip, made by a job."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Entity, Erasable, lists, refers, relates
from db.types import Name

if TYPE_CHECKING:
    from db.models.accounts import User
    from db.models.files import File
    from db.models.jobs import Job
    from db.models.organisation import Project
    from db.models.simulations import Simulation


class Archive(Erasable, Entity):
    """An archive of a simulation's results, or of those of all simulations of a project that its owner may read. It is
    its owner's alone, because it holds what they may read, and it stays when its subject goes. Its file is kept until
    `expires_at`."""

    __tablename__ = "archives"
    __table_args__ = (
        sa.CheckConstraint("simulation_id IS NULL OR project_id IS NULL", name="one"),
        lists("ix_archives_user_id_created_at_id", "user_id", "created_at", "id"),
        lists("ix_archives_created_at_id", "created_at", "id"),
        lists("ix_archives_simulation_id_created_at_id", "simulation_id", "created_at", "id"),
        lists("ix_archives_project_id_created_at_id", "project_id", "created_at", "id"),
        sa.Index("ix_archives_expires_at", "expires_at"),
    )

    user_id: Mapped[UUID] = refers("users.id", ondelete="RESTRICT")
    title: Mapped[str] = mapped_column(Name(255), default="")
    simulation_id: Mapped[UUID | None] = refers("simulations.id", ondelete="SET NULL")
    project_id: Mapped[UUID | None] = refers("projects.id", ondelete="SET NULL")
    expires_at: Mapped[datetime]

    owner: Mapped["User"] = relates()
    simulation: Mapped["Simulation | None"] = relates()
    project: Mapped["Project | None"] = relates()
    jobs: Mapped[list["Job"]] = relates(back_populates="archive")
    file: Mapped["File | None"] = relates(back_populates="archive", uselist=False)
