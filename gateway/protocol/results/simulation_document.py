"""A simulation as one JSON document, in the shape in which YAPTIDE's editor saves and loads one."""

import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import orjson

from db.models import Platform
from gateway.protocol.results.documents import estimators
from gateway.protocol.results.simulation_archive import Contents
from resolvers.context import Context
from resolvers.simulations import logs

SERVER = "Torana"


async def document(ctx: Context, simulation: Any, held: Contents) -> AsyncIterator[bytes]:
    """The input (where it may be read), the estimators, the state of the job and its tasks, and the texts of the log by
    path."""
    job = held.job
    head = {
        "title": simulation.title,
        "jobId": job.key if job else None,
        "jobState": job.state.name if job else None,
        "message": "",
        "startTime": _moment((job.started_at or job.submitted_at) if job else simulation.created_at),
        "endTime": _moment(job.ended_at) if job else None,
        "metadata": {
            "platform": "DIRECT" if job is None or job.platform is not Platform.SLURM else "BATCH",
            "server": SERVER,
            "inputType": simulation.input_type.name.lower(),
            "simType": simulation.sim_type.name.lower(),
        },
        "jobTasksStatus": [_task(task) for task in held.tasks],
        "input": _input(simulation, held.given),
    }
    yield orjson.dumps(head)[:-1] + b',"estimators":'
    async for piece in estimators(ctx, held.chosen, camel=True):
        yield piece
    yield b',"logfiles":{'
    for number, (path, file) in enumerate(held.files.items()):
        yield (b"," if number else b"") + orjson.dumps(path) + b':"'
        async for line in logs.lines_of(ctx, job, file):
            yield orjson.dumps(_whole(line) + "\n")[1:-1]
        yield b'"'
    yield b"}}"


def _input(simulation: Any, given: Any) -> dict[str, Any]:
    if given is None:
        return {}
    return {
        "inputType": simulation.input_type.name.lower(),
        "inputFiles": given.files,
        "inputJson": given.project,
        "numberOfAllPrimaries": given.total_primaries,
    }


def _task(task: Any) -> dict[str, Any]:
    return {
        "taskId": task.ordinal,
        "taskState": task.state.name,
        "requestedPrimaries": task.requested,
        "simulatedPrimaries": task.done,
        "startTime": _moment(task.started_at),
        "endTime": _moment(task.ended_at),
        "lastUpdateTime": _moment(task.last_update_at),
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _whole(text: str) -> str:
    """A text without halves of letters, which JSON can't hold."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)
