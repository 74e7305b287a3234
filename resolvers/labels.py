"""Labels that people give to rows of their own."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.locks import in_order
from db.models import Entity, SimulationLabel, SpecLabel
from db.searching.folding import composed
from db.written import because
from resolvers.failures import Invalid, check_limit
from resolvers.spelling import JOINERS, invisible

MOST, LENGTH = 20, 50
"""The most labels of one row, and the most characters of each."""


def checked_labels(given: Sequence[str], of: str) -> list[str]:
    """The labels in NFC and without spaces around them, each once; INVALID for an empty or a long one, or one with
    letters that show nothing; LIMIT_EXCEEDED for too many. `of` says of what they are, such as `a spec`."""
    found: dict[str, None] = {}
    for n, text in enumerate(given):
        label = composed(text.strip())
        if not 1 <= len(label) <= LENGTH or invisible(label) or not label.strip(JOINERS):
            told = f"a label has 1 to {LENGTH} characters on one line, without invisible ones"
            raise Invalid(told, field=f"input.labels.{n}", allowed=LENGTH, value=len(label))
        found[label] = None
    told = f"{of} has at most {MOST} labels, not {len(found)}"
    check_limit(told, len(found), MOST, limit="labels", field="input.labels")
    return list(found)


async def put_labels(session: AsyncSession, model: type[Entity], of: Any, key: UUID, labels: Sequence[str]) -> bool:
    """Give a row, locked by the transaction, these labels and no others. They are rows of `model`, whose column `of`
    names the row. Returns whether any changed."""
    label: Any = model
    held = set((await session.scalars(sa.select(label.name).where(of == key))).all())
    if held == set(labels):
        return False
    because(session, "labels go with what they are of", SimulationLabel, SpecLabel)
    await in_order(session, sa.delete(model).where(of == key, label.name.not_in(labels)))
    session.add_all(label(**{of.key: key, "name": name}) for name in labels if name not in held)
    await session.flush()
    return True
