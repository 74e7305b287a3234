"""The context of one operation: who asks, the services of the process, and the loaders."""

from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import Database
from db.models import File, FilePurpose, JobKind, Upload
from db.storage.storage import Storage
from db.turns import Turns as InTurn
from jobs.programs import Registry
from resolvers.failures import Failure, TooLarge
from resolvers.feed import Feed
from resolvers.identity.hashing import Passwords
from resolvers.identity.issuers import Issuers
from resolvers.identity.last_used import Uses
from resolvers.identity.lookup import Principals
from resolvers.identity.presence import Presence
from resolvers.identity.principal import ANONYMOUS, Principal
from resolvers.identity.tokens import KeyRing
from resolvers.limits import FileBounds, Limits
from resolvers.maintenance import Locking
from resolvers.pace import Pace
from resolvers.queue.kinds import Kind
from resolvers.queue.reports import Reports
from resolvers.reading.loaders import Loaders
from resolvers.turns import Turns

BYTES = 32_000_000
"""The most bytes of one answer."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """How people get in: the address that links in mails begin with, and whether anyone may make an account."""

    address: str
    sign_up: bool


@dataclass
class Browser:
    """A browser that wants its refresh token in a cookie: what it sent in the cookie, and what the cookie is to hold
    from now on (empty: nothing; None: no change). `unable` is true where the answer can't set a cookie."""

    sent: str | None = None
    unable: bool = False
    kept: str | None = None


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The services that find out who asks: the keys that sign tokens, the look-up of principals, and the uses of
    credentials."""

    keys: KeyRing
    principals: Principals
    passwords: Passwords
    issuers: Issuers
    uses: Uses
    presence: Presence

    async def close(self) -> None:
        """Write what is not written yet, and stop what runs."""
        await self.issuers.close()
        await self.uses.settled()
        self.passwords.close()


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """What jobs need: their kinds, the programs that run, what workers report, and the turns in which inputs are read
    and compared."""

    kinds: "Mapping[JobKind, Kind[Services]]"
    programs: Registry
    reports: Reports
    inputs: InTurn = field(default_factory=InTurn)


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """What else happens, in the same transaction, when the last byte of an upload of some purpose has `come`, when its
    file was `taken`, and when it was `refused`, which is told with a code and a message."""

    come: Callable[[AsyncSession, Upload], Awaitable[None]]
    taken: Callable[[AsyncSession, Upload, File], Awaitable[None]]
    refused: Callable[[AsyncSession, Upload, Mapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Files:
    """What files need: where their bytes lie, how many there may be, what their arrival leads to, and the turns in
    which uploads write."""

    storage: Storage
    bounds: FileBounds
    arrivals: Mapping[FilePurpose, Arrival] = field(default_factory=dict)
    turns: Turns = field(default_factory=Turns)


@dataclass(frozen=True, kw_only=True)
class Services:
    """What all operations of a process share."""

    database: Database
    feed: Feed
    limits: Limits
    identity: Identity
    jobs: Jobs
    files: Files
    locking: Locking
    entrance: Entrance
    pace: Pace = field(default_factory=Pace)


def lane_of(principal: Principal, client: Mapping[str, Any]) -> Hashable:
    """The client who takes turns with others in long work: a principal, or the address of an unknown client."""
    return principal.id or client.get("ip")


@dataclass
class Context:
    """What a resolver has for one operation: its services and its principal.

    `memo` outlives the operation and belongs to its document. `client` tells where the request came from. Without
    `rendering` everything is read row by row. `browser` is set when the client keeps its session in a cookie. `refused`
    is the failure of a bad credential, where the operation is run all the same. `presented` looks up anew who presented
    the credential, which takes no statement unless rights changed. `mutated` is set by the first mutation. `until` is
    when the operation is stopped, by the clock of the loop.
    """

    services: Services
    principal: Principal = ANONYMOUS
    client: dict[str, Any] = field(default_factory=dict)
    memo: dict[Any, Any] = field(default_factory=dict)
    rendering: bool = True
    spent: int = 0
    browser: Browser | None = None
    refused: Failure | None = None
    presented: Callable[[], Awaitable[Principal]] | None = None
    mutated: bool = False
    until: float | None = None

    @property
    def database(self) -> Database:
        return self.services.database

    @cached_property
    def loaders(self) -> Loaders:
        return Loaders(self.services.database, self.principal, self.spend, lane_of(self.principal, self.client))

    @property
    def lane(self) -> Hashable:
        return lane_of(self.principal, self.client)

    def spend(self, size: int) -> None:
        """Count bytes of the answer; raises TooLarge for too many."""
        self.spent += size
        if self.spent > BYTES:
            told = f"an answer has at most {BYTES} bytes; ask for fewer rows or values"
            raise TooLarge(told, limit="bytes", allowed=BYTES, value=self.spent)

    def become(self, principal: Principal) -> None:
        """Go on as another principal, and forget all that was read."""
        self.principal, self.presented = principal, None
        if principal is not ANONYMOUS:
            self.refused = None
        self.__dict__.pop("loaders", None)

    async def look_again(self) -> None:
        """Go on with the rights that the principal has by now; raises UNAUTHENTICATED when its credential has ended."""
        if (look := self.presented) is None or self.refused is not None:
            return
        if (principal := await look()) != self.principal:
            self.become(principal)
            self.presented = look

    def fork(self) -> "Context":
        """The same context with nothing read yet: one for each event of a subscription."""
        return replace(self, spent=0)
