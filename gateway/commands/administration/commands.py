"""How a command is declared: a coroutine asks, and what it returns is printed."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
import typer

from gateway.commands.administration.asking import Asking, Refusal, refusal_of
from gateway.commands.tables import Cell, card, columns
from gateway.commands.terminal import WRONG, check_migrated, fail, opened, told
from gateway.protocol.server import set_up_logs
from gateway.settings import Settings, load
from resolvers.failures import Failure


@dataclass(frozen=True, slots=True)
class Shown:
    """What a command prints: `data` for programs, `text` for people, with a word beside it."""

    data: Any
    text: str
    beside: str = ""


As = Annotated[str | None, typer.Option("--as", help="The user to ask as, by username; without, the operator.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask for confirmation.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Rows at most; without, all.")]

Work = Callable[..., Awaitable[Shown]]


def group(name: str, help: str) -> typer.Typer:
    return typer.Typer(name=name, help=help, no_args_is_help=True)


def command(app: typer.Typer, name: str) -> Callable[[Work], Work]:
    """Make a command of a coroutine: its first parameter asks, the others and its docstring are the command's."""

    def declare(work: Work) -> Work:
        def run(**given: Any) -> None:
            as_, as_json = given.pop("as_"), given.pop("json_")
            with told(WRONG):
                settings = load()
                set_up_logs(settings.server.log_format, logging.WARNING)
                settings.sign_in.keys  # noqa: B018
                check_migrated(settings)
                shown = asyncio.run(_shown(settings, work, f"torana {app.info.name} {name}", as_, given))
            _print(shown, as_json=as_json)

        own = [*inspect.signature(work).parameters.values()][1:]
        keyword = inspect.Parameter.KEYWORD_ONLY
        common = [
            inspect.Parameter("as_", keyword, default=None, annotation=As),
            inspect.Parameter("json_", keyword, default=False, annotation=Json),
        ]
        parameters = [*(parameter.replace(kind=keyword) for parameter in own), *common]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        run.__doc__ = work.__doc__
        app.command(name)(run)
        return work

    return declare


async def _shown(settings: Settings, work: Work, agent: str, as_: str | None, given: Mapping[str, Any]) -> Shown:
    async with opened(settings) as services:
        try:
            ask = Asking.of(settings, services, agent)
            return await work(ask if as_ is None else await ask.as_user(as_), **given)
        except Failure as failure:
            fail(str(refusal_of(failure)), WRONG)
        except Refusal as refusal:
            fail(str(refusal), WRONG)


def _print(shown: Shown, *, as_json: bool) -> None:
    if as_json:
        typer.echo(orjson.dumps(shown.data, option=orjson.OPT_INDENT_2).decode())
    else:
        typer.echo(shown.text)
    if shown.beside:
        typer.echo(shown.beside, err=True)


def rows(found: Any, cells: Mapping[str, Cell]) -> Shown:
    """A list, as a table."""
    return Shown(
        found.nodes,
        columns(found.nodes, cells) if found.nodes else "none",
        f"the first {len(found.nodes)}; --limit shows more" if found.more else "",
    )


def one(node: Mapping[str, Any], cells: Mapping[str, Cell]) -> Shown:
    return Shown(node, card(node, cells))


def confirm(question: str, *, yes: bool) -> None:
    """Ask before an action that can't be undone; ends the command unless the answer is yes."""
    if not yes and not typer.confirm(question, err=True):
        fail("nothing was changed", WRONG)


def needs_one(**options: str | None) -> tuple[str, str]:
    """The only option that was given; a usage error when there is none, or several."""
    given = [(name, value) for name, value in options.items() if value is not None]
    if len(given) != 1:
        names: Sequence[str] = [f"--{name.replace('_', '-')}" for name in options]
        raise typer.BadParameter(f"give one of {', '.join(names)}")
    return given[0]
