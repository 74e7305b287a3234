"""The run: databases, the servers on them, the same questions to each, and a table. `python -m bench [memory]`."""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

import uvloop

from bench import data, memory, node, picture, report
from bench.comparing import Unequal
from bench.data import Filled
from bench.load import Unanswered
from bench.measuring import Measured, Pace, Trial, measured, say
from bench.operations import DOCUMENTS, OWN, Operation, operations
from bench.servers import FLOOR, ROWS, SERVERS, TORANA, NotStarted, Server
from tests.support.postgres import running_postgres

EMBEDDED = 2_000
"""Simulations of the SQLite file, at most."""


async def run(server: str, folder: Path, given: argparse.Namespace) -> str:
    """The report, after everything was measured; with `memory`, how much Torana held while it was asked everything."""
    try:
        filled = await _filled(await data.create(server), given.simulations)
        if given.what == "memory":
            return await memory.watch(filled, folder, minutes=given.minutes)
        urls = dict.fromkeys(given.servers, filled.url)
        common, own = ([one for one in given.only if (one in OWN) is own] for own in (False, True))
        trials = [Trial("PostgreSQL", urls, _asked(filled, common), given.node)] if common else []
        embedded = [each for each in given.servers if each in (TORANA, ROWS, FLOOR)]
        if embedded and own:
            trials.append(Trial("PostgreSQL, lists", dict.fromkeys(embedded, filled.url), _asked(filled, own)))
        if embedded and "page" in given.only:
            file = await _filled(await data.create_file(folder), min(EMBEDDED, given.simulations))
            urls = {each: data.copied(file.url, each.name) for each in embedded}
            trials.append(Trial("SQLite", urls, _asked(file, ["page"])))
        pace = Pace(given.rounds, given.seconds, given.warm_up)
        found = [(trial, await measured(trial, folder, pace)) for trial in trials]
        place = await report.machine(filled.url, given.simulations, pace)
        if given.picture is not None:
            given.picture.write_text(picture.draw(found, place))
        return "\n\n".join([*_tables(found), place])
    finally:
        await data.drop(server)


async def _filled(url: str, simulations: int) -> Filled:
    say(f"fill {url.partition(':')[0]} with {simulations:,} simulations")
    began = time.monotonic()
    filled = await data.fill(url, simulations)
    say(f"filled in {time.monotonic() - began:.1f} s")
    return filled


def _asked(filled: Filled, only: Sequence[str]) -> list[Operation]:
    return [operation for operation in operations(filled) if operation.name in only]


def _tables(found: Sequence[tuple[Trial, Measured]]) -> list[str]:
    tables = []
    for trial, figures in found:
        tables.append(report.table(trial, figures))
        if figures.at_half:
            tables.append(report.at_half(figures))
    return tables


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("what", nargs="?", choices=["speed", "memory"], default="speed", help="what to measure")
    parser.add_argument("--only", default=",".join(DOCUMENTS), help="operations, comma-separated (default: all)")
    named = ",".join(server.name for server in SERVERS)
    parser.add_argument("--servers", default=named, help=f"servers, comma-separated (default: {named})")
    parser.add_argument("--simulations", type=int, default=20_000, help="simulations, of 10 tasks each (default 20000)")
    parser.add_argument("--seconds", type=float, default=4.0, help="seconds of one measurement (default 4)")
    parser.add_argument("--warm-up", type=float, default=3.0, help="seconds of warm-up before each (default 3)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each pair, of which the median counts")
    parser.add_argument("--picture", type=Path, help="draw the result into this SVG file")
    parser.add_argument("--minutes", type=float, default=10.0, help="minutes of `memory` (default 10)")
    given = parser.parse_args()
    if min(given.simulations, given.seconds, given.warm_up, given.rounds, given.minutes) <= 0:
        parser.error("simulations, seconds, warm-up, rounds and minutes are above 0")
    given.only = _chosen(parser, given.only, list(DOCUMENTS))
    names = _chosen(parser, given.servers, [server.name for server in SERVERS])
    given.servers = [server for server in SERVERS if server.name in names]
    return given


def _chosen(parser: argparse.ArgumentParser, text: str, known: Sequence[str]) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if unknown := set(names).difference(known):
        parser.error(f"{', '.join(sorted(unknown))}: not among {', '.join(known)}")
    return names


def _with_node(servers: Sequence[Server]) -> tuple[list[Server], Path | None]:
    """The servers that can be run here, and the `node` for some of them."""
    if any(server.needs_node for server in servers):
        try:
            return list(servers), node.prepared()
        except node.NoNode as error:
            say(f"{', '.join(s.name for s in servers if s.needs_node)}: left out, because {error}")
    return [server for server in servers if not server.needs_node], None


def main() -> None:
    def end(*_: Any) -> NoReturn:
        raise KeyboardInterrupt

    given = options()
    signal.signal(signal.SIGTERM, end)
    try:
        if given.what == "speed":
            given.servers, given.node = _with_node(given.servers)
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="torana-bench-")))
            server = stack.enter_context(running_postgres())
            print(uvloop.run(run(server, folder, given)))
    except (NotStarted, Unanswered, Unequal) as error:
        sys.exit(f"bench: {error}")
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("bench: stopped")


if __name__ == "__main__":
    main()
