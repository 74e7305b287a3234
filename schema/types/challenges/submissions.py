"""Submissions, their evaluations, and re-evaluations of a phase."""

from datetime import datetime
from typing import Any

import strawberry

from db import models
from resolvers.access.challenge_rules import ORGANISER
from resolvers.access.rules import SUPERADMIN
from resolvers.reading.paging import Order
from schema.fields.fields import column, computed, node, related, varied
from schema.fields.nodes import Node
from schema.fields.scalars import JSON, enum
from schema.lists.connections import connection

SubmissionStatus = enum(
    models.SubmissionStatus,
    "How far a submission is. Each status that waits for something ends by itself at `statusEndsAt`, with a reason.",
    UPLOADING="It waits for its file.",
    UPLOADED="All bytes came.",
    VALIDATING="Its file is being checked.",
    INVALID="Its file was not taken, or came too late.",
    NO_EVAL="It has no evaluator.",
    NO_AUTO_EVAL="It waits for an organiser to evaluate it.",
    ON_QUEUE="Its evaluation waits.",
    EVALUATING="It is being evaluated.",
    COMPLETED="It has scores.",
    FAILED="Its evaluation failed.",
    CANCELED="It was cancelled.",
    EXCLUDED="An organiser keeps it off leaderboards.",
    WITHDRAWN="Its submitter withdrew it.",
)
ReevaluationState = enum(
    models.ReevaluationState,
    "How far a re-evaluation is.",
    RUNNING="Submissions are being evaluated; their earlier scores still count.",
    DONE="The new scores count.",
    CANCELED="It was cancelled; the earlier scores count.",
)


@strawberry.type(description="Why a submission has its status, or an evaluation no scores.")
class Reason:
    code: str = strawberry.field(description="For programs, such as LATE, TIME or PROGRAM_FAILED.")
    message: str = strawberry.field(description="For people.")


def _reason(given: Any) -> Reason | None:
    return None if given is None else Reason(code=given["code"], message=given["message"])


@node(models.Submission, by="-created_at", listed="Your submissions, and those to challenges that you organise.")
class Submission(Node):
    """What somebody, or a team, submitted to a phase of a challenge. Watch it with `submissionUpdated`."""

    public_id: str = column("The public name: the time, and a UUID.", filter=True, found=True)
    status: SubmissionStatus = column("How far it is.", filter=True, group=True)  # type: ignore[valid-type]
    status_changed_at: datetime = column("Since when it has this status.", filter=True)
    status_ends_at: datetime | None = column("When this status ends by itself; null: it stays.", filter=True)
    history: JSON = column("The statuses that it has had: a list of objects with `status`, `at` and perhaps `reason`.")
    submitted_at: datetime | None = column("When its last byte came.", filter=True)
    archived_at: datetime | None = column("When it was archived: from then on it is not evaluated.", filter=True)
    auto_eval: bool = column("Whether it is evaluated at once.", filter=True)
    author_label: str | None = column("What leaderboards name as its author; null: the team or user.", filter=True)
    chosen: bool = column("Whether it is the run that its submitter chose.", filter=True)
    has_scores: bool = column("Whether it has scores.", filter=True, group=True)
    charged: bool = column("Whether it counts in the quota.", filter=True)
    challenge = related(models.Submission.challenge, "The challenge.", group=True)
    phase = related(models.Submission.phase, "The phase.", group=True)
    owner = related(models.Submission.owner, "Who submitted it.", group=True)
    team = related(models.Submission.team, "The team that it is of.", group=True)
    evaluator = related(models.Submission.evaluator, "What evaluates it.")
    evaluation = related(models.Submission.evaluation, "The evaluation whose scores count.")
    evaluations = connection(models.Submission.evaluations, "All evaluations of it.", order="-number")
    files = connection(models.Submission.files, "Its file, and what evaluations wrote.", order="-created_at")

    @computed("Why it has its status.", reads=["reason"])
    def reason(self: Any) -> Reason | None:
        return _reason(self.reason)


NEWEST_ATTEMPT = Order(models.Job.attempt, descending=True)


@node(models.Evaluation, by="-created_at", listed="The evaluations of your submissions.")
class Evaluation(Node):
    """One evaluation of a submission by one version of an evaluator."""

    number: int = column("Counts the evaluations of its submission from 1.", filter=True, order=True)
    owner_scores: JSON | None = varied(
        "The scores: for organisers all, for submitters what they may see of them.",
        ((ORGANISER, SUPERADMIN), "scores"),
        name="scores",
    )
    digests: JSON = column("The SHA-256 of what was evaluated, and of the evaluator.")
    extra_arguments: JSON = column("Arguments that were given to this evaluation: a list of texts.")
    external_version: str | None = column("What the worker of an organiser said of its program.")
    ended_at: datetime | None = column("When it ended; null: it has not.", filter=True)
    submission = related(models.Evaluation.submission, "What was evaluated.")
    evaluator_version = related(models.Evaluation.evaluator_version, "What it was evaluated with.")
    reevaluation = related(models.Evaluation.reevaluation, "The re-evaluation that it is part of, if any.")
    job = related(models.Evaluation.jobs, "The job that does it. Its log is live.", order=NEWEST_ATTEMPT)

    @computed("Why it has no scores.", reads=["error"])
    def error(self: Any) -> Reason | None:
        return _reason(self.error)


@node(models.Reevaluation, by="-created_at", listed="The re-evaluations of challenges that you organise.")
class Reevaluation(Node):
    """All completed submissions of a phase, evaluated again. Their new scores count together, once all have ended."""

    state: ReevaluationState = column("How far it is.", filter=True)  # type: ignore[valid-type]
    total: int = column("How many submissions are evaluated.")
    failed: int = column("How many of them could not be; those keep their scores.")
    ended_at: datetime | None = column("When it ended.", filter=True)
    phase = related(models.Reevaluation.phase, "The phase.")
    evaluator_version = related(models.Reevaluation.evaluator_version, "The version that they are evaluated with.")
    user = related(models.Reevaluation.user, "Who began it.")
    evaluations = connection(models.Reevaluation.evaluations, "Its evaluations.", order="created_at")
