"""Devices: their tokens and certificates, and how they register themselves and tell of themselves."""

from datetime import datetime
from typing import Annotated, Any, cast
from uuid import UUID

import strawberry

from db import models
from resolvers.accounts import api_keys
from resolvers.identity.principal import Kind
from resolvers.organisation import device_certificates, device_registration
from resolvers.spelling import global_id
from schema.fields.fields import Info
from schema.fields.inputs import ExpectedVersion
from schema.fields.mutations import ANYONE, SIGNED_IN, WRITER, Need, mutation, written
from schema.fields.problems import Problem
from schema.fields.scalars import JSON, key_of
from schema.fields.values import OBJECT
from schema.types.accounts.credentials import Credential, IssuedCredentialResult, issued
from schema.types.devices import Device

DEVICE = Need(
    "a device, with its token",
    lambda p: p.kind is Kind.DEVICE,
    refusal="this is for devices, with their token",
)


@strawberry.type(description="A certificate of a device, for a TLS proxy that checks it.")
class SignedCertificate:
    certificate: str = strawberry.field(description="The certificate, in PEM.")
    authority: str = strawberry.field(description="The certificate of who signed it, in PEM: the proxy checks by it.")
    expires_at: datetime = strawberry.field(description="Until when it is valid.")
    key: strawberry.Private[UUID]

    @strawberry.field(description="The credential; null when you may not see it.")
    async def credential(self, info: Info) -> Credential | None:
        return await written(info, "Credential", models.Credential, self.key)  # type: ignore[no-any-return]


@strawberry.type(description="A device that registered itself. It may connect once an administrator enables it.")
class RegisteredDevice:
    id: strawberry.ID = strawberry.field(description="The device.")
    secret: str = strawberry.field(description="Its token. Keep it now: it is shown this once.")
    signed: SignedCertificate | None = strawberry.field(description="Its certificate, if it asked for one.")


@strawberry.type(description="The key with which devices register themselves.")
class RegisterKey:
    secret: str = strawberry.field(description="The key. Keep it now: it is shown this once.")


SignedCertificateResult = Annotated[
    SignedCertificate | Problem,
    strawberry.union("SignedCertificateResult", description="The certificate, or why not."),
]
DeviceResult = Annotated[Device | Problem, strawberry.union("DeviceResult", description="The Device, or why not.")]
RegisteredDeviceResult = Annotated[
    RegisteredDevice | Problem, strawberry.union("RegisteredDeviceResult", description="The device, or why not.")
]
RegisterKeyResult = Annotated[
    RegisterKey | Problem, strawberry.union("RegisterKeyResult", description="The key, or why not.")
]


def _signed(made: device_certificates.Signed) -> SignedCertificate:
    return SignedCertificate(
        certificate=made.certificate, authority=made.authority, expires_at=made.expires_at, key=made.credential
    )


@strawberry.type
class DeviceCredentialsMutation:
    @mutation(needs=WRITER)
    async def create_device_token(
        self, info: Info, device: Annotated[strawberry.ID, strawberry.argument(description="Whose.")]
    ) -> IssuedCredentialResult:
        """Create a static token of a device. Allowed to administrators of every site that it is in, superadmins."""
        key = key_of("Device", device, "device")
        return issued(await api_keys.create_token(info.context, models.Device, key))

    @mutation(needs=WRITER)
    async def create_device_certificate(
        self,
        info: Info,
        device: Annotated[strawberry.ID, strawberry.argument(description="Whose.")],
        request: Annotated[str, strawberry.argument(description="What the device asks for: PKCS #10, in PEM.")],
    ) -> SignedCertificateResult:
        """Sign the key of a device, which the device keeps: who has it is the device, where a TLS proxy checks that.
        Allowed to administrators of every site that it is in, superadmins."""
        return _signed(await device_certificates.create(info.context, key_of("Device", device, "device"), request))

    @mutation(needs=ANYONE)
    async def register_device(
        self,
        info: Info,
        register_key: Annotated[str, strawberry.argument(description="The key that administrators hand out.")],
        name: Annotated[str, strawberry.argument(description="The name of the device.")],
        type_key: Annotated[str, strawberry.argument(description="The key of its type.")],
        infos: Annotated[
            JSON | None,
            strawberry.argument(
                description=OBJECT.described("Facts about the device, from itself."), metadata=OBJECT.metadata
            ),
        ] = None,
        request: Annotated[
            str | None, strawberry.argument(description="Of a key that it keeps: PKCS #10, in PEM, for a certificate.")
        ] = None,
    ) -> RegisteredDeviceResult:
        """Register the device that asks. Until an administrator links it to a site and enables it, it may not connect;
        too many attempts from one address are RATE_LIMITED."""
        key, secret, signed = await device_registration.register(
            info.context, register_key, name, type_key, cast("dict[str, Any] | None", infos), request
        )
        return RegisteredDevice(
            id=strawberry.ID(global_id("Device", key)),
            secret=secret,
            signed=None if signed is None else _signed(signed),
        )

    @mutation(needs=SIGNED_IN)
    async def new_device_register_key(self, info: Info) -> RegisterKeyResult:
        """Create a new key with which devices register themselves. The former key ends. Allowed to superadmins."""
        return RegisterKey(secret=await device_registration.new_register_key(info.context))

    @mutation(needs=DEVICE)
    async def set_device_status(
        self,
        info: Info,
        status: Annotated[
            JSON,
            strawberry.argument(description=OBJECT.described("The status."), metadata=OBJECT.metadata),
        ],
    ) -> DeviceResult:
        """Report as the device that asks; this is also when it was last heard of."""
        key = await device_registration.set_status(info.context, status)  # type: ignore[arg-type]
        return await written(info, "Device", models.Device, key)  # type: ignore[no-any-return]

    @mutation(needs=DEVICE)
    async def update_device_config(
        self,
        info: Info,
        config: Annotated[
            JSON | None,
            strawberry.argument(description=OBJECT.described("All of its settings."), metadata=OBJECT.metadata),
        ],
        expected_version: ExpectedVersion,
    ) -> DeviceResult:
        """Replace the settings of the device that asks."""
        key = await device_registration.set_config(info.context, config, expected_version)  # type: ignore[arg-type]
        return await written(info, "Device", models.Device, key)  # type: ignore[no-any-return]
