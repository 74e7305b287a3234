"""What reading costs, without a clock. A bound is what was measured and a twentieth more; whoever raises one says why in the
commit. A failure prints what is measured now, as it stands below.
"""

import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from schema import Schema, build
from schema.fields.selection import DEFINITION
from tests.support.costs import LISTS, OPERATIONS, Cost, calls, cost, counting, platform_of, signed_in, variables_of
from tests.support.databases import BACKENDS, Prepared
from tests.support.platforms import Platform, principal_as
from tests.support.volume import STANDINGS, Volume, fill

ROWS, MANY = 2_000, 20_000
"""Simulations, participants and submissions."""
MORE, STEADY = 1.05, 1.2
SOME = 3
"""Buffers: with more rows, an index has a level more."""

COSTS: dict[str, dict[str, Cost]] = {
    "postgresql": {
        "page": Cost(1, 2322, 5, 565, 1402, 41, 400),
        "by id": Cost(1, 1185, 3, 9, 6, 41, 402),
        "four levels": Cost(1, 7039, 12, 274, 2674, 42, 554),
        "whole result": Cost(2, 3330, 4, 306, 104, 41, 576),
        "deep page": Cost(1, 1832, 3, 260, 308, 41, 419),
        "filtered page": Cost(1, 1322, 2, 66, 624, 22, 376),
        "participants": Cost(1, 2761, 8, 567, 869, 21, 380),
        "challenges": Cost(1, 6205, 14, 1528, 1642, 200, 571),
        "jobs": Cost(1, 2256, 6, 211, 962, 241, 597),
    },
    "sqlite": {
        "page": Cost(1, 2010, 10, 16917, 0, 41, 350),
        "by id": Cost(1, 956, 6, 273, 0, 41, 357),
        "four levels": Cost(1, 6124, 38, 14216, 0, 103, 528),
        "whole result": Cost(2, 3247, 9, 2022, 0, 41, 564),
        "deep page": Cost(1, 1514, 9, 5807, 0, 41, 379),
        "filtered page": Cost(1, 1153, 7, 3164, 0, 22, 360),
        "participants": Cost(1, 2587, 16, 11219, 0, 41, 349),
        "challenges": Cost(1, 6292, 25, 31856, 0, 1000, 389),
        "jobs": Cost(1, 2119, 15, 8957, 0, 241, 376),
    },
}
"""As a member of 20 projects who owns nothing; on PostgreSQL 18, SQLite 3.40 and Python 3.11."""

DEEPER = "each of its rows is looked up in an index, which has a level more"
GROWS = {("filtered page", "one"): "a part of a text is looked for in each row of the project"} | dict.fromkeys(
    [
        *(("challenges", profile) for profile in ("one", "none")),
        *((f"devices by {field} {way}", "all") for field in ("NAME", "ID") for way in ("ASC", "DESC")),
    ],
    DEEPER,
)
"""What may read more where there are more rows, by operation and access profile, and why."""

LARGE = ("simulations", "jobs", "tasks", "participants", "devices", "leaderboards", "leaderboardEntries")
PROJECT = "{ simulations(first: 1) { nodes { project { id } } } }"
ORDERED = {
    f"{name} by {field} {way}": f"{{ {name}(first: 20, orderBy: {{field: {field}, direction: {way}}}) {{ nodes {{ id }} }} }}"
    for name in LARGE
    for field in build().core.query_type.fields[name].extensions[DEFINITION].orders().names  # type: ignore[union-attr]
    for way in ("ASC", "DESC")
} | {
    f"simulations of a project by {field}": "{ simulations(first: 20, filter: {project: {ids: [$project]}}, "
    f"orderBy: {{field: {field}}}) {{ nodes {{ id }} }} }}"
    for field in ("CREATED_AT", "TITLE")
}
"""The orders of large lists, and a reference with the orders that an index has below it."""

Filled = tuple[Platform, Volume]


@pytest.fixture(scope="module", params=BACKENDS)
async def filled(
    request: pytest.FixtureRequest, prepared: Prepared, schema: Schema, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Filled]:
    volume = await fill(await prepared.empty(request.param, "volume"), ROWS)
    async with platform_of(volume.url, schema, tmp_path_factory.mktemp("data")) as platform:
        yield platform, volume


@pytest.fixture(scope="module")
async def called(filled: Filled, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Python's calls for each operation, by a gateway of its own on the same rows."""
    platform, volume = filled
    folder, url = tmp_path_factory.mktemp("calls"), volume.url
    if platform.services.database.file is not None:
        url = f"sqlite:///{shutil.copy(platform.services.database.file, folder / 'copy.db')}"
    async with counting(url, folder) as ask:
        header = await signed_in(ask, "all")

        async def data(query: str, **variables: Any) -> Any:
            return (await ask(query, header, **variables))[0]

        return {
            name: await calls(ask, header, query, await variables_of(data, name, volume))
            for name, query in OPERATIONS.items()
        }


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
async def test_an_answer_costs_no_more_than_it_did(filled: Filled, called: dict[str, int], name: str) -> None:
    platform, volume = filled
    found = replace(await _cost(platform, volume, name, "all"), calls=called[name])
    known = COSTS[platform.services.database.dialect][name]
    others = await _of_others(platform)
    compared = [one.name for one in fields(Cost) if one.name not in others]
    above = [one for one in compared if getattr(found, one) > MORE * getattr(known, one)]
    assert not above, f'more {", ".join(above)}: "{name}": {found}'


async def _of_others(platform: Platform) -> set[str]:
    """What other versions than those that were measured take more or less of."""
    others = set() if sys.version_info[:2] == (3, 11) else {"calls"}
    if platform.services.database.dialect == "sqlite":
        same = sqlite3.sqlite_version_info[:2] == (3, 40)
    else:
        (row,) = await platform.services.database.rows(sa.text("SELECT current_setting('server_version_num')"))
        same = row[0].startswith("18")
    return others if same else others | {"scans", "work", "rows"}


async def _cost(platform: Platform, volume: Volume, name: str, profile: str) -> Cost:
    who = await principal_as(platform.services, volume.people[profile])
    variables = await variables_of(partial(platform.ask, as_=who), name, volume)
    return await cost(platform, OPERATIONS[name], who, **variables)


@pytest.mark.slow
async def test_what_is_read_does_not_grow_with_the_rows_there_are(
    prepared: Prepared, schema: Schema, tmp_path: Path
) -> None:
    """Buffers of PostgreSQL under the settings of the readers, for a member of all projects, of one, of one with few rows,
    of none, and a superadmin."""
    work: dict[tuple[str, str], list[int]] = {}
    for number in (ROWS, MANY):
        volume = await fill(await prepared.empty("postgresql", f"rows{number}"), number, tasks=2, whole=False)
        async with platform_of(volume.url, schema, tmp_path) as platform:
            for name in (one for one in OPERATIONS if one != "whole result"):
                for profile in (one for one in STANDINGS if one != "few"):
                    work.setdefault((name, profile), []).append((await _cost(platform, volume, name, profile)).work)
            for profile in ("all", "superadmin"):
                who = await principal_as(platform.services, volume.people[profile])
                project = (await platform.ask(PROJECT, who))["simulations"]["nodes"][0]["project"]["id"]
                for name, query in ORDERED.items():
                    asked = query.replace("$project", f'"{project}"')
                    work.setdefault((name, profile), []).append((await cost(platform, asked, who)).work)
            few = await principal_as(platform.services, volume.people["few"])
            for name, query in LISTS.items():
                work.setdefault((name, "few"), []).append((await cost(platform, query, few)).work)
        await prepared.drop(volume.url)
    grown = {key: found for key, found in work.items() if found[1] > STEADY * found[0] + SOME}
    told = "\n".join(f"{key}: {found[0]} to {found[1]}" for key, found in grown.items())
    assert grown.keys() <= GROWS.keys(), told
