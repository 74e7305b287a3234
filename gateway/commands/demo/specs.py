"""The demo's specs and their versions."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db import models
from db.types import uuid7
from resolvers.specs.usage import count as count_models

SPEC = """openapi: "3.0.0"
info:
  title: {title}
  version: "{version}"
components:
  schemas:
{schemas}
"""
SCHEMA = """    {name}:
      type: object
      x-tablename: {table}
      properties:
        id: {{type: integer, x-primary-key: true}}
        name: {{type: string, x-index: true}}
      required: [name]
"""


async def fill_specs(session: AsyncSession, owners: list[UUID]) -> None:
    described = {
        "Clinic": ["Patient", "Visit", "Room"],
        "Beamline": ["Magnet", "Monitor"],
        "Corpus": ["Speaker", "Recording", "Segment", "Label"],
        "Inventory": ["Device"],
    }
    for n, (title, tables) in enumerate(described.items()):
        spec = models.Spec(id=uuid7(), user_id=owners[n % 2], canonical_name=title.lower(), name=title)
        session.add(spec)
        await session.flush()
        for minor in range(1 + n % 3):
            count = min(len(tables), minor + 1)
            version = models.SpecVersion(
                id=uuid7(),
                spec_id=spec.id,
                name=f"1.{minor}",
                canonical_name=f"1.{minor}" if minor else "1",
                title=f"{title} data",
                description=f"What the {title.lower()} keeps.",
                model_count=count,
                language=models.SpecLanguage.YAML,
                source=SPEC.format(
                    title=f"{title} data",
                    version=f"1.{minor}",
                    schemas="".join(SCHEMA.format(name=name, table=name.lower()) for name in tables[:count]),
                ),
            )
            session.add(version)
            await session.flush()
            spec.latest_version_id = version.id
            session.add_all(
                models.SpecModel(
                    spec_version_id=version.id, name=name, table_name=name.lower(), column_names="id\nname"
                )
                for name in tables[:count]
            )
    await session.flush()
    for owner in dict.fromkeys(owners[:2]):
        await count_models(session, owner)
