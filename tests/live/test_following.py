"""Watching whatever changes, and who is there: who is told of what, and what goes from sight."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from db import models
from db.engine import changed
from db.types import later
from resolvers.feed import PRESENT
from resolvers.identity.principal import Principal
from resolvers.live import entity_changes
from resolvers.live import watching as watching_of
from resolvers.writing import cascade
from tests.support.organising import Dune, delete, link, made, restore, settle, update
from tests.support.platforms import Platform

WATCH = """subscription($t:[EntityType!]!,$s:ID){entityChanged(types:$t,scope:$s){
    type id node{id ... on Participant{name} ... on Project{name} ... on Device{name}}}}"""


class Watched:
    """A subscription that is under way; its changes in the order they come."""

    def __init__(self, answers: Any) -> None:
        self._answers = answers
        self._come: list[Any] = []
        self._next: asyncio.Future[Any] = asyncio.ensure_future(anext(answers))

    async def _answer(self) -> list[Any]:
        async with asyncio.timeout(30):
            answer = await self._next
        self._next = asyncio.ensure_future(anext(self._answers))
        found: list[Any] = answer.body["data"]["entityChanged"]
        return found

    async def begin(self) -> None:
        assert await self._answer() == []

    async def next(self) -> tuple[str, str, str | None]:
        """The type, the id, and the name that is there now."""
        if not self._come:
            self._come = await self._answer()
        told = self._come.pop(0)
        return told["type"], told["id"], told["node"] and told["node"]["name"]

    async def end(self) -> None:
        self._next.cancel()
        await asyncio.gather(self._next, return_exceptions=True)

    @property
    def quiet(self) -> bool:
        return not self._come and not self._next.done()


@asynccontextmanager
async def watching(
    platform: Platform, who: str | Principal, *types: str, scope: str | None = None, query: str = WATCH
) -> AsyncIterator[Watched]:
    async with platform.watch(query, who, t=list(types), s=scope) as answers:
        watched = Watched(answers)
        try:
            await watched.begin()
            yield watched
        finally:
            await watched.end()


@pytest.fixture
async def dune(platform: Platform) -> Dune:
    return await settle(platform)


async def test_a_row_is_told_of_as_it_is_made_changed_deleted_and_brought_back(platform: Platform, dune: Dune) -> None:
    async with watching(platform, dune.project_user, "PARTICIPANT") as told:
        new = await made(platform, "Participant", project=dune.project, name="Stilgar")
        assert await told.next() == ("PARTICIPANT", new, "Stilgar")
        await update(platform, new, name="Liet")
        assert await told.next() == ("PARTICIPANT", new, "Liet")
        await delete(platform, new)
        assert await told.next() == ("PARTICIPANT", new, None)
        await restore(platform, new)
        assert await told.next() == ("PARTICIPANT", new, "Liet")


async def test_who_sees_nothing_of_it_hears_nothing(platform: Platform, dune: Dune) -> None:
    other = await settle(platform)
    async with (
        watching(platform, other.site_admin, "PARTICIPANT", "PROJECT", "DEVICE", "SITE") as strangers,
        watching(platform, dune.project_user, "PARTICIPANT", "PROJECT", "DEVICE", "SITE") as told,
    ):
        await delete(platform, dune.alone)
        assert await told.next() == ("PARTICIPANT", dune.alone, None)
        await update(platform, dune.project, name="Dust")
        assert await told.next() == ("PROJECT", dune.project, "Dust")
        assert strangers.quiet


async def test_only_changes_of_the_place_asked_for_are_told(platform: Platform, dune: Dune) -> None:
    other = await settle(platform)
    async with (
        watching(platform, "root", "PARTICIPANT", scope=dune.site) as of_site,
        watching(platform, "root", "PARTICIPANT", scope=dune.project) as of_project,
    ):
        await update(platform, other.alone, name="elsewhere")
        await update(platform, dune.alone, name="here")
        assert await of_site.next() == await of_project.next() == ("PARTICIPANT", dune.alone, "here")


async def test_what_is_linked_comes_into_sight_and_what_is_not_goes(platform: Platform, dune: Dune) -> None:
    async with watching(platform, dune.site_admin, "DEVICE", scope=dune.project) as told:
        await link(platform, "DEVICE_PROJECTS", dune.spare, [dune.project])
        assert await told.next() == ("DEVICE", dune.spare, f"spare {dune.number}")
        await link(platform, "DEVICE_PROJECTS", dune.spare, [])
        assert await told.next() == ("DEVICE", dune.spare, None)


async def test_a_deleted_device_goes_from_the_sight_of_its_project(platform: Platform, dune: Dune) -> None:
    async with watching(platform, dune.project_user, "DEVICE") as told:
        await link(platform, "DEVICE_PARTICIPANTS", dune.device, [])
        assert await told.next() == ("DEVICE", dune.device, f"worm {dune.number}")
        await delete(platform, dune.device)
        assert await told.next() == ("DEVICE", dune.device, None)


async def test_all_that_goes_with_a_row_is_told_however_much_it_is(
    platform: Platform, dune: Dune, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cascade, "MANY", 1)
    async with watching(platform, "root", "PARTICIPANT", scope=dune.site) as told:
        await delete(platform, dune.group)
        assert await told.next() == ("PARTICIPANT", dune.inside, None)
        await restore(platform, dune.group)
        type_, id, name = await told.next()
        assert (type_, id) == ("PARTICIPANT", dune.inside)
        assert name is not None


async def test_what_a_change_brings_about_is_told(platform: Platform, dune: Dune) -> None:
    async with watching(platform, "root", "PARTICIPANT", scope=dune.project) as told:
        await update(platform, dune.project, enabled=False)
        changes = [await told.next() for _ in range(2)]
        assert {id for _, id, _ in changes} == {dune.inside, dune.alone}


async def test_after_a_break_is_told_what_may_have_changed(platform: Platform, dune: Dune) -> None:
    async with watching(platform, dune.project_user, "PROJECT") as told:
        platform.services.feed.missed()
        assert await told.next() == ("PROJECT", dune.project, f"Sand {dune.number}")


@pytest.mark.parametrize(
    ("types", "scope", "codes"),
    [
        ([], None, ["INVALID"]),
        (["SITE"], "project", ["INVALID"]),
        (["SITE"], "device", ["INVALID"]),
        (["PARTICIPANT"], "hidden", ["NOT_FOUND"]),
    ],
)
async def test_what_can_not_be_watched_is_refused(
    platform: Platform, dune: Dune, types: list[str], scope: str | None, codes: list[str]
) -> None:
    other = await settle(platform)
    places = {"project": dune.project, "device": dune.device, "hidden": other.project, None: None}
    async with platform.watch(WATCH, dune.site_admin, t=types, s=places[scope]) as answers:
        assert (await anext(answers)).codes == codes


async def test_more_rows_than_are_followed_are_refused(
    platform: Platform, dune: Dune, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entity_changes, "MOST", 1)
    async with platform.watch(WATCH, dune.project_user, t=["PARTICIPANT"]) as answers:
        assert (await anext(answers)).codes == ["LIMIT_EXCEEDED"]


PRESENCE = "subscription($p:ID!){presence(project:$p){id online node{__typename}}}"


async def test_who_comes_and_goes_is_told_to_those_of_the_project(platform: Platform) -> None:
    presence, here = platform.services.identity.presence, platform.world.here
    project = here.id("Project", "project")
    everyone = {
        platform.world.id("User", "tom"): "User",
        here.id("Participant", "participant"): "Participant",
        here.id("Device", "device"): "Device",
    }
    gone = {model: sa.update(model).values(last_online_at=later(-600)) for model in (models.User, models.Participant)}
    async with platform.services.database.write(as_system="test") as session:
        for statement in gone.values():
            await session.execute(statement)
        await session.execute(sa.update(models.Device).values(last_online_at=None))
    async with platform.watch(PRESENCE, "maria", p=project) as answers:
        assert (await anext(answers)).body["data"]["presence"] == []
        for who in ("tom", "participant", "device"):
            presence.heard(await platform.principal(who))
        presence.heard(await platform.principal("eve"))
        waiting = asyncio.ensure_future(anext(answers))
        await presence.write()
        come: dict[str, Any] = {}
        while len(come) < len(everyone):
            for one in (await waiting).body["data"]["presence"]:
                assert one["online"]
                come[one["id"]] = one["node"]["__typename"]
            waiting = asyncio.ensure_future(anext(answers))
        assert come == everyone
        async with platform.services.database.write(as_system="test") as session:
            await session.execute(gone[models.Participant])
            changed(session, PRESENT)
        (left,) = (await waiting).body["data"]["presence"]
        participant = here.id("Participant", "participant")
        assert left == {"id": participant, "online": False, "node": {"__typename": "Participant"}}
        await platform.services.identity.presence.write()


async def test_who_is_in_a_hidden_project_is_not_told(platform: Platform) -> None:
    async with platform.watch(PRESENCE, "eve", p=platform.world.here.id("Project", "project")) as answers:
        assert (await anext(answers)).codes == ["NOT_FOUND"]


async def test_one_client_has_twenty_such_subscriptions_at_once(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching_of, "AT_ONCE", 2)
    shared = platform.world.id("Project", "shared")
    presence = f'subscription{{presence(project:"{shared}"){{id}}}}'
    async with watching(platform, "maria", "PARTICIPANT"), watching(platform, "maria", "DEVICE"):
        for query, variables in ((WATCH, {"t": ["PARTICIPANT"]}), (presence, {})):
            async with platform.watch(query, "maria", **variables) as answers:
                (error,) = (await anext(answers)).body["errors"]
            assert error["extensions"]["code"] == "LIMIT_EXCEEDED"
            assert (error["extensions"]["limit"], error["extensions"]["value"]) == ("subscriptions", 3)
        async with watching(platform, "root", "PARTICIPANT"):
            pass
    async with watching(platform, "maria", "PARTICIPANT"):
        pass
