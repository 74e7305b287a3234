"""Export a list: its rows page by page, as an operation of the schema gives them, in lines of CSV or JSON.

Each page is an operation like any other, so an export tells what a read would tell.
"""

import csv
import io
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import orjson
from graphql import GraphQLObjectType, GraphQLSchema, Undefined, get_named_type, is_leaf_type
from graphql.utilities.coerce_input_value import coerce_input_value

from resolvers.failures import Code, Failure, Invalid, NotFound, check_limit
from schema.fields.declarations import Column, Connected, Key, Part, Related
from schema.fields.selection import DEFINITION

FIELDS, TOGETHER = 50, 100
"""The most fields of an export, and the rows that are read at once."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(\.[A-Za-z][A-Za-z0-9]*){0,3}")
_VARIABLE = re.compile(r"\$(filter|orderBy)\b")
_RISKY = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What makes a formula of a text in a spreadsheet."""

Run = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Runs an operation; gives its data and errors."""


class Format(Enum):
    """How rows are written: CSV (RFC 4180) with a line of names, or a JSON object in each line."""

    CSV = "csv"
    NDJSON = "ndjson"


class Unreadable(Failure):
    """An operation was refused."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        told = dict(error.get("extensions", {}))
        of_variable = _VARIABLE.search(error["message"])
        super().__init__(error["message"], field=told.pop("field", of_variable and of_variable[1]))
        code = told.pop("code", "")
        self.code = Code[code] if code in Code.__members__ else Code.INVALID
        self.details = told


@dataclass(frozen=True, slots=True)
class Export:
    """A list to be exported, and the fields to give of each row: paths, such as `project.name`."""

    name: str
    document: str
    paths: Sequence[tuple[str, ...]]
    given: Mapping[str, Any]

    async def pages(self, run: Run) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        """The rows, so many at a time; raises Unreadable for wrong arguments, before the first."""
        after = None
        while True:
            answer = await run(self.document, {**self.given, "first": TOGETHER, "after": after})
            data = answer.get("data")
            for error in answer.get("errors", ()):
                if data is None or error.get("extensions", {}).get("code") != Code.FORBIDDEN.name:
                    raise Unreadable(error)
            assert data is not None
            page = data["page"]
            yield page["nodes"]
            if not page["pageInfo"]["hasNextPage"]:
                return
            after = page["pageInfo"]["endCursor"]

    async def lines(self, run: Run, format: Format) -> AsyncIterator[bytes]:
        """The export as text in UTF-8, page by page; the first piece is made once the arguments were found right."""
        first = True
        async for rows in self.pages(run):
            if format is Format.NDJSON:
                yield b"".join(orjson.dumps(row) + b"\n" for row in rows)
            else:
                yield self._csv(rows, header=first)
            first = False

    def _csv(self, rows: Sequence[Mapping[str, Any]], *, header: bool) -> bytes:
        written = io.StringIO()
        writer = csv.writer(written)
        if header:
            writer.writerow(".".join(path) for path in self.paths)
        writer.writerows([cell(_at(row, path)) for path in self.paths] for row in rows)
        return written.getvalue().encode()


def export_of(
    schema: GraphQLSchema, name: str, fields: Sequence[str] = (), filter: Any = None, order_by: Any = None
) -> Export:
    """The export of a list of the root. Without `fields` it has the columns of the type that are no JSON. NOT_FOUND for
    no such list; INVALID and LIMIT_EXCEEDED for wrong fields, with those that there are."""
    assert schema.query_type is not None
    field = schema.query_type.fields.get(name)
    if field is None or not isinstance(field.extensions[DEFINITION], Connected):
        raise NotFound("there is no such list", field="list")
    connection: Any = get_named_type(field.type)
    kind: Any = get_named_type(connection.fields["nodes"].type)
    check_limit(f"an export has at most {FIELDS} fields", len(fields), FIELDS, limit="fields", field="fields")
    paths = [_path(kind, one) for one in dict.fromkeys(fields)] or [(one,) for one in _plain(kind)]
    types = {argument: field.args[argument].type for argument in ("filter", "orderBy")}
    declared = f"$first: Int!, $after: String, $filter: {types['filter']}, $orderBy: {types['orderBy']}"
    document = f"""query Export({declared}) {{
        page: {name}(first: $first, after: $after, filter: $filter, orderBy: $orderBy) {{
            nodes {{ {_selected(paths)} }} pageInfo {{ hasNextPage endCursor }} }} }}"""
    given = {"filter": filter, "orderBy": order_by}
    return Export(name, document, paths, {key: value for key, value in given.items() if value is not None})


def check(export: Export, schema: GraphQLSchema) -> None:
    """Raise Invalid for a filter or an order that is none of the list."""
    assert schema.query_type is not None
    field = schema.query_type.fields[export.name]
    found: dict[str, Any] = {}
    for name, value in export.given.items():
        found[name] = coerce_input_value(value, field.args[name].type)
        if found[name] is Undefined:
            raise Invalid(f"this is no {field.args[name].type}", field=name)
    declared: Connected = field.extensions[DEFINITION]
    declared.asked(first=0, filter=found.get("filter"), order_by=found.get("orderBy"))


def _path(kind: GraphQLObjectType, given: str) -> tuple[str, ...]:
    """The path of a field; raises Invalid with the fields that there are."""
    if _NAME.fullmatch(given) is None:
        raise Invalid("a field is a name, or several with dots between, such as project.name", field="fields")
    path, here = tuple(given.split(".")), kind
    for place, name in enumerate(path):
        field = here.fields.get(name)
        leaf = place == len(path) - 1
        if field is None or _leads(field) is not (not leaf):
            allowed = [one for one, found in here.fields.items() if _leads(found) in ((False,) if leaf else (True,))]
            raise Invalid(_wrong(here, name[:80], field), field="fields", allowed=sorted(allowed))
        if not leaf:
            here = get_named_type(field.type)
    return path


def _wrong(kind: GraphQLObjectType, name: str, field: Any) -> str:
    if field is None:
        return f"{kind.name} has no field {name}"
    if _leads(field):
        return f"{kind.name}.{name} is a row or an object: name one of its fields, such as {name}.id"
    if _leads(field) is None:
        return f"{kind.name}.{name} is no single value, which an export gives"
    return f"{kind.name}.{name} is a value, which has no fields"


def _leads(field: Any) -> bool | None:
    """Whether a field leads on to an object of one row; false for a value, None for what an export can't have."""
    declared = field.extensions[DEFINITION]
    if isinstance(declared, Related | Part):
        return True
    return False if is_leaf_type(get_named_type(field.type)) and not field.args else None


def _plain(kind: GraphQLObjectType) -> Iterator[str]:
    for name, field in kind.fields.items():
        declared = field.extensions[DEFINITION]
        if isinstance(declared, Key) or (isinstance(declared, Column) and get_named_type(field.type).name != "JSON"):
            yield name


def _selected(paths: Sequence[tuple[str, ...]]) -> str:
    """The selection of these paths."""
    below: dict[str, list[tuple[str, ...]]] = {}
    for first, *rest in paths:
        below.setdefault(first, []).extend([tuple(rest)] if rest else [])
    return " ".join(f"{name} {{ {_selected(inner)} }}" if inner else name for name, inner in below.items())


def _at(row: Any, path: Sequence[str]) -> Any:
    for name in path:
        row = None if row is None else row[name]
    return row


def cell(value: Any) -> str:
    """A value in CSV: nothing for null; a text that a spreadsheet would run as a formula begins with an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_RISKY) else value
    return orjson.dumps(value).decode()
