"""Services that work beside the gateway, and how they are configured for whom."""

from typing import TYPE_CHECKING

import strawberry

from db import models
from schema.fields.fields import column, node, related
from schema.fields.inputs import Given, editing, inputs, result
from schema.fields.nodes import Node
from schema.fields.scalars import JSON
from schema.fields.values import ANY, OBJECT
from schema.lists.connections import connection
from schema.types.accounts.users import AuthProvider

if TYPE_CHECKING:
    pass


"""Each user configures a service for oneself."""


@node(models.Service, by="name", listed="The services that you may see.")
class Service(Node):
    """A program that works beside the gateway, such as video calls."""

    name: str = column("Its name.", filter=True, order=True, search=True)
    key: str = column("Its key, for programs.", filter=True, found=True)
    client_endpoint: str = column("Where clients reach it.")
    hostname: str | None = column("The machine that it runs on.", filter=True)
    port: int | None = column("The port that it listens on.")
    endpoint: str | None = column("Its path there.")
    endpoint_user: str | None = column("Its path for users.")
    endpoint_participant: str | None = column("Its path for participants.")
    endpoint_device: str | None = column("Its path for devices.")
    enabled: bool = column("Whether it may connect.", filter=True, group=True)
    editable_config: bool = column("Whether it can be configured.", filter=True)
    config_schema: JSON | None = column("The JSON schema of its configurations.")
    has_assets: bool = column("Whether it stores assets.", filter=True)
    has_tests: bool = column("Whether it has tests.", filter=True)
    checks_assets: bool = column("Whether it sets free, or refuses, assets that wait for a check.", filter=True)
    acts_for: AuthProvider | None = column(  # type: ignore[valid-type]
        "The identity provider whose users it acts for, except superadmins and managers: with their specs and keys, "
        "and by those with all that they may do. Null: it acts for nobody."
    )
    roles = connection(models.Service.roles, "Its roles, as far as you see them.")
    sites = connection(models.Service.sites, "The sites that it works in.", small=True)
    session_types = connection(models.Service.session_types, "The types of sessions that it helps in.", small=True)
    projects = connection(models.Service.projects, "The projects that it works in.", small=True)


@node(models.ServiceConfig, listed="The configurations that you may see.")
class ServiceConfig(Node):
    """How a service is set up for a user, a participant or a device."""

    specific_id: str = column("The installation that it is for; empty for all.", filter=True)
    config: JSON = column("The settings, as the service's schema wants them.")
    service = related(models.ServiceConfig.service, "The service.")
    user = related(models.ServiceConfig.user, "The user it is for.")
    participant = related(models.ServiceConfig.participant, "The participant it is for.")
    device = related(models.ServiceConfig.device, "The device it is for.")


_SERVICE = inputs(
    "Service",
    models.Service,
    name=Given(str, "Its name."),
    key=Given(str, "Its key, for programs. No other service may have it.", fixed=True),
    hostname=Given(str, "The machine that it runs on."),
    port=Given(int, "The port that it listens on, 1 to 65535."),
    endpoint=Given(str, "Its path there."),
    client_endpoint=Given(str, "Where clients reach it."),
    endpoint_user=Given(str, "Its path for users.", default=None),
    endpoint_participant=Given(str, "Its path for participants.", default=None),
    endpoint_device=Given(str, "Its path for devices.", default=None),
    enabled=Given(bool, "Whether it may connect.", default=False),
    editable_config=Given(bool, "Whether it can be configured.", default=False),
    config_schema=Given(
        JSON, "The JSON schema of its configurations; anything goes without.", default=strawberry.UNSET, shape=OBJECT
    ),
    has_assets=Given(bool, "Whether it stores assets.", default=False),
    has_tests=Given(bool, "Whether it has tests.", default=False),
    checks_assets=Given(
        bool, "Whether it sets free, or refuses, assets of projects that ask for a check.", default=False
    ),
    acts_for=Given(
        AuthProvider,
        "The identity provider whose users it acts for, KEYCLOAK or COGNITO: it can do what they can, so trust it. "
        "Null: nobody.",
        default=None,
    ),
)
_CONFIG = inputs(
    "ServiceConfig",
    models.ServiceConfig,
    service=Given("Service", "The service.", fixed=True),
    user=Given("User", "The user it is for. Name one of user, participant and device.", default=None, fixed=True),
    participant=Given("Participant", "The participant it is for.", default=None, fixed=True),
    device=Given("Device", "The device it is for.", default=None, fixed=True),
    specific_id=Given(str, "The installation that it is for; empty for all.", default="", fixed=True),
    config=Given(JSON, "The settings, as the service's schema wants them.", shape=ANY),
)


@strawberry.type
class ServicesMutation:
    create_service, update_service, delete_service, restore_service = editing(_SERVICE, result(Service))
    create_service_config, update_service_config, delete_service_config, restore_service_config = editing(
        _CONFIG, result(ServiceConfig)
    )
