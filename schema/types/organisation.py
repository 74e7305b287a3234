"""Sites, their projects, and the participants of those."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from db import models
from resolvers.accounts.addresses import canonical
from resolvers.reading.paging import Order
from schema.fields.connections import connection, contains, equal, filled, refers, search
from schema.fields.declarations import Orders
from schema.fields.fields import column, node, present, related
from schema.fields.inputs import Given, editing, inputs, lower, result
from schema.fields.nodes import Connection, Node

if TYPE_CHECKING:
    from schema.types.devices import Device
    from schema.types.services import Service
    from schema.types.sessions import Session
    from schema.types.simulations.simulations import Simulation

_HOLDERS = (models.Role.grants, models.RoleGrant.user_group, models.UserGroup.users)
SITE_ORDERS = Orders("SiteOrder", "Orders of sites.", NAME=(Order(models.Site.name), "By name."))
PROJECT_ORDERS = Orders("ProjectOrder", "Orders of projects.", NAME=(Order(models.Project.name), "By name."))
PARTICIPANT_GROUP_ORDERS = Orders(
    "ParticipantGroupOrder", "Orders of groups of participants.", NAME=(Order(models.ParticipantGroup.name), "By name.")
)
PARTICIPANT_ORDERS = Orders(
    "ParticipantOrder",
    "Orders of participants.",
    NAME=(Order(models.Participant.name), "By name."),
)
DEVICES_OF = Orders("LinkedDeviceOrder", "Orders of linked devices.", NAME=(Order(models.Device.name), "By name."))
SERVICES_OF = Orders("LinkedServiceOrder", "Orders of linked services.", NAME=(Order(models.Service.name), "By name."))
SESSIONS_OF = Orders(
    "ProjectSessionOrder",
    "Orders of a project's sessions.",
    NEWEST=(Order(models.Session.starts_at, descending=True), "The latest start first."),
    OLDEST=(Order(models.Session.starts_at), "By start."),
)


@strawberry.input(description="Which participants.")
class ParticipantFilter:
    text: str | None = search(
        "Part of the name, or of the username or e-mail address where you may see those, in any case.",
        models.Participant.name,
        models.Participant.username,
        models.Participant.email,
    )
    project: strawberry.ID | None = refers("Project", "Of this project.", models.Participant.project)
    site: strawberry.ID | None = refers(
        "Site", "Of a project of this site.", models.Participant.project, models.Project.site
    )
    group: strawberry.ID | None = refers("ParticipantGroup", "Of this group.", models.Participant.group)
    device: strawberry.ID | None = refers("Device", "With this device.", models.Participant.devices)
    session: strawberry.ID | None = refers(
        "Session", "In this session.", models.Participant.memberships, models.SessionMember.session
    )
    enabled: bool | None = equal(
        models.Participant.enabled, "Those who take part, or no more; found where you may see that."
    )
    grouped: bool | None = filled(models.Participant.group_id, "Those in a group, or in none.")


@node(models.Site)
class Site(Node):
    """A place that runs projects: a hospital, a laboratory."""

    name: str = column("Its name.")
    two_factor_required: bool = column("Whether its users need a second factor.")
    projects: Connection["Project"] = connection(
        models.Site.projects, "Its projects that you may see.", orders=PROJECT_ORDERS
    )
    devices: Connection[Annotated["Device", strawberry.lazy("schema.types.devices")]] = connection(
        models.Site.devices, "The devices that it has.", orders=DEVICES_OF
    )
    services: Connection[Annotated["Service", strawberry.lazy("schema.types.services")]] = connection(
        models.Site.services, "The services that work in it.", orders=SERVICES_OF
    )


@node(models.Project)
class Project(Node):
    """Work that people share: its users see its participants, sessions and simulations."""

    name: str = column("Its name.")
    enabled: bool = column("Whether work goes on in it.")
    description: str | None = column("What it is about.")
    site: Site | None = related(models.Project.site, "The site that runs it.")
    participants: Connection["Participant"] = connection(
        models.Project.participants, "Its participants.", orders=PARTICIPANT_ORDERS, filter=ParticipantFilter
    )
    participant_groups: Connection["ParticipantGroup"] = connection(
        models.Project.participant_groups, "Its groups of participants.", orders=PARTICIPANT_GROUP_ORDERS
    )
    devices: Connection[Annotated["Device", strawberry.lazy("schema.types.devices")]] = connection(
        models.Project.devices, "The devices that are used in it.", orders=DEVICES_OF
    )
    services: Connection[Annotated["Service", strawberry.lazy("schema.types.services")]] = connection(
        models.Project.services, "The services that work in it.", orders=SERVICES_OF
    )
    sessions: Connection[Annotated["Session", strawberry.lazy("schema.types.sessions")]] = connection(
        models.Project.sessions, "Its sessions.", orders=SESSIONS_OF
    )
    simulations: Connection[Annotated["Simulation", strawberry.lazy("schema.types.simulations.simulations")]] = (
        connection(
            models.Project.simulations,
            "Its simulations.",
            orders=Orders(
                "ProjectSimulationOrder",
                "Orders of a project's simulations.",
                NEWEST=(Order(models.Simulation.created_at, descending=True), "The newest first."),
                OLDEST=(Order(models.Simulation.created_at), "The oldest first."),
            ),
        )
    )


@node(models.ParticipantGroup)
class ParticipantGroup(Node):
    """Participants of a project who are treated alike."""

    name: str = column("Its name.")
    project: Project | None = related(models.ParticipantGroup.project, "The project.")
    participants: Connection["Participant"] = connection(
        models.ParticipantGroup.participants, "Its participants.", orders=PARTICIPANT_ORDERS, filter=ParticipantFilter
    )


@node(models.Participant)
class Participant(Node):
    """A person who takes part in a project without being a user."""

    name: str = column("The name of the participant, often a code.")
    username: str | None = column("The name to sign in with, in lower case.")
    email: str | None = column("The e-mail address, in lower case.")
    enabled: bool | None = column("Whether the participant still takes part.")
    login_enabled: bool | None = column("Whether signing in is possible.")
    token_enabled: bool | None = column("Whether a static token may be used.")
    last_online_at: datetime | None = column("When it was last online.")
    online = present(models.Participant)
    project: Project | None = related(models.Participant.project, "The project.")
    group: ParticipantGroup | None = related(models.Participant.group, "The group, if any.")
    devices: Connection[Annotated["Device", strawberry.lazy("schema.types.devices")]] = connection(
        models.Participant.devices, "The participant's devices.", orders=DEVICES_OF
    )


@strawberry.input(description="Which sites.")
class SiteFilter:
    name: str | None = contains(models.Site.name, "Part of the name, in any case.")
    device: strawberry.ID | None = refers("Device", "With this device.", models.Site.devices)
    user: strawberry.ID | None = refers(
        "User", "In which this user has a role, by a grant that you see.", models.Site.roles, *_HOLDERS
    )


@strawberry.input(description="Which projects.")
class ProjectFilter:
    name: str | None = contains(models.Project.name, "Part of the name, in any case.")
    enabled: bool | None = equal(models.Project.enabled, "Where work goes on, or not.")
    site: strawberry.ID | None = refers("Site", "Of this site.", models.Project.site)
    service: strawberry.ID | None = refers("Service", "With this service.", models.Project.services)
    device: strawberry.ID | None = refers("Device", "With this device.", models.Project.devices)
    user: strawberry.ID | None = refers(
        "User", "In which this user has a role of its own, by a grant that you see.", models.Project.roles, *_HOLDERS
    )


@strawberry.input(description="Which groups of participants.")
class ParticipantGroupFilter:
    name: str | None = contains(models.ParticipantGroup.name, "Part of the name, in any case.")
    project: strawberry.ID | None = refers("Project", "Of this project.", models.ParticipantGroup.project)


@strawberry.type
class OrganisationQuery:
    sites: Connection[Site] = connection(
        models.Site, "The sites that you have a part in.", orders=SITE_ORDERS, filter=SiteFilter
    )
    projects: Connection[Project] = connection(
        models.Project, "The projects that you may see.", orders=PROJECT_ORDERS, filter=ProjectFilter
    )
    participant_groups: Connection[ParticipantGroup] = connection(
        models.ParticipantGroup,
        "The groups of participants that you may see.",
        orders=PARTICIPANT_GROUP_ORDERS,
        filter=ParticipantGroupFilter,
    )
    participants: Connection[Participant] = connection(
        models.Participant,
        "The participants that you may see.",
        orders=PARTICIPANT_ORDERS,
        filter=ParticipantFilter,
    )


_SITE = inputs(
    "Site",
    models.Site,
    name=Given(str, "Its name."),
    two_factor_required=Given(bool, "Whether its users need a second factor.", default=False),
)
_PROJECT = inputs(
    "Project",
    models.Project,
    site=Given("Site", "The site that runs it.", fixed=True),
    name=Given(str, "Its name."),
    enabled=Given(bool, "Whether work goes on in it. Ending it disables its participants.", default=True),
    description=Given(str, "What it is about.", default=None),
)
_PARTICIPANT_GROUP = inputs(
    "ParticipantGroup",
    models.ParticipantGroup,
    project=Given("Project", "The project. Its participants go with the group."),
    name=Given(str, "Its name."),
)
_PARTICIPANT = inputs(
    "Participant",
    models.Participant,
    project=Given("Project", "The project, in which work must go on."),
    group=Given("ParticipantGroup", "A group of the project.", default=None),
    name=Given(str, "The name of the participant, often a code."),
    username=Given(str, "The name to sign in with; no other participant may have it.", default=None, kept=lower),
    email=Given(str, "The e-mail address.", default=None, kept=canonical),
    enabled=Given(bool, "Whether the participant takes part.", default=True),
    login_enabled=Given(bool, "Whether signing in is possible.", default=False),
    token_enabled=Given(bool, "Whether a static token may be used.", default=False),
)


@strawberry.type
class OrganisationMutation:
    create_site, update_site, delete_site, restore_site = editing(_SITE, result(Site))
    create_project, update_project, delete_project, restore_project = editing(_PROJECT, result(Project))
    (
        create_participant_group,
        update_participant_group,
        delete_participant_group,
        restore_participant_group,
    ) = editing(_PARTICIPANT_GROUP, result(ParticipantGroup))
    create_participant, update_participant, delete_participant, restore_participant = editing(
        _PARTICIPANT, result(Participant)
    )
