"""The two ways to answer a query, compared: `python -m tests.support.fuzz --seconds 600` asks until the time is up."""

import argparse
import asyncio
import json
import math
import re
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import graphql
import hypothesis
import hypothesis.strategies as st
import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db import models
from db.models import InputType, JobKind, JobState, SessionCategory, SessionEventType, SimulationType
from db.types import uuid7
from gateway.operations.execution import Execution
from resolvers.access.roles import enrol
from resolvers.identity.lookup import principal_named
from resolvers.identity.principal import WIDE, Principal
from schema import Schema, build
from schema.fields.cost import Bounds
from tests.support.boards import build_of
from tests.support.databases import BACKENDS, WORLD, Prepared, Recipe
from tests.support.generated import Generated, Known, borrowed, operations
from tests.support.platforms import PATIENCE, Platform, platform_on
from tests.support.world import START, World, simulate, specify

EVERYONE = (None, "eve", "solo", "tom", "wide", "maria", "root")
"""Anonymous, a user without projects, a member of one, of some, of many, an administrator, a superadmin."""
ADDED = ("solo", "wide")

SHOWN = 4000
"""Characters of an answer in a report."""

TEXTS = (
    '"quoted" \\ back/slash',
    "'; DROP TABLE users; --",
    "\N{CASTLE}\N{MAN}\u200d\N{MICROSCOPE} </script><!--",
    "\t\n\r\x01\x1f\x7f\x80\x9f",
    "\u2028\u2029\ufeff\ud7ff\ue000\uffff\U0010ffff",
    "Łódź ŻÓŁW ß İ é ṩ 100%_sure",
    "",
    " null ",
)
JSON: dict[str, Any] = {
    "none": None,
    "": "",
    "nested": {"a": [None, {"b": [[], {}, [[]]]}], "\N{CASTLE}": {"c": {"d": None}}},
    "texts": [*TEXTS, "nul \0"],
    "numbers": [2**63 - 1, 2**64 - 1, -(2**63), 0, 2**53 + 1],
    "floats": [
        0.1 + 0.2,
        1e-300,
        5e-324,
        1e22,
        1.7976931348623157e308,
        -0.0,
        0.0,
        1.0,
        1e16,
        123456789012345680.0,
        1e-7,
    ],
    "booleans": [True, False],
    "z": 1,
    "a": 2,
}
NUMBERS = "[0.1,0.30000000000000004,1e-300,5e-324,1e+22,-0.0,1.0,null,-1.7976931348623157e308]"
PROGRESS = (0.1 + 0.2, 1e-300, 5e-324, 1 / 3, -0.0, 1.0, 0.0, 2**-53)
INSTANTS = (
    datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999999, UTC),
    datetime(2026, 2, 28, 12, 0, 0, 1, UTC),
)


async def peculiar(session: AsyncSession, world: World) -> None:
    """Rows that are easily answered in two ways: odd texts and numbers, equal places in an order, deleted and hidden
    rows beside live ones, relations that lead to them.
    """
    m = models
    gone = m.User(id=uuid7(), username="gone", deleted_at=START)
    session.add(gone)
    people = await session.scalars(sa.select(m.User).where(m.User.username.in_(("root", "maria", "tom", "eve"))))
    for n, user in enumerate(people):
        user.first_name, user.last_name, user.affiliation = TEXTS[n], TEXTS[-n - 1], None if n % 2 else TEXTS[n + 2]
        user.profile, user.notes, user.last_online_at = JSON, TEXTS[n], INSTANTS[0] if n % 2 else None
    await session.flush()
    projects = [m.Project(id=uuid7(), site_id=world.site, name=text, description=text) for text in TEXTS[:4]]
    projects[3].deleted_at = START
    session.add_all(projects)
    await session.flush()
    for project in projects:
        await enrol(session, project, world.tom, gone.id)
    await enrol(session, projects[0], world.maria, admin=True)
    solo, wide = (m.User(id=uuid7(), username=name) for name in ADDED)
    session.add_all((solo, wide))
    session.add_all(many := [m.Project(id=uuid7(), site_id=world.site, name=f"one of many {n}") for n in range(WIDE)])
    await session.flush()
    shared = await session.get_one(m.Project, world.shared)
    await enrol(session, shared, solo.id)
    for project in (projects[0], shared, *many):
        await enrol(session, project, wide.id)
    await _meet(session, world, [world.shared, world.apart, projects[0].id, projects[3].id, None], gone.id)
    await _compute(session, world, projects, gone.id)
    await _rank(session)
    for n, text in enumerate(TEXTS):
        spec, version = await specify(session, (world.tom, world.maria)[n % 2], text or "empty", versions=3)
        if n % 3 == 0:
            await session.execute(sa.update(m.SpecVersion).where(m.SpecVersion.id == version).values(deleted_at=START))
        await session.execute(sa.update(m.SpecVersion).where(m.SpecVersion.spec_id == spec).values(title=text, description=text, updated_at=START))  # fmt: skip
        if n == 5:
            await session.execute(sa.update(m.Spec).where(m.Spec.id == spec).values(deleted_at=START))
        session.add(m.AuditEvent(actor_kind="user" if n % 2 else None, actor_id=world.tom if n % 2 else None, action="LOG_IN",
                                 entity_type="User", at=START, client=JSON, detail=JSON if n % 3 else None))  # fmt: skip
    await session.flush()


async def _meet(session: AsyncSession, world: World, projects: list[Any], gone: Any) -> None:
    m = models
    kinds = [m.SessionType(id=uuid7(), name=text, online=n == 1, color="#000000", category=SessionCategory.PROTOCOL,
                           config=JSON if n else None) for n, text in enumerate(TEXTS[:3])]  # fmt: skip
    kinds[2].deleted_at = START
    session.add_all(kinds)
    await session.flush()
    for n, project in enumerate(projects * 2):
        held = m.Session(
            id=uuid7(), type_id=kinds[n % 3].id, project_id=project, creator_id=(world.tom, world.maria, gone)[n % 3],
            name=TEXTS[n % len(TEXTS)], starts_at=[*INSTANTS, START, START][n % 5], duration_seconds=2**31 - 1,
            comments=None if n % 2 else TEXTS[n % 5], parameters=JSON if n % 3 else None, deleted_at=START if n == 7 else None,
        )  # fmt: skip
        session.add(held)
        await session.flush()
        session.add_all(
            m.SessionEvent(session_id=held.id, type=SessionEventType["CUSTOM_10"], occurred_at=START, text=text, context=None,
                           deleted_at=START if text == TEXTS[1] else None) for text in TEXTS[:3]
        )  # fmt: skip


async def _compute(session: AsyncSession, world: World, projects: list[Any], gone: Any) -> None:
    m = models
    sessions = (await session.scalars(sa.select(m.Session.id).order_by(m.Session.id))).all()
    places = [world.shared, projects[3].id, projects[0].id, None, world.apart]
    for n, text in enumerate(TEXTS):
        owner = (world.tom, world.maria, gone, world.root)[n % 4]
        made = await simulate(session, owner, places[n % 5], text, tasks=n % 4 + 1, estimators=n % 3)
        await session.execute(sa.update(m.Simulation).where(m.Simulation.id == made.simulation).values(
            session_id=sessions[(n + 1) % len(sessions)], created_at=START + timedelta(seconds=n // 3), deleted_at=START if n == 6 else None))  # fmt: skip
        await session.execute(sa.update(m.SimulationSetup).where(m.SimulationSetup.simulation_id == made.simulation).values(
            total_primaries=2**63 - 1, files=JSON))  # fmt: skip
        await session.execute(sa.update(m.Job).where(m.Job.id == made.job).values(
            title=text, progress=PROGRESS[n], estimated_seconds=2**31 - 1, error={"code": "PROGRAM_FAILED", "message": text} if n % 2 else None,
            warnings=[*TEXTS, "nul \0"], state=list(JobState)[n], submitted_at=START, deleted_at=START if n == 6 else None))  # fmt: skip
        await session.execute(sa.update(m.Task).where(m.Task.id == made.task).values(
            requested=2**63 - 1, done=2**63 - 1, error={"code": "TASK_LOST", "message": text}, started_at=INSTANTS[n % 3]))  # fmt: skip
        session.add(m.LogEntry(job_id=made.job, sequence=2**31 - 1, text=text))
        session.add(m.Job(key=f"again-{made.job}", kind=JobKind.SIMULATION, owner_user_id=owner, title=text, attempt=2,
                          project_id=places[n % 5], deleted_at=START if n == 6 else None,
                          state=JobState.CANCELED, simulation_id=made.simulation, progress=PROGRESS[-n - 1]))  # fmt: skip
        if n % 3:
            common = {
                "estimator_id": made.estimator,
                "name": text,
                "meta": JSON,
                "data_values": NUMBERS,
                "value_count": 9,
            }
            session.add(m.Page(**common, number=2**31 - 1, dimension=0, unit=None))
            session.add(m.Page(**common, number=7, dimension=2, unit=text, filter_name=text, has_non_finite=True, axis1_name=text,
                               axis1_unit=text, axis1_count=9, axis1_values=NUMBERS, axis2_name="", axis2_unit="",
                               axis2_count=0, axis2_values="[]"))  # fmt: skip
            await session.execute(
                sa.update(m.Estimator).where(m.Estimator.id == made.estimator).values(meta=JSON, name="e")
            )
    session.add(m.Simulation(user_id=world.maria, project_id=world.shared, title="bare", sim_type=SimulationType.DUMMY,
                             input_type=InputType.EDITOR))  # fmt: skip
    await session.flush()


async def _rank(session: AsyncSession) -> None:
    m = models
    for n, text in enumerate(TEXTS):
        challenge = m.Challenge(id=uuid7(), label=text, start_date=date(2026, 1, 1 + n // 4), active=n % 2 == 0, url=text,
                                end_date=date(9999, 12, 31) if n % 3 else None)  # fmt: skip
        session.add(challenge)
        await session.flush()
        for k in range(n % 3):
            board = m.Leaderboard(id=uuid7(), challenge_id=challenge.id, label=f"{text}{k}", entry_file="e.json", archived=k == 1,
                                  static_files=False, built_at=INSTANTS[k], sorting_key=text, external_entries=None)  # fmt: skip
            session.add(board)
            await session.flush()
            await build_of(session, board.id, (
                {"position": p, "data": data, "author_label": text or None, "external": p == 2}
                for p, data in ((1, JSON), (2, []), (3, [None]), (4, "\N{CASTLE}"), (5, [1.0]), (2**31 - 1, {"z": 1, "a": {}}))
            ))  # fmt: skip
    await session.flush()


async def _fill(session: AsyncSession, world: World) -> World:
    await peculiar(session, world)
    return world


PECULIAR = Recipe("peculiar", _fill, WORLD)


async def vanish(session: AsyncSession) -> None:
    """Delete rows whose ids and cursors are known by now."""
    for column, value in (
        (models.LeaderboardEntry.position, 4),
        (models.LogEntry.sequence, 1),
        (models.Page.number, 7),
    ):
        model = column.class_
        keys = (await session.scalars(sa.select(model.id).where(column == value).order_by(model.id))).all()
        await session.execute(sa.delete(model).where(model.id.in_(keys[::2])))


class Different(AssertionError):
    """An operation was answered in two ways."""


@dataclass
class Both:
    """One database, asked in both ways."""

    backend: str
    rendered: Platform
    rows: Platform
    known: Known
    principals: dict[str | None, Principal]
    operations: st.SearchStrategy[Generated]
    borrowed: st.SearchStrategy[Generated]
    seen: Counter[str] = field(default_factory=Counter)
    answered: set[str] = field(default_factory=set)

    @property
    def world(self) -> World:
        return self.rows.world

    async def ask(self, query: str, as_: str | None = None, **variables: Any) -> dict[str, Any]:
        """The body of the answer, the same in both ways; raises Different."""
        principal = self.principals[as_]
        plain, rendered = [await _plain(way, query, principal, variables) for way in (self.rows, self.rendered)]
        self._count(as_, plain)
        body: dict[str, Any] = plain.body
        if not plain.equals(rendered) or "INTERNAL_SERVER_ERROR" in plain.codes:
            statements = await _statements(self.rendered, query, principal, variables)
            raise Different(
                f"on {self.backend} as {as_ or 'anonymous'}:\n{_pretty(query)}\n"
                f"variables {json.dumps(variables)}\n\n"
                f"rows      {_around(plain, rendered)}\n\nrendered  {_around(rendered, plain)}\n\n{statements}"
            )
        return body

    async def data(self, query: str, as_: str | None = None, **variables: Any) -> Any:
        """The data of an operation that has no errors."""
        body = await self.ask(query, as_, **variables)
        assert "errors" not in body, body["errors"]
        return body["data"]

    async def ask_as(self, everyone: Sequence[str | None], operation: Generated) -> None:
        """Nothing for an operation that was answered in one way before: Hypothesis makes many twice."""
        if (known := f"{operation}") in self.answered:
            return
        for as_ in everyone:
            await self.ask(operation.text, as_, **operation.variables)
        self.answered.add(known)
        self.seen["operations"] += 1

    def _count(self, as_: str | None, plain: "_Plain") -> None:
        who = as_ or "anonymous"
        self.seen[f"{who}: asked"] += 1
        self.seen[f"{who}: with rows"] += _has_rows(plain.body.get("data"))
        self.seen[f"{who}: refused"] += plain.body.get("data", ...) is ...
        self.seen[f"{who}: null"] += plain.body.get("data", ...) is None
        self.seen[f"{who}: statements as rows"] += self.rows.counted.statements
        self.seen[f"{who}: statements as rendered"] += self.rendered.counted.statements
        self.seen[f"{who}: bytes"] += len(plain.comparable[1])
        for code in plain.codes:
            self.seen[f"{who}: {code}"] += 1


@dataclass(frozen=True)
class _Plain:
    """An answer as a client reads it; `comparable` leaves out what may differ: the order of errors, and their ids."""

    status: int
    body: dict[str, Any]

    @property
    def codes(self) -> set[str]:
        return {error["extensions"]["code"] for error in self.body.get("errors", ())}

    def equals(self, other: "_Plain") -> bool:
        """Several errors may make one value null; which of them end the work of the others is a matter of time."""
        if self.comparable[:2] != other.comparable[:2]:
            return False
        mine, theirs = self._by_null(), other._by_null()
        return mine.keys() == theirs.keys() and all(mine[place] & theirs[place] for place in mine)

    def _by_null(self) -> dict[str, set[bytes]]:
        """The errors by the value that they made null."""
        found: dict[str, set[bytes]] = {}
        for error, text in zip(self.body.get("errors", ()), self._errors, strict=True):
            value, place = self.body.get("data"), []
            for key in error.get("path", ()):
                if value is None:
                    break
                value = value[key]
                place.append(key)
            found.setdefault(str(place), set()).add(text)
        return found

    @property
    def comparable(self) -> tuple[int, bytes, list[bytes]]:
        """The data as text, so that the order of keys counts, and 1 is not 1.0."""
        return self.status, orjson.dumps(self.body.get("data", "absent")), sorted(self._errors)

    @property
    def _errors(self) -> list[bytes]:
        found = []
        for error in self.body.get("errors", ()):
            extensions = {name: value for name, value in error["extensions"].items() if name != "errorId"}
            found.append(orjson.dumps({**error, "extensions": extensions}, option=orjson.OPT_SORT_KEYS))
        return found


async def _plain(way: Platform, query: str, principal: Principal, variables: dict[str, Any]) -> _Plain:
    try:
        answer = await way.answer(query, principal, **variables)
        told = re.sub(rb"\?ticket=[\w.-]+", b"?ticket=", orjson.dumps(answer.body))  # which has the time
        return _Plain(answer.status, orjson.loads(told))
    except Exception as error:  # such as text that is no JSON
        return _Plain(0, {"errors": [{"message": repr(error), "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]})


def _has_rows(data: Any) -> bool:
    """Whether anything but nulls, counts and empty pages was found."""
    if isinstance(data, dict):
        return any(_has_rows(v) for k, v in data.items() if k not in ("pageInfo", "totalCount", "__typename"))
    if isinstance(data, list):
        return any(map(_has_rows, data))
    return data is not None


def _pretty(query: str) -> str:
    try:
        return graphql.print_ast(graphql.parse(query))
    except graphql.GraphQLError:
        return query


def _around(one: _Plain, other: _Plain) -> str:
    """The part of an answer where it begins to differ."""
    text, rest = ((f"{a[0]} {a[1].decode()} {b', '.join(a[2]).decode()}") for a in (one.comparable, other.comparable))
    if len(text) <= SHOWN:
        return text
    at = next((n for n, (a, b) in enumerate(zip(text, rest, strict=False)) if a != b), len(text))
    start = max(0, at - SHOWN // 2)
    return f"...{text[start : start + SHOWN]}..."


async def _statements(platform: Platform, query: str, principal: Principal, variables: dict[str, Any]) -> str:
    """The prepared statements of an operation, run once more."""
    texts: list[str] = []
    database: Any = platform.services.database
    fetch = database.fetch

    async def noted(prepared: Any, values: Any, lane: Any = None) -> Any:
        texts.append(f"{prepared.sql}\n{dict(values)}")
        return await fetch(prepared, values, lane)

    database.fetch = noted
    with suppress(Exception):
        await platform.answer(query, principal, **variables)
    del database.fetch
    return "\n\n".join(texts)


@asynccontextmanager
async def both_on(prepared: Prepared, backend: str, schema: Schema, folder: Path) -> AsyncIterator[Both]:
    """A database of peculiar rows, which are the same on all, for asking in both ways."""
    url, world = await prepared.copy(backend, PECULIAR)
    async with platform_on(url, world, schema, folder, Bounds()) as platform:
        database = platform.services.database
        known = await Known.read(database, schema.core)
        async with database.write(as_system="test") as session:
            # SQLite, whose rows the template of PostgreSQL has, stores 0.
            zero = (models.Job.progress == 0, models.Job.title == TEXTS[PROGRESS.index(0)])
            await session.execute(sa.update(models.Job).where(*zero).values(progress=-0.0))
            await vanish(session)
        principals = {
            name: await (principal_named(database, name) if name in ADDED else platform.principal(name))
            for name in EVERYONE
        }
        assert principals["wide"].profile.wide
        assert not principals["tom"].profile.wide
        database._sizes._small, database._sizes._until = frozenset(), math.inf  # as if no table were small
        rendered, rows = (
            replace(platform, execution=Execution(schema, Bounds(rows=50_000), timeout=PATIENCE, rendering=rendering))
            for rendering in (True, False)
        )
        yield Both(
            backend, rendered, rows, known, principals, operations(schema.core, known), borrowed(schema.core, known)
        )


def settings(examples: int, **given: Any) -> hypothesis.settings:
    """Without a folder of examples, and without limits of time."""
    return hypothesis.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        print_blob=False,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
        **given,
    )


def report(seen: Counter[str]) -> str:
    """What was asked and found, by principal."""
    lines = [f"{seen['operations']} operations"]
    for who in (name or "anonymous" for name in EVERYONE):
        counts = {key.partition(": ")[2]: count for key, count in seen.items() if key.startswith(f"{who}: ")}
        lines.append(f"  {who}: {', '.join(f'{name} {count}' for name, count in counts.items())}")
    return "\n".join(lines)


Run = Callable[[Coroutine[Any, Any, None]], None]


def asking(
    databases: Sequence[Both],
    made: st.SearchStrategy[Generated],
    everyone: Sequence[str | None],
    examples: hypothesis.settings,
    run: Run,
) -> Callable[[], None]:
    """A test of what is made; `run` waits for a coroutine where the databases are at home."""

    @examples
    @hypothesis.given(made)
    def ask(operation: Generated) -> None:
        for both in databases:
            run(both.ask_as(everyone, operation))

    return ask


def main() -> None:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--backend", choices=BACKENDS, action="append", help="both, unless named")
    parser.add_argument("--seed", type=int, help="of the first round, as a failure tells it")
    given = parser.parse_args()
    backends = given.backend or BACKENDS
    schema = build()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack, asyncio.Runner() as runner:
        prepared, open_ = Prepared(Path(folder), stack), AsyncExitStack()
        databases = [
            runner.run(open_.enter_async_context(both_on(prepared, backend, schema, Path(folder) / backend)))
            for backend in backends
        ]
        try:
            until, seed = time.monotonic() + given.seconds, given.seed
            made = st.one_of(databases[0].operations, databases[0].operations, databases[0].borrowed)

            def run(asked: Coroutine[Any, Any, None]) -> None:
                if time.monotonic() < until:
                    runner.run(asked)
                else:
                    asked.close()

            while time.monotonic() < until:
                seed = secrets.randbits(32) if seed is None else seed
                sys.stdout.write(f"--seed {seed}\n")
                sys.stdout.flush()
                hypothesis.seed(seed)(asking(databases, made, EVERYONE, settings(200), run))()
                seed = None
        finally:
            for both in databases:
                sys.stdout.write(f"{both.backend}: {report(both.seen)}\n")
            runner.run(open_.aclose())


if __name__ == "__main__":
    main()
