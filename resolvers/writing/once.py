"""Run a mutation once: it is tried again from its beginning only while nothing was committed."""

from collections.abc import Awaitable, Callable
from typing import Any

import sqlalchemy as sa
import structlog

from db.outages import Contended, Unconfirmed, tried_again
from db.tally import Tally, tally
from resolvers.failures import CONTENDED, Away, Conflict, Failure, NotShown

log = structlog.get_logger("torana")

_NOT_AGAIN = "don't do it again"
BUSY = "others were changing the same at this moment; send it again"
LOST = "the database went away as this was being stored; send it again"


async def done_once(work: Callable[[], Awaitable[Any]], name: str, *, shown: bool, repeatable: bool) -> Any:
    """The result of a mutation, which is tried again while other transactions get in its way.

    Raises CONFLICT when they go on doing so, and UNCONFIRMED when it was committed and its result can't be shown
    (`shown`: there must be one). A `repeatable` mutation raises the failure itself, or UNAVAILABLE in place of either.
    """
    counted = tally.get() or Tally()
    before = counted.commits
    try:
        found = await tried_again(work, lambda: counted.commits == before)
    except Contended:
        raise Away(BUSY) if repeatable else Conflict(CONTENDED) from None
    except Unconfirmed:
        if repeatable:
            raise Away(LOST) from None
        raise
    except Failure:
        raise
    except Exception as error:
        if counted.commits == before or repeatable:
            raise
        told = isinstance(error, ConnectionError | sa.exc.TimeoutError)  # of the database, which says enough
        log.warning("mutation.not_shown", field=name, error=repr(error), exc_info=None if told else error)
        raise NotShown(f"it is done, but can't be shown now; {_NOT_AGAIN}") from None
    if found is None and shown and counted.commits > before:
        raise NotShown(f"it is done, but there is nothing to show: it is gone, or not yours to see; {_NOT_AGAIN}")
    return found
