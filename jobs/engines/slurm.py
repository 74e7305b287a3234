"""The engine for clusters that Slurm schedules: a batch is an array job, whose indices are the ordinals of its tasks,
and a job after it that tells when all have ended.

Both are looked up by the batch's name among the user's own jobs, never by their numbers alone: a controller that
crashed may give a number again. `scancel` gets numbers that were found by name, and no name: given both, Slurm 22.05
cancels all of an array of which one waiting task was named.
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
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from jobs.engine import WORD, Away, Batch, Ending, Held, Login, Refused, Seen, State
from jobs.engines.shell import LocalShell, LoginRefused, Result, Shell, Ssh, put
from jobs.worker.bundle import bundle

COLLECTING = 10
"""Minutes that the job which tells of the end may take; it asks a gateway that is away for two."""
KEPT = 14
"""Days after which a batch's folder that nobody removed is; its tokens are out of date before."""
NAMES = 400
"""Batches that one command asks for."""
SAID = 300
"""Characters of what Slurm says that are passed on."""

QUEUED = frozenset(
    ("PENDING", "CONFIGURING", "SUSPENDED", "STOPPED", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT")
)
ENDED = frozenset(
    ("COMPLETED", "FAILED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE", "PREEMPTED", "CANCELLED")
)
"""States of Slurm; in any other, such as RUNNING and COMPLETING, something of the task runs."""
ENDINGS = {
    **dict.fromkeys(("TIMEOUT", "OUT_OF_MEMORY", "DEADLINE"), Ending.FAILED),
    "CANCELLED": Ending.CANCELED,
}
"""What it means that a task ended so; after any other end it may be run again."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}")
_FOLDER = re.compile(r"/[A-Za-z0-9_./+@=-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PATH = re.compile(r"(?<![^\s\"'(=:])/[^\s\"'),;:]+")
_RANGE = re.compile(r"(\d+)(?:-(\d+)(?::([1-9]\d*))?)?")
_MOST = {"minutes": 60 * 24 * 30, "megabytes": 4_000_000, "cores": 1_024}
_AWAY = re.compile(
    r"contact slurm controller|connect failure|connection refused|timed out|zero bytes|backup controller|"
    r"temporarily unable|unable to establish|configuration source|invalid authentication|munge|endpoint",
    re.IGNORECASE,
)
_FIELDS = "ArrayJobID:|,ArrayTaskID:|,State:|,StartTime:|,exit_code:|,Name:|,Reason:|"
_NO_OUTPUT = 53
"""The signal that Slurm tells of when a job's output can't be opened."""
_PLAIN = frozenset(("None", "Priority", "Resources"))
"""Reasons for waiting that say nothing more."""

# $1 the work folder, $2 the client, $3 days; a batch's folder comes as a tar archive. Tells where the work folder is,
# and how large the client that is there.
_STAGE = (
    'set -e; umask 077; mkdir -p -- "$1"; cd -- "$1"; pwd -P; if test -f "$2"; then wc -c <"$2"; else echo 0; fi; '
    'find . -maxdepth 1 -type d -name "torana-*" -mtime +"$3" -exec rm -rf -- {} + || :; tar -xpf - --no-same-owner'
)
_REMOVE = 'cd -- "$1" && rm -rf -- "$2"'

_TASK = """\
#!/bin/bash
umask 077
{prologue}
export TORANA_GATEWAY={gateway} TORANA_RUN={name}-$SLURM_ARRAY_TASK_ID TORANA_WORKER_STAYS=1
export OMP_NUM_THREADS=${{SLURM_CPUS_PER_TASK:-1}} OPENBLAS_NUM_THREADS=${{SLURM_CPUS_PER_TASK:-1}}
TORANA_WORKER_TOKEN=$(cat -- {folder}/"$SLURM_ARRAY_TASK_ID") || exit
export TORANA_WORKER_TOKEN
working=$(mktemp -d "${{SLURM_TMPDIR:-${{TMPDIR:-/tmp}}}}/torana.XXXXXXXX") || exit
trap 'cd /; rm -rf -- "$working"' EXIT
cd -- "$working" || exit
trap 'test -z "$worker" || kill -TERM "$worker" 2>/dev/null' TERM
{client} &
worker=$!
while wait "$worker"; status=$?; kill -0 "$worker" 2>/dev/null; do :; done
exit "$status"
"""
_COLLECT = """\
#!/bin/bash
umask 077
trap 'cd /; rm -rf -- {folder}' EXIT
{prologue}
export TORANA_GATEWAY={gateway} TORANA_RUN={name}-collect TORANA_WORKER_STAYS=1
TORANA_WORKER_TOKEN=$(cat -- {folder}/collector) || exit
export TORANA_WORKER_TOKEN
said=$(tail -qn 1 {folder}/*.log 2>/dev/null | grep . | tail -n 1 | sed 's#/[^ ]*/##g' | cut -c 1-200)
{client} collect "Slurm ended it${{said:+: $said}}"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmConfig:
    """How a cluster is reached, and how workers start there. Raises ValueError that begins with the field.

    Without `host`, Slurm's commands are run on this machine. With it they are run over SSH, with the certificates of
    the jobs' owners, as `user` or else as the certificate's first principal; `known_hosts` is a file with the host's
    key, and `connections` is how many commands may run at once.
    `work_dir`, which nodes must see too, is made when missing; it may hold {user}, and begins at the user's home folder
    unless it is absolute. `client` is the worker's command on the nodes; by default a file is sent that `python` there
    runs. `prologue` are lines of bash before it; it is no login shell, so `source /etc/profile` comes before `module
    load`. `partition` and `account` are for tasks that name none. `environment` is for Slurm's commands, SLURM_CONF for
    one. `max_array` is the largest index of an array, MaxArraySize - 1. A command may take `timeout` seconds.
    """

    name: str
    work_dir: str
    host: str = ""
    port: int = 22
    user: str = ""
    known_hosts: str = ""
    connections: int = 8
    python: str = "python3"
    client: tuple[str, ...] = ()
    prologue: tuple[str, ...] = ()
    partition: str = ""
    account: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    max_array: int = 1000
    timeout: float = 30.0
    sbatch: str = "sbatch"
    squeue: str = "squeue"
    scancel: str = "scancel"
    ssh: str = "ssh"

    def __post_init__(self) -> None:
        for field_, value in (("partition", self.partition), ("account", self.account)):
            if value and not WORD.fullmatch(value):
                raise ValueError(f"{field_}: up to 64 letters, digits, dots, dashes and underscores are needed")
        for name in self.environment:
            if not _VARIABLE.fullmatch(name):
                raise ValueError(f"environment: {name!r} can't be the name of a variable")
        if not self.work_dir or self.work_dir.startswith("-"):
            raise ValueError("work_dir: a folder of the cluster is needed")
        if self.max_array < 1:
            raise ValueError("max_array: it must be at least 1")
        if self.timeout <= 0:
            raise ValueError("timeout: it must be more than 0")


@dataclass(frozen=True, slots=True)
class _Row:
    """What squeue says of some tasks of an array, or of a job that is none and has no indices."""

    job: str
    indices: tuple[int, ...]
    state: str
    start: str
    status: str
    name: str
    reason: str

    @property
    def live(self) -> bool:
        return self.state not in ENDED


class SlurmEngine:
    """`shell_for` gives the shell of a login; `close` ends what the shells share. `personal` asks for logins.

    A login that no longer holds can't stop others: a batch of its owner is refused, what it already has on the cluster
    is not named by `poll`, and `cancel` leaves it to the workers, whom the gateway tells to stop.
    """

    sees = True

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
        """On this machine, or over SSH when the configuration names a host; raises ValueError."""
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
        """The numbers of the array and of the job after it, as texts."""
        name = _checked_name(batch.held.name)
        options = _sbatch_options(self._config, batch.options)
        ordinals = sorted(batch.tokens)
        if not ordinals or ordinals[0] < 0 or ordinals[-1] > self._config.max_array:
            raise Refused(f"{self._config.name} takes tasks numbered up to {self._config.max_array}")
        shell = self._shell_for(batch.held.login)
        found = {row.name: row.job for row in await self._rows(shell, [name, _collector(name)])}
        if len(found) == 2:
            return {"array": found[name], "collector": found[_collector(name)]}
        base, client = await self._stage(shell, batch)
        script = _Scripts(batch, f"{base}/{name}", client, self._config.prologue)
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
            collector = await self._sbatch(shell, [*after, *_sbatch_options(self._config, plain)], script.collect())
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
        """Raises Away when nobody's batches could be looked up; where some could, the others' are not named."""
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
                _see(answer, found)
        if away and len(away) + sum(isinstance(answer, LoginRefused) for answer in answers) == len(answers):
            raise away[0]
        return found

    async def close(self) -> None:
        if self._close is not None:
            await self._close()

    async def _look_up(self, login: Login | None, names: Sequence[str]) -> list[_Row]:
        shell = self._shell_for(login)
        rows = []
        for start in range(0, len(names), NAMES):
            rows += await self._rows(shell, names[start : start + NAMES])
        return rows

    async def _rows(self, shell: Shell, names: Iterable[str]) -> list[_Row]:
        """The user's own jobs of these names: names are visible to all, who may call their jobs the same.

        Tasks that wait come together in one row: of an array such as 1-399:2, squeue's option -r leaves out the last.
        """
        wanted = set(names)
        given = ("-h", "--me", "-t", "all", "-O", _FIELDS, f"--name={','.join(sorted(wanted))}")
        result = await self._command(shell, self._config.squeue, *given)
        if result.status and "Invalid job id" not in result.err:
            raise Away(f"squeue failed: {_words(result.err)}")
        rows = [_row(line) for line in result.out.splitlines() if line.count("|") >= 6]
        return [row for row in rows if row.name in wanted]

    async def _sbatch(self, shell: Shell, options: Sequence[str], script: str) -> str:
        """The number of the job; raises Refused with what sbatch says."""
        common = ("--parsable", "--no-requeue", "--export=ALL", "--nodes=1", "--ntasks=1", "--chdir=/")
        result = await self._command(shell, self._config.sbatch, *common, *options, stdin=script.encode())
        if result.status:
            raise Refused(f"Slurm refused it: {_words(result.err)}")
        number = result.out.strip().partition(";")[0]
        if not number.isdecimal():
            raise Away(f"sbatch gave no number but {_words(result.out)!r}")
        return number

    async def _command(self, shell: Shell, program: str, *given: str, stdin: bytes = b"") -> Result:
        """One of Slurm's; raises Away when it is not there or says that its controller is not."""
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
        """Bring what a batch needs to the cluster; returns the work folder, and the command of the client."""
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
        """Remove a batch's folder now, if that can be; else it is found later."""
        words = ("sh", "-c", _REMOVE, "sh", self._folder(shell), name)
        with contextlib.suppress(Away):
            await shell.run(words, within=self._config.timeout)

    def _folder(self, shell: Shell) -> str:
        return self._config.work_dir.removeprefix("~/").replace("{user}", shell.user)


class _Scripts:
    """What the jobs of a batch run. They hold no secret: Slurm keeps scripts, and shows them."""

    def __init__(self, batch: Batch, folder: str, client: str, prologue: Sequence[str]) -> None:
        self._values = {
            "gateway": shlex.quote(batch.gateway),
            "name": batch.held.name,
            "folder": shlex.quote(folder),
            "client": client,
            "prologue": "\n".join(prologue),
        }

    def task(self) -> str:
        return _TASK.format(**self._values)

    def collect(self) -> str:
        return _COLLECT.format(**self._values)


def compressed(ordinals: Iterable[int]) -> str:
    """As Slurm writes sets of indices: 1-4,7."""
    runs: list[list[int]] = []
    for each in sorted(set(ordinals)):
        if runs and each == runs[-1][1] + 1:
            runs[-1][1] = each
        else:
            runs.append([each, each])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def expanded(indices: str) -> tuple[int, ...]:
    """The indices of what Slurm writes as 1-4,7,10-16:2%5; none for other words."""
    found: list[int] = []
    for part in indices.partition("%")[0].split(","):
        if match := _RANGE.fullmatch(part):
            first, last, step = match.groups()
            found += range(int(first), int(last or first) + 1, int(step or 1))
    return tuple(found)


def _collector(name: str) -> str:
    return f"{name}-collect"


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} can't be the name of a batch")
    return name


def _sbatch_options(config: SlurmConfig, given: Mapping[str, Any]) -> list[str]:
    """What users may ask for, checked once more; raises Refused."""
    options: dict[str, Any] = {"partition": config.partition, "account": config.account}
    options |= {name: value for name, value in given.items() if value is not None}
    words = []
    for name, value in options.items():
        if name in _MOST:
            if type(value) is not int or not 1 <= value <= _MOST[name]:
                raise Refused(f"{name} must be a whole number from 1 to {_MOST[name]}")
        elif name not in ("partition", "account"):
            raise Refused("options are partition, minutes, megabytes, cores and account")
        elif value and not (isinstance(value, str) and WORD.fullmatch(value)):
            raise Refused(f"{name} has up to 64 letters, digits, dots, dashes and underscores, not first a dash")
        match name:
            case "minutes":
                words.append(f"--time={value}")
            case "megabytes":
                words.append(f"--mem={value}M")
            case "cores":
                words.append(f"--cpus-per-task={value}")
            case _ if value:
                words.append(f"--{name}={value}")
    return words


def _archive(batch: Batch) -> bytes:
    """A tar archive of the batch's folder: a file with the token of each task, called as its ordinal."""
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


def _row(line: str) -> _Row:
    job, indices, state, start, status, name, reason = line.split("|", 6)
    return _Row(job, expanded(indices), state.split()[0] if state else "", start, status, name, reason.rstrip("|"))


def _see(rows: Iterable[_Row], found: dict[str, dict[int, Seen]]) -> None:
    """Put what squeue said to what was found; of an index that is there twice, what has not ended counts."""
    for row in rows:
        seen = _seen(row)
        for index in row.indices:
            tasks = found.setdefault(row.name, {})
            if index not in tasks or row.live:
                tasks[index] = seen


def _seen(row: _Row) -> Seen:
    if row.state in ENDED:
        how = _exit(row.status)
        reason = f"Slurm ended it: {row.state}" + (f", {how}" if how else "")
        return Seen(State.ENDED, reason, ending=ENDINGS.get(row.state, Ending.LOST))
    if row.state in QUEUED:
        starts_at = datetime.fromtimestamp(int(row.start), UTC) if row.start.isdecimal() else None
        return Seen(State.QUEUED, "" if row.reason in _PLAIN else row.reason, starts_at)
    return Seen(State.RUNNING)


def _exit(status: str) -> str:
    """What a wait status, or status:signal as newer versions write it, says; nothing for an orderly end."""
    first, colon, second = status.partition(":")
    if not first.isdecimal() or (colon and not second.isdecimal()):
        return ""
    code, number = (int(first), int(second)) if colon else (int(first) >> 8, int(first) & 0x7F)
    if number == _NO_OUTPUT:
        return "its folder was gone"
    return f"signal {number}" if number else f"exit status {code}" if code else ""


def _words(said: str) -> str:
    """What a command of Slurm says, without its own name and without paths."""
    lines = [re.sub(r"^\w+: (error|fatal): ", "", line).strip() for line in said.splitlines()]
    return _PATH.sub("...", "; ".join(line for line in lines if line))[:SAID] or "nothing"
