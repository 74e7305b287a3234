"""Specs are put, versioned, compared, shared and deleted; what may not be is told, and nothing of it is stored."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from db import models as m
from db.types import now
from resolvers.retention import tidy
from resolvers.specs import registry, retention
from resolvers.spelling import global_id
from schema.fields.scalars import key_of
from tests.support.organising import made, settle
from tests.support.platforms import Platform
from tests.support.specs import described

PUT = """mutation($name: String!, $source: SpecSource!, $language: SpecLanguage!, $version: String, $expected: Int) {
  done: putSpec(name: $name, source: $source, language: $language, version: $version, expectedVersion: $expected) {
    __typename ... on SpecVersion { id name title description modelCount source spec { id name canonicalName version } }
    ... on Problem { code message field details } } }"""
LATEST = "query($name: String) { spec(name: $name) { id version name latestVersion { name modelCount } versions(first: 50) { nodes { name } } } }"
YAML = """openapi: 3.1.0
info: {title: Beams, version: 1.2.0}
paths: {}
components:
  schemas:
    Magnet: {type: object, x-tablename: magnet, properties: {id: {type: integer, x-primary-key: true}}}
"""


class Owner:
    """Somebody who has specs."""

    def __init__(self, platform: Platform, who: str = "tom") -> None:
        self.platform = platform
        self.who = who

    async def put(
        self, name: str, source: str, version: str | None = None, *, language: str = "JSON", expected: int | None = None
    ) -> Any:
        given = {"name": name, "source": source, "language": language, "version": version, "expected": expected}
        return (await self.platform.ask(PUT, self.who, **given))["done"]

    async def spec(self, name: str) -> Any:
        return (await self.platform.ask(LATEST, self.who, name=name))["spec"]

    async def run(self, mutation: str, **given: Any) -> Any:
        kinds = {"id": "ID!", "version": "Int", "input": "SpecChanges!", "reason": "String", "expectedVersion": "Int!"}
        named = ",".join(f"${name}:{kinds[name]}" for name in given)
        passed = ",".join(f"{name}:${name}" for name in given)
        told = "__typename ...on Problem{code field message}"
        query = f"mutation{f'({named})' if given else ''}{{done:{mutation}{f'({passed})' if given else ''}{{{told}}}}}"
        return (await self.platform.ask(query, self.who, **given))["done"]

    async def change(self, name: str, **changes: Any) -> Any:
        spec = await self.spec(name)
        return await self.run("updateSpec", id=spec["id"], expectedVersion=spec["version"], input=changes)

    async def models(self) -> int:
        return int((await self.platform.ask("{viewer{specModelCount}}", self.who))["viewer"]["specModelCount"])


@pytest.fixture
def tom(platform: Platform) -> Owner:
    return Owner(platform)


def _allow(platform: Platform, most: int | None) -> None:
    services = platform.services
    object.__setattr__(services, "limits", replace(services.limits, spec_models=most))


async def _fetched(platform: Platform, version: str) -> None:
    async with platform.services.database.write(as_system="test") as session:
        key = key_of("SpecVersion", version)
        await session.execute(sa.update(m.SpecVersion).where(m.SpecVersion.id == key).values(fetched_at=now()))


async def test_a_spec_is_stored_as_it_came_with_what_it_says(tom: Owner) -> None:
    done = await tom.put("Beam_Line", YAML, language="YAML")
    assert (done["name"], done["title"], done["description"], done["modelCount"]) == ("1.2.0", "Beams", None, 1)
    assert done["source"] == YAML
    assert (done["spec"]["name"], done["spec"]["canonicalName"]) == ("Beam_Line", "beam-line")


@pytest.mark.parametrize("name", ["Beam_Line", "beam-line", "BEAM.LINE", "beam__line"])
async def test_a_spec_is_found_however_its_name_is_written(tom: Owner, name: str) -> None:
    await tom.put("beam-Line", described("Magnet"))
    assert (await tom.spec(name))["name"] == "beam-Line"


async def test_no_spec_is_found_by_what_is_no_name(tom: Owner) -> None:
    assert await tom.spec("beam line") is None
    assert await tom.spec("") is None


async def test_a_further_version_is_the_latest_and_the_earlier_one_stays(tom: Owner) -> None:
    await tom.put("beams", described("Magnet", version="1.0"))
    await tom.put("beams", described("Magnet", "Monitor", version="1.1"))
    spec = await tom.spec("beams")
    assert spec["latestVersion"] == {"name": "1.1", "modelCount": 2}
    assert [one["name"] for one in spec["versions"]["nodes"]] == ["1.1", "1.0"]


async def test_a_version_that_was_not_fetched_is_replaced_and_is_then_the_latest(tom: Owner) -> None:
    first = await tom.put("beams", described("Magnet", version="1.0"))
    await tom.put("beams", described("Magnet", version="2.0"))
    again = await tom.put("beams", described("Magnet", "Monitor", version="1.0.0"))
    assert (again["id"], again["name"], again["modelCount"]) == (first["id"], "1.0.0", 2)
    spec = await tom.spec("beams")
    assert spec["latestVersion"]["name"] == "1.0.0"
    assert len(spec["versions"]["nodes"]) == 2
    assert await tom.models() == 2


async def test_a_version_whose_package_was_fetched_stays_as_it_is(tom: Owner) -> None:
    source = described("Magnet", version="1.0")
    done = await tom.put("beams", source)
    await _fetched(tom.platform, done["id"])
    refused = await tom.put("beams", described("Monitor", version="1.0"))
    assert (refused["code"], refused["field"], refused["details"]) == ("CONFLICT", "version", {"version": "1.0"})
    assert (await tom.put("beams", source))["id"] == done["id"], "the same again changes nothing"
    assert (await tom.put("beams", described("Monitor", version="1.1")))["name"] == "1.1"


@pytest.mark.parametrize("mutation", ["deleteSpec", "deleteSpecVersion"])
async def test_a_fetched_version_that_was_deleted_comes_back_with_its_content_alone(tom: Owner, mutation: str) -> None:
    source = described("Magnet", version="1.0")
    done = await tom.put("beams", source)
    await _fetched(tom.platform, done["id"])
    key = done["spec"]["id"] if mutation == "deleteSpec" else done["id"]
    assert (await tom.run(mutation, id=key))["__typename"] == "Deleted"
    assert (await tom.put("beams", described("Monitor", version="1.0")))["code"] == "CONFLICT"
    assert (await tom.put("beams", source))["modelCount"] == 1


@pytest.mark.parametrize(
    ("inside", "given", "stored"),
    [("1.4", None, "1.4"), ("1.4", "1.4.0", "1.4.0"), (None, "2.0-rc.1", "2.0rc1"), ("v1.0", None, "1.0")],
)
async def test_the_version_is_in_the_content_or_beside_it(
    tom: Owner, inside: str | None, given: str | None, stored: str
) -> None:
    source = described("Magnet", version=inside)
    assert (await tom.put("beams", source, given))["name"] == stored


@pytest.mark.parametrize(("inside", "given"), [("1.4", "1.5"), (None, None), ("1.0+local", None), ("latest", None)])
async def test_a_version_that_differs_or_is_none_is_refused(tom: Owner, inside: str | None, given: str | None) -> None:
    refused = await tom.put("beams", described("Magnet", version=inside), given)
    assert refused["code"] == "INVALID"
    assert await tom.spec("beams") is None


async def test_all_faults_are_told_with_their_places(tom: Owner) -> None:
    source = described("Magnet", name={"type": "strange"}, other={"type": "string", "x-primary-key": "yes"})
    refused = await tom.put("beams", source)
    assert (refused["code"], refused["field"]) == ("INVALID", "source")
    pointers = {fault["pointer"] for fault in refused["details"]["faults"]}
    assert any(pointer.startswith("/components/schemas/Magnet/properties/name") for pointer in pointers)
    assert await tom.models() == 0


async def test_a_spec_is_longer_than_other_texts(tom: Owner) -> None:
    """Of which variables have at most 65,536 characters."""
    long = described("Magnet", **{f"column{n}": {"type": "string", "description": "x" * 1_000} for n in range(100)})
    done = await tom.put("beams", long)
    assert done["source"] == long
    refused = await tom.put("beams", described("Magnet", name={"type": "string", "description": "x" * 1_000_000}))
    assert (refused["code"], refused["field"]) == ("LIMIT_EXCEEDED", "source")


async def test_a_user_has_so_many_models_and_what_is_replaced_does_not_count(tom: Owner) -> None:
    _allow(tom.platform, 3)
    await tom.put("one", described("A", "B"))
    refused = await tom.put("two", described("C", "D"))
    assert (refused["code"], refused["details"]) == ("QUOTA", {"limit": 3, "used": 2, "requested": 2})
    assert await tom.spec("two") is None
    assert (await tom.put("one", described("A", "B", "C", version="2.0")))["modelCount"] == 3
    assert await tom.models() == 3
    spec = await tom.spec("one")
    await tom.run("deleteSpec", id=spec["id"])
    assert await tom.models() == 0
    _allow(tom.platform, None)
    assert (await tom.put("many", described(*(f"Model{n}" for n in range(20)))))["modelCount"] == 20


async def test_of_puts_at_once_only_those_are_stored_that_fit(tom: Owner) -> None:
    _allow(tom.platform, 4)
    done = await asyncio.gather(*(tom.put(f"spec-{n}", described("A", "B")) for n in range(6)))
    assert sorted(one.get("code", "stored") for one in done) == ["QUOTA"] * 4 + ["stored"] * 2
    assert await tom.models() == 4


async def test_puts_of_one_version_at_once_make_one_version(tom: Owner) -> None:
    done = await asyncio.gather(*(tom.put("beams", described(f"Model{n}", version="1.0")) for n in range(5)))
    assert len({one["id"] for one in done}) == 1
    assert len((await tom.spec("beams"))["versions"]["nodes"]) == 1


async def test_a_put_names_the_version_of_the_spec_that_it_read(tom: Owner) -> None:
    new = await tom.put("beams", described("Magnet", version="1.0"), expected=0)
    refused = await tom.put("beams", described("Magnet", version="1.1"), expected=0)
    assert (refused["code"], refused["field"]) == ("CONFLICT", "expectedVersion")
    at = refused["details"]["version"]
    assert new["spec"]["version"] == at
    assert (await tom.put("beams", described("Magnet", version="1.1"), expected=at))["name"] == "1.1"
    assert (await tom.put("beams", described("Magnet", version="1.2"), expected=at))["code"] == "CONFLICT"


async def test_an_archived_spec_takes_no_version(tom: Owner) -> None:
    await tom.put("beams", described("Magnet", version="1.0"))
    assert (await tom.change("beams", state="ARCHIVED"))["__typename"] == "Spec"
    assert (await tom.put("beams", described("Magnet", version="1.1")))["code"] == "STATE"
    await tom.change("beams", state="DEPRECATED")
    assert (await tom.put("beams", described("Magnet", version="1.1")))["name"] == "1.1"


@pytest.mark.parametrize(
    ("rule", "then", "told"),
    [
        ("NONE", described("Monitor", version="2"), None),
        ("BACKWARD", described("Monitor", version="2"), "the model Magnet is gone"),
        (
            "BACKWARD",
            described("Magnet", version="2", name={"type": "integer"}),
            "Magnet.name was string and is integer",
        ),
        ("BACKWARD", described("Magnet", version="2", field={"type": "number"}), None),
        ("FULL", described("Magnet", version="2", name={"type": "string", "maxLength": 5}), "Magnet.name may be less"),
    ],
)
async def test_a_version_keeps_what_the_rule_of_its_spec_says(
    tom: Owner, rule: str, then: str, told: str | None
) -> None:
    await tom.put("beams", described("Magnet", version="1"))
    await tom.change("beams", compatibility=rule)
    done = await tom.put("beams", then)
    if told is None:
        assert done["name"] == "2"
        return
    assert (done["code"], done["field"]) == ("CONFLICT", "source")
    assert told in done["message"]
    assert all(fault["pointer"].startswith("/components/schemas/M") for fault in done["details"]["faults"])
    assert (await tom.spec("beams"))["latestVersion"]["name"] == "1"


async def test_two_versions_are_compared(tom: Owner) -> None:
    first = await tom.put("beams", described("Magnet", "Monitor", version="1"))
    second = await tom.put("beams", described("Magnet", version="2", current={"type": "number"}))
    query = "query($v: ID!, $o: ID!) { specDifference(version: $v, other: $o) { complete changes { part action model name breaksBackward } } }"
    found = (await tom.platform.ask(query, "tom", v=first["id"], o=second["id"]))["specDifference"]
    assert found["complete"]
    assert [(one["part"], one["action"], one["model"], one["name"]) for one in found["changes"]] == [
        ("COLUMN", "ADDED", "Magnet", "current"),
        ("MODEL", "REMOVED", "Monitor", None),
    ]
    assert await tom.platform.refused(query, "eve", v=first["id"], o=second["id"]) == ["NOT_FOUND"]


async def test_the_users_of_its_project_read_a_spec_and_nobody_writes_it(tom: Owner, platform: Platform) -> None:
    done = await tom.put("beams", described("Magnet"))
    read = "query($id: ID!) { spec(id: $id) { versions(first: 50) { nodes { source } } } }"
    maria = Owner(platform, "maria")
    assert (await platform.ask(read, "maria", id=done["spec"]["id"]))["spec"] is None
    project = global_id("Project", platform.world.shared)
    assert (await tom.change("beams", project=project))["__typename"] == "Spec"
    assert (await platform.ask(read, "maria", id=done["spec"]["id"]))["spec"]["versions"]["nodes"]
    assert (await maria.run("deleteSpec", id=done["spec"]["id"]))["code"] == "FORBIDDEN"
    assert (await maria.run("deleteSpecVersion", id=done["id"]))["code"] == "FORBIDDEN"
    assert (await maria.put("beams", described("Other")))["spec"]["id"] != done["spec"]["id"], "a spec of her own"
    await tom.change("beams", project=None)
    assert (await platform.ask(read, "maria", id=done["spec"]["id"]))["spec"] is None


async def test_specs_are_found_by_the_models_and_columns_of_their_latest_version(tom: Owner) -> None:
    await tom.put("beams", described("Quadrupole", version="1", gradient={"type": "number"}))
    await tom.put("rooms", described("Room", version="1"))
    by_model = "query($t: String!) { specs(first: 9, filter: {latestVersion: {models: {some: {text: $t}}}}) { nodes { name } } }"
    assert (await tom.platform.ask(by_model, "tom", t="quadru"))["specs"]["nodes"] == [{"name": "beams"}]
    assert (await tom.platform.ask(by_model, "tom", t="GRADIENT"))["specs"]["nodes"] == [{"name": "beams"}]
    await tom.put("beams", described("Dipole", version="2"))
    assert (await tom.platform.ask(by_model, "tom", t="gradient"))["specs"]["nodes"] == []
    everywhere = '{ specModels(first: 9, filter: {text: "gradient"}) { nodes { name columns versionOf { name } } } }'
    (found,) = (await tom.platform.ask(everywhere, "tom"))["specModels"]["nodes"]
    assert found == {"name": "Quadrupole", "columns": ["id", "name", "gradient"], "versionOf": {"name": "1"}}


async def test_a_version_put_anew_has_its_own_models_alone(tom: Owner) -> None:
    await tom.put("beams", described("Magnet", "Monitor", version="1"))
    done = await tom.put("beams", described("Dipole", version="1"))
    query = "query($id: ID!) { specVersion(id: $id) { models(first: 50) { nodes { name tableName } } } }"
    found = (await tom.platform.ask(query, "tom", id=done["id"]))["specVersion"]["models"]["nodes"]
    assert found == [{"name": "Dipole", "tableName": "dipole"}]


async def test_the_latest_version_that_is_deleted_leaves_the_one_before_it(tom: Owner) -> None:
    for version in ("1.0", "1.1"):
        done = await tom.put("beams", described("A", *(["B"] if version == "1.1" else []), version=version))
    assert (await tom.run("deleteSpecVersion", id=done["id"]))["__typename"] == "Deleted"
    spec = await tom.spec("beams")
    assert (spec["latestVersion"]["name"], len(spec["versions"]["nodes"])) == ("1.0", 1)
    assert await tom.models() == 1
    assert (await tom.put("beams", described("A", version="1.1")))["id"] != done["id"]


async def test_all_specs_of_ones_own_are_deleted_and_nobody_elses(tom: Owner, platform: Platform) -> None:
    maria = Owner(platform, "maria")
    for owner in (tom, maria):
        await owner.put("beams", described("Magnet"))
        await owner.put("beams", described("Magnet", version="2"))
    assert (await tom.run("deleteAllSpecs"))["__typename"] == "Done"
    assert await tom.spec("beams") is None
    assert await tom.models() == 0
    assert (await maria.spec("beams"))["latestVersion"]["name"] == "2"


async def test_a_package_is_yanked_with_its_reason_and_comes_back(tom: Owner) -> None:
    done = await tom.put("beams", described("Magnet"))
    read = "query($id: ID!) { specVersion(id: $id) { yankedAt yankReason } }"
    assert (await tom.run("yankPackage", id=done["id"], reason="wrong units"))["__typename"] == "SpecVersion"
    found = (await tom.platform.ask(read, "tom", id=done["id"]))["specVersion"]
    assert found["yankedAt"] is not None
    assert found["yankReason"] == "wrong units"
    assert (await tom.run("yankPackage", id=done["id"], reason="x"))["code"] == "STATE"
    await tom.run("unyankPackage", id=done["id"])
    found = (await tom.platform.ask(read, "tom", id=done["id"]))["specVersion"]
    assert found == {"yankedAt": None, "yankReason": None}


async def test_a_put_leaves_its_record(tom: Owner) -> None:
    await tom.put("Beam_Line", described("Magnet"))
    query = '{ auditEvents(first: 9, filter: {action: {in: ["PUT"]}}) { nodes { entityType detail } } }'
    (event,) = (await tom.platform.ask(query, "tom"))["auditEvents"]["nodes"]
    assert event["entityType"] == "Spec"
    assert (event["detail"]["name"], event["detail"]["version"]) == ("beam-line", "1.0")


async def test_what_was_deleted_is_cleared_and_what_was_fetched_keeps_its_hash(tom: Owner, platform: Platform) -> None:
    kept = await tom.put("kept", described("Magnet"))
    for version in ("1", "2"):
        done = await tom.put("gone", described("Magnet", version=version))
    await _fetched(platform, done["id"])
    await tom.run("deleteSpec", id=done["spec"]["id"])
    other = await tom.put("other", described("Magnet"))
    await tom.run("deleteSpec", id=other["spec"]["id"])
    database = platform.services.database
    assert (await tidy(database, [retention.deleted(1)]))["specs"] == 0
    assert (await tidy(database, [retention.deleted(-1)]))["specs"] == 4, "three versions, and a spec without any"
    assert (await tidy(database, [retention.deleted(-1)]))["specs"] == 0
    left = sa.select(m.SpecVersion.source, m.Spec.name).join(m.Spec, m.Spec.id == m.SpecVersion.spec_id)
    rows = await database.rows(left.where(m.Spec.name.in_(["kept", "gone", "other"])).order_by(m.Spec.name))
    assert [tuple(row) for row in rows] == [("", "gone"), (kept["source"], "kept")]
    assert (await tom.put("gone", described("Monitor", version="2")))["code"] == "CONFLICT"
    assert (await tom.put("gone", described("Magnet", version="2")))["name"] == "2"
    assert (await tom.spec("kept"))["latestVersion"]["name"] == "1.0"


async def test_a_put_that_fails_is_not_told_to_be_done(tom: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(registry, "read", broken)
    given = {"name": "beam", "source": described("Magnet"), "language": "JSON"}
    assert await tom.platform.refused(PUT, "tom", **given) == ["INTERNAL_SERVER_ERROR"]


async def test_a_spec_is_shared_with_a_project_that_one_is_in(platform: Platform) -> None:
    dune, other = await settle(platform), await settle(platform)
    beside = await made(platform, "Project", name="Beside", site=dune.site)
    user = Owner(platform, dune.project_user)  # type: ignore[arg-type]
    await user.put("beam", described("Magnet"))
    assert (await user.change("beam", project=beside))["code"] == "FORBIDDEN", "another one of the site"
    assert (await user.change("beam", project=other.project))["code"] == "NOT_FOUND"
    assert (await user.change("beam", project=dune.project))["__typename"] == "Spec"


async def test_a_version_that_was_stored_unread_is_compared_with_nothing(tom: Owner) -> None:
    """Such as one of a database from before specs were read."""
    (row,) = (await tom.spec("clinic"))["versions"]["nodes"]
    found = await tom.platform.ask('{spec(name:"clinic"){latestVersion{id}}}', "tom")
    query = "query($v:ID!){specDifference(version:$v,other:$v){complete}}"
    assert await tom.platform.refused(query, "tom", v=found["spec"]["latestVersion"]["id"]) == ["STATE"]
    await tom.change("clinic", compatibility="FULL")
    assert (await tom.put("clinic", described("Magnet", version="9")))["name"] == "9"
    assert row["name"] == "1.0"
