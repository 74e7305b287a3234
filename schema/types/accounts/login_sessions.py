"""One's login sessions: which there are, and ending them."""

from datetime import datetime
from typing import Annotated

import strawberry

from db.types import instant_text
from resolvers.accounts import sessions
from resolvers.organisation import disconnecting
from resolvers.reading.listing import Listing
from resolvers.reading.paging import Page
from resolvers.spelling import global_id
from schema.fields.fields import Info
from schema.fields.mutations import IN_PERSON, WRITER, mutation
from schema.fields.nodes import Connection
from schema.fields.problems import Problem
from schema.fields.scalars import key_of, parse_id
from schema.lists.connections import Sliced, listed


@strawberry.type(description="One of your sign-ins that is still valid.")
class LoginSession:
    id: strawberry.ID = strawberry.field(description="For `closeSession`.")
    address: str | None = strawberry.field(description="The network address that it was last used from.")
    agent: str | None = strawberry.field(description="The program that it was last used with, by its own name.")
    created_at: datetime = strawberry.field(description="When you signed in.")
    last_used_at: datetime = strawberry.field(description="When its tokens were last refreshed.")
    current: bool = strawberry.field(description="Whether it is the one in use.")


@strawberry.type(description="Login sessions ended, and with them their streams and sockets.")
class SessionsClosed:
    count: int = strawberry.field(description="How many.")


ClosedResult = Annotated[
    SessionsClosed | Problem, strawberry.union("SessionsClosedResult", description="How many, or why not.")
]


_MINE = Listing("LoginSession", lambda one: (instant_text(one.last_used_at), one.id), descending=True)


async def _login_sessions(info: Info, sliced: Sliced) -> Page:
    mine = [
        LoginSession(
            id=strawberry.ID(global_id("LoginSession", held.family)),
            address=held.address,
            agent=held.agent,
            created_at=held.created_at,
            last_used_at=held.used_at,
            current=held.current,
        )
        for held in await sessions.mine(info.context)
    ]
    return _MINE.page(mine, sliced(_MINE))


@strawberry.type
class LoginSessionsQuery:
    login_sessions: Connection[LoginSession] = listed(
        "Your valid login sessions, the one used last first. Empty for who did not sign in.", _login_sessions
    )


@strawberry.type
class LoginSessionsMutation:
    @mutation(needs=IN_PERSON)
    async def close_session(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The login session.")]
    ) -> ClosedResult:
        """End one of your login sessions."""
        await sessions.close(info.context, key_of("LoginSession", id))
        return SessionsClosed(count=1)

    @mutation(needs=IN_PERSON)
    async def close_other_sessions(self, info: Info) -> ClosedResult:
        """End all your login sessions but the one in use."""
        return SessionsClosed(count=await sessions.close_others(info.context))

    @mutation(needs=IN_PERSON)
    async def close_sessions(
        self, info: Info, user: Annotated[strawberry.ID, strawberry.argument(description="The user.")]
    ) -> ClosedResult:
        """End all login sessions of a user. Allowed to administrators of a site of the user, who is no superadmin, and
        to superadmins."""
        return SessionsClosed(count=await sessions.close_all(info.context, key_of("User", user, "user")))

    @mutation(needs=WRITER)
    async def disconnect(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The User, Participant, Device or Service.")],
    ) -> ClosedResult:
        """End all login sessions of somebody, and their sockets and streams; keys and static tokens stay valid. Allowed
        to who administers a user or cares for a participant or device, to services of their projects for the latter,
        and to superadmins."""
        return SessionsClosed(count=await disconnecting.disconnect(info.context, *parse_id(id)))
