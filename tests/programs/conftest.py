"""A starter of stand-ins for the programs."""

from pathlib import Path

import pytest

from tests.support.programs import Run, Starter, ordered, stand_in


@pytest.fixture
def start(tmp_path: Path) -> Starter:
    def started(like: str, order: str = "", primaries: int = 100, task: int = 1) -> Run:
        return Run(stand_in(like), ordered(like, order and f"standin {order}"), tmp_path, primaries, task)

    return started
