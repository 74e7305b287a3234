"""Sessions and what happened in them."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from db import models
from resolvers.access import CREATOR, IN_A_PROJECT, PROJECT_MEMBER, SUPERADMIN
from resolvers.paging import Order
from schema.declarations import Orders
from schema.fields import column, node, related
from schema.lists import chosen, connection, contains, refers
from schema.nodes import Connection, Node
from schema.organisation import SESSIONS_OF
from schema.scalars import JSON, enum

if TYPE_CHECKING:
    from schema.accounts import User
    from schema.organisation import Project
    from schema.simulations import Simulation

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

    name: str = column("What it is called.")
    online: bool | None = column("Whether it is held online.", needs=(IN_A_PROJECT, SUPERADMIN))
    color: str = column("For calendars, as `#rrggbb`.")
    category: SessionCategory = column("What kind of session.")  # type: ignore[valid-type]
    config: JSON | None = column("Settings of the type.", needs=(IN_A_PROJECT, SUPERADMIN))
    sessions: Connection["Session"] = connection(
        models.SessionType.sessions, "Sessions of this type that you may see.", orders=SESSIONS_OF
    )


@node(models.Session)
class Session(Node):
    """A meeting, a measurement, a run of a protocol: something with a start, and events."""

    name: str = column("What it is called.")
    starts_at: datetime = column("When it starts or started.")
    duration_seconds: int = column("How long, in seconds; 0 before it ends.")
    status: SessionStatus = column("How far it is.")  # type: ignore[valid-type]
    comments: str | None = column("Notes of those who held it.", needs=(CREATOR, PROJECT_MEMBER, SUPERADMIN))
    parameters: JSON | None = column("What it was set up with.", needs=(CREATOR, PROJECT_MEMBER, SUPERADMIN))
    type: SessionType | None = related(models.Session.type, "Its type.")
    project: Annotated["Project", strawberry.lazy("schema.organisation")] | None = related(
        models.Session.project, "The project it belongs to, if any."
    )
    creator: Annotated["User", strawberry.lazy("schema.accounts")] | None = related(
        models.Session.creator, "Who made it."
    )
    events: Connection["SessionEvent"] = connection(
        models.Session.events,
        "What happened in it.",
        orders=Orders(
            "SessionEventOrder",
            "Orders of a session's events.",
            OLDEST=(Order(models.SessionEvent.occurred_at), "By time."),
            NEWEST=(Order(models.SessionEvent.occurred_at, descending=True), "The latest first."),
        ),
    )
    simulations: Connection[Annotated["Simulation", strawberry.lazy("schema.simulations")]] = connection(
        models.Session.simulations,
        "Simulations that are data of this session.",
        orders=Orders(
            "SessionSimulationOrder",
            "Orders of a session's simulations.",
            NEWEST=(Order(models.Simulation.created_at, descending=True), "The latest first."),
        ),
    )


@node(models.SessionEvent)
class SessionEvent(Node):
    """Something that happened in a session."""

    type: SessionEventType = column("What.")  # type: ignore[valid-type]
    occurred_at: datetime = column("When.")
    text: str | None = column("In words.")
    context: str | None = column("Where it came from, such as a device.")
    session: Session | None = related(models.SessionEvent.session, "The session.")


@strawberry.input(description="Which sessions.")
class SessionFilter:
    status: list[SessionStatus] | None = chosen(models.Session.status, "In one of these states.")  # type: ignore[valid-type]
    project: strawberry.ID | None = refers("Project", models.Session.project_id, "Of this project.")
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
