"""Submit, change and delete simulations, and store their results."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed
from db.locks import held_in_order, in_order
from db.models import (
    Estimator,
    InputType,
    Job,
    JobKind,
    Page,
    Project,
    Session,
    Simulation,
    SimulationSetup,
    SimulationType,
    Task,
)
from db.searching.folding import composed
from db.types import uuid7
from db.written import because
from jobs import programs
from jobs.programs.program import Program
from jobs.results import Axis
from jobs.results import Estimator as Delivered
from jobs.results import Page as DeliveredPage
from resolvers.access.policy import policy_of
from resolvers.access.rules import Rule
from resolvers.context import Context
from resolvers.failures import Invalid
from resolvers.feed import WORK, job_topic, principal_topic, results_topic
from resolvers.queue.lifecycle import Place, Subject, expect_ended, new_job
from resolvers.work.placement import checked_options, chosen_place
from resolvers.writing.audit import record
from resolvers.writing.cascade import erase
from resolvers.writing.refusals import writing
from resolvers.writing.rows import expect, locked, require, signed_in

TITLE = 255
FILES, FILE_BYTES = 32, 1_000_000
"""The most input files of one simulation, and the most bytes of all together."""


async def submit_simulation(
    ctx: Context,
    *,
    title: str,
    sim_type: SimulationType,
    input_type: InputType,
    given: Any,
    tasks: int,
    project_id: UUID | None = None,
    session_id: UUID | None = None,
    cluster_id: UUID | None = None,
    options: Mapping[str, Any] | None = None,
) -> UUID:
    """Check the input as the program will read it; then store simulation, input, job and tasks together. `given` are
    native files by name, or a project of the editor, from which the files are made."""
    owner, title = signed_in(ctx), composed(title)

    async def place(session: AsyncSession, asked: Mapping[str, Any]) -> Place:
        if project_id is not None:
            await locked(session, ctx, Project, project_id, field="input.project")
        if session_id is not None:
            await locked(session, ctx, Session, session_id, field="input.session")
        return await chosen_place(session, ctx, cluster_id, asked)

    if (project_id, session_id, cluster_id) != (None, None, None):
        # Before the input is read, which takes long; and again as it is stored.
        async with ctx.database.write() as session:
            await place(session, {})
    if len(title) > TITLE:
        raise Invalid(f"a title has at most {TITLE} characters, not {len(title)}", field="input.title")
    asked = checked_options(options or {}, cluster_id)
    program = _program(ctx, sim_type, input_type)
    files, primaries = await asyncio.to_thread(_read, program, input_type, given)
    most = min(primaries, ctx.services.limits.tasks)
    if not 1 <= tasks <= most:
        raise Invalid(
            f"tasks must be between 1 and {most}, not {tasks}", field="input.tasks", allowed=most, value=tasks
        )
    async with ctx.database.write() as session:
        where = await place(session, asked)
        simulation = Simulation(
            id=uuid7(),
            user_id=owner,
            title=title,
            sim_type=sim_type,
            input_type=input_type,
            project_id=project_id,
            session_id=session_id,
        )
        session.add(simulation)
        await session.flush()
        await require(session, ctx, simulation, policy_of(Simulation).create, "make")
        because(session, "a simulation is made with its input and its job", SimulationSetup, Job, Task)
        project = given if input_type is InputType.EDITOR else None
        session.add(
            SimulationSetup(simulation_id=simulation.id, files=files, project=project, total_primaries=primaries)
        )
        subject = Subject(JobKind.SIMULATION, simulation.id, owner, project_id, title)
        job, parts = new_job(subject, shares(primaries, tasks), where)
        session.add(job)
        await session.flush()
        session.add_all(parts)
        changed(session, WORK, job_topic(job.id))
    return simulation.id


async def update_simulation(ctx: Context, key: UUID, expected_version: int, changes: Mapping[str, Any]) -> UUID:
    """Change the title, the project or the session of one's own simulation."""
    signed_in(ctx)
    async with writing(ctx, "UPDATE", Simulation, key) as session:
        for model, column in ((Project, "project_id"), (Session, "session_id")):
            if (referred := changes.get(column)) is not None:
                await held_in_order(session, model, model.id == referred)
        row = await _own(session, ctx, key, policy_of(Simulation).update, "change")
        expect(row, expected_version)
        if (project := changes.get("project_id")) is not None:
            await locked(session, ctx, Project, project, field="input.project")
        if (held := changes.get("session_id")) is not None:
            await locked(session, ctx, Session, held, field="input.session")
        if len(composed(changes.get("title") or "")) > TITLE:
            raise Invalid(f"a title has at most {TITLE} characters", field="input.title")
        for name in ("title", "project_id", "session_id"):
            if name in changes:
                setattr(row, name, changes[name])
        jobs = (await session.scalars(sa.select(Job.id).where(Job.simulation_id == key).order_by(Job.id))).all()
        if "project_id" in changes:
            because(session, "jobs are their subject's project's", Job)
            moved = sa.update(Job).where(Job.simulation_id == key).values(project_id=row.project_id)
            await in_order(session, moved)
        changed(session, results_topic(key), *map(job_topic, jobs))
    return key


async def delete_simulation(ctx: Context, key: UUID, expected_version: int | None = None) -> datetime:
    """Delete one's own simulation whose jobs have ended: nobody sees it or its results any more. Returns when. Its rows
    are removed when deleted simulations are cleared."""
    async with writing(ctx, "DELETE", Simulation, key) as session:
        row = await _own(session, ctx, key, policy_of(Simulation).delete, "delete")
        if expected_version is not None:
            expect(row, expected_version)
        for job in await session.scalars(
            sa.select(Job).where(Job.simulation_id == key).order_by(Job.id).with_for_update()
        ):
            expect_ended(job)
        moment = await erase(session, row)
        record(session, ctx, "DELETE", "Simulation", key, project_id=row.project_id)
        changed(session, results_topic(key), principal_topic(key))
    return moment


async def _own(session: AsyncSession, ctx: Context, key: UUID, rules: Sequence[Rule], verb: str) -> Simulation:
    """The simulation, locked, if the principal may change or delete it."""
    row = await locked(session, ctx, Simulation, key)
    await require(session, ctx, row, rules, verb)
    return row


def shares(primaries: int, tasks: int) -> list[int]:
    """The primaries of each task; the remainder of the division goes to the first."""
    each, over = divmod(primaries, tasks)
    return [each + (n < over) for n in range(tasks)]


async def store_estimators(session: AsyncSession, simulation: UUID, estimators: Sequence[Delivered]) -> None:
    """Store these estimators of a simulation with their pages, and remove all others. Existing ones keep their keys, so
    that clients who read results while they come in can go on."""
    wanted = sa.select(Estimator).where(Estimator.simulation_id == simulation)
    held = {row.file_name: row for row in await session.scalars(wanted)}
    for delivered in estimators:
        row = held.pop(delivered.file_name, None)
        pages: dict[int, UUID] = {}
        if row is None:
            row = Estimator(id=uuid7(), simulation_id=simulation, file_name=delivered.file_name)
            session.add(row)
        else:
            numbered = sa.select(Page.number, Page.id).where(Page.estimator_id == row.id)
            pages = {page.number: page.id for page in await session.execute(numbered)}
        row.name, row.meta = delivered.name, delivered.metadata
        await session.flush()
        for page in delivered.pages:
            columns = _page(row.id, page)
            if (key := pages.pop(page.number, None)) is None:
                session.add(Page(**columns))
            else:
                changed_page = sa.update(Page).where(Page.id == key).values(**columns, version=Page.version + 1)
                await session.execute(changed_page.execution_options(synchronize_session=False))
        await session.execute(sa.delete(Page).where(Page.id.in_(pages.values())))
    for gone in held.values():
        await session.delete(gone)
    await session.flush()


def _page(estimator: UUID, page: DeliveredPage) -> dict[str, Any]:
    """The columns of a page."""
    axis1, axis2 = page.axis_dim1, page.axis_dim2
    return {
        "estimator_id": estimator,
        "number": page.number,
        "name": page.data.name,
        "dimension": page.dimensions,
        "value_count": len(page.data.values),
        "unit": page.data.unit,
        "filter_name": page.metadata.get("page_filter_name"),
        "has_non_finite": None in page.data.values,
        "axis1_name": axis1 and axis1.name,
        "axis1_unit": axis1 and axis1.unit,
        "axis1_count": axis1 and len(axis1.values),
        "axis1_values": _numbers(axis1),
        "axis2_name": axis2 and axis2.name,
        "axis2_unit": axis2 and axis2.unit,
        "axis2_count": axis2 and len(axis2.values),
        "axis2_values": _numbers(axis2),
        "meta": page.metadata,
        "data_values": _numbers(page.data),
    }


def _numbers(axis: Axis | None) -> str | None:
    return None if axis is None else orjson.dumps(axis.values).decode()


def _texts(files: Any) -> dict[str, str]:
    """Input files by name, or INVALID: an object of a few names, each with a text."""
    field = "input.inputFiles"
    if not isinstance(files, dict) or not files:
        raise Invalid("inputFiles is an object of file name to text, with at least one file", field=field)
    if len(files) > FILES:
        raise Invalid(f"at most {FILES} input files are taken, not {len(files)}", field=field)
    for name, text in files.items():
        if not programs.FILE_NAME.fullmatch(name):
            raise Invalid(f"{name[:40]!r} is not a file name: letters, digits, dot, dash and underscore", field=field)
        if not isinstance(text, str) or "\0" in text:
            raise Invalid(f"the content of {name} is not text", field=f"{field}.{name}")
    size = sum(len(text.encode(errors="surrogatepass")) for text in files.values())
    if size > FILE_BYTES:
        raise Invalid(f"the input files have {size} bytes; at most {FILE_BYTES} are taken", field=field)
    return files


def _program(ctx: Context, sim_type: SimulationType, input_type: InputType) -> Program:
    available = ctx.services.jobs.programs
    if sim_type.name not in available:
        raise Invalid(f"no program for {sim_type.name} runs here", field="input.simType", allowed=sorted(available))
    program = available[sim_type.name]
    if input_type.name not in program.kinds:
        kinds = sorted(program.kinds)
        raise Invalid(
            f"{sim_type.name} takes input of type {' or '.join(kinds)}", field="input.inputType", allowed=kinds
        )
    return program


def _read(program: Program, input_type: InputType, given: Any) -> tuple[dict[str, str], int]:
    """The native files, and the number of primaries that they ask for; or INVALID with the place of what is wrong."""
    if input_type is InputType.EDITOR:
        try:
            files = program.files_of(input_type.name, given)
        except programs.InputError as error:
            raise Invalid(
                f"{error.file}: {error.message}", field=f"input.inputJson.{error.file}", path=error.file
            ) from None
    else:
        files = _texts(given)
    try:
        return files, program.check(files)
    except programs.InputError as error:
        where = f"{error.file}:{error.line}" if error.line else error.file
        raise Invalid(
            f"{where}: {error.message}", field=f"input.inputFiles.{error.file}", file=error.file, line=error.line
        ) from None
