"""What is wrong in the arguments of a list is told with a code, its place and what is allowed, before any SQL."""

from typing import Any

import pytest
import sqlalchemy as sa

from db import models
from schema.lists.comparisons import CHOICES, CONDITIONS, DEPTH, REFERENCES
from tests.support.platforms import Platform


def _deep(levels: int, way: str = "not") -> dict[str, Any]:
    found: dict[str, Any] = {"title": {"equals": "x"}}
    for _ in range(levels):
        found = {way: found} if way == "not" else {"jobs": {"some": {"simulation": found}}}
    return found


LATE, EARLY = "2026-02-01T00:00:00Z", "2026-01-01T00:00:00Z"
CASES: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "from after to": ({"createdAt": {"from": LATE, "to": EARLY}}, "INVALID", {"field": "filter.createdAt"}),
    "wildcards": ({"title": {"contains": " %% "}}, "INVALID", {"field": "filter.title.contains"}),
    "wildcards of a search": ({"text": "*"}, "INVALID", {"field": "filter.text"}),
    "NUL": ({"title": {"in": ["a", "b\0"]}}, "INVALID", {"field": "filter.title.in.1"}),
    "another type's id": ({"project": {"ids": ["U2l0ZTox"]}}, "INVALID", {"field": "filter.project.ids.0"}),
    "many ids": ({"ids": ["x"] * 101}, "LIMIT_EXCEEDED", {"limit": "choices", "allowed": CHOICES, "value": 101}),
    "many values": (
        {"title": {"in": [f"{n}" for n in range(1_900)]}}, "LIMIT_EXCEEDED", {"allowed": CHOICES, "value": 1_900},
    ),
    "twenty deep": (_deep(19), "LIMIT_EXCEEDED", {"limit": "filterDepth", "allowed": DEPTH}),
    "many references": (
        {"and": [{"project": {"name": {"equals": "x"}}}] * 20}, "LIMIT_EXCEEDED",
        {"limit": "references", "allowed": REFERENCES, "field": "filter.and.10.project"},
    ),
    "references without an end": (_deep(5, "jobs"), "LIMIT_EXCEEDED", {"limit": "filterDepth"}),
    "many conditions": (
        {"or": [{"title": {"equals": "x"}}] * 60}, "LIMIT_EXCEEDED", {"limit": "conditions", "allowed": CONDITIONS},
    ),
    "a long text": ({"title": {"equals": "x" * 1_001}}, "LIMIT_EXCEEDED", {"limit": "text", "allowed": 1_000}),
    "a long search": ({"text": "x" * 101}, "LIMIT_EXCEEDED", {"limit": "text", "allowed": 100}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
async def test_a_wrong_filter_is_told(reading: Platform, name: str) -> None:
    given, code, told = CASES[name]
    for query in (
        "query($f:SimulationFilter){simulations(first:1,filter:$f){nodes{id}}}",
        "query($f:SimulationFilter){simulations(first:1,filter:$f){nodes{id owner{online}}}}",
    ):
        answer = await reading.answer(query, "tom", f=given)
        (error,) = answer.body["errors"]
        assert error["extensions"]["code"] == code
        assert told.items() <= error["extensions"].items()
        assert not reading.counted.texts


async def test_ten_thousand_values_are_refused_before_they_are_read(reading: Platform) -> None:
    query = "query($s:[JobState!]){jobs(first:1,filter:{state:{in:$s}}){nodes{id}}}"
    assert await reading.refused(query, "tom", s=["FAILED"] * 10_000) == ["LIMIT_EXCEEDED"]


@pytest.mark.parametrize("levels", [20, 100, 450])
async def test_a_filter_that_is_written_too_deep_is_told(reading: Platform, levels: int) -> None:
    text = "{not:" * levels + "{}" + "}" * levels
    answer = await reading.answer(f"{{simulations(first:1,filter:{text}){{nodes{{id}}}}}}", "tom")
    assert answer.status < 500
    text = "{not:" * levels + '{title:{equals:"x"}}' + "}" * levels
    answer = await reading.answer(f"{{simulations(first:1,filter:{text}){{nodes{{id}}}}}}", "tom")
    assert answer.codes in (["LIMIT_EXCEEDED"], ["GRAPHQL_PARSE_FAILED"])


GROUPS = "{jobs(first:0%s){groups(%s){count}}}"
BAD_GROUPS = {
    "an unknown time zone": ("", 'by:SUBMITTED_AT,timeZone:"Mars/Base"', "INVALID", {"field": "timeZone"}),
    "no dimension": ("", "by:[]", "INVALID", {"field": "by"}),
    "three dimensions": ("", "by:[STATE,KIND,PLATFORM]", "LIMIT_EXCEEDED", {"limit": "dimensions", "value": 3}),
    "one twice": ("", "by:[STATE,STATE]", "INVALID", {"field": "by"}),
    "many hours": (
        ',filter:{submittedAt:{from:"2025-01-01T00:00:00Z",to:"2026-01-01T00:00:00Z"}}',
        "by:SUBMITTED_AT,bucket:HOUR", "LIMIT_EXCEEDED", {"limit": "buckets", "allowed": 1000, "value": 8760},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_GROUPS)
async def test_wrong_groups_are_told(reading: Platform, name: str) -> None:
    filter, given, code, told = BAD_GROUPS[name]
    for rows in ("", "nodes{error{code}}"):
        answer = await reading.answer(GROUPS.replace("{count}}}", f"{{count}} {rows}}}}}") % (filter, given), "tom")
        (error,) = answer.body["errors"]
        assert (error["extensions"]["code"], error["path"]) == (code, ["jobs", "groups"])
        assert told.items() <= error["extensions"].items()
        assert answer.body["data"]["jobs"]["groups"] is None


async def test_more_groups_than_there_may_be_are_told_and_leave_the_list(platform: Platform) -> None:
    async with platform.services.database.write(as_system="test") as session:
        session.add_all(models.Site(name=f"site {n}") for n in range(1_001))
        await session.flush()
    query = "{sites(first:1){totalCount nodes{name}} projects(first:1){groups(by:SITE){count}}}"
    assert "errors" not in (await platform.answer(query, "root")).body
    async with platform.services.database.write(as_system="test") as session:
        sites = await platform.services.database.rows(sa.select(models.Site.id))
        session.add_all(models.Project(name="p", site_id=site.id) for site in sites)
    for rows in ("", "simulations(first:1){nodes{owner{online}}}"):
        query = f"{{projects(first:1){{totalCount groups(by:SITE){{count}} nodes{{name {rows}}}}}}}"
        answer = await platform.answer(query, "root")
        (error,) = answer.body["errors"]
        assert error["extensions"] == {"code": "LIMIT_EXCEEDED", "limit": "groups", "allowed": 1000, "value": 1001}
        assert error["path"] == ["projects", "groups"]
        found = answer.body["data"]["projects"]
        assert (found["totalCount"] > 1000, found["groups"], len(found["nodes"])) == (True, None, 1)


async def test_what_is_not_given_is_no_condition(reading: Platform) -> None:
    query = """query($i:[ID!],$s:[JobState!],$t:String,$f:SimulationFilter){
      all:simulations(first:0){totalCount}
      a:simulations(first:0,filter:{project:{ids:$i},job:{state:{in:$s}},not:{title:{contains:$t}},jobs:{some:{ids:$i}}}){totalCount}
      b:simulations(first:0,filter:$f){totalCount}
      c:simulations(first:0,filter:{or:[{title:{equals:$t}},{}],and:[]}){totalCount}
      none:simulations(first:0,filter:{or:[]}){totalCount}
      d:simulations(first:0,filter:{project:{isNull:true}}){totalCount}
      e:simulations(first:0,filter:{project:{isNull:false}}){totalCount}}"""
    for given in ({}, {"i": None, "s": None, "t": None, "f": None}, {"f": {}}, {"f": {"project": {"ids": None}}}):
        data = await reading.ask(query, "root", **given)
        counts = {name: found["totalCount"] for name, found in data.items()}
        assert counts["all"] == counts["a"] == counts["b"] == counts["c"] > counts["none"] == 0
        assert counts["d"] + counts["e"] == counts["all"]
        assert counts["d"] > 0
        assert counts["e"] > 0
