"""Who is there: online while heard of, last seen after; and what is not kept for ever."""

from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
import sqlalchemy as sa

from db import models
from db.types import later, uuid7
from gateway.background.housekeeping import sweeps_of
from gateway.settings.retention import RetentionSettings
from resolvers.identity import presence as identity_presence
from resolvers.identity.presence import ONLINE
from resolvers.retention import tidy
from tests.support.platforms import Platform

ON_SQLITE = True

ASK = "query($i:ID!){node(id:$i){... on User{online lastOnlineAt version} ... on Participant{online} ... on Device{online}}}"


@pytest.mark.parametrize(("who", "typename"), [("tom", "User"), ("participant", "Participant"), ("device", "Device")])
async def test_who_was_heard_of_is_online(platform: Platform, who: str, typename: str) -> None:
    principal = await platform.principal(who)
    id = platform.world.id(typename, "tom") if who == "tom" else platform.world.here.id(typename, who)
    before = (await platform.ask(ASK, "root", i=id))["node"]
    assert before["online"] is False
    platform.services.identity.presence.heard(principal)
    await platform.services.identity.presence.write()
    after = (await platform.ask(ASK, "root", i=id))["node"]
    assert after["online"] is True
    assert after.get("version") == before.get("version"), "nobody changed the row"


async def test_who_keeps_a_socket_open_stays_online(platform: Platform) -> None:
    principal = await platform.principal("tom")
    id = platform.world.id("User", "tom")
    with platform.services.identity.presence.there(principal):
        for _ in range(2):
            async with platform.services.database.write(as_system="test") as session:
                await session.execute(sa.update(models.User).values(last_online_at=later(-600)))
            assert (await platform.ask(ASK, "tom", i=id))["node"]["online"] is False
            await platform.services.identity.presence.write()
            assert (await platform.ask(ASK, "tom", i=id))["node"]["online"] is True


async def test_nobody_is_online_who_was_not_heard_of_lately(platform: Platform) -> None:
    presence = platform.services.identity.presence
    assert not presence.online(None)
    assert not presence.online(datetime.now(UTC) - ONLINE - timedelta(seconds=1))


@pytest.mark.parametrize("wrong", [timedelta(hours=1), timedelta(hours=-1)], ids=["ahead", "behind"])
async def test_who_is_online_is_told_by_the_clock_of_the_database(platform: Platform, wrong: timedelta) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> "Clock":
            return super().now(UTC) + wrong  # type: ignore[return-value]

    presence, id = platform.services.identity.presence, platform.world.id("User", "tom")
    presence.heard(await platform.principal("tom"))
    await presence.write()
    with patch.object(identity_presence, "datetime", Clock):
        await presence.compare_clocks()
        assert (await platform.ask(ASK, "tom", i=id))["node"]["online"] is True
        async with platform.services.database.write(as_system="test") as session:
            await session.execute(sa.update(models.User).values(last_online_at=later(-600)))
        assert (await platform.ask(ASK, "tom", i=id))["node"]["online"] is False


async def test_whether_someone_is_there_is_told_to_those_who_share_a_place(reading: Platform) -> None:
    id = reading.world.id("User", "tom")
    assert (await reading.ask(ASK, "maria", i=id))["node"]["online"] is not None
    assert await reading.refused(ASK, "eve", i=id) == ["FORBIDDEN"]


async def test_old_records_go_and_young_ones_stay(platform: Platform) -> None:
    m, tom = models, platform.world.tom
    async with platform.services.database.write(as_system="test") as session:
        for days in (1, 400):
            session.add(m.AuditEvent(action="OLD", entity_type="User", at=later(-days * 86_400)))
            session.add(
                m.Credential(
                    user_id=tom, kind=m.CredentialKind.LOGIN_SESSION, secret_hash=str(uuid7()), algorithm="none",
                    family=uuid7(), expires_at=later(600 if days == 1 else -days * 86_400),
                )
            )  # fmt: skip
        key = m.Credential(user_id=tom, kind=m.CredentialKind.API_KEY, secret_hash="k", algorithm="none", expires_at=later(-400 * 86_400))  # fmt: skip
        session.add(key)
    gone = await tidy(platform.services.database, sweeps_of(RetentionSettings(), platform.services.files.storage))
    assert (gone["audit_events"], gone["credentials"]) == (1, 1)
    async with platform.services.database.read() as connection:
        left = sa.select(sa.func.count()).where(models.AuditEvent.action == "OLD")
        assert (await connection.execute(left)).scalar() == 1
