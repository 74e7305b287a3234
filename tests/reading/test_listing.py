"""Lists of what is no node are connections, too: their pages, in both directions, are the list."""

from typing import Any

import pytest

from resolvers.identity.principal import Principal
from tests.support.organising import gone, made, settle
from tests.support.platforms import Platform
from tests.support.signing import log_in, principal

LISTS = {
    "loginSessions": ("", "", "id lastUsedAt"),
    "restorable": ("$of:RestorableType!,", "type:$of,", "id deletedAt"),
    "accessFor": ("$of:ID!,", "id:$of,", "role site{id} project{id} userGroup{id}"),
}
Who = str | Principal


async def asked(platform: Platform, who: Who, name: str, of: Any, **page: Any) -> Any:
    """A page of a list, or the codes of its refusal."""
    declared, passed, shown = LISTS[name]
    query = f"""query({declared}$first:Int,$after:String,$last:Int,$before:String){{
      x:{name}({passed}first:$first,after:$after,last:$last,before:$before){{
        totalCount nodes{{{shown}}} edges{{cursor node{{{shown}}}}}
        pageInfo{{hasNextPage hasPreviousPage startCursor endCursor}}}}}}"""
    answer = await platform.answer(query, who, **page, **({} if of is None else {"of": of}))
    return (answer.body.get("data") or {}).get("x") or answer.codes


async def whole(platform: Platform, who: Who, name: str, of: Any) -> list[Any]:
    """The list, which reading it in pages of two from either end gives, too."""
    found = await asked(platform, who, name, of, first=100)
    assert [edge["node"] for edge in found["edges"]] == found["nodes"]
    assert found["totalCount"] == len(found["nodes"])
    for size, place, end, more in (
        ("first", "after", "endCursor", "hasNextPage"),
        ("last", "before", "startCursor", "hasPreviousPage"),
    ):
        page = await asked(platform, who, name, of, **{size: 2})
        pages = [page["nodes"]]
        while page["pageInfo"][more]:
            assert page["totalCount"] == found["totalCount"]
            page = await asked(platform, who, name, of, **{size: 2, place: page["pageInfo"][end]})
            pages.append(page["nodes"])
        rows = [row for some in (pages if size == "first" else reversed(pages)) for row in some]
        assert rows == found["nodes"]
    assert await asked(platform, who, name, of) == ["INVALID"], "neither first nor last"
    assert await asked(platform, who, name, of, first=101) == ["LIMIT_EXCEEDED"]
    assert await asked(platform, who, name, of, first=1, after="bm9uc2Vuc2U") == ["INVALID"]
    return found["nodes"]  # type: ignore[no-any-return]


async def test_login_sessions_come_in_pages_the_last_used_first(platform: Platform) -> None:
    tokens = [await log_in(platform) for _ in range(5)]
    found = await whole(platform, await principal(platform, tokens[0]), "loginSessions", None)
    used = [one["lastUsedAt"] for one in found]
    assert (len(found), used) == (5, sorted(used, reverse=True))


async def test_what_was_deleted_comes_in_pages_the_last_deleted_first(platform: Platform) -> None:
    ids = [await made(platform, "Site", name=f"Site {n}") for n in range(5)]
    await gone(platform, *ids)
    found = await whole(platform, "root", "restorable", "SITE")
    assert [one["id"] for one in found] == ids[::-1]


async def test_roles_come_in_pages(sharing: Platform) -> None:
    dune = await settle(sharing)
    for kind, least in ((dune.site, 3), (dune.project, 3), (dune.user, 1)):
        assert len(await whole(sharing, "root", "accessFor", kind)) >= least


@pytest.mark.parametrize("name", ["loginSessions", "restorable"])
async def test_a_cursor_is_of_one_list(platform: Platform, name: str) -> None:
    await gone(platform, *[await made(platform, "Site", name=f"Site {n}") for n in range(2)])
    me = await principal(platform, await log_in(platform, "root"))
    of = {"restorable": "SITE"}.get(name)
    cursor = (await asked(platform, me, name, of, first=1))["pageInfo"]["endCursor"]
    other, its = ("restorable", "SITE") if name == "loginSessions" else ("loginSessions", None)
    assert await asked(platform, me, other, its, first=1, after=cursor) == ["INVALID"]
