"""A job beside its program run by hand."""

import asyncio
import contextlib
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from bench import data
from bench.jobs.gateway import ask, bare, torana, unfinished
from bench.load import Connection
from bench.servers import log_in, running
from db import models
from db.models import JobState
from gateway.commands.demo.beam import beam_files
from resolvers.spelling import global_id
from tests.support.redis import running_redis
from tests.support.slurm import running_slurm


async def overhead(folder: Path, primaries: int) -> None:
    """A job of four tasks by each engine, two at a time, and the same four programs run by hand two at a time."""
    inputs = folder / "input"
    inputs.mkdir()
    for name, text in beam_files(primaries).items():
        (inputs / name).write_text(text)
    with contextlib.ExitStack() as stack:
        for engine, table in _engines(stack, folder):
            by_hand = await _by_hand(inputs, folder, primaries // 4)
            spent = await _by_engine(folder / engine, primaries, table)
            print(
                f"overhead, {engine}: {spent:.2f} s for four tasks of {primaries // 4} primaries, {by_hand:.2f} s by "
                f"hand: {spent - by_hand:.2f} s more",
                flush=True,
            )


def _engines(stack: contextlib.ExitStack, folder: Path) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Each engine that can be had here, and the table of its cluster."""
    yield "embedded", None
    redis = stack.enter_context(running_redis())
    environment = {**os.environ, "TORANA_BROKER_URL": redis.url, "TORANA_RUNS": str(folder / "celery-runs")}
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "jobs.engines.celery_app",
        "worker",
        "-Q",
        "torana",
        "-c",
        "2",
        "-l",
        "INFO",
    ]
    with (folder / "celery.log").open("wb") as log:
        workers = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    stack.callback(workers.kill)
    while "ready." not in (folder / "celery.log").read_text():
        time.sleep(0.05)
    yield "celery", {"name": "bench", "platform": "CELERY", "broker": redis.url}
    workers.kill()
    try:
        slurm = stack.enter_context(running_slurm())
    except BaseException as skipped:  # a test would be skipped
        print(f"overhead, slurm: {skipped}")
        return
    yield "slurm", {
        "name": "bench", "platform": "SLURM", "work_dir": str(folder / "work"), "python": sys.executable,
        "environment": slurm.environment,
    }  # fmt: skip


async def _by_engine(folder: Path, primaries: int, table: dict[str, Any] | None) -> float:
    """Seconds from the submission to the job's end."""
    folder.mkdir()
    keys = f"bench:{secrets.token_urlsafe(48)}"
    url = await data.create_file(folder)
    user = await data.reader_of(url)
    clusters = orjson.dumps([table] if table else []).decode().replace("{", "{{").replace("}", "}}")
    slots = "0" if table else "2"
    server = torana(keys, TORANA_TASK_SLOTS=slots, TORANA_DATA_DIR=str(folder), TORANA_CLUSTERS=clusters)
    async with bare(url, keys, folder) as services, running(server, url, folder) as gateway:
        token = (await log_in(gateway.url))["Authorization"].split()[1]
        given: dict[str, Any] = {"simType": "SHIELDHIT", "inputFiles": beam_files(primaries), "tasks": 4}
        if table:
            (row,) = await services.database.rows(sa.select(models.Cluster.id))
            given["cluster"] = global_id("Cluster", row.id)
        query = "mutation($i:NewSimulation!){submitSimulation(input:$i){...on Simulation{job{id}}}}"
        connection = await Connection.open(gateway.url)
        began = time.perf_counter()
        await connection.ask(ask(gateway.url, token, query, i=given))
        while await unfinished(services):
            await asyncio.sleep(0.02)
        spent = time.perf_counter() - began
        (row,) = await services.database.rows(sa.select(models.Job.state).where(models.Job.owner_user_id == user))
        assert row.state is JobState.COMPLETED, row.state
    return spent


async def _by_hand(inputs: Path, folder: Path, primaries: int) -> float:
    async def one(task: int) -> None:
        command = [
            sys.executable,
            "-m",
            "jobs.programs.proton_beam",
            "--input",
            str(inputs),
            "--task",
            str(task),
        ]
        command += ["--output", str(folder / f"{task}.json"), "--primaries", str(primaries)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=subprocess.DEVNULL)
        assert await process.wait() == 0

    began = time.perf_counter()
    slots = asyncio.Semaphore(2)

    async def in_turn(task: int) -> None:
        async with slots:
            await one(task)

    await asyncio.gather(*(in_turn(task) for task in range(1, 5)))
    return time.perf_counter() - began
