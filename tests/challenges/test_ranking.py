"""Places and ranks of leaderboards, against an oracle that compares every pair of runs."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from db import models as m
from db.types import uuid7
from jobs.scores.columns import Column
from jobs.scores.ranking import Counting, Placed, Ranking, Run
from resolvers.challenges.boards import build_wanted
from tests.support.contests import ENTRIES, Contest, contest, done, entries, key_of
from tests.support.platforms import Platform

ON_SQLITE = True
START = datetime(2026, 1, 1, tzinfo=UTC)
BY = (Column("a", "a", descending=True), Column("b", "inner.b"), Column("c", "c", descending=True))


# The oracle ---------------------------------------------------------------------------------------------------------


def numbers(run: Run, by: Iterable[Column]) -> list[float | None]:
    """The finite numbers that a run is ranked by; None for anything else."""
    found: list[float | None] = []
    for column in by:
        value: Any = run.scores
        for word in column.path.split("."):
            value = value.get(word) if isinstance(value, dict) else None
        good = type(value) in (int, float) and (type(value) is int or math.isfinite(value)) and abs(value) < 10**300
        found.append(value if good else None)
    return found


def better(one: Run, other: Run, by: Iterable[Column]) -> bool | None:
    """Whether one is before the other by its numbers; None where they are equal."""
    columns = list(by)
    for column, mine, theirs in zip(columns, numbers(one, columns), numbers(other, columns), strict=True):
        if mine == theirs:
            continue
        if mine is None or theirs is None:
            return theirs is None
        return mine > theirs if column.descending else mine < theirs
    return None


def before(one: Run, other: Run, by: Iterable[Column]) -> bool:
    found = better(one, other, by)
    if found is not None:
        return found
    return (one.baseline, one.order) < (other.baseline, other.order)


def counted(runs: list[Run], by: tuple[Column, ...], counting: Counting) -> list[Run]:
    def counts(run: Run) -> bool:
        if run.submitter is None or counting is Counting.ALL:
            return True
        if counting is Counting.CHOSEN:
            return run.chosen
        others = [one for one in runs if one.submitter == run.submitter and one is not run]
        if counting is Counting.LATEST:
            return not any((one.at, one.order) > (run.at, run.order) for one in others)
        return not any(before(one, run, by) for one in others)

    return [run for run in runs if counts(run)]


def expected(runs: list[Run], by: tuple[Column, ...], counting: Counting) -> list[tuple[Any, int, int | None]]:
    """The key, place and rank of each run that counts."""
    these = counted(runs, by, counting)

    def ranked(run: Run) -> bool:
        return not run.baseline and (not by or numbers(run, by)[0] is not None)

    def rank(run: Run) -> int | None:
        ahead = [one for one in these if ranked(one) and (better(one, run, by) if by else before(one, run, by))]
        return 1 + len(ahead) if ranked(run) else None

    found = [(run.key, 1 + sum(before(one, run, by) for one in these), rank(run)) for run in these]
    return sorted(found, key=lambda one: one[1])


def told(placed: list[Placed]) -> list[tuple[Any, int, int | None]]:
    return [(one.run.key, one.place, one.rank) for one in placed]


# Against it ---------------------------------------------------------------------------------------------------------

_few = st.sampled_from([0, 1, 2, 1.0, 0.5, -0.0, -3])
_odd = st.sampled_from([None, math.nan, math.inf, -math.inf, "1", True, [], {}, 10**400])
_value = st.one_of(_few, _few, _odd)
_scores = st.one_of(
    st.fixed_dictionaries({"a": _value, "inner": st.fixed_dictionaries({"b": _value}), "c": _value}),
    st.fixed_dictionaries({}, optional={"a": _value, "inner": _value}),
)
_run = st.tuples(_scores, st.sampled_from([None, "x", "y", "z"]), st.integers(0, 3), st.booleans(), st.booleans())


@settings(max_examples=400, deadline=None)
@given(
    runs=st.lists(_run, max_size=9), width=st.integers(0, 3), counting=st.sampled_from(Counting), turned=st.booleans()
)
def test_places_and_ranks_are_those_of_the_oracle(runs: Any, width: int, counting: Counting, turned: bool) -> None:
    made = [
        Run(n, scores, submitter, START + timedelta(hours=hour), chosen, baseline and submitter is None, (n % 4, n))
        for n, (scores, submitter, hour, chosen, baseline) in enumerate(runs)
    ]
    by = BY[:width]
    given = made[::-1] if turned else made
    assert told(Ranking(by, counting).places(given)) == expected(made, by, counting)


@pytest.mark.parametrize(
    ("values", "ranks"),
    [
        ([3, 3, 2], [1, 1, 3]),
        ([3, 2, 2, 2, 1], [1, 2, 2, 2, 5]),
        ([1, 1.0, True, "1"], [1, 1, None, None]),
        ([1, math.nan, math.inf, -math.inf, None], [1, None, None, None, None]),
        ([], []),
    ],
)
def test_equal_runs_share_a_rank_and_the_next_has_that_of_its_place(values: Any, ranks: Any) -> None:
    runs = [Run(n, {"a": value}, n, order=(n,)) for n, value in enumerate(values)]
    assert [one.rank for one in Ranking(BY[:1]).places(runs)] == ranks


def test_a_baseline_has_a_place_and_no_rank_and_takes_none_from_others() -> None:
    runs = [Run("first", {"a": 3}), Run("chance", {"a": 2}, baseline=True), Run("second", {"a": 1})]
    assert told(Ranking(BY[:1]).places(runs)) == [("first", 1, 1), ("chance", 2, None), ("second", 3, 2)]


# A board that is built ----------------------------------------------------------------------------------------------

SCORES: tuple[Any, ...] = (0.5, 0.5, 0.75, 1, 0, None, "much", 0.25)


async def fill(platform: Platform, of: Contest, number: int = 60) -> list[Run]:
    """Completed submissions of several people and two teams; the runs that they are."""
    random, world, runs = Random(7), platform.world, []
    challenge, phase = key_of(of.challenge), key_of(of.phase)
    people = [world.root, world.maria, world.tom, world.eve]
    async with platform.services.database.write(as_system="test") as session:
        teams = [m.Team(id=uuid7(), challenge_id=challenge, name=f"team {n}") for n in range(2)]
        session.add_all(teams)
        version = (await session.get_one(m.Evaluator, key_of(of.evaluator))).current_version_id
        await session.flush()
        for n in range(number):
            user, team = random.choice(people), random.choice([None, None, *teams])
            at = START + timedelta(hours=random.randrange(20))
            scores = {"accuracy": random.choice(SCORES), "cost": {"seconds": random.choice([1, 2, None])}}
            submission = m.Submission(
                id=uuid7(), public_id=f"s{n}", challenge_id=challenge, phase_id=phase, user_id=user,
                team_id=team and team.id, status=m.SubmissionStatus.COMPLETED, has_scores=True, submitted_at=at,
                chosen=random.random() < 0.3,
            )  # fmt: skip
            session.add(submission)
            await session.flush()
            evaluation = m.Evaluation(id=uuid7(), submission_id=submission.id, challenge_id=challenge, number=1,
                                      evaluator_version_id=version, scores=scores, owner_scores=scores)  # fmt: skip
            session.add(evaluation)
            await session.flush()
            submission.evaluation_id = evaluation.id
            runs.append(
                Run(
                    submission.id,
                    scores,
                    team.id if team else user,
                    at,
                    submission.chosen,
                    order=(1, at, str(submission.id)),
                )
            )
    return runs


COUNTED = (Column("accuracy", "accuracy", descending=True), Column("seconds", "cost.seconds"))


@pytest.mark.both
@pytest.mark.parametrize("counting", Counting)
async def test_a_built_board_shows_the_runs_that_count_where_the_oracle_places_them(
    platform: Platform, counting: Counting
) -> None:
    of = await contest(platform, board={"counting": counting.value})
    runs = await fill(platform, of)
    outside = []
    for n, (accuracy, baseline) in enumerate([(0.5, False), (0.75, True), (2, False)]):
        given = {"leaderboard": of.board, "key": f"e{n}", "data": {"accuracy": accuracy}, "baseline": baseline}
        await done(platform, "root", "createExternalEntry", input=given)
        outside.append(Run(f"e{n}", {"accuracy": accuracy}, baseline=baseline, order=(0, n)))
    await build_wanted(platform.services)
    rows = await platform.services.database.rows(
        sa.select(m.LeaderboardEntry.submission_id, m.LeaderboardEntry.position, m.LeaderboardEntry.rank,
                  m.LeaderboardEntry.organiser_data)
        .join(m.Leaderboard, m.Leaderboard.build_id == m.LeaderboardEntry.build_id)
        .where(m.Leaderboard.id == key_of(of.board)).order_by(m.LeaderboardEntry.position)
    )  # fmt: skip
    names = {run.scores["accuracy"]: run.key for run in outside}
    found = [(row[0] or names[row[3]["accuracy"]], row[1], row[2]) for row in rows]
    assert found == expected(runs + outside, COUNTED, counting)
    shown = await entries(platform, "eve", of)
    assert [(one["place"], one["rank"]) for one in shown] == [one[1:] for one in found]


@pytest.mark.filterwarnings("ignore:SELECT statement has a cartesian product")  # SQLAlchemy misses joins in a LATERAL
@pytest.mark.both
async def test_pages_by_cursors_are_the_whole_list_and_a_cursor_of_an_earlier_build_is_a_conflict(
    platform: Platform,
) -> None:
    of = await contest(platform)
    await fill(platform, of)
    await build_wanted(platform.services)
    whole, pages, after = await entries(platform, "eve", of), [], None
    while True:
        page = (await platform.ask(ENTRIES, "eve", i=of.board, n=7, a=after))["leaderboard"]["entries"]
        pages += page["nodes"]
        first = after or page["pageInfo"]["endCursor"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert len(whole) == 60
    assert pages == whole
    await done(platform, "root", "rebuildLeaderboard", id=of.board)
    assert await platform.refused(ENTRIES, "eve", i=of.board, n=7, a=first) == ["CONFLICT"]
    assert await entries(platform, "eve", of) == whole, "the same once more"
