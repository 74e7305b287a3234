"""Devices, and the types of devices."""

from datetime import datetime

import strawberry

from db import models
from schema.fields.fields import column, node, present, reached, related
from schema.fields.inputs import Given, Several, editing, inputs, result
from schema.fields.nodes import Node
from schema.fields.scalars import JSON
from schema.fields.values import OBJECT
from schema.lists.connections import connection


@node(models.DeviceType, by="name", listed="The types of devices.")
class DeviceType(Node):
    """A type of devices, such as tablets or wrist sensors."""

    name: str = column("Its name.", filter=True, order=True, search=True)
    key: str = column("Its key, for programs.", filter=True, found=True)
    subtypes = connection(models.DeviceType.subtypes, "Its subtypes.")
    devices = connection(models.DeviceType.devices, "Devices of this type.")


@node(models.DeviceSubtype, by="name")
class DeviceSubtype(Node):
    """A subtype of a type of devices."""

    name: str = column("Its name.", filter=True, order=True, search=True)
    type = related(models.DeviceSubtype.type, "The type that it belongs to.")
    devices = connection(models.DeviceSubtype.devices, "Devices of this subtype.")


@node(models.Device, by="name", listed="The devices that you may see.")
class Device(Node):
    """A machine that belongs to sites and is used in projects and by participants."""

    name: str = column("Its name.", filter=True, order=True, search=True)
    enabled: bool = column("Whether it may connect.", filter=True, group=True)
    onlineable: bool | None = column("Whether it can be online by itself.", filter=True, group=True)
    last_online_at: datetime | None = column("When it was last online.", filter=True, group=True)
    online = present(models.Device)
    presence = reached(models.Device)
    config: JSON | None = column("Its settings.")
    infos: JSON | None = column("Facts about the device, from itself.")
    notes: str | None = column("Notes of those who administer it.")
    status: JSON | None = column("The status that it reported last.")
    type = related(models.Device.type, "Its type.", group=True)
    subtype = related(models.Device.subtype, "Its subtype; null when it has none.", group=True)
    sites = connection(models.Device.sites, "The sites that have it.", small=True)
    projects = connection(models.Device.projects, "The projects that use it.", small=True)
    participants = connection(models.Device.participants, "The participants that use it.", small=True)


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
