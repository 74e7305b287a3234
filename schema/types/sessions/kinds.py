"""Types of sessions: where they are held, by which services, and how they are set up."""

from typing import TYPE_CHECKING

import strawberry

from db import models
from schema.fields.fields import column, node, related
from schema.fields.inputs import Given, Several, editing, inputs, result
from schema.fields.nodes import Node
from schema.fields.scalars import JSON, enum
from schema.fields.values import OBJECT
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


@node(models.SessionType, by="name", listed="The types of sessions that you may see.")
class SessionType(Node):
    """What sessions may be: a name, a colour for calendars, a category, and the service that runs them."""

    name: str = column("Its name.", filter=True, order=True, search=True)
    online: bool | None = column("Whether it is held online.", filter=True, group=True)
    color: str = column("For calendars, as `#rrggbb`.")
    category: SessionCategory = column("What kind of session.", filter=True, group=True)  # type: ignore[valid-type]
    config: JSON | None = column("Settings of the type, as the schema of its service wants them.")
    service = related(models.SessionType.service, "The service that runs its sessions, if any.", group=True)
    services = connection(models.SessionType.services, "Services that help in its sessions.", small=True)
    sites = connection(models.SessionType.sites, "The sites that have it.", small=True)
    projects = connection(models.SessionType.projects, "The projects that have it.", small=True)
    sessions = connection(models.SessionType.sessions, "Sessions of this type that you may see.")


_LINK = (models.SessionTypeSite, models.SessionTypeProject, models.SessionTypeService)
_TYPE = inputs(
    "SessionType",
    models.SessionType,
    name=Given(str, "Its name."),
    category=Given(SessionCategory, "What kind of session. One of category SERVICE has a service."),
    color=Given(str, "For calendars, as `#rrggbb`.", default="#2f7ed8"),
    online=Given(bool, "Whether it is held online.", default=False),
    service=Given("Service", "The service that runs its sessions; it works in all its sites.", default=None),
    config=Given(JSON, "Settings, as the schema of its service wants them.", default=None, shape=OBJECT),
    sites=Several(
        "Site", _LINK[0], "session_type_id", "site_id", "Sites that have it; you must administer each of them."
    ),
    projects=Several(
        "Project",
        _LINK[1],
        "session_type_id",
        "project_id",
        "Projects of those sites that have it; you must administer each.",
    ),
    services=Several("Service", _LINK[2], "session_type_id", "service_id", "Services that help in its sessions."),
)


@strawberry.type
class SessionTypesMutation:
    create_session_type, update_session_type, delete_session_type, restore_session_type = editing(
        _TYPE, result(SessionType)
    )
