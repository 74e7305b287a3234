"""Sessions of long ago, answers of those who made one, and members whom one does not see."""

import base64
import ssl
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from db import models as m
from db.types import later
from resolvers.sessions import care
from schema.fields.scalars import parse_id
from tests.support.certificates import certificate_request
from tests.support.matrix import mutate
from tests.support.platforms import Platform
from tests.support.sessioning import make, run, states

YEAR = 366 * 86_400


async def age(platform: Platform, seconds: int, *which: sa.ColumnElement[bool]) -> None:
    async with platform.services.database.write(as_system="test") as session:
        moments = {"starts_at": later(-seconds), "resumed_at": later(-seconds)}
        await session.execute(sa.update(m.Session).where(*which).values(**moments))


@pytest.mark.parametrize("began", ["1900-01-01T00:00:00Z", "0001-01-01T00:00:00Z"])
async def test_a_session_under_way_did_not_begin_long_ago(platform: Platform, began: str) -> None:
    made = await make(platform, "tom", status="IN_PROGRESS", startsAt=began)
    assert (made["code"], made["field"]) == ("INVALID", "input.startsAt")


async def test_a_session_that_goes_on_for_too_long_is_ended_and_can_still_be_changed(platform: Platform) -> None:
    made = await make(platform, "tom", status="IN_PROGRESS", startsAt=datetime.now(UTC).isoformat())
    await age(platform, 80 * YEAR, m.Session.status == m.SessionStatus.IN_PROGRESS)
    ended = await run(platform, "tom", "stopSession", id=made["id"])
    assert (ended["status"], ended["durationSeconds"]) == ("COMPLETED", YEAR)
    changed = await run(
        platform, "tom", "updateSession", id=made["id"], expectedVersion=ended["version"], input={"name": "told"}
    )
    assert changed["id"] == made["id"]


async def test_at_night_one_bad_session_does_not_keep_the_others(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    made = [await make(platform, "tom", status="IN_PROGRESS", startsAt=datetime.now(UTC).isoformat()) for _ in range(2)]
    await age(platform, 200_000, m.Session.status == m.SessionStatus.IN_PROGRESS)
    ending, bad = care.end, parse_id(made[0]["id"])[1]

    async def end(session, row, there, what, moment) -> None:  # type: ignore[no-untyped-def]
        if row.id == bad:
            await session.execute(sa.text("SELECT no_such_column"))
        await ending(session, row, there, what, moment)

    monkeypatch.setattr(care, "end", end)
    await care.tidy(platform.services, datetime.now(ZoneInfo("UTC")))
    found = await platform.ask("query($i:[ID!]!){nodes(ids:$i){...on Session{status}}}", "root", i=[one["id"] for one in made])  # fmt: skip
    assert [node["status"] for node in found["nodes"]] == ["IN_PROGRESS", "TERMINATED"]


async def test_whoever_made_a_session_ends_it_by_refusing(platform: Platform) -> None:
    device = platform.world.here.id("Device", "device")
    made = await make(platform, "device", devices=[device])
    started = await run(platform, "root", "startSession", id=made["id"])
    assert states(started)[device] == "INVITED"
    refused = await run(platform, "device", "replyInvite", id=made["id"], reply="REJECT")
    assert refused["status"] == "TERMINATED"


async def test_who_says_that_they_are_busy_is_not_asked_again_at_once(platform: Platform) -> None:
    ids = [platform.world.id("User", who) for who in ("tom", "maria")]
    made = await make(platform, "tom", users=ids, status="IN_PROGRESS", startsAt=datetime.now(UTC).isoformat())
    told: list[str] = []
    platform.services.database.listen(told.extend, lambda: None)
    await run(platform, "maria", "replyInvite", id=made["id"], reply="BUSY")
    assert any(topic.startswith("invited:") for topic in told)
    assert not any(topic.startswith("freed:") for topic in told)


async def test_members_whom_one_does_not_see_stay(platform: Platform) -> None:
    here = platform.world.here
    device, tom = here.id("Device", "device"), platform.world.id("User", "tom")
    made = await make(platform, "device", devices=[device])
    await run(platform, "root", "inviteToSession", id=made["id"], users=[tom])
    removed = await run(platform, "device", "removeFromSession", id=made["id"], users=[tom])
    assert (removed["code"], removed["field"]) == ("NOT_FOUND", "users.0")


async def test_who_may_not_change_a_session_is_told_so_before_its_members_are_looked_at(platform: Platform) -> None:
    ids = [platform.world.id("User", who) for who in ("tom", "silo")]
    made = await make(platform, "tom", users=ids)
    given = {"users": [platform.world.id("User", "eve")] * 600}
    refused = await run(platform, "silo", "updateSession", id=made["id"], expectedVersion=1, input=given)
    assert refused["code"] == "FORBIDDEN"


SINCE = "query($t:[EntityType!]!,$c:String){changesSince(types:$t,cursor:$c,first:5){cursor}}"
NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-01T00:00:00"])
async def test_cursors_beyond_the_calendar_are_refused(platform: Platform, moment: str) -> None:
    cursor = base64.urlsafe_b64encode(f"{moment}|{NOBODY}".encode()).decode()
    assert await platform.refused(SINCE, "root", t=["SESSION"], c=cursor) == ["INVALID"]


@pytest.mark.parametrize("cursor", [None, base64.urlsafe_b64encode(f"2026-01-01T00:00:00+00:00|{NOBODY}".encode()).decode()])  # fmt: skip
async def test_changes_are_of_at_least_one_type(platform: Platform, cursor: str | None) -> None:
    assert await platform.refused(SINCE, "root", t=[], c=cursor) == ["INVALID"]


async def test_a_request_of_an_unknown_version_is_refused(platform: Platform) -> None:
    der = x509.load_pem_x509_csr(certificate_request().encode()).public_bytes(Encoding.DER)
    odd = ssl.DER_cert_to_PEM_cert(der.replace(b"\x02\x01\x00", b"\x02\x01\x05", 1))
    odd = odd.replace("CERTIFICATE", "CERTIFICATE REQUEST")
    device = platform.world.here.id("Device", "device")
    made, _ = await mutate(platform, "root", "createDeviceCertificate", device=device, request=odd)
    assert (made["code"], made["field"]) == ("INVALID", "request")
