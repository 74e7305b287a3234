"""Watching whatever changes in a site, in a project, or in all that one sees; and who is there."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from enum import Enum
from typing import Annotated, Any

import strawberry

from resolvers.access.policy import policies
from resolvers.failures import Invalid
from resolvers.identity.presence import Present
from resolvers.live import entity_changes, presence_changes, watching
from resolvers.spelling import constant, global_id
from schema.fields.fields import Info, Reached
from schema.fields.mutations import written
from schema.fields.nodes import Node
from schema.fields.scalars import enum, key_of, parse_id

Watched = Enum(  # type: ignore[misc]
    "Watched",
    {constant(one.model.__name__): one.model for one in policies() if one.restorable or one.followed},
)
EntityType = enum(
    Watched, "A type whose changes can be watched.", name="EntityType",
    **{one.name: f"{one.value.__name__}." for one in Watched},
)  # fmt: skip


@strawberry.type(description="A change of a row.")
class EntityChange:
    type: EntityType = strawberry.field(description="The type of the row.")  # type: ignore[valid-type]
    id: strawberry.ID = strawberry.field(description="The id of the row.")
    change: strawberry.Private[Any]

    @strawberry.field(description="The row as it is now; null when it is deleted, or when you may no longer see it.")
    async def node(self, info: Info) -> Node | None:
        change: entity_changes.Change = self.change
        return None if change.gone else await written(info, change.model.__name__, change.model, change.id)


@strawberry.type(description="A change of who is online.")
class PresenceChange:
    id: strawberry.ID = strawberry.field(description="A User, a Participant or a Device.")
    online: bool = strawberry.field(description="Whether it is online now.")
    presence: Reached = strawberry.field(description="How it can be reached now.")  # type: ignore[valid-type]
    model: strawberry.Private[Any]
    key: strawberry.Private[Any]

    @strawberry.field(description="The user, participant or device; null when you may not see it.")
    async def node(self, info: Info) -> Node | None:
        return await written(info, self.model.__name__, self.model, self.key)  # type: ignore[no-any-return]


@strawberry.type
class FollowingSubscription:
    @strawberry.subscription(
        description="Who is online, or busy in a session, of the users, participants and devices of a project. The "
        "first answer has all of them; each further one has those who came, went or became busy or free. Who was not "
        "heard of for 90 s is offline."
    )
    async def presence(
        self, info: Info, project: Annotated[strawberry.ID, strawberry.argument(description="The project.")]
    ) -> AsyncGenerator[list[PresenceChange], None]:
        key = key_of("Project", project, "project")
        async with aclosing(presence_changes.present(info.context, key)) as found:
            async for some in found:
                yield [
                    PresenceChange(
                        id=strawberry.ID(global_id(there.model.__name__, there.id)),
                        online=there.state is not Present.OFFLINE,
                        presence=there.state,
                        model=there.model,
                        key=there.id,
                    )
                    for there in some
                ]

    @strawberry.subscription(
        description="Changes of the rows of these types that you see: they are created, changed, deleted or restored. "
        "The first answer is empty: read your lists after it, and you miss nothing. "
        "Rows that you come to see, or no longer see, by a role or a link are sent, too. A row that changes often is "
        f"sent at most four times a second. An answer has at most {watching.SOME} changes. At most "
        f"{entity_changes.MOST} rows are watched. You may have {watching.AT_ONCE} of these subscriptions at once, "
        "those of `presence` included."
    )
    async def entity_changed(
        self,
        info: Info,
        types: Annotated[list[EntityType], strawberry.argument(description="Of which types.")],  # type: ignore[valid-type]
        scope: Annotated[strawberry.ID | None, strawberry.argument(description="Only in this Site or Project.")] = None,
    ) -> AsyncGenerator[list[EntityChange], None]:
        if not types:
            raise Invalid("name at least one type", field="types")
        place = None if scope is None else entity_changes.place_named(*parse_id(scope, "scope"))
        watched = {one.value for one in types}  # type: ignore[attr-defined]
        async with aclosing(entity_changes.changes(info.context, watched, place)) as found:
            async for some in found:
                yield [
                    EntityChange(
                        type=Watched(change.model),
                        id=strawberry.ID(global_id(change.model.__name__, change.id)),
                        change=change,
                    )
                    for change in some
                ]
