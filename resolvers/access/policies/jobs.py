"""Policies of jobs, their tasks, task results and logs."""

from typing import Any

import sqlalchemy as sa

from db.models import TERMINAL, Job, LogEntry, Task, TaskResult, TaskSlab
from resolvers.access.acting import ACTS_FOR_JOB
from resolvers.access.challenge_rules import JOB_ORGANISER, JOB_SUBMITTER, LOG_ORGANISER, SHOWN_LOG
from resolvers.access.clauses import FALSE, Clause
from resolvers.access.policy import Policy, Rules
from resolvers.access.rules import (
    LINKED_JOB,
    LOG_ADMIN,
    OWNER_OF_TASK,
    OWNING_USER,
    PROJECT_ADMIN,
    PROJECT_USER,
    SUPERADMIN,
    Rule,
)  # fmt: skip
from resolvers.feed import job_topic
from resolvers.identity.principal import AccessProfile

CANCEL: Rules = (OWNING_USER, PROJECT_ADMIN, JOB_ORGANISER, SUPERADMIN)
"""Who may cancel a job before it has ended."""
RETRY: Rules = (OWNING_USER, SUPERADMIN)
PRIORITY: Rules = (SUPERADMIN,)
"""Who may let a job go before others, or after them."""


def _of_owner(entity: Any, profile: AccessProfile) -> Clause:
    mine = OWNING_USER.clause(entity, profile)
    return FALSE if mine is FALSE else sa.and_(mine, entity.evaluation_id.is_(None))


OWNER_OF_JOB = Rule("the owner; of an evaluation, only with its submission", ("OW",), _of_owner)

POLICIES = (
    Policy(
        model=Job,
        read=(OWNING_USER, PROJECT_USER, LINKED_JOB, JOB_SUBMITTER, JOB_ORGANISER, ACTS_FOR_JOB),
        fields={
            "external": (SUPERADMIN,),
            **dict.fromkeys(("warnings", "error"), (OWNING_USER, JOB_ORGANISER, ACTS_FOR_JOB, SUPERADMIN)),
        },
        seen_with=(Job.simulation, Job.archive, Job.spec_version),
        delete=(OWNER_OF_JOB, SUPERADMIN),
        undelete=(),
        goes_with=(Job.simulation_id, Job.archive_id, Job.evaluation_id, Job.spec_version_id),
        blocks=(Job.owner_user_id,),
        blocks_while=lambda job: job.state.not_in(TERMINAL),
        stays=(Job.cluster_id, Job.project_id),
        topic=job_topic,
    ),
    Policy(model=Task, through=Task.job, fields={"error": (OWNER_OF_TASK, SUPERADMIN)}, stays=(Task.job_id,)),
    Policy(model=TaskResult),
    Policy(model=TaskSlab),
    Policy(model=LogEntry, through=LogEntry.job, read=(SHOWN_LOG, LOG_ADMIN, LOG_ORGANISER), stays=(LogEntry.job_id,)),
)
