"""Challenges and their leaderboards: public."""

from datetime import date, datetime

from db import models
from schema.fields.fields import column, node, related
from schema.fields.nodes import Node
from schema.fields.scalars import JSON
from schema.lists.connections import connection


@node(models.Challenge, by="-start_date", listed="All challenges.")
class Challenge(Node):
    """A task set to everyone, with leaderboards of who did best."""

    label: str = column("The short name, unique.", filter=True, order=True, search=True, found=True)
    start_date: date = column("The first day.", filter=True, order=True)
    end_date: date | None = column("The last day; null when it has none.", filter=True)
    active: bool = column("Whether it takes submissions.", filter=True, group=True)
    url: str = column("Where it is described.")
    auto_eval: bool | None = column("Whether submissions are evaluated at once.", filter=True)
    leaderboards = connection(models.Challenge.leaderboards, "Its leaderboards.")


@node(models.Leaderboard, by="label", listed="All leaderboards.")
class Leaderboard(Node):
    """A ranking, built from evaluated submissions and external entries."""

    label: str = column("The short name, unique.", filter=True, order=True, search=True, found=True)
    archived: bool = column("Whether it is no longer built.", filter=True, group=True)
    static_files: bool = column("Whether files are published with it.", filter=True)
    built_at: datetime | None = column("When its entries were last built.", filter=True)
    sorting_key: str | None = column("The score it is sorted by, as a path into the entries' data.")
    external_entries: str | None = column("Where external entries come from.")
    challenge = related(models.Leaderboard.challenge, "The challenge.")
    entries = connection(models.Leaderboard.entries, "Its entries.", order="position")


@node(models.LeaderboardEntry)
class LeaderboardEntry(Node):
    """One place on a leaderboard."""

    position: int = column("The place, from 1.", filter=True, order=True)
    data: JSON = column("Scores, authors and publication, in the challenge's own shape.")
    author_label: str | None = column("Who is named as author.", filter=True)
    external: bool = column("Whether it came from outside, not from a submission.", filter=True, group=True)
    leaderboard = related(models.LeaderboardEntry.leaderboard, "The leaderboard.")
