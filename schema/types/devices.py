"""Devices, and the types of devices."""

from datetime import datetime

import strawberry

from db import models
from resolvers.reading.paging import Order
from schema.fields.connections import connection, contains, equal, refers
from schema.fields.declarations import Orders
from schema.fields.fields import column, node, present, related
from schema.fields.inputs import Given, Several, editing, inputs, result
from schema.fields.nodes import Connection, Node
from schema.fields.scalars import JSON
from schema.fields.values import OBJECT
from schema.types.organisation import (
    DEVICES_OF,
    PARTICIPANT_ORDERS,
    PROJECT_ORDERS,
    SITE_ORDERS,
    Participant,
    Project,
    Site,
)

TYPE_ORDERS = Orders("DeviceTypeOrder", "Orders of types of devices.", NAME=(Order(models.DeviceType.name), "By name."))
SUBTYPE_ORDERS = Orders(
    "DeviceSubtypeOrder", "Orders of subtypes of devices.", NAME=(Order(models.DeviceSubtype.name), "By name.")
)
DEVICE_ORDERS = Orders("DeviceOrder", "Orders of devices.", NAME=(Order(models.Device.name), "By name."))


@node(models.DeviceType)
class DeviceType(Node):
    """A type of devices, such as tablets or wrist sensors."""

    name: str = column("Its name.")
    key: str = column("Its key, for programs.")
    subtypes: Connection["DeviceSubtype"] = connection(
        models.DeviceType.subtypes, "Its subtypes.", orders=SUBTYPE_ORDERS
    )
    devices: Connection["Device"] = connection(models.DeviceType.devices, "Devices of this type.", orders=DEVICES_OF)


@node(models.DeviceSubtype)
class DeviceSubtype(Node):
    """A subtype of a type of devices."""

    name: str = column("Its name.")
    type: DeviceType | None = related(models.DeviceSubtype.type, "The type that it belongs to.")
    devices: Connection["Device"] = connection(
        models.DeviceSubtype.devices, "Devices of this subtype.", orders=DEVICES_OF
    )


@node(models.Device)
class Device(Node):
    """A machine that belongs to sites and is used in projects and by participants."""

    name: str = column("Its name.")
    enabled: bool = column("Whether it may connect.")
    onlineable: bool | None = column("Whether it can be online by itself.")
    last_online_at: datetime | None = column("When it was last online.")
    online = present(models.Device)
    config: JSON | None = column("Its settings.")
    infos: JSON | None = column("Facts about the device, from itself.")
    notes: str | None = column("Notes of those who administer it.")
    status: JSON | None = column("The status that it reported last.")
    type: DeviceType | None = related(models.Device.type, "Its type.")
    subtype: DeviceSubtype | None = related(models.Device.subtype, "Its subtype; null when it has none.")
    sites: Connection[Site] = connection(models.Device.sites, "The sites that have it.", orders=SITE_ORDERS)
    projects: Connection[Project] = connection(
        models.Device.projects, "The projects that use it.", orders=PROJECT_ORDERS
    )
    participants: Connection[Participant] = connection(
        models.Device.participants, "The participants that use it.", orders=PARTICIPANT_ORDERS
    )


@strawberry.input(description="Which devices.")
class DeviceFilter:
    name: str | None = contains(models.Device.name, "Part of the name, in any case.")
    enabled: bool | None = equal(models.Device.enabled, "Those that may connect, or may not.")
    type: strawberry.ID | None = refers("DeviceType", "Of this type.", models.Device.type)
    subtype: strawberry.ID | None = refers("DeviceSubtype", "Of this subtype.", models.Device.subtype)
    site: strawberry.ID | None = refers("Site", "Of this site.", models.Device.sites)
    project: strawberry.ID | None = refers("Project", "Of this project.", models.Device.projects)
    participant: strawberry.ID | None = refers("Participant", "Of this participant.", models.Device.participants)


@strawberry.input(description="Which types of devices.")
class DeviceTypeFilter:
    key: str | None = equal(models.DeviceType.key, "With this key.")


@strawberry.type
class DevicesQuery:
    devices: Connection[Device] = connection(
        models.Device, "The devices that you may see.", orders=DEVICE_ORDERS, filter=DeviceFilter
    )
    device_types: Connection[DeviceType] = connection(
        models.DeviceType, "The types of devices.", orders=TYPE_ORDERS, filter=DeviceTypeFilter
    )


_TYPE = inputs(
    "DeviceType",
    models.DeviceType,
    name=Given(str, "Its name."),
    key=Given(str, "Its key, for programs. No other type may have it."),
)
_SUBTYPE = inputs(
    "DeviceSubtype",
    models.DeviceSubtype,
    type=Given("DeviceType", "The type that it belongs to.", fixed=True),
    name=Given(str, "Its name."),
)
_DEVICE = inputs(
    "Device",
    models.Device,
    name=Given(str, "Its name."),
    type=Given("DeviceType", "Its type."),
    subtype=Given("DeviceSubtype", "A subtype of its type.", default=None),
    enabled=Given(bool, "Whether it may connect.", default=False),
    onlineable=Given(bool, "Whether it can be online by itself.", default=False),
    config=Given(JSON, "Its settings.", default=None, shape=OBJECT),
    infos=Given(JSON, "Facts about the device, from itself.", default=None, shape=OBJECT),
    notes=Given(str, "Notes of those who administer it.", default=None),
    sites=Several(
        "Site", models.SiteDevice, "device_id", "site_id", "Sites that have it; you must administer each of them."
    ),
)


@strawberry.type
class DevicesMutation:
    create_device_type, update_device_type, delete_device_type = editing(_TYPE, result(DeviceType))[:3]
    create_device_subtype, update_device_subtype, delete_device_subtype = editing(_SUBTYPE, result(DeviceSubtype))[:3]
    create_device, update_device, delete_device, restore_device = editing(_DEVICE, result(Device))
