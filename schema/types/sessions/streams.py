"""Watching sessions, what happens in them, and invitations."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

import strawberry

from db import models
from resolvers.live import session_streams
from resolvers.sessions.care import came_back
from schema.fields.fields import Info
from schema.fields.scalars import key_of
from schema.fields.selection import select
from schema.types.sessions.sessions import Session, SessionEvent, SessionMember


@strawberry.type
class SessionStreamsSubscription:
    @strawberry.subscription(
        description="A session: first as it is, then after each change of it, of its members or of its events. Without "
        "an id: each session that you see, when it changes."
    )
    async def session_updated(
        self,
        info: Info,
        id: Annotated[strawberry.ID | None, strawberry.argument(description="The session; null for all.")] = None,
    ) -> AsyncGenerator[Session, None]:
        chosen = select(info, models.Session)
        if id is None:
            changed = session_streams.sessions(info.context, chosen)
        else:
            changed = session_streams.session(info.context, key_of("Session", id), chosen)
        async with aclosing(changed) as rows:
            async for row in rows:
                yield row

    @strawberry.subscription(
        description="What happens in a session from now on, some events at once. The first answer is empty: read the "
        "session's events after it, and you miss none."
    )
    async def session_events(
        self, info: Info, session: Annotated[strawberry.ID, strawberry.argument(description="The session.")]
    ) -> AsyncGenerator[list[SessionEvent], None]:
        key = key_of("Session", session, "session")
        async with aclosing(session_streams.events(info.context, key, select(info, models.SessionEvent))) as found:
            async for some in found:
                yield some

    @strawberry.subscription(
        description="Invitations into sessions that are under way, as memberships that wait for your answer: first "
        "all, then those that come, and those that no longer wait. Whoever listens is there: you are asked again into "
        "sessions for which you did not answer."
    )
    async def invitations(self, info: Info) -> AsyncGenerator[list[SessionMember], None]:
        await came_back(info.context, info.context.principal)
        async with aclosing(session_streams.invitations(info.context, select(info, models.SessionMember))) as found:
            async for some in found:
                yield some
