"""The demo's challenges: those of past years with their boards, and one that takes submissions."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db import models
from db.models import EvaluatorFileRole, Executor, FilePurpose
from db.types import uuid7
from jobs.scores.columns import read
from resolvers.challenges import boards, evaluators
from resolvers.challenges.evaluators import NewVersion
from resolvers.context import Context, Services
from resolvers.files import storing
from resolvers.identity.principal import OPERATOR

LIVING = "spoken-digits"
PROGRAM = """\
import csv
import json
import sys

submission, reference, output = sys.argv[-3:]


def labels(path):
    with open(path, newline="", encoding="utf-8") as file:
        return {row["id"]: row["label"] for row in csv.DictReader(file)}


truth, found = labels(f"{reference}/labels.csv"), labels(f"{submission}/predictions.csv")
unknown = sorted(set(found) - set(truth))
if unknown:
    sys.exit(f"predictions.csv: there is no recording {unknown[0]}")
right = 0
for number, (key, label) in enumerate(truth.items(), 1):
    right += found.get(key) == label
    print(f"evaluated {number} of {len(truth)}", flush=True)
missing = len(set(truth) - set(found))
scores = {"accuracy": right / len(truth), "missing": missing, "hidden": {"seed": sum(map(len, found.values()))}}
with open(f"{output}/scores.json", "w") as file:
    json.dump(scores, file)
"""
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LABELS = "id,label\n" + "".join(f"recording-{n:02},{DIGITS[n * 7 % 10]}\n" for n in range(40))
SCHEMA = {
    "type": "object",
    "properties": {"accuracy": {"type": "number", "minimum": 0, "maximum": 1}, "missing": {"type": "integer"}},
    "required": ["accuracy", "missing"],
}
COLUMNS = [
    {"key": "accuracy", "title": "Accuracy", "path": "accuracy", "direction": "DESC", "precision": 3},
    {"key": "missing", "title": "Not recognised", "path": "missing", "direction": "ASC"},
    {"key": "seed", "title": "For organisers", "path": "hidden.seed", "audience": "ORGANISERS"},
]


async def fill_challenges(session: AsyncSession) -> None:
    """Challenges of past years. Their boards came from outside."""
    tracks = ("spoken-units", "word-discovery", "voice-transfer", "dose-prediction")
    for year, track in enumerate(tracks, 2022):
        challenge = _challenge(
            f"{track}-{year}", date(year, 2, 1), date(year, 6, 30), False, f"https://challenges.torana.example/{track}"
        )
        session.add(challenge)
        await session.flush()
        session.add(models.Phase(challenge_id=challenge.id, name="main"))
        for board in ("development", "test"):
            await _past_board(session, challenge.id, f"{track}-{year}-{board}", board, year)


def _challenge(label: str, start: date, end: date | None, active: bool, url: str, **more: Any) -> models.Challenge:
    return models.Challenge(id=uuid7(), label=label, start_date=start, end_date=end, active=active, url=url, **more)


async def _past_board(session: AsyncSession, challenge: UUID, label: str, board: str, year: int) -> None:
    leaderboard = models.Leaderboard(
        id=uuid7(),
        challenge_id=challenge,
        label=label,
        archived=True,
        static_files=False,
        sorting_key="scores.across",
    )
    session.add(leaderboard)
    await session.flush()
    teams = ("Aurora", "Birch", "Cobalt", "Delta", "Ember", "Fjord")
    for place in range(1, 13):
        across = round(8.0 + 1.3 * place + (0.4 if board == "test" else 0.0), 2)
        data = {
            "scores": {"across": across, "within": round(across * 0.71, 2)},
            "model": f"system-{place:02d}",
            "supervision": place % 3 == 0,
        }
        session.add(_external(leaderboard.id, f"{place:02}", f"Team {teams[place % len(teams)]}", data))
    await session.flush()
    await boards.build(session, leaderboard.id, f"the results of {year}")


def _external(
    board: UUID, key: str, author: str, data: Mapping[str, Any], *, baseline: bool = False
) -> models.ExternalEntry:
    return models.ExternalEntry(leaderboard_id=board, key=key, author_label=author, data=dict(data), baseline=baseline)


async def fill_living(services: Services, organisers: UUID) -> None:
    """A challenge that takes submissions: an evaluator that runs in a second, and a board with ties."""
    ctx = Context(services, OPERATOR)
    placed = [
        (purpose, name, content.encode(), await storing.place(services, content.encode()))
        for purpose, name, content in (
            (FilePurpose.EVALUATOR_PROGRAM, "score.py", PROGRAM),
            (FilePurpose.REFERENCE_DATA, "labels.csv", LABELS),
        )
    ]
    begun = datetime.now(UTC).date() - timedelta(days=30)
    async with services.database.write(as_system="the demo fills its own database") as session:
        challenge = _challenge(
            LIVING, begun, None, True, "https://challenges.torana.example/spoken-digits",
            title="Spoken digits", organisers_id=organisers,
            description="Say which digit each of 40 recordings holds: `predictions.csv` with `id,label`.",
        )  # fmt: skip
        session.add(challenge)
        await session.flush()
        session.add(models.Phase(challenge_id=challenge.id, name="main", window_limit=20, concurrent_limit=5))
        program, reference = [
            await storing.store(session, purpose, name, digest, len(content), challenge_id=challenge.id)
            for purpose, name, content, digest in placed
        ]
        columns = [column.description() for column in read(COLUMNS)]
        board = models.Leaderboard(
            id=uuid7(), challenge_id=challenge.id, label=f"{LIVING}-accuracy", title="Accuracy", archived=False,
            static_files=False, columns=columns, public_columns=columns[:2], rank_by="accuracy", ties=["missing"],
            counting=models.Counting.BEST,
        )  # fmt: skip
        session.add(board)
        await session.flush()
        for name, author, accuracy, baseline in (
            ("1", "Team Aurora", 0.9, False), ("2", "Team Birch", 0.9, False), ("3", "Team Cobalt", 0.75, False),
            ("chance", "Chance", 0.1, True),
        ):  # fmt: skip
            session.add(_external(board.id, name, author, {"accuracy": accuracy, "missing": 0}, baseline=baseline))
        key = challenge.id
    files = {EvaluatorFileRole.PROGRAM: [program], EvaluatorFileRole.REFERENCE: [reference]}
    version = NewVersion(Executor.PYTHON, scores_schema=SCHEMA, bounds={"seconds": 60}, files=files)
    evaluator = await evaluators.upsert(ctx, LIVING, version, challenge=key)
    async with services.database.write(as_system="the demo fills its own database") as session:
        (await session.get_one(models.Challenge, key)).evaluator_id = evaluator
        await session.flush()
        await boards.build(session, board.id, "the demo")
