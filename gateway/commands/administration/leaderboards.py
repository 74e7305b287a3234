"""torana leaderboards: what they rank, their entries and their builds."""

from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from db.models import Counting as Counted
from gateway.commands.administration.arguments import (
    Field,
    InLabel,
    JsonFile,
    OfChallenge,
    Value,
    change,
    given,
    id_of,
    json_in,
    labelled,
    moments,
    phase,
)
from gateway.commands.administration.asking import Asking, has, is_, listing, uuid_of, writing
from gateway.commands.administration.commands import Limit, Shown, Yes, command, confirm, group, one, rows
from gateway.commands.tables import Cell, Row, columns, moment
from jobs.scores.columns import Column, read
from jobs.scores.values import found as found_at
from resolvers.spelling import between_commas

leaderboards = group("leaderboards", "Leaderboards, their entries and their builds.")

_ROW = """id version label title archived hidden builtAt rankBy ties counting embargoEndsAt anonymityEndsAt revealAt
    sortingKey challenge { label } phase { name } build { id number entryCount } columns"""
_LIST = listing("leaderboards", "Leaderboard", _ROW)
_BOARD = f"Leaderboard {{ {_ROW} }}"
_CREATE = writing("createLeaderboard", _BOARD, input="NewLeaderboard!")
_UPDATE = writing("updateLeaderboard", _BOARD, id="ID!", expectedVersion="Int!", input="LeaderboardChanges!")
_DELETE = writing("deleteLeaderboard", "Deleted { id at }", id="ID!")
_BUILD = writing("rebuildLeaderboard", _BOARD, id="ID!")
_ENTRIES = listing("leaderboardEntries", "LeaderboardEntry", "place rank authorLabel external baseline data")
_BUILDS = listing("leaderboardBuilds", "LeaderboardBuild", "id number reason entryCount createdAt")
_ADD_ENTRY = writing("createExternalEntry", "ExternalEntry { id key }", input="NewExternalEntry!")

Counting = Enum("Counting", {one.name: one.name for one in Counted})  # type: ignore[misc]
Board = Annotated[str, typer.Argument(help="A leaderboard, by its label or id.")]
Time = Annotated[str | None, typer.Option(metavar="TIME", help="Such as 2026-03-01T09:30, in UTC.")]


@command(leaderboards, "list")
async def list_leaderboards(
    ask: Asking,
    text: InLabel = None,
    challenge: OfChallenge = None,
    limit: Limit = None,
) -> Shown:
    """List leaderboards by label."""
    found = await ask.all(_LIST, limit, label=has(text), challenge=is_(await id_of(ask, "Challenge", challenge)))
    return rows(
        found,
        {
            "label": "label",
            "title": "title",
            "challenge": "challenge.label",
            "phase": "phase.name",
            "archived": "archived",
            "hidden": "hidden",
            "entries": "build.entryCount",
            "built (UTC)": moment("builtAt"),
            "id": lambda node: uuid_of(node["id"]),
        },
    )


@command(leaderboards, "create")
async def create(
    ask: Asking,
    label: Annotated[str, typer.Argument(help="The short name, unique.")],
    challenge: Annotated[str, typer.Option(help="The challenge, by its label or id.")],
    of_phase: Annotated[str | None, typer.Option("--phase", help="Of this phase alone, by its name.")] = None,
    title: Annotated[str | None, typer.Option(help="Its title.")] = None,
    columns: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A JSON file: a list of columns.")
    ] = None,
    rank_by: Annotated[str | None, typer.Option(help="The key of the column that it is ranked by.")] = None,
    ties: Annotated[str | None, typer.Option(help="Keys of columns that decide between equal entries: a,b.")] = None,
    counting: Annotated[Counting | None, typer.Option(help="Which runs of one submitter it shows.")] = None,
    sorting_key: Annotated[
        str | None, typer.Option(help="Without columns: the path of the score it is sorted by, ascending.")
    ] = None,
    archived: Annotated[bool, typer.Option("--archived", help="It takes no submissions.")] = False,
    static_files: Annotated[bool, typer.Option("--static-files", help="Files are published with it.")] = False,
    hidden: Annotated[bool, typer.Option("--hidden", help="Only organisers see it.")] = False,
    embargo_ends_at: Time = None,
    anonymity_ends_at: Time = None,
    reveal_at: Time = None,
) -> Shown:
    """Make a leaderboard. The gateway builds it a moment later."""
    of = await labelled(ask, "Challenge", challenge)
    asked = given(
        label=label, challenge=of["id"], title=title, rankBy=rank_by, sortingKey=sorting_key, archived=archived,
        staticFiles=static_files, hidden=hidden, counting=counting and counting.value,
        columns=columns and json_in(columns), ties=ties and between_commas(ties),
        phase=(await phase(ask, of["id"], of_phase))["id"] if of_phase is not None else None,
    )  # fmt: skip
    asked |= moments(embargoEndsAt=embargo_ends_at, anonymityEndsAt=anonymity_ends_at, revealAt=reveal_at)
    made = await ask.write(_CREATE, input=asked)
    return Shown(made, f"made the leaderboard {made['label']}, {uuid_of(made['id'])}")


@command(leaderboards, "edit")
async def edit(ask: Asking, label: Board, field: Field, value: Value) -> Shown:
    """Set a field of a leaderboard, such as title, hidden or embargoEndsAt; the value of columns is a JSON file."""
    found = await labelled(ask, "Leaderboard", label, "challenge { id }")

    async def find_phase(ask: Asking, name: str) -> str:
        return str((await phase(ask, found["challenge"]["id"], name))["id"])

    changes = await change(ask, "LeaderboardChanges", field, value, {"phase": find_phase})
    node = await ask.write(_UPDATE, id=found["id"], expectedVersion=found["version"], input=changes)
    cells: dict[str, Cell] = {
        "label": "label",
        "title": "title",
        "challenge": "challenge.label",
        "phase": "phase.name",
        "columns": lambda node: [column["key"] for column in node["columns"]],
        "ranked by": lambda node: node["rankBy"] or node["sortingKey"],
        "ties": "ties",
        "counting": "counting",
        "archived": "archived",
        "hidden": "hidden",
        "embargo ends (UTC)": moment("embargoEndsAt"),
        "anonymity ends (UTC)": moment("anonymityEndsAt"),
        "revealed at (UTC)": moment("revealAt"),
    }
    return one(node, cells)


@command(leaderboards, "show")
async def show(
    ask: Asking,
    label: Board,
    raw: Annotated[bool, typer.Option("--raw", help="Print the entries as JSON, with all of their scores.")] = False,
    limit: Limit = None,
) -> Shown:
    """Show the entries of a leaderboard by its columns, as it was last built."""
    board = await labelled(ask, "Leaderboard", label, _ROW)
    nodes: list[dict[str, Any]] = []
    if board["build"] is not None:  # entries of one build, whatever is built meanwhile
        nodes = (await ask.all(_ENTRIES, build=is_(board["build"]["id"]))).nodes
    nodes = sorted(nodes, key=lambda node: int(node["place"]))[:limit]
    data = {**board, "entries": nodes}
    if raw:
        return Shown(data, orjson.dumps(nodes, option=orjson.OPT_INDENT_2).decode())
    cells: dict[str, Cell] = {
        "place": "place",
        "rank": "rank",
        "author": lambda entry: f"{entry['authorLabel'] or ''}{' (baseline)' if entry['baseline'] else ''}",
        **_cells(read(board["columns"]), nodes),
    }
    beside = f"build {board['build']['number']}" if board["build"] else "it was not built; torana leaderboards build"
    return Shown(data, columns(nodes, cells) if nodes else "none", beside)


def _cells(shown: tuple[Column, ...], entries: list[dict[str, Any]]) -> dict[str, Cell]:
    """A cell for each column; without columns one for each score that an entry has."""
    if not shown:
        paths = dict.fromkeys(path for entry in entries for path in _paths(entry["data"]))
        shown = tuple(Column(path, path) for path in paths)
    found: dict[str, Cell] = {}
    for column in shown:
        title = column.title or column.key
        found[title if title not in found else f"{title} ({column.key})"] = _cell(column)
    return found


def _paths(data: Any, at: str = "") -> Iterator[str]:
    """The paths of the values in scores."""
    for key, value in data.items() if isinstance(data, Mapping) else ():
        path = f"{at}.{key}" if at else key
        if isinstance(value, Mapping):
            yield from _paths(value, path)
        elif not isinstance(value, list):
            yield path


def _cell(column: Column) -> Cell:
    def shown(entry: Row) -> str:
        value = _number(found_at(entry["data"], column.path), column.precision)
        error = _number(found_at(entry["data"], column.error_path), column.precision) if column.error_path else ""
        return f"{value} ± {error}" if value and error else value

    return shown


def _number(value: Any, precision: int | None) -> str:
    if value is None or isinstance(value, Mapping | list):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.{precision}f}" if isinstance(value, int | float) and precision is not None else str(value)


@command(leaderboards, "build")
async def build(ask: Asking, label: Board) -> Shown:
    """Build a leaderboard anew, now."""
    node = await ask.write(_BUILD, id=await id_of(ask, "Leaderboard", label))
    return Shown(node, f"built {node['label']}: {node['build']['entryCount']} entries, build {node['build']['number']}")


@command(leaderboards, "delete")
async def delete(ask: Asking, label: Board, yes: Yes = False) -> Shown:
    """Delete a leaderboard with its builds and external entries. Submissions stay."""
    found = await labelled(ask, "Leaderboard", label)
    confirm(f"Delete the leaderboard {found['label']}, with what came from outside? It can't be brought back.", yes=yes)
    return Shown(await ask.write(_DELETE, id=found["id"]), f"deleted {found['label']}")


@command(leaderboards, "add-entry")
async def add_entry(
    ask: Asking,
    label: Board,
    key: Annotated[str, typer.Argument(help="Its name, unique on the leaderboard.")],
    file: JsonFile,
    author: Annotated[str | None, typer.Option(help="Who is named as author.")] = None,
    baseline: Annotated[bool, typer.Option("--baseline", help="It is a baseline, which has no rank.")] = False,
) -> Shown:
    """Add an entry from outside: a JSON object with its scores."""
    found = await labelled(ask, "Leaderboard", label)
    asked = given(leaderboard=found["id"], key=key, data=json_in(file), authorLabel=author, baseline=baseline)
    made = await ask.write(_ADD_ENTRY, input=asked)
    return Shown(made, f"{found['label']} has the entry {made['key']}")


@command(leaderboards, "history")
async def history(ask: Asking, label: Board) -> Shown:
    """List the last builds of a leaderboard, the latest first."""
    found = await labelled(ask, "Leaderboard", label)
    nodes = (await ask.all(_BUILDS, leaderboard=is_(found["id"]))).nodes
    nodes = sorted(nodes, key=lambda node: -int(node["number"]))
    cells: dict[str, Cell] = {
        "build": "number",
        "at (UTC)": moment("createdAt"),
        "entries": "entryCount",
        "why": "reason",
    }
    return Shown(nodes, columns(nodes, cells) if nodes else "none")
