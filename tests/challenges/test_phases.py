"""When a phase takes submissions, and what challenges refuse: each with its code and sentence, and nothing half done."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from db import models as m
from db.types import later
from resolvers.challenges import arrivals
from resolvers.failures import Forbidden
from tests.support.contests import (
    COLUMNS,
    answer,
    begun,
    brought,
    claimed,
    contest,
    done,
    entries,
    key_of,
    passed,
    read,
    scored,
    sent,
    set_row,
    status_of,
    submitted,
)
from tests.support.contests import ended as ended_there
from tests.support.platforms import Platform
from tests.support.serving import Serve, Served
from tests.support.uploading import Uploader

ON_SQLITE = True
END = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def number_of(platform: Platform, *models: Any) -> list[int]:
    """How many rows of each there are."""
    rows = [await platform.services.database.rows(sa.select(sa.func.count()).select_from(one)) for one in models]
    return [int(found[0][0]) for found in rows]


async def refusal(platform: Platform, as_: str, name: str, /, **arguments: Any) -> tuple[str, str, Any]:
    """The code, the sentence and the field of a refusal that changes no row of challenges."""
    kept = (m.Challenge, m.Phase, m.Evaluator, m.EvaluatorVersion, m.Leaderboard, m.Submission, m.Team, m.TeamMember)
    before = await number_of(platform, *kept)
    found = await answer(platform, as_, name, **arguments)
    assert found["__typename"] == "Problem", found
    assert await number_of(platform, *kept) == before
    return found["code"], found["message"], found["field"]


# The end ------------------------------------------------------------------------------------------------------------


@pytest.mark.both
@pytest.mark.parametrize(("after", "status"), [(-1, "ON_QUEUE"), (0, "INVALID"), (1, "INVALID")])
async def test_the_last_byte_decides_to_the_millisecond(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, after: int, status: str
) -> None:
    of = await contest(platform)
    submission = await begun(platform, "tom", of)
    await set_row(platform, m.Phase, of.phase, ends_at=END)

    async def moment(_: Any) -> datetime:
        return END + timedelta(milliseconds=after)

    monkeypatch.setattr(arrivals, "moment_of", moment)
    await brought(platform, submission)
    found = await read(platform, "tom", submission)
    assert (found["status"], found["charged"]) == (status, status != "INVALID")
    if status == "INVALID":
        assert found["reason"] == {
            "code": "LATE",
            "message": "submissions were taken until 2026-03-01T12:00:00.000000Z",
        }


@pytest.mark.both
@pytest.mark.slow
async def test_an_upload_that_ends_a_millisecond_late_by_the_databases_clock_is_refused(
    serve: Serve, backend: str
) -> None:
    gateway: Served = await serve(backend)
    root, tom = [await gateway.log_in(name) for name in ("root", "tom")]
    of = await contest(gateway, root)
    in_time = await sent(gateway, tom, of, b"id,label\n1,one\n")
    submission = await begun(gateway, tom, of)
    await set_row(gateway, m.Phase, of.phase, ends_at=later(-0.001))
    await Uploader(gateway, tom).brought(b"x", purpose="SUBMISSION_INPUT", target=submission["id"])
    found = await ended_there(gateway, tom, submission)
    assert (found["status"], found["reason"]["code"], found["evaluation"]) == ("INVALID", "LATE", None)
    assert [step["status"] for step in found["history"]] == ["UPLOADING", "INVALID"]
    assert (await read(gateway, tom, in_time))["status"] in ("VALIDATING", "ON_QUEUE")


@pytest.mark.both
async def test_what_came_in_time_is_evaluated_after_the_end_and_counts(platform: Platform) -> None:
    of = await contest(platform)
    submission = await submitted(platform, "tom", of)
    await set_row(platform, m.Phase, of.phase, ends_at=later(-0.001))
    ((worker, _),) = await claimed(platform)
    await passed(platform)
    await scored(platform, worker, {"accuracy": 0.5})
    await passed(platform)
    assert (await read(platform, "tom", submission))["status"] == "COMPLETED"
    assert [entry["authorLabel"] for entry in await entries(platform, "eve", of)] == ["tom"]


@pytest.mark.parametrize(
    ("phase", "challenge", "said"),
    [
        ({"ends_at": later(-1)}, {}, "submissions were taken until"),
        ({"starts_at": later(60)}, {}, "submissions are taken from"),
        ({}, {"active": False}, "the challenge digits takes no submissions"),
        ({}, {"end_date": END.date()}, "submissions were taken until 2026-03-02T00:00:00"),
        ({}, {"start_date": END.date().replace(year=2100)}, "submissions are taken from 2100-03-01T00:00:00"),
        ({"ends_at": later(60)}, {"end_date": END.date()}, "submissions were taken until 2026-03-02T00:00:00"),
    ],
    ids=["over", "not yet", "switched off", "the challenge is over", "the challenge is to come", "the earlier end"],
)
async def test_a_phase_that_is_closed_takes_nothing(platform: Platform, phase: Any, challenge: Any, said: str) -> None:
    of = await contest(platform)
    early = await begun(platform, "tom", of)
    if phase:
        await set_row(platform, m.Phase, of.phase, **phase)
    if challenge:
        await set_row(platform, m.Challenge, of.challenge, **challenge)
    code, message, field = await refusal(platform, "tom", "createSubmission", input={"phase": of.phase})
    assert (code, field) == ("STATE", "input.phase")
    assert message.startswith(said)
    await brought(platform, early)
    assert (await status_of(platform, "tom", early))[0] == "INVALID"


async def test_a_phase_that_others_do_not_see_takes_nothing_of_theirs(platform: Platform) -> None:
    of = await contest(platform, phase={"published": False})
    code, _, _ = await refusal(platform, "tom", "createSubmission", input={"phase": of.phase})
    assert code == "NOT_FOUND"


# Who takes part -----------------------------------------------------------------------------------------------------


async def test_who_has_not_accepted_the_terms_is_told_to_register_and_organisers_need_not(platform: Platform) -> None:
    of = await contest(platform, challenge={"terms": "be fair"})
    code, message, _ = await refusal(platform, "tom", "createSubmission", input={"phase": of.phase})
    assert (code, message) == ("FORBIDDEN", "register for this challenge first, with joinChallenge")
    await begun(platform, "root", of)


async def test_a_team_that_is_full_takes_nobody_else(platform: Platform) -> None:
    of = await contest(platform, challenge={"teamSize": 2})
    team = await done(platform, "root", "createTeam", challenge=of.challenge, name="ours")
    invited = [platform.world.id("User", name) for name in ("tom", "maria")]
    await done(platform, "root", "inviteToTeam", id=team["id"], users=invited)
    await done(platform, "tom", "joinTeam", id=team["id"])
    code, message, field = await refusal(platform, "maria", "joinTeam", id=team["id"])
    assert (code, message, field) == ("LIMIT_EXCEEDED", "the team is full: it has 2 of 2 people", "id")


@pytest.mark.parametrize("refused", [True, False])
async def test_who_takes_part_no_longer_is_in_no_team(platform: Platform, refused: bool) -> None:
    of = await contest(platform, challenge={"teamSize": 2, "terms": "be fair"})
    taken = {name: await done(platform, name, "joinChallenge", challenge=of.challenge) for name in ("tom", "maria")}
    team = await done(platform, "tom", "createTeam", challenge=of.challenge, name="ours")
    await done(platform, "tom", "inviteToTeam", id=team["id"], users=[platform.world.id("User", "maria")])
    await done(platform, "maria", "joinTeam", id=team["id"])
    if refused:
        given = {"id": taken["tom"]["id"], "accept": False, "reason": "two accounts"}
        await done(platform, "root", "decideRegistration", **given)
    else:
        await done(platform, "tom", "deleteRegistration", id=taken["tom"]["id"])
    query = "query($i:ID!){team(id:$i){captain{username} members(first:9){nodes{user{username}}}}}"
    left = (await platform.ask(query, "maria", i=team["id"]))["team"]
    assert left == {"captain": {"username": "maria"}, "members": {"nodes": [{"user": {"username": "maria"}}]}}


async def test_who_was_refused_comes_back_by_an_organiser_alone(platform: Platform) -> None:
    of = await contest(platform, challenge={"registrationMode": "OPEN"})
    taken = await done(platform, "tom", "joinChallenge", challenge=of.challenge)
    begun_before = await begun(platform, "tom", of)
    await done(platform, "root", "decideRegistration", id=taken["id"], accept=False, reason="two accounts")
    code, message, _ = await refusal(platform, "tom", "deleteRegistration", id=taken["id"])
    assert (code, message) == ("STATE", "your registration was refused; only an organiser ends that")
    await done(platform, "tom", "joinChallenge", challenge=of.challenge)
    code, message, _ = await refusal(platform, "tom", "createSubmission", input={"phase": of.phase})
    assert (code, message) == ("FORBIDDEN", "your registration waits for approval")
    with pytest.raises(Forbidden):
        await brought(platform, begun_before)
    await done(platform, "root", "decideRegistration", id=taken["id"], accept=True)
    await brought(platform, begun_before)
    assert (await status_of(platform, "tom", begun_before))[0] != "UPLOADING"


async def test_a_name_that_is_taken_is_told_at_the_name(platform: Platform) -> None:
    of = await contest(platform, challenge={"teamSize": 2})
    await done(platform, "root", "createTeam", challenge=of.challenge, name="ours")
    assert await refusal(platform, "tom", "createTeam", challenge=of.challenge, name="ours") == (
        "CONFLICT", "there is already a Team with this name", "name",
    )  # fmt: skip
    given = {"challenge": of.challenge, "name": "main"}
    assert await refusal(platform, "root", "createPhase", input=given) == (
        "CONFLICT", "there is already a Phase with this challenge and name", "input.name",
    )  # fmt: skip


async def test_a_submission_for_a_team_of_others_is_not_taken(platform: Platform) -> None:
    of = await contest(platform, challenge={"teamSize": 2})
    team = await done(platform, "root", "createTeam", challenge=of.challenge, name="ours")
    code, _, field = await refusal(platform, "tom", "createSubmission", input={"phase": of.phase, "team": team["id"]})
    assert (code, field) == ("NOT_FOUND", "input.team")


# What organisers send -----------------------------------------------------------------------------------------------


async def test_an_end_before_its_start_is_refused(platform: Platform) -> None:
    of = await contest(platform)
    given = {"label": "other", "startDate": "2026-03-02", "endDate": "2026-03-01"}
    assert await refusal(platform, "root", "createChallenge", input=given) == (
        "INVALID", "a challenge ends on its first day, or later", "input.endDate",
    )  # fmt: skip
    given = {
        "challenge": of.challenge,
        "name": "x",
        "startsAt": "2026-03-01T12:00:00Z",
        "endsAt": "2026-03-01T12:00:00Z",
    }
    code, message, _ = await refusal(platform, "root", "createPhase", input=given)
    assert (code, message.startswith("a phase ends after its start")) == ("INVALID", True), message


async def test_phases_at_one_time_are_refused_unless_that_is_meant(platform: Platform) -> None:
    of = await contest(platform, phase={"endsAt": "2026-03-01T12:00:00Z"})
    given = {"challenge": of.challenge, "name": "second", "startsAt": "2026-03-01T11:59:59.999Z"}
    assert await refusal(platform, "root", "createPhase", input=given) == (
        "INVALID", "the phases main and second are at one time; set parallelPhases where that is meant", "input.startsAt",
    )  # fmt: skip
    await done(platform, "root", "createPhase", input={**given, "name": "after", "startsAt": "2026-03-01T12:00:00Z"})

    async def change(to: bool) -> Any:
        query = "query($i:ID!){challenge(id:$i){version}}"
        version = (await platform.ask(query, "root", i=of.challenge))["challenge"]["version"]
        changes = {"id": of.challenge, "expectedVersion": version, "input": {"parallelPhases": to}}
        return await answer(platform, "root", "updateChallenge", **changes)

    await change(True)
    await done(platform, "root", "createPhase", input=given)
    assert (await change(False))["code"] == "INVALID"


async def test_a_label_that_is_taken_is_a_conflict(platform: Platform) -> None:
    of = await contest(platform)
    given = {"label": "digits", "startDate": "2026-01-01"}
    assert (await refusal(platform, "root", "createChallenge", input=given))[0] == "CONFLICT"
    given = {"challenge": of.challenge, "label": "digits-board"}
    assert (await refusal(platform, "root", "createLeaderboard", input=given))[0] == "CONFLICT"
    given = {"challenge": of.challenge, "name": "main", "startsAt": "2100-01-01T00:00:00Z"}
    await set_row(platform, m.Phase, of.phase, ends_at=END)
    assert (await refusal(platform, "root", "createPhase", input=given))[0] == "CONFLICT"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"scoresSchema": {"type": "number of some kind"}}, "input.scoresSchema"),
        ({"scoresSchema": {"properties": {"f1": {"minimum": "low"}}}}, "input.scoresSchema"),
        ({"bounds": {"seconds": -1}}, "input.bounds.seconds"),
        ({"bounds": {"processes": 0}}, "input.bounds.processes"),
        ({"program": "of nobody"}, "input.program"),
        ({"program": None}, "input.program"),
        ({"executor": "BASH"}, "input.executor"),
        ({"entryPoint": "../main.py"}, "input.entryPoint"),
        ({"arguments": ["a\nb"]}, "input.arguments.0"),
    ],
)
async def test_an_evaluator_that_cannot_work_is_refused_where_it_is_wrong(
    platform: Platform, changes: Any, field: str
) -> None:
    of = await contest(platform)
    given = {"label": "digits", "challenge": of.challenge, "executor": "PYTHON", "program": "classification", **changes}
    code, message, at = await refusal(platform, "root", "upsertEvaluator", input=given)
    assert (code, str(at).startswith(field)) == ("INVALID", True), (message, at)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"columns": [{"key": "a"}]}, "input.columns.0.path"),
        ({"columns": [*COLUMNS, COLUMNS[0]]}, "input.columns.2.key"),
        ({"columns": COLUMNS, "rankBy": "speed"}, "input.rankBy"),
        ({"columns": COLUMNS, "ties": ["seconds"]}, "input.ties"),
        ({"columns": COLUMNS, "rankBy": "accuracy", "ties": ["seconds", "speed"]}, "input.ties.1"),
    ],
)
async def test_a_leaderboard_whose_columns_do_not_fit_is_refused_where_they_do_not(
    platform: Platform, changes: Any, field: str
) -> None:
    of = await contest(platform)
    given = {"challenge": of.challenge, "label": "other", **changes}
    code, message, at = await refusal(platform, "root", "createLeaderboard", input=given)
    assert (code, at) == ("INVALID", field), message


async def test_scores_of_another_shape_end_in_failed_with_the_path_of_the_fault(platform: Platform) -> None:
    of = await contest(platform)
    submission = await submitted(platform, "tom", of)
    ((worker, _),) = await claimed(platform)
    await scored(platform, worker, {"accuracy": "high"})
    await passed(platform)
    found = await read(platform, "tom", submission)
    assert (found["status"], found["reason"]["code"]) == ("FAILED", "SCORES")
    assert "at accuracy: " in found["reason"]["message"]
    assert (found["hasScores"], found["charged"], found["evaluation"]) == (False, False, None)
    rows = await platform.services.database.rows(
        sa.select(m.Evaluation.scores, m.Evaluation.ended_at).where(
            m.Evaluation.submission_id == key_of(submission["id"])
        )
    )
    assert [(row[0], row[1] is not None) for row in rows] == [(None, True)]
    assert await entries(platform, "root", of) == []
