"""The access rules of challenges: organisers, who takes part, and whom the scores are for."""

from typing import Any

import sqlalchemy as sa

from db import models as m
from db.aliases import Alias
from db.types import Key, now
from resolvers.access.clauses import FALSE, Clause, among_if, any_of, me, some
from resolvers.access.matrix_roles import ROLES
from resolvers.access.rules import ANY_USER, Rule
from resolvers.identity.principal import AccessProfile, Kind

_OF_CHALLENGES = "organisers of the challenge"
STATIC = "static-"
"""How the names of files begin that are published with an entry: those of a folder `static`."""


def organised(challenge: Any, profile: AccessProfile) -> Clause:
    """The principal organises a challenge: is in its user group, or administers its site."""
    return any_of(
        among_if(profile.organises, challenge.id, "organised"),
        among_if(profile.administers_sites, challenge.site_id, "administered_sites"),
    )


def _organised_by(key: str) -> Any:
    """The principal organises the challenge that the column `key` of the row refers to."""

    def clause(entity: Any, profile: AccessProfile) -> Clause:
        return among_if(profile.organises, getattr(entity, key), "organised")

    return clause


def _organised_through(model: Any, key: str) -> Any:
    """The principal organises the challenge of the row of `model` that the column `key` refers to."""

    def clause(entity: Any, profile: AccessProfile) -> Clause:
        row: Any = Alias(model)
        may = among_if(profile.organises, row.challenge_id, "organised")
        return FALSE if may is FALSE else some(row, row.id == getattr(entity, key), may)

    return clause


def _of_evaluation_log(entity: Any, profile: AccessProfile) -> Clause:
    job = Alias(m.Job)
    may = _organised_through(m.Evaluation, "evaluation_id")(job, profile)
    return FALSE if may is FALSE else some(job, job.id == entity.job_id, may)


def _published(entity: Any, _: AccessProfile) -> Clause:
    shown: Clause = entity.published.is_(sa.true())
    return shown


def _of_published(entity: Any, profile: AccessProfile) -> Clause:
    """Evaluators of the platform, and of challenges that are published, for users."""
    user = ANY_USER.clause(entity, profile)
    if user is FALSE:
        return FALSE
    challenge = Alias(m.Challenge)
    held = some(challenge, challenge.id == entity.challenge_id, challenge.published.is_(sa.true()))
    return sa.or_(entity.challenge_id.is_(None), held)


def _given(entity: Any, profile: AccessProfile) -> Clause:
    """Data that a challenge gives to whoever takes part: to everyone, where nobody need register."""
    challenge, registration = Alias(m.Challenge), Alias(m.Registration)
    mine = me(registration.user_id, profile)
    free: Clause = challenge.registration_mode == m.RegistrationMode.NONE
    taken = some(
        registration,
        registration.challenge_id == challenge.id,
        registration.state == m.RegistrationState.ACCEPTED,
        mine,
    )
    may = free if mine is FALSE else sa.or_(free, taken)
    shown = (entity.purpose == m.FilePurpose.CHALLENGE_DATA, entity.state == m.FileState.READY)
    of_challenge = (challenge.id == entity.challenge_id, challenge.published.is_(sa.true()))
    return sa.and_(*shown, some(challenge, *of_challenge, may))


def _of_team(entity: Any, profile: AccessProfile) -> Clause:
    """The principal has joined the team that the row refers to."""
    return among_if(profile.in_teams, entity.team_id, "teams")


def _in_team(entity: Any, profile: AccessProfile) -> Clause:
    member = Alias(m.TeamMember)
    mine = me(member.user_id, profile)
    return FALSE if mine is FALSE else some(member, member.team_id == entity.id, mine)


def submitted(submission: Any, profile: AccessProfile) -> Clause:
    """The principal submitted it, or is in the team that did."""
    mine = me(submission.user_id, profile)
    return any_of(mine, _of_team(submission, profile))


def _team_evaluation(entity: Any, profile: AccessProfile) -> Clause:
    """A job that evaluates what a team of the principal submitted. One's own jobs one has anyway."""
    evaluation, submission = Alias(m.Evaluation), Alias(m.Submission)
    ours = _of_team(submission, profile)
    both = sa.join(evaluation, submission, submission.id == evaluation.submission_id)
    live = (evaluation.id == entity.evaluation_id, submission.deleted_at.is_(None))
    return FALSE if ours is FALSE else some(both, *live, ours)


def _shown_log(entity: Any, profile: AccessProfile) -> Clause:
    """A line of a job of the principal; of an evaluation, where its phase shows logs."""
    job, evaluation, submission = Alias(m.Job), Alias(m.Evaluation), Alias(m.Submission)
    mine = me(job.owner_user_id, profile)
    if mine is FALSE:
        return FALSE
    plain = sa.and_(job.evaluation_id.is_(None), mine)
    by = (evaluation.id == job.evaluation_id, submission.id == evaluation.submission_id)
    both = sa.join(evaluation, submission, by[1])
    told = some(both, by[0], _shows_log(submission), submitted(submission, profile))
    return some(job, job.id == entity.job_id, sa.or_(plain, told))


def _shows_log(submission: Any) -> Clause:
    phase = Alias(m.Phase)
    return some(phase, phase.id == submission.phase_id, phase.shows_log.is_(sa.true()))


def _own_files(entity: Any, profile: AccessProfile) -> Clause:
    """What was submitted, for who did; what its evaluation wrote, where the phase shows logs."""
    submission = Alias(m.Submission)
    mine = submitted(submission, profile)
    if mine is FALSE:
        return FALSE
    live = (submission.id == entity.submission_id, submission.deleted_at.is_(None))
    told = sa.or_(entity.purpose == m.FilePurpose.SUBMISSION_INPUT, _shows_log(submission))
    return some(submission, *live, told, mine)


def _shown_board(entity: Any, _: AccessProfile) -> Clause:
    shown: Clause = entity.hidden.is_(sa.false())
    return shown


def _on_shown_board(entity: Any, _: AccessProfile) -> Clause:
    """An entry of the present build of a leaderboard that is shown, once its embargo has passed."""
    board, challenge = Alias(m.Leaderboard), Alias(m.Challenge)
    return some(
        sa.join(board, challenge, challenge.id == board.challenge_id),
        board.build_id == entity.build_id,
        board.hidden.is_(sa.false()),
        sa.or_(board.embargo_ends_at.is_(None), board.embargo_ends_at <= now()),
        challenge.published.is_(sa.true()),
    )


def _own_entry(entity: Any, profile: AccessProfile) -> Clause:
    """One's own entry of the present build of a leaderboard that is shown, also under an embargo."""
    board = Alias(m.Leaderboard)
    mine = submitted(entity, profile)
    shown = (board.build_id == entity.build_id, board.hidden.is_(sa.false()))
    return FALSE if mine is FALSE else sa.and_(mine, some(board, *shown))


def _static(entity: Any, profile: AccessProfile) -> Clause:
    """What an evaluation wrote to be published with a leaderboard, once its entry may be seen."""
    entry, board = Alias(m.LeaderboardEntry), Alias(m.Leaderboard)
    shown = some(
        sa.join(entry, board, board.build_id == entry.build_id),
        entry.submission_id == entity.submission_id,
        board.static_files.is_(sa.true()),
        _on_shown_board(entry, profile),
    )
    named = entity.name.like(f"{STATIC}%")
    return sa.and_(entity.purpose == m.FilePurpose.SUBMISSION_OUTPUT, named, shown)


def _for_worker(entity: Any, profile: AccessProfile) -> Clause:
    """What was submitted to the challenge of the worker, and the files of the evaluators that evaluate that."""
    submission, evaluation, link = Alias(m.Submission), Alias(m.Evaluation), Alias(m.EvaluatorFile)
    if profile.kind is not Kind.CHALLENGE_WORKER:
        return FALSE
    mine = sa.bindparam("me", type_=Key())
    submitted_ = sa.and_(
        entity.purpose == m.FilePurpose.SUBMISSION_INPUT,
        some(submission, submission.id == entity.submission_id, submission.challenge_id == mine),
    )
    used = some(
        sa.join(link, evaluation, evaluation.evaluator_version_id == link.evaluator_version_id),
        link.file_id == entity.id,
        evaluation.challenge_id == mine,
    )
    return sa.or_(submitted_, used)


ORGANISES = Rule(_OF_CHALLENGES, ("OG",), organised)
ORGANISER = Rule(_OF_CHALLENGES, ("OG",), _organised_by("challenge_id"))
EVALUATOR_ORGANISER = Rule(_OF_CHALLENGES, ("OG",), _organised_through(m.Evaluator, "evaluator_id"))
BOARD_ORGANISER = Rule(_OF_CHALLENGES, ("OG",), _organised_through(m.Leaderboard, "leaderboard_id"))
BUILD_ORGANISER = Rule(_OF_CHALLENGES, ("OG",), _organised_through(m.Leaderboard, "leaderboard_id"))
JOB_ORGANISER = Rule(_OF_CHALLENGES, ("OG",), _organised_through(m.Evaluation, "evaluation_id"))
LOG_ORGANISER = Rule(_OF_CHALLENGES, ("OG",), _of_evaluation_log)
SUBMITTED_ORGANISER = Rule(_OF_CHALLENGES, ("OG",), _organised_through(m.Submission, "submission_id"))
ONCE_PUBLISHED = Rule("everyone, once it is published", tuple(ROLES), _published)
EVALUATOR_USER = Rule("any signed-in user", ANY_USER.roles, _of_published)
TAKES_PART = Rule("whoever takes part in the challenge", tuple(ROLES), _given)
FOR_WORKER = Rule("external workers of the challenge", ("CW",), _for_worker)
STATIC_FILE = Rule("everyone, with an entry of a leaderboard that publishes files", tuple(ROLES), _static)
SUBMITTER = Rule("its submitter, and the submitter's team", ("OW",), submitted)
JOB_SUBMITTER = Rule("the submitter, and the submitter's team", ("OW",), _team_evaluation)
FILE_SUBMITTER = Rule("the submitter, and the submitter's team", ("OW",), _own_files)
SHOWN_LOG = Rule("the owner of the job; of an evaluation, where its phase shows logs", ("OW",), _shown_log)
TEAM_MEMBER = Rule("its members, and who is invited", ("OW",), _in_team)
SHOWN_BOARD = Rule("everyone, unless it is hidden", tuple(ROLES), _shown_board)
ON_SHOWN_BOARD = Rule("everyone, on a leaderboard that is shown", tuple(ROLES), _on_shown_board)
OWN_ENTRY = Rule("its submitter, and the submitter's team", ("OW",), _own_entry)
