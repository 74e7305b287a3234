"""The demo's challenges and their leaderboards."""

from datetime import UTC, date, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db import models
from db.types import uuid7


async def fill_challenges(session: AsyncSession) -> None:
    tracks = ("spoken-units", "word-discovery", "voice-transfer", "dose-prediction")
    for year, track in enumerate(tracks, 2022):
        challenge = models.Challenge(
            id=uuid7(),
            label=f"{track}-{year}",
            start_date=date(year, 2, 1),
            end_date=None if year == 2025 else date(year, 6, 30),
            active=year == 2025,
            url=f"https://challenges.torana.example/{track}",
        )
        session.add(challenge)
        await session.flush()
        for board in ("development", "test"):
            leaderboard = models.Leaderboard(
                id=uuid7(),
                challenge_id=challenge.id,
                label=f"{track}-{year}-{board}",
                entry_file="entry.json",
                archived=year < 2024,
                static_files=False,
                sorting_key="scores.across",
                built_at=datetime(year, 7, 1, tzinfo=UTC),
            )
            session.add(leaderboard)
            await session.flush()
            session.add_all(_entry(leaderboard.id, place, board) for place in range(1, 13))


def _entry(leaderboard: UUID, place: int, board: str) -> models.LeaderboardEntry:
    teams = ("Aurora", "Birch", "Cobalt", "Delta", "Ember", "Fjord")
    across = round(8.0 + 1.3 * place + (0.4 if board == "test" else 0.0), 2)
    return models.LeaderboardEntry(
        leaderboard_id=leaderboard,
        position=place,
        author_label=f"Team {teams[place % len(teams)]}",
        external=place % 4 == 0,
        data={
            "scores": {"across": across, "within": round(across * 0.71, 2)},
            "model": f"system-{place:02d}",
            "supervision": place % 3 == 0,
        },
    )
