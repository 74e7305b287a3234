"""An entity of the tests' own, in five files as any other: model, migration, policy, type, and its line of the matrix.

`pytest -p tests.toy` declares it before any test is collected: then all tests that walk the declarations try it, too.
`docs/developing.md` walks through it.
"""

from pathlib import Path
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

import schema
from db import migrating
from db.types import uuid7
from resolvers.access.policy import declare
from tests.support.further import FURTHER, Further, Name, Ref, Spot
from tests.toy.model import Sample, SampleDevice
from tests.toy.policy import POLICIES

migrating.LOCATIONS.append(Path(__file__).parent / "versions")
declare(*POLICIES)

from tests.toy.types import SamplesMutation  # noqa: E402  (reads the policies)

schema.MUTATIONS.append(SamplesMutation)


async def _make(session: AsyncSession, spot: Spot, name: str) -> UUID:
    sample = Sample(id=uuid7(), project_id=spot.project, participant_id=spot.participant, name=name, notes="x")
    session.add(sample)
    await session.flush()
    session.add(SampleDevice(sample_id=sample.id, device_id=spot.device))
    await session.flush()
    return sample.id


FURTHER["Sample"] = Further(
    letters="-  -  -  -  CRU CRUDB -  CRUDB - - - - - - - - CRUDB",
    fields={"notes": "PA SA XA"},
    writers={"*": "PU PA SA XA", "notes": "PA SA XA"},
    open="name project participant devices",
    new={"name": Name(), "project": Ref("Project"), "participant": Ref("Participant")},
    changes={"name": Name(), "participant": Ref("Participant"), "notes": Name()},
    make=_make,
)
