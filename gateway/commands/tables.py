"""Print rows as aligned tables. Values are never shortened, so an id can be copied and a pipe gets all of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

Row = Mapping[str, Any]
Cell = str | Callable[[Row], Any]
"""The path of a value in a row (`site.name`), or a function that makes it from the row."""

_WIDE = 100_000


def columns(rows: Iterable[Row], cells: Mapping[str, Cell]) -> str:
    """A table: a line for each row, under the names of the cells."""
    return aligned(list(cells), [[_value(row, cell) for cell in cells.values()] for row in rows])


def card(row: Row, cells: Mapping[str, Cell]) -> str:
    """One row, with a line for each of its cells."""
    return aligned(None, [[name, _value(row, cell)] for name, cell in cells.items()])


def aligned(header: Sequence[str] | None, lines: Sequence[Sequence[Any]]) -> str:
    table = Table(box=None, pad_edge=False, show_header=header is not None, header_style="bold")
    for name in header or ("", ""):
        table.add_column(name, no_wrap=True)
    for line in lines:
        table.add_row(*(Text(_text(value)) for value in line))
    console = Console(width=_WIDE, highlight=False)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def moment(name: str) -> Cell:
    """A time of the row, to the second, in UTC."""
    return lambda row: (_value(row, name) or "")[:19].replace("T", " ")


def names(name: str, of: str = "name") -> Cell:
    """The names of the nodes of a connection."""
    return lambda row: [node[of] for node in row[name]["nodes"] if node[of]]


def _value(row: Any, cell: Cell) -> Any:
    if callable(cell):
        return cell(row)
    for step in cell.split("."):
        row = None if row is None else row.get(step)
    return row


def _text(value: Any) -> str:
    """The value on one line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return plain(str(value))


def plain(line: str) -> str:
    """A line without characters that would move a terminal's cursor or colour it."""
    return "".join(letter if letter.isprintable() else " " for letter in line)
