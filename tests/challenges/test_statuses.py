"""The statuses of submissions: each that waits has an end, and who may change one is told from who may not."""

from typing import Any

import pytest
import sqlalchemy as sa

from db import models as m
from db.types import later
from resolvers.challenges.statuses import LASTS, MOVES, OVERDUE
from tests.support.contests import (
    Contest,
    begun,
    claimed,
    completed,
    contest,
    done,
    entries,
    key_of,
    passed,
    read,
    refused,
    scored,
    set_row,
    status_of,
    submitted,
    upserted,
)
from tests.support.filed import upload_of
from tests.support.platforms import Platform
from tests.support.work import REPORT, RESULTS

ON_SQLITE = True
S = m.SubmissionStatus


async def authors(platform: Platform, of: Contest) -> list[str]:
    """Who is on the board, after it was built."""
    await passed(platform)
    return [entry["authorLabel"] for entry in await entries(platform, "eve", of)]


# Ends ---------------------------------------------------------------------------------------------------------------


def test_each_status_is_final_or_has_a_bound_after_which_another_follows() -> None:
    final = {S.INVALID, S.COMPLETED, S.FAILED, S.CANCELED, S.EXCLUDED, S.WITHDRAWN}
    assert set(LASTS) == set(OVERDUE) == set(S) - final
    assert all(status in MOVES[before] and status in final for before, (status, _, _) in OVERDUE.items())
    assert set(MOVES) == set(S)


async def waiting(platform: Platform, status: S) -> tuple[Any, Any]:
    """A submission that waits in a status, and the worker that evaluates it, where there is one."""
    of = await contest(platform, challenge={"autoEval": status is not S.NO_AUTO_EVAL})
    if status in (S.UPLOADING, S.UPLOADED, S.VALIDATING):
        submission = await begun(platform, "tom", of)
        await set_row(platform, m.Submission, submission["id"], status=status)
        return submission, None
    if status is S.NO_EVAL:
        await set_row(platform, m.Challenge, of.challenge, evaluator_id=None)
    submission, worker = await submitted(platform, "tom", of), None
    if status is S.EVALUATING:
        ((worker, _),) = await claimed(platform)
        await passed(platform)
    return submission, worker


@pytest.mark.both
@pytest.mark.parametrize("status", LASTS)
async def test_a_status_that_waits_ends_by_itself_with_a_reason_and_is_not_charged(
    platform: Platform, status: S
) -> None:
    submission, worker = await waiting(platform, status)
    before = await read(platform, "tom", submission)
    assert (before["status"], before["statusEndsAt"] is not None) == (status.name, True)
    await passed(platform)
    assert (await read(platform, "tom", submission))["status"] == status.name, "not before its time"
    await set_row(platform, m.Submission, submission["id"], status_ends_at=later(-0.001))
    await passed(platform)
    after, code, message = OVERDUE[status]
    found = await read(platform, "tom", submission)
    assert (found["status"], found["reason"]) == (after.name, {"code": code, "message": message})
    assert (found["charged"], found["statusEndsAt"]) == (False, None)
    assert found["history"][-1]["reason"]["code"] == code
    open_ = sa.select(m.Evaluation.id).where(m.Evaluation.ended_at.is_(None))
    live = sa.select(m.Job.id).where(m.Job.evaluation_id.is_not(None), m.Job.state.not_in(m.TERMINAL))
    assert [list(await platform.services.database.rows(one)) for one in (open_, live)] == [[], []]
    if worker is not None:
        assert await platform.refused(RESULTS, worker, e={"accuracy": 1.0}) == ["STATE"]
    await passed(platform)
    assert (await read(platform, "tom", submission))["history"] == found["history"], "once"


async def test_an_upload_that_goes_on_keeps_its_submission_waiting(platform: Platform) -> None:
    of = await contest(platform)
    submission = await begun(platform, "tom", of)
    key, purpose = key_of(submission["id"]), m.FilePurpose.SUBMISSION_INPUT
    async with platform.services.database.write(as_system="test") as session:
        upload, _ = await upload_of(session, "x", purpose=purpose, submission_id=key, owner_user_id=platform.world.tom)
    await set_row(platform, m.Submission, submission["id"], status_ends_at=later(-1))
    await passed(platform)
    assert await status_of(platform, "tom", submission) == ("UPLOADING", None)
    async with platform.services.database.write(as_system="test") as session:
        (await session.get_one(m.Upload, upload)).state = m.UploadState.FAILED
        await session.execute(sa.update(m.Submission).where(m.Submission.id == key).values(status_ends_at=later(-1)))
    await passed(platform)
    assert await status_of(platform, "tom", submission) == ("INVALID", "UPLOAD_EXPIRED")


# Who may ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("excludeSubmission", {"reason": "x"}),
        ("setSubmissionStatus", {"status": "INVALID", "reason": "x"}),
        ("setAuthorLabel", {"label": "x"}),
        ("setSubmissionEvaluator", {"evaluator": None}),
        ("evaluateSubmission", {}),
    ],
)
async def test_what_organisers_decide_is_not_the_submitters(platform: Platform, name: str, given: Any) -> None:
    of = await contest(platform)
    submission = await completed(platform, "tom", of, {"accuracy": 0.5})
    before = await read(platform, "tom", submission)
    assert (await refused(platform, "tom", name, id=submission["id"], **given))[0] == "FORBIDDEN"
    assert (await refused(platform, "maria", name, id=submission["id"], **given))[0] == "NOT_FOUND"
    assert await read(platform, "tom", submission) == before
    await done(platform, "root", name, id=submission["id"], **given)


@pytest.mark.parametrize("name", ["withdrawSubmission", "chooseSubmission"])
async def test_what_a_submitter_decides_is_not_the_organisers(platform: Platform, name: str) -> None:
    of = await contest(platform)
    submission = await submitted(platform, "tom", of)
    assert (await refused(platform, "root", name, id=submission["id"]))[0] == "FORBIDDEN"
    assert (await refused(platform, "maria", name, id=submission["id"]))[0] == "NOT_FOUND"


async def test_a_submitter_evaluates_again_where_the_phase_allows_it_without_further_arguments(
    platform: Platform,
) -> None:
    of = await contest(platform, phase={"selfEvaluation": True})
    submission = await completed(platform, "tom", of, {"accuracy": 0.5})
    code, message = await refused(platform, "tom", "evaluateSubmission", id=submission["id"], extraArguments=["--x"])
    assert (code, message) == ("FORBIDDEN", "only organisers give further arguments")
    assert (await done(platform, "tom", "evaluateSubmission", id=submission["id"]))["status"] == "ON_QUEUE"
    assert (await refused(platform, "tom", "evaluateSubmission", id=submission["id"]))[0] == "STATE"
    assert await authors(platform, of) == ["tom"], "its scores count meanwhile"
    ((worker, _),) = await claimed(platform)
    await scored(platform, worker, {"accuracy": 0.75})
    await passed(platform)
    assert (await read(platform, "tom", submission))["evaluation"] == {"number": 2, "scores": {"accuracy": 0.75}}
    await set_row(platform, m.Phase, of.phase, ends_at=later(-1))
    assert (await refused(platform, "tom", "evaluateSubmission", id=submission["id"]))[0] == "STATE"
    await done(platform, "root", "evaluateSubmission", id=submission["id"], extraArguments=["--x"])


@pytest.mark.parametrize("how", ["REFERENCE: x", "PROGRAM_FAILED: x", ""], ids=["ours", "theirs", "overdue"])
async def test_what_has_scores_keeps_them_and_its_charge_though_it_fails_another_time(
    platform: Platform, how: str
) -> None:
    of = await contest(platform)
    submission = await completed(platform, "tom", of, {"accuracy": 0.5})
    await done(platform, "root", "evaluateSubmission", id=submission["id"])
    ((worker, _),) = await claimed(platform)
    if how:
        await platform.ask(REPORT, worker, e=how)
    else:
        await passed(platform)
        await set_row(platform, m.Submission, submission["id"], status_ends_at=later(-1))
    assert await authors(platform, of) == ["tom"]
    found = await read(platform, "tom", submission)
    assert (found["status"], found["charged"], found["evaluation"]["number"]) == ("COMPLETED", True, 1)
    assert found["reason"]["code"] == (how.partition(":")[0] or "EVALUATION_TIMEOUT")


# What becomes of it -------------------------------------------------------------------------------------------------


async def test_who_withdraws_ends_what_is_under_way_and_keeps_being_charged_for_it(platform: Platform) -> None:
    of = await contest(platform)
    first, second = await submitted(platform, "tom", of), await begun(platform, "tom", of)
    ((worker, _),) = await claimed(platform)
    await passed(platform)
    found = await done(platform, "tom", "withdrawSubmission", id=first["id"])
    assert (found["status"], found["reason"]["code"], found["charged"]) == ("WITHDRAWN", "WITHDRAWN", True)
    assert await platform.refused(RESULTS, worker, e={"accuracy": 1.0}) == ["STATE"]
    assert not (await done(platform, "tom", "withdrawSubmission", id=second["id"]))["charged"], "nothing was evaluated"
    scores = await completed(platform, "tom", of, {"accuracy": 0.5})
    code, message = await refused(platform, "tom", "withdrawSubmission", id=scores["id"])
    assert (code, message) == ("STATE", "a submission with scores is not withdrawn; ask an organiser")
    assert await authors(platform, of) == ["tom"]


async def test_an_excluded_submission_leaves_the_board_and_comes_back(platform: Platform) -> None:
    of = await contest(platform)
    submission = await completed(platform, "tom", of, {"accuracy": 0.5})
    await completed(platform, "maria", of, {"accuracy": 0.4})
    assert await authors(platform, of) == ["tom", "maria"]
    await done(platform, "root", "excludeSubmission", id=submission["id"], reason="it read the answers")
    assert await authors(platform, of) == ["maria"]
    found = await read(platform, "tom", submission)
    assert found["reason"] == {"code": "BY_ORGANISER", "message": "it read the answers"}
    assert found["charged"]
    await done(platform, "root", "setSubmissionStatus", id=submission["id"], status="COMPLETED", reason="it did not")
    assert await authors(platform, of) == ["tom", "maria"]


async def test_the_chosen_run_is_the_one_on_the_board(platform: Platform) -> None:
    of = await contest(platform, board={"counting": "CHOSEN"})
    runs = [await completed(platform, "tom", of, {"accuracy": n / 10}) for n in (1, 2, 3)]
    other = await completed(platform, "maria", of, {"accuracy": 0.5})
    assert await authors(platform, of) == []
    for run, accuracy in ((runs[0], 0.1), (runs[2], 0.3), (runs[1], 0.2)):
        await done(platform, "tom", "chooseSubmission", id=run["id"])
        await passed(platform)
        assert [entry["data"]["accuracy"] for entry in await entries(platform, "eve", of)] == [accuracy]
    assert [(await read(platform, "tom", run))["chosen"] for run in runs] == [False, True, False]
    await done(platform, "maria", "chooseSubmission", id=other["id"])
    assert await authors(platform, of) == ["maria", "tom"]
    waits = await submitted(platform, "tom", of)
    assert await refused(platform, "tom", "chooseSubmission", id=waits["id"]) == (
        "STATE", "only a completed submission is chosen",
    )  # fmt: skip


async def test_organisers_set_only_statuses_that_fit_and_say_why(platform: Platform) -> None:
    of = await contest(platform)
    submission = await submitted(platform, "tom", of)

    async def code(status: str, reason: str = "x") -> tuple[str, str]:
        given = {"id": submission["id"], "status": status, "reason": reason}
        return await refused(platform, "root", "setSubmissionStatus", **given)

    assert await code("CANCELED") == ("STATE", "something is under way; cancel it first")
    await done(platform, "root", "cancelSubmission", id=submission["id"])
    assert await code("COMPLETED") == ("STATE", "it has no scores")
    for status in ("EVALUATING", "FAILED", "WITHDRAWN", "UPLOADING"):
        assert (await code(status))[0] == "INVALID", status
    for reason in ("", "   ", "x" * 2_001, "a\0b"):
        assert (await code("INVALID", reason))[0] == "INVALID"
    assert (await read(platform, "tom", submission))["status"] == "CANCELED"
    found = await done(platform, "root", "setSubmissionStatus", id=submission["id"], status="INVALID", reason="twice")
    assert (found["status"], found["reason"]["message"], found["charged"]) == ("INVALID", "twice", False)


async def test_the_author_that_an_organiser_names_stands_on_the_board(platform: Platform) -> None:
    of = await contest(platform)
    submission = await completed(platform, "tom", of, {"accuracy": 0.5}, authorLabel="Tom's own")
    assert await authors(platform, of) == ["Tom's own"]
    await done(platform, "root", "setAuthorLabel", id=submission["id"], label="The Toms")
    assert await authors(platform, of) == ["The Toms"]
    for label in ("", "x" * 256, "a\nb"):
        assert (await refused(platform, "root", "setAuthorLabel", id=submission["id"], label=label))[0] == "INVALID"
    await done(platform, "root", "setAuthorLabel", id=submission["id"])
    assert await authors(platform, of) == ["tom"]


async def test_a_submission_without_an_evaluator_is_given_one_and_evaluated(platform: Platform) -> None:
    of = await contest(platform)
    await set_row(platform, m.Challenge, of.challenge, evaluator_id=None)
    submission = await submitted(platform, "tom", of)
    assert (await refused(platform, "root", "evaluateSubmission", id=submission["id"]))[0] == "STATE"
    elsewhere = await contest(platform, label="other")
    set_ = "setSubmissionEvaluator"
    found = await refused(platform, "root", set_, id=submission["id"], evaluator=elsewhere.evaluator)
    assert found == ("INVALID", "the evaluator is of another challenge")
    own = await upserted(platform, "root", of.challenge, "second")
    found = await done(platform, "root", set_, id=submission["id"], evaluator=own)
    assert found["status"] == "NO_AUTO_EVAL"
    await done(platform, "root", "evaluateSubmission", id=submission["id"])
    assert (await refused(platform, "root", set_, id=submission["id"], evaluator=of.evaluator))[0] == "STATE"
    ((worker, _),) = await claimed(platform)
    await scored(platform, worker, {"accuracy": 0.5})
    assert await authors(platform, of) == ["tom"]
    query = "query($i:ID!){submission(id:$i){evaluation{evaluatorVersion{evaluator{id}}}}}"
    evaluation = (await platform.ask(query, "root", i=submission["id"]))["submission"]["evaluation"]
    assert evaluation["evaluatorVersion"]["evaluator"]["id"] == own


async def test_its_submitter_deletes_what_was_not_evaluated_and_an_organiser_the_rest(platform: Platform) -> None:
    of = await contest(platform)
    first, submission = await begun(platform, "tom", of), await completed(platform, "tom", of, {"accuracy": 0.5})
    assert await authors(platform, of) == ["tom"]
    await done(platform, "tom", "deleteSubmission", id=first["id"])
    assert await read(platform, "tom", first) is None
    code, message = await refused(platform, "tom", "deleteSubmission", id=submission["id"])
    assert (code, message) == ("STATE", "it was evaluated; ask an organiser")
    await done(platform, "root", "deleteSubmission", id=submission["id"])
    assert await authors(platform, of) == []
    assert await read(platform, "tom", submission) is None
    waits = await submitted(platform, "tom", of)
    assert (await refused(platform, "root", "deleteSubmission", id=waits["id"]))[0] == "STATE"
