"""A starter of programs in the sandbox, where this machine can have one."""

from pathlib import Path

import pytest

from jobs.sandbox.commands import Unavailable, available
from tests.sandbox.running import Sandboxes


@pytest.fixture(scope="session")
def means() -> str:
    try:
        return available()
    except Unavailable as why:
        pytest.skip(str(why))


@pytest.fixture
def sandbox(tmp_path: Path, means: str) -> Sandboxes:
    return Sandboxes(tmp_path)
