"""Policies of submissions and their evaluations."""

from typing import Any

import sqlalchemy as sa

from db.aliases import Alias
from db.models import (
    Evaluation,
    Phase,
    Reevaluation,
    Submission,
    SubmissionStatus,
)
from resolvers.access import board_requests
from resolvers.access.challenge_rules import ORGANISER, SUBMITTER, submitted
from resolvers.access.clauses import FALSE, TRUE, Clause, some
from resolvers.access.policy import Change, Policy
from resolvers.access.rules import ANY_USER, OWNER, SUPERADMIN, Rule, allowed
from resolvers.failures import WrongState
from resolvers.identity.principal import AccessProfile


def _shown_scores(entity: Any, profile: AccessProfile) -> Clause:
    """The submitter of an evaluation, where its phase shows scores."""
    submission, phase = Alias(Submission), Alias(Phase)
    mine = submitted(submission, profile)
    told = some(phase, phase.id == submission.phase_id, phase.shows_scores.is_(sa.true()))
    return FALSE if mine is FALSE else some(submission, submission.id == entity.submission_id, told, mine)


_MOVING = (
    SubmissionStatus.UPLOADED,
    SubmissionStatus.VALIDATING,
    SubmissionStatus.ON_QUEUE,
    SubmissionStatus.EVALUATING,
)


async def _validate(change: Change) -> None:
    """A submission is deleted by its submitter before it was evaluated, and while nothing is under way."""
    session, submission = change.session, change.row
    if not change.going:
        return
    if submission.status in _MOVING:
        raise WrongState("something is under way; cancel it first", state=submission.status.name)
    may = allowed((ORGANISER, SUPERADMIN), Submission, change.principal.profile)
    organises = sa.select(Submission.id).where(Submission.id == submission.id, may)
    evaluated = sa.select(Evaluation.id).where(Evaluation.submission_id == submission.id).limit(1)
    if await session.scalar(evaluated) is None or may is TRUE:
        return
    if may is FALSE or await session.scalar(organises, dict(change.principal.parameters)) is None:
        raise WrongState("it was evaluated; ask an organiser", state=submission.status.name)


async def _then(change: Change) -> None:
    """Leaderboards are built again without it."""
    session, submission = change.session, change.row
    if not change.going or not submission.has_scores:
        return
    await board_requests.ask(session, submission.challenge_id, "a submission was deleted")


SHOWN_SCORES = Rule("the submitter, where the phase shows scores", ("OW",), _shown_scores)

POLICIES = (
    Policy(
        model=Submission,
        read=(SUBMITTER, ORGANISER),
        create=(ANY_USER,),
        delete=(OWNER, ORGANISER, SUPERADMIN),
        undelete=(),
        blocks=(Submission.user_id, Submission.challenge_id, Submission.phase_id, Submission.team_id),
        stays=(Submission.evaluator_id, Submission.evaluation_id),
        validate=_validate,
        then=_then,
    ),
    Policy(
        model=Evaluation,
        through=Evaluation.submission,
        fields={"owner_scores": (ORGANISER, SHOWN_SCORES, SUPERADMIN)},
        goes_with=(Evaluation.challenge_id,),
        blocks=(Evaluation.evaluator_version_id,),
        stays=(Evaluation.submission_id, Evaluation.reevaluation_id),
    ),
    Policy(
        model=Reevaluation,
        read=(ORGANISER,),
        goes_with=(Reevaluation.challenge_id, Reevaluation.phase_id, Reevaluation.evaluator_version_id),
        stays=(Reevaluation.user_id,),
    ),
)
