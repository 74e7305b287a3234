"""Tables of OpenAPI specifications of data models, and their versions."""

from enum import Enum
from typing import TYPE_CHECKING
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Entity, Erasable, alive, lists, refers, relates
from db.models.ordering import folded
from db.searching.folding import folds
from db.types import Name, choice

if TYPE_CHECKING:
    from db.models.accounts import User


class SpecLanguage(Enum):
    JSON = "JSON"
    YAML = "YAML"


class Spec(Erasable, Entity):
    """A specification. `latest_version_id` refers to the version stored last, so no two versions compete for being the
    latest."""

    __tablename__ = "specs"
    __table_args__ = (
        sa.Index(
            "uq_specs_user_id_canonical_name",
            "user_id",
            "canonical_name",
            unique=True,
            sqlite_where=alive(),
            postgresql_where=alive(),
        ),
        lists("ix_specs_by_canonical_name", folded("canonical_name"), "id"),
        lists("ix_specs_user_id_by_canonical_name", "user_id", folded("canonical_name"), "id"),
    )

    user_id: Mapped[UUID] = refers("users.id", ondelete="RESTRICT")
    canonical_name: Mapped[str] = mapped_column(Name(255))
    canonical_name_folded: Mapped[str | None] = folds("canonical_name")
    name: Mapped[str] = mapped_column(sa.String(255))
    latest_version_id: Mapped[UUID | None] = mapped_column(
        sa.ForeignKey("spec_versions.id", ondelete="SET NULL", use_alter=True), index=True
    )

    owner: Mapped["User"] = relates(back_populates="specs")
    versions: Mapped[list["SpecVersion"]] = relates(back_populates="spec", foreign_keys="SpecVersion.spec_id")
    latest_version: Mapped["SpecVersion | None"] = relates(foreign_keys="Spec.latest_version_id")


class SpecVersion(Erasable, Entity):
    __tablename__ = "spec_versions"
    __table_args__ = (
        sa.UniqueConstraint("spec_id", "name"),
        sa.CheckConstraint("model_count >= 0", name="model_count"),
        lists("ix_spec_versions_spec_id_updated_at_id", "spec_id", "updated_at", "id"),
    )

    spec_id: Mapped[UUID] = refers("specs.id", ondelete="CASCADE")
    name: Mapped[str] = mapped_column(sa.String(100))
    title: Mapped[str | None] = mapped_column(sa.String(255))
    description: Mapped[str | None] = mapped_column(sa.Text)
    model_count: Mapped[int]
    language: Mapped[SpecLanguage] = mapped_column(choice(SpecLanguage))
    source: Mapped[str] = mapped_column(sa.Text, deferred=True)

    spec: Mapped[Spec] = relates(back_populates="versions", foreign_keys="SpecVersion.spec_id")
