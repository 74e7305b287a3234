"""Nobody's power changes by what the powerless do: after random writes by random principals, for everybody.

Power over a row is what `myAccess` tells: to change a field of it, to delete it; over an account also to read its
address, its notes, and whether it is active; over a group also to take a member out. After each write:

- It is *gained* only through an actor who had that very power before, or a superadmin; or since the actor took the row
  out of a place that the actor administers, so that those who administer the rest now administer all. By that the
  actor gains nothing, unless the actor administered every place that the row was in.
- Two who hold a part each hold all together: whom the administrator of one place makes another one there, and who
  administers the rest already, administers what is in both.
- It is *lost* only by the actor; or through an actor who had that very power, a superadmin, or the row itself; or since
  the actor took the row, or the one who loses it, out of a place that the actor administers.
- A row goes only by who may delete it, or what it hangs on. What is new belongs where it is made, and what comes back
  is as what is new; for every other row the above holds then, too.

The roles of groups in a project make its site a place of theirs, also while the project is deleted: who administers the
project alone takes nobody out of the site.
"""

import dataclasses
import os
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from db import models
from resolvers.access import administration, clauses, places, policy, rules
from schema import Schema
from tests.support.databases import BACKENDS, Prepared
from tests.support.power import Arena, Violation, arena_on, forget, report, roam, say, untried

STEPS = int(os.environ.get("TORANA_POWER_STEPS", "150"))
SEED = int(os.environ.get("TORANA_POWER_SEED", "20"))


@pytest.fixture
async def arena(prepared: Prepared, backend: str, schema: Schema, tmp_path: Path) -> AsyncIterator[Arena]:
    async with arena_on(prepared, backend, schema, tmp_path) as made:
        yield made


@pytest.fixture
async def embedded(prepared: Prepared, schema: Schema, tmp_path: Path) -> AsyncIterator[Arena]:
    """On SQLite alone."""
    async with arena_on(prepared, BACKENDS[0], schema, tmp_path) as made:
        yield made


async def _first(arena: Arena, seed: int, steps: int, **given: Any) -> Violation | None:
    async for violation in roam(arena, Random(seed), steps, **given):
        return violation
    return None


@pytest.mark.slow
async def test_power_changes_by_those_alone_who_have_it(arena: Arena, backend: str) -> None:
    violation = await _first(arena, SEED, STEPS if backend == "sqlite" else STEPS // 3)
    say(report(arena.tally))
    assert violation is None, "\n".join([*map(str, violation.history), str(violation)])


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_every_mutation_is_accepted_and_refused(embedded: Arena) -> None:
    """Else the test above would say nothing."""
    violation = await _first(embedded, SEED + 1, 2_000, all_tried=True)
    say(report(embedded.tally))
    assert violation is None, "\n".join([*map(str, violation.history), str(violation)])
    assert untried(embedded.tally) == []


@pytest.mark.slow
async def test_the_former_rule_for_granting_is_found(embedded: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever administered the place of a role gave it to whom they liked."""
    former = (rules.PROJECT_ADMIN, rules.SITE_ADMIN, rules.GRANTING_SERVICE, rules.SUPERADMIN)
    _replace(monkeypatch, create=former, delete=former)
    for module in (administration, places):
        monkeypatch.setattr(module, "of_core", lambda role: clauses.TRUE)
    forget()
    violation = await _first(embedded, SEED, 200)
    forget()
    assert violation is not None
    assert violation.step.mutation in ("grantRole", "createUserGroup")


@pytest.mark.slow
async def test_the_former_way_out_of_a_site_is_found(embedded: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever administered a project took a group out of its site, and came to administer what was left."""
    _replace(monkeypatch, then=None)
    violation = await _first(embedded, 21, 60, kinds=("revokeRole",))
    assert violation is not None
    assert violation.step.mutation == "revokeRole"


def _replace(monkeypatch: pytest.MonkeyPatch, **former: Any) -> None:
    """Give grants of roles another policy."""
    now = policy.policy_of(models.RoleGrant)
    monkeypatch.setitem(policy._POLICIES, models.RoleGrant, dataclasses.replace(now, **former))
