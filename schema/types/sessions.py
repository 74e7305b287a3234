"""Sessions and what happened in them."""

from datetime import datetime
from typing import TYPE_CHECKING

import strawberry

from db import models
from schema.fields.fields import column, node, related
from schema.fields.inputs import deleting, restoring, result
from schema.fields.nodes import Node
from schema.fields.scalars import JSON, enum
from schema.lists.connections import connection

if TYPE_CHECKING:
    pass

SessionCategory = enum(
    models.SessionCategory,
    "What kind of session a type stands for.",
    SERVICE="Run by a service, such as a video call.",
    DATACOLLECT="Data are collected.",
    FILETRANSFER="Files are transferred.",
    PROTOCOL="A protocol is followed.",
)
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


@node(models.SessionType, by="name", listed="The types of sessions.")
class SessionType(Node):
    """What sessions may be: a name, a colour for calendars, a category."""

    name: str = column("Its name.", filter=True, order=True, search=True)
    online: bool | None = column("Whether it is held online.", filter=True, group=True)
    color: str = column("For calendars, as `#rrggbb`.")
    category: SessionCategory = column("What kind of session.", filter=True, group=True)  # type: ignore[valid-type]
    config: JSON | None = column("Settings of the type.")
    sessions = connection(models.SessionType.sessions, "Sessions of this type that you may see.")


@node(models.Session, by="-starts_at", listed="Sessions that you may see.")
class Session(Node):
    """A meeting, a measurement, a run of a protocol: something with a start, and events."""

    name: str = column("Its name.", filter=True, order=True, search=True)
    starts_at: datetime = column("When it starts or started.", filter=True, order=True, group=True)
    duration_seconds: int = column("How long, in seconds; 0 before it ends.", filter=True, group=True)
    status: SessionStatus = column("Its state.", filter=True, group=True)  # type: ignore[valid-type]
    comments: str | None = column("Notes of those who held it.")
    parameters: JSON | None = column("What it was set up with.")
    type = related(models.Session.type, "Its type.", group=True)
    project = related(models.Session.project, "The project it belongs to, if any.", group=True)
    creator = related(models.Session.creator, "Who made it.", group=True)
    members = connection(models.Session.members, "Who takes part in it.")
    events = connection(models.Session.events, "What happened in it.", order="occurred_at")
    simulations = connection(models.Session.simulations, "Simulations that are data of this session.")
    files = connection(models.Session.files, "Its files.", order="-created_at")


@node(models.SessionMember)
class SessionMember(Node):
    """A user, a participant or a device that takes part in a session."""

    session = related(models.SessionMember.session, "The session.")
    user = related(models.SessionMember.user, "The user, if it is one.")
    participant = related(models.SessionMember.participant, "The participant, if it is one.")
    device = related(models.SessionMember.device, "The device, if it is one.")


@node(models.SessionEvent)
class SessionEvent(Node):
    """Something that happened in a session."""

    type: SessionEventType = column("What.", filter=True, group=True)  # type: ignore[valid-type]
    occurred_at: datetime = column("When it happened.", filter=True, order=True, group=True)
    text: str | None = column("In words.")
    context: str | None = column("Where it came from, such as a device.")
    session = related(models.SessionEvent.session, "The session.", group=True)


@strawberry.type
class SessionsMutation:
    delete_session = deleting(models.Session, "Session", "Delete a session with its events, unless it is under way.")
    restore_session = restoring(models.Session, "Session", result(Session))
