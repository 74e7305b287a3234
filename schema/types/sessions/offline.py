"""What devices and services missed: changes since they were last there, and events of theirs that did not come."""

from typing import Annotated, Any

import strawberry

from resolvers.live import changes_since
from resolvers.sessions import gaps
from resolvers.spelling import global_id
from schema.fields.fields import Info
from schema.fields.mutations import written
from schema.fields.nodes import Node
from schema.fields.scalars import BigInt, key_of
from schema.types.following import EntityType, Watched


@strawberry.type(description="A row that changed.")
class RowChange:
    type: EntityType = strawberry.field(description="The type of the row.")  # type: ignore[valid-type]
    id: strawberry.ID = strawberry.field(description="The id of the row.")
    deleted: bool = strawberry.field(description="Whether it is deleted.")
    change: strawberry.Private[Any]

    @strawberry.field(description="The row as it is now; null when it is deleted.")
    async def node(self, info: Info) -> Node | None:
        one: changes_since.Changed = self.change
        return None if one.deleted else await written(info, one.model.__name__, one.model, one.id)


@strawberry.type(description="What changed, in the order of the changes.")
class RowChanges:
    changes: list[RowChange] = strawberry.field(description="The rows, each once.")
    cursor: str = strawberry.field(description="Where to go on, now or after the next time offline.")
    has_more: bool = strawberry.field(description="Whether there are more now.")


@strawberry.type(description="Events that did not come: numbers that are missing between others.")
class EventGap:
    first: BigInt = strawberry.field(description="The first missing number.")
    last: BigInt = strawberry.field(description="The last missing number.")


@strawberry.type
class OfflineQuery:
    @strawberry.field(
        description="The rows that you see and that changed since a cursor, and those of them that were deleted. "
        "Without a cursor none: read your lists, and keep the cursor. Changes of the last minute may come twice; "
        "compare `version`. Of what you no longer see for another reason nothing is told."
    )
    async def changes_since(
        self,
        info: Info,
        types: Annotated[
            list[EntityType],  # type: ignore[valid-type]
            strawberry.argument(
                description="Of SESSION, SESSION_MEMBER, SESSION_EVENT, SESSION_TYPE, PARTICIPANT, DEVICE."
            ),
        ],
        cursor: Annotated[str | None, strawberry.argument(description="Where you were.")] = None,
        first: Annotated[int, strawberry.argument(description="At most so many, up to 500.")] = 100,
    ) -> RowChanges:
        watched = list(dict.fromkeys(one.value for one in types))  # type: ignore[attr-defined]
        found = await changes_since.changes_since(info.context, watched, cursor, first)
        rows = [
            RowChange(
                type=Watched(one.model),
                id=strawberry.ID(global_id(one.model.__name__, one.id)),
                deleted=one.deleted,
                change=one,
            )
            for one in found.rows
        ]
        return RowChanges(changes=rows, cursor=found.cursor, has_more=found.more)

    @strawberry.field(
        description="Which numbers (`seq`) are missing among the events that a device told of, the first 1000 holes. "
        "For the device, and for who cares for it."
    )
    async def event_gaps(
        self, info: Info, device: Annotated[strawberry.ID, strawberry.argument(description="The device.")]
    ) -> list[EventGap]:
        found = await gaps.gaps(info.context, key_of("Device", device, "device"))
        return [EventGap(first=BigInt(one.first), last=BigInt(one.last)) for one in found]
