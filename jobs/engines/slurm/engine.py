"""The Slurm engine: a batch is an array job, whose indices are the ordinals of its tasks, and a job after it.

The second job reports when all tasks have ended. Both are looked up by the batch's name among the user's own jobs,
never by their numbers alone: a controller that crashed may give a number again. `scancel` gets numbers that were found
by name, and no name: given both, Slurm 22.05 cancels the whole array when one waiting task was named.
"""

import asyncio
import contextlib
import hashlib
import io
import os
import re
import shlex
import tarfile
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jobs.engine import Away, Batch, Held, Login, Refused, Seen
from jobs.engines.shell import LocalShell, LoginRefused, Result, Shell, Ssh, put
from jobs.engines.slurm.config import SlurmConfig, sbatch_options
from jobs.engines.slurm.scripts import Scripts
from jobs.engines.slurm.squeue import FIELDS, Row, compressed, read_row, see
from jobs.worker.bundle import bundle

COLLECTING = 10
"""Minutes that the job after the tasks may take; it goes on asking a gateway that is away for two."""
KEPT = 14
"""Days after which a batch's folder that nobody removed is deleted; its tokens expire before."""
NAMES = 400
"""The most batches that one command asks for."""
SAID = 300
"""The most characters of Slurm's messages that are passed on."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}")
_FOLDER = re.compile(r"/[A-Za-z0-9_./+@=-]*")
_PATH = re.compile(r"(?<![^\s\"'(=:])/[^\s\"'),;:]+")
_AWAY = re.compile(
    r"contact slurm controller|connect failure|connection refused|timed out|zero bytes|backup controller|"
    r"temporarily unable|unable to establish|configuration source|invalid authentication|munge|endpoint",
    re.IGNORECASE,
)
# $1 the work folder, $2 the client, $3 days; a batch's folder comes as a tar archive. Tells where the work folder is,
# and how large the client that is there.
_STAGE = (
    'set -e; umask 077; mkdir -p -- "$1"; cd -- "$1"; pwd -P; if test -f "$2"; then wc -c <"$2"; else echo 0; fi; '
    'find . -maxdepth 1 -type d -name "torana-*" -mtime +"$3" -exec rm -rf -- {} + || :; tar -xpf - --no-same-owner'
)
_REMOVE = 'cd -- "$1" && rm -rf -- "$2"'


class SlurmEngine:
    """The engine of a cluster with Slurm. `shell_for` gives the shell of a login; `close` ends what the shells share.
    With `personal`, logins are needed.

    A login that is no longer valid can't block others. A batch of its owner is refused; `poll` does not name what it
    already has on the cluster; and `cancel` leaves that to the workers, whom the gateway tells to stop.
    """

    def __init__(
        self,
        config: SlurmConfig,
        shell_for: Callable[[Login | None], Shell],
        *,
        personal: bool,
        close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.personal = personal
        self._config = config
        self._shell_for = shell_for
        self._close = close

    @classmethod
    def of(cls, config: SlurmConfig) -> "SlurmEngine":
        """An engine on this machine, or over SSH when the configuration names a host; raises ValueError."""
        if not config.host:
            return cls(config, lambda _: LocalShell(), personal=False)
        ssh = Ssh(
            config.host,
            config.known_hosts,
            user=config.user,
            port=config.port,
            program=config.ssh,
            at_once=config.connections,
        )
        return cls(config, ssh, personal=True, close=ssh.close)

    def room(self) -> int:
        return self._config.max_array

    async def submit(self, batch: Batch) -> Mapping[str, Any]:
        """Submit a batch; returns the numbers of the array and of the job after it, as texts."""
        name = _checked_name(batch.held.name)
        options = sbatch_options(self._config, batch.options)
        ordinals = sorted(batch.tokens)
        if not ordinals or ordinals[0] < 0 or ordinals[-1] > self._config.max_array:
            raise Refused(f"{self._config.name} takes tasks numbered up to {self._config.max_array}")
        shell = self._shell_for(batch.held.login)
        found = {row.name: row.job for row in await self._rows(shell, [name, _collector(name)])}
        if len(found) == 2:
            return {"array": found[name], "collector": found[_collector(name)]}
        base, client = await self._stage(shell, batch)
        script = Scripts(batch, f"{base}/{name}", client, self._config.prologue)
        try:
            array = found.get(name) or await self._sbatch(
                shell,
                [f"--array={compressed(ordinals)}", f"--job-name={name}", f"--output={base}/{name}/%a.log", *options],
                script.task(),
            )
        except (Away, Refused):  # should it be queued all the same, its workers find no token
            await self._remove(shell, name)
            raise
        try:
            after = [f"--dependency=afterany:{array}", f"--job-name={_collector(name)}", "--output=/dev/null"]
            plain = {key: batch.options[key] for key in ("partition", "account") if batch.options.get(key)}
            plain |= {"minutes": COLLECTING}
            if memory := batch.options.get("megabytes"):
                plain |= {"megabytes": min(memory, 512)}
            collector = await self._sbatch(shell, [*after, *sbatch_options(self._config, plain)], script.collect())
        except Refused:
            await self._command(shell, self._config.scancel, array)
            await self._remove(shell, name)
            raise
        except Away:  # the tasks run without it
            return {"array": array}
        return {"array": array, "collector": collector}

    async def cancel(self, held: Held, ordinals: Sequence[int]) -> None:
        name = _checked_name(held.name)
        with contextlib.suppress(LoginRefused):
            shell = self._shell_for(held.login)
            rows = [row for row in await self._rows(shell, [name, _collector(name)]) if row.live]
            tasks = [row for row in rows if row.name == name]
            wanted: defaultdict[str, list[int]] = defaultdict(list)
            left = False
            for row in tasks:
                for index in row.indices:
                    if index in ordinals:
                        wanted[row.job].append(index)
                    else:
                        left = True
            if not wanted:
                return
            targets = [f"{job}_[{compressed(indices)}]" for job, indices in wanted.items()]
            if not left:
                targets += {row.job for row in rows if row.name == _collector(name)}
            # What has ended meanwhile makes it fail, which is no fault.
            await self._command(shell, self._config.scancel, *targets)
            if not left:
                await self._remove(shell, name)

    async def poll(self, held: Sequence[Held]) -> Mapping[str, Mapping[int, Seen]]:
        """What the engine knows of these batches. Raises Away when no owner's batches could be looked up; where some
        could, those of the others are not named."""
        names: defaultdict[Login | None, list[str]] = defaultdict(list)
        for one in held:
            names[one.login].append(_checked_name(one.name))
        answers = await asyncio.gather(*(self._look_up(*each) for each in names.items()), return_exceptions=True)
        found: dict[str, dict[int, Seen]] = {}
        away: list[Away] = []
        for answer in answers:
            if isinstance(answer, Away):
                away.append(answer)
            elif isinstance(answer, BaseException) and not isinstance(answer, LoginRefused):
                raise answer
            elif isinstance(answer, list):
                see(answer, found)
        if away and len(away) + sum(isinstance(answer, LoginRefused) for answer in answers) == len(answers):
            raise away[0]
        return found

    async def close(self) -> None:
        if self._close is not None:
            await self._close()

    async def _look_up(self, login: Login | None, names: Sequence[str]) -> list[Row]:
        shell = self._shell_for(login)
        rows = []
        for start in range(0, len(names), NAMES):
            rows += await self._rows(shell, names[start : start + NAMES])
        return rows

    async def _rows(self, shell: Shell, names: Iterable[str]) -> list[Row]:
        """The rows of the user's own jobs with these names: names are visible to all users, who may give their jobs the
        same.

        Waiting tasks come together in one row, because squeue's option -r leaves out the last task of an array such as
        1-399:2.
        """
        wanted = set(names)
        given = ("-h", "--me", "-t", "all", "-O", FIELDS, f"--name={','.join(sorted(wanted))}")
        result = await self._command(shell, self._config.squeue, *given)
        if result.status and "Invalid job id" not in result.err:
            raise Away(f"squeue failed: {_words(result.err)}")
        rows = [read_row(line) for line in result.out.splitlines() if line.count("|") >= 6]
        return [row for row in rows if row.name in wanted]

    async def _sbatch(self, shell: Shell, options: Sequence[str], script: str) -> str:
        """Submit a job; returns its number. Raises Refused with the message of sbatch."""
        common = ("--parsable", "--no-requeue", "--export=ALL", "--nodes=1", "--ntasks=1", "--chdir=/")
        result = await self._command(shell, self._config.sbatch, *common, *options, stdin=script.encode())
        if result.status:
            raise Refused(f"Slurm refused it: {_words(result.err)}")
        number = result.out.strip().partition(";")[0]
        if not number.isdecimal():
            raise Away(f"sbatch gave no number but {_words(result.out)!r}")
        return number

    async def _command(self, shell: Shell, program: str, *given: str, stdin: bytes = b"") -> Result:
        """Run one of Slurm's commands; raises Away when it is missing or says that its controller is."""
        settings = {"LC_ALL": "C", "SLURM_TIME_FORMAT": "%s", "SLURM_BITSTR_LEN": "0"}
        environment = {**settings, **self._config.environment}
        words = ("env", *(f"{name}={value}" for name, value in environment.items()), program, *given)
        result = await shell.run(words, stdin=stdin, within=self._config.timeout)
        if result.status in (126, 127):
            raise Away(f"the command {os.path.basename(program)} is not there")
        if result.status and _AWAY.search(result.err):
            raise Away(f"Slurm is away: {_words(result.err)}")
        return result

    async def _stage(self, shell: Shell, batch: Batch) -> tuple[str, str]:
        """Copy what a batch needs to the cluster; returns the work folder, and the command of the client."""
        file, content = "", b""
        if not self._config.client:
            content = await asyncio.to_thread(bundle)
            file = f"torana-worker-{hashlib.sha256(content).hexdigest()[:12]}.pyz"
        words = ("sh", "-c", _STAGE, "sh", self._folder(shell), file, str(KEPT))
        result = await shell.run(words, stdin=_archive(batch), within=self._config.timeout)
        said = result.out.split()
        if result.status or len(said) != 2 or not said[1].isdecimal():
            raise Away(f"the work folder can't be used: {_words(result.err)}")
        base = said[0]
        if not _FOLDER.fullmatch(base):
            raise Away("the work folder's path has characters that Slurm would read as something else")
        if not file:
            return base, shlex.join(self._config.client)
        path = f"{base}/{file}"
        if int(said[1]) != len(content):
            await put(shell, path, content, 0o600, within=self._config.timeout)
        return base, shlex.join((self._config.python, path))

    async def _remove(self, shell: Shell, name: str) -> None:
        """Remove a batch's folder now, if possible; else a later search finds it."""
        words = ("sh", "-c", _REMOVE, "sh", self._folder(shell), name)
        with contextlib.suppress(Away):
            await shell.run(words, within=self._config.timeout)

    def _folder(self, shell: Shell) -> str:
        return self._config.work_dir.removeprefix("~/").replace("{user}", shell.user)


def _collector(name: str) -> str:
    return f"{name}-collect"


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} can't be the name of a batch")
    return name


def _archive(batch: Batch) -> bytes:
    """A tar archive of the batch's folder: a file for each task, named by its ordinal, with its token."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        folder = tarfile.TarInfo(batch.held.name)
        folder.type, folder.mode, folder.mtime = tarfile.DIRTYPE, 0o700, int(datetime.now(UTC).timestamp())
        archive.addfile(folder)
        tokens = {str(ordinal): token for ordinal, token in batch.tokens.items()} | {"collector": batch.collector}
        for name, token in tokens.items():
            entry = tarfile.TarInfo(f"{batch.held.name}/{name}")
            entry.size, entry.mode, entry.mtime = len(token.encode()), 0o600, folder.mtime
            archive.addfile(entry, io.BytesIO(token.encode()))
    return target.getvalue()


def _words(said: str) -> str:
    """The message of a Slurm command, without its own name and without paths."""
    lines = [re.sub(r"^\w+: (error|fatal): ", "", line).strip() for line in said.splitlines()]
    return _PATH.sub("...", "; ".join(line for line in lines if line))[:SAID] or "nothing"
