"""The dispatcher runs jobs: it hands tasks to engines, watches them, merges results, and takes back lost tasks.

The rows are the truth. When this process dies, another one, or its next start, finds there all that it knew.
"""

import asyncio
import contextlib
import math
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog

from db.models import JobState
from db.outages import finished
from jobs.engine import Away, Batch, Ending, Engine, Held, Login, Refused, State
from resolvers.accounts.ssh_certificates import login_of
from resolvers.context import Services
from resolvers.feed import ENDED, WORK
from resolvers.identity.principal import TaskClaim
from resolvers.queue import leases, merge_leases
from resolvers.queue.leases import Handed
from resolvers.queue.ranking import Turns
from resolvers.steps import guarded
from resolvers.work.places import Places
from resolvers.work.releases import Release, release_all

log = structlog.get_logger("torana.jobs")

AWAY = 5.0
"""Seconds after which an engine that could not be reached is tried again."""
STEP = 200
"""The most tasks that are handed over at once."""


@dataclass(frozen=True, slots=True)
class Post:
    """An engine, and the cluster whose jobs it runs; None: the jobs of the gateway's own machine. The engine is polled
    every `interval` seconds. A task that it does not know is handed over again after `patience` seconds, unless it was
    claimed."""

    engine: Engine
    cluster: UUID | None
    interval: float
    patience: float


class Dispatcher:
    """Runs until `close`; `alone` says that no other process runs jobs of this database.

    `reports_to` is the address at which workers reach this gateway; `merge` merges what jobs have delivered.
    """

    def __init__(
        self,
        services: Services,
        posts: Sequence[Post],
        reports_to: str,
        *,
        merge: Callable[[], Awaitable[None]],
        alone: bool,
    ) -> None:
        self._services = services
        self._posts = [_Posted(services, post, reports_to) for post in posts]
        self._merge_ready = merge
        self._alone = alone
        self._merge_at = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(work()) for work in (self._look_after, *(p.work for p in self._posts))]

    async def close(self) -> None:
        """Stop what can't outlive this process; its tasks wait again."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for posted in self._posts:
            await posted.close()

    async def _look_after(self) -> None:
        """Merge, and release tasks whose workers fell silent."""
        services = self._services
        if self._alone:
            await guarded(self._take_back_all, "jobs", away=1.0, failed=0.5)
        with services.feed.subscription(WORK) as changes:
            shortest = min(services.limits.lease, services.limits.cluster_lease)
            interval = shortest / 3
            # Who seems silent at first may only have found no gateway.
            due = time.monotonic() + shortest
            while True:
                await guarded(self._merge, "jobs", away=1.0, failed=0.5)
                if time.monotonic() >= due:
                    await guarded(self._reap, "jobs", away=1.0, failed=0.5)
                    due = time.monotonic() + interval
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, min(due, self._merge_at) - time.monotonic())):
                        await changes.next()

    async def _merge(self) -> None:
        """Merge what waits for it, and find out when parts of running jobs are due."""
        most = self._services.limits.lease
        self._merge_at = time.monotonic() + most
        await self._merge_ready()
        self._merge_at = time.monotonic() + await merge_leases.parts_due(self._services.database, most)

    async def _take_back_all(self) -> None:
        """Release all tasks of this machine and all mergings, at the start of the only process: none of them can still
        run."""
        live = await leases.live_tasks(self._services.database, None, JobState.PENDING, JobState.RUNNING)
        async with self._services.database.write(as_system="jobs are handed to engines") as session:
            await merge_leases.release_all_merging(session)
        why = "the gateway that ran it ended"
        ran = {JobState.RUNNING: Ending.INTERRUPTED}
        await release_all(self._services, [Release(one.task_claim, why, ran.get(one.state)) for one in live])

    async def _reap(self) -> None:
        """Release tasks that no worker runs any more."""
        async with self._services.database.write(as_system="jobs are handed to engines") as session:
            lost = await leases.lapsed_claims(session)
        why = "no sign of life within the lease"
        await release_all(self._services, [Release(one, why, Ending.INTERRUPTED) for one in lost], lapsed=True)


class _Posted:
    """Keeps the rows and the tasks of one engine in agreement, again and again."""

    def __init__(self, services: Services, post: Post, reports_to: str) -> None:
        self._services = services
        self._post = post
        self._reports_to = reports_to
        self._cancelled: set[tuple[str, int]] = set()
        self._looked = 0.0
        self._places = Places(services, post.cluster)
        self._away = False

    async def work(self) -> None:
        with self._services.feed.subscription(WORK, ENDED) as changes:
            while True:
                await guarded(self._step, "jobs", away=1.0, failed=0.5)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(self._post.interval, self._places.wait)):
                        if ENDED in await changes.next():
                            self._looked = -math.inf

    async def close(self) -> None:
        """Release the tasks whose workers end with this process; this does not count as a loss."""
        engine = self._post.engine
        if self._post.cluster is not None:
            await engine.close()
            return
        live = await leases.live_tasks(self._services.database, None, JobState.PENDING, JobState.RUNNING)
        mine = await engine.poll([Held(one.name) for one in live])
        await engine.close()
        ended = [one.task_claim for one in live if one.ordinal in mine.get(one.name, {})]
        await release_all(self._services, [Release(one, "the gateway stopped", None) for one in ended])

    async def _step(self) -> None:
        try:
            for part in (self._cancel, self._look, self._fill, self._places.write):
                await self._tried(part)
            self._away = False
        except Away as error:
            if not self._away:  # said once, however long it lasts
                log.warning("jobs.engine_away", cluster=str(self._post.cluster), error=str(error))
            self._away = True
            await asyncio.sleep(min(AWAY, self._post.interval))

    async def _tried(self, part: Callable[[], Awaitable[None]]) -> None:
        """Run a part of a step; when it fails, the others run all the same. Raises Away."""

        async def reached() -> Away | None:
            try:
                await part()
            except Away as error:
                return error
            return None

        if (away := await guarded(reached, f"jobs: {part.__name__}", away=1.0, failed=0.5)) is not None:
            raise away

    async def _look(self) -> None:
        """Agree with the engine, at its interval."""
        if self._post.cluster is None or time.monotonic() - self._looked >= self._post.interval:
            await self._agree()
            self._looked = time.monotonic()

    async def _held(self, owners: Mapping[str, UUID]) -> dict[str, Held]:
        """The batches by name, with the logins of their owners where the engine needs them; each login is read once."""
        logins: dict[UUID, Login | None] = {}
        if self._post.engine.personal:
            logins = {owner: await login_of(self._services, owner) for owner in set(owners.values())}
        return {name: Held(name, logins.get(owner)) for name, owner in owners.items()}

    async def _cancel(self) -> None:
        """Tell the engine, once, which tasks were cancelled."""
        live = await leases.live_tasks(self._services.database, self._post.cluster, JobState.CANCELED)
        told = [one for one in live if (one.name, one.ordinal) not in self._cancelled]
        wanted: defaultdict[str, list[int]] = defaultdict(list)
        for one in told:
            wanted[one.name].append(one.ordinal)
        held = await self._held({one.name: one.owner for one in told})
        for name, ordinals in wanted.items():
            await self._post.engine.cancel(held[name], ordinals)
            self._cancelled |= {(name, ordinal) for ordinal in ordinals}
        self._cancelled &= {(one.name, one.ordinal) for one in live}

    async def _agree(self) -> None:
        """Release tasks that the engine says have ended, and hand over again those that it does not know."""
        database, cluster = self._services.database, self._post.cluster
        live = await leases.live_tasks(database, cluster, JobState.PENDING, JobState.RUNNING)
        held = list((await self._held({one.name: one.owner for one in live})).values())
        seen = await self._post.engine.poll(held)
        # Of those whose owners' logins have ended nothing can be seen: they may wait there still.
        queued: dict[str, datetime | None] = {
            one.name: None for one in held if self._post.engine.personal and one.login is None
        }
        ended = []
        for one in live:
            found = seen.get(one.name, {}).get(one.ordinal)
            if found is not None and found.state is State.ENDED:
                ended.append(Release(one.task_claim, found.reason, found.ending))
            elif found is not None and one.state is JobState.PENDING:
                queued[one.name] = found.starts_at
        await release_all(self._services, ended)
        if queued:
            async with database.write(as_system="jobs are handed to engines") as session:
                await leases.prolong(session, queued, self._post.patience)
        async with database.write(as_system="jobs are handed to engines") as session:
            await leases.release_lapsed(session, cluster)

    async def _fill(self) -> None:
        """Hand over waiting tasks, as many as the engine and the cluster take."""
        post = self._post
        if (room := min(STEP, post.engine.room())) <= 0:
            return
        async with self._services.database.write(as_system="jobs are handed to engines") as session:
            room = min(room, await leases.room_on(session, post.cluster))
            limits = self._services.limits
            turns = Turns(limits.user_tasks, limits.project_tasks)
            handed = await leases.hand_over(session, post.cluster, room, post.patience, turns) if room > 0 else []
        for index, one in enumerate(handed):
            try:
                await self._submit(one)
            except Away:
                await self._withdraw(handed[index:])
                raise
            except asyncio.CancelledError:  # this process stops; of the one under way nobody knows
                await finished(self._withdraw(handed[index + 1 :]))
                raise
        if sum(len(one.ordinals) for one in handed) >= STEP:  # there may be more
            self._services.feed.publish([WORK])

    async def _withdraw(self, untaken: Sequence[Handed]) -> None:
        async with self._services.database.write(as_system="jobs are handed to engines") as session:
            for one in untaken:
                await leases.release_batch(session, one)

    async def _submit(self, handed: Handed) -> None:
        """Submit a batch to the engine. Tasks that it refuses have failed."""
        held = (await self._held({handed.name: handed.owner}))[handed.name]
        try:
            external = await self._post.engine.submit(self._batch(handed, held))
        except Refused as refusal:
            await finished(self._refuse(handed, str(refusal)))
            return
        if external:
            await finished(self._note(handed, external))
        log.info("jobs.handed_over", job=handed.job_key, batch=handed.name, tasks=len(handed.ordinals))

    async def _refuse(self, handed: Handed, why: str) -> None:
        async with self._services.database.write(as_system="jobs are handed to engines") as session:
            await leases.refuse_batch(session, handed, why)

    async def _note(self, handed: Handed, external: Mapping[str, Any]) -> None:
        async with self._services.database.write(as_system="jobs are handed to engines") as session:
            await leases.note(session, handed, external)

    def _batch(self, handed: Handed, held: Held) -> Batch:
        def token(ordinal: int, scopes: frozenset[str]) -> str:
            task_claim = TaskClaim(handed.job_id, ordinal, 0, scopes, handed.name)
            return self._services.identity.keys.worker_token(task_claim, self._services.limits.worker_lifetime)

        return Batch(
            held=held,
            gateway=self._reports_to,
            tokens={ordinal: token(ordinal, leases.CLAIM) for ordinal in handed.ordinals},
            collector=token(0, leases.COLLECT),
            options=handed.options,
        )
