"""torana documents, torana explain: what documents do, and the list of trusted documents."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from gateway.app import bounds_of
from gateway.commands.explain import explain as explained
from gateway.commands.terminal import fail, opened
from gateway.operations.document_lists import documents_in, read_list, said, write_list
from gateway.operations.documents import Documents, Envelope, Operation
from gateway.operations.responses import Refused
from gateway.settings import Settings, load
from resolvers.identity.lookup import principal_named
from resolvers.identity.principal import ANONYMOUS
from schema import Schema, build

documents = typer.Typer(name="documents", help="The documents that a gateway trusts.", no_args_is_help=True)


def explain(
    file: Annotated[Path, typer.Argument(help="A file with an operation.")],
    as_: Annotated[str | None, typer.Option("--as", help="The username to ask as; anonymous without.")] = None,
    variables: Annotated[str, typer.Option(help="The variables, as JSON.")] = "{}",
    operation: Annotated[str | None, typer.Option(help="The operation's name, where the file has several.")] = None,
) -> None:
    """Show what an operation does to the database: its statements and their plans, and what is read row by row."""
    settings = load()
    schema = build()
    bounds = bounds_of(settings.operations)
    try:
        given = msgspec.json.decode(variables, type=dict[str, Any])
        envelope = Envelope(file.read_text(), operationName=operation)
        asked = Documents(schema.core, bounds, keep=1).operation(envelope)
        asyncio.run(_explained(settings, schema, asked, given, as_))
    except Refused as refusal:
        fail("; ".join(said(error, file) for error in refusal.answer.body["errors"]))
    except msgspec.MsgspecError as error:
        fail(f"--variables must be a JSON object: {error}")
    except UnicodeDecodeError:
        fail(f"{file} is not text in UTF-8")


async def _explained(settings: Settings, schema: Schema, asked: Operation, given: Any, name: str | None) -> None:
    async with opened(settings) as services:
        principal = ANONYMOUS if name is None else await principal_named(services.database, name)
        async for found in explained(schema.core, services, principal, asked, given):
            typer.echo(f"{found.path}: " + (f"row by row: {found.why}" if found.why else "one statement"))
            if found.statement:
                typer.echo(f"\n{found.statement}\n")
                typer.echo("".join(f"  {line}\n" for line in found.plan))


Files = Annotated[list[Path], typer.Argument(help="GraphQL files, folders of them, or lists as clients write them.")]
List = Annotated[Path, typer.Option(help="The list, made if it is not there.")]


@documents.command("check")
def check_documents(files: Files) -> None:
    """Tell which documents this gateway would refuse; changes nothing."""
    _checked(files)


@documents.command("add")
def add_documents(files: Files, into: List = Path("documents.json")) -> None:
    """Put documents into the list of trusted ones; none when one of them is wrong."""
    found = _checked(files)
    known = read_list(into) if into.exists() else {}
    write_list(into, {**known, **found})
    new = len({*found.values()} - {*known.values()})
    typer.echo(f"{into}: documents {len({*known.values(), *found.values()})}, new {new}")


def _checked(files: list[Path]) -> dict[str, str]:
    """The documents by id, all of them valid."""
    reader = Documents(build().core, bounds_of(load().operations), keep=1)
    found: dict[str, str] = {}
    wrong = 0
    for file, id, text in documents_in(files):
        try:
            document = reader.read(text)
            found[id] = text
            names = ", ".join(name or "(no name)" for name in document.operations)
            typer.echo(f"{file}: {names}: sha256:{document.digest}")
        except Refused as refusal:
            wrong += 1
            for error in refusal.answer.body["errors"]:
                typer.echo(said(error, file), err=True)
    if wrong or not found:
        fail(f"documents that would be refused: {wrong}" if wrong else "there is no document")
    return found
