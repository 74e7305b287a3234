"""Types of sessions: the places that have them, the services that run them, and how they are set up."""

from typing import Any

import pytest

from tests.support.matrix import mutate
from tests.support.platforms import Platform
from tests.support.sessioning import make

SHOWN = "...on SessionType{id version name color category service{id} sites(first:9){nodes{id}} projects(first:9){nodes{id}} services(first:9){nodes{id}}}"


async def kind(platform: Platform, who: str, **given: Any) -> dict[str, Any]:
    here = platform.world.here
    named = {"sites": [here.id("Site", "site")], "name": "Scan", "category": "DATACOLLECT", **given}
    done, errors = await mutate(platform, who, "createSessionType", SHOWN, input=named)
    assert not errors
    return done


async def test_a_type_is_made_where_it_is_to_be_used(platform: Platform) -> None:
    here = platform.world.here
    project, service = here.id("Project", "project"), here.id("Service", "service")
    made = await kind(platform, "sita", projects=[project], category="SERVICE", service=service, config={"volume": 5})
    assert made["service"] == {"id": service}
    assert made["projects"]["nodes"] == [{"id": project}]
    assert (await make(platform, "tom", type=made["id"]))["status"] == "NOT_STARTED"
    other = await kind(platform, "sita")
    refused = await make(platform, "tom", type=other["id"])
    assert (refused["code"], refused["field"]) == ("INVALID", "input.type")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"color": "red"}, "input.color"),
        ({"color": "#12345g"}, "input.color"),
        ({"category": "SERVICE"}, "input.service"),
        ({"service": "service", "config": {"volume": 11}}, "input.config.volume"),
        ({"service": "service", "config": {"volume": "loud"}}, "input.config.volume"),
        ({"services": ["service"], "service": "service"}, "ids"),
    ],
)
async def test_a_type_that_can_t_be_is_refused(platform: Platform, given: dict[str, Any], field: str) -> None:
    service = platform.world.here.id("Service", "service")
    named = {k: service if v == "service" else [service] if v == ["service"] else v for k, v in given.items()}
    refused = await kind(platform, "sita", **named)
    assert (refused["code"], refused["field"]) == ("INVALID", field)


async def test_a_type_stays_where_there_are_sessions_of_it(platform: Platform) -> None:
    here = platform.world.here
    project, site = here.id("Project", "project"), here.id("Site", "site")
    made = await kind(platform, "sita", projects=[project])
    held = await make(platform, "tom", type=made["id"])
    for name, who in (("SESSION_TYPE_PROJECTS", "maria"), ("SESSION_TYPE_SITES", "sita")):
        refused, _ = await mutate(platform, who, "setLinks", "...on Problem{details}", kind=name, id=made["id"], ids=[])
        assert refused["code"] == "DEPENDENCY"
        assert refused["details"] == {"blockedBy": [{"type": "Session", "count": 1}]}
    refused, _ = await mutate(platform, "sita", "deleteSessionType", id=made["id"])
    assert refused["code"] == "DEPENDENCY"
    await mutate(platform, "maria", "deleteSession", id=held["id"])
    done, _ = await mutate(platform, "sita", "setLinks", kind="SESSION_TYPE_SITES", id=made["id"], ids=[])
    assert done["__typename"] == "Linked"
    query = "query($i:ID!){sessionType(id:$i){sites(first:9){nodes{id}} projects(first:9){nodes{id}}}}"
    found = (await platform.ask(query, "root", i=made["id"]))["sessionType"]
    assert found == {"sites": {"nodes": []}, "projects": {"nodes": []}}
    assert site not in str(found)


async def test_a_type_is_linked_to_a_project_of_its_sites_alone(platform: Platform) -> None:
    made = await kind(platform, "sita")
    there = platform.world.there.id("Project", "project")
    refused, _ = await mutate(platform, "root", "setLinks", kind="SESSION_TYPE_PROJECTS", id=made["id"], ids=[there])
    assert refused["code"] == "INVALID"
    refused, _ = await mutate(platform, "maria", "setLinks", kind="SESSION_TYPE_PROJECTS", id=made["id"], ids=[there])
    assert (refused["code"], refused["field"]) == ("NOT_FOUND", "ids.0")


async def test_a_service_leaves_with_its_types_and_stays_while_it_is_needed(platform: Platform) -> None:
    here = platform.world.here
    project, service = here.id("Project", "project"), here.id("Service", "service")
    made = await kind(platform, "sita", projects=[project], category="SERVICE", service=service)
    held = await make(platform, "tom", type=made["id"])
    refused, _ = await mutate(platform, "sita", "setLinks", kind="SERVICE_PROJECTS", id=service, ids=[])
    assert refused["code"] == "DEPENDENCY"
    await mutate(platform, "maria", "deleteSession", id=held["id"])
    done, _ = await mutate(platform, "sita", "setLinks", kind="SERVICE_PROJECTS", id=service, ids=[])
    assert done["__typename"] == "Linked"
    query = "query($i:ID!){sessionType(id:$i){projects(first:9){nodes{id}}}}"
    assert (await platform.ask(query, "root", i=made["id"]))["sessionType"]["projects"]["nodes"] == []


DURING = "query($f:String!,$t:String!,$z:String!){sessions(first:20,filter:{during:{from:$f,to:$t,timeZone:$z}}){nodes{name}}}"


async def test_a_calendar_shows_what_lasts_into_a_day_of_a_place(platform: Platform) -> None:
    over = {"status": "COMPLETED", "durationSeconds": 3_600}
    for name, start, more in (
        ("early", "2026-03-01T04:30:00Z", over),
        ("late", "2026-03-02T03:30:00Z", over),
        ("after", "2026-03-02T05:00:00Z", over),
        ("night", "2026-02-28T20:00:00Z", {"status": "COMPLETED", "durationSeconds": 12 * 3_600}),
        ("instant", "2026-03-01T05:00:00Z", {"status": "COMPLETED"}),
        ("going on", "2026-02-01T00:00:00Z", {"status": "IN_PROGRESS"}),
        ("planned", "2099-03-01T12:00:00Z", {"endsAt": "2099-03-01T13:00:00Z"}),
    ):
        assert (await make(platform, "tom", name=name, startsAt=start, **more)).get("id"), name

    async def names(first: str, last: str, zone: str = "America/Toronto") -> set[str]:
        found = await platform.ask(DURING, "tom", f=first, t=last, z=zone)
        assert len(platform.counted.texts) == 1
        return {node["name"] for node in found["sessions"]["nodes"]}

    assert await names("2026-03-01", "2026-03-02") == {"early", "late", "night", "instant", "going on"}
    assert await names("2026-03-01", "2026-03-02", "UTC") == {"early", "night", "instant", "going on"}
    assert await names("2099-03-01T12:59", "2099-03-01T14:00", "UTC") == {"planned"}
    assert await names("2099-03-01T13:00", "2099-03-01T14:00", "UTC") == set()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (("2026-03-01", "2026-03-02", "Mars/Olympus"), "timeZone"),
        (("2026-03-02", "2026-03-01", "UTC"), "to"),
        (("2026-03-01", "2026-03-01", "UTC"), "to"),
        (("soon", "2026-03-01", "UTC"), "from"),
        (("2026-03-01T00:00:00Z", "2026-03-02", "UTC"), "from"),
        (("0001-01-01", "9999-12-31", "America/Toronto"), "to"),
    ],
)
async def test_a_time_that_is_none_is_refused(platform: Platform, given: tuple[str, str, str], field: str) -> None:
    answer = await platform.answer(DURING, "tom", **dict(zip("ftz", given, strict=True)))
    (error,) = answer.body["errors"]
    assert (error["extensions"]["code"], error["extensions"]["field"]) == ("INVALID", f"filter.during.{field}")
