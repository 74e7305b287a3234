"""`torana evaluate`: the worker of an organiser, which evaluates the submissions to a challenge with a command of its
own."""

import os
import shutil
import signal
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from gateway.commands.terminal import fail
from jobs.worker.external import Evaluator
from jobs.worker.gateway import Gateway
from jobs.worker.process import adopt

TOKEN = "TORANA_CHALLENGE_TOKEN"  # noqa: S105


def evaluate(
    command: Annotated[
        list[str],
        typer.Argument(
            help="The command, after --. It gets the folders of the submission, the reference data and its output."
        ),
    ],
    version: Annotated[str, typer.Option(help="The version of the command, which evaluations name.")],
    gateway: Annotated[str, typer.Option(envvar="TORANA_GATEWAY", help="The address.")] = "http://127.0.0.1:8000",
    token_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help=f"The token of the challenge; without, {TOKEN} has it."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Evaluate at most one submission, and wait for none.")] = False,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.1, help="How long the command may run; without, as the evaluator's bounds say."),
    ] = None,
) -> NoReturn:
    """Evaluate submissions to a challenge on this machine, until a signal ends it; an evaluation then waits again."""
    token = _token(token_file)
    if not gateway.startswith(("http://", "https://")):
        fail(f"the address of a gateway begins with http:// or https://, not {gateway[:60]}")
    if shutil.which(command[0]) is None:
        fail(f"there is no command {command[0][:200]}")
    evaluator = Evaluator(Gateway(gateway.rstrip("/"), token), command, version, seconds)

    def stop(number: int, _: Any) -> None:
        if evaluator.stopping:  # the second one waits for nothing
            raise SystemExit(128 + number)
        evaluator.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    adopt()
    raise SystemExit(evaluator.run(once=once))


def _token(file: Path | None) -> str:
    try:
        token = (os.environ.get(TOKEN, "") if file is None else file.read_text(encoding="utf-8")).strip()
    except (OSError, UnicodeDecodeError) as error:
        fail(f"the file of the token can't be read: {error}")
    if not token or not token.isascii() or not token.isprintable():
        fail(f"give the token of a challenge, in a file by --token-file or in {TOKEN}")
    return token
