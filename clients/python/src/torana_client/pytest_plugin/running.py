"""The gateway of a test session, as the tests have it: where it is, whom it knows, and how to speak with it."""

import json
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torana_client.pytest_plugin.tables import Tables

if TYPE_CHECKING:
    from torana_client import AsyncClient, Client
    from torana_client.pytest_plugin.people import Principal

START = 120.0
"""Seconds within which a gateway must have started."""
GRACE = 20.0
"""Seconds within which it must have ended."""
PATIENCE = 60.0
"""Seconds within which it must do a command."""
MISSING = "the fixtures of Torana need the gateway: pip install 'torana-client[pytest]'"

_SETTINGS: Mapping[str, Any] = {
    "task_slots": 0,
    "dispatch": False,
    "access_minutes": 1440,  # longer than tests run: nobody has to sign in again
    "sign_in_attempts": 1_000_000,  # tests sign in often, from one address
    "account_attempts": 1_000_000,
    "max_connections": 500,
    "log_format": "text",
}
_OWN = ("database_url", "data_dir", "secret_keys", "host", "port")
"""Settings that can't be given."""


class NotRunning(Exception):
    """The gateway could not start, or has ended; the message says why, as far as it is known."""


class Statements:
    """The SQL statements of the requests that were asked while it recorded, whoever asked. What finds out who asks is
    not counted. A WebSocket is one request."""

    def __init__(self, gateway: "Gateway") -> None:
        self._gateway = gateway
        self._number: int = gateway.command("record")["recorder"]
        self._found: dict[str, Any] | None = None

    @property
    def texts(self) -> Sequence[str]:
        """The statements, in the order of the requests' answers."""
        texts: list[str] = self._told()["texts"]
        return texts

    @property
    def commits(self) -> int:
        """The transactions that were committed; those of WebSockets are not counted."""
        commits: int = self._told()["commits"]
        return commits

    @property
    def requests(self) -> int:
        """The requests that were answered."""
        requests: int = self._told()["requests"]
        return requests

    @property
    def count(self) -> int:
        """The number of statements."""
        return len(self.texts)

    def end(self) -> None:
        """Stop recording. What was recorded can still be read."""
        if self._found is None:
            self._found = self._gateway.command("end", recorder=self._number)

    def __len__(self) -> int:
        return self.count

    def __repr__(self) -> str:
        return f"<{self.count} statements of {self.requests} requests>"

    def _told(self) -> dict[str, Any]:
        return self._found or self._gateway.command("show", recorder=self._number)


class Gateway:
    """A gateway that runs in a process of its own, on a port of 127.0.0.1 and an SQLite file in a folder.

    `folder` keeps the database and the log; `given` are settings by their names without `TORANA_`. Variables of the
    environment that begin with `TORANA_` are not read. Raises NotRunning when it does not start.
    """

    superadmin: "Principal"
    """A superadmin whom the database has from the start."""

    def __init__(self, folder: Path, given: Mapping[str, Any]) -> None:
        if taken := set(_OWN) & set(given):
            raise NotRunning(f"the gateway under test has its own {', '.join(sorted(taken))}")
        self.log = folder / "torana.log"
        """The file with the gateway's log."""
        file = folder / "data" / "torana.db"
        self.database = f"sqlite:///{file}"
        """The address of the database, as `TORANA_DATABASE_URL` has it."""
        self._lock = threading.Lock()
        self._link, theirs = socket.socketpair()
        with theirs, self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(Path(__file__).with_name("child.py")), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env={name: value for name, value in os.environ.items() if not name.startswith("TORANA_")},
                start_new_session=True,  # Ctrl-C is for the tests; the gateway ends with them
            )
        self._lines = self._link.makefile("rb")
        key = f"test:{secrets.token_urlsafe(48)}"
        own = {"database_url": self.database, "data_dir": str(file.parent), "secret_keys": key}
        try:
            self._link.settimeout(START)
            started = self._said({**_SETTINGS, **given, **own})
            if "port" not in started:
                missing = started.get("missing")
                raise NotRunning(f"{MISSING} ({missing})" if missing else f"a setting is wrong: {started['wrong']}")
            self._link.settimeout(PATIENCE)
            self.address = f"http://127.0.0.1:{started['port']}"
            """Where the gateway is: the scheme, the host and the port."""
            self.url = f"{self.address}/graphql"
            """The GraphQL endpoint."""
            self.account = (started["username"], started["password"])
            """The name and the password of the superadmin."""
            self.tables = Tables(file, lambda: self.command("forget"))
        except BaseException:
            self.close()
            raise

    def client(self, principal: "Principal | None" = None, **options: Any) -> "Client":
        """A client that asks as a principal, or as nobody. It is a context manager; `options` are the client's own."""
        from torana_client import Client

        return Client(self.url, token=None if principal is None else principal.token, **options)

    def async_client(self, principal: "Principal | None" = None, **options: Any) -> "AsyncClient":
        """The same for coroutines: `async with torana.async_client(principal) as client`."""
        from torana_client import AsyncClient

        return AsyncClient(self.url, token=None if principal is None else principal.token, **options)

    @contextmanager
    def statements(self) -> Iterator[Statements]:
        """Record the SQL statements of what is asked inside."""
        recorded = Statements(self)
        try:
            yield recorded
        finally:
            recorded.end()

    def command(self, do: str, **given: Any) -> dict[str, Any]:
        """Have the gateway do something that no request does. Raises NotRunning when it has ended."""
        return self._said({"do": do, **given})

    def close(self) -> None:
        """End the gateway, and wait for it."""
        if hasattr(self, "tables"):
            self.tables.close()
        self._lines.close()
        self._link.close()  # which it hears
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _said(self, message: dict[str, Any]) -> dict[str, Any]:
        """The answer to a message."""
        with self._lock:
            try:
                self._link.sendall(json.dumps(message).encode() + b"\n")
                line = self._lines.readline()
            except TimeoutError:
                raise NotRunning(f"the gateway does not answer{self._tail()}") from None
            except OSError:
                line = b""
        if not line:
            raise NotRunning(f"the gateway has ended{self._tail()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _tail(self) -> str:
        """The last lines of the log."""
        lines = self.log.read_text(errors="replace").splitlines()[-20:]
        return "; its log ends so:\n" + "\n".join(lines) if lines else ""
