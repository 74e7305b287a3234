"""Labels that people give to simulations."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.locks import in_order
from db.models import SimulationLabel
from db.searching.folding import composed
from db.written import because
from resolvers.failures import Invalid, check_limit
from resolvers.spelling import JOINERS, invisible

MOST, LENGTH = 20, 50
"""The most labels of one simulation, and the most characters of each."""


def checked_labels(given: Sequence[str]) -> list[str]:
    """The labels in NFC and without spaces around them, each once; INVALID for an empty or a long one, or one with
    letters that show nothing; LIMIT_EXCEEDED for too many."""
    found: dict[str, None] = {}
    for n, text in enumerate(given):
        label = composed(text.strip())
        if not 1 <= len(label) <= LENGTH or invisible(label) or not label.strip(JOINERS):
            told = f"a label has 1 to {LENGTH} characters on one line, without invisible ones"
            raise Invalid(told, field=f"input.labels.{n}", allowed=LENGTH, value=len(label))
        found[label] = None
    told = f"a simulation has at most {MOST} labels, not {len(found)}"
    check_limit(told, len(found), MOST, limit="labels", field="input.labels")
    return list(found)


async def put_labels(session: AsyncSession, simulation: UUID, labels: Sequence[str]) -> bool:
    """Give a simulation, locked by the transaction, these labels and no others. Returns whether any changed."""
    of_it = SimulationLabel.simulation_id == simulation
    held = set((await session.scalars(sa.select(SimulationLabel.name).where(of_it))).all())
    if held == set(labels):
        return False
    because(session, "labels go with their simulation", SimulationLabel)
    await in_order(session, sa.delete(SimulationLabel).where(of_it, SimulationLabel.name.not_in(labels)))
    session.add_all(SimulationLabel(simulation_id=simulation, name=label) for label in labels if label not in held)
    await session.flush()
    return True
