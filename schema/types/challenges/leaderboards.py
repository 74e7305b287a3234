"""Leaderboards, their builds and entries."""

from datetime import datetime
from typing import Annotated

import strawberry

from db import models
from resolvers.access.challenge_rules import BUILD_ORGANISER, ORGANISER, OWN_ENTRY
from resolvers.access.rules import SUPERADMIN
from resolvers.challenges import rebuilding
from schema.fields.fields import Info, column, node, related, varied
from schema.fields.inputs import Given, editing, inputs, result
from schema.fields.mutations import SIGNED_IN, mutation, written
from schema.fields.nodes import Node
from schema.fields.scalars import JSON, enum, key_of
from schema.fields.values import Shape
from schema.lists.connections import connection

Counting = enum(
    models.Counting,
    "Which runs of one submitter, a person or a team, a leaderboard shows.",
    BEST="The best one.",
    LATEST="The latest one.",
    ALL="All.",
    CHOSEN="The one that the submitter chose.",
)


@node(models.Leaderboard, by="label", listed="All leaderboards.")
class Leaderboard(Node):
    """A ranking, built from evaluated submissions and external entries. Watch it with `leaderboardUpdated`. As files it
    is at `/leaderboards/{label}.json` and `.csv`."""

    label: str = column("The short name, unique.", filter=True, order=True, search=True, found=True)
    title: str = column("Its title.", filter=True)
    archived: bool = column("Whether it takes no submissions, only external entries.", filter=True, group=True)
    static_files: bool = column(
        "Whether what evaluations write to a folder `static` is published with the entries.", filter=True
    )
    built_at: datetime | None = column("When its entries were last built.", filter=True)
    public_columns: JSON = varied(
        "Its columns, in order: objects with `key`, `title`, `path` (into `data` of an entry), `direction` (ASC: less "
        "is better), `precision` (decimals to show), `errorPath`, `hidden` and `audience` (ALL, OWNER, ORGANISERS). "
        "Others than organisers are told only of those that are for them.",
        ((ORGANISER, SUPERADMIN), "columns"),
        name="columns",
    )
    rank_by: str | None = column("The key of the column that it is ranked by; null: entries keep their order.")
    ties: JSON = column("The keys of the columns that decide between equal entries, in order.")
    counting: Counting = column("Which runs of one submitter it shows.", filter=True)  # type: ignore[valid-type]
    hidden: bool = column("Whether only organisers see it.", filter=True)
    embargo_ends_at: datetime | None = column("Until then others than organisers see just their own entries.")
    anonymity_ends_at: datetime | None = column("Until then authors are not named.")
    reveal_at: datetime | None = column("From then on everyone sees what was for submitters or organisers alone.")
    sorting_key: str | None = column("Where it has no columns: the score it is sorted by, as a path into the data.")
    external_entries: str | None = column("Where external entries came from.")
    challenge = related(models.Leaderboard.challenge, "The challenge.")
    phase = related(models.Leaderboard.phase, "The phase that it is of; null: all.")
    build = related(models.Leaderboard.build, "The present build.")
    builds = connection(models.Leaderboard.builds, "Its history: the last builds.", order="-number")
    entries = connection(
        models.Leaderboard.entries,
        "Its entries. They are replaced together: a cursor from before is CONFLICT.",
        order="place",
        pinned=True,
    )
    external = connection(models.Leaderboard.external, "What came from outside, for organisers.", order="created_at")


@node(models.LeaderboardBuild)
class LeaderboardBuild(Node):
    """A leaderboard as it was built at a moment. The entries of earlier builds are for organisers."""

    number: int = column("Counts the builds from 1.", filter=True, order=True)
    reason: str = column("Why it was built.")
    entry_count: int = column("How many entries it has.")
    leaderboard = related(models.LeaderboardBuild.leaderboard, "The leaderboard.")
    entries = connection(models.LeaderboardBuild.entries, "Its entries.", order="place")


@node(models.LeaderboardEntry)
class LeaderboardEntry(Node):
    """One place on a leaderboard."""

    position: int = column("The place, from 1; no two entries have the same.", filter=True, order=True, name="place")
    rank: int | None = column(
        "The rank: equal entries share one, and the next has that of its place (1, 1, 3). Null for baselines, and "
        "where the score is missing.",
        filter=True,
    )
    data: JSON = varied(
        "Its scores, in the challenge's own shape: what you may see of them.",
        ((BUILD_ORGANISER, SUPERADMIN), "organiser_data"),
        ((OWN_ENTRY,), "owner_data"),
    )
    author_label: str | None = varied(
        "Who is named as author.", ((BUILD_ORGANISER, OWN_ENTRY, SUPERADMIN), "organiser_label"), filter=True
    )
    external: bool = column("Whether it came from outside, not from a submission.", filter=True, group=True)
    baseline: bool = column("Whether it is a baseline, which has no rank.", filter=True)
    leaderboard = related(models.LeaderboardEntry.leaderboard, "The leaderboard.")
    build = related(models.LeaderboardEntry.build, "The build.")
    files = connection(
        models.LeaderboardEntry.files,
        "What its evaluations wrote, as far as you may see it: with `staticFiles` everyone sees what was written to a "
        "folder `static`.",
        order="-created_at",
    )
    submission = related(models.LeaderboardEntry.submission, "The submission, where you may see it.", filter=False)


@node(models.ExternalEntry)
class ExternalEntry(Node):
    """An entry from outside: a baseline, or a result of another year."""

    key: str = column("Its name, unique on the leaderboard.", filter=True)
    data: JSON = column("Its scores, in the challenge's own shape.")
    author_label: str | None = column("Who is named as author.")
    baseline: bool = column("Whether it is a baseline, which has no rank.")
    leaderboard = related(models.ExternalEntry.leaderboard, "The leaderboard.")


_COLUMNS = Shape(list)
_BOARD = inputs(
    "Leaderboard",
    models.Leaderboard,
    challenge=Given("Challenge", "The challenge.", fixed=True),
    phase=Given("Phase", "The phase that it is of; null: all.", default=None),
    label=Given(str, "The short name. No other leaderboard may have it."),
    title=Given(str, "Its title.", default=""),
    columns=Given(
        JSON,
        "Its columns, as `columns` tells them: `key` and `path` are needed. Without columns all scores are shown.",
        default=strawberry.UNSET,
        shape=_COLUMNS,
    ),
    rank_by=Given(str, "The key of the column that it is ranked by.", default=None),
    ties=Given(list[str], "The keys of the columns that decide between equal entries.", default=strawberry.UNSET),
    counting=Given(Counting, "Which runs of one submitter it shows.", default=models.Counting.ALL),
    archived=Given(bool, "Whether it takes no submissions, only external entries.", default=False),
    static_files=Given(
        bool, "Whether what evaluations write to a folder `static` is published with the entries.", default=False
    ),
    hidden=Given(bool, "Whether only organisers see it.", default=False),
    embargo_ends_at=Given(datetime, "Until then others than organisers see just their own entries.", default=None),
    anonymity_ends_at=Given(datetime, "Until then authors are not named.", default=None),
    reveal_at=Given(datetime, "From then on everyone sees what was for submitters or organisers alone.", default=None),
    sorting_key=Given(str, "Where it has no columns: the path of the score it is sorted by, ascending.", default=None),
)
_EXTERNAL = inputs(
    "ExternalEntry",
    models.ExternalEntry,
    leaderboard=Given("Leaderboard", "The leaderboard.", fixed=True),
    key=Given(str, "Its name, unique on the leaderboard.", fixed=True),
    data=Given(JSON, "Its scores, in the challenge's own shape.", shape=Shape()),
    author_label=Given(str, "Who is named as author.", default=None),
    baseline=Given(bool, "Whether it is a baseline, which has no rank.", default=False),
)


@strawberry.type
class LeaderboardsMutation:
    create_leaderboard, update_leaderboard, delete_leaderboard = editing(_BOARD, result(Leaderboard))[:3]
    create_external_entry, update_external_entry, delete_external_entry = editing(_EXTERNAL, result(ExternalEntry))[:3]

    @mutation(needs=SIGNED_IN)
    async def rebuild_leaderboard(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The leaderboard.")]
    ) -> result(Leaderboard):  # type: ignore[valid-type]
        """Build a leaderboard anew, now. Allowed to organisers, superadmins."""
        key = key_of("Leaderboard", id)
        await rebuilding.rebuild(info.context, key)
        return await written(info, "Leaderboard", models.Leaderboard, key)
