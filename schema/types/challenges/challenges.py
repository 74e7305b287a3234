"""Challenges and their phases."""

from datetime import UTC, date, datetime
from typing import Annotated, Any

import strawberry

from db import models
from resolvers.accounts import api_keys
from resolvers.challenges import announcements
from resolvers.challenges.openness import is_active
from schema.fields.fields import Info, column, computed, node, related
from schema.fields.inputs import Given, editing, inputs, result
from schema.fields.mutations import SIGNED_IN, mutation
from schema.fields.nodes import Node
from schema.fields.problems import Problem
from schema.fields.scalars import enum, key_of
from schema.lists.connections import connection
from schema.types.accounts.credentials import IssuedCredential, IssuedCredentialResult

RegistrationMode = enum(
    models.RegistrationMode,
    "How people come to take part in a challenge.",
    NONE="They need not register, but for the terms, where there are some.",
    OPEN="They register.",
    APPROVAL="They ask, and an organiser accepts them.",
)


@node(models.Challenge, by="-start_date", listed="All challenges.")
class Challenge(Node):
    """A task set to everyone, with leaderboards of who did best. Its organisers are the members of a user group, and
    the administrators of its site."""

    label: str = column("The short name, unique.", filter=True, order=True, search=True, found=True)
    title: str = column("Its title.", filter=True)
    description: str = column("What it is about, in Markdown.")
    start_date: date = column("The first day, UTC.", filter=True, order=True)
    end_date: date | None = column("The last day, UTC; null when it has none.", filter=True)
    active: bool = column("The switch: without it no submissions are taken.", filter=True, group=True)
    published: bool = column("Whether others than its organisers see it.", filter=True, group=True)
    url: str = column("Where it is described.")
    auto_eval: bool | None = column("Whether submissions are evaluated at once.", filter=True)
    terms: str | None = column("What whoever takes part must accept.")
    registration_mode: RegistrationMode = column("How people come to take part.", filter=True, group=True)  # type: ignore[valid-type]
    team_size: int = column("The most people of a team; 1: there are no teams.", filter=True)
    parallel_phases: bool = column("Whether phases may be at one time.", filter=True)
    site = related(models.Challenge.site, "The site whose administrators organise it.")
    organisers = related(models.Challenge.organisers, "The group whose members organise it.")
    evaluator = related(models.Challenge.evaluator, "What evaluates its submissions.")
    phases = connection(models.Challenge.phases, "Its phases.", order="ordinal")
    leaderboards = connection(models.Challenge.leaderboards, "Its leaderboards.")
    evaluators = connection(models.Challenge.evaluators, "The evaluators that its organisers look after.")
    submissions = connection(models.Challenge.submissions, "The submissions to it that you may see.")
    registrations = connection(models.Challenge.registrations, "Who takes part: your own, or for organisers all.")
    teams = connection(models.Challenge.teams, "The teams that you may see.")
    files = connection(models.Challenge.files, "The files of it that you may see.", order="-created_at")

    @computed("Whether it is active, has begun, and is not over.", reads=["active", "start_date", "end_date"])
    def is_active(self: Any) -> bool:
        return is_active(self, datetime.now(UTC).date())


@node(models.Phase)
class Phase(Node):
    """A part of a challenge, with its own times and quota. A challenge has at least one."""

    name: str = column("Its name, unique in the challenge.", filter=True)
    ordinal: int = column("Its place among the phases.", filter=True, order=True)
    description: str = column("What it asks for, in Markdown.")
    starts_at: datetime | None = column("When it begins; null: with the challenge.", filter=True)
    ends_at: datetime | None = column("When it ends; null: with the challenge.", filter=True)
    published: bool = column("Whether others than organisers see it.", filter=True)
    window_limit: int | None = column("How many submissions are taken within the window; null: any number.")
    window_seconds: int = column("How long the window is.")
    total_limit: int | None = column("How many submissions are taken in all; null: any number.")
    concurrent_limit: int | None = column("How many submissions may be under way at once; null: any number.")
    self_evaluation: bool = column("Whether submitters may have their submissions evaluated again.")
    shows_scores: bool = column("Whether submitters see their scores.")
    shows_log: bool = column("Whether submitters see the log of evaluations, and the files that those wrote.")
    challenge = related(models.Phase.challenge, "The challenge.")
    submissions = connection(models.Phase.submissions, "The submissions to it that you may see.")


_CHALLENGE = inputs(
    "Challenge",
    models.Challenge,
    label=Given(str, "The short name. No other challenge may have it."),
    title=Given(str, "Its title.", default=""),
    description=Given(str, "What it is about, in Markdown.", default=""),
    start_date=Given(date, "The first day, UTC."),
    end_date=Given(date, "The last day, UTC.", default=None),
    active=Given(bool, "The switch: without it no submissions are taken.", default=True),
    published=Given(bool, "Whether others than its organisers see it.", default=True),
    url=Given(str, "Where it is described.", default=""),
    auto_eval=Given(bool, "Whether submissions are evaluated at once.", default=True),
    terms=Given(str, "What whoever takes part must accept.", default=None),
    registration_mode=Given(RegistrationMode, "How people come to take part.", default=models.RegistrationMode.NONE),
    team_size=Given(int, "The most people of a team, 1 to 100; 1: there are no teams.", default=1),
    parallel_phases=Given(bool, "Whether phases may be at one time.", default=False),
    site=Given("Site", "The site whose administrators organise it. Only superadmins leave it out.", default=None),
    organisers=Given("UserGroup", "The group whose members organise it.", default=None),
    evaluator=Given("Evaluator", "What evaluates its submissions.", default=None),
)
_PHASE = inputs(
    "Phase",
    models.Phase,
    challenge=Given("Challenge", "The challenge.", fixed=True),
    name=Given(str, "Its name, unique in the challenge."),
    ordinal=Given(int, "Its place among the phases.", default=1),
    description=Given(str, "What it asks for, in Markdown.", default=""),
    starts_at=Given(datetime, "When it begins; null: with the challenge.", default=None),
    ends_at=Given(datetime, "When it ends; null: with the challenge.", default=None),
    published=Given(bool, "Whether others than organisers see it.", default=True),
    window_limit=Given(int, "How many submissions are taken within the window; null: any number.", default=None),
    window_seconds=Given(int, "How long the window is, 1 to 31622400; a day by default.", default=86_400),
    total_limit=Given(int, "How many submissions are taken in all; null: any number.", default=None),
    concurrent_limit=Given(int, "How many submissions may be under way at once; null: any number.", default=None),
    self_evaluation=Given(bool, "Whether submitters may have their submissions evaluated again.", default=False),
    shows_scores=Given(bool, "Whether submitters see their scores.", default=True),
    shows_log=Given(
        bool, "Whether submitters see the log of evaluations, and the files that those wrote.", default=True
    ),
)


@strawberry.type(description="A challenge was announced.")
class Announced:
    mails: int = strawberry.field(description="How many mails were posted: to all who did not opt out.")


AnnouncedResult = Annotated[
    Announced | Problem, strawberry.union("AnnouncedResult", description="How many were told, or why not.")
]


@strawberry.type
class ChallengesMutation:
    create_challenge, update_challenge, delete_challenge = editing(_CHALLENGE, result(Challenge))[:3]
    create_phase, update_phase, delete_phase = editing(_PHASE, result(Phase))[:3]

    @mutation(needs=SIGNED_IN)
    async def create_challenge_token(
        self, info: Info, challenge: Annotated[strawberry.ID, strawberry.argument(description="The challenge.")]
    ) -> IssuedCredentialResult:
        """Create a token with which the worker of an organiser claims evaluations of a challenge. Allowed to its
        organisers, superadmins."""
        key = key_of("Challenge", challenge, "challenge")
        made = await api_keys.create_token(info.context, models.Challenge, key)
        return IssuedCredential(secret=made.secret, public_key=None, key=made.credential)

    @mutation(needs=SIGNED_IN)
    async def announce_challenge(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The challenge.")]
    ) -> AnnouncedResult:
        """Mail all users who did not opt out that a challenge is open. For superadmins."""
        return Announced(mails=await announcements.announce(info.context, key_of("Challenge", id)))
