"""Virtual environments of oracles, whose pins contradict those of the project. They are made on first use, in the
project's own, which nothing commits and `make clean` removes, and kept until their requirements change."""

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

KEPT = Path(__file__).parents[2] / ".venv" / "oracles"


def python_of(name: str, requirements: list[str], alone: list[str]) -> str:
    """The Python of an oracle, with `requirements`, and with `alone` without theirs. Skips where they can't be had."""
    wanted = hashlib.sha256(repr((sys.version, requirements, alone)).encode()).hexdigest()[:16]
    folder = KEPT / f"{name}-{wanted}"
    python = folder / "bin" / "python"
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / f"{name}.lock").open("w") as lock:  # several processes of tests may want it
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            _make(name, folder, requirements, alone)
    return str(python)


def _make(name: str, folder: Path, requirements: list[str], alone: list[str]) -> None:
    install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    commands = [
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [*install, *requirements],
        [*install, "--no-deps", *alone],
    ]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"the oracle {name} can't be installed")
    (folder / "made").touch()
