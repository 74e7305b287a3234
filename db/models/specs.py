"""Tables of OpenAPI specifications of data models, and their versions."""

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Entity, Erasable, lists, refers, relates, unique
from db.models.ordering import folded
from db.searching.folding import folds
from db.types import Name, choice

if TYPE_CHECKING:
    from db.models.accounts import User
    from db.models.files import File
    from db.models.jobs import Job
    from db.models.organisation import Project


class SpecLanguage(Enum):
    JSON = "JSON"
    YAML = "YAML"


class SpecState(Enum):
    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"
    DEPRECATED = "DEPRECATED"
    ARCHIVED = "ARCHIVED"


class SpecCompatibility(Enum):
    NONE = "NONE"
    BACKWARD = "BACKWARD"
    FULL = "FULL"


class Spec(Erasable, Entity):
    """A specification. `latest_version_id` refers to the version stored last, so no two versions compete for being the
    latest. Users of its project read it."""

    __tablename__ = "specs"
    __table_args__ = (
        unique("uq_specs_user_id_canonical_name", "user_id", "canonical_name", where="deleted_at IS NULL"),
        lists("ix_specs_by_canonical_name", folded("canonical_name"), "id"),
        lists("ix_specs_user_id_by_canonical_name", "user_id", folded("canonical_name"), "id"),
        lists("ix_specs_project_id_by_canonical_name", "project_id", folded("canonical_name"), "id"),
    )

    user_id: Mapped[UUID] = refers("users.id", ondelete="RESTRICT")
    project_id: Mapped[UUID | None] = refers("projects.id", ondelete="SET NULL")
    canonical_name: Mapped[str] = mapped_column(Name(255))
    canonical_name_folded: Mapped[str | None] = folds("canonical_name")
    name: Mapped[str] = mapped_column(sa.String(255))
    state: Mapped[SpecState] = mapped_column(choice(SpecState), default=SpecState.ACTIVE, server_default="ACTIVE")
    compatibility: Mapped[SpecCompatibility] = mapped_column(
        choice(SpecCompatibility), default=SpecCompatibility.NONE, server_default="NONE"
    )
    package_changes: Mapped[int] = mapped_column(default=0, server_default="0")
    """How often builds brought packages: with `version`, what the pages of the index are equal by."""
    latest_version_id: Mapped[UUID | None] = mapped_column(
        sa.ForeignKey("spec_versions.id", ondelete="SET NULL", use_alter=True), index=True
    )

    owner: Mapped["User"] = relates(back_populates="specs")
    project: Mapped["Project | None"] = relates()
    labels: Mapped[list["SpecLabel"]] = relates(back_populates="spec")
    versions: Mapped[list["SpecVersion"]] = relates(back_populates="spec", foreign_keys="SpecVersion.spec_id")
    latest_version: Mapped["SpecVersion | None"] = relates(foreign_keys="Spec.latest_version_id")


class SpecLabel(Entity):
    """A label that its owner gave to a specification."""

    __tablename__ = "spec_labels"
    __table_args__ = (
        sa.UniqueConstraint("spec_id", "name"),
        sa.Index("ix_spec_labels_spec_id_by_name", "spec_id", folded("name"), "id"),
        sa.Index("ix_spec_labels_name", "name"),
    )

    spec_id: Mapped[UUID] = refers("specs.id", ondelete="CASCADE")
    name: Mapped[str] = mapped_column(Name(50))
    name_folded: Mapped[str | None] = folds("name")

    spec: Mapped[Spec] = relates(back_populates="labels")


class SpecVersion(Erasable, Entity):
    """A version of a specification. `canonical_name` is the same for versions that are equal by PEP 440, such as 1.4
    and 1.4.0. Once its package was fetched, at `fetched_at`, its source stays as it is; `digest` is its SHA-256."""

    __tablename__ = "spec_versions"
    __table_args__ = (
        unique("uq_spec_versions_spec_id_canonical_name", "spec_id", "canonical_name", where="deleted_at IS NULL"),
        sa.CheckConstraint("model_count >= 0", name="model_count"),
        lists("ix_spec_versions_spec_id_updated_at_id", "spec_id", "updated_at", "id"),
    )

    spec_id: Mapped[UUID] = refers("specs.id", ondelete="CASCADE")
    name: Mapped[str] = mapped_column(sa.String(100))
    canonical_name: Mapped[str | None] = mapped_column(sa.String(100))
    title: Mapped[str | None] = mapped_column(sa.String(255))
    description: Mapped[str | None] = mapped_column(sa.Text)
    model_count: Mapped[int]
    language: Mapped[SpecLanguage] = mapped_column(choice(SpecLanguage))
    source: Mapped[str] = mapped_column(sa.Text, deferred=True)
    digest: Mapped[str | None] = mapped_column(sa.String(64))
    metadata_digest: Mapped[str | None] = mapped_column(sa.String(64))
    """The SHA-256 of the metadata of its packages."""
    fetched_at: Mapped[datetime | None]
    yanked_at: Mapped[datetime | None]
    yank_reason: Mapped[str | None] = mapped_column(sa.String(500))

    spec: Mapped[Spec] = relates(back_populates="versions", foreign_keys="SpecVersion.spec_id")
    models: Mapped[list["SpecModel"]] = relates(back_populates="version_of")
    jobs: Mapped[list["Job"]] = relates(back_populates="spec_version")
    files: Mapped[list["File"]] = relates(back_populates="spec_version")


class SpecModel(Entity):
    """A data model of a version, to search for. `column_names` has one name a line."""

    __tablename__ = "spec_models"
    __table_args__ = (
        sa.UniqueConstraint("spec_version_id", "name"),
        sa.Index("ix_spec_models_spec_version_id_by_name", "spec_version_id", folded("name"), "id"),
        sa.Index("ix_spec_models_by_name", folded("name"), "id"),
    )

    spec_version_id: Mapped[UUID] = refers("spec_versions.id", ondelete="CASCADE")
    name: Mapped[str] = mapped_column(Name(255))
    name_folded: Mapped[str | None] = folds("name")
    table_name: Mapped[str] = mapped_column(Name(255))
    table_name_folded: Mapped[str | None] = folds("table_name")
    column_names: Mapped[str] = mapped_column(Name(1_000_000))
    column_names_folded: Mapped[str | None] = folds("column_names")

    version_of: Mapped[SpecVersion] = relates(back_populates="models")
