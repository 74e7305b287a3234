"""The command line, as a person types it."""

import asyncio
import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog

from db.engine import Database
from gateway import cli
from gateway.commands.demo.organisation import ACCOUNTS
from gateway.settings import SettingsError, groups, load
from gateway.settings.sign_in import HOW_TO_MAKE_A_KEY
from tests.support.platforms import KEY
from tests.support.postgres import free_port

GOOD = KEY


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


Torana = Callable[..., Done]


@pytest.fixture
def torana(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Torana]:
    """Run the command line with arguments and `TORANA_...` variables."""

    def run(*arguments: str, **settings: str) -> Done:
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("TORANA_")]:
                patch.delenv(name)
            for name, value in settings.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["torana", *arguments])
            status = 0
            try:
                cli.main()
            except SystemExit as end:
                status = int(end.code or 0)
        return Done(status, *capsys.readouterr())

    configured = structlog.get_config()
    yield run
    structlog.configure(**configured)


@pytest.mark.slow
def test_the_command_is_installed() -> None:
    command = Path(sys.executable).with_name("torana")
    done = subprocess.run([command, "--help"], capture_output=True, text=True, timeout=60, check=True)
    assert "serve" in done.stdout


def test_schema_prints_the_sdl(torana: Torana) -> None:
    done = torana("schema")
    assert done.returncode == 0
    assert "type Simulation implements Node {" in done.stdout


VARIABLES = """
    events_per_minute reply_seconds tidy_sessions_at time_zone
    archive_days files_dir free_bytes output_days page_values project_bytes result_values project_tasks s3_bucket s3_endpoint s3_key s3_links s3_prefix
    s3_region s3_secret upload_bytes upload_hours user_bytes user_tasks
    access_minutes account_attempts allowed_hosts allowed_origins audit_days body_limit body_timeout
    certificate_header chat_webhooks cluster_lease clusters cookie_secure data_dir database_readers database_url database_writers
    deleted_days dispatch documents explorer header_timeout host job_mail_seconds leaked_passwords log_format mail_from mail_log
    max_connections max_cost max_depth max_tasks max_tokens notice_days oidc operation_timeout password_threads
    package_requests package_upstream port programs public_url redis_channel redis_url refresh_days register_device_types rendering secret_keys
    sign_in_attempts sign_up simulation_days smtp_url spec_models stall_timeout task_attempts task_interruptions task_lease task_silence
    task_slots trusted_documents worker_body_limit worker_url
"""
"""In lower case, without TORANA_."""


def test_settings_names_every_setting_with_its_meaning(torana: Torana) -> None:
    told = torana("settings").stdout
    fields = {name: field for group in groups().values() for name, field in group.model_fields.items()}
    for name, field in fields.items():
        assert f"TORANA_{name.upper()}=" in told
        assert field.description
        assert field.description in told
    assert fields.keys() == set(VARIABLES.split()), "operators have set these names: add to them, and rename none"


@pytest.mark.parametrize(
    ("keys", "says"),
    [("", "is not set"), ("k1:short", "is weak"), ("k1:" + "a" * 60, "is weak"), ("nonsense", "must be id:secret")],
)
def test_serve_refuses_a_missing_or_weak_secret_and_says_how_to_make_one(
    torana: Torana, keys: str, says: str, tmp_path: Path
) -> None:
    done = torana("serve", TORANA_SECRET_KEYS=keys, TORANA_DATA_DIR=str(tmp_path))
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    if "must be" not in says:
        assert "Make one: python3 -c" in done.stderr


def test_the_command_that_makes_a_key_makes_a_good_one() -> None:
    made = subprocess.run(HOW_TO_MAKE_A_KEY, shell=True, capture_output=True, text=True, check=True).stdout.strip()
    assert list(load(secret_keys=made).sign_in.keys) == ["k1"]


def test_serve_refuses_a_database_that_is_not_migrated_and_migrate_brings_it_up(torana: Torana, tmp_path: Path) -> None:
    given = {"TORANA_SECRET_KEYS": GOOD, "TORANA_DATA_DIR": str(tmp_path)}
    refused = torana("serve", **given)
    assert refused.returncode == 2
    assert "run: torana migrate" in refused.stderr
    assert "migrated from nothing to" in torana("migrate", **given).stdout
    assert "already at" in torana("migrate", **given).stdout


@pytest.mark.parametrize("command", [["migrate"], ["serve"], ["demo", "--data-dir", "."], ["users", "list"]])
def test_a_database_of_a_newer_version_is_told(
    torana: Torana, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "demo.db"
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        connection.execute("INSERT INTO alembic_version VALUES ('ffffffffffff')")
    port = ["--port", str(free_port())] if command[0] in ("serve", "demo") else []
    done = torana(*command, *port, TORANA_SECRET_KEYS=GOOD, TORANA_DATABASE_URL=f"sqlite:///{file}")
    assert done.returncode in (1, 2)
    assert "at revision ffffffffffff, which this version of Torana does not know" in done.stderr


def test_the_folder_that_migrate_makes_is_its_owners_alone(torana: Torana, tmp_path: Path) -> None:
    torana("migrate", TORANA_SECRET_KEYS=GOOD, TORANA_DATA_DIR=str(tmp_path / "new" / "data"))
    made = (tmp_path / "new", tmp_path / "new" / "data", *(tmp_path / "new" / "data").iterdir())
    assert [path.stat().st_mode & 0o777 for path in made] == [0o700, 0o700, *[0o600] * (len(made) - 2)]


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://", "nonsense"])
def test_a_wrong_database_url_is_told(torana: Torana, url: str, tmp_path: Path) -> None:
    done = torana("migrate", TORANA_DATABASE_URL=url, TORANA_DATA_DIR=str(tmp_path))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "TORANA_DATABASE_URL" in done.stderr


def test_a_database_that_is_away_is_told_without_a_traceback(torana: Torana, tmp_path: Path) -> None:
    url = f"postgresql://postgres@127.0.0.1:{free_port()}/x"
    done = torana("migrate", TORANA_DATABASE_URL=url, TORANA_DATA_DIR=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith("torana: the database or a file can't be used")


def test_settings_come_from_variables_above_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "torana.toml"
    file.write_text('port = 9001\nmax_depth = 7\nallowed_origins = ["https://a.example"]\n')
    monkeypatch.setenv("TORANA_SETTINGS", str(file))
    monkeypatch.setenv("TORANA_PORT", "9002")
    monkeypatch.setenv("TORANA_ALLOWED_HOSTS", "a.example, b.example")
    settings = load()
    assert (settings.server.port, settings.operations.max_depth) == (9002, 7)
    assert settings.server.allowed_origins == ["https://a.example"]
    assert settings.server.allowed_hosts == ["a.example", "b.example"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TORANA_PORT", "x"), ("TORANA_DATABASE_READERS", "0"), ("TORANA_REFRESH_DAYS", "-1"),
        ("TORANA_SMTP_URL", "mail.example"), ("TORANA_MAX_COST", "much"), ("TORANA_CLUSTERS", '[{"name": ""}]'),
        ("TORANA_AUDIT_DAYS", "0"),
    ],
)  # fmt: skip
def test_a_wrong_setting_of_any_group_is_told_by_its_variable(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=f"^{variable}: "):
        load()


@pytest.mark.parametrize(("text", "says"), [("port = 'x'", "TORANA_PORT"), ("colour = 1", "TORANA_COLOUR"), ("port =", "TORANA_SETTINGS")])  # fmt: skip
def test_a_wrong_settings_file_is_told(text: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "torana.toml"
    file.write_text(text)
    monkeypatch.setenv("TORANA_SETTINGS", str(file))
    with pytest.raises(SettingsError, match=says):
        load()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "example.org", "::"])
def test_the_demo_refuses_any_address_but_loopback(torana: Torana, host: str, tmp_path: Path) -> None:
    done = torana("demo", "--host", host, "--data-dir", str(tmp_path / "data"))
    assert done.returncode == 2
    assert "loopback addresses only" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_taken_port_is_told_before_anything_is_prepared(torana: Torana, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = torana("demo", "--port", str(taken.getsockname()[1]), "--data-dir", str(tmp_path / "data"))
    assert done.returncode == 2
    assert "choose another with --port" in done.stderr


@pytest.mark.slow
def test_the_demo_prints_its_address_and_accounts_and_starts_again_on_the_same_data(tmp_path: Path) -> None:
    said = _demo(tmp_path)
    assert "Demonstration data are in place" in said
    for account in ACCOUNTS:
        assert account.username in said
        assert account.password in said
    assert "Demonstration data are in place" not in _demo(tmp_path)
    assert (tmp_path / "secret-keys").stat().st_mode & 0o077 == 0


def _demo(folder: Path) -> str:
    """What a demo says until it answers; it is then stopped with Ctrl-C."""
    port = free_port()
    command = [sys.executable, "-u", "-m", "gateway.cli", "demo", "--port", str(port), "--data-dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        for _ in range(1200):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as response:
                    assert response.status == 200
                    break
            except OSError:
                assert process.poll() is None
                time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert f"http://127.0.0.1:{port}/graphql" in said
    return said


def test_two_gateways_do_not_share_an_sqlite_file(torana: Torana, tmp_path: Path) -> None:
    given = {"TORANA_SECRET_KEYS": GOOD, "TORANA_DATA_DIR": str(tmp_path), "TORANA_PORT": str(free_port())}
    torana("migrate", **given)
    database = Database(f"sqlite:///{tmp_path / 'torana.db'}")
    asyncio.run(database.start())
    done = torana("serve", **given)
    asyncio.run(database.dispose())
    assert done.returncode != 0
    assert "another process serves" in done.stderr


def test_a_second_gateway_on_a_file_says_so_in_a_line(torana: Torana, tmp_path: Path) -> None:
    file = tmp_path / "torana.db"
    url = {"TORANA_DATABASE_URL": f"sqlite:///{file}", "TORANA_DATA_DIR": str(tmp_path)}
    assert torana("migrate", **url).returncode == 0
    with Database.alone(file):
        done = torana("serve", "--port", str(free_port()), TORANA_SECRET_KEYS=GOOD, **url)
    assert done.returncode == 2
    assert "another process serves" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
