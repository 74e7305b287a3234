"""Run commands where a cluster is: on this machine, or on the cluster's login node over SSH.

No shell interprets the words of a command unless it was asked to.
"""

import asyncio
import contextlib
import hashlib
import os
import re
import shlex
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import SSHCertificate, load_ssh_public_identity

from jobs.engine import Away, Login, Refused
from jobs.engines.launching import signal_group

CONNECTING = 10
"""Seconds within which a connection must be made."""
IDLE = 60
"""Seconds for which an unused connection is kept."""
HUNG = 124
"""The exit status with which `timeout` says that it ended a command."""
_PRINCIPAL = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]*")
_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "TMPDIR", "TZ")
"""The environment variables that commands get: none of the gateway's secrets is among them."""
_PUT = (
    'umask 077; cat >"$1.$$" && test "$(wc -c <"$1.$$")" -eq "$2" && chmod "$3" "$1.$$" && mv -f -- "$1.$$" "$1"'
    ' || { rm -f -- "$1.$$"; exit 1; }'
)


class LoginRefused(Refused):
    """The cluster can't be used with this login, now or later; the message is for its owner."""


@dataclass(frozen=True, slots=True)
class Result:
    """The exit status of a command, and what it wrote to standard output and to standard error."""

    status: int
    out: str
    err: str


class Shell(Protocol):
    """Runs commands. `user` is the account that they run as."""

    user: str

    async def run(self, command: Sequence[str], *, stdin: bytes = b"", within: float) -> Result:
        """Run a command in the user's home folder, for at most `within` seconds.

        Raises Away when it could not be started or did not end in time, and LoginRefused.
        """


async def put(shell: Shell, path: str, data: bytes, mode: int, *, within: float) -> None:
    """Write a file whole or not at all; raises Away when that fails."""
    command = ("sh", "-c", _PUT, "sh", path, str(len(data)), f"{mode:o}")
    if (await shell.run(command, stdin=data, within=within)).status:
        raise Away(f"{Path(path).name} could not be written on the cluster")


class LocalShell:
    """Runs commands on this machine."""

    def __init__(self) -> None:
        self.user = getuser()

    async def run(self, command: Sequence[str], *, stdin: bytes = b"", within: float) -> Result:
        return await _run(command, stdin, within)


class Ssh:
    """Makes shells on `host` for users with a certificate, by the OpenSSH client `program`.

    The host's key must be in the file `known_hosts`. Users log in as `user`, or else as the first principal of their
    certificate. The commands of a login share one connection; at most `at_once` run at the same time. Keys are on disk
    only while a command runs, for this user alone. Raises ValueError.
    """

    def __init__(
        self, host: str, known_hosts: str, *, user: str = "", port: int = 22, program: str = "ssh", at_once: int = 8
    ) -> None:
        if not _HOST.fullmatch(host):
            raise ValueError("host: it is not the name or address of a host")
        if not known_hosts:
            raise ValueError("known_hosts: the file with the host's key is needed")
        if user and not _PRINCIPAL.fullmatch(user):
            raise ValueError("user: it is not the name of a user")
        self._host = host
        self._user = user
        self._known_hosts = known_hosts
        self._port = port
        self._program = program
        self._free = asyncio.Semaphore(at_once)
        self._folder: Path | None = None

    def __call__(self, login: Login | None) -> "SshShell":
        """Raises LoginRefused when the login is missing, unreadable or out of date."""
        if login is None:
            raise LoginRefused("the cluster wants your SSH certificate; store one that is valid")
        return SshShell(self, login, self._user or _principal(login))

    async def run(self, login: Login, user: str, command: Sequence[str], stdin: bytes, within: float) -> Result:
        """Like Shell.run."""
        _check_time(login)
        # The far side ends what hangs: here only the connection could be closed.
        remote = shlex.join(["timeout", "-k", "2", f"{within:g}", *command])
        async with self._free:
            with self._identity(login) as options:
                words = [self._program, *self._options(login, user), *options, "--", self._host, remote]
                result = await _run(words, stdin, within + CONNECTING + 2)
        if result.status == HUNG:
            raise Away(_late(command, within))
        if result.status == 255:
            raise _lost(result.err)
        return result

    def _options(self, login: Login, user: str) -> list[str]:
        settings = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": _quoted(self._known_hosts),
            "GlobalKnownHostsFile": "none",
            "UpdateHostKeys": "no",
            "PreferredAuthentications": "publickey",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "ClearAllForwardings": "yes",
            "ConnectTimeout": CONNECTING,
            "ServerAliveInterval": 5,
            "ServerAliveCountMax": 3,
            "LogLevel": "ERROR",
            "ControlMaster": "auto",
            "ControlPersist": IDLE,
            "ControlPath": _quoted(self._own() / self._socket(login, user)),
        }
        options = [f"-o{name}={value}" for name, value in settings.items()]
        return ["-F", "none", "-T", *options, "-p", str(self._port), "-l", user]

    def _own(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="torana-ssh-"))
        return self._folder

    @staticmethod
    def _socket(login: Login, user: str) -> str:
        """The name of the connection's socket. Logins never share one: with an open connection nobody needs a key."""
        return hashlib.sha256("\0".join((user, login.private_key, login.certificate)).encode()).hexdigest()[:16]

    @contextlib.contextmanager
    def _identity(self, login: Login) -> Iterator[list[str]]:
        folder = Path(tempfile.mkdtemp(prefix="key-", dir=self._own()))
        try:
            key, certificate = folder / "key", folder / "certificate"
            for path, text in ((key, login.private_key), (certificate, login.certificate)):
                with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                    file.write(text.strip() + "\n")
            yield [f"-oIdentityFile={_quoted(key)}", f"-oCertificateFile={_quoted(certificate)}"]
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def close(self) -> None:
        """Close the kept connections."""
        folder, self._folder = self._folder, None
        if folder is None:
            return
        for socket in [path for path in folder.iterdir() if path.is_socket()]:
            ending = [self._program, "-F", "none", f"-oControlPath={_quoted(socket)}", "-O", "exit", self._host]
            with contextlib.suppress(Away):
                await _run(ending, b"", 5.0)
        shutil.rmtree(folder, ignore_errors=True)


class SshShell:
    """Runs commands of one user on the host."""

    def __init__(self, ssh: Ssh, login: Login, user: str) -> None:
        self.user = user
        self._ssh = ssh
        self._login = login

    async def run(self, command: Sequence[str], *, stdin: bytes = b"", within: float) -> Result:
        return await self._ssh.run(self._login, self.user, command, stdin, within)


def _certificate(login: Login) -> SSHCertificate:
    with contextlib.suppress(ValueError, TypeError, UnsupportedAlgorithm):
        found = load_ssh_public_identity(login.certificate.strip().encode())
        if isinstance(found, SSHCertificate):
            return found
    raise LoginRefused("your SSH certificate can't be read; store it as OpenSSH writes it")


def _principal(login: Login) -> str:
    for name in _certificate(login).valid_principals:
        if _PRINCIPAL.fullmatch(decoded := name.decode(errors="replace")):
            return decoded
    raise LoginRefused("your SSH certificate names no user of the cluster")


def _check_time(login: Login) -> None:
    until = _certificate(login).valid_before
    if until <= datetime.now(UTC).timestamp():
        raise LoginRefused(f"your SSH certificate ended at {datetime.fromtimestamp(until, UTC):%Y-%m-%d %H:%M} UTC")


def _lost(said: str) -> Away | LoginRefused:
    """Why the connection failed, without what ssh says of keys and paths."""
    if "Permission denied" in said:
        return LoginRefused("the cluster does not take your SSH certificate")
    for sign, sentence in {
        "ost key": "the cluster's host key is not the one that is known",
        "HOST IDENTIFICATION": "the cluster's host key is not the one that is known",
        "timed out": "the cluster did not answer",
        "Connection refused": "the cluster refused the connection",
        "resolve": "the address of the cluster was not found",
    }.items():
        if sign in said:
            return Away(sentence)
    return Away("the connection to the cluster was lost")


def _quoted(path: str | Path) -> str:
    """A path quoted for an option of ssh, which splits it at blanks and expands per cent signs."""
    return '"' + str(path).replace("%", "%%") + '"'


def _environment() -> Mapping[str, str]:
    return {name: os.environ[name] for name in _KEPT if name in os.environ}


def _home() -> str:
    home = os.path.expanduser("~")
    return home if os.path.isdir(home) else "/"


def _late(command: Sequence[str], within: float) -> str:
    words = [word for word in command if word != "env" and "=" not in word]
    return f"{Path(words[0]).name} did not end within {within:g} s"


async def _run(command: Sequence[str], stdin: bytes, within: float) -> Result:
    """Run a command on this machine. Whatever happens, the command and what it started are gone afterwards."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=_home(),
            env=_environment(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise Away(f"{Path(command[0]).name} could not be started: {error.strerror}") from None
    ended = False
    try:
        async with asyncio.timeout(within):
            out, err = await process.communicate(stdin)
        ended = True
    except TimeoutError:
        raise Away(_late(command, within)) from None
    finally:
        if not ended:
            signal_group(process.pid, signal.SIGKILL)
            await process.wait()
    assert process.returncode is not None
    return Result(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))
