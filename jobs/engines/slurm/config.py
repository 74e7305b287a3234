"""The configuration of a Slurm cluster: how it is reached, and what a job may ask of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs.engine import MOST, WORD, Refused

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmConfig:
    """How a cluster is reached, and how workers start there. Raises ValueError that begins with the field.

    Without `host`, Slurm's commands are run on this machine. With it they are run over SSH, with the certificates of
    the jobs' owners, as `user` or else as the certificate's first principal. `known_hosts` is a file with the host's
    key, and `connections` is how many commands may run at once.

    `work_dir` must be visible to the nodes, too, and is created when missing. It may hold {user}, and is relative to
    the user's home folder unless it is absolute. `client` is the worker's command on the nodes; by default a file is
    sent that `python` there runs. `prologue` are lines of bash before it; the shell is no login shell, so `source
    /etc/profile` must come before `module load`. `partition` and `account` are for tasks that name none. `environment`
    is for Slurm's commands, for example SLURM_CONF. `max_array` is the largest index of an array, MaxArraySize - 1. A
    command may take `timeout` seconds.
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


def sbatch_options(config: SlurmConfig, given: Mapping[str, Any]) -> list[str]:
    """The options of sbatch for what users asked for, which is checked once more; raises Refused."""
    options: dict[str, Any] = {"partition": config.partition, "account": config.account}
    options |= {name: value for name, value in given.items() if value is not None}
    words = []
    for name, value in options.items():
        if name in MOST:
            if type(value) is not int or not 1 <= value <= MOST[name]:
                raise Refused(f"{name} must be a whole number from 1 to {MOST[name]}")
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
