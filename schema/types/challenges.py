"""Challenges and their leaderboards: public."""

from datetime import date, datetime
from typing import Annotated

import strawberry

from db import models
from resolvers.reading.conditions import Where
from resolvers.reading.paging import Order
from schema.fields.connections import connection, contains, equal
from schema.fields.declarations import Orders
from schema.fields.fields import column, found, node, related
from schema.fields.nodes import Connection, Node
from schema.fields.scalars import JSON

LEADERBOARD_ORDERS = Orders(
    "LeaderboardOrder", "Orders of leaderboards.", LABEL=(Order(models.Leaderboard.label), "By label.")
)


@node(models.Challenge)
class Challenge(Node):
    """A task set to everyone, with leaderboards of who did best."""

    label: str = column("The short name, unique.")
    start_date: date = column("The first day.")
    end_date: date | None = column("The last day; null when it has none.")
    active: bool = column("Whether it takes submissions.")
    url: str = column("Where it is described.")
    auto_eval: bool | None = column("Whether submissions are evaluated at once.")
    leaderboards: Connection["Leaderboard"] = connection(
        models.Challenge.leaderboards, "Its leaderboards.", orders=LEADERBOARD_ORDERS
    )


@node(models.Leaderboard)
class Leaderboard(Node):
    """A ranking, built from evaluated submissions and external entries."""

    label: str = column("The short name, unique.")
    archived: bool = column("Whether it is no longer built.")
    static_files: bool = column("Whether files are published with it.")
    built_at: datetime | None = column("When its entries were last built.")
    sorting_key: str | None = column("The score it is sorted by, as a path into the entries' data.")
    external_entries: str | None = column("Where external entries come from.")
    challenge: Challenge | None = related(models.Leaderboard.challenge, "The challenge.")
    entries: Connection["LeaderboardEntry"] = connection(
        models.Leaderboard.entries,
        "Its entries.",
        orders=Orders(
            "LeaderboardEntryOrder",
            "Orders of a leaderboard's entries.",
            POSITION=(Order(models.LeaderboardEntry.position), "The best first."),
            POSITION_LAST=(Order(models.LeaderboardEntry.position, descending=True), "The last first."),
        ),
    )


@node(models.LeaderboardEntry)
class LeaderboardEntry(Node):
    """One place on a leaderboard."""

    position: int = column("The place, from 1.")
    data: JSON = column("Scores, authors and publication, in the challenge's own shape.")
    author_label: str | None = column("Who is named as author.")
    external: bool = column("Whether it came from outside, not from a submission.")
    leaderboard: Leaderboard | None = related(models.LeaderboardEntry.leaderboard, "The leaderboard.")


@strawberry.input(description="Which challenges.")
class ChallengeFilter:
    active: bool | None = equal(models.Challenge.active, "Taking submissions, or not.")
    label: str | None = contains(models.Challenge.label, "Part of the label, in any case.")


def _challenge(label: Annotated[str, strawberry.argument(description="The whole label.")]) -> Where:
    return Where.equal(models.Challenge.label, label)


@strawberry.type
class ChallengesQuery:
    challenges: Connection[Challenge] = connection(
        models.Challenge,
        "All challenges.",
        orders=Orders(
            "ChallengeOrder",
            "Orders of challenges.",
            NEWEST=(Order(models.Challenge.start_date, descending=True), "The latest start first."),
            OLDEST=(Order(models.Challenge.start_date), "By start."),
        ),
        filter=ChallengeFilter,
    )
    leaderboards: Connection[Leaderboard] = connection(
        models.Leaderboard, "All leaderboards.", orders=LEADERBOARD_ORDERS
    )

    challenge: Challenge | None = found(models.Challenge, "The challenge with this label, or null.", _challenge)
