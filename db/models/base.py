"""What all tables share: a UUIDv7 key, two moments, the version that updates are checked against, and soft deletion."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedColumn, declared_attr, mapped_column, relationship

from db.searching.folding import follow
from db.types import Instant, Json, Key, now, uuid7


class Base(DeclarativeBase):
    """The base of all tables. Relationships are never loaded by the mapper: the loaders read them, in batches."""

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {UUID: Key(), datetime: Instant(), dict[str, Any]: Json(), list[str]: Json()}


class Entity(Base):
    """A row with an identity of its own."""

    __abstract__ = True

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7, sort_order=-4)
    created_at: Mapped[datetime] = mapped_column(default=now(), sort_order=100)
    updated_at: Mapped[datetime] = mapped_column(default=now(), onupdate=now(), sort_order=101)
    version: Mapped[int] = mapped_column(sort_order=102)

    @declared_attr.directive
    def __mapper_args__(cls) -> dict[str, Any]:
        return {"version_id_col": cls.version, "eager_defaults": True}


for _written in ("before_insert", "before_update"):
    sa.event.listen(Entity, _written, follow, propagate=True)


class Erasable:
    """A row that is soft-deleted: it stays, and nobody sees it. Unique columns are unique among live rows."""

    deleted_at: Mapped[datetime | None] = mapped_column(sort_order=103)


def refers(target: str, *, ondelete: str, **options: Any) -> MappedColumn[Any]:
    """A foreign key to `target` (table.column) with its delete rule."""
    return mapped_column(sa.ForeignKey(target, ondelete=ondelete), **options)


def relates(**options: Any) -> Any:
    """A relationship that only the loaders read."""
    return relationship(lazy="raise", viewonly=True, **options)


def lists(name: str, *columns: str | sa.TextClause) -> sa.Index:
    """The index of a list of live rows, by these columns."""
    return sa.Index(name, *columns, sqlite_where=alive(), postgresql_where=alive())


def unique(name: str, *columns: str, where: str) -> sa.Index:
    """A unique index on these columns, over rows that meet a condition."""
    return sa.Index(name, *columns, unique=True, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def of_one(*columns: str) -> sa.CheckConstraint:
    """A check that exactly one of these columns is set."""
    count = " + ".join(f"CASE WHEN {column} IS NULL THEN 0 ELSE 1 END" for column in columns)
    return sa.CheckConstraint(f"{count} = 1", name="one")


def alive() -> Any:
    """The condition of a partial index over rows that are not deleted."""
    return sa.text("deleted_at IS NULL")


def of_table(table: Any) -> Any:
    """The model whose rows stand in a table."""
    return next(one.class_ for one in Base.registry.mappers if one.local_table.name == table.name)  # type: ignore[attr-defined]
