"""The bench still fits the tables it fills."""

from bench import data
from tests.conftest import Prepared


async def test_the_bench_fills_the_tables_as_they_are(prepared: Prepared) -> None:
    url, _ = await prepared.copy("postgresql")
    ids = await data.fill(url, 20)
    assert len(ids) == 20
