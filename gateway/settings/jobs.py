"""Settings of jobs: where tasks run, by which programs, and how often."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import util
from typing import Any

from pydantic import Field, field_validator

from db.models import Platform
from gateway.settings.group import Group
from jobs.engine import WORD
from jobs.engines.slurm.config import SlurmConfig
from jobs.programs import Registry, configured

LOOK, PATIENCE = 5.0, 120.0
"""The same for clusters. A batch that Slurm still queues gets as long again at each poll; a broker is given it anew."""


@dataclass(frozen=True)
class ClusterSettings:
    """A cluster, and how it is reached: through a broker with its queue, or Slurm. `look` and `patience` are in
    seconds."""

    name: str
    platform: Platform
    broker: str = ""
    queue: str = "torana"
    slurm: SlurmConfig | None = None
    look: float = LOOK
    patience: float = PATIENCE

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> "ClusterSettings":
        """Read a table of the settings; raises ValueError that begins with the field."""
        given = dict(table)
        name, platform = str(given.pop("name", "")), str(given.pop("platform", "")).upper()
        if not WORD.fullmatch(name):
            raise ValueError("name: up to 64 letters, digits, dots, dashes and underscores are needed")
        times: dict[str, Any] = {key: float(given.pop(key)) for key in ("look", "patience") if key in given}
        if any(value <= 0 for value in times.values()):
            raise ValueError("look, patience: they are seconds, more than 0")
        match platform:
            case "SLURM":
                known = {field.name for field in fields(SlurmConfig)} - {"name"}
                _refuse_others(given, known)
                lists: dict[str, Any] = {key: tuple(given.pop(key)) for key in ("client", "prologue") if key in given}
                return cls(name, Platform.SLURM, slurm=SlurmConfig(name=name, **given, **lists), **times)
            case "CELERY":
                _refuse_others(given, {"broker", "queue"})
                if not str(given.get("broker", "")):
                    raise ValueError("broker: the address of a broker is needed, as redis://host:6379/0")
                if util.find_spec("celery") is None:
                    raise ValueError("platform: Celery is not installed here; pip install 'torana[celery]'")
                return cls(name, Platform.CELERY, **given, **times)
            case _:
                raise ValueError("platform: it must be SLURM or CELERY")


def _refuse_others(given: Mapping[str, Any], known: set[str]) -> None:
    for key in given:
        if key not in known:
            raise ValueError(f"{key}: there is no such field; there are {', '.join(sorted(known))}")


def read_clusters(tables: Sequence[Mapping[str, Any]]) -> list[ClusterSettings]:
    """Read all clusters; raises ValueError, also when two have the same name."""
    found = [ClusterSettings.read(table) for table in tables]
    if len({one.name for one in found}) < len(found):
        raise ValueError("name: two clusters have the same")
    return found


class JobSettings(Group):
    task_slots: int = Field(
        max(1, (os.cpu_count() or 2) - 1), ge=0, description="Tasks that run at once on this machine; 0 runs none."
    )
    dispatch: bool = Field(
        True,
        description="Whether this process hands tasks to engines and merges results; off for one that only answers.",
    )
    programs: list[dict[str, Any]] = Field(
        [], description="Simulation programs, as JSON or [[programs]] tables: name, command, and more in jobs.md."
    )
    clusters: list[dict[str, Any]] = Field(
        [], description="Clusters that run jobs, as JSON or [[clusters]] tables: name, platform, and more in jobs.md."
    )
    page_values: int = Field(50_000_000, gt=0, description="The most values of one page of results.")
    result_values: int = Field(
        400_000_000,
        gt=0,
        description="The most numbers of all pages of one task's results: values, errors, weights and bins.",
    )
    task_attempts: int = Field(3, gt=0, description="Runs of a task that is killed before it counts as failed.")
    task_interruptions: int = Field(
        10,
        gt=0,
        description="Runs of a task that end with their host, such as a gateway that is killed or out of memory, before "
        "it counts as failed.",
    )
    task_lease: float = Field(30.0, gt=0, description="Seconds after which a silent task of this machine is given up.")
    cluster_lease: float = Field(
        120.0, gt=0, description="The same of a cluster, whose workers may find no gateway for a while."
    )
    task_silence: float = Field(
        3_600.0, gt=0, description="Seconds after which a program that says nothing is ended, and its task has failed."
    )
    max_tasks: int = Field(1_000, gt=0, description="Tasks of one job.")
    user_tasks: int = Field(0, ge=0, description="Tasks of one user that run at once; 0 for any number.")
    project_tasks: int = Field(0, ge=0, description="The same of one project.")

    @field_validator("programs")
    @classmethod
    def _described(cls, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        Registry(map(configured, value))
        return value

    @field_validator("clusters")
    @classmethod
    def _reached(cls, value: list[dict[str, Any]]) -> list[dict[str, Any]]:
        read_clusters(value)
        return value
