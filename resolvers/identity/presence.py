"""Who is online: noted at each request and while a socket is open, and written to the database every few seconds."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from db.engine import Database, changed
from db.locks import in_order
from db.models import Device, Participant, User
from db.types import now
from resolvers.feed import PRESENT
from resolvers.identity.principal import Kind, Principal

INTERVAL = 30.0
"""Seconds between two writes."""
ONLINE = timedelta(seconds=3 * INTERVAL)
"""Someone is online who was heard of within this time."""

_MODELS: dict[Kind, Any] = {Kind.USER: User, Kind.PARTICIPANT: Participant, Kind.DEVICE: Device}


class Present(Enum):
    """How somebody can be reached: BUSY is to be in a session that is under way."""

    OFFLINE = "OFFLINE"
    ONLINE = "ONLINE"
    BUSY = "BUSY"


class Presence:
    """The users, participants and devices that this process has heard of since the last `write`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._heard: set[tuple[Kind, UUID]] = set()
        self._there: Counter[tuple[Kind, UUID]] = Counter()
        self._ahead = timedelta()

    def heard(self, principal: Principal) -> None:
        """A request came."""
        if principal.id is not None and principal.kind in _MODELS:
            self._heard.add((principal.kind, principal.id))

    @contextmanager
    def there(self, principal: Principal) -> Iterator[None]:
        """A socket or a stream is open."""
        who = (principal.kind, principal.id)
        if principal.id is None or principal.kind not in _MODELS:
            yield
            return
        self._there[who] += 1  # type: ignore[index]
        try:
            yield
        finally:
            self._there[who] -= 1  # type: ignore[index]
            self._heard.add(who)  # type: ignore[arg-type]

    def online(self, last: datetime | None) -> bool:
        """Whether someone who was last heard of at this moment is online, by the database's clock."""
        return last is not None and datetime.now(UTC) + self._ahead - last < ONLINE

    def of(self, last: datetime | None, busy: bool) -> Present:
        """How somebody can be reached who was last heard of at this moment."""
        return Present.BUSY if busy else Present.ONLINE if self.online(last) else Present.OFFLINE

    async def compare_clocks(self) -> None:
        """Find out by how much the database's clock, which writes the moments, is ahead of this machine's."""
        ((moment,),) = await self._database.rows(sa.select(now()))
        self._ahead = moment - datetime.now(UTC)

    async def write(self) -> None:
        """Write the moment for all of them. The rows keep their version, because nobody changed them."""
        self._there += Counter()  # forget those who left
        heard, self._heard = self._heard | set(self._there), set()
        for kind, model in _MODELS.items():
            keys = sorted(key for of, key in heard if of is kind)
            if keys:
                noted = sa.update(model).where(model.id.in_(keys))
                values = {"last_online_at": now(), "updated_at": model.updated_at}
                try:
                    async with self._database.write(as_system="who is connected") as session:
                        changed(session, PRESENT)
                        await in_order(session, noted.values(values))
                except Exception:
                    self._heard |= heard  # to be noted the next time
                    raise
