"""Bring the rows of challenges, leaderboards and external entries in line with what an archive has.

Each step is a transaction, and each can be done again: what is there already is left alone, so an import that was
killed goes on where it was. What organisers changed since stays as they want it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.locks import referred_held
from db.models import Challenge, ExternalEntry, Leaderboard, LeaderboardRequest
from db.types import uuid7
from resolvers.access.policy import policy_of
from resolvers.challenges import boards
from resolvers.context import Context
from resolvers.failures import Failure, Forbidden
from resolvers.importing.challenges import Described
from resolvers.importing.columns import Chosen, choose
from resolvers.importing.entries import Entry
from resolvers.importing.report import BoardReport, Count, Report
from resolvers.importing.zerospeech import Board, Plan
from resolvers.writing import crud
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.row_events import conclude
from resolvers.writing.rows import locked, refer, require, seen, stored

TOGETHER = 200
"""The entries that are written by one transaction."""
_TOLD = ("data", "author_label", "baseline")


async def bring(ctx: Context, plan: Plan, report: Report) -> None:
    """Bring the rows in line with a plan; a dry run writes nothing, and counts the same."""
    if not ctx.principal.superadmin:
        raise Forbidden("only superadmins may import archives")
    for described in plan.challenges.values():
        try:
            key = await _challenge(ctx, described, report)
        except Failure as failure:
            report.problem(described.source, f"the challenge {described.label}: {failure.message}")
            continue
        for board in plan.boards.values():
            if board.challenge == described.label:
                try:
                    await _Bringing(ctx, board, report).bring(key)
                except Failure as failure:
                    report.problem(board.source, f"the leaderboard {board.label}: {failure.message}")


async def _challenge(ctx: Context, described: Described, report: Report) -> UUID | None:
    """The key of a challenge, made where there is none; None in a dry run that would make it."""
    label, count = described.label, report.counts["challenges"]
    found = await ctx.database.rows(sa.select(Challenge).where(Challenge.label == label))
    row: Any = found[0] if found else None
    if row is not None:
        given = {name: value for name, value in described.stated.items() if getattr(row, name) != value}
        key: UUID = row.id
        if not given:
            count.same += 1
        elif row.version > 1 or row.site_id is not None or row.organisers_id is not None:
            names = ", ".join(sorted(given))
            report.note(described.source, f"the challenge {label} stays as it was changed here: {names} differ")
            count.same += 1
        else:
            if not report.dry_run:
                await crud.update(ctx, Challenge, key, row.version, given)
            count.changed += 1
        return key
    values = {"start_date": datetime.now(UTC).date(), **described.guessed, **described.stated}
    if "start_date" not in {**described.guessed, **described.stated}:
        report.note(described.source, f"the challenge {label} begins today: no day and no year is told")
    if values["active"] and (values.get("end_date") is None or values["end_date"] >= datetime.now(UTC).date()):
        report.note(described.source, f"the challenge {label} is active, and takes submissions")
    count.made += 1
    return None if report.dry_run else await crud.create(ctx, Challenge, {"label": label, **values})


class _Bringing:
    """One leaderboard, brought in line."""

    def __init__(self, ctx: Context, board: Board, report: Report) -> None:
        self.ctx, self.board, self.report = ctx, board, report
        self.waits = False
        self.chosen = Chosen() if board.settings.get("sorting_key") else choose(one.data for one in board.entries)
        self.told = BoardReport(
            board.label,
            board.source,
            Count(),
            sum(one.baseline for one in board.entries),
            self.chosen.rank_by or board.settings.get("sorting_key"),
            len(self.chosen.columns),
            self.chosen.scores,
        )

    async def bring(self, challenge: UUID | None) -> None:
        report, counts = self.report, self.report.counts
        row = await self._row()
        if row is not None and (refused := self._refused(row, challenge)):
            report.problem(self.board.source, f"{refused}; its {len(self.board.entries)} entries are left out")
            return
        report.boards.append(self.told)
        key = None if row is None else row.id
        known = {} if key is None else await self._known(key)
        if row is None:
            counts["leaderboards"].made += 1
            if challenge is not None:
                given = {"challenge_id": challenge, "label": self.board.label, **self.board.settings, **self._ranking()}
                key = await crud.create(self.ctx, Leaderboard, given)
        elif self._columns_differ(row, known):
            counts["leaderboards"].changed += 1
            self.waits = True
            if not report.dry_run:
                await crud.update(self.ctx, Leaderboard, row.id, row.version, self._ranking())
        else:
            counts["leaderboards"].same += 1
        await self._entries(key, known)
        await self._build(key, row)

    async def _row(self) -> Any:
        found = await self.ctx.database.rows(sa.select(Leaderboard).where(Leaderboard.label == self.board.label))
        return found[0] if found else None

    def _refused(self, row: Any, challenge: UUID | None) -> str | None:
        if row.challenge_id != challenge:
            return f"another challenge has the leaderboard {self.board.label}"
        if self.board.settings["archived"] and not row.archived:
            return f"the leaderboard {self.board.label} takes submissions: it is no archive"
        return None

    async def _known(self, key: UUID) -> dict[str, Any]:
        """The entries that the leaderboard has, by their keys."""
        wanted = sa.select(
            ExternalEntry.id, ExternalEntry.key, ExternalEntry.version, *(getattr(ExternalEntry, n) for n in _TOLD)
        ).where(ExternalEntry.leaderboard_id == key)
        order = wanted.order_by(ExternalEntry.created_at, ExternalEntry.id)
        return {row.key: row for row in await self.ctx.database.rows(order)}

    def _ranking(self) -> dict[str, Any]:
        chosen = self.chosen
        return {"columns": list(chosen.columns), "rank_by": chosen.rank_by, "ties": list(chosen.ties)}

    def _columns_differ(self, row: Any, known: Mapping[str, Any]) -> bool:
        """Whether other columns are due. Those that somebody else gave it stay: they are not what was chosen for the
        entries that it has."""
        present = {name: getattr(row, name) for name in ("columns", "rank_by", "ties")}
        if row.sorting_key or _same(present, self._ranking()):
            return False
        before = choose(one.data for one in known.values())
        return _same(present, {"columns": list(before.columns), "rank_by": before.rank_by, "ties": list(before.ties)})

    async def _entries(self, key: UUID | None, known: Mapping[str, Any]) -> None:
        """Write what is new or differs, in batches; where one is refused, each of its entries by itself."""
        differing = [one for one in self.board.entries if not _alike(one, known.get(one.key))]
        self._count("same", len(self.board.entries) - len(differing))
        for batch in _batches(differing):
            if key is None or self.report.dry_run:
                self._count_written(batch, known)
                continue
            try:
                await self._write(key, batch, known)
            except Forbidden:
                raise
            except Failure:
                for one in batch:
                    await self._write_alone(key, one, known)
            else:
                self._count_written(batch, known)

    async def _write_alone(self, key: UUID, one: Entry, known: Mapping[str, Any]) -> None:
        try:
            await self._write(key, [one], known)
        except Failure as failure:
            self.report.problem(f"{self.board.source}: {one.key}", failure.message)
        else:
            self._count_written([one], known)

    async def _write(self, key: UUID, batch: Sequence[Entry], known: Mapping[str, Any]) -> None:
        ctx, given = self.ctx, {"leaderboard_id": key}
        async with writing(ctx, "IMPORT", ExternalEntry) as session:
            await referred_held(session, ExternalEntry, given)
            await refer(session, ctx, ExternalEntry, given)
            concluded: list[tuple[ExternalEntry, Mapping[str, Any], bool]] = []
            there = {known[one.key].id: one for one in batch if one.key in known}
            for id in sorted(there):
                concluded.append((*await _changed(session, ctx, id, there[id]), False))
            for one in batch:
                if one.key not in known:
                    values = {**given, "key": one.key, **_values(one)}
                    row = ExternalEntry(id=uuid7(), **values)
                    session.add(row)
                    concluded.append((row, values, True))
            await stored(session, ExternalEntry)
            policy = policy_of(ExternalEntry)
            for row, before, new in concluded:
                await require(session, ctx, row, policy.create if new else policy.update, "import")
                await conclude(session, ctx, row, before, new=new)

    async def _build(self, key: UUID | None, row: Any) -> None:
        """Build it, where anything changed, or a build is still asked for."""
        told, report = self.told.entries, self.report
        waits = self.waits or row is None or row.build_id is None or told.made or told.changed
        if key is not None and not waits:
            asked = sa.select(LeaderboardRequest.id).where(LeaderboardRequest.leaderboard_id == key).limit(1)
            waits = bool(await self.ctx.database.rows(asked))
        self.told.built = bool(waits)
        if key is None or not waits or report.dry_run:
            return
        async with writing(self.ctx, "IMPORT", Leaderboard, key) as session:
            board = await seen(session, self.ctx, Leaderboard, key)
            await require(session, self.ctx, board, policy_of(Leaderboard).update, "build")
            self.told.built = await boards.build(session, key, "an archive was imported")
            record(session, self.ctx, "IMPORT", "Leaderboard", key, made=told.made, changed=told.changed)

    def _count(self, what: str, number: int) -> None:
        for count in (self.told.entries, self.report.counts["entries"]):
            setattr(count, what, getattr(count, what) + number)

    def _count_written(self, batch: Sequence[Entry], known: Mapping[str, Any]) -> None:
        changed = sum(one.key in known for one in batch)
        self._count("changed", changed)
        self._count("made", len(batch) - changed)


async def _changed(
    session: AsyncSession, ctx: Context, id: UUID, one: Entry
) -> tuple[ExternalEntry, Mapping[str, Any]]:
    row = await locked(session, ctx, ExternalEntry, id)
    await require(session, ctx, row, policy_of(ExternalEntry).update, "import")
    before = {name: getattr(row, name) for name in _TOLD}
    for name, value in _values(one).items():
        setattr(row, name, value)
    return row, before


def _values(one: Entry) -> dict[str, Any]:
    return {"data": one.data, "author_label": one.author, "baseline": one.baseline}


def _alike(one: Entry, row: Any) -> bool:
    return row is not None and _same(_values(one), {name: getattr(row, name) for name in _TOLD})


def _same(one: object, other: object) -> bool:
    """Whether two values are one as JSON: Python takes 1 and true for equal."""
    return orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(other, option=orjson.OPT_SORT_KEYS)


def _batches(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    for start in range(0, len(entries), TOGETHER):
        yield entries[start : start + TOGETHER]
