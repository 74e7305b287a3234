"""Merge what the tasks of a simulation's job delivered into one result, some of the values at a time."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed
from db.models import Job, JobState
from db.outages import Contended
from jobs.results.bounds import MORE, shortened
from jobs.results.estimators import Page
from jobs.results.layout import Layout, Piece, batches
from jobs.results.sums import Array, Sums
from resolvers.context import Services
from resolvers.feed import job_topic, results_topic
from resolvers.queue.kinds import Finished
from resolvers.simulations.delivered import Delivered, Source
from resolvers.simulations.results import Merged, Writer, store

WINDOW = 131_072
"""Values of a page that are merged at once, some of several pages together."""

Given = tuple[Array, Array | None, Array | None]
"""The values of a piece, and what there is of their errors and weights."""


async def finish(services: Services, key: UUID) -> Finished:
    """The merged result of a job. Its large pages are written already; nothing refers to them yet."""
    delivered = await Delivered.of_job(services.database, key)
    try:
        merged = await _merged(services, delivered)
    except LookupError as gone:
        raise Contended("results were replaced while they were merged") from gone
    return Finished([source.key for source in delivered.sources], partial(_store, merged))


async def _merged(services: Services, delivered: Delivered) -> Merged:
    layout = await _layout(delivered)
    writer = Writer(services.database)
    for batch in batches(layout, WINDOW):
        sums = [Sums(p.sheet.way, p.stop - p.start, weighted=p.sheet.weighted) for p in batch]
        for source in delivered.sources:
            wanted = [n for n, piece in enumerate(batch) if source.ordinal in piece.sheet.tasks]
            pages = (await delivered.result(source)).pages
            given = [await _given(delivered, source, pages, batch[n]) for n in wanted]
            await asyncio.to_thread(_add, source, [sums[n] for n in wanted], given)
        for piece, total in zip(batch, sums, strict=True):
            piece.sheet.lacking += total.lacking
            await writer.put(piece, *await asyncio.to_thread(total.result))
    primaries = sum(source.primaries for source in delivered.sources)
    return writer.merged(layout, primaries, warnings_of(delivered.sources, layout))


async def _layout(delivered: Delivered) -> Layout:
    layout = Layout()
    for source in delivered.sources:
        result = await delivered.result(source)
        for estimator in result.estimators:
            layout.add(estimator)
            for page in estimator.pages:
                layout.put(source.ordinal, estimator.file_name, page, await delivered.axes(source, page))
    return layout


async def _given(delivered: Delivered, source: Source, pages: Mapping[tuple[str, int], Page], piece: Piece) -> Given:
    page = pages.get((piece.sheet.file_name, piece.sheet.first.number))
    if page is None:
        raise LookupError("a page is gone")
    data, some = page.data, (piece.start, piece.stop)
    values = await delivered.numbers(source, data.values, *some)
    errors, weights = [
        None if series is None else await delivered.numbers(source, series, *some)
        for series in (data.errors, data.weights)
    ]
    return values, errors, weights


def _add(source: Source, sums: Iterable[Sums], given: Iterable[Given]) -> None:
    for total, (values, errors, weights) in zip(sums, given, strict=True):
        total.add(source.primaries, values, errors, weights)


def _of_some(text: str, tasks: Sequence[int]) -> str:
    """A sentence with the tasks that say it."""
    who = ", ".join(map(str, tasks[:10])) + (", …" if len(tasks) > 10 else "")
    return f"task{'s' if len(tasks) > 1 else ''} {who}: {text}"


def warnings_of(sources: Sequence[Source], layout: Layout) -> list[str]:
    """What is not in a result, and what is not exact in it."""
    told: dict[str, list[int]] = {}
    for source in sources:
        for text in source.warnings:
            told.setdefault(text, []).append(source.ordinal)
    every = len(sources)
    found = [
        text if len(tasks) == every or MORE.fullmatch(text) else _of_some(text, tasks) for text, tasks in told.items()
    ]
    found += layout.warnings
    for sheet in layout.sheets():
        if sheet.way == "sum" and sheet.lacking:
            found.append(
                f"{sheet.file_name}, page {sheet.first.number} of {sheet.first.data.name}: {sheet.lacking} of "
                f"{sheet.size} values are too small: they are sums, and some task did not give them"
            )
        if sheet.approximate:
            found.append(
                f"{sheet.file_name}, page {sheet.first.number} of {sheet.first.data.name} is approximate: a quotient "
                "whose divisor was not scored is averaged over the tasks by their primaries"
            )
    return shortened(found)


async def _store(merged: Merged, session: AsyncSession, job: Job) -> None:
    """Store the results, unless a later attempt has stored some."""
    overtaken = sa.exists().where(
        Job.simulation_id == job.simulation_id,
        Job.attempt > job.attempt,
        sa.or_(Job.state == JobState.COMPLETED, Job.merges > 0),
    )
    others = [] if job.state is JobState.RUNNING else job.warnings  # while it runs, they are of an earlier merging
    job.warnings = [*(text for text in others if text not in merged.warnings), *merged.warnings]
    if await session.scalar(sa.select(overtaken)):
        return
    await store(session, job.subject_id, merged)
    job.merges += 1
    changed(session, results_topic(job.subject_id), job_topic(job.id))
