"""The process that runs jobs: it claims tasks for an engine, merges what they deliver, and ends what fell silent.

The rows are the truth. Whatever this process forgets by dying, another, or itself at its next start, finds there.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID, uuid4

import sqlalchemy as sa
import structlog

from db.models import Job, JobState, Task, TaskResult
from jobs.engine import Engine, Run
from jobs.results import Merging, ResultError, read
from resolvers import claims, jobs
from resolvers.claims import Claimed
from resolvers.context import Services
from resolvers.feed import WORK
from resolvers.principal import Errand
from resolvers.simulations import read_delivered, store_estimators

log = structlog.get_logger("torana.jobs")

MERGING = 900.0
"""Seconds that merging the results of one job may take before another process takes it over."""


class Dispatcher:
    """Works until `close`; `alone` says that no other process runs jobs of this database.

    `reports_to` is the address at which workers reach this gateway.
    """

    def __init__(self, services: Services, engine: Engine, reports_to: str, *, alone: bool) -> None:
        self._services = services
        self._engine = engine
        self._reports_to = reports_to
        self._alone = alone
        self._holder = str(uuid4())
        self._running: dict[Errand, Run] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Stop the runs of this process; their tasks wait again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._engine.close()
        for ending in self._ending:
            ending.cancel()
        await asyncio.gather(*self._ending, return_exceptions=True)
        if self._running:
            async with self._services.database.write() as session:
                for errand in self._running:
                    await claims.release_task(session, errand, "the gateway stopped", None)

    async def _work(self) -> None:
        with self._services.feed.subscription(WORK) as changes:
            await self._guarded(lambda: self._reap(at_start=self._alone))
            interval = self._services.limits.lease / 3
            due = time.monotonic() + interval
            while True:
                for step in (self._drop_cancelled, self._fill, self._merge_ready):
                    await self._guarded(step)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, due - time.monotonic())):
                        await changes.next()
                if time.monotonic() >= due:
                    await self._guarded(self._reap)
                    due = time.monotonic() + interval

    async def _guarded(self, step: Callable[[], Awaitable[None]]) -> None:
        """One failed step, such as a database out of reach, must not end the loop."""
        try:
            await step()
        except Exception as error:
            log.error("jobs.step_failed", step=getattr(step, "__name__", "reap"), error=repr(error))
            await asyncio.sleep(0.5)

    async def _reap(self, *, at_start: bool = False) -> None:
        """Give up what is no longer run by anybody."""
        reason = "the gateway that ran it ended" if at_start else "no sign of life within the lease"
        async with self._services.database.write() as session:
            for errand in await claims.lost_errands(session, all_but=self._holder if at_start else None):
                await claims.release_task(session, errand, reason, self._services.limits.task_attempts)

    async def _drop_cancelled(self) -> None:
        if not self._running:
            return
        async with self._services.database.write() as session:
            live = await claims.still_running(session, list(self._running))
        for errand, run in list(self._running.items()):
            if errand not in live:
                await self._engine.cancel(run)

    async def _fill(self) -> None:
        if (free := self._engine.slots - len(self._running)) <= 0:
            return
        limits = self._services.limits
        async with self._services.database.write() as session:
            claimed = await claims.claim_tasks(session, self._holder, free, limits.lease)
        for task in claimed:
            run = self._run(task)
            self._running[task.errand] = run
            ending = asyncio.create_task(self._follow(task.errand, run))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    def _run(self, task: Claimed) -> Run:
        token = self._services.keys.worker_token(task.errand, self._services.limits.worker_lifetime)
        name = f"{task.job_key}-{task.errand.ordinal}-{task.errand.attempt}"
        return Run(name=name, gateway=self._reports_to, token=token)

    async def _follow(self, errand: Errand, run: Run) -> None:
        """Wait for the end of a run, and see to its task when the worker did not. What can't be told now is reaped."""
        try:
            reason = await self._engine.run(run)
        except OSError as error:
            reason = f"the worker could not be started: {error.strerror}"
        try:
            async with self._services.database.write() as session:
                await claims.release_task(session, errand, reason, self._services.limits.task_attempts)
        except (OSError, sa.exc.SQLAlchemyError) as error:
            log.error("jobs.release_failed", task=run.name, error=repr(error))
        finally:
            self._running.pop(errand, None)
            self._services.feed.publish([WORK])

    async def _merge_ready(self) -> None:
        await merge_ready(self._services)


async def merge_ready(services: Services) -> None:
    """Merge the delivered results of every job that waits for it."""
    while True:
        async with services.database.write() as session:
            claimed = await claims.claim_merging(session, MERGING)
        if claimed is None:
            return
        await _merge(services, *claimed)


async def _merge(services: Services, key: UUID, lease: datetime) -> None:
    """Merge outside any transaction, then store the result and end the job in one, if it is still ours to do."""
    merging, error = Merging(), None
    async with services.database.read() as connection:
        tasks = sa.select(TaskResult.id).join(Task, Task.id == TaskResult.task_id).where(Task.job_id == key)
        delivered = (await connection.execute(tasks.order_by(Task.ordinal))).scalars().all()
        for result in delivered:
            one = sa.select(TaskResult.primaries, TaskResult.data).where(TaskResult.id == result)
            primaries, data = (await connection.execute(one)).one()
            try:
                await asyncio.to_thread(lambda p, d: merging.add(p, read(read_delivered(d))), primaries, data)
            except ResultError as failure:
                error = str(failure)
                break
    merged = [] if error else await asyncio.to_thread(merging.result)
    async with services.database.write() as session:
        job = await session.get(Job, key, with_for_update=True)
        if job is None or job.simulation_id is None or job.lease_until != lease:
            return
        job.lease_until = None
        if error is not None and job.state is JobState.MERGING_RUNNING:
            await jobs.move(session, job, JobState.FAILED, error={"code": "MERGE_FAILED", "message": error})
        elif error is None:
            overtaken = sa.exists().where(
                Job.simulation_id == job.simulation_id, Job.attempt > job.attempt, Job.state == JobState.COMPLETED
            )
            if not await session.scalar(sa.select(overtaken)):
                await store_estimators(session, job.simulation_id, merged)
            if job.state is JobState.MERGING_RUNNING:
                await jobs.move(session, job, JobState.COMPLETED)
        await session.execute(sa.delete(TaskResult).where(TaskResult.id.in_(delivered)))
