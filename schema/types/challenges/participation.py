"""Who takes part in challenges: registrations and teams."""

from datetime import datetime
from typing import Annotated

import strawberry

from db import models
from resolvers.participation import registrations, teams
from schema.fields.fields import Info, column, node, related
from schema.fields.inputs import Deleted, DeletedResult, deleting, result
from schema.fields.mutations import SIGNED_IN, mutation, written
from schema.fields.nodes import Node
from schema.fields.scalars import enum, key_of, optional_key
from schema.lists.connections import connection

RegistrationState = enum(
    models.RegistrationState,
    "How far a registration is.",
    PENDING="It waits for an organiser.",
    ACCEPTED="The user takes part.",
    REFUSED="An organiser refused it. `reason` says why.",
)
MemberState = enum(
    models.MemberState,
    "Whether somebody is in a team.",
    INVITED="The captain has invited them.",
    JOINED="They are in it.",
)


@node(models.Registration, by="-created_at", listed="Your registrations, and those of challenges that you organise.")
class Registration(Node):
    """A user who takes part in a challenge, or asks to."""

    state: RegistrationState = column("How far it is.", filter=True, group=True)  # type: ignore[valid-type]
    message: str = column("What the user wrote.")
    reason: str | None = column("What the organiser who decided wrote.")
    terms_accepted_at: datetime | None = column("When the terms were accepted.")
    challenge = related(models.Registration.challenge, "The challenge.", group=True)
    user = related(models.Registration.user, "The user.")


@node(models.Team, by="-created_at", listed="Your teams, and those of challenges that you organise.")
class Team(Node):
    """People who submit together in a challenge."""

    name: str = column("Its name, unique in the challenge.", filter=True)
    challenge = related(models.Team.challenge, "The challenge.")
    captain = related(models.Team.captain, "Who invites; null when all have left.")
    members = connection(models.Team.members, "Who is in it, and who is invited.", order="created_at")
    submissions = connection(models.Team.submissions, "What it submitted.")


@node(models.TeamMember)
class TeamMember(Node):
    """Somebody in a team, or invited into it."""

    state: MemberState = column("Whether they are in it.", filter=True)  # type: ignore[valid-type]
    team = related(models.TeamMember.team, "The team.")
    user = related(models.TeamMember.user, "Who.")


RegistrationResult, TeamResult = result(Registration), result(Team)
_TEAM = Annotated[strawberry.ID, strawberry.argument(description="The team.")]


@strawberry.type
class ParticipationMutation:
    @mutation(needs=SIGNED_IN)
    async def join_challenge(
        self,
        info: Info,
        challenge: Annotated[strawberry.ID, strawberry.argument(description="The challenge.")],
        accept_terms: Annotated[bool, strawberry.argument(description="Whether you accept its terms.")] = False,
        message: Annotated[str, strawberry.argument(description="For its organisers, at most 2000 characters.")] = "",
    ) -> RegistrationResult:  # type: ignore[valid-type]
        """Take part in a challenge, or ask to where its organisers accept people."""
        key = await registrations.join(
            info.context, key_of("Challenge", challenge, "challenge"), accept_terms=accept_terms, message=message
        )
        return await written(info, "Registration", models.Registration, key)  # type: ignore[no-any-return]

    @mutation(needs=SIGNED_IN)
    async def decide_registration(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The registration.")],
        accept: Annotated[bool, strawberry.argument(description="Whether the user takes part.")],
        reason: Annotated[str | None, strawberry.argument(description="Why; needed for a refusal.")] = None,
    ) -> RegistrationResult:  # type: ignore[valid-type]
        """Accept who asks to take part, or refuse it. Allowed to organisers of the challenge, superadmins."""
        key = key_of("Registration", id)
        await registrations.decide(info.context, key, accept=accept, reason=reason)
        return await written(info, "Registration", models.Registration, key)  # type: ignore[no-any-return]

    delete_registration = deleting(models.Registration, "Registration", "End a registration. What was submitted stays.")

    @mutation(needs=SIGNED_IN)
    async def create_team(
        self,
        info: Info,
        challenge: Annotated[strawberry.ID, strawberry.argument(description="The challenge.")],
        name: Annotated[str, strawberry.argument(description="Its name, unique in the challenge.")],
    ) -> TeamResult:  # type: ignore[valid-type]
        """Make a team, and be its captain."""
        key = await teams.create(info.context, key_of("Challenge", challenge, "challenge"), name)
        return await written(info, "Team", models.Team, key)  # type: ignore[no-any-return]

    @mutation(needs=SIGNED_IN)
    async def invite_to_team(
        self,
        info: Info,
        id: _TEAM,
        users: Annotated[list[strawberry.ID], strawberry.argument(description="Whom.")],
    ) -> TeamResult:  # type: ignore[valid-type]
        """Invite people into a team. Allowed to its captain."""
        key = key_of("Team", id)
        invited = [key_of("User", user, f"users.{n}") for n, user in enumerate(users)]
        await teams.invite(info.context, key, invited)
        return await written(info, "Team", models.Team, key)  # type: ignore[no-any-return]

    @mutation(needs=SIGNED_IN)
    async def join_team(self, info: Info, id: _TEAM) -> TeamResult:  # type: ignore[valid-type]
        """Join a team that you are invited into."""
        key = await teams.join(info.context, key_of("Team", id))
        return await written(info, "Team", models.Team, key)  # type: ignore[no-any-return]

    @mutation(needs=SIGNED_IN)
    async def leave_team(
        self,
        info: Info,
        id: _TEAM,
        user: Annotated[
            strawberry.ID | None, strawberry.argument(description="Who leaves: you, or for its captain anyone.")
        ] = None,
    ) -> DeletedResult:
        """Leave a team, or refuse its invitation. What the team submitted stays the team's."""
        key = key_of("Team", id)
        at = await teams.leave(info.context, key, optional_key("User", user, "user"))
        return Deleted(id=id, at=at)
