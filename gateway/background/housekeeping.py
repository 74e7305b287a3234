"""Periodic work: write presence, tell owners of jobs that ended, make missing folds of texts, delete what is past its
retention."""

import asyncio
import time
from collections.abc import Sequence

import structlog

from db.searching import refolding
from db.searching.folding import UNICODE
from db.storage.storage import Storage
from gateway.settings.retention import RetentionSettings
from resolvers.context import Services
from resolvers.files import sweeping
from resolvers.identity import session_store
from resolvers.identity.presence import INTERVAL
from resolvers.mail import outbox
from resolvers.mail.job_mails import tell_owners
from resolvers.retention import Sweep, tidy
from resolvers.simulations import retention, share_links
from resolvers.simulations.alignment import align
from resolvers.specs import retention as specs
from resolvers.steps import guarded
from resolvers.writing import audit, rate_limits

HOUR = 3_600.0
FIRST = 60.0
"""Seconds after the start in which nothing is deleted yet: a gateway that starts answers its first requests."""

log = structlog.get_logger("torana")


def sweeps_of(settings: RetentionSettings, storage: Storage) -> list[Sweep]:
    """All sweeps, with the days of the settings."""
    finished = [retention.finished(settings.simulation_days)] if settings.simulation_days else []
    return [
        *finished,
        retention.deleted(settings.deleted_days),
        retention.unused_numbers(),
        specs.deleted(settings.deleted_days),
        sweeping.uploads(storage),
        sweeping.refused(),
        sweeping.expired(),
        sweeping.deleted(settings.deleted_days),
        sweeping.archives(settings.deleted_days),
        sweeping.unused(storage),
        audit.sweep(settings.audit_days),
        outbox.sweep(settings.notice_days),
        session_store.sweep(),
        share_links.sweep(),
        rate_limits.sweep(),
    ]


class Housekeeping:
    """Runs from `start` until `close`. Jobs that ended are gathered for `gathered` seconds before their owners are
    told."""

    def __init__(self, services: Services, sweeps: Sequence[Sweep], gathered: float = 0.0) -> None:
        self._services = services
        self._sweeps = sweeps
        self._gathered = gathered
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Stop, and write presence a last time."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await guarded(self._services.identity.presence.write, "housekeeping")

    async def _work(self) -> None:
        await guarded(self._check_folds, "housekeeping")
        await guarded(self._align, "housekeeping")
        await guarded(self._complete_folds, "housekeeping")
        due = time.monotonic() + FIRST
        while True:
            if time.monotonic() >= due:
                await guarded(self._complete_folds, "housekeeping")
                await guarded(self._tidy, "housekeeping")
                due = time.monotonic() + HOUR
            await guarded(self._services.identity.presence.compare_clocks, "housekeeping")
            await guarded(self._tell, "housekeeping")
            await asyncio.sleep(INTERVAL)
            await guarded(self._services.identity.presence.write, "housekeeping")

    async def _check_folds(self) -> None:
        if await refolding.outdated(self._services.database):
            log.warning("search.outdated", unicode=UNICODE, run="torana reindex")

    async def _align(self) -> None:
        if mended := await align(self._services.database):
            log.info("jobs.aligned", jobs=mended)

    async def _tell(self) -> None:
        address = self._services.entrance.address
        if posted := await tell_owners(self._services.database, self._gathered, address):
            log.info("jobs.told", mails=posted)

    async def _complete_folds(self) -> None:
        if folded := await refolding.complete(self._services.database):
            log.info("search.completed", rows=folded)

    async def _tidy(self) -> None:
        gone = await tidy(self._services.database, self._sweeps)
        if any(gone.values()):
            log.info("tidied", **gone)
