"""All submissions of a phase, evaluated again with a new version of the evaluator: after new ones, and counted together."""

from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa

from db import models as m
from resolvers.identity.principal import Principal
from resolvers.work.finishing import merge_ready
from tests.support.contests import (
    Contest,
    answer,
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
    submitted,
    upserted,
)
from tests.support.platforms import Platform
from tests.support.work import REPORT, RESULTS

ON_SQLITE = True
PEOPLE = ("tom", "maria", "eve")
REEVALUATION = "query($i:ID!){reevaluation(id:$i){state total failed endedAt evaluatorVersion{number}}}"
BUILDS = (
    """query($i:ID!){leaderboard(id:$i){builds(first:20){nodes{number entries(first:9){nodes{authorLabel data}}}}}}"""
)
FIRST = {"tom": 0.1, "maria": 0.2, "eve": 0.3}
SECOND = {"tom": 0.9, "maria": 0.8, "eve": 0.7}


async def evaluated(platform: Platform) -> tuple[Contest, dict[str, Any]]:
    """A contest with a submission of each, evaluated by the first version; there is a second one."""
    of = await contest(platform)
    made = {name: await completed(platform, name, of, {"accuracy": FIRST[name]}) for name in PEOPLE}
    await passed(platform)
    await upserted(platform, "root", of.challenge, changes={"arguments": ["--seed", "1"]})
    return of, made


async def accuracies(platform: Platform, of: Contest) -> dict[str, float]:
    return {one["authorLabel"]: one["data"]["accuracy"] for one in await entries(platform, "root", of)}


async def begun(platform: Platform, of: Contest) -> Any:
    return await done(platform, "root", "reevaluate", phase=of.phase)


async def told(platform: Platform, reevaluation: Any) -> Any:
    return (await platform.ask(REEVALUATION, "root", i=reevaluation["id"]))["reevaluation"]


def by_name(found: list[tuple[Principal, str]], made: Mapping[str, Any]) -> dict[str, Principal]:
    names = {one["id"]: name for name, one in made.items()}
    return {names[id]: worker for worker, id in found}


@pytest.mark.both
async def test_new_submissions_are_evaluated_first_and_the_board_switches_when_all_are_done(platform: Platform) -> None:
    of, made = await evaluated(platform)
    reevaluation = await begun(platform, of)
    assert (reevaluation["state"], reevaluation["total"]) == ("RUNNING", 3)
    new = await submitted(platform, "mona", of)
    ((worker, first),) = await claimed(platform, 1)
    assert first == new["id"], "it came last and goes first"
    await scored(platform, worker, {"accuracy": 0.5})
    await passed(platform)
    assert await accuracies(platform, of) == {**FIRST, "mona": 0.5}, "it is not held up"
    workers = by_name(await claimed(platform), made)
    assert sorted(workers) == sorted(PEOPLE)
    for n, name in enumerate(PEOPLE, 1):
        await passed(platform)
        assert await accuracies(platform, of) == {**FIRST, "mona": 0.5}
        found = await read(platform, name, made[name])
        assert (found["status"], found["evaluation"]["number"]) == ("COMPLETED", 1)
        await scored(platform, workers[name], {"accuracy": SECOND[name]})
        assert (await told(platform, reevaluation))["state"] == "RUNNING", n
    await passed(platform)
    assert await accuracies(platform, of) == {**SECOND, "mona": 0.5}
    found = await told(platform, reevaluation)
    assert (found["state"], found["failed"], found["evaluatorVersion"]["number"]) == ("DONE", 0, 2)
    builds = (await platform.ask(BUILDS, "root", i=of.board))["leaderboard"]["builds"]["nodes"]
    for build in builds:
        rows = {one["authorLabel"]: one["data"]["accuracy"] for one in build["entries"]["nodes"]}
        assert rows.items() <= {**FIRST, "mona": 0.5}.items() or rows.items() <= {**SECOND, "mona": 0.5}.items()
    for name in PEOPLE:
        found = await read(platform, name, made[name])
        assert (found["evaluation"]["number"], found["evaluation"]["scores"]) == (2, {"accuracy": SECOND[name]})
        assert [step["status"] for step in found["history"]][-1] == "COMPLETED"


@pytest.mark.both
async def test_what_fails_the_second_time_keeps_its_scores_and_is_counted(platform: Platform) -> None:
    of, made = await evaluated(platform)
    reevaluation = await begun(platform, of)
    workers = by_name(await claimed(platform), made)
    await platform.ask(REPORT, workers["tom"], e="PROGRAM_FAILED: the evaluator ended with exit status 1")
    for name in ("maria", "eve"):
        await scored(platform, workers[name], {"accuracy": SECOND[name]})
    await passed(platform)
    assert await accuracies(platform, of) == {**SECOND, "tom": FIRST["tom"]}
    found = await told(platform, reevaluation)
    assert (found["state"], found["total"], found["failed"]) == ("DONE", 3, 1)
    kept = await read(platform, "tom", made["tom"])
    assert (kept["status"], kept["reason"], kept["charged"]) == ("COMPLETED", None, True)


@pytest.mark.both
async def test_cancelling_keeps_all_scores_and_leaves_no_job(platform: Platform) -> None:
    of, made = await evaluated(platform)
    reevaluation = await begun(platform, of)
    ((worker, id),) = await claimed(platform, 1)
    await scored(platform, worker, {"accuracy": 1.0})
    ((running, other),) = await claimed(platform, 1)
    assert other != id
    found = await done(platform, "root", "cancelReevaluation", id=reevaluation["id"])
    assert found["state"] == "CANCELED"
    assert await platform.refused(RESULTS, running, e={"accuracy": 1.0}) == ["STATE"]
    assert await claimed(platform) == []
    await passed(platform)
    assert await accuracies(platform, of) == FIRST
    open_ = sa.select(m.Evaluation.id).where(m.Evaluation.ended_at.is_(None))
    assert list(await platform.services.database.rows(open_)) == []
    live = sa.select(m.Job.id).where(m.Job.evaluation_id.is_not(None), m.Job.state.not_in(m.TERMINAL))
    assert list(await platform.services.database.rows(live)) == []
    for name in PEOPLE:
        found = await read(platform, name, made[name])
        assert (found["status"], found["evaluation"]["number"]) == ("COMPLETED", 1)
    assert (await refused(platform, "root", "cancelReevaluation", id=reevaluation["id"]))[0] == "STATE"
    assert (await begun(platform, of))["total"] == 3, "it may begin anew"


async def test_one_runs_at_a_time_and_only_where_a_version_is_new(platform: Platform) -> None:
    of = await contest(platform)
    await completed(platform, "tom", of, {"accuracy": 0.5})
    nothing = ("STATE", "no submission of this phase has scores of an earlier version")
    assert await refused(platform, "root", "reevaluate", phase=of.phase) == nothing
    await upserted(platform, "root", of.challenge, changes={"arguments": ["--seed", "1"]})
    assert (await refused(platform, "tom", "reevaluate", phase=of.phase))[0] == "FORBIDDEN"
    await begun(platform, of)
    again = await refused(platform, "root", "reevaluate", phase=of.phase)
    assert again == ("STATE", "the phase is being evaluated again")
    ((worker, _),) = await claimed(platform)
    await scored(platform, worker, {"accuracy": 0.6})
    await passed(platform)
    assert await refused(platform, "root", "reevaluate", phase=of.phase) == nothing


async def test_of_what_was_excluded_or_deleted_meanwhile_nothing_comes_onto_the_board(platform: Platform) -> None:
    of, made = await evaluated(platform)
    await begun(platform, of)
    await done(platform, "root", "excludeSubmission", id=made["tom"]["id"], reason="unfair")
    await done(platform, "root", "deleteSubmission", id=made["maria"]["id"])
    workers = by_name(await claimed(platform), made)
    for name, worker in workers.items():
        await answered(platform, worker, SECOND[name])
    await passed(platform)
    await passed(platform)
    assert await accuracies(platform, of) == {"eve": SECOND["eve"]}
    running = sa.select(m.Reevaluation.id).where(m.Reevaluation.state == m.ReevaluationState.RUNNING)
    assert list(await platform.services.database.rows(running)) == []
    found = await done(platform, "root", "setSubmissionStatus", id=made["tom"]["id"], status="COMPLETED", reason="fair")
    assert found["evaluation"]["scores"] == {"accuracy": SECOND["tom"]}


async def answered(platform: Platform, worker: Principal, accuracy: float) -> None:
    """Deliver scores, or be told that they are not wanted any more."""
    found = await platform.answer(RESULTS, worker, e={"accuracy": accuracy})
    assert set(found.codes) <= {"STATE"}, found.body
    await merge_ready(platform.services)


async def test_a_submission_that_is_being_evaluated_again_is_not_evaluated_twice_at_once(platform: Platform) -> None:
    of, made = await evaluated(platform)
    await begun(platform, of)
    found = await answer(platform, "root", "evaluateSubmission", id=made["tom"]["id"])
    assert (found["code"], found["message"]) == ("STATE", "an evaluation of it is under way")
    assert (await read(platform, "tom", made["tom"]))["status"] == "COMPLETED"
    wanted = sa.select(sa.func.count()).select_from(m.Evaluation)
    mine = m.Evaluation.submission_id == key_of(made["tom"]["id"])
    ((number,),) = await platform.services.database.rows(wanted.where(mine))
    assert number == 2
