"""Mails to people whose jobs have ended: one for all that ended within some time."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import Database
from db.keys import among
from db.models import Job, JobState, User
from db.types import later
from resolvers.mail.outbox import post
from resolvers.mail.templates import printable
from resolvers.spelling import visible

log = structlog.get_logger("torana.notices")

TEMPLATE = "jobs_ended"
LISTED = 50
"""The most jobs that a mail names; it counts all."""
LENGTH = 200
"""The most characters of a title or an error in a mail."""
OWNERS = 100
"""The most owners who are told at once; others are told the next time."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A job of a mail. `state` is the name of its state; `error` says why it failed, and is empty where it did not."""

    name: str
    state: str
    error: str


async def wanted(session: AsyncSession, owner: UUID) -> bool:
    """Whether the owner of a job that ends is to get a mail about it: wants one, at an address that is confirmed, and
    may sign in."""
    asks = User.notified & User.notified_of_jobs & User.active & User.email_verified
    return bool(await session.scalar(sa.select(asks).where(User.id == owner, User.deleted_at.is_(None))))


async def tell_owners(database: Database, seconds: float, address: str) -> int:
    """Post a mail to each owner the first of whose untold jobs ended so many seconds ago; it tells of all that have
    ended since, and links to the gateway's public `address`. Returns how many mails were posted."""
    due = (
        sa.select(Job.owner_user_id)
        .where(Job.untold.is_(sa.true()))
        .group_by(Job.owner_user_id)
        .having(sa.func.min(Job.ended_at) <= later(-seconds))
        .limit(OWNERS)
    )
    owners = [row.owner_user_id for row in await database.rows(due)]
    posted = 0
    for owner in owners:
        async with database.write(as_system="owners are told of jobs that ended") as session:
            posted += await _tell(session, owner, address)
    return posted


async def _tell(session: AsyncSession, owner: UUID, address: str) -> bool:
    """Tell an owner of the jobs that have ended. Whoever comes second, in another process, finds none."""
    columns = (Job.id, Job.title, Job.key, Job.state, Job.error, Job.ended_at, Job.deleted_at)
    untold = sa.select(*columns).where(Job.owner_user_id == owner, Job.untold.is_(sa.true()))
    rows = (await session.execute(untold.order_by(Job.id).with_for_update(key_share=True))).all()
    told = sa.update(Job).where(among(Job.id, "keys", [row.id for row in rows]))
    told = told.values(untold=False, updated_at=Job.updated_at)
    await session.execute(told.execution_options(synchronize_session=False))
    live = sorted((row for row in rows if row.deleted_at is None), key=_place)
    user = await session.get(User, owner)
    if not live or user is None or not await wanted(session, owner):
        return False
    counts = Counter(row.state.name for row in live)
    jobs = [_ended(row) for row in live[:LISTED]]
    await post(
        session,
        TEMPLATE,
        user,
        jobs=jobs,
        listing=_listing(jobs),
        count=len(live),
        more=len(live) - len(jobs),
        completed=counts["COMPLETED"],
        failed=counts["FAILED"],
        canceled=counts["CANCELED"],
        url=address,
    )
    return True


def _place(row: Any) -> tuple[Any, ...]:
    """The place of a job in a mail: what failed comes first, then by end."""
    return row.state is not JobState.FAILED, row.ended_at, row.id


def _ended(row: Any) -> Ended:
    error = (row.error or {}).get("message") or "" if row.state.name == "FAILED" else ""
    return Ended(_line(row.title) or row.key, row.state.name, _line(error))


def _line(text: str) -> str:
    """A text of others on one line, without letters that show nothing."""
    spaced = "".join(letter if printable(letter) else " " for letter in text)
    line = " ".join(visible(spaced).split())
    return line if len(line) <= LENGTH else f"{line[: LENGTH - 1]}…"


def _listing(jobs: Sequence[Ended]) -> str:
    """The jobs as lines, for templates that have no loops."""
    return "\n".join(f"{job.state}: {job.name}{f' ({job.error})' if job.error else ''}" for job in jobs)
