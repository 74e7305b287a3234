"""Generated rows: a challenge with as many submissions as one asks for, all evaluated, and their leaderboard as it was
built."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from uuid import UUID

import orjson
import sqlalchemy as sa

from bench.rows import START, Row, entity
from db import models
from db.types import uuid7

ENTRIES = 10_000
SCORES = ("dice", "hausdorff", "precision", "recall", "seconds", "volume")
"""The columns of the leaderboard; by the first it is ranked, the largest first."""
COLUMNS = [
    {"key": name, "title": name.title(), "path": name, "direction": "ASC" if n else "DESC", "precision": 4,
     "hidden": False, "audience": "ALL", "errorPath": None}
    for n, name in enumerate(SCORES)
]  # fmt: skip


@dataclass(frozen=True)
class Contest:
    """The submissions of `users` in turn, one place each. The challenge, its phase, its evaluator and its leaderboard
    have one key."""

    users: list[UUID]
    key: UUID = field(default_factory=uuid7)
    entries: int = ENTRIES
    name: str = "bench"
    """Of all of them, too."""

    def tables(self) -> Iterator[tuple[type[models.Entity], Iterable[Row]]]:
        """The rows of each table, those first that others refer to."""
        submitted = [uuid7() for _ in range(self.entries)]
        chance = random.Random(self.entries)
        scores = [{name: round(chance.random(), 4) for name in SCORES} for _ in submitted]
        scores.sort(key=lambda one: one[SCORES[0]], reverse=True)
        texts = [orjson.dumps(one).decode() for one in scores]
        of = {"challenge_id": self.key}
        for model, found in (
            (models.Challenge, [self._challenge()]),
            (models.Phase, [self._phase()]),
            (models.Evaluator, [{"id": self.key, "label": self.name, "host": "", **of}]),
            (models.EvaluatorVersion, [self._version()]),
            (models.Submission, map(self._submission, submitted, range(self.entries))),
            (models.Evaluation, map(self._evaluation, submitted, texts)),
            (models.Leaderboard, [self._board()]),
            (models.LeaderboardBuild, [self._build()]),
            (models.LeaderboardEntry, map(self._entry, submitted, texts, range(self.entries))),
        ):  # fmt: skip
            yield model, map(entity, found)

    def closing(self) -> list[sa.Update]:
        """What closes the circles of references: such rows have one key."""
        board, submission = models.Leaderboard, models.Submission
        return [
            sa.update(board).where(board.id == self.key).values(build_id=board.id),
            sa.update(submission).where(submission.challenge_id == self.key).values(evaluation_id=submission.id),
        ]

    def _user(self, n: int) -> UUID:
        return self.users[n % len(self.users)]

    def _challenge(self) -> Row:
        return {"id": self.key, "label": self.name, "start_date": date(2026, 1, 1), "active": True, "auto_eval": True,
                "url": "https://bench.example"}  # fmt: skip

    def _phase(self) -> Row:
        return {
            "id": self.key, "challenge_id": self.key, "name": "main", "ordinal": 1, "description": "",
            "published": True, "window_seconds": 86_400, "self_evaluation": False, "shows_scores": True,
            "shows_log": True,
        }  # fmt: skip

    def _version(self) -> Row:
        return {
            "id": self.key, "evaluator_id": self.key, "number": 1, "executor": "EXTERNAL", "executor_arguments": "[]",
            "arguments": "[]", "scores_schema": "{}", "bounds": "{}", "digest": "0" * 64,
        }  # fmt: skip

    def _submission(self, key: UUID, n: int) -> Row:
        at = START + timedelta(seconds=n)
        return {
            "id": key, "public_id": f"s-{key}", "challenge_id": self.key, "phase_id": self.key,
            "user_id": self._user(n), "evaluator_id": None, "auto_eval": True, "status": "COMPLETED",
            "status_changed_at": at, "history": "[]", "submitted_at": at, "charged": True, "charged_at": at,
            "chosen": False, "has_scores": True, "created_at": at,
        }  # fmt: skip

    def _evaluation(self, submission: UUID, scores: str) -> Row:
        return {
            "id": submission, "submission_id": submission, "challenge_id": self.key, "number": 1,
            "evaluator_version_id": self.key, "extra_arguments": "[]", "digests": "{}", "scores": scores,
            "owner_scores": scores, "ended_at": START,
        }  # fmt: skip

    def _board(self) -> Row:
        columns = orjson.dumps(COLUMNS).decode()
        return {
            "id": self.key, "challenge_id": self.key, "label": self.name, "entry_file": "scores.json",
            "archived": False, "static_files": False, "columns": columns, "public_columns": columns,
            "rank_by": SCORES[0], "counting": "ALL",
        }  # fmt: skip

    def _build(self) -> Row:
        return {
            "id": self.key, "leaderboard_id": self.key, "number": 1, "reason": "", "entry_count": self.entries,
        }  # fmt: skip

    def _entry(self, submission: UUID, scores: str, n: int) -> Row:
        author = f"user{n % len(self.users):04}"
        return {
            "id": uuid7(), "leaderboard_id": self.key, "build_id": self.key, "position": n + 1, "rank": n + 1,
            "data": scores, "owner_data": scores, "organiser_data": scores, "author_label": author,
            "organiser_label": author, "external": False, "submission_id": submission, "user_id": self._user(n),
        }  # fmt: skip
