"""The limits of one installation: attempts to sign in, mails, tasks and logs."""

from dataclasses import dataclass
from datetime import timedelta

from db.models import Platform
from jobs.engine import Ending


@dataclass(frozen=True, slots=True)
class Bound:
    """At most this many within this many seconds."""

    most: int
    seconds: int


@dataclass(frozen=True, slots=True)
class FileBounds:
    """The bounds of files, in bytes and seconds. `user` and `project` are None where there is none."""

    upload: int = 20_000_000_000
    """The size of one file."""
    part: int = 500_000_000
    """The size of a part of a manifest."""
    user: int | None = None
    """All files of a user."""
    project: int | None = None
    """All files of a project."""
    floor: int = 1_000_000_000
    """What stays free in the storage."""
    under_way: int = 2_000
    """Uploads of one user, or of one service, that are not complete."""
    idle: float = 86_400.0
    """Seconds without news after which an upload expires."""
    link: float = 600.0
    """Seconds for which the address of a download may be used."""
    archive: float = 604_800.0
    """Seconds for which an archive is kept."""
    outputs: float = 2_592_000.0
    """Seconds for which files are kept that the programs of simulations wrote."""


@dataclass(frozen=True, slots=True)
class Limits:
    access_lifetime: timedelta = timedelta(minutes=10)
    refresh_lifetime: timedelta = timedelta(days=30)
    worker_lifetime: timedelta = timedelta(days=7)
    sign_in_window: int = 120
    """Seconds in which sign-ins from one address are counted."""
    sign_ins_per_account: int = 5
    """Sign-ins from one address for one account."""
    sign_ins_per_address: int = 50
    account_window: int = 3_600
    """Seconds in which attempts for one account from all addresses are counted."""
    sign_ins_anywhere: int = 100
    code_window: int = 3_600
    """Seconds in which wrong codes of a second factor are counted."""
    codes_per_account: int = 5
    """Wrong codes from one address."""
    codes_anywhere: int = 25
    """Wrong codes from all addresses. They are fewer than passwords, because of a million codes three are right at
    once."""
    ticket_lifetime: timedelta = timedelta(minutes=10)
    """Time in which a second factor may follow the password: as long as a code by e-mail is valid."""
    verify_lifetime: timedelta = timedelta(hours=24)
    reset_lifetime: timedelta = timedelta(minutes=45)
    invitation_lifetime: timedelta = timedelta(days=7)
    mail_window: int = 3_600
    """Seconds in which links and codes that are mailed to one address are counted."""
    mails_per_address: int = 5
    registrations_per_address: int = 30
    """Devices from one address that register themselves, or try to, within `sign_in_window`."""
    register_device_types: bool = False
    """Whether a device that registers itself may have a type that is not known yet."""
    tasks: int = 1_000
    """Tasks of one job."""
    user_tasks: int | None = None
    """Tasks of one user that engines have at once; None: any number."""
    project_tasks: int | None = None
    """The same of one project."""
    task_attempts: int = 3
    """Runs of one task that end by themselves without a report before it counts as failed."""
    task_interruptions: int = 10
    """Runs of one task that end with their host before it counts as failed."""
    lease: float = 30.0
    """Seconds after which a silent task on the gateway's own machine is taken to be lost."""
    cluster_lease: float = 120.0
    """The same on a cluster: no shorter than workers wait for a gateway that they can't reach."""
    progress_interval: float = 2.0
    """Seconds between two stored progress reports of one task."""
    silence: float = 3_600.0
    """Seconds after which a program that prints nothing is ended."""
    log_lines: int = 100_000
    """Lines kept of one job's log."""
    page_values: int = 50_000_000
    """Values of one page of results."""
    result_values: int = 400_000_000
    """Numbers of all pages of one task's results."""
    spec_models: int | None = 10
    """Models of the latest versions of one user's specs; None: any number."""
    reply: timedelta = timedelta(seconds=30)
    """Time in which somebody who is asked into a session may answer."""
    events_per_minute: int = 30_000
    """Events of sessions that one user, device or service may tell of within a minute."""
    worker_body: int = 100_000_000
    """Bytes of a request of a worker."""

    @property
    def here(self) -> Bound:
        """The bound on password attempts for one account from one address."""
        return Bound(self.sign_ins_per_account, self.sign_in_window)

    @property
    def anywhere(self) -> Bound:
        """The bound on password attempts for one account from all addresses."""
        return Bound(self.sign_ins_anywhere, self.account_window)

    def runs(self, ending: Ending) -> int:
        """How many runs of a task may end so before it counts as failed."""
        return self.task_interruptions if ending is Ending.INTERRUPTED else self.task_attempts

    def lease_on(self, platform: Platform) -> float:
        """The lease of a task on the gateway's own machine, or anywhere else."""
        return self.lease if platform is Platform.IN_PROCESS else self.cluster_lease
