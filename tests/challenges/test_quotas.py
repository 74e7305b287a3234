"""How many submissions a phase takes of somebody, or of a team: exactly so many."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from db import models as m
from db.types import later
from resolvers.challenges.settling import OURS
from tests.support.contests import (
    Contest,
    answer,
    begun,
    brought,
    claimed,
    contest,
    done,
    key_of,
    passed,
    read,
    refused,
    scored,
    set_row,
    submitted,
)
from tests.support.platforms import Platform
from tests.support.work import REPORT

pytestmark = pytest.mark.both
ON_SQLITE = True

QUOTA = """query($p:ID!){submissionQuota(phase:$p){
  windowLimit windowSeconds windowUsed resetsAt totalLimit totalUsed concurrentLimit concurrentUsed left}}"""


async def quota(platform: Platform, as_: str, of: Contest) -> Any:
    return (await platform.ask(QUOTA, as_, p=of.phase))["submissionQuota"]


async def stored(platform: Platform, of: Contest) -> int:
    wanted = sa.select(sa.func.count()).select_from(m.Submission).where(m.Submission.phase_id == key_of(of.phase))
    ((number,),) = await platform.services.database.rows(wanted)
    return int(number)


async def over(platform: Platform, as_: str, of: Contest) -> tuple[str, dict[str, Any]]:
    """The sentence and the details of the refusal of one more submission, which leaves nothing."""
    before = await stored(platform, of)
    found = await answer(platform, as_, "createSubmission", input={"phase": of.phase})
    assert found.get("code") == "QUOTA", found
    assert await stored(platform, of) == before
    return found["message"], found["details"]


@pytest.mark.parametrize("limit", ["windowLimit", "totalLimit", "concurrentLimit"])
async def test_of_twenty_submissions_at_once_exactly_as_many_pass_as_the_quota_has(
    platform: Platform, limit: str
) -> None:
    of = await contest(platform, phase={limit: 7})
    made = await asyncio.gather(
        *(answer(platform, "tom", "createSubmission", input={"phase": of.phase}) for _ in range(20))
    )
    assert sorted(one.get("code", "made") for one in made) == ["QUOTA"] * 13 + ["made"] * 7
    assert await stored(platform, of) == 7
    assert (await quota(platform, "tom", of))["left"] == 0
    assert (await quota(platform, "maria", of))["left"] == 7, "another has a quota of their own"


async def test_of_twenty_submissions_of_a_team_at_once_exactly_as_many_pass(platform: Platform) -> None:
    of = await contest(platform, challenge={"teamSize": 3}, phase={"totalLimit": 5})
    team = await done(platform, "tom", "createTeam", challenge=of.challenge, name="ours")
    for name in ("maria", "eve"):
        user = platform.world.id("User", name)
        if name == "eve":  # whom tom does not see
            async with platform.services.database.write(as_system="test") as session:
                session.add(
                    m.TeamMember(
                        team_id=key_of(team["id"]), challenge_id=key_of(of.challenge), user_id=platform.world.eve
                    )
                )
        else:
            await done(platform, "tom", "inviteToTeam", id=team["id"], users=[user])
        await done(platform, name, "joinTeam", id=team["id"])
    people = ["tom", "maria", "eve"] * 6 + ["tom", "maria"]
    made = await asyncio.gather(
        *(answer(platform, one, "createSubmission", input={"phase": of.phase}) for one in people)
    )
    assert sorted(one.get("code", "made") for one in made) == ["QUOTA"] * 15 + ["made"] * 5
    assert {one["team"]["id"] for one in made if "code" not in one} == {team["id"]}
    message, details = await over(platform, "eve", of)
    assert message.startswith("the team has submitted all 5")
    assert details == {"limit": 5, "used": 5, "requested": 1}
    assert (await quota(platform, "maria", of))["totalUsed"] == 5
    assert (await quota(platform, "root", of))["totalUsed"] == 0, "who is in no team has their own"


async def test_a_cancelled_submission_is_given_back(platform: Platform) -> None:
    of = await contest(platform, phase={"windowLimit": 2, "totalLimit": 2, "concurrentLimit": 2})
    first, _ = await begun(platform, "tom", of), await submitted(platform, "tom", of)
    await over(platform, "tom", of)
    found = await done(platform, "tom", "cancelSubmission", id=first["id"])
    assert (found["status"], found["reason"]["code"], found["charged"]) == ("CANCELED", "CANCELED", False)
    told = await quota(platform, "tom", of)
    assert [told[f"{name}Used"] for name in ("window", "total", "concurrent")] == [1, 1, 1]
    assert (told["left"], told["resetsAt"]) == (1, None)
    await begun(platform, "tom", of)
    await over(platform, "tom", of)


async def test_the_quota_is_told_before_and_the_refusal_carries_the_same_figures(platform: Platform) -> None:
    of = await contest(platform, phase={"windowLimit": 1, "windowSeconds": 3_600})
    before = await quota(platform, "tom", of)
    assert before == {
        "windowLimit": 1, "windowSeconds": 3_600, "windowUsed": 0, "resetsAt": None, "totalLimit": None, "totalUsed": 0,
        "concurrentLimit": None, "concurrentUsed": 0, "left": 1,
    }  # fmt: skip
    await begun(platform, "tom", of)
    told = await quota(platform, "tom", of)
    message, details = await over(platform, "tom", of)
    assert details == {"limit": 1, "used": 1, "requested": 1, "resetsAt": told["resetsAt"]}
    assert told["resetsAt"] in message
    assert told["resetsAt"].endswith("Z")
    (row,) = await platform.services.database.rows(
        sa.select(m.Submission.charged_at).where(m.Submission.phase_id == key_of(of.phase))
    )
    resets = datetime.fromisoformat(told["resetsAt"])
    assert abs(resets - row[0] - timedelta(hours=1)) < timedelta(milliseconds=1)


async def test_the_window_moves_on_and_the_total_stays(platform: Platform) -> None:
    of = await contest(platform, phase={"windowLimit": 1, "windowSeconds": 3_600, "totalLimit": 2})
    first = await begun(platform, "tom", of)
    await set_row(platform, m.Submission, first["id"], charged_at=later(-3_599))
    await over(platform, "tom", of)
    await set_row(platform, m.Submission, first["id"], charged_at=later(-3_600))
    await begun(platform, "tom", of)
    message, details = await over(platform, "tom", of)
    assert "within 3600 s" in message, "what resets is told first"
    await platform.services.database.rows(sa.select(1))
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(sa.update(m.Submission).values(charged_at=later(-9_000)))
    message, details = await over(platform, "tom", of)
    assert message == "you have submitted all 2 that this phase takes"
    assert details == {"limit": 2, "used": 2, "requested": 1}


async def test_what_has_ended_is_no_longer_under_way_and_stays_charged(platform: Platform) -> None:
    of = await contest(platform, phase={"concurrentLimit": 1, "totalLimit": 9})
    first = await submitted(platform, "tom", of)
    message, details = await over(platform, "tom", of)
    assert message == "you have 1 under way of 1 at once; wait for one, or cancel it"
    assert details == {"limit": 1, "used": 1, "requested": 1}
    ((worker, _),) = await claimed(platform)
    await passed(platform)
    await over(platform, "tom", of)
    await scored(platform, worker, {"accuracy": 1.0})
    assert (await read(platform, "tom", first))["charged"]
    told = await quota(platform, "tom", of)
    assert (told["concurrentUsed"], told["totalUsed"], told["left"]) == (0, 1, 1)
    await begun(platform, "tom", of)


@pytest.mark.parametrize(("code", "charged"), [("PROGRAM_FAILED", True), ("TIME", True), ("MEMORY", True)]
                         + [(code, False) for code in ("NO_SANDBOX", "REFERENCE", "LOST")])  # fmt: skip
async def test_a_failure_of_the_submitters_is_charged_and_one_of_ours_is_not(
    platform: Platform, code: str, charged: bool
) -> None:
    assert (code not in OURS) == charged
    of = await contest(platform, phase={"totalLimit": 1})
    submission = await submitted(platform, "tom", of)
    ((worker, _),) = await claimed(platform)
    await platform.ask(REPORT, worker, e=f"{code}: so it was")
    await passed(platform)
    found = await read(platform, "tom", submission)
    assert (found["status"], found["reason"], found["charged"]) == (
        "FAILED",
        {"code": code, "message": "so it was"},
        charged,
    )
    assert (await quota(platform, "tom", of))["left"] == int(not charged)


async def test_a_deleted_submission_is_not_given_back(platform: Platform) -> None:
    of = await contest(platform, phase={"totalLimit": 1})
    submission = await begun(platform, "tom", of)
    await done(platform, "tom", "deleteSubmission", id=submission["id"])
    await over(platform, "tom", of)


async def test_a_file_that_comes_too_late_or_never_is_not_charged(platform: Platform) -> None:
    of = await contest(platform, phase={"totalLimit": 1})
    submission = await begun(platform, "tom", of)
    await set_row(platform, m.Submission, submission["id"], status_ends_at=later(-1))
    await passed(platform)
    found = await read(platform, "tom", submission)
    assert (found["status"], found["reason"]["code"], found["charged"]) == ("INVALID", "UPLOAD_EXPIRED", False)
    again = await begun(platform, "tom", of)
    await set_row(platform, m.Phase, of.phase, ends_at=later(0))
    await brought(platform, again)
    assert (await quota(platform, "tom", of))["totalUsed"] == 0
    assert (await refused(platform, "tom", "createSubmission", input={"phase": of.phase}))[0] == "STATE"
