"""Write the results of a simulation: estimators and their pages, the numbers of large pages beforehand."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np
import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import Database
from db.models import SLAB, Estimator, Page, PageSlab, Series
from db.types import uuid7
from jobs.results.layout import Layout, Piece, Sheet
from jobs.results.sums import Array

INLINE = 1_000_000
"""Numbers of one result that stand in the rows of its pages; those of further pages stand in slabs."""


@dataclass(frozen=True, slots=True)
class MergedEstimator:
    """An estimator, and the columns of its pages by number."""

    name: str
    file_name: str
    meta: Mapping[str, str]
    pages: Mapping[int, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Merged:
    estimators: Sequence[MergedEstimator]
    warnings: Sequence[str]


@dataclass
class Writer:
    """Takes merged values piece by piece, and makes the columns of pages. Numbers of large pages are written at once,
    in transactions of their own; nobody sees them until a page refers to them."""

    database: Database
    _pages: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)
    _inline: int = 0

    async def put(self, piece: Piece, values: Array, errors: Array | None) -> None:
        """Take the values of a piece."""
        sheet = piece.sheet
        pages = self._pages.setdefault(sheet.file_name, {})
        if piece.start == 0:
            pages[sheet.first.number] = columns(sheet, [await asyncio.to_thread(text, axis) for axis in sheet.axes])
            if sheet.size > SLAB or self._inline + sheet.size > INLINE:
                pages[sheet.first.number]["content"] = uuid7()
        page = pages[sheet.first.number]
        page["has_non_finite"] |= not bool(np.isfinite(values).all())
        if (content := page["content"]) is None:
            self._inline += sheet.size
            page["data_values"] = await asyncio.to_thread(text, values)
            page["data_errors"] = None if errors is None else await asyncio.to_thread(text, errors)
            return
        await self._slabs(content, Series.VALUES, piece, values)
        if sheet.errors or len(sheet.tasks) > 1:
            known = np.full(values.shape, np.nan) if errors is None else errors
            await self._slabs(content, Series.ERRORS, piece, known)

    async def _slabs(self, content: UUID, series: Series, piece: Piece, numbers: Array) -> None:
        first = piece.start // SLAB
        for place in range(0, len(numbers), SLAB):
            made = (await asyncio.to_thread(text, numbers[place : place + SLAB]))[1:-1]
            row = PageSlab(content=content, series=series, number=first + place // SLAB, text=made)
            async with self.database.write(as_system="finished jobs are merged") as session:
                session.add(row)

    def merged(self, layout: Layout, primaries: int, warnings: Sequence[str]) -> Merged:
        """All that was taken."""
        told = {"number_of_primaries": str(primaries)}
        return Merged(
            [
                MergedEstimator(one.name, one.file_name, {**one.metadata, **told}, self._pages.get(one.file_name, {}))
                for one in layout.estimators
            ],
            warnings,
        )


def text(numbers: Array) -> str:
    """A JSON array, null for what is not finite."""
    return orjson.dumps(np.ascontiguousarray(numbers), option=orjson.OPT_SERIALIZE_NUMPY).decode()


def columns(sheet: Sheet, axes: Sequence[str]) -> dict[str, Any]:
    """The columns of a page without its values; `axes` are JSON arrays."""
    page = sheet.first
    made: dict[str, Any] = {
        "number": page.number,
        "name": page.data.name,
        "dimension": len(page.axes),
        "value_count": sheet.size,
        "unit": page.data.unit,
        "filter_name": page.metadata.get("page_filter_name"),
        "has_non_finite": False,
        "approximate": sheet.approximate,
        "meta": page.metadata,
        "data_values": None,
        "data_errors": None,
        "content": None,
    }
    for number in range(1, 4):
        axis = page.axes[number - 1] if number <= len(page.axes) else None
        made |= {
            f"axis{number}_name": axis and axis.name,
            f"axis{number}_unit": axis and axis.unit,
            f"axis{number}_count": axis and len(axis.values),
            f"axis{number}_values": axis and axes[number - 1],
        }
    return made


async def store(session: AsyncSession, simulation: UUID, merged: Merged) -> None:
    """Store these estimators of a simulation with their pages, and remove all others. Existing ones keep their keys, so
    that clients who read results while they come in can go on."""
    wanted = sa.select(Estimator).where(Estimator.simulation_id == simulation)
    held = {row.file_name: row for row in await session.scalars(wanted)}
    replaced: list[UUID] = []
    for delivered in merged.estimators:
        row = held.pop(delivered.file_name, None)
        pages: dict[int, Any] = {}
        if row is None:
            row = Estimator(id=uuid7(), simulation_id=simulation, file_name=delivered.file_name)
            session.add(row)
        else:
            numbered = sa.select(Page.number, Page.id, Page.content).where(Page.estimator_id == row.id)
            pages = {page.number: page for page in await session.execute(numbered)}
        row.name, row.meta = delivered.name, dict(delivered.meta)
        await session.flush()
        for number, page in delivered.pages.items():
            if (before := pages.pop(number, None)) is None:
                session.add(Page(estimator_id=row.id, **page))
                continue
            replaced += [before.content] if before.content else []
            changed_page = sa.update(Page).where(Page.id == before.id).values(**page, version=Page.version + 1)
            await session.execute(changed_page.execution_options(synchronize_session=False))
        replaced += [page.content for page in pages.values() if page.content]
        await session.execute(sa.delete(Page).where(Page.id.in_([page.id for page in pages.values()])))
    for gone in held.values():
        await session.delete(gone)
    if replaced:
        await session.execute(sa.delete(PageSlab).where(PageSlab.content.in_(replaced)))
    await session.flush()
