"""Whether the time of an answer tells who has an account: `python -m bench.timing [seconds]`.

For each mutation that anyone may try, one request for an account that there is and one for none, in turns whose order
changes; then the medians of both, and by how much they differ. Fails when that is over the bound.
"""

import argparse
import asyncio
import contextlib
import itertools
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from db import migrating, models
from gateway.app import bounds_of, make_services
from gateway.operations.documents import Documents, Envelope
from gateway.operations.execution import Execution
from gateway.settings import Settings, load
from resolvers.accounts.sign_in import create_user
from resolvers.context import Context, Services
from schema import build

BOUND = 0.05
"""By how much the medians may differ, of the smaller one."""
KEY = "bench:" + "0123456789abcdefghijklmnopqrstuvwxyz"
PASSWORD = "quiet water under the bridge"
PEOPLE = 500

_LOG_IN = 'mutation($n:String!){r:logIn(username:$n,password:"not the password"){__typename}}'
_PARTICIPANT = 'mutation($n:String!){r:logInParticipant(username:$n,password:"not the password"){__typename}}'
_RESET = "mutation($n:String!){r:requestPasswordReset(email:$n){__typename}}"
_RESEND = "mutation($n:String!){r:resendVerification(email:$n){__typename}}"
_SIGN_UP = """mutation($n:String!,$e:String!){
  r:signUp(input:{username:$n,email:$e,password:"quiet water under the bridge"}){__typename}}"""


@dataclass(frozen=True)
class Pair:
    """A mutation with variables that name an account, and with variables that name none, by the turn."""

    name: str
    document: str
    known: Callable[[int], Mapping[str, str]]
    unknown: Callable[[int], Mapping[str, str]]


PAIRS = (
    Pair("logIn", _LOG_IN, lambda n: {"n": f"user{n % PEOPLE}"}, lambda n: {"n": f"none{n % PEOPLE}"}),
    Pair("logInParticipant", _PARTICIPANT, lambda n: {"n": f"part{n % PEOPLE}"}, lambda n: {"n": f"none{n % PEOPLE}"}),
    Pair("requestPasswordReset", _RESET, lambda n: {"n": _address("user", n)}, lambda n: {"n": _address("none", n)}),
    Pair("resendVerification", _RESEND, lambda n: {"n": _address("user", n)}, lambda n: {"n": _address("none", n)}),
    Pair(
        "signUp, by address", _SIGN_UP,
        lambda n: {"n": f"newer{n}", "e": _address("user", n)},
        lambda n: {"n": f"new{n}", "e": f"new{n}@bench.example"},
    ),
    Pair(
        "signUp, by name", _SIGN_UP,
        lambda n: {"n": f"user{n % PEOPLE}", "e": f"own{n}@bench.example"},
        lambda n: {"n": f"other{n}", "e": f"other{n}@bench.example"},
    ),
)  # fmt: skip


def _address(name: str, n: int) -> str:
    return f"{name}{n % PEOPLE}@bench.example"


class Gateway:
    """Operations in this process, each as it would be after its HTTP request was read."""

    def __init__(self, services: Services, settings: Settings) -> None:
        schema, bounds = build(), bounds_of(settings.operations)
        self._services = services
        self._documents = Documents(schema.core, bounds, keep=10**7)
        self._execution = Execution(schema, bounds, timeout=15)

    async def seconds(self, document: str, variables: Mapping[str, str]) -> float:
        ctx = Context(self._services, client={"ip": "192.0.2.1"})
        began = time.perf_counter()
        answer = await self._execution.run(self._documents.operation(Envelope(document)), variables, ctx)
        took = time.perf_counter() - began
        if "errors" in answer.body:
            raise RuntimeError(answer.body["errors"])
        return took


async def measure(gateway: Gateway, pair: Pair, seconds: float) -> tuple[list[float], list[float]]:
    """The seconds that requests took, for accounts that there are and for none."""
    found: tuple[list[float], list[float]] = ([], [])
    until = time.monotonic() + seconds
    for n in itertools.count():
        turns = [(found[0], pair.known), (found[1], pair.unknown)]
        random.shuffle(turns)
        for times, variables in turns:
            times.append(await gateway.seconds(pair.document, variables(n)))
        if time.monotonic() > until and n >= 20:
            return found[0][5:], found[1][5:]
    raise AssertionError


async def fill(services: Services) -> None:
    """Users whose addresses wait to be confirmed, and participants with passwords."""
    hashed = await services.identity.passwords.hash(PASSWORD)
    async with services.database.write(as_system="bench") as session:
        site = models.Site(name="Bench")
        session.add(site)
        await session.flush()
        project = models.Project(site_id=site.id, name="Bench")
        session.add(project)
        await session.flush()
        for n in range(PEOPLE):
            await create_user(session, f"user{n}", hashed, email=_address("user", n))
            someone = models.Participant(
                project_id=project.id, name=f"P{n}", username=f"part{n}", login_enabled=True, enabled=True
            )
            session.add(someone)
            await session.flush()
            session.add(
                models.Credential(
                    participant_id=someone.id,
                    kind=models.CredentialKind.PASSWORD,
                    secret_hash=hashed,
                    algorithm="argon2id",
                )
            )


async def run(database: str, folder: Path, seconds: float, only: str) -> bool:
    """Print the table; returns whether every pair is within the bound."""
    await migrating.migrate(database)
    settings = load(database_url=database, data_dir=folder, secret_keys=KEY, sign_up=True, task_slots=0)
    services = make_services(settings)
    limits = replace(services.limits, sign_ins_per_account=10**9, sign_ins_per_address=10**9)
    services = replace(services, limits=limits)
    await services.database.start()
    good = True
    try:
        await fill(services)
        gateway = Gateway(services, settings)
        print(f"{'mutation':<24}{'pairs':>7}{'known, ms':>12}{'none, ms':>12}{'differ by':>11}")
        for pair in filter(lambda pair: pair.name.startswith(only), PAIRS):
            known, unknown = await measure(gateway, pair, seconds)
            a, b = statistics.median(known), statistics.median(unknown)
            differ = abs(a - b) / min(a, b)
            good &= differ <= BOUND
            print(f"{pair.name:<24}{len(known):>7}{a * 1000:>12.2f}{b * 1000:>12.2f}{differ:>10.1%}", flush=True)
    finally:
        await services.identity.close()
        await services.database.dispose()
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=20.0, help="for each mutation")
    parser.add_argument("--only", default="", help="mutations whose name begins so")
    parser.add_argument("--database", help="an empty one; by default an SQLite file of its own")
    given: Any = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = given.database or f"sqlite:///{folder / 'timing.db'}"
        if not asyncio.run(run(database, folder, given.seconds, given.only)):
            sys.exit(f"medians differ by more than {BOUND:.0%}")


if __name__ == "__main__":
    main()
