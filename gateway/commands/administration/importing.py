"""torana import: archives of other platforms become rows of this one."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import sqlalchemy as sa
import typer

from db.models import ExternalEntry, Leaderboard
from gateway.commands.administration.asking import Asking, refusal_of
from gateway.commands.administration.commands import As, Json, group
from gateway.commands.tables import columns, plain
from gateway.commands.terminal import WRONG, check_migrated, fail, opened, told
from gateway.protocol.server import set_up_logs
from gateway.settings import Settings, load
from resolvers.context import Context
from resolvers.documents import Unreadable, content
from resolvers.failures import Failure
from resolvers.importing import rows, zerospeech
from resolvers.importing.report import Remark, Report, shown
from resolvers.importing.zerospeech import Board, Plan

imports = group("import", "Archives of other platforms.")


@imports.callback()
def _group() -> None:
    """Archives of other platforms."""


@imports.command("zerospeech")
def import_zerospeech(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="An archive, which has a folder entries; or the folder above several, with challenges.json.",
        ),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be done, and write nothing.")] = False,
    show: Annotated[int, typer.Option("--show", min=0, max=100, help="Print so many entries beside their files.")] = 0,
    as_: As = None,
    json: Json = False,
) -> None:
    """Import leaderboards of ZeroSpeech with all their entries. A second run changes nothing, and one that was killed
    goes on. Ends with 1 when something could not be read."""
    with told(WRONG):
        settings = load()
        set_up_logs(settings.server.log_format, logging.WARNING)
        check_migrated(settings)
        report, beside = asyncio.run(_import(settings, folder, Report(dry_run=dry_run), show, as_))
    typer.echo(_json(report, beside) if json else _text(report, beside))
    raise SystemExit(WRONG if report.problems else 0)


Beside = Sequence[tuple[str, str, Any]]
"""Entries beside their files: where one stands, the text of the file, and what is stored."""


async def _import(
    settings: Settings, folder: Path, report: Report, show: int, as_: str | None
) -> tuple[Report, Beside]:
    async with opened(settings) as services:
        try:
            ask = Asking.of(settings, services, "torana import zerospeech")
            ask = ask if as_ is None else await ask.as_user(as_)
            plan = await asyncio.to_thread(zerospeech.read, folder, report)
            await rows.bring(ask.context, plan, report)
            return report, await _beside(ask.context, folder, plan, show)
        except Failure as failure:
            fail(str(refusal_of(failure)), WRONG)


async def _beside(ctx: Context, folder: Path, plan: Plan, most: int) -> Beside:
    """The first entry of each leaderboard, then the second ones, up to so many."""
    boards = list(plan.boards.values())
    longest = max((len(board.entries) for board in boards), default=0)
    chosen = [(board, n) for n in range(longest if most else 0) for board in boards if n < len(board.entries)]
    return [await _one(ctx, folder, board, n) for board, n in chosen[:most]]


async def _one(ctx: Context, folder: Path, board: Board, n: int) -> tuple[str, str, Any]:
    one = board.entries[n]
    stored = await ctx.database.rows(
        sa.select(ExternalEntry.author_label, ExternalEntry.baseline, ExternalEntry.data)
        .join(Leaderboard, Leaderboard.id == ExternalEntry.leaderboard_id)
        .where(Leaderboard.label == board.label, ExternalEntry.key == one.key)
    )
    try:
        text = content(folder, folder / one.file).decode("utf-8", "replace")
    except Unreadable as error:
        text = str(error)
    return f"{board.label}: {one.key}", text, dict(stored[0]._mapping) if stored else None


def _json(report: Report, beside: Beside) -> str:
    data = report.data()
    if beside:
        data["entriesShown"] = [{"entry": at, "source": text, "stored": stored} for at, text, stored in beside]
    return orjson.dumps(data, option=orjson.OPT_INDENT_2).decode()


def _text(report: Report, beside: Beside) -> str:
    parts = [_boards(report)] if report.boards else []
    parts += [_side_by_side(*one) for one in beside]
    parts += [_remarks("notes", report.notes)] if report.notes else []
    parts += [_remarks("not read", report.problems)] if report.problems else []
    parts.append(_summary(report))
    return "\n\n".join(parts)


def _boards(report: Report) -> str:
    lines = [
        {**vars(board), **vars(board.entries), "shown": f"{board.columns} of {board.scores}"} for board in report.boards
    ]
    cells = {"leaderboard": "label", "from": "source", "made": "made", "changed": "changed", "same": "same",
             "baselines": "baselines", "ranked by": "rank_by", "scores shown": "shown", "built": "built"}  # fmt: skip
    return columns(lines, cells)


def _remarks(title: str, remarks: Sequence[Remark]) -> str:
    return columns([{"file": one.file, "reason": one.reason} for one in remarks], {title: "file", "why": "reason"})


def _summary(report: Report) -> str:
    lines = [
        f"{kind}: {count.made} made, {count.changed} changed, {count.same} the same"
        for kind, count in report.counts.items()
    ]
    lines.append(f"{report.numbers} scores stood there as texts, and are numbers now")
    if report.ignored:
        lines.append(f"{report.ignored} files are no entries")
    if report.problems:
        lines.append(f"{len(report.problems)} could not be read or written")
    if report.dry_run:
        lines.append("nothing was written: this was a dry run")
    return "\n".join(lines)


def _side_by_side(at: str, text: str, stored: Any) -> str:
    left = ["source", *(line.expandtabs(4) for line in text.splitlines())]
    right = ["stored"]
    if stored is None:
        right.append("nothing")
    else:
        right += orjson.dumps(stored, option=orjson.OPT_INDENT_2).decode().splitlines()
    length = max(len(left), len(right))
    left, right = (lines + [""] * (length - len(lines)) for lines in (left, right))
    wide = max(map(len, left))
    lines = (f"{one:<{wide}}  {other}".rstrip() for one, other in zip(left, right, strict=True))
    return "\n".join([f"== {shown(at)}", *(plain(shown(line)) for line in lines)])
