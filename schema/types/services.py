"""Services that work beside the gateway, and how they are configured for whom."""

from typing import TYPE_CHECKING, Annotated

import strawberry

from db import models
from resolvers.reading.paging import Order
from schema.fields.connections import connection, contains, equal, refers
from schema.fields.declarations import Orders
from schema.fields.fields import column, node, related
from schema.fields.inputs import Given, editing, inputs, result
from schema.fields.nodes import Connection, Node
from schema.fields.scalars import JSON
from schema.fields.values import ANY, OBJECT
from schema.types.groups import ROLE_ORDERS, Role
from schema.types.organisation import PROJECT_ORDERS, SITE_ORDERS, Project, Site

if TYPE_CHECKING:
    from schema.types.accounts.users import User
    from schema.types.devices import Device
    from schema.types.organisation import Participant

SERVICE_ORDERS = Orders("ServiceOrder", "Orders of services.", NAME=(Order(models.Service.name), "By name."))

"""Each user configures a service for oneself."""


@node(models.Service)
class Service(Node):
    """A program that works beside the gateway, such as video calls."""

    name: str = column("Its name.")
    key: str = column("Its key, for programs.")
    client_endpoint: str = column("Where clients reach it.")
    hostname: str | None = column("The machine that it runs on.")
    port: int | None = column("The port that it listens on.")
    endpoint: str | None = column("Its path there.")
    endpoint_user: str | None = column("Its path for users.")
    endpoint_participant: str | None = column("Its path for participants.")
    endpoint_device: str | None = column("Its path for devices.")
    enabled: bool = column("Whether it may connect.")
    editable_config: bool = column("Whether it can be configured.")
    config_schema: JSON | None = column("The JSON schema of its configurations.")
    has_assets: bool = column("Whether it stores assets.")
    has_tests: bool = column("Whether it has tests.")
    roles: Connection[Role] = connection(models.Service.roles, "Its roles, as far as you see them.", orders=ROLE_ORDERS)
    sites: Connection[Site] = connection(models.Service.sites, "The sites that it works in.", orders=SITE_ORDERS)
    projects: Connection[Project] = connection(
        models.Service.projects, "The projects that it works in.", orders=PROJECT_ORDERS
    )


@node(models.ServiceConfig)
class ServiceConfig(Node):
    """How a service is set up for a user, a participant or a device."""

    specific_id: str = column("The installation that it is for; empty for all.")
    config: JSON = column("The settings, as the service's schema wants them.")
    service: Service | None = related(models.ServiceConfig.service, "The service.")
    user: Annotated["User", strawberry.lazy("schema.types.accounts.users")] | None = related(
        models.ServiceConfig.user, "The user it is for."
    )
    participant: Annotated["Participant", strawberry.lazy("schema.types.organisation")] | None = related(
        models.ServiceConfig.participant, "The participant it is for."
    )
    device: Annotated["Device", strawberry.lazy("schema.types.devices")] | None = related(
        models.ServiceConfig.device, "The device it is for."
    )


@strawberry.input(description="Which services.")
class ServiceFilter:
    name: str | None = contains(models.Service.name, "Part of the name, in any case.")
    key: str | None = equal(models.Service.key, "With this key.")
    enabled: bool | None = equal(models.Service.enabled, "Those that may connect, or may not.")
    site: strawberry.ID | None = refers("Site", "In this site.", models.Service.sites)
    project: strawberry.ID | None = refers("Project", "In this project.", models.Service.projects)


@strawberry.input(description="Which configurations.")
class ServiceConfigFilter:
    service: strawberry.ID | None = refers("Service", "Of this service.", models.ServiceConfig.service)
    specific_id: str | None = equal(models.ServiceConfig.specific_id, "For this installation.")
    user: strawberry.ID | None = refers("User", "For this user.", models.ServiceConfig.user)
    participant: strawberry.ID | None = refers("Participant", "For this participant.", models.ServiceConfig.participant)
    device: strawberry.ID | None = refers("Device", "For this device.", models.ServiceConfig.device)


@strawberry.type
class ServicesQuery:
    services: Connection[Service] = connection(
        models.Service, "The services that you may see.", orders=SERVICE_ORDERS, filter=ServiceFilter
    )
    service_configs: Connection[ServiceConfig] = connection(
        models.ServiceConfig,
        "The configurations that you may see.",
        orders=Orders(
            "ServiceConfigOrder",
            "Orders of configurations.",
            OLDEST=(Order(models.ServiceConfig.id), "The oldest first."),
        ),
        filter=ServiceConfigFilter,
    )


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
