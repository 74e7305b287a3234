"""Many submissions to one challenge that wait, and one to another that came last: when it is its turn."""

import secrets
import statistics
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa

from bench import data, rows
from bench.boards import Contest
from bench.jobs.gateway import bare
from bench.rows import START, Row, entity
from db import models
from db.types import now, uuid7
from resolvers.context import Services
from resolvers.queue.ranking import Turns, chosen, write_places

QUEUED = 500


@dataclass(frozen=True)
class Queue:
    """An evaluation's job, with its one task, for each of some evaluations of a challenge."""

    lane: UUID
    owner: UUID
    evaluations: list[UUID]

    def tables(self) -> Iterator[tuple[type[models.Entity], Iterable[Row]]]:
        jobs = [uuid7() for _ in self.evaluations]
        yield models.Job, (entity(self._job(*keys)) for keys in zip(jobs, self.evaluations, strict=True))
        yield models.Task, (entity(_task(job)) for job in jobs)

    def _job(self, key: UUID, evaluation: UUID) -> Row:
        return {
            "id": key, "key": f"evaluation-{key}", "kind": "SUBMISSION_EVALUATION", "owner_user_id": self.owner,
            "state": "PENDING", "platform": "IN_PROCESS", "options": "{}", "external": "{}", "batches": 0,
            "title": "evaluation", "attempt": 1, "priority": 0, "progress": 0.0, "submitted_at": START,
            "history": "[]", "warnings": "[]", "last_update_at": START, "log_length": 0, "parts": False, "merges": 0,
            "evaluation_id": evaluation, "lane_id": self.lane,
        }  # fmt: skip


def _task(job: UUID) -> Row:
    return {
        "id": uuid7(), "job_id": job, "ordinal": 1, "state": "PENDING", "requested": 1, "done": 0, "attempt": 1,
        "losses": 0, "interruptions": 0, "last_update_at": START,
    }  # fmt: skip


async def turns(server: str, folder: Path) -> None:
    url = await data.create(server)
    reader = await data.reader_of(url)
    async with bare(url, f"bench:{secrets.token_urlsafe(48)}", folder) as services:
        generated = rows.generate(20, reader)
        await data.store(services.database, generated)
        lanes = []
        for number, entries in enumerate((QUEUED, 1)):
            contest = Contest(generated.users, name=f"bench {number}", entries=entries)
            lanes.append(await data.contend(services.database, contest))
            wanted = sa.select(models.Evaluation.id).where(models.Evaluation.challenge_id == contest.key)
            evaluations = [row.id for row in await services.database.rows(wanted)]
            await data.store(services.database, Queue(contest.key, generated.users[number], evaluations))
        await _served(services, lanes[1])


async def _served(services: Services, other: UUID) -> None:
    """Hand over one task at a time, each once the one before has ended."""
    began = time.perf_counter()
    async with services.database.write(as_system="bench") as session:
        waiting = await write_places(session, None)
    places, taken, turn = time.perf_counter() - began, [], 0
    for number in range(1, 11):
        began = time.perf_counter()
        async with services.database.write(as_system="bench") as session:
            ((key, _),) = (await chosen(session, None, 1, Turns())).items()
            job = await session.get_one(models.Job, key)
            taken.append(time.perf_counter() - began)
            job.state, job.handed_at = models.JobState.COMPLETED, now()
            task = (await session.scalars(sa.select(models.Task).where(models.Task.job_id == key))).one()
            task.state = models.JobState.COMPLETED
            turn = turn or (number if job.lane_id == other else 0)
    print(
        f"turns: {waiting} evaluations wait for one slot; the one of the other challenge was number {turn}; a choice "
        f"took {statistics.median(taken) * 1000:.0f} ms at the median, the places of all {places * 1000:.0f} ms",
        flush=True,
    )
