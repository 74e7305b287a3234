"""The demo's simulations: one computed here, as a worker would, and one that waits."""

import asyncio
from collections.abc import Callable
from functools import partial
from uuid import UUID

from db.models import InputType, SimulationType
from gateway.commands.demo.beam import beam_files
from jobs.programs.proton_beam import simulation
from jobs.programs.shieldhit import native
from resolvers.context import Context, Services
from resolvers.identity.principal import Kind, Principal
from resolvers.queue import leases
from resolvers.queue.reports import Line, Report
from resolvers.simulations import simulations
from resolvers.work import deliveries, finishing, worker_api


async def submit(services: Services, owner: UUID, project: UUID, title: str, primaries: int, tasks: int) -> None:
    ctx = Context(services, Principal(kind=Kind.USER, id=owner, projects={project: False}))
    await simulations.submit_simulation(
        ctx,
        title=title,
        sim_type=SimulationType.SHIELDHIT,
        input_type=InputType.FILES,
        given=beam_files(primaries),
        tasks=tasks,
        project_id=project,
    )


async def compute(services: Services, owner: UUID, project: UUID, tell: Callable[[str], None]) -> None:
    """Submit a simulation, compute it here, and deliver the results as a worker would."""
    primaries, tasks = 1_000, 2
    await submit(services, owner, project, "150 MeV protons in water", primaries, tasks)
    async with services.database.write(as_system="the demo fills its own database") as session:
        task_claims = await leases.claim_waiting(session, tasks, services.limits.lease)
    plan = native.read(beam_files(primaries))
    for task_claim, share in zip(task_claims, simulations.shares(primaries, tasks), strict=True):
        ctx = Context(services, Principal(kind=Kind.WORKER, task_claim=task_claim))
        said: list[str] = []
        run = partial(simulation.run, plan, share, plan.seed, said.append, lambda _: None, task=task_claim.ordinal)
        estimators = await asyncio.to_thread(run)
        lines = [Line(number, line) for number, line in enumerate(said, 1)]
        await worker_api.report(ctx, Report(lines=lines))
        await deliveries.put_results(ctx, estimators)
        tell(f"  task {task_claim.ordinal} of {tasks}: {share} primaries")
    await finishing.merge_ready(services)
