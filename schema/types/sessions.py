"""Sessions and what happened in them."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from db import models
from resolvers.reading.paging import Order
from schema.fields.connections import chosen, connection, contains, refers
from schema.fields.declarations import Orders
from schema.fields.fields import column, node, related
from schema.fields.inputs import deleting, restoring, result
from schema.fields.nodes import Connection, Node
from schema.fields.scalars import JSON, enum
from schema.types.organisation import SESSIONS_OF

if TYPE_CHECKING:
    from schema.types.accounts.users import User
    from schema.types.devices import Device
    from schema.types.organisation import Participant, Project
    from schema.types.simulations.simulations import Simulation

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


SESSION_ORDERS = Orders(
    "SessionOrder",
    "Orders of sessions.",
    NEWEST=(Order(models.Session.starts_at, descending=True), "The latest start first."),
    OLDEST=(Order(models.Session.starts_at), "By start."),
)


@node(models.SessionType)
class SessionType(Node):
    """What sessions may be: a name, a colour for calendars, a category."""

    name: str = column("Its name.")
    online: bool | None = column("Whether it is held online.")
    color: str = column("For calendars, as `#rrggbb`.")
    category: SessionCategory = column("What kind of session.")  # type: ignore[valid-type]
    config: JSON | None = column("Settings of the type.")
    sessions: Connection["Session"] = connection(
        models.SessionType.sessions, "Sessions of this type that you may see.", orders=SESSIONS_OF
    )


@node(models.Session)
class Session(Node):
    """A meeting, a measurement, a run of a protocol: something with a start, and events."""

    name: str = column("Its name.")
    starts_at: datetime = column("When it starts or started.")
    duration_seconds: int = column("How long, in seconds; 0 before it ends.")
    status: SessionStatus = column("Its state.")  # type: ignore[valid-type]
    comments: str | None = column("Notes of those who held it.")
    parameters: JSON | None = column("What it was set up with.")
    type: SessionType | None = related(models.Session.type, "Its type.")
    project: Annotated["Project", strawberry.lazy("schema.types.organisation")] | None = related(
        models.Session.project, "The project it belongs to, if any."
    )
    creator: Annotated["User", strawberry.lazy("schema.types.accounts.users")] | None = related(
        models.Session.creator, "Who made it."
    )
    members: Connection["SessionMember"] = connection(
        models.Session.members,
        "Who takes part in it.",
        orders=Orders(
            "SessionMemberOrder",
            "Orders of a session's members.",
            OLDEST=(Order(models.SessionMember.id), "By the time of joining."),
        ),
    )
    events: Connection["SessionEvent"] = connection(
        models.Session.events,
        "What happened in it.",
        orders=Orders(
            "SessionEventOrder",
            "Orders of a session's events.",
            OLDEST=(Order(models.SessionEvent.occurred_at), "The oldest first."),
            NEWEST=(Order(models.SessionEvent.occurred_at, descending=True), "The newest first."),
        ),
    )
    simulations: Connection[Annotated["Simulation", strawberry.lazy("schema.types.simulations.simulations")]] = (
        connection(
            models.Session.simulations,
            "Simulations that are data of this session.",
            orders=Orders(
                "SessionSimulationOrder",
                "Orders of a session's simulations.",
                NEWEST=(Order(models.Simulation.created_at, descending=True), "The newest first."),
            ),
        )
    )


@node(models.SessionMember)
class SessionMember(Node):
    """A user, a participant or a device that takes part in a session."""

    session: Session | None = related(models.SessionMember.session, "The session.")
    user: Annotated["User", strawberry.lazy("schema.types.accounts.users")] | None = related(
        models.SessionMember.user, "The user, if it is one."
    )
    participant: Annotated["Participant", strawberry.lazy("schema.types.organisation")] | None = related(
        models.SessionMember.participant, "The participant, if it is one."
    )
    device: Annotated["Device", strawberry.lazy("schema.types.devices")] | None = related(
        models.SessionMember.device, "The device, if it is one."
    )


@node(models.SessionEvent)
class SessionEvent(Node):
    """Something that happened in a session."""

    type: SessionEventType = column("What.")  # type: ignore[valid-type]
    occurred_at: datetime = column("When it happened.")
    text: str | None = column("In words.")
    context: str | None = column("Where it came from, such as a device.")
    session: Session | None = related(models.SessionEvent.session, "The session.")


@strawberry.input(description="Which sessions.")
class SessionFilter:
    status: list[SessionStatus] | None = chosen(models.Session.status, "In one of these states.")  # type: ignore[valid-type]
    project: strawberry.ID | None = refers("Project", "Of this project.", models.Session.project)
    name: str | None = contains(models.Session.name, "Part of the name, in any case.")


@strawberry.type
class SessionsQuery:
    sessions: Connection[Session] = connection(
        models.Session, "Sessions that you may see.", orders=SESSION_ORDERS, filter=SessionFilter
    )
    session_types: Connection[SessionType] = connection(
        models.SessionType,
        "The types of sessions.",
        orders=Orders(
            "SessionTypeOrder", "Orders of session types.", NAME=(Order(models.SessionType.name), "By name.")
        ),
    )


@strawberry.type
class SessionsMutation:
    delete_session = deleting(models.Session, "Session", "Delete a session with its events, unless it is under way.")
    restore_session = restoring(models.Session, "Session", result(Session))
