"""Mails about jobs that ended, to owners who want them."""

from typing import Any

import pytest
import sqlalchemy as sa

from db.models import Job, JobState, Notification, User
from db.types import later
from resolvers.mail import job_mails
from resolvers.mail.job_mails import tell_owners
from resolvers.queue.lifecycle import move
from schema.fields.scalars import key_of
from tests.support.matrix import mutate
from tests.support.platforms import Platform
from tests.support.work import claim, job_of, release, submit

PROFILE = "mutation($c:ProfileChanges!){updateProfile(expectedVersion:1,input:$c){...on User{notifiedOfJobs} ...on Problem{code field}}}"  # fmt: skip

ADDRESS = "https://torana.example"


async def _wants(platform: Platform, **changes: Any) -> Any:
    return (await platform.ask(PROFILE, "tom", c={"notifiedOfJobs": True, **changes}))["updateProfile"]


async def _end(platform: Platform, *submitted: Any, state: JobState = JobState.COMPLETED, **columns: Any) -> None:
    async with platform.services.database.write(as_system="test") as session:
        for one in submitted:
            job = await session.get_one(Job, key_of("Job", one["job"]["id"]))
            await move(session, job, JobState.RUNNING)
            await move(session, job, state, **columns)


async def _mails(platform: Platform, seconds: float = 0.0) -> list[Notification]:
    """The mails that are posted when jobs are gathered for so long."""
    await tell_owners(platform.services.database, seconds, ADDRESS)
    async with platform.services.database.write(as_system="test") as session:
        return list(await session.scalars(sa.select(Notification).order_by(Notification.id)))


@pytest.mark.both
async def test_one_mail_tells_of_all_jobs_that_ended(platform: Platform) -> None:
    assert await _wants(platform) == {"notifiedOfJobs": True}
    first, second = await submit(platform, title="first"), await submit(platform, title="second <b>")
    await _end(platform, first)
    await _end(platform, second, state=JobState.FAILED, error={"code": "PROGRAM_FAILED", "message": "no\nroom"})
    (mail,) = await _mails(platform)
    assert mail.recipient == "tom@torana.example"
    assert mail.subject == "2 of your jobs have ended, 1 failed"
    assert "COMPLETED: first\n" in mail.text
    assert "FAILED: second <b> (no room)\n" in mail.text
    assert "second &lt;b&gt; (no room)" in (mail.html or "")
    assert len(await _mails(platform)) == 1


async def test_a_mail_of_one_job_has_its_title_in_the_subject(platform: Platform) -> None:
    await _wants(platform)
    await _end(platform, await submit(platform, title="water"))
    (mail,) = await _mails(platform)
    assert mail.subject == "Your job water has completed"


async def test_jobs_are_gathered_until_the_first_ended_long_enough_ago(platform: Platform) -> None:
    await _wants(platform)
    first, second = await submit(platform), await submit(platform)
    await _end(platform, first)
    assert await _mails(platform, 300) == []
    async with platform.services.database.write(as_system="test") as session:
        key = key_of("Job", first["job"]["id"])
        await session.execute(sa.update(Job).where(Job.id == key).values(ended_at=later(-301)))
    await _end(platform, second)
    (mail,) = await _mails(platform, 300)
    assert mail.subject == "2 of your jobs have ended"


async def test_who_does_not_want_it_gets_no_mail(platform: Platform) -> None:
    await _end(platform, await submit(platform))
    await _wants(platform, notified=False)
    await _end(platform, await submit(platform))
    assert await _mails(platform) == []


@pytest.mark.both
@pytest.mark.parametrize("refused", ["active", "email_verified"])
@pytest.mark.parametrize("after", [False, True])
async def test_who_may_not_sign_in_or_has_no_confirmed_address_gets_no_mail(
    platform: Platform, refused: str, after: bool
) -> None:
    await _wants(platform)
    submitted = await submit(platform)
    if after:
        await _end(platform, submitted)
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(sa.update(User).where(User.id == platform.world.tom).values({refused: False}))
    if not after:
        await _end(platform, submitted)
    assert await _mails(platform) == []


@pytest.mark.both
async def test_a_mail_names_what_failed_first_then_by_end_and_links_to_the_gateway(platform: Platform) -> None:
    await _wants(platform)
    late, early, failed = [await submit(platform, title=title) for title in ("late", "early", "failed")]
    await _end(platform, early)
    await _end(platform, late)
    await _end(platform, failed, state=JobState.FAILED)
    (mail,) = await _mails(platform)
    assert "FAILED: failed\nCOMPLETED: early\nCOMPLETED: late\n" in mail.text
    assert f"\n{ADDRESS}\n" in mail.text
    assert f'href="{ADDRESS}"' in (mail.html or "")


async def test_a_mail_shows_titles_without_invisible_letters(platform: Platform) -> None:
    await _wants(platform)
    await _end(platform, await submit(platform, title="\u202ewa\u200bter\ufeff"))
    (mail,) = await _mails(platform)
    assert mail.subject == "Your job water has completed"


async def test_who_no_longer_wants_it_is_not_told_of_what_ended_before(platform: Platform) -> None:
    await _wants(platform)
    await _end(platform, await submit(platform))
    query = PROFILE.replace("expectedVersion:1", "expectedVersion:2")
    assert (await platform.ask(query, "tom", c={"notifiedOfJobs": False}))["updateProfile"] == {"notifiedOfJobs": False}
    assert await _mails(platform) == []


async def test_an_owner_is_not_told_of_jobs_that_the_owner_cancelled(platform: Platform) -> None:
    await _wants(platform)
    own = await submit(platform)
    others = await submit(platform, title="theirs", project=platform.world.id("Project", "shared"))
    await mutate(platform, "tom", "cancelJob", id=own["job"]["id"])
    await mutate(platform, "maria", "cancelJob", id=others["job"]["id"])
    (mail,) = await _mails(platform)
    assert mail.subject == "Your job theirs was cancelled"


async def test_a_job_whose_tasks_were_lost_is_told_as_failed(platform: Platform) -> None:
    await _wants(platform)
    submitted = await submit(platform, 1, title="lost")
    (worker,) = await claim(platform)
    await release(platform, worker, runs=1)
    assert (await job_of(platform, submitted))["state"] == "FAILED"
    (mail,) = await _mails(platform)
    assert mail.subject == "Your job lost has failed"


async def test_a_deleted_job_is_not_told_of(platform: Platform) -> None:
    await _wants(platform)
    first, second = await submit(platform), await submit(platform)
    await _end(platform, first, second)
    await mutate(platform, "tom", "deleteJob", id=first["job"]["id"])
    await mutate(platform, "tom", "deleteSimulation", id=second["id"])
    assert await _mails(platform) == []


async def test_a_mail_of_very_many_jobs_counts_those_that_it_does_not_name(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_mails, "LISTED", 1)
    await _wants(platform)
    await _end(platform, await submit(platform), await submit(platform), await submit(platform))
    (mail,) = await _mails(platform)
    assert "3 jobs of yours have ended: 3 completed, 0 failed, 0 cancelled." in mail.text
    assert "and 2 more" in mail.text


async def test_telling_changes_no_version_of_a_job(platform: Platform) -> None:
    await _wants(platform)
    submitted = await submit(platform)
    await _end(platform, submitted)
    query = "query($id:ID!){job(id:$id){version updatedAt}}"
    before = await platform.ask(query, "tom", id=submitted["job"]["id"])
    assert len(await _mails(platform)) == 1
    assert await platform.ask(query, "tom", id=submitted["job"]["id"]) == before


async def test_a_preference_that_is_null_is_refused(platform: Platform) -> None:
    assert await _wants(platform, notifiedOfJobs=None) == {"code": "INVALID", "field": "input.notifiedOfJobs"}
