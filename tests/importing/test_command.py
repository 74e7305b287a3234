"""`torana import zerospeech`, as an operator types it."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from gateway import cli
from tests.importing.archives import CHALLENGES, abx, written
from tests.support.databases import Prepared, quick_passwords
from tests.support.platforms import KEY

Typed = Callable[..., Result]


@pytest.fixture
def typed(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Types a command against a database of the test's own."""
    monkeypatch.setattr("gateway.app.Passwords", lambda **_: quick_passwords())
    monkeypatch.setattr("gateway.commands.administration.importing.set_up_logs", lambda *_: None)
    url, _ = asyncio.run(prepared.copy("sqlite"))
    known = dict.fromkeys((name for name in os.environ if name.startswith("TORANA_")), None)
    given = {**known, "TORANA_DATABASE_URL": url, "TORANA_SECRET_KEYS": KEY}

    def run(*words: str | Path) -> Result:
        done = CliRunner().invoke(cli.app, ["import", "zerospeech", *map(str, words)], env=given)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return run


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    files = {"zr1999/entries/track1/0.yaml": abx("Ada", "9.5"), "challenges.json": CHALLENGES}
    return written(tmp_path / "archive", files)


def test_the_report_is_a_table(typed: Typed, archive: Path) -> None:
    done = typed(archive)
    assert done.exit_code == 0
    table, summary = done.stdout.split("\n\n")
    assert table.splitlines()[-1].split() == [
        "zr1999-track1", "zr1999/entries/track1", "1", "0", "0", "0", "english_across", "2", "of", "2", "yes",
    ]  # fmt: skip
    assert summary.splitlines() == [
        "challenges: 1 made, 0 changed, 0 the same",
        "leaderboards: 1 made, 0 changed, 0 the same",
        "entries: 1 made, 0 changed, 0 the same",
        "1 scores stood there as texts, and are numbers now",
    ]


def test_the_report_is_json_and_ends_with_1_where_something_could_not_be_read(typed: Typed, archive: Path) -> None:
    written(archive, {"zr1999/entries/track1/1.yaml": "["})
    done = typed(archive, "--json", "--dry-run")
    assert done.exit_code == 1
    report = json.loads(done.stdout)
    assert report["dryRun"] is True
    assert report["entries"] == {"made": 1, "changed": 0, "same": 0}
    assert [one["file"] for one in report["problems"]] == ["zr1999/entries/track1/1.yaml"]


def test_entries_are_shown_beside_their_files(typed: Typed, archive: Path) -> None:
    done = typed(archive, "--show", "3")
    assert "== zr1999-track1: track1/0.yaml" in done.stdout
    assert any("english_across: '9.5'" in line and '"data": {' in line for line in done.stdout.splitlines())
    assert '"english_across": 9.5' in done.stdout


def test_only_superadmins_import(typed: Typed, archive: Path) -> None:
    done = typed(archive, "--as", "tom")
    assert done.exit_code == 1
    assert "only superadmins may import archives (FORBIDDEN)" in done.stderr


def test_a_file_is_no_folder(typed: Typed, archive: Path) -> None:
    assert typed(archive / "challenges.json").exit_code == 2
