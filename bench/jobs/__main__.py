"""What jobs cost: `python -m bench.jobs [fan-out|queue|idle|overhead|pages ...]`.

fan-out: 200 tasks report twice a second while 500 subscribers, ten people, follow their job, beside others who query;
by one gateway process and by two. queue: 10,000 jobs, claimed and finished on SQLite. idle: what 1,000 idle
subscriptions hold, and whether coming and going leaves something behind. overhead: a job of four tasks beside its
program run by hand. pages: a page of 10 million numbers of two tasks, stored, merged, sliced and downloaded.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

from bench.jobs.fan_out import fan_out
from bench.jobs.idle import idle
from bench.jobs.overhead import overhead
from bench.jobs.pages import pages
from bench.jobs.queue import queue
from tests.support.postgres import running_postgres

QUEUED = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", default=[], help="fan-out, queue, idle, overhead, pages; by default all")
    parser.add_argument("--jobs", type=int, default=QUEUED, help="of the queue")
    parser.add_argument("--minutes", type=float, default=5.0, help="of coming and going")
    parser.add_argument("--primaries", type=int, default=20_000, help="of the job beside its program")
    parser.add_argument("--numbers", type=int, default=10_000_000, help="of the large page, a multiple of 10,000")
    given = parser.parse_args()
    wanted = given.only or ["fan-out", "queue", "idle", "overhead", "pages"]
    with tempfile.TemporaryDirectory() as name, running_postgres() as server:
        folder = Path(name)
        for what in wanted:
            place = folder / what
            place.mkdir()
            match what:
                case "fan-out":
                    asyncio.run(fan_out(server, place))
                case "queue":
                    asyncio.run(queue(place, given.jobs))
                case "idle":
                    asyncio.run(idle(server, place, given.minutes))
                case "overhead":
                    asyncio.run(overhead(place, given.primaries))
                case "pages":
                    asyncio.run(pages(server, place, given.numbers))
                case _:
                    parser.error(f"{what}: there are fan-out, queue, idle, overhead, pages")


main()
