"""What was measured, as Markdown."""

import os
import platform
import statistics

import asyncpg  # type: ignore[import-untyped]

from bench.measuring import CONNECTIONS, LONGER, SCHEDULED, Measured, Pace, Trial
from bench.servers import FLOOR, TORANA


def table(trial: Trial, measured: Measured) -> str:
    """The medians over the rounds, with how they compare with the floor and with Torana."""
    middle = measured.middle
    lines = [
        f"| {trial.title} | server | requests/s | median ms | p99 ms | ratio to floor | Torana's ratio to it |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for operation, server in trial.pairs():
        f = middle[operation.name, server.name]
        floor, torana = (middle.get((operation.name, other.name)) for other in (FLOOR, TORANA))
        lines.append(
            f"| {operation.name} | {server.name} | {f.per_second:.1f} | {f.median:.1f} | {f.p99:.1f} "
            f"| {'' if floor is None else f'{f.per_second / floor.per_second:.2f}'} "
            f"| {'' if torana is None else f'{torana.per_second / f.per_second:.2f}'} |"
        )
    return "\n".join(lines)


def at_half(measured: Measured) -> str:
    """The latencies at half of the peak rate."""
    lines = [
        f"| {SCHEDULED}, sent at half of the peak rate | requests/s sent | median ms | p99 ms |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, rounds in measured.at_half.items():
        rate, median, p99 = (
            statistics.median(values) for values in zip(*((r, f.median, f.p99) for r, f in rounds), strict=True)
        )
        lines.append(f"| {name} | {rate:.1f} | {median:.1f} | {p99:.1f} |")
    return "\n".join(lines)


async def machine(url: str, simulations: int, pace: Pace) -> str:
    """Where and how it was measured."""
    connection = await asyncpg.connect(url)
    try:
        version = (await connection.fetchval("SHOW server_version")).split()[0]
    finally:
        await connection.close()
    return (
        f"{os.cpu_count()} cores, shared by the server, the database and the load; Python {platform.python_version()}, "
        f"PostgreSQL {version}; {simulations:,} simulations; {CONNECTIONS} connections, one process of each "
        f"server, one asked at a time; medians of {pace.rounds} rounds of {pace.seconds:g} s "
        f"({LONGER * pace.seconds:g} s at half of the peak rate) after {pace.warm_up:g} s of warm-up."
    )
