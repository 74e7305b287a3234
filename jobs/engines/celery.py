"""The engine that hands tasks to a broker. Celery's workers (`jobs.engines.celery_app`) take them on any machine.

The broker only carries messages. What it loses is handed over again when the lease in the row ends, and what it
delivers twice is refused at the claim. So the engine asks it for no results, and may lose workers with their messages.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from celery import Celery  # type: ignore[import-untyped]
from kombu.exceptions import KombuError

from jobs.engine import Away, Batch, Held, Seen

TASK = "torana.run"
QUEUE = "torana"
PATIENCE = 4.0
"""Seconds of silence after which a broker counts as away."""
VISIBILITY = 86_400.0
"""Seconds after which redis delivers an unacknowledged message again. A task that takes longer is delivered a second
time while it runs; the claim of that one is refused. From then on Celery can't cancel the task, and its next report
must. A task that a lost worker had claimed comes back when its lease ends, whatever this value is."""

T = TypeVar("T")


def make_app(broker: str, queue: str, **options: Any) -> Celery:
    """Celery's settings, which both sides share. `broker` is a URL (redis, rediss, sentinel or amqp, amqps); `options`
    are those of kombu's transport."""
    app = Celery("torana", broker=broker, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        broker_connection_timeout=PATIENCE,
        broker_transport_options=options,
        enable_utc=True,
        task_default_queue=queue,
        task_ignore_result=True,
        task_serializer="json",
    )
    return app


def by_redis(broker: str) -> bool:
    return broker.startswith(("redis", "sentinel"))


class CeleryEngine:
    """The engine of a broker, which can't see what became of a message. Tasks are to wait in rows, where their order
    and number can be seen, and not in the broker. So it hands over no more while `backlog` messages wait there; `poll`
    counts them."""

    personal = False

    def __init__(self, broker: str, queue: str = QUEUE, *, backlog: int = 1_000) -> None:
        once = {"max_retries": 1, "interval_start": 0}
        waiting = (
            {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
            if by_redis(broker)
            else {"read_timeout": PATIENCE, "write_timeout": PATIENCE, "confirm_publish": True}
        )
        self._app = make_app(broker, queue, **once, **waiting)
        self._queue = queue
        self._backlog = backlog
        self._waiting = 0
        described = self._app.connection_for_write()
        self._address = described.as_uri()
        self._missing: tuple[type[Exception], ...] = described.channel_errors
        self._errors = (OSError, KombuError, *described.connection_errors, *described.channel_errors)

    def room(self) -> int:
        return self._backlog - self._waiting

    async def submit(self, batch: Batch) -> Mapping[str, Any]:
        """Send a message for each task. Raises Away also when some were sent: sending those again does no harm."""

        def send(connection: Any) -> None:
            for ordinal, token in batch.tokens.items():
                name = _message(batch.held, ordinal)
                self._app.send_task(
                    TASK,
                    kwargs={"gateway": batch.gateway, "token": token, "run": name},
                    kwargsrepr="{}",  # what Celery logs; the token is not to be there
                    task_id=name,
                    queue=self._queue,
                    connection=connection,
                    retry=False,
                    ignore_result=True,
                )

        await self._reach(send)
        self._waiting += len(batch.tokens)
        return {}

    async def cancel(self, held: Held, ordinals: Sequence[int]) -> None:
        names = [_message(held, ordinal) for ordinal in ordinals]
        revoke = self._app.control.revoke
        await self._reach(lambda connection: revoke(names, terminate=True, signal="SIGTERM", connection=connection))

    async def poll(self, held: Sequence[Held]) -> Mapping[str, Mapping[int, Seen]]:
        self._waiting = await self._reach(self._count)
        return {}

    def _count(self, connection: Any) -> int:
        """The number of messages that no worker has taken."""
        try:
            return int(connection.default_channel.queue_declare(self._queue, passive=True).message_count)
        except self._missing:  # nothing was sent since the broker began
            return 0

    async def _reach(self, work: Callable[[Any], T]) -> T:
        """Do blocking work on a connection of its own: a kept connection believes declared what a restarted broker has
        forgotten. Raises Away."""

        connection = self._app.connection_for_write()
        try:
            async with asyncio.timeout(PATIENCE + 1):  # for the name; all else has a time of its own
                await asyncio.to_thread(getattr, connection, "default_channel")
            return await asyncio.to_thread(work, connection)
        except self._errors as error:
            raise Away(f"{self._address}: {error or type(error).__name__}") from None
        finally:
            await asyncio.to_thread(connection.release)

    async def close(self) -> None:
        """Do nothing: messages and running tasks stay, and no connection is open."""


def _message(held: Held, ordinal: int) -> str:
    return f"{held.name}-{ordinal}"
