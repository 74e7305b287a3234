"""What a resolver has at hand, for one operation."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from db.engine import Database
from resolvers.failures import LimitExceeded
from resolvers.feed import Feed
from resolvers.keyring import KeyRing
from resolvers.limits import Limits
from resolvers.loading import Loaders
from resolvers.passwords import Passwords
from resolvers.principal import ANONYMOUS, Principal
from resolvers.principals import Principals

NUMBERS = 32_000_000
"""Bytes of stored numbers in one response."""


@dataclass(frozen=True)
class Services:
    """What all operations of a process share."""

    database: Database
    feed: Feed
    keys: KeyRing
    principals: Principals
    passwords: Passwords
    limits: Limits


@dataclass
class Context:
    """`memo` outlives the operation and belongs to its document; `client` tells where the request came from; without
    `rendering` everything is read row by row."""

    services: Services
    principal: Principal = ANONYMOUS
    client: dict[str, Any] = field(default_factory=dict)
    memo: dict[Any, Any] = field(default_factory=dict)
    rendering: bool = True
    spent: int = 0

    @property
    def database(self) -> Database:
        return self.services.database

    @cached_property
    def loaders(self) -> Loaders:
        return Loaders(self.services.database, self.principal, self.spend)

    def spend(self, size: int) -> None:
        """Count bytes of stored numbers that go into the response, and refuse too many."""
        spent = self.spent + size
        if spent > NUMBERS:
            raise LimitExceeded(
                f"the numbers of one response take at most {NUMBERS} bytes; ask for fewer pages",
                limit="numbers",
                allowed=NUMBERS,
                value=spent,
            )
        self.spent = spent

    def become(self, principal: Principal) -> None:
        """Go on as someone else, with nothing read yet."""
        self.principal = principal
        self.__dict__.pop("loaders", None)

    def fork(self) -> "Context":
        """The same, with nothing read yet: for each event of a subscription."""
        return replace(self, spent=0)
