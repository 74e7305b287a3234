"""A Slurm of one's own on this machine: a controller and a node on free ports, without authentication."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from getpass import getuser
from pathlib import Path

import pytest

from tests.support.postgres import free_port

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo")
CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
SlurmctldPort={controller}
SlurmdPort={node}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=0,batch_sched_delay=0,default_queue_depth=200
ReturnToService=2
SlurmdParameters=config_overrides
MinJobAge=300
KillWait=2
InactiveLimit=0
SlurmctldTimeout=10
SlurmdTimeout=10
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
MaxArraySize=1001
MaxJobCount=2000
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=4000 State=UNKNOWN
PartitionName=batch Nodes={host} Default=YES MaxTime=01:00:00 State=UP
PartitionName=long Nodes={host} MaxTime=INFINITE State=UP
"""


class Slurm:
    """`environment` is what Slurm's commands need to reach it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        host = socket.gethostname().partition(".")[0]
        conf = folder / "slurm.conf"
        conf.write_text(CONF.format(host=host, user=getuser(), folder=folder, controller=free_port(), node=free_port()))
        for name in ("state", "spool"):
            (folder / name).mkdir()
        self.environment = {"SLURM_CONF": str(conf)}
        self._host = host
        self._conf = conf
        self._controller: subprocess.Popen[bytes] | None = None
        self._node: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.start_controller()
        self.start_node()

    def start_controller(self, *, forgetful: bool = False, first: int = 1) -> None:
        """With `forgetful` it knows of no job that there was; it then counts from `first`."""
        if forgetful:
            shutil.rmtree(self.folder / "state")
            (self.folder / "state").mkdir()
            with self._conf.open("a") as conf:
                conf.write(f"FirstJobId={first}\n")
        self._controller = self._launch("slurmctld")
        self.until(lambda: bool(self.run("sinfo", "-h")), "the controller does not answer")

    def start_node(self) -> None:
        self._node = self._launch("slurmd", "-N", self._host)
        self.until(lambda: self.run("sinfo", "-h", "-p", "batch", "-o", "%t").strip() == "idle", "the node is not idle")

    def kill_controller(self, number: signal.Signals = signal.SIGKILL) -> None:
        assert self._controller is not None
        self._controller.send_signal(number)
        self._controller.wait(10)

    def kill_step(self, name: str, ordinal: int) -> None:
        """Kill what looks after a task on its node; its processes stay."""
        parents = {int(stat.rpartition(") ")[2].split()[1]) for _, stat in self._processes(name, ordinal)}
        for pid in parents:
            if "slurmstepd" in Path(f"/proc/{pid}/cmdline").read_text():
                os.kill(pid, signal.SIGKILL)

    def processes(self, name: str, ordinal: int | None = None) -> list[int]:
        """The processes of a job with this name, or of one of its tasks."""
        return [pid for pid, _ in self._processes(name, ordinal)]

    def run(self, *command: str) -> str:
        """What a command of Slurm says on its standard output; nothing when it failed."""
        done = subprocess.run(command, env={**os.environ, **self.environment}, capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else ""

    def close(self) -> None:
        if self._controller is not None and self._controller.poll() is None:
            self.run("scancel", "--me", "--state=PENDING")
            self.run("scancel", "--me")
            with contextlib.suppress(TimeoutError):
                self.until(lambda: not self.run("squeue", "-h"), "jobs are left")
        for process in (self._node, self._controller):
            if process is not None and process.poll() is None:
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        for pid in [pid for pid, text in _texts("environ") if f"SLURM_CONF={self._conf}\0" in text]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def until(self, true: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                raise TimeoutError(what)
            time.sleep(0.05)

    def _launch(self, program: str, *options: str) -> "subprocess.Popen[bytes]":
        prefix = ["setpriv", "--pdeathsig=KILL"] if shutil.which("setpriv") else []
        command = [*prefix, _found(program), "-D", "-f", str(self._conf), *options]
        with (self.folder / f"{program}.said").open("ab") as said:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd=self.folder)

    def _processes(self, name: str, ordinal: int | None) -> list[tuple[int, str]]:
        wanted = [f"SLURM_JOB_NAME={name}\0", f"SLURM_CONF={self._conf}\0"]
        if ordinal is not None:
            wanted.append(f"SLURM_ARRAY_TASK_ID={ordinal}\0")
        found = []
        for pid, text in _texts("environ"):
            if all(part in text for part in wanted):
                with contextlib.suppress(OSError):
                    found.append((pid, Path(f"/proc/{pid}/stat").read_text()))
        return found


def _texts(name: str) -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                yield int(folder.name), (folder / name).read_bytes().decode(errors="replace")


def _found(program: str) -> str:
    """Daemons are where users' paths don't lead."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin") or ""


@contextlib.contextmanager
def running_slurm() -> Iterator[Slurm]:
    """Skips the test when Slurm is not installed."""
    if not all(_found(program) for program in PROGRAMS) or not Path("/proc").is_dir():
        pytest.skip("Slurm is not installed")
    folder = Path(tempfile.mkdtemp(prefix="torana-slurm-"))
    slurm = Slurm(folder)
    try:
        slurm.start()
        yield slurm
    finally:
        slurm.close()
        shutil.rmtree(folder, ignore_errors=True)
