"""What challenges cost: `python -m bench.challenges [rebuild|followers|turns ...]`.

rebuild: a leaderboard of 10,000 entries is built, on both databases, as after an evaluation and as after a change of
its columns. followers: it is built while 100 subscribers follow it and two connections read it: what any of them sees
is all of one build. turns: 500 submissions to one challenge wait, and one to another that came last; one is evaluated
at a time.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

from bench.boards import ENTRIES
from bench.challenges.following import followers
from bench.challenges.rebuilding import rebuild
from bench.challenges.turns import turns
from tests.support.postgres import running_postgres


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", default=[], help="rebuild, followers, turns; by default all")
    parser.add_argument("--entries", type=int, default=ENTRIES, help="of the leaderboard")
    parser.add_argument("--rounds", type=int, default=7, help="how often it is built")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, running_postgres() as server:
        for what in given.only or ["rebuild", "followers", "turns"]:
            folder = Path(name) / what
            folder.mkdir()
            match what:
                case "rebuild":
                    asyncio.run(rebuild(server, folder, given.entries, given.rounds))
                case "followers":
                    asyncio.run(followers(server, folder, given.entries, given.rounds))
                case "turns":
                    asyncio.run(turns(server, folder))
                case _:
                    parser.error(f"{what}: there are rebuild, followers, turns")


main()
