"""Generated rows: specs of one owner, each with its versions."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa

from bench.rows import START, Row, entity
from db import models
from db.types import uuid7

SPECS, VERSIONS = 1_000, 10


@dataclass(frozen=True)
class Registry:
    """Spec n is called `spec-{n}`; its versions are 1.0 to 1.9, the last is the latest."""

    owner: UUID
    keys: list[UUID] = field(default_factory=lambda: [uuid7() for _ in range(SPECS)])

    def tables(self) -> Iterator[tuple[type[models.Entity], Iterable[Row]]]:
        """The rows of each table, those first that others refer to."""
        yield models.Spec, map(entity, self._specs())
        yield models.SpecVersion, map(entity, self._versions())

    def closing(self) -> list[sa.Update]:
        """What closes the circle of references: the latest version of each spec."""
        spec, version = models.Spec, models.SpecVersion
        last = sa.select(version.id).where(version.spec_id == spec.id, version.name == f"1.{VERSIONS - 1}")
        latest = sa.update(spec).values(latest_version_id=last.scalar_subquery(), updated_at=spec.updated_at)
        return [latest.execution_options(synchronize_session=False)]

    def _specs(self) -> Iterator[Row]:
        for n, key in enumerate(self.keys):
            name = f"spec-{n:04}"
            yield {
                "id": key, "user_id": self.owner, "canonical_name": name, "canonical_name_folded": name, "name": name,
                "state": "ACTIVE", "compatibility": "NONE", "package_changes": 0,
            }  # fmt: skip

    def _versions(self) -> Iterator[Row]:
        for n, key in enumerate(self.keys):
            for number in range(VERSIONS):
                name = f"1.{number}"
                yield {
                    "id": uuid7(), "spec_id": key, "name": name, "canonical_name": name, "title": f"Spec {n}",
                    "description": "Models of a beam line.", "model_count": 3, "language": "JSON", "source": "{}",
                    "created_at": START + timedelta(hours=number),
                }  # fmt: skip
