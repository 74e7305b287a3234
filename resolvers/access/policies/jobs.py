"""Policies of jobs, their tasks, task results and logs."""

from db.models import TERMINAL, Job, LogEntry, Task, TaskResult
from resolvers.access.policy import Policy, Rules
from resolvers.access.rules import JOB_ADMIN, LOG_ADMIN, OWNER_OF_JOB, OWNER_OF_TASK, SUPERADMIN

CANCEL: Rules = (OWNER_OF_JOB, JOB_ADMIN, SUPERADMIN)
"""Who may cancel a job before it has ended."""
RETRY: Rules = (OWNER_OF_JOB, SUPERADMIN)

POLICIES = (
    Policy(
        model=Job,
        through=Job.simulation,
        fields={"external": (SUPERADMIN,), **dict.fromkeys(("warnings", "error"), (OWNER_OF_JOB, SUPERADMIN))},
        delete=(OWNER_OF_JOB, SUPERADMIN),
        blocks=(Job.owner_user_id,),
        blocks_while=lambda job: job.state.not_in(TERMINAL),
        stays=(Job.cluster_id, Job.simulation_id),
    ),
    Policy(model=Task, through=Task.job, fields={"error": (OWNER_OF_TASK, SUPERADMIN)}),
    Policy(model=TaskResult),
    Policy(model=LogEntry, through=LogEntry.job, read=(OWNER_OF_TASK, LOG_ADMIN)),
)
