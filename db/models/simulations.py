"""Tables of simulations: inputs, results and share links."""

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Entity, Erasable, lists, refers, relates
from db.models.ordering import folded
from db.searching.folding import folds
from db.types import Json, Key, Name, choice

if TYPE_CHECKING:
    from db.models.accounts import User
    from db.models.files import File
    from db.models.jobs import Job
    from db.models.organisation import Project
    from db.models.sessions import Session


class SimulationType(Enum):
    SHIELDHIT = "SHIELDHIT"
    TOPAS = "TOPAS"
    FLUKA = "FLUKA"
    GEANT4 = "GEANT4"
    DUMMY = "DUMMY"


class InputType(Enum):
    EDITOR = "EDITOR"
    FILES = "FILES"


class Simulation(Erasable, Entity):
    __tablename__ = "simulations"
    __table_args__ = (
        lists("ix_simulations_created_at_id", "created_at", "id"),
        lists("ix_simulations_user_id_created_at_id", "user_id", "created_at", "id"),
        lists("ix_simulations_project_id_created_at_id", "project_id", "created_at", "id"),
        lists("ix_simulations_session_id_created_at_id", "session_id", "created_at", "id"),
        lists("ix_simulations_by_title", folded("title"), "id"),
        lists("ix_simulations_user_id_by_title", "user_id", folded("title"), "id"),
        lists("ix_simulations_project_id_by_title", "project_id", folded("title"), "id"),
    )

    user_id: Mapped[UUID] = refers("users.id", ondelete="RESTRICT")
    title: Mapped[str] = mapped_column(Name(255), default="")
    title_folded: Mapped[str | None] = folds("title")
    sim_type: Mapped[SimulationType] = mapped_column(choice(SimulationType))
    input_type: Mapped[InputType] = mapped_column(choice(InputType))
    project_id: Mapped[UUID | None] = refers("projects.id", ondelete="SET NULL")
    session_id: Mapped[UUID | None] = refers("sessions.id", ondelete="SET NULL")

    owner: Mapped["User"] = relates(back_populates="simulations")
    project: Mapped["Project | None"] = relates(back_populates="simulations")
    session: Mapped["Session | None"] = relates(back_populates="simulations")
    jobs: Mapped[list["Job"]] = relates(back_populates="simulation")
    input: Mapped["SimulationSetup | None"] = relates(back_populates="simulation", uselist=False)
    estimators: Mapped[list["Estimator"]] = relates(back_populates="simulation")
    links: Mapped[list["SimulationLink"]] = relates(back_populates="simulation")
    labels: Mapped[list["SimulationLabel"]] = relates(back_populates="simulation")
    outputs: Mapped[list["File"]] = relates(back_populates="simulation")


class SimulationSetup(Entity):
    """The input of a simulation: files by name, in a table of their own so that lists never carry them. `project` is
    the editor's project that the files were made from, if one was given."""

    __tablename__ = "simulation_inputs"
    __table_args__ = (sa.CheckConstraint("total_primaries >= 1", name="primaries"),)

    simulation_id: Mapped[UUID] = refers("simulations.id", ondelete="CASCADE", unique=True)
    files: Mapped[dict[str, Any]]
    project: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))
    total_primaries: Mapped[int] = mapped_column(sa.BigInteger)

    simulation: Mapped[Simulation] = relates(back_populates="input")


class SimulationLabel(Entity):
    """A label that its owner gave to a simulation."""

    __tablename__ = "simulation_labels"
    __table_args__ = (
        sa.UniqueConstraint("simulation_id", "name"),
        sa.Index("ix_simulation_labels_simulation_id_by_name", "simulation_id", folded("name"), "id"),
        sa.Index("ix_simulation_labels_name", "name"),
    )

    simulation_id: Mapped[UUID] = refers("simulations.id", ondelete="CASCADE")
    name: Mapped[str] = mapped_column(Name(50))
    name_folded: Mapped[str | None] = folds("name")

    simulation: Mapped[Simulation] = relates(back_populates="labels")


class SimulationLink(Entity):
    """A share link: with its secret anyone may read one simulation, until it expires or is deleted."""

    __tablename__ = "simulation_links"
    __table_args__ = (
        sa.Index("ix_simulation_links_simulation_id_created_at_id", "simulation_id", "created_at", "id"),
        sa.Index("ix_simulation_links_user_id_created_at_id", "user_id", "created_at", "id"),
    )

    simulation_id: Mapped[UUID] = refers("simulations.id", ondelete="CASCADE")
    user_id: Mapped[UUID] = refers("users.id", ondelete="CASCADE")
    label: Mapped[str] = mapped_column(sa.String(255), default="")
    secret_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    expires_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]

    simulation: Mapped[Simulation] = relates(back_populates="links")
    owner: Mapped["User"] = relates()


class Estimator(Entity):
    __tablename__ = "estimators"
    __table_args__ = (
        sa.UniqueConstraint("simulation_id", "file_name"),
        sa.Index("ix_estimators_simulation_id_by_name", "simulation_id", folded("name"), "id"),
    )

    simulation_id: Mapped[UUID] = refers("simulations.id", ondelete="CASCADE")
    name: Mapped[str] = mapped_column(Name(255))
    name_folded: Mapped[str | None] = folds("name")
    file_name: Mapped[str] = mapped_column(sa.String(255))
    meta: Mapped[dict[str, Any]] = mapped_column("metadata")

    simulation: Mapped[Simulation] = relates(back_populates="estimators")
    pages: Mapped[list["Page"]] = relates(back_populates="estimator")


class Series(Enum):
    """The numbers of a page."""

    VALUES = "VALUES"
    ERRORS = "ERRORS"


class Page(Entity):
    """A page: one scored quantity. Its numbers are JSON arrays as text, written once and sent as they are. The values
    and their errors stand in the row, or (of large pages) in the slabs of `content`. `approximate` says that quotients
    of several tasks were averaged without their divisors."""

    __tablename__ = "pages"
    __table_args__ = (
        sa.UniqueConstraint("estimator_id", "number"),
        sa.CheckConstraint("dimension BETWEEN 0 AND 3", name="dimension"),
        sa.CheckConstraint("(dimension >= 1) = (axis1_values IS NOT NULL)", name="axis1"),
        sa.CheckConstraint("(dimension >= 2) = (axis2_values IS NOT NULL)", name="axis2"),
        sa.CheckConstraint("(dimension = 3) = (axis3_values IS NOT NULL)", name="axis3"),
        sa.CheckConstraint("(content IS NULL) = (data_values IS NOT NULL)", name="content"),
        sa.Index("ix_pages_estimator_id_number_id", "estimator_id", "number", "id"),
        sa.Index("ix_pages_content", "content"),
    )

    estimator_id: Mapped[UUID] = refers("estimators.id", ondelete="CASCADE")
    number: Mapped[int]
    name: Mapped[str] = mapped_column(sa.String(255))
    dimension: Mapped[int]
    value_count: Mapped[int]
    unit: Mapped[str | None] = mapped_column(sa.String(64))
    filter_name: Mapped[str | None] = mapped_column(sa.String(255))
    has_non_finite: Mapped[bool] = mapped_column(default=False)
    approximate: Mapped[bool] = mapped_column(default=False)
    axis1_name: Mapped[str | None] = mapped_column(sa.String(255))
    axis1_unit: Mapped[str | None] = mapped_column(sa.String(64))
    axis1_count: Mapped[int | None]
    axis1_values: Mapped[str | None] = mapped_column(sa.Text, deferred=True)
    axis2_name: Mapped[str | None] = mapped_column(sa.String(255))
    axis2_unit: Mapped[str | None] = mapped_column(sa.String(64))
    axis2_count: Mapped[int | None]
    axis2_values: Mapped[str | None] = mapped_column(sa.Text, deferred=True)
    axis3_name: Mapped[str | None] = mapped_column(sa.String(255))
    axis3_unit: Mapped[str | None] = mapped_column(sa.String(64))
    axis3_count: Mapped[int | None]
    axis3_values: Mapped[str | None] = mapped_column(sa.Text, deferred=True)
    meta: Mapped[dict[str, Any]] = mapped_column("metadata")
    data_values: Mapped[str | None] = mapped_column(sa.Text, deferred=True)
    data_errors: Mapped[str | None] = mapped_column(sa.Text, deferred=True)
    content: Mapped[UUID | None] = mapped_column(Key)

    estimator: Mapped[Estimator] = relates(back_populates="pages")


class PageSlab(Entity):
    """Some of the numbers of a large page: JSON without the brackets, at most `SLAB` numbers. Slabs are written before
    the page that refers to their `content`; a sweep removes those of no page."""

    __tablename__ = "page_slabs"
    __table_args__ = (sa.UniqueConstraint("content", "series", "number"),)

    content: Mapped[UUID] = mapped_column(Key)
    series: Mapped[Series] = mapped_column(choice(Series))
    number: Mapped[int]
    text: Mapped[str] = mapped_column(sa.Text)


SLAB = 32_768
"""Numbers of a slab (at most 25 characters each); only the last of a page has fewer."""

SLABBED = {"data_values": Series.VALUES, "data_errors": Series.ERRORS}
"""The columns of a page whose numbers may stand in slabs."""
