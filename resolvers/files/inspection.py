"""Have an archive looked through by a process of its own, which can't take more than its share of the machine."""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LASTS = 1_800.0
"""Seconds that one inspection may take."""


async def inspected(path: Path, name: str) -> Mapping[str, Any] | None:
    """Why an archive is not taken, as code, message and entry; None when nothing is wrong with it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "jobs.archives",
        str(path),
        name,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    try:
        async with asyncio.timeout(LASTS):
            said, _ = await process.communicate()
    except TimeoutError:
        return {"code": "ARCHIVE_TOO_LONG", "message": f"looking through it took more than {LASTS:.0f} s"}
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        return {"code": "ARCHIVE_UNREADABLE", "message": "it could not be looked through within its bounds"}
    finding: Mapping[str, Any] | None = json.loads(said)
    return finding
