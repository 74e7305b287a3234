"""Specs are watched like other rows: who sees them hears of what is put, changed, built, shared and deleted."""

from functools import partial

from tests.live import test_following as following
from tests.specs.test_registry import Owner
from tests.support.organising import made, settle
from tests.support.platforms import Platform
from tests.support.specs import described

WATCH = """subscription($t:[EntityType!]!,$s:ID){entityChanged(types:$t,scope:$s){
    type id node{id ...on Spec{name:canonicalName} ...on SpecVersion{name}}}}"""


watching = partial(following.watching, query=WATCH)


async def test_an_owner_hears_of_what_is_put_changed_and_deleted(platform: Platform) -> None:
    tom = Owner(platform)
    async with watching(platform, "tom", "SPEC") as told, watching(platform, "tom", "SPEC_VERSION") as versions:
        done = await tom.put("Beam", described("Magnet"))
        spec = done["spec"]["id"]
        assert await told.next() == ("SPEC", spec, "beam")
        assert await versions.next() == ("SPEC_VERSION", done["id"], "1.0")
        await tom.change("beam", state="DEPRECATED")
        assert await told.next() == ("SPEC", spec, "beam")
        await tom.run("yankPackage", id=done["id"])
        assert await versions.next() == ("SPEC_VERSION", done["id"], "1.0")
        assert await told.next() == ("SPEC", spec, "beam")
        await tom.run("deleteSpec", id=spec)
        assert await told.next() == ("SPEC", spec, None)
        assert await versions.next() == ("SPEC_VERSION", done["id"], None)


async def test_nobody_else_hears_that_somebody_put_a_spec(platform: Platform) -> None:
    async with platform.watch("subscription{entityChanged(types:[USER]){id}}", "tom") as answers:
        assert (await anext(answers)).body["data"]["entityChanged"] == []
        await Owner(platform, "root").put("Beam", described("Magnet"))
        new = await made(platform, "User", username="after")
        assert (await anext(answers)).body["data"]["entityChanged"] == [{"id": new}]


async def test_users_of_a_project_hear_of_a_spec_while_it_is_shared(platform: Platform) -> None:
    dune = await settle(platform)
    root = Owner(platform, "root")
    done = await root.put("Beam", described("Magnet"))
    async with (
        watching(platform, dune.project_user, "SPEC", scope=dune.project) as told,  # type: ignore[arg-type]
        watching(platform, "tom", "SPEC") as strangers,
    ):
        await root.change("beam", project=dune.project)
        assert await told.next() == ("SPEC", done["spec"]["id"], "beam")
        await root.put("Beam", described("Magnet", "Monitor", version="2"))
        assert await told.next() == ("SPEC", done["spec"]["id"], "beam")
        await root.change("beam", project=None)
        assert await told.next() == ("SPEC", done["spec"]["id"], None)
        assert strangers.quiet
