"""Tables as CSV: a header, then one row a line. Nothing but the rows that are asked for is kept."""

import csv
import unicodedata
from collections.abc import Iterator

from jobs.programs.evaluators.folder import LONGEST_LINE, Folder

MOST_ROWS = 1_000_000

Row = tuple[int, list[str]]


def rows(folder: Folder, name: str, columns: tuple[str, ...]) -> Iterator[Row]:
    """The number of the line, from 1, and the fields of each row that can be read.

    Fields are normalised to Unicode NFC, without blanks around them. Rows that can't be read are noted as faults of the
    folder. Blank lines are skipped. Raises EvaluationError for a missing file or a wrong header.
    """
    csv.field_size_limit(LONGEST_LINE)
    header, count = ",".join(columns), 0
    lines = folder.lines(name)
    number, first = next(lines, (0, ""))
    if not number:
        raise folder.faults.fail(name, None, f"the file is empty; it must begin with the header {header}")
    if first is None:
        folder.faults.check()
    if first is None or _fields(first) != list(columns):
        raise folder.faults.fail(name, 1, f"the header must be {header}")
    for number, line in lines:
        if line is None or not line.strip():
            continue
        count += 1
        if count > MOST_ROWS:
            raise folder.faults.fail(name, number, f"at most {MOST_ROWS} rows are allowed")
        fields = _fields(line)
        if "\r" in line:
            folder.faults.add(name, number, "a carriage return stands within the line; lines end with LF or CRLF")
        elif fields is None:
            message = "the quotes are not closed, or stand within a field; a row is one line, and quotes are doubled"
            folder.faults.add(name, number, message)
        elif len(fields) != len(columns):
            found = f"{len(fields)} field{'s' if len(fields) != 1 else ''}"
            message = f"there must be {len(columns)} fields ({header}), not {found}; quote a field that has commas"
            folder.faults.add(name, number, message)
        else:
            yield number, fields


def _fields(line: str) -> list[str] | None:
    """The fields of a line; None if it can't be read."""
    try:
        found = list(csv.reader([line], strict=True))
    except csv.Error:
        return None
    return [unicodedata.normalize("NFC", field.strip()) for field in found[0]] if len(found) == 1 else None
