"""As many submissions to challenges as one asks for, ten to each, with all that belongs to challenges."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import product
from uuid import UUID

from bench import rows
from bench.rows import START, Row
from db import models
from db.types import uuid7

ENTRIES = 10
"""Submissions of a challenge, and entries of its leaderboard."""
OWN = 2
"""Challenges in which somebody who sees few rows takes part."""
SAME_KEY = (
    "UPDATE challenges SET evaluator_id = id",
    "UPDATE evaluators SET current_version_id = id",
    "UPDATE leaderboards SET build_id = id",
    "UPDATE submissions SET evaluation_id = id",
)
"""What closes the circles of references: such rows have one key."""


@dataclass(frozen=True)
class Contests:
    """`number` submissions of `users` in turn; the first ones of some challenges are by `few`. `all` organises
    every challenge."""

    users: Sequence[UUID]
    people: Mapping[str, UUID]
    number: int

    def tables(self) -> Iterator[tuple[type[models.Entity], Iterable[Row]]]:
        group, blob = uuid7(), uuid7()
        challenges, phases, files, teams = [[uuid7() for _ in range(self.number // ENTRIES)] for _ in range(4)]
        submitted = [(uuid7(), *spot) for spot in product(range(len(challenges)), range(ENTRIES))]
        for model, found in (
            (models.UserGroup, [{"id": group, "name": "organisers"}]),
            (models.UserGroupMember, [{"id": uuid7(), "user_group_id": group, "user_id": self.people["all"]}]),
            (models.Challenge, (_challenge(n, key, group) for n, key in enumerate(challenges))),
            (models.Phase, (_phase(*keys) for keys in zip(phases, challenges, strict=True))),
            (models.Blob, [{"id": blob, "digest": "0" * 64, "size": 5}]),
            (models.File, (_file(*keys, blob) for keys in zip(files, challenges, strict=True))),
            (models.Evaluator, (_evaluator(n, key) for n, key in enumerate(challenges))),
            (models.EvaluatorVersion, map(_version, challenges)),
            (models.EvaluatorFile, (_evaluator_file(*keys) for keys in zip(challenges, files, strict=True))),
            (models.Team, (_team(key, challenges[n], self._user(n, 0)) for n, key in enumerate(teams))),
            (models.TeamMember, (_member(key, challenges[n], self._user(n, 0)) for n, key in enumerate(teams))),
            (models.Registration, (_registration(challenges[n], self._user(n, place)) for _, n, place in submitted)),
            (models.Submission, (
                _submission(key, challenges[n], phases[n], None if place else teams[n], self._user(n, place))
                for key, n, place in submitted
            )),
            (models.Reevaluation, (_reevaluation(*keys) for keys in zip(phases, challenges, strict=True))),
            (models.Evaluation, (_evaluation(key, challenges[n], phases[n]) for key, n, _ in submitted)),
            (models.Leaderboard, (_board(n, *keys) for n, keys in enumerate(zip(challenges, phases, strict=True)))),
            (models.LeaderboardBuild, map(_build, challenges)),
            (models.LeaderboardEntry, (
                _entry(challenges[n], place + 1, key, self._user(n, place)) for key, n, place in submitted
            )),
            (models.ExternalEntry, map(_external, challenges)),
        ):  # fmt: skip
            yield model, map(rows.entity, found)

    def _user(self, challenge: int, place: int) -> UUID:
        if place == 0 and challenge < OWN:
            return self.people["few"]
        return self.users[(challenge * ENTRIES + place) % len(self.users)]


def _challenge(n: int, key: UUID, group: UUID) -> Row:
    return {
        "id": key, "label": f"challenge-{n}", "start_date": date(2020, 1, 1) + timedelta(n), "active": True,
        "url": "https://x.example", "auto_eval": True, "organisers_id": group,
    }  # fmt: skip


def _phase(key: UUID, challenge: UUID) -> Row:
    return {
        "id": key, "challenge_id": challenge, "name": "main", "ordinal": 1, "description": "", "published": True,
        "window_seconds": 86_400, "self_evaluation": False, "shows_scores": True, "shows_log": True,
    }  # fmt: skip


def _file(key: UUID, challenge: UUID, blob: UUID) -> Row:
    return {
        "id": key, "purpose": "REFERENCE_DATA", "state": "READY", "name": "reference.csv", "media_type": "text/csv",
        "size": 5, "digest": "0" * 64, "blob_id": blob, "challenge_id": challenge,
    }  # fmt: skip


def _evaluator(n: int, challenge: UUID) -> Row:
    return {"id": challenge, "label": f"evaluator-{n}", "host": "", "challenge_id": challenge}


def _version(evaluator: UUID) -> Row:
    return {
        "id": evaluator, "evaluator_id": evaluator, "number": 1, "executor": "EXTERNAL", "executor_arguments": "[]",
        "arguments": "[]", "scores_schema": "{}", "bounds": "{}", "digest": "0" * 64,
    }  # fmt: skip


def _evaluator_file(version: UUID, file: UUID) -> Row:
    return {"id": uuid7(), "evaluator_version_id": version, "file_id": file, "role": "REFERENCE"}


def _team(key: UUID, challenge: UUID, captain: UUID) -> Row:
    return {"id": key, "challenge_id": challenge, "name": "ours", "captain_id": captain}


def _member(team: UUID, challenge: UUID, user: UUID) -> Row:
    return {"id": uuid7(), "team_id": team, "challenge_id": challenge, "user_id": user, "state": "JOINED"}


def _registration(challenge: UUID, user: UUID) -> Row:
    return {"id": uuid7(), "challenge_id": challenge, "user_id": user, "state": "ACCEPTED", "message": ""}


def _submission(key: UUID, challenge: UUID, phase: UUID, team: UUID | None, user: UUID) -> Row:
    return {
        "id": key, "public_id": f"s-{key}", "challenge_id": challenge, "phase_id": phase, "user_id": user,
        "team_id": team, "evaluator_id": challenge, "auto_eval": True, "status": "COMPLETED", "submitted_at": START,
        "status_changed_at": START, "history": "[]", "charged": True, "charged_at": START, "chosen": False,
        "has_scores": True,
    }  # fmt: skip


def _reevaluation(phase: UUID, challenge: UUID) -> Row:
    return {
        "id": phase, "challenge_id": challenge, "phase_id": phase, "evaluator_version_id": challenge, "state": "DONE",
        "total": ENTRIES, "failed": 0, "ended_at": START,
    }  # fmt: skip


def _evaluation(submission: UUID, challenge: UUID, reevaluation: UUID) -> Row:
    return {
        "id": submission, "submission_id": submission, "challenge_id": challenge, "number": 1,
        "evaluator_version_id": challenge, "reevaluation_id": reevaluation, "extra_arguments": "[]", "digests": "{}",
        "scores": '{"per": 1}', "owner_scores": '{"per": 1}', "ended_at": START,
    }  # fmt: skip


def _board(n: int, challenge: UUID, phase: UUID) -> Row:
    return {
        "id": challenge, "challenge_id": challenge, "phase_id": phase, "label": f"board-{n}", "entry_file": "e.json",
        "archived": False, "static_files": False, "sorting_key": "per", "build_id": None,
    }  # fmt: skip


def _build(board: UUID) -> Row:
    return {"id": board, "leaderboard_id": board, "number": 1, "reason": "", "entry_count": ENTRIES}


def _entry(board: UUID, position: int, submission: UUID, user: UUID) -> Row:
    return {
        "id": uuid7(), "leaderboard_id": board, "build_id": board, "position": position, "rank": position,
        "data": '{"per": 1}', "owner_data": '{"per": 1}', "organiser_data": '{"per": 1}',
        "author_label": f"Team {position}", "organiser_label": f"Team {position}", "external": False,
        "submission_id": submission, "user_id": user,
    }  # fmt: skip


def _external(board: UUID) -> Row:
    return {"id": uuid7(), "leaderboard_id": board, "key": "baseline", "data": '{"per": 1}', "baseline": True}
