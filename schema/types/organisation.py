"""Sites, their projects, and the participants of those."""

from datetime import datetime
from typing import TYPE_CHECKING

import strawberry

from db import models
from resolvers.accounts.addresses import canonical
from schema.fields.fields import column, node, present, reached, related
from schema.fields.inputs import Given, editing, inputs, lower, result
from schema.fields.nodes import Node
from schema.lists.connections import connection

if TYPE_CHECKING:
    pass

_HOLDERS = (models.Role.grants, models.RoleGrant.user_group, models.UserGroup.users)


@node(models.Site, by="name", listed="The sites that you have a part in.")
class Site(Node):
    """A place that runs projects: a hospital, a laboratory."""

    name: str = column("Its name.", filter=True, order=True, search=True)
    two_factor_required: bool = column("Whether its users need a second factor.", filter=True)
    roles = connection(models.Site.roles, "Its roles, as far as you see them.")
    projects = connection(models.Site.projects, "Its projects that you may see.")
    devices = connection(models.Site.devices, "The devices that it has.", small=True)
    services = connection(models.Site.services, "The services that work in it.", small=True)
    session_types = connection(models.Site.session_types, "The types of sessions that it has.", small=True)


@node(models.Project, by="name", listed="The projects that you may see.")
class Project(Node):
    """Work that people share: its users see its participants, sessions and simulations."""

    name: str = column("Its name.", filter=True, order=True, search=True)
    enabled: bool = column("Whether work goes on in it.", filter=True, group=True)
    description: str | None = column("What it is about.")
    quarantine: bool = column("Whether assets of its sessions wait for a service that checks them.", filter=True)
    participant_sessions: bool = column(
        "Whether participants with a static token make and read sessions of their own.", filter=True
    )
    site = related(models.Project.site, "The site that runs it.", group=True)
    participants = connection(models.Project.participants, "Its participants.")
    participant_groups = connection(models.Project.participant_groups, "Its groups of participants.")
    devices = connection(models.Project.devices, "The devices that are used in it.", small=True)
    services = connection(models.Project.services, "The services that work in it.", small=True)
    roles = connection(models.Project.roles, "Its roles, as far as you see them.")
    sessions = connection(models.Project.sessions, "Its sessions.")
    session_types = connection(models.Project.session_types, "The types of its sessions.", small=True)
    simulations = connection(models.Project.simulations, "Its simulations.")


@node(models.ParticipantGroup, by="name", listed="The groups of participants that you may see.")
class ParticipantGroup(Node):
    """Participants of a project who are treated alike."""

    name: str = column("Its name.", filter=True, order=True, search=True)
    project = related(models.ParticipantGroup.project, "The project.")
    participants = connection(models.ParticipantGroup.participants, "Its participants.")


@node(models.Participant, by="name", listed="The participants that you may see.")
class Participant(Node):
    """A person who takes part in a project without being a user."""

    name: str = column("The name of the participant, often a code.", filter=True, order=True, search=True)
    username: str | None = column("The name to sign in with, in lower case.", filter=True, search=True)
    email: str | None = column("The e-mail address, in lower case.", filter=True, search=True)
    enabled: bool | None = column("Whether the participant still takes part.", filter=True, group=True)
    login_enabled: bool | None = column("Whether signing in is possible.", filter=True)
    token_enabled: bool | None = column("Whether a static token may be used.", filter=True)
    last_online_at: datetime | None = column("When it was last online.", filter=True, group=True)
    online = present(models.Participant)
    presence = reached(models.Participant)
    project = related(models.Participant.project, "The project.", group=True)
    group = related(models.Participant.group, "The group, if any.", group=True)
    memberships = connection(models.Participant.memberships, "The sessions that the participant takes part in.")
    devices = connection(models.Participant.devices, "The participant's devices.", small=True)


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
    quarantine=Given(bool, "Whether assets of its sessions wait for a service that checks them.", default=False),
    participant_sessions=Given(
        bool, "Whether participants with a static token make and read sessions of their own.", default=False
    ),
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
