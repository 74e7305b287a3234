"""Submit, change and delete simulations."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of
from db.locks import held_in_order, in_order
from db.models import (
    File,
    InputType,
    Job,
    JobKind,
    Project,
    Session,
    Simulation,
    SimulationLabel,
    SimulationSetup,
    SimulationType,
    Task,
)
from db.searching.folding import composed
from db.types import uuid7
from db.written import because
from jobs import programs
from jobs.programs.program import Program
from resolvers.access.policy import policy_of
from resolvers.access.rules import Rule
from resolvers.context import Context
from resolvers.failures import Invalid
from resolvers.feed import job_topic, principal_topic, results_topic
from resolvers.labels import checked_labels, put_labels
from resolvers.queue.lifecycle import Place, Subject, enqueue, expect_ended, new_job
from resolvers.reading.conditions import Where
from resolvers.work.placement import checked_options, chosen_place
from resolvers.writing.audit import record
from resolvers.writing.cascade import erase
from resolvers.writing.refusals import writing
from resolvers.writing.rows import expect, expect_met, locked, require, signed_in

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
    labels: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
) -> UUID:
    """Check the input as the program will read it; then store simulation, input, job and tasks together. `given` are
    native files by name, or a project of the editor, from which the files are made."""
    owner, title, labels = signed_in(ctx), composed(title), checked_labels(labels, "a simulation")

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
    reading = partial(_read, program, input_type, given)
    files, primaries = await ctx.services.jobs.inputs.run(ctx.lane, reading)
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
        await put_labels(session, SimulationLabel, SimulationLabel.simulation_id, simulation.id, labels)
        project = given if input_type is InputType.EDITOR else None
        session.add(
            SimulationSetup(simulation_id=simulation.id, files=files, project=project, total_primaries=primaries)
        )
        subject = Subject(JobKind.SIMULATION, simulation.id, owner, project_id, title)
        job, parts = new_job(subject, shares(primaries, tasks), where, await moment_of(session))
        await enqueue(session, job, parts)
    return simulation.id


async def update_simulation(ctx: Context, key: UUID, expected_version: int, changes: Mapping[str, Any]) -> UUID:
    """Change the title, the labels, the project or the session of one's own simulation."""
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
        if "labels" in changes:
            given = checked_labels(changes["labels"], "a simulation")
            if await put_labels(session, SimulationLabel, SimulationLabel.simulation_id, key, given):
                row.updated_at = await moment_of(session)
        jobs = (await session.scalars(sa.select(Job.id).where(Job.simulation_id == key).order_by(Job.id))).all()
        await _carry(session, row, changes)
        changed(session, results_topic(key), *map(job_topic, jobs))
    return key


async def _carry(session: AsyncSession, row: Simulation, changes: Mapping[str, Any]) -> None:
    """Give the jobs of a simulation its title and its project, and its outputs its project, where these changed."""
    of_jobs = {name: getattr(row, name) for name in ("title", "project_id") if name in changes}
    if of_jobs:
        because(session, "jobs have the title and the project of their subject", Job)
        await session.flush()
        jobs = sa.update(Job).where(Job.simulation_id == row.id)
        await in_order(session, jobs.values(**of_jobs, version=Job.version + 1))
    if "project_id" in changes:
        because(session, "outputs are their subject's project's", File)
        files = sa.update(File).where(File.simulation_id == row.id)
        await in_order(session, files.values(project_id=row.project_id))


async def delete_simulation(
    ctx: Context, key: UUID, expected_version: int | None = None, *, where: Where | None = None
) -> datetime:
    """Delete one's own simulation whose jobs have ended: nobody sees it or its results any more, and its links end.
    Returns when. Until deleted simulations are cleared it can be restored. CONFLICT for one that doesn't meet
    `where`."""
    async with writing(ctx, "DELETE", Simulation, key) as session:
        row = await _own(session, ctx, key, policy_of(Simulation).delete, "delete")
        await expect_met(session, ctx, row, where)
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
    if input_type is InputType.EDITOR and sim_type in (SimulationType.TOPAS, SimulationType.GEANT4):
        raise Invalid(
            f"projects of the editor are converted for SHIELDHIT and FLUKA; {sim_type.name} takes files of its own",
            field="input.inputType",
            allowed=[InputType.FILES.name],
        )
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
    editor = input_type is InputType.EDITOR
    try:
        return program.accept(input_type.name, given if editor else _texts(given))
    except programs.InputError as error:
        where = f"{error.file}:{error.line}" if error.line else error.file
        field, place = ("inputJson", "path") if editor else ("inputFiles", "file")
        details = {place: error.file} if editor else {place: error.file, "line": error.line}
        raise Invalid(f"{where}: {error.message}", field=f"input.{field}.{error.file}", **details) from None
