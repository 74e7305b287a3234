"""Sessions, who is in them, and what happened in them."""

from datetime import datetime
from typing import TYPE_CHECKING

from db import models
from schema.fields.declarations import Lasting
from schema.fields.fields import column, node, related
from schema.fields.nodes import Node
from schema.fields.scalars import JSON, BigInt, enum
from schema.lists.connections import connection

if TYPE_CHECKING:
    pass

SessionStatus = enum(
    models.SessionStatus,
    "How far a session is.",
    NOT_STARTED="Planned.",
    IN_PROGRESS="Under way.",
    COMPLETED="Ended as planned.",
    CANCELLED="Called off before it started.",
    TERMINATED="Broken off.",
)
SessionEventType = enum(
    models.SessionEventType,
    "What happened in a session.",
    **{name: name.replace("_", " ").capitalize() + "." for name in models.SessionEventType.__members__},
)
SessionMemberState = enum(
    models.SessionMemberState,
    "Whether somebody takes part in a session.",
    INVITED="Named as a member; asked, once the session is under way.",
    JOINED="In it, or in it until its end.",
    BUSY="Was in another session, or said so. Asked again when free.",
    REFUSED="Does not come.",
    TIMED_OUT="Asked, and did not answer in time. Asked again when back.",
    LEFT="Was in it, and left.",
)


@node(
    models.Session,
    by="-starts_at",
    listed="Sessions that you may see.",
    lasting=Lasting("starts_at", "ends_at", ("status", models.SessionStatus.IN_PROGRESS)),
)
class Session(Node):
    """A meeting, a measurement, a run of a protocol: something with a start, members and events."""

    name: str = column("Its name.", filter=True, order=True, search=True)
    starts_at: datetime = column("When it starts or started.", filter=True, order=True, group=True)
    ends_at: datetime | None = column(
        "When it is planned to end; once it ended, when it did. Null while that is not known.", filter=True, order=True
    )
    duration_seconds: int = column(
        "How long it was under way, in seconds: all times together, without the present one.", filter=True, group=True
    )
    status: SessionStatus = column("How far it is.", filter=True, group=True)  # type: ignore[valid-type]
    comments: str | None = column("Notes of those who held it.")
    parameters: JSON | None = column("What it was set up with.")
    type = related(models.Session.type, "Its type.", group=True)
    project = related(models.Session.project, "The project it belongs to, if any.", group=True)
    creator = related(models.Session.creator, "The user who made it, if one did.", group=True)
    creator_participant = related(models.Session.creator_participant, "The participant that made it, if one did.")
    creator_device = related(models.Session.creator_device, "The device that made it, if one did.")
    creator_service = related(models.Session.creator_service, "The service that made it, if one did.")
    members = connection(models.Session.members, "Who is in it, or invited.")
    events = connection(models.Session.events, "What happened in it.", order="occurred_at")
    simulations = connection(models.Session.simulations, "Simulations that are data of this session.")
    files = connection(models.Session.files, "Its files.", order="-created_at")


@node(models.SessionMember)
class SessionMember(Node):
    """A user, a participant or a device in a session, or invited into it."""

    state: SessionMemberState = column("Whether it takes part.", filter=True, group=True)  # type: ignore[valid-type]
    expires_at: datetime | None = column("Until when an answer is waited for; null while none is.", filter=True)
    session = related(models.SessionMember.session, "The session.")
    user = related(models.SessionMember.user, "The user, if it is one.")
    participant = related(models.SessionMember.participant, "The participant, if it is one.")
    device = related(models.SessionMember.device, "The device, if it is one.")


@node(models.SessionEvent)
class SessionEvent(Node):
    """Something that happened in a session."""

    type: SessionEventType = column("What.", filter=True, group=True)  # type: ignore[valid-type]
    occurred_at: datetime = column(
        "When it happened, by the clock of who told of it; when it came is `createdAt`.",
        filter=True,
        order=True,
        group=True,
    )
    text: str | None = column("In words.")
    context: str | None = column("Where it came from, such as a device.")
    client_id: str | None = column(
        "The name that who told of it gave it; the same name again is the same event.", filter=True
    )
    seq: BigInt | None = column(
        "The number that who told of it gave it: a hole shows that one is missing.", filter=True
    )
    session = related(models.SessionEvent.session, "The session.", group=True)
    user = related(models.SessionEvent.user, "The user who told of it, or whom it is about.")
    participant = related(models.SessionEvent.participant, "The participant whom it is about.")
    device = related(models.SessionEvent.device, "The device that told of it, or that it is about.")
    service = related(models.SessionEvent.service, "The service that told of it.")
