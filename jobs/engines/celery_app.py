"""The application that Celery's workers load: `celery -A jobs.engines.celery_app worker -Q torana -c 2`.

`TORANA_BROKER_URL` names the broker, `TORANA_QUEUE` the queue, `TORANA_RUNS` the folder for working folders, and
`TORANA_VISIBILITY` the seconds of `jobs.engines.celery.VISIBILITY`. The workers need neither the database nor any key
of the gateway.
"""

import logging
import os
from pathlib import Path
from typing import Any

from celery.exceptions import ImproperlyConfigured, Reject  # type: ignore[import-untyped]
from celery.utils.log import get_task_logger  # type: ignore[import-untyped]
from kombu.transport.redis import Channel, QoS

from jobs.engines.celery import PATIENCE, QUEUE, TASK, VISIBILITY, by_redis, make_app
from jobs.engines.launching import environment, how_it_ended
from jobs.engines.launching import run as launch
from jobs.engines.scratch import default, scratch
from jobs.worker.main import TRY_AGAIN

log = get_task_logger(__name__)

BROKER = os.environ.get("TORANA_BROKER_URL", "")
RUNS = Path(os.environ.get("TORANA_RUNS") or default())
SHUTDOWN = 5.0
"""Seconds for running tasks when a worker is asked to quit. Then it is ended, and its messages are delivered again."""


def _options() -> dict[str, Any]:
    if not by_redis(BROKER):
        return {}
    return {
        "visibility_timeout": float(os.environ.get("TORANA_VISIBILITY") or VISIBILITY),
        "unacked_restore_interval": 1,  # together: looked for every second, not every 100
        "unacked_restore_throttle": 1,
        "socket_connect_timeout": PATIENCE,
        "socket_keepalive": True,
        "health_check_interval": 10,
    }


if not BROKER:
    raise ImproperlyConfigured("TORANA_BROKER_URL is not set: it names the broker that brings the tasks")


class _QoS(QoS):
    """With Celery 5.7 a message of a lost connection can't be acknowledged or rejected on another one. The error would
    end the worker, with all that it runs. Instead the broker delivers the message again after a while."""

    @property
    def _lost(self) -> bool:
        transport = self.channel.connection
        return transport is None or transport.client is None

    def ack(self, delivery_tag: str) -> None:
        if not self._lost:
            super().ack(delivery_tag)  # type: ignore[no-untyped-call]

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if not self._lost:
            super().reject(delivery_tag, requeue)  # type: ignore[no-untyped-call]

    def restore_unacked(self, client: Any = None) -> None:
        if not self._lost:
            super().restore_unacked(client)  # type: ignore[no-untyped-call]


Channel.QoS = _QoS
logging.getLogger("celery.pool").setLevel(logging.INFO)  # below, it writes messages down with their tokens

app = make_app(BROKER, os.environ.get("TORANA_QUEUE") or QUEUE, **_options())
app.conf.update(
    broker_connection_max_retries=None,  # a worker waits for its broker as long as it takes
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_cancel_long_running_tasks_on_connection_loss=False,  # they report to the gateway, not to the broker
    worker_prefetch_multiplier=1,
    worker_soft_shutdown_timeout=SHUTDOWN,
)


def run(gateway: str, token: str, run: str) -> None:
    """Run a worker for the task that `token` lets it claim, in a process and a folder of its own, to its end."""
    with scratch(RUNS) as folder:
        status, said = launch(folder / "run", environment(run, gateway, token))
    if status == TRY_AGAIN:
        raise Reject(how_it_ended(status, said), requeue=True)
    if status:
        log.warning("%s: %s", run, how_it_ended(status, said))


app.task(run, name=TASK)
