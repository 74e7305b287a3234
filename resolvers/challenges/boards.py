"""Build leaderboards: rank what counts, store for each entry what each audience sees, and swap the pointer to the new
build in one transaction. Any number of processes may; one builds a leaderboard at a time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, moment_of, row_topic
from db.keys import among
from db.models import (
    Evaluation,
    ExternalEntry,
    Leaderboard,
    LeaderboardBuild,
    LeaderboardEntry,
    LeaderboardRequest,
    Submission,
    Team,
    User,
)
from db.types import now, uuid7
from db.written import because
from jobs.scores.columns import Column, read
from jobs.scores.ranking import Counting, Placed, Ranking, Run, ranking
from resolvers.access.policies.leaderboards import CHANGED
from resolvers.challenges import announcements, audiences
from resolvers.challenges.audiences import Sight
from resolvers.challenges.statuses import EVALUATED
from resolvers.context import Services
from resolvers.feed import board_topic

log = structlog.get_logger("torana.challenges")

KEPT = 20
"""The builds of a leaderboard that are kept."""
TOGETHER = 500
"""Entries that are stored by one statement."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may come onto a leaderboard, beside its run: who is named, and whose it is."""

    author: str | None
    external: bool
    submission: UUID | None = None
    user: UUID | None = None
    team: UUID | None = None


async def build_wanted(services: Services) -> int:
    """Build every leaderboard for which that was asked, or which shows something else by now; returns how many."""
    asked = sa.exists().where(LeaderboardRequest.leaderboard_id == Leaderboard.id)
    due = sa.and_(Leaderboard.due_at.is_not(None), Leaderboard.due_at <= now())
    wanted = sa.select(Leaderboard.id).where(sa.or_(asked, due)).order_by(Leaderboard.id)
    keys = [row.id for row in await services.database.rows(wanted)]
    built = 0
    for key in keys:
        async with services.database.write(as_system="leaderboards are built") as session:
            built += await build(session, key)
    return built


async def build(session: AsyncSession, key: UUID, reason: str = "") -> bool:
    """Build a leaderboard; False where another process does so at this moment, or it is gone."""
    held = sa.select(Leaderboard).where(Leaderboard.id == key).with_for_update(skip_locked=True)
    board = (await session.scalars(held.execution_options(populate_existing=True))).one_or_none()
    if board is None:
        return False
    because(session, "a leaderboard is built from what counts", Leaderboard, LeaderboardBuild, LeaderboardEntry)
    because(session, "a build answers the requests for it", LeaderboardRequest)
    asked = sa.select(LeaderboardRequest).where(LeaderboardRequest.leaderboard_id == key)
    requests = (await session.scalars(asked.order_by(LeaderboardRequest.id))).all()
    moment = await moment_of(session)
    runs, candidates = await _candidates(session, board)
    placed = _ranking(board).places(runs)
    made = LeaderboardBuild(
        id=uuid7(),
        leaderboard_id=key,
        number=await _next(session, key),
        reason=(reason or (requests[-1].reason if requests else "its time came"))[:255],
        entry_count=len(placed),
    )
    session.add(made)
    await session.flush()
    sight = Sight.of(board, moment)
    rows = [_row(made, one, candidates[one.run.key], sight) for one in placed]
    same = await _same(session, board.build_id, rows)
    for start in range(0, len(rows), TOGETHER):
        await session.execute(sa.insert(LeaderboardEntry), rows[start : start + TOGETHER])
    board.build_id, board.built_at, board.due_at = made.id, moment, audiences.due(board, moment)
    await session.flush()
    await session.execute(sa.delete(LeaderboardRequest).where(LeaderboardRequest.id.in_([one.id for one in requests])))
    await _forget_old(session, key, made.number)
    if not requests or any(one.reason == CHANGED for one in requests):
        await _show_owners(session, board)
    changed(session, board_topic(key), row_topic(Leaderboard, key))
    if not same:
        await announcements.of_build(session, board)
    log.info("challenges.built", board=board.label, build=made.number, entries=len(rows))
    return True


async def _next(session: AsyncSession, key: UUID) -> int:
    highest = sa.select(sa.func.max(LeaderboardBuild.number)).where(LeaderboardBuild.leaderboard_id == key)
    return (await session.scalar(highest) or 0) + 1


def _ranking(board: Leaderboard) -> Ranking:
    """How a leaderboard is ranked: by its column and ties; else by its sorting key, ascending."""
    counting = Counting(board.counting.value)
    if board.rank_by is None and board.sorting_key:
        return Ranking([Column("sorting-key", board.sorting_key)], counting)
    return ranking(read(board.columns), board.rank_by, board.ties, counting)


async def _candidates(session: AsyncSession, board: Leaderboard) -> tuple[list[Run], Mapping[Any, Candidate]]:
    """What came from outside, and unless it is archived the completed submissions with scores."""
    runs: list[Run] = []
    found: dict[UUID, Candidate] = {}
    outside = sa.select(ExternalEntry).where(ExternalEntry.leaderboard_id == board.id)
    for n, entry in enumerate(await session.scalars(outside.order_by(ExternalEntry.created_at, ExternalEntry.id))):
        runs.append(Run(entry.id, entry.data, baseline=entry.baseline, order=(0, n)))
        found[entry.id] = Candidate(entry.author_label, True)
    if board.archived:
        return runs, found
    author = sa.func.coalesce(Submission.author_label, Team.name, User.username).label("author")
    wanted = (
        sa.select(Submission.id, Submission.user_id, Submission.team_id, Submission.chosen, Submission.submitted_at,
                  Submission.created_at, author, Evaluation.scores)
        .join(Evaluation, Evaluation.id == Submission.evaluation_id)
        .join(User, User.id == Submission.user_id)
        .outerjoin(Team, Team.id == Submission.team_id)
        .where(
            Submission.challenge_id == board.challenge_id,
            Submission.status.in_(EVALUATED),
            Submission.has_scores,
            Submission.deleted_at.is_(None),
        )
    )  # fmt: skip
    if board.phase_id is not None:
        wanted = wanted.where(Submission.phase_id == board.phase_id)
    for row in await session.execute(wanted.order_by(Submission.created_at, Submission.id)):
        at = row.submitted_at or row.created_at
        submitter = ("team", row.team_id) if row.team_id else ("user", row.user_id)
        runs.append(Run(row.id, row.scores or {}, submitter, at, row.chosen, order=(1, at, str(row.id))))
        found[row.id] = Candidate(row.author, False, row.id, row.user_id, row.team_id)
    return runs, found


def _row(made: LeaderboardBuild, placed: Placed, candidate: Candidate, sight: Sight) -> dict[str, Any]:
    scores = placed.run.scores
    author = candidate.author
    shown = sight.shown(scores, author, named=candidate.external)
    return {
        "id": uuid7(),
        "leaderboard_id": made.leaderboard_id,
        "build_id": made.id,
        "position": placed.place,
        "rank": placed.rank,
        "data": shown.everyone,
        "owner_data": shown.owner,
        "organiser_data": shown.organisers,
        "author_label": shown.label,
        "organiser_label": shown.own_label,
        "external": candidate.external,
        "baseline": placed.run.baseline,
        "submission_id": candidate.submission,
        "user_id": candidate.user,
        "team_id": candidate.team,
        "version": 1,
    }


_SHOWN = ("position", "rank", "author_label", "data")


async def _same(session: AsyncSession, build: UUID | None, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether everyone would see the same as in an earlier build."""
    if build is None:
        return not rows
    wanted = sa.select(*(getattr(LeaderboardEntry, name) for name in _SHOWN)).where(LeaderboardEntry.build_id == build)
    before = [_text(tuple(row)) for row in await session.execute(wanted.order_by(LeaderboardEntry.position))]
    return before == [_text([row[name] for name in _SHOWN]) for row in rows]


def _text(values: Iterable[Any]) -> bytes:
    return orjson.dumps(list(values), option=orjson.OPT_SORT_KEYS)


async def _forget_old(session: AsyncSession, key: UUID, number: int) -> None:
    old = sa.delete(LeaderboardBuild).where(
        LeaderboardBuild.leaderboard_id == key, LeaderboardBuild.number <= number - KEPT
    )
    await session.execute(old.execution_options(synchronize_session=False))


async def _show_owners(session: AsyncSession, board: Leaderboard) -> None:
    """Store anew what submitters see of their scores, where the columns of the challenge now show something else."""
    because(session, "submitters see of their scores what columns show them", Evaluation)
    sights = await audiences.sights(session, board.challenge_id)
    wanted = sa.select(Evaluation.id, Evaluation.scores, Evaluation.owner_scores).where(
        Evaluation.challenge_id == board.challenge_id, Evaluation.ended_at.is_not(None)
    )
    for keys in _batches(
        {
            row.id: seen
            for row in await session.execute(wanted)
            if row.scores is not None and (seen := audiences.seen(row.scores, sights)) != row.owner_scores
        }
    ):
        held = sa.select(Evaluation.id).where(among(Evaluation.id, "keys", list(keys))).order_by(Evaluation.id)
        there = (await session.scalars(held.with_for_update())).all()
        table: Any = Evaluation.__table__
        changes = {"owner_scores": sa.bindparam("seen"), "version": table.c.version + 1, "updated_at": now()}
        shown = sa.update(table).where(table.c.id == sa.bindparam("key")).values(changes)
        await session.execute(shown, [{"key": key, "seen": keys[key]} for key in there])


def _batches(found: Mapping[UUID, Any]) -> Iterator[Mapping[UUID, Any]]:
    keys = sorted(found)
    for start in range(0, len(keys), TOGETHER):
        yield {key: found[key] for key in keys[start : start + TOGETHER]}
