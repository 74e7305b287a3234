"""The result of one simulation: a real one of YAPTIDE where its file is at hand, else numbers of the same shape."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from jobs.results import Estimator, read

FILE = Path(__file__).parents[2] / "shared" / "data" / "yaptide" / "json_with_results.json"
SHAPES: dict[str, Sequence[tuple[int, ...]]] = {
    "yz_profile_": [(80, 400)] * 3,
    "entrance_": [()] * 6 + [(640,)],
    "z_profile_": [(400,)] * 4,
    "peak_": [()] * 6 + [(640,)],
}
"""The real result's: by estimator, the bins along the axes of each page."""


def estimators() -> list[Estimator]:
    """4 estimators with 21 pages of 98,892 numbers."""
    return _read(orjson.loads(FILE.read_bytes())["estimators"]) if FILE.exists() else generated()


def generated() -> list[Estimator]:
    """As many pages and numbers, the same each time."""
    chance = random.Random(21)
    return _read(
        [
            {"name": name, "metadata": {}, "pages": [_page(chance, number, bins) for number, bins in enumerate(shapes)]}
            for name, shapes in SHAPES.items()
        ]
    )


def _read(found: Sequence[dict[str, Any]]) -> list[Estimator]:
    return read([{"file_name": f"{each['name']}.bdo", **each} for each in found])


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
