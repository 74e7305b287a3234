"""Arguments of the commands for challenges: rows by their labels, the value of a field as text, and JSON files."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from graphql import GraphQLInputObjectType, GraphQLInputType, get_named_type, get_nullable_type, validate_input_value
from graphql.type import is_list_type

from gateway.commands.administration.asking import Asking, Found, Refusal, id_in, listing, uuid_of
from resolvers.failures import Code
from resolvers.spelling import between_commas, camel
from schema import build

NONE = "-"
"""Stands for no value."""
_BY = {"Challenge": "label", "Leaderboard": "label", "Submission": "publicId"}
"""The field that names a row of each type, as its root field takes it."""
_EVALUATORS = listing("evaluators", "Evaluator", "id version label host challenge { label }")
_YES, _NO = ("true", "yes", "on"), ("false", "no", "off")

Finding = Callable[[Asking, str], Awaitable[str]]
JsonFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="A file with JSON.")]
Field = Annotated[str, typer.Argument(help="A field as the schema names it, such as endDate; or end-date.")]
InLabel = Annotated[str | None, typer.Option("--text", help="With this in the label.")]
OfChallenge = Annotated[str | None, typer.Option("--challenge", help="Of this challenge, by its label or id.")]
Value = Annotated[str, typer.Argument(help="Its value; - for none.")]


async def labelled(ask: Asking, kind: str, named: str, shown: str = "") -> dict[str, Any]:
    """The row of a type that a label or an id names, with its id, its version, its label and what is `shown`."""
    by, id = _BY[kind], id_in(kind, named)
    wanted = f"{by}: $named" if id is None else "id: $named"
    typed = "String!" if id is None else "ID!"
    document = f"query($named: {typed}) {{ row: {kind.lower()}({wanted}) {{ id version {by} {shown} }} }}"
    row: dict[str, Any] | None = (await ask.data(document, named=id or named))["row"]
    if row is None:
        raise Refusal(f"there is no {kind.lower()} {named}", Code.NOT_FOUND.name)
    return row


async def id_of(ask: Asking, kind: str, named: str | None) -> str | None:
    """The id of the row that a label or an id names; None when none was given."""
    return None if named is None else str((await labelled(ask, kind, named))["id"])


async def evaluator(ask: Asking, named: str) -> Found:
    """The evaluator that a label or an id names; a Refusal for a label that those of several hosts have."""
    if (id := id_in("Evaluator", named)) is not None:
        node = (await ask.data("query($id: ID!) { evaluator(id: $id) { id version label } }", id=id))["evaluator"]
        rows = [] if node is None else [node]
    else:
        rows = (await ask.all(_EVALUATORS, label={"equals": named})).nodes
    if not rows:
        raise Refusal(f"there is no evaluator {named}", Code.NOT_FOUND.name)
    if len(rows) > 1:
        told = ", ".join(f"{uuid_of(row['id'])} ({row['host'] or 'no host'})" for row in rows)
        raise Refusal(f"several evaluators are called {named}; name one by its id: {told}")
    return Found(rows[0]["id"], rows[0]["version"], rows[0]["label"])


async def phase(ask: Asking, challenge: str, name: str | None) -> dict[str, Any]:
    """The phase of a challenge; without a name the only one that it has."""
    row = await labelled(ask, "Challenge", challenge, "phases(first: 100) { nodes { id version name } }")
    phases: list[dict[str, Any]] = row["phases"]["nodes"]
    found = [one for one in phases if name is None or one["name"] == name]
    if len(found) == 1:
        return {**found[0], "challenge": row["label"]}
    names = ", ".join(one["name"] for one in phases) or "none"
    told = f"there is no phase {name}" if name is not None else "name one of its phases"
    raise Refusal(f"{told}; {row['label']} has {names}", Code.NOT_FOUND.name if name is not None else Code.INVALID.name)


async def _evaluator(ask: Asking, named: str) -> str:
    return (await evaluator(ask, named)).id


def _named(kind: str) -> Finding:
    async def find(ask: Asking, named: str) -> str:
        return (await ask.find(kind, named)).id

    return find


REFERS: Mapping[str, Finding] = {"site": _named("Site"), "organisers": _named("UserGroup"), "evaluator": _evaluator}
"""The fields of a challenge that refer to other rows, and how those are found by name."""


def fields_of(input: str) -> Mapping[str, Any]:
    """The fields of an input type of the schema."""
    kind = build().core.type_map[input]
    assert isinstance(kind, GraphQLInputObjectType)
    found: Mapping[str, Any] = kind.fields
    return found


async def change(
    ask: Asking, input: str, field: str, text: str, refers: Mapping[str, Finding] = REFERS
) -> dict[str, Any]:
    """One field of an input type, with the value that a text tells."""
    fields, name = fields_of(input), camel(field.replace("-", "_"))
    if name not in fields:
        raise Refusal(f"there is no field {field}; there are {', '.join(fields)}", field=name)
    if text == NONE:
        return {name: None}
    if name in refers:
        return {name: await refers[name](ask, text)}
    return {name: _value(name, get_nullable_type(fields[name].type), text)}


def _value(name: str, kind: GraphQLInputType, text: str) -> Any:
    """The value of a type that a text tells. The schema checks the rest."""
    named = get_named_type(kind).name
    if named == "Boolean":
        if text.lower() not in (*_YES, *_NO):
            raise Refusal(f"{name} is true or false, not {text}", field=name)
        return text.lower() in _YES
    if named == "Int":
        if not text.removeprefix("-").isdecimal():
            raise Refusal(f"{name} is a whole number, or - for none; not {text}", field=name)
        return int(text)
    if named == "JSON":
        return json_in(Path(text))
    if named == "DateTime":
        return moment_in(text, name)
    if is_list_type(kind):
        return between_commas(text)
    return text.upper() if hasattr(get_named_type(kind), "values") else text


def moment_in(text: str, field: str) -> str:
    """A time, in UTC unless it says otherwise."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise Refusal(f"a time looks like 2026-03-01 or 2026-03-01T09:30, not {text}", field=field) from None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).isoformat()


def moments(**texts: str | None) -> dict[str, Any]:
    """The times that are given, by the names of their fields."""
    return {name: moment_in(text, name) for name, text in texts.items() if text is not None}


def given(**values: Any) -> dict[str, Any]:
    """The values that are given."""
    return {name: value for name, value in values.items() if value is not None}


def json_in(file: Path) -> Any:
    try:
        return orjson.loads(file.read_bytes())
    except orjson.JSONDecodeError as error:
        raise Refusal(f"{file.name} is no JSON: {error}") from None


def wrong(input: str, value: dict[str, Any]) -> Refusal | None:
    """What the schema finds wrong with the types of an input, before it is sent."""
    found: list[Refusal] = []
    validate_input_value(
        value,
        build().core.type_map[input],  # type: ignore[arg-type]
        lambda error, path: found.append(Refusal(error.message, field=".".join(map(str, path)) or None)),
    )
    return found[0] if found else None
