"""The command line: torana serve | demo | migrate | reindex | schema | settings | access, and administration."""

import gc

gc.disable()  # what is imported stays: to look through it again and again takes a fifth of the time of a start

import asyncio
import ctypes
import ipaddress
import socket
import sys
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

from db import files, migrating
from db.address import file_of, parse_address
from db.engine import Database
from db.searching import refolding, trigrams
from db.searching.folding import UNICODE
from gateway.app import create_app
from gateway.commands import administration, evaluating, exporting, uploading
from gateway.commands.access_matrix import Matrix
from gateway.commands.demo import database as demonstration
from gateway.commands.demo import living
from gateway.commands.demo.organisation import ACCOUNTS
from gateway.commands.documents import documents, explain
from gateway.commands.files import files as files_of
from gateway.commands.specs import specs
from gateway.commands.terminal import WRONG, check_migrated, fail, opened, told
from gateway.protocol import pages
from gateway.protocol.server import make_server, set_up_logs
from gateway.settings import FILE, Settings, groups, load
from jobs.worker.bundle import bundle as make_bundle
from jobs.worker.main import work as run_worker
from resolvers.simulations.alignment import align
from schema import build
from schema.lists.filters import searched

gc.enable()

app = typer.Typer(
    help="A GraphQL gateway over one schema for research platforms.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
administration.add_to(app)
app.add_typer(documents)
app.command()(explain)

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
    settings.sign_in.keys  # noqa: B018
    set_up_logs(settings.server.log_format)
    check_migrated(settings)
    _serve(settings)


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 8000,
    data_dir: Annotated[Path, typer.Option(help="The folder that keeps the database.")] = Path("data"),
    host: Annotated[str, typer.Option(help="A loopback address; the demo's passwords are known to all.")] = "127.0.0.1",
) -> None:
    """Serve demonstration data from an embedded database, kept in a folder."""
    if not _loopback(host):
        fail(f"the demo listens on loopback addresses only, not on {host}: its passwords are printed in its source")
    files.made(data_dir)
    settings = load(
        host=host,
        port=port,
        data_dir=data_dir,
        database_url=f"sqlite:///{data_dir.resolve() / 'demo.db'}",
        secret_keys=demonstration.own_keys(data_dir),
        allowed_hosts="127.0.0.1,localhost,[::1]",
        mail_log=True,
        sign_up=True,
    )
    set_up_logs(settings.server.log_format)
    _check_port(host, port)
    study = _run(_prepare_demo(settings))
    address = f"http://{host}:{port}"
    missing = "" if pages.built() else "  (the explorer page is not built: no Node.js)"
    typer.echo(f"\nTorana is at {address}/graphql{missing}")
    for account in ACCOUNTS:
        typer.echo(f"  {account.role:<16} {account.username:<6} {account.password}")
    typer.echo("Stop it with Ctrl-C.\n")
    if study is not None:
        living.play(study, f"{address}/graphql")
    _serve(settings)


async def _prepare_demo(settings: Settings) -> living.Study | None:
    async with opened(settings) as services:
        await services.database.start()
        present = await migrating.present(settings.storage.url)
        if present != migrating.newest() and migrating.knows(present):
            typer.echo("Preparing the database")
        await migrating.migrate(settings.storage.url)
        if await demonstration.fill(services, lambda step: typer.echo(f"  {step}")):
            typer.echo("Demonstration data are in place")
        return await living.begin(services)


@app.command()
def migrate() -> None:
    """Bring the database to the tables of this version."""
    settings = load()
    files.made(settings.storage.data_dir)
    before, after = _run(_migrate(settings.storage.url))
    typer.echo(f"already at {after}" if before == after else f"migrated from {before or 'nothing'} to {after}")


async def _migrate(url: str) -> tuple[str | None, str | None]:
    revisions = await migrating.migrate(url)
    database = Database(url)
    try:
        await refolding.complete(database)
    finally:
        await database.dispose()
    return revisions


@app.command()
def reindex() -> None:
    """Fold the texts that are searched anew: after a new Python, and when the last gateway of an old version ended."""
    settings = load()
    check_migrated(settings)
    _run(_reindex(settings))


async def _reindex(settings: Settings) -> None:
    async with opened(settings) as services:
        changed = await refolding.refold(services.database, lambda table, rows: typer.echo(f"  {table}: {rows} rows"))
        mended = await align(services.database)
    typer.echo(f"{changed} rows were folded anew, by Unicode {UNICODE}; {mended} jobs were brought in line")


@app.command("index-texts")
def index_texts() -> None:
    """Let PostgreSQL find parts of texts by indexes (pg_trgm), made beside gateways that serve."""
    settings = load()
    check_migrated(settings)
    _run(_index_texts(settings))


async def _index_texts(settings: Settings) -> None:
    async with opened(settings) as services:
        try:
            build()
            columns = searched()
            made = await trigrams.make(services.database, columns, lambda step: typer.echo(f"  {step}"))
        except trigrams.NoTrigrams as error:
            fail(str(error), WRONG)
    typer.echo(f"{made} indexes were made" if made else "all indexes are there")


app.command()(evaluating.evaluate)
app.command()(exporting.export)
app.command()(uploading.upload)
app.add_typer(files_of)
app.add_typer(specs, name="specs")


@app.command()
def schema() -> None:
    """Print the schema in SDL."""
    typer.echo(build().as_str())


@app.command()
def worker(
    bundle: Annotated[
        Path | None, typer.Option(help="Write the worker into this file, for machines with Python and nothing else.")
    ] = None,
    collect: Annotated[str | None, typer.Option(help="Tell that a batch has ended, and how.")] = None,
) -> None:
    """Run the task that TORANA_WORKER_TOKEN lets claim at TORANA_GATEWAY, in the present folder; engines do this."""
    if bundle is not None:
        bundle.write_bytes(make_bundle())
        typer.echo(f"wrote {bundle}; run it with python3 {bundle}")
        return
    sys.exit(run_worker(["collect", collect] if collect is not None else []))


@app.command()
def access(
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print docs/access.md.")] = False,
) -> None:
    """Print who may do what: each role, each type, each guarded field, as it is declared."""
    matrix = Matrix(build().core)
    typer.echo(matrix.json() if json else matrix.markdown() if markdown else matrix.text())


@app.command()
def settings() -> None:
    """Print every setting: its variable, its default, what it means."""
    typer.echo(f"Settings are read from variables, then from the TOML file that {FILE} names.\n")
    for group in groups().values():
        for name, field in group.model_fields.items():
            default = field.get_default()
            shown = "" if name == "secret_keys" else ",".join(default) if isinstance(default, list) else default
            typer.echo(f"TORANA_{name.upper()}={shown}\n    {field.description}")


def _serve(settings: Settings) -> None:
    _check_port(settings.server.host, settings.server.port)
    if (file := file_of(parse_address(settings.storage.url))) is not None:
        with told():
            Database.alone(file).close()
    application = create_app(settings)
    gc.collect()
    gc.freeze()  # what is made at the start stays: it need not be looked through again and again
    gc.set_threshold(10_000, 10, 10)  # many short looks, each of some milliseconds
    sys.setswitchinterval(0.001)  # requests are answered while a document is read in a thread
    _give_back()
    uvloop.run(make_server(application, settings.server).serve())


def _give_back() -> None:
    """Have glibc give buffers of 256 KiB and more back to the system when they are freed. By itself it keeps ever
    larger ones, of each thread, once some were freed."""
    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, 256 * 1024)


_MMAP_THRESHOLD = -3


def _check_port(host: str, port: int) -> None:
    """Fail at once when the port is taken, before anything is prepared."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            fail(f"can't listen on {host}:{port}: {error.strerror}; choose another with --port")


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def main() -> None:
    try:
        with told():
            app()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
