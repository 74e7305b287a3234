"""The interface of all engines. The database's rows are the truth: an engine starts workers, and reports what it
sees."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""The form of a name of a cluster, a partition or an account: nothing that a shell or a command would take for
something else."""
MOST = {"minutes": 60 * 24 * 30, "megabytes": 4_000_000, "cores": 1_024}
"""The most that one task may get of a cluster."""


@dataclass(frozen=True, slots=True)
class Login:
    """The login of a user on a cluster: an SSH key and its certificate, as OpenSSH writes them."""

    private_key: str
    certificate: str


@dataclass(frozen=True, slots=True)
class Held:
    """A batch that an engine was given. `name` is ours, and unique to this hand-over. Engines store it where it can be
    looked up, because the numbers that they give may be given again. `login` is that of the job's owner, where the
    cluster needs one."""

    name: str
    login: Login | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Tasks of one job that are handed over together.

    `tokens` holds, by the ordinals of the tasks, what lets a worker claim one. With the token `collector`, a program
    that runs after the last of them reports that all have ended. Workers report to `gateway`. `options` are what users
    may ask a cluster for: partition, minutes, megabytes, cores, account.
    """

    held: Held
    gateway: str
    tokens: Mapping[int, str]
    collector: str
    options: Mapping[str, Any]


class State(Enum):
    """What an engine sees of a task."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    ENDED = "ENDED"


class Ending(Enum):
    """What it means that a run ended without a report of its worker. A LOST run ended by itself, and may end otherwise
    when it is run again. An INTERRUPTED one ended with its host: the gateway's process, or a node. One over its bounds
    FAILED, and one that somebody ended on the cluster was CANCELED."""

    LOST = "LOST"
    INTERRUPTED = "INTERRUPTED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


@dataclass(frozen=True, slots=True)
class Seen:
    """What an engine sees of a task, and of its end. `reason` says in words how it ended; `starts_at` is when the
    engine plans to start it."""

    state: State
    reason: str = ""
    starts_at: datetime | None = None
    ending: Ending = Ending.LOST


class Away(Exception):
    """The engine can't be reached now; it may be later."""


class Refused(Exception):
    """The engine will not take this batch; the message is for its owner."""


class Engine(Protocol):
    """An engine. With `personal`, batches and what is held need their owner's login. Every method but `close` may raise
    Away."""

    personal: bool

    def room(self) -> int:
        """How many tasks the engine takes now."""

    async def submit(self, batch: Batch) -> Mapping[str, Any]:
        """Take a batch; returns what administrators may want to know of it. Raises Refused. A name that was taken
        before is not run again."""

    async def cancel(self, held: Held, ordinals: Sequence[int]) -> None:
        """End tasks of a batch, waiting or running, with all that they started. A task that is gone is no error."""

    async def poll(self, held: Sequence[Held]) -> Mapping[str, Mapping[int, Seen]]:
        """What the engine knows of these batches, by name and ordinal."""

    async def close(self) -> None:
        """End what can't outlive this process, and disconnect from the rest."""
