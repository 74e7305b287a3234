"""Telling of what happens in sessions, one event or a batch of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry

from db import models
from resolvers.failures import Failure
from resolvers.sessions import events as telling
from schema.fields.fields import Info
from schema.fields.inputs import Given, editing, inputs, result
from schema.fields.mutations import WRITER, mutation, written
from schema.fields.problems import Problem, problem_of
from schema.fields.scalars import BigInt, key_of, member_name
from schema.fields.selection import select
from schema.types.sessions.sessions import SessionEvent, SessionEventType

_EVENT = inputs(
    "SessionEvent",
    models.SessionEvent,
    session=Given("Session", "The session.", fixed=True),
    type=Given(SessionEventType, "What happened."),
    occurred_at=Given(datetime, "When it happened, by your clock."),
    text=Given(str, "In words, at most 10000 characters.", default=None),
    context=Given(str, "Where it came from.", default=None),
    client_id=Given(str, "Your name for it: the same again is the same event.", default=None, fixed=True),
    seq=Given(BigInt, "Your number for it; a hole shows that one is missing.", default=None, fixed=True),
)
_NEW: Any = _EVENT.new
SessionEventResult = result(SessionEvent)
_, _update, _delete, _ = editing(_EVENT, SessionEventResult)


@strawberry.input(description="An event of a batch. What can't be read is refused for this one event alone.")
class NewReportedEvent:
    session: strawberry.ID = strawberry.field(description="The session.")
    client_id: str = strawberry.field(
        description="Your name for it, 1 to 64 characters: the same again is the same event, and changes nothing."
    )
    type: str = strawberry.field(description="A SessionEventType.")
    occurred_at: str = strawberry.field(
        description="When it happened, by your clock: a date and time with an offset, at most a day ahead."
    )
    text: str | None = strawberry.field(default=None, description="In words, at most 10000 characters.")
    context: str | None = strawberry.field(default=None, description="Where it came from.")
    seq: BigInt | None = strawberry.field(
        default=None, description="Your number for it: `eventGaps` shows which are missing."
    )


async def _event(self: Any, info: Info) -> Any:
    return None if self.key is None else await info.context.loaders.one(select(info, models.SessionEvent), self.key)


@strawberry.type(description="What became of an event.")
class EventOutcome:
    client_id: str | None = strawberry.field(description="Your name for it.")
    key: strawberry.Private[UUID | None]
    repeated: bool = strawberry.field(description="Whether it had come before; then `event` is that one.")
    event: SessionEvent | None = strawberry.field(
        resolver=_event, description="The stored event; null when it was refused."
    )
    problem: Problem | None = strawberry.field(description="Why it was refused; null when it is stored.")


@strawberry.type(description="What became of the events of a batch.")
class EventBatch:
    stored: int = strawberry.field(description="How many are new.")
    repeated: int = strawberry.field(description="How many had come before.")
    refused: int = strawberry.field(description="How many were refused; `problem` of each says why.")
    outcomes: list[EventOutcome] = strawberry.field(description="One for each event, in their order.")

    @classmethod
    def of(cls, outcomes: Sequence[telling.Outcome]) -> "EventBatch":
        refused = sum(one.failure is not None for one in outcomes)
        repeated = sum(one.repeated for one in outcomes)
        return cls(
            stored=len(outcomes) - refused - repeated,
            repeated=repeated,
            refused=refused,
            outcomes=[
                EventOutcome(
                    client_id=one.client_id,
                    key=one.key,
                    repeated=one.repeated,
                    problem=None if one.failure is None else problem_of(one.failure),
                )
                for one in outcomes
            ],
        )


EventBatchResult = Annotated[
    EventBatch | Problem,
    strawberry.union("EventBatchResult", description="What became of each event, or why none was looked at."),
]


def _session(id: str) -> UUID | Failure:
    try:
        return key_of("Session", id, "session")
    except Failure as failure:
        return failure


@strawberry.type
class SessionEventsMutation:
    update_session_event, delete_session_event = _update, _delete

    @mutation(needs=WRITER)
    async def create_session_event(
        self, info: Info, input: Annotated[_NEW, strawberry.argument(description="The new event.")]
    ) -> SessionEventResult:  # type: ignore[valid-type]
        """Tell of something that happened in a session: as its creator, one of its users or devices, a user of its
        project, or a service of its type."""
        given = _EVENT.values(input)
        told = telling.Told(
            session=given["session_id"],
            client_id=given["client_id"],
            type=member_name(given["type"]),
            occurred_at=given["occurred_at"].isoformat(),
            text=given["text"],
            context=given["context"],
            seq=given["seq"],
        )
        (outcome,) = await telling.report(info.context, [told], "input")
        if outcome.failure is not None:
            raise outcome.failure
        return await written(info, "SessionEvent", models.SessionEvent, outcome.key)  # type: ignore[no-any-return]

    @mutation(needs=WRITER)
    async def report_events(
        self,
        info: Info,
        events: Annotated[
            list[NewReportedEvent],
            strawberry.argument(description="The events, at most 1000, of any of your sessions."),
        ],
    ) -> EventBatchResult:
        """Tell of many events at once. Each has an outcome of its own: a bad one takes no good one with it, and one
        that came before is answered by the event that it became. So a batch may be sent again."""
        told = [
            telling.Told(
                session=_session(one.session),
                client_id=one.client_id,
                type=one.type,
                occurred_at=one.occurred_at,
                text=one.text,
                context=one.context,
                seq=one.seq,
            )
            for one in events
        ]
        return EventBatch.of(await telling.report(info.context, told))
