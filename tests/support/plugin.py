"""The fixtures of a gateway under test, as a pytest plugin.

| fixture | what it is |
| --- | --- |
| `prepared` | databases: copies of a template that is made once for all workers |
| `platform` | a gateway without HTTP on a database of the test's own, on each database; asks as any principal |
| `reading`, `sharing` | the same for the whole session: for tests that only read, and for those that leave alone what they did not make |
| `serve` | starts gateways on ports, each with a client |
| `serve_module` | the same, for gateways that the tests of a module share |
| `stage` | for the tests of a module, on each database: rows of every kind, and somebody with each role (`matrix.py`) |
| `schema` | the schema |

`Platform.counted` has the statements of the last answer, `recorded()` those of anything.

A test that takes `backend` runs on both databases; one of a module with `ON_SQLITE = True` on SQLite alone, unless it is
marked `both`. `--quick` runs what is on SQLite and not marked `slow`.
"""

import asyncio
import gc
import os
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import structlog

from schema import Schema, build
from schema.fields.cost import Bounds
from tests.support.databases import BACKENDS, Prepared, drop_all
from tests.support.platforms import Platform, Reused, platform_on
from tests.support.postgres import memory, named, running_postgres
from tests.support.scheduling import ByGroup, backend_of, group_of
from tests.support.serving import Serve, serving

_STACK = pytest.StashKey[ExitStack]()
_SERVER = pytest.StashKey[str]()
_RUN = f"torana_test_{os.getpid()}"
"""Begins the names of the databases that workers make on the common server."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="on SQLite only, and nothing that is marked slow")


def pytest_configure(config: pytest.Config) -> None:
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()],
        cache_logger_on_first_use=False,
    )
    config.stash[_STACK] = ExitStack()


def pytest_unconfigure(config: pytest.Config) -> None:
    try:
        if _SERVER in config.stash and named() is not None:
            asyncio.run(drop_all(config.stash[_SERVER], _RUN))
    finally:
        config.stash[_STACK].close()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """All workers use one PostgreSQL server."""
    stash = node.config.stash
    if _SERVER not in stash:
        stash[_SERVER] = stash[_STACK].enter_context(running_postgres(memory()))
    node.workerinput.update(postgresql=stash[_SERVER], run=_RUN)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than cores, for those that wait. With twice as many, what has a limit of time was too late."""
    cores = len(os.sched_getaffinity(0))
    return cores if config.option.quick else cores + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByGroup:
    gc.enable()
    return ByGroup(config, log)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        one = getattr(metafunc.module, "ON_SQLITE", False) and not metafunc.definition.get_closest_marker("both")
        metafunc.parametrize("backend", BACKENDS[:1] if one else BACKENDS)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Groups of tests that wait come in turn with others, so that there is always something to do meanwhile; of both,
    large ones come first."""
    slow = {item for item in items if item.get_closest_marker("slow") is not None}
    if config.option.quick:
        left = [item for item in items if backend_of(item.nodeid) != "postgresql" and item not in slow]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(left)])
        items[:] = left
    sizes = Counter(group_of(item.nodeid) for item in items)
    waiting = Counter(group_of(item.nodeid) for item in slow)
    first, second = (
        [group for group, _ in sizes.most_common() if (2 * waiting[group] > sizes[group]) is waits]
        for waits in (True, False)
    )
    turns = {group: 2 * n for n, group in enumerate(first)} | {group: 2 * n + 1 for n, group in enumerate(second)}
    items.sort(key=lambda item: turns[group_of(item.nodeid)])


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def prepared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    given = getattr(request.config, "workerinput", {})
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if given else base) / "templates"
    shared.mkdir(exist_ok=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="torana-", dir=memory())))
        made = Prepared(folder, stack, shared=shared, server=given.get("postgresql"), run=given.get("run", _RUN))
        yield made
        if made.server is not None and named() is not None and not given:
            asyncio.run(drop_all(made.server, _RUN))


@pytest.fixture(scope="session")
def schema() -> Schema:
    return build()


@pytest.fixture(scope="session")
def reused() -> dict[str, Reused]:
    """By database, what each `platform` leaves to the next."""
    return {}


@pytest.fixture
async def platform(
    prepared: Prepared, backend: str, schema: Schema, tmp_path: Path, reused: dict[str, Reused]
) -> AsyncIterator[Platform]:
    """On each database, for a test of its own."""
    url, world = await prepared.copy(backend, name="own")
    async with platform_on(url, world, schema, tmp_path, Bounds(), reused.get(backend)) as made:
        reused[backend] = Reused(made.services.database, made.documents)
        yield made


@pytest.fixture(scope="session", params=BACKENDS)
async def reading(
    request: pytest.FixtureRequest, prepared: Prepared, schema: Schema, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Platform]:
    """On each database, for all tests that only read."""
    url, world = await prepared.copy(request.param)
    async with platform_on(url, world, schema, tmp_path_factory.mktemp("data"), Bounds()) as made:
        yield made


@pytest.fixture(scope="session", params=BACKENDS)
async def sharing(
    request: pytest.FixtureRequest, prepared: Prepared, schema: Schema, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Platform]:
    """On each database, for all tests that write, and leave alone what they did not make."""
    url, world = await prepared.copy(request.param)
    async with platform_on(url, world, schema, tmp_path_factory.mktemp("data"), Bounds()) as made:
        yield made


@pytest.fixture
async def serve(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Serve]:
    """Start gateways on ports: `await serve(backend, setting=value)`; `database` shares one between several."""
    async with serving(prepared, tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="module")
async def serve_module(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Serve]:
    """The same, for gateways that the tests of a module share."""
    async with serving(prepared, tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="module", params=BACKENDS)
async def stage(
    request: pytest.FixtureRequest, prepared: Prepared, schema: Schema, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Any]:
    """On each database, for the tests of a module: rows of every kind, and somebody with each role of the matrix."""
    from tests.support.matrix import staged_on  # many tests need none of it

    async with staged_on(prepared, request.param, schema, tmp_path_factory.mktemp("data")) as made:
        yield made
