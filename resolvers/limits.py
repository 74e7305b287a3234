"""The figures of one installation that writes and jobs are held to."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Limits:
    access_lifetime: timedelta = timedelta(minutes=10)
    refresh_lifetime: timedelta = timedelta(days=30)
    worker_lifetime: timedelta = timedelta(days=7)
    sign_in_window: int = 120
    """Seconds in which sign-ins are counted."""
    sign_ins_per_account: int = 5
    sign_ins_per_address: int = 50
    tasks: int = 1_000
    """Tasks of one job."""
    task_attempts: int = 3
    """Runs of one task before it counts as failed."""
    lease: float = 30.0
    """Seconds after which a silent task is taken to be dead."""
    progress_interval: float = 2.0
    """Seconds between two stored progress reports of one task."""
    log_lines: int = 100_000
    """Lines kept of one job's log."""
