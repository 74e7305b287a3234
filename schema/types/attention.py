"""Who may need attention in a site or a project."""

from datetime import datetime
from typing import Annotated, Any

import strawberry

from resolvers.organisation import attention
from resolvers.reading.listing import Listing
from resolvers.reading.paging import Page
from resolvers.spelling import global_id
from schema.fields.fields import Info, computed
from schema.fields.mutations import written
from schema.fields.nodes import Connection, Node
from schema.fields.scalars import enum, parse_id
from schema.lists.connections import Sliced, listed

Why = enum(
    attention.Why,
    "Why somebody may need attention.",
    name="AttentionReason",
    NO_SESSION_FOR_LONG="A participant whose last session is more than six months ago.",
    NO_SESSION="A participant who had none, and did not change for a month.",
    AWAY_FOR_LONG="A user who was not online for three months.",
    NEVER_ONLINE="A user who never was, and did not change for a month.",
)


@strawberry.type(description="Somebody who may need attention.")
class Attention:
    @computed("The User or Participant.", reads=())
    def id(self: Any) -> strawberry.ID:
        return strawberry.ID(global_id(self.model.__name__, self.id))

    why: Why = strawberry.field(description="Why.")  # type: ignore[valid-type]
    last_at: datetime = strawberry.field(description="The last time, or the last change of who never was.")

    @strawberry.field(description="The user or participant.")
    async def node(self: Any, info: Info) -> Node | None:
        return await written(info, self.model.__name__, self.model, self.id)  # type: ignore[no-any-return]


_LIST = Listing("Attention", lambda one: (one.last_at.isoformat(), str(one.id)))


async def _attention(
    info: Info,
    sliced: Sliced,
    scope: Annotated[strawberry.ID, strawberry.argument(description="A Site or a Project.")],
) -> Page:
    return _LIST.page(await attention.attention(info.context, *parse_id(scope, "scope")), sliced(_LIST))


@strawberry.type
class AttentionQuery:
    attention: Connection[Attention] = listed(
        "Whom to look after in a site or a project, of those whom you see: participants without sessions for long, and "
        f"users who are never online; those first who wait longest. At most {attention.MOST}.",
        _attention,
    )
