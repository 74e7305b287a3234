"""The result of one simulation: a real one of YAPTIDE where its file is at hand, else numbers of the same shape."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import orjson

from db.engine import Database
from jobs.results.estimators import Estimator, read
from jobs.results.layout import Layout, batches
from resolvers.simulations.results import Writer, store

FILE = Path(__file__).parents[2] / "shared" / "data" / "yaptide" / "json_with_results.json"
SHAPES: dict[str, Sequence[tuple[int, ...]]] = {
    "yz_profile_": [(80, 400)] * 3,
    "entrance_": [()] * 6 + [(640,)],
    "z_profile_": [(400,)] * 4,
    "peak_": [()] * 6 + [(640,)],
}
"""The real result's: by estimator, the bins along the axes of each page."""


def estimators() -> Sequence[Estimator]:
    """4 estimators with 21 pages of 98,892 numbers."""
    return _read(orjson.loads(FILE.read_bytes())["estimators"]) if FILE.exists() else generated()


def generated() -> Sequence[Estimator]:
    """As many pages and numbers, the same each time."""
    chance = random.Random(21)
    return _read(
        [
            {"name": name, "metadata": {}, "pages": [_page(chance, number, bins) for number, bins in enumerate(shapes)]}
            for name, shapes in SHAPES.items()
        ]
    )


def _read(found: Sequence[dict[str, Any]]) -> Sequence[Estimator]:
    return read([{"file_name": f"{each['name']}.bdo", **each} for each in found]).estimators


async def keep(database: Database, simulation: UUID, given: Sequence[Estimator]) -> None:
    """Store results of one primary, whose numbers stand in them."""
    layout, writer = Layout(), Writer(database)
    for estimator in given:
        layout.add(estimator)
        for page in estimator.pages:
            layout.put(1, estimator.file_name, page, [_numbers(axis.values) for axis in page.axes])
    for piece in (piece for batch in batches(layout, 2**31) for piece in batch):
        page = piece.sheet.first
        errors = None if page.data.errors is None else _numbers(page.data.errors)
        await writer.put(piece, _numbers(page.data.values), errors)
    async with database.write(as_system="bench") as session:
        await store(session, simulation, writer.merged(layout, 1, []))


def _numbers(given: Any) -> Any:
    return np.array([np.nan if one is None else one for one in given], dtype=np.float64)


def _page(chance: random.Random, number: int, bins: tuple[int, ...]) -> dict[str, Any]:
    count = 1
    for each in bins:
        count *= each
    page: dict[str, Any] = {
        "dimensions": len(bins),
        "data": {"name": "DOSE", "unit": "MeV/g", "values": [chance.random() for _ in range(count)]},
        "metadata": {"page_number": str(number)},
    }
    for axis, each in enumerate(bins, 1):
        values = [0.025 + 0.05 * n for n in range(each)]
        page[f"axis_dim{axis}"] = {"name": "Position", "unit": "cm", "values": values}
    return page
