"""What a principal was looked up with says the same as the tables that it was read from."""

from dataclasses import replace

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from db.aliases import Alias
from resolvers.access.policy import policies
from resolvers.access.rules import PROJECT_USER, SITE_USER, allowed
from resolvers.access.visibility import visible
from resolvers.identity import place_queries, places_held
from resolvers.identity.principal import Kind, Principal
from resolvers.spelling import global_id
from tests.support.matrix import Stage
from tests.support.organising import update
from tests.support.platforms import principal_as


def _users(stage: Stage) -> list[Principal]:
    found = [one for one in stage.people.values() if one.kind is Kind.USER]
    assert any(one.sites for one in found)
    return found


@pytest.mark.slow
async def test_every_rule_lets_the_same_read_the_same_rows_and_fields(stage: Stage) -> None:
    database, shown = stage.rendered.services.database, 0
    for principal in _users(stage):
        assert principal.groups is not None
        for policy in policies():
            for rules in {policy.read, *policy.fields.values()}:
                row = Alias(policy.model)
                ways = [allowed(rules, row, profile) for profile in (principal.profile, principal.settled)]
                by_tables, settled = (sa.case((way, 1), else_=0) for way in ways)
                statement = sa.select(row.id, by_tables, settled).select_from(row)
                found = await database.rows(statement, principal.parameters)
                assert [one for one in found if one[1] != one[2]] == [], (policy.model, rules)
                shown += sum(one[1] for one in found)
            row = Alias(policy.model)
            seen = [
                set(await database.rows(sa.select(row.id).where(visible(row, profile)), principal.parameters))
                for profile in (principal.profile, principal.settled)
            ]
            assert seen[0] == seen[1], policy.model
    assert shown > 100


def test_who_uses_a_project_is_not_asked_for_beside_who_uses_its_site(stage: Stage) -> None:
    principal = stage.people["tom"]
    (policy,) = (one for one in policies() if one.model.__name__ == "User")
    both, one = (
        allowed(rules, Alias(policy.model), principal.settled).compile(dialect=sqlite.dialect())
        for rules in ((PROJECT_USER, SITE_USER), (SITE_USER,))
    )
    assert set(one.binds) == {"groups_of_sites"}
    assert str(both) == str(one)


async def test_with_too_many_groups_the_tables_are_asked(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    tom = stage.people["tom"]
    for module in (place_queries, places_held):
        monkeypatch.setattr(module, "GROUPED", 0)
    found = await principal_as(stage.rendered.services, stage.world.tom)
    assert found.groups is None
    assert found.settled == tom.profile
    query = "{users(first:100){nodes{id username email}}}"
    (first, second) = [await stage.rendered.answer(query, one) for one in (tom, found)]
    assert first.body == second.body


async def test_a_mutation_reads_back_what_it_changed_of_the_groups(stage: Stage) -> None:
    """Its principal was looked up before."""
    sita = stage.people["sita"]
    none = replace(sita, groups=frozenset())
    query = "query($id:ID!){user(id:$id){username}}"
    uma = global_id("User", stage.people["uma"].id)  # type: ignore[arg-type]
    assert "errors" in (await stage.rendered.answer(query, none, id=uma)).body
    answer = await update(stage.rendered, uma, none, select="username")
    assert answer["username"] == "uma"
