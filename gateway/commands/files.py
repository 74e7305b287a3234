"""`torana files`: whether the stored bytes are those of the rows."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from gateway.commands.terminal import WRONG, check_migrated, opened
from gateway.settings import Settings, load
from resolvers.files.verifying import verify

files = typer.Typer(name="files", help="Stored files.", no_args_is_help=True)


@files.callback()
def _group() -> None:
    """Stored files."""


@files.command("verify")
def verify_files(
    quick: Annotated[bool, typer.Option("--quick", help="Compare sizes only, and read no file.")] = False,
) -> None:
    """Compare the rows of files with the stored bytes: presence, size and hash. Ends with 1 when something is wrong."""
    settings = load()
    check_migrated(settings)
    wrong, number, size = asyncio.run(_verify(settings, read=not quick))
    typer.echo(f"{number} stored files of {size:,} bytes; {wrong or 'nothing'} wrong")
    raise SystemExit(WRONG if wrong else 0)


async def _verify(settings: Settings, *, read: bool) -> tuple[int, int, int]:
    """How many are wrong, how many there are, and their bytes."""
    wrong = number = size = 0
    async with opened(settings) as services:
        with Progress(console=Console(stderr=True), transient=True) as bars:
            bar = bars.add_task("verifying", total=None)
            async for one in verify(services.database, services.files.storage, read=read):
                number, size = number + 1, size + one.size
                bars.update(bar, description=f"verifying: {number} files, {size:,} bytes")
                if one.fault is not None:
                    wrong += 1
                    typer.echo(f"{one.digest}: {one.fault}; {one.files} files have them")
    return wrong, number, size
