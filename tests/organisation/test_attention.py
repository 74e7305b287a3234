"""Who may need attention, and the forms of what is asked."""

from typing import Any

import pytest
import sqlalchemy as sa

from db import models as m
from db.types import later
from tests.support.platforms import Platform

ASKED = "query($s:ID!){attention(scope:$s,first:20){totalCount nodes{id why lastAt node{__typename}}}}"
DAY = 86_400


async def age(platform: Platform, model: Any, which: Any, **days: int | None) -> None:
    values = {name: None if number is None else later(-number * DAY) for name, number in days.items()}
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(sa.update(model).where(which).values(**{"updated_at": model.updated_at, **values}))


async def told(platform: Platform, who: str, scope: str) -> dict[str, str]:
    found = await platform.ask(ASKED, who, s=scope)
    return {node["id"]: node["why"] for node in found["attention"]["nodes"]}


async def test_who_had_no_session_and_who_was_never_there_is_told(platform: Platform) -> None:
    here, world = platform.world.here, platform.world
    site, project = here.id("Site", "site"), here.id("Project", "project")
    for name in ("tom", "maria", "sita", "silo"):
        await age(platform, m.User, m.User.id == getattr(world, name), last_online_at=1)
    await age(platform, m.Session, m.Session.id == world.sessions[0], starts_at=1)
    assert await told(platform, "maria", project) == {}
    await age(platform, m.Session, m.Session.id == world.sessions[0], starts_at=200)
    await age(platform, m.Participant, m.Participant.id == here.idle, updated_at=40)
    await age(platform, m.User, m.User.id == world.tom, last_online_at=100)
    await age(platform, m.User, m.User.id == world.silo, last_online_at=None, updated_at=40)
    participants = {
        here.id("Participant", "participant"): "NO_SESSION_FOR_LONG", here.id("Participant", "idle"): "NO_SESSION",
    }  # fmt: skip
    tom, silo = {world.id("User", "tom"): "AWAY_FOR_LONG"}, {world.id("User", "silo"): "NEVER_ONLINE"}
    assert await told(platform, "root", project) == {**participants, **tom}
    assert await told(platform, "sita", site) == {**participants, **tom, **silo}
    assert await told(platform, "maria", project) == participants  # who does not see whether users are active
    assert await platform.refused(ASKED, "eve", s=project) == ["NOT_FOUND"]
    assert await platform.refused(ASKED, "root", s=here.id("Device", "device")) == ["INVALID"]


FORM = "query($n:String!){form(input:$n){name label fields{name label kind type required nullable several default choices}}}"


async def test_a_form_tells_what_is_asked(platform: Platform) -> None:
    form = (await platform.ask(FORM, "tom", n="NewSession"))["form"]
    fields = {field.pop("name"): field for field in form["fields"]}
    assert form["label"] == "A new Session."
    assert fields["project"]["kind"] == "REFERENCE"
    assert fields["project"]["required"]
    assert (fields["startsAt"]["kind"], fields["users"]["several"], fields["name"]["kind"]) == ("MOMENT", True, "TEXT")
    assert fields["status"]["default"] == "NOT_STARTED"
    assert "COMPLETED" in fields["status"]["choices"]
    assert all(field["label"] for field in fields.values())
    changes = (await platform.ask(FORM, "tom", n="SessionChanges"))["form"]
    assert not any(field["required"] for field in changes["fields"])


@pytest.mark.parametrize("name", ["Session", "nonsense", "", "__Type"])
async def test_there_are_no_other_forms(platform: Platform, name: str) -> None:
    assert await platform.refused(FORM, "root", n=name) == ["NOT_FOUND"]
