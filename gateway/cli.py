"""The command line: torana serve | demo | migrate | schema | settings | users."""

import asyncio
import gc
import ipaddress
import os
import socket
import sqlite3
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn

import asyncpg  # type: ignore[import-untyped]
import msgspec
import typer
import uvloop
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from db import migrating
from db.engine import AddressError, InUse
from gateway import demo as demonstration
from gateway import page
from gateway.answers import Refused
from gateway.app import bounds_of, create_app, make_services
from gateway.documents import Documents, Envelope, ListError, Operation, documents_in, read_list, said, write_list
from gateway.explaining import explain
from gateway.serving import make_server, set_up_logs
from gateway.settings import FILE, Settings, SettingsError, load
from resolvers.accounts import create_user
from resolvers.failures import Failure
from resolvers.passwords import check_new
from resolvers.principal import ANONYMOUS
from resolvers.principals import principal_named
from schema import Schema, build

app = typer.Typer(
    help="A GraphQL gateway over one schema for research platforms.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
users = typer.Typer(help="Accounts.", no_args_is_help=True)
app.add_typer(users, name="users")
documents = typer.Typer(help="The documents that a gateway trusts.", no_args_is_help=True)
app.add_typer(documents, name="documents")

Port = Annotated[int | None, typer.Option(help="The port to listen on.")]


@app.command()
def serve(
    port: Port = None, host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None
) -> None:
    """Serve the gateway, as the settings say."""
    given: dict[str, Any] = {}
    if port is not None:
        given["port"] = port
    if host is not None:
        given["host"] = host
    settings = load(**given)
    settings.keys  # noqa: B018
    set_up_logs(settings.log_format)
    if _run(migrating.present(settings.database)) != migrating.newest():
        _fail("the database lacks tables that this version needs; run: torana migrate")
    _serve(settings)


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 8000,
    data_dir: Annotated[Path, typer.Option(help="The folder that keeps the database.")] = Path("data"),
    host: Annotated[str, typer.Option(help="A loopback address; the demo's passwords are known to all.")] = "127.0.0.1",
) -> None:
    """Serve demonstration data from an embedded database, kept in a folder."""
    if not _loopback(host):
        _fail(f"the demo listens on loopback addresses only, not on {host}: its passwords are printed in its source")
    data_dir.mkdir(parents=True, exist_ok=True)
    settings = load(
        host=host,
        port=port,
        data_dir=data_dir,
        database_url=f"sqlite:///{data_dir.resolve() / 'demo.db'}",
        secret_keys=demonstration.own_keys(data_dir),
        allowed_hosts="127.0.0.1,localhost,[::1]",
    )
    set_up_logs(settings.log_format)
    _check_port(host, port)
    _run(_prepare_demo(settings))
    address = f"http://{host}:{port}"
    typer.echo(
        f"\nTorana is at {address}/graphql" + ("" if page.built() else "  (the explorer page is not built: no Node.js)")
    )
    for account in demonstration.ACCOUNTS:
        typer.echo(f"  {account.role:<16} {account.username:<6} {account.password}")
    typer.echo("Stop it with Ctrl-C.\n")
    _serve(settings)


async def _prepare_demo(settings: Settings) -> None:
    services = make_services(settings)
    try:
        await services.database.start()
        if await migrating.present(settings.database) != migrating.newest():
            typer.echo("Preparing the database")
            await migrating.migrate(settings.database)
        if await demonstration.fill(services, lambda step: typer.echo(f"  {step}")):
            typer.echo("Demonstration data are in place")
    finally:
        services.passwords.close()
        await services.database.dispose()


@app.command()
def migrate() -> None:
    """Bring the database to the tables of this version."""
    settings = load()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    before = _run(migrating.present(settings.database))
    _run(migrating.migrate(settings.database))
    after = _run(migrating.present(settings.database))
    typer.echo(f"already at {after}" if before == after else f"migrated from {before or 'nothing'} to {after}")


@app.command()
def schema() -> None:
    """Print the schema in SDL."""
    typer.echo(build().as_str())


@app.command()
def settings() -> None:
    """Print every setting: its variable, its default, what it means."""
    typer.echo(f"Settings are read from variables, then from the TOML file that {FILE} names.\n")
    for name, field in Settings.model_fields.items():
        default = field.get_default()
        shown = "" if name == "secret_keys" else ",".join(default) if isinstance(default, list) else default
        typer.echo(f"TORANA_{name.upper()}={shown}\n    {field.description}")


@users.command("create")
def create(
    username: str,
    password: Annotated[
        str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True, help="12 to 1024 characters.")
    ],
    email: Annotated[str | None, typer.Option(help="The e-mail address.")] = None,
    superadmin: Annotated[bool, typer.Option("--superadmin", help="May do everything.")] = False,
) -> None:
    """Make a local account; asks for its password."""
    settings = load()

    async def make() -> None:
        services = make_services(settings)
        try:
            check_new(password, "password")
            hashed = await services.passwords.hash(password)
            async with services.database.write() as session:
                await create_user(session, username, hashed, email=email, superadmin=superadmin)
        finally:
            services.passwords.close()
            await services.database.dispose()

    try:
        _run(make())
    except IntegrityError:
        _fail("this username or e-mail address is taken")
    typer.echo(f"made {username.lower()}")


@app.command("explain")
def explain_(
    file: Annotated[Path, typer.Argument(help="A file with an operation.")],
    as_: Annotated[str | None, typer.Option("--as", help="The username to ask as; anonymous without.")] = None,
    variables: Annotated[str, typer.Option(help="The variables, as JSON.")] = "{}",
    operation: Annotated[str | None, typer.Option(help="The operation's name, where the file has several.")] = None,
) -> None:
    """Show what an operation does to the database: its statements and their plans, and what is read row by row."""
    settings = load()
    schema = build()
    bounds = bounds_of(settings)
    try:
        given = msgspec.json.decode(variables, type=dict[str, Any])
        envelope = Envelope(file.read_text(), operationName=operation)
        asked = Documents(schema.core, bounds, keep=1).operation(envelope)
        _run(_explained(settings, schema, asked, given, as_))
    except Refused as refusal:
        _fail("; ".join(said(error, file) for error in refusal.answer.body["errors"]))
    except msgspec.MsgspecError as error:
        _fail(f"--variables must be a JSON object: {error}")
    except UnicodeDecodeError:
        _fail(f"{file} is not text in UTF-8")


async def _explained(settings: Settings, schema: Schema, asked: Operation, given: Any, name: str | None) -> None:
    services = make_services(settings)
    try:
        principal = ANONYMOUS if name is None else await principal_named(services.database, name)
        async for found in explain(schema.core, services, principal, asked, given):
            typer.echo(f"{found.path}: " + (f"row by row: {found.why}" if found.why else "one statement"))
            if found.statement:
                typer.echo(f"\n{found.statement}\n")
                typer.echo("".join(f"  {line}\n" for line in found.plan))
    finally:
        services.passwords.close()
        await services.database.dispose()


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
    reader = Documents(build().core, bounds_of(load()), keep=1)
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
        _fail(f"documents that would be refused: {wrong}" if wrong else "there is no document")
    return found


def _serve(settings: Settings) -> None:
    _check_port(settings.host, settings.port)
    application = create_app(settings)
    gc.collect()
    gc.freeze()  # what is made at the start stays: it need not be looked through again and again
    gc.set_threshold(50_000, 20, 50)
    uvloop.run(make_server(application, settings.host, settings.port).serve())


def _check_port(host: str, port: int) -> None:
    """Say at once that the port is taken, before anything is prepared."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            _fail(f"can't listen on {host}:{port}: {error.strerror}; choose another with --port")


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def _fail(message: str) -> NoReturn:
    typer.echo(f"torana: {message}", err=True)
    raise SystemExit(2)


def main() -> None:
    try:
        app()
    except (SettingsError, InUse, ListError, Failure) as error:
        _fail(str(error))
    except AddressError as error:
        _fail(f"TORANA_DATABASE_URL: {error}")
    except (SQLAlchemyError, sqlite3.Error, asyncpg.PostgresError, OSError) as error:
        if os.environ.get("TORANA_DEBUG"):
            raise
        _fail(f"the database or a file can't be used: {str(error).splitlines()[0]}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
