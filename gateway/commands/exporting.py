"""torana export: a list as CSV or as lines of JSON, to a file or to the next program."""

import asyncio
import logging
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import orjson
import typer

from gateway.commands.administration.asking import Asking, Refusal, refusal_of
from gateway.commands.administration.commands import As
from gateway.commands.terminal import WRONG, check_migrated, fail, opened, told
from gateway.protocol.exports import runner
from gateway.protocol.server import set_up_logs
from gateway.settings import Settings, load
from resolvers.failures import Failure
from resolvers.organisation import list_exports
from resolvers.spelling import between_commas
from schema import build
from schema.lists.exporting import Format, export_of

Object = Annotated[str | None, typer.Option(metavar="JSON", help="As the list's argument of this name.")]


def export(
    list: Annotated[str, typer.Argument(help="Which list of the schema's root, such as simulations.")],
    format: Annotated[Format, typer.Option(help="How rows are written.")] = Format.CSV,
    fields: Annotated[str | None, typer.Option(help="Fields of a row, with commas between: title,project.name")] = None,
    filter: Object = None,
    order_by: Object = None,
    to: Annotated[Path | None, typer.Option(help="Write into this file; without, to the next program.")] = None,
    as_: As = None,
) -> None:
    """Export a list: all rows that meet a filter, as CSV or as lines of JSON."""
    with told(WRONG):
        settings = load()
        set_up_logs(settings.server.log_format, logging.WARNING)
        settings.sign_in.keys  # noqa: B018
        check_migrated(settings)
        names = between_commas(fields or "")
        given = (names, _object(filter, "--filter"), _object(order_by, "--order-by"))
        if to is None:
            _print(_export(settings, list, format, given, sys.stdout.buffer, as_))
            return
        made = to.with_name(f".{to.name}.{os.getpid()}")
        try:
            with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                asyncio.run(_export(settings, list, format, given, file, as_))
            made.replace(to)
        finally:
            made.unlink(missing_ok=True)


def _print(work: Coroutine[Any, Any, None]) -> None:
    """Ends in silence when the next program wants no more."""
    try:
        asyncio.run(work)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _object(text: str | None, option: str) -> Any:
    if text is None:
        return None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise typer.BadParameter(f"this is not JSON: {error}", param_hint=option) from None
    if not isinstance(value, dict):
        raise typer.BadParameter("this is not a JSON object", param_hint=option)
    return value


async def _export(settings: Settings, name: str, format: Format, given: Any, file: BinaryIO, as_: str | None) -> None:
    async with opened(settings) as services:
        try:
            ask = Asking.of(settings, services, "torana export")
            ask = ask if as_ is None else await ask.as_user(as_)
            names, filter, order = given
            made = export_of(build().core, name, names, filter, order)
            lines = made.lines(runner(ask.context, ask.documents, ask.execution), format)
            first = await anext(lines)
            await list_exports.note(ask.context, name, format.value, names, filter and orjson.dumps(filter).decode())
            file.write(first)
            async for piece in lines:
                file.write(piece)
        except Failure as failure:
            fail(str(refusal_of(failure)), WRONG)
        except Refusal as refusal:
            fail(str(refusal), WRONG)
