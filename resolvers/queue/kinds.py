"""The kinds of jobs: what the tasks of a kind are given, and what is done with what they deliver. Each wing that has
jobs declares a `Kind`; nothing else tells kinds apart."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db.models import FilePurpose, Job, JobKind, Task, Upload
from jobs.programs.program import Program
from resolvers.queue.lifecycle import Subject

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that a worker fetches from the gateway before its program starts: the name in its input folder, and the
    path with a ticket. `checksum` is its SHA-256 in hexadecimal digits, where it is known."""

    name: str
    path: str
    checksum: str | None = None


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a task is given: the program to run, the texts of small input files by name, and files to fetch."""

    program: Program
    texts: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[Fetched] = ()


@dataclass(frozen=True, slots=True)
class Accepted:
    """Results that came as JSON: packed, as they wait, and sentences about what of them is not taken."""

    data: bytes
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """What was put together of a job's results: the keys of the task results that it holds, how to store it in a
    transaction that has the job locked, or why it can't be."""

    delivered: Sequence[UUID]
    store: Callable[[AsyncSession, Job], Awaitable[None]] | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[S]):
    """A kind of jobs. `S` are the services that its functions are given.

    `inputs` tells what a task is given. `subject` finds what a job is about, for another attempt; it raises when there
    must be none. A task that delivers files uploads them for `purpose` with its token; `accept` then takes them, in the
    transaction that ends the task: by then all are checked. `hold` locks, in the same, what `accept` changes of rows
    that are locked before jobs. `accept_json` checks results that come as JSON, outside any
    transaction; it is given them with the count of the numbers that came apart. They wait until `finish` puts those of
    all tasks together, while the job runs and at its end. A task may deliver both.
    """

    name: JobKind
    inputs: Callable[[S, Job, Task], Awaitable[Inputs]]
    subject: Callable[[AsyncSession, Job], Awaitable[Subject]]
    purpose: FilePurpose | None = None
    place: Callable[[Job], Mapping[str, Any]] = lambda _: {}
    """The columns of the uploads of a job's tasks that say what they belong to."""
    accept: Callable[[S, AsyncSession, Job, Task, Sequence[Upload]], Awaitable[None]] | None = None
    hold: Callable[[AsyncSession, UUID], Awaitable[None]] | None = None
    accept_json: Callable[[S, Any, int], Accepted] | None = None
    finish: Callable[[S, UUID], Awaitable[Finished]] | None = None


def kinds_of(*kinds: Kind[S]) -> Mapping[JobKind, Kind[S]]:
    """Kinds by name; each kind of job has one."""
    found = {kind.name: kind for kind in kinds}
    assert set(found) == set(JobKind), "each kind of job has one declaration"
    return found
