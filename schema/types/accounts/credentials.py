"""API keys, static tokens, and devices that register themselves."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import strawberry

from db import models
from resolvers.accounts import api_keys, revocation
from resolvers.identity.principal import Kind
from resolvers.organisation import device_registration
from resolvers.spelling import global_id
from schema.fields.fields import Info, column, computed, node, related
from schema.fields.inputs import ExpectedVersion
from schema.fields.mutations import ACTING, ANYONE, SIGNED_IN, WRITER, Need, mutation, written
from schema.fields.nodes import Node
from schema.fields.problems import Problem
from schema.fields.scalars import JSON, enum, key_of, optional_key
from schema.fields.values import OBJECT
from schema.types.accounts.owners import ForOwner, owner_given
from schema.types.accounts.signing import Done, DoneResult, KeyScope
from schema.types.devices import Device

DEVICE = Need(
    "a device, with its token",
    lambda p: p.kind is Kind.DEVICE,
    refusal="this is for devices, with their token",
)


class _Kind(StrEnum):
    API_KEY = models.CredentialKind.API_KEY.value
    STATIC_TOKEN = models.CredentialKind.STATIC_TOKEN.value
    CHALLENGE_WORKER = models.CredentialKind.CHALLENGE_WORKER.value
    SPEC_TOKEN = models.CredentialKind.SPEC_TOKEN.value
    CERTIFICATE = models.CredentialKind.CERTIFICATE.value


CredentialKind = enum(
    _Kind,
    "What proves who a program is.",
    name="CredentialKind",
    API_KEY="A user's pair of keys.",
    STATIC_TOKEN="The token of a participant, a device or a service.",  # noqa: S106
    CHALLENGE_WORKER="The token of an external worker of a challenge.",
    SPEC_TOKEN="A token that reads specs and their packages.",  # noqa: S106
    CERTIFICATE="The certificate of a device.",
)


@node(
    models.Credential,
    by="-id",
    listed="API keys and static tokens that you may see: your own, and those of participants and devices that you "
    "administer.",
)
class Credential(Node):
    """An API key or a static token. Its secret is shown once, when it is created."""

    label: str = column("The name that its owner gave it.", filter=True, search=True)
    public_key: str | None = column("The public part of an API key.", filter=True)
    expires_at: datetime | None = column("When it expires; null for never.", filter=True)
    last_used_at: datetime | None = column("When it was last used, to the minute.", filter=True)
    revoked_at: datetime | None = column("When it was revoked.", filter=True)
    user = related(models.Credential.user, "Whose API key or token of specs it is.")
    participant = related(models.Credential.participant, "Whose token it is, of a participant.")
    device = related(models.Credential.device, "Whose token it is, of a device.")
    service = related(models.Credential.service, "Whose token it is, of a service.")
    challenge = related(models.Credential.challenge, "The challenge whose external worker has it.")
    spec = related(models.Credential.spec, "The only spec that a token of specs reads; null for all of the user.")

    made_by = related(
        models.Credential.made_by, "The service that made it for its user: it is good while that acts for them."
    )

    @computed("What it is.", reads=["kind"], filter=True)
    def kind(self: Any) -> CredentialKind:  # type: ignore[valid-type]
        return _Kind(self.kind.value)

    @computed("What it may be used for; null for all that its owner may do.", reads=["scopes"])
    def scopes(self: Any) -> list[KeyScope] | None:  # type: ignore[valid-type]
        return None if self.scopes is None else [KeyScope(scope) for scope in self.scopes]


@strawberry.type(description="A new credential with its secret, which is shown only now.")
class IssuedCredential:
    secret: str = strawberry.field(
        description="Goes into the header `Authorization: Bearer ...`. Keep it now: it is shown this once."
    )
    public_key: str | None = strawberry.field(
        description="Of an API key: the user name for HTTP Basic. The password is the secret."
    )
    key: strawberry.Private[UUID]

    @strawberry.field(description="The credential; null when you may not see it.")
    async def credential(self, info: Info) -> Credential | None:
        return await written(info, "Credential", models.Credential, self.key)  # type: ignore[no-any-return]


@strawberry.type(description="A device that registered itself. It may connect once an administrator enables it.")
class RegisteredDevice:
    id: strawberry.ID = strawberry.field(description="The device.")
    secret: str = strawberry.field(description="Its token. Keep it now: it is shown this once.")


@strawberry.type(description="The credential is revoked: it can no longer be used.")
class Revoked:
    id: strawberry.ID = strawberry.field(description="The credential.")
    at: datetime = strawberry.field(description="When it was revoked.")


@strawberry.type(description="The key with which devices register themselves.")
class RegisterKey:
    secret: str = strawberry.field(description="The key. Keep it now: it is shown this once.")


IssuedCredentialResult = Annotated[
    IssuedCredential | Problem, strawberry.union("IssuedCredentialResult", description="What was created, or why not.")
]
RevokedResult = Annotated[
    Revoked | Problem, strawberry.union("RevokedResult", description="When it was revoked, or why not.")
]
DeviceResult = Annotated[Device | Problem, strawberry.union("DeviceResult", description="The Device, or why not.")]
RegisteredDeviceResult = Annotated[
    RegisteredDevice | Problem, strawberry.union("RegisteredDeviceResult", description="The device, or why not.")
]
RegisterKeyResult = Annotated[
    RegisterKey | Problem, strawberry.union("RegisterKeyResult", description="The key, or why not.")
]

_Id = Annotated[strawberry.ID, strawberry.argument(description="The id of the row.")]


def _issued(made: api_keys.Issued) -> IssuedCredential:
    return IssuedCredential(secret=made.secret, public_key=made.public_key, key=made.credential)


@strawberry.type
class CredentialsMutation:
    @mutation(needs=ACTING)
    async def create_api_key(
        self,
        info: Info,
        label: Annotated[str, strawberry.argument(description="Its label, unique among your active keys.")],
        scopes: Annotated[list[KeyScope], strawberry.argument(description="What it may do, besides reading.")],  # type: ignore[valid-type]
        expires_at: Annotated[
            datetime | None, strawberry.argument(description="When it ends; left out or null: never.")
        ] = None,
        replace: Annotated[
            bool, strawberry.argument(description="Revoke the key of this label; without it, one is CONFLICT.")
        ] = False,
        owner: ForOwner = None,
    ) -> IssuedCredentialResult:
        """Create a pair of keys for your programs. Sign in for this: a key creates no keys."""
        wanted = frozenset(str(scope.value) for scope in scopes)  # type: ignore[attr-defined]
        made = await api_keys.create_key(
            info.context, label, wanted, expires_at, replace=replace, owner=owner_given(owner)
        )
        return _issued(made)

    @mutation(needs=ACTING)
    async def create_spec_token(
        self,
        info: Info,
        label: Annotated[str, strawberry.argument(description="Its label, unique among your active ones.")],
        expires_at: Annotated[datetime, strawberry.argument(description="When it ends.")],
        spec: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="The only spec that it reads; left out or null: all of yours, also later."),
        ] = None,
        replace: Annotated[
            bool, strawberry.argument(description="Revoke the token of this label; without it, one is CONFLICT.")
        ] = False,
        owner: ForOwner = None,
    ) -> IssuedCredentialResult:
        """Create a token that only reads specs of yours and their packages: for machines that install them. At the
        package index it is the password of the user name `__token__`. Sign in for this: a key creates none."""
        made = await api_keys.create_spec_token(
            info.context,
            label,
            optional_key("Spec", spec, "spec"),
            expires_at,
            replace=replace,
            owner=owner_given(owner),
        )
        return _issued(made)

    @mutation(needs=ACTING)
    async def rotate_api_key(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="An active key.")],
        expires_at: Annotated[
            datetime | None,
            strawberry.argument(description="When the new one ends; null: never; left out: after as long as this one."),
        ] = strawberry.UNSET,
    ) -> IssuedCredentialResult:
        """Create a second pair with the same label and scopes. The older pair works until it is revoked or expires."""
        until = ... if expires_at is strawberry.UNSET else expires_at
        return _issued(await api_keys.rotate_key(info.context, key_of("Credential", id), until))

    @mutation(needs=WRITER)
    async def create_participant_token(
        self, info: Info, participant: Annotated[strawberry.ID, strawberry.argument(description="Whose.")]
    ) -> IssuedCredentialResult:
        """Create a static token of a participant, and allow the use of its tokens. With one, the participant sees
        little
        more than its name. Allowed to administrators of the project, services linked to it, superadmins."""
        key = key_of("Participant", participant, "participant")
        return _issued(await api_keys.create_token(info.context, models.Participant, key))

    @mutation(needs=WRITER)
    async def create_device_token(
        self, info: Info, device: Annotated[strawberry.ID, strawberry.argument(description="Whose.")]
    ) -> IssuedCredentialResult:
        """Create a static token of a device. Allowed to administrators of every site that it is in, superadmins."""
        key = key_of("Device", device, "device")
        return _issued(await api_keys.create_token(info.context, models.Device, key))

    @mutation(needs=SIGNED_IN)
    async def create_service_token(
        self, info: Info, service: Annotated[strawberry.ID, strawberry.argument(description="Whose.")]
    ) -> IssuedCredentialResult:
        """Create a static token of a service. Allowed to superadmins."""
        key = key_of("Service", service, "service")
        return _issued(await api_keys.create_token(info.context, models.Service, key))

    @mutation(needs=WRITER)
    async def revoke_credential(self, info: Info, id: _Id) -> RevokedResult:
        """Revoke a key or token: it can no longer be used. Allowed to its owner, administrators of the participant
        or of
        every site that the device is in, and superadmins; to linked services for tokens of participants."""
        return Revoked(id=id, at=await revocation.revoke(info.context, key_of("Credential", id)))

    @mutation(needs=ACTING)
    async def revoke_all_credentials(self, info: Info, owner: ForOwner = None) -> DoneResult:
        """Revoke all API keys and tokens of specs of your own: none of them can be used any longer. You stay signed
        in."""
        return Done(at=await revocation.revoke_all(info.context, owner_given(owner)))

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
    ) -> RegisteredDeviceResult:
        """Register the device that asks. Until an administrator links it to a site and enables it, it may not connect;
        too many attempts from one address are RATE_LIMITED."""
        key, secret = await device_registration.register(info.context, register_key, name, type_key, infos)  # type: ignore[arg-type]
        return RegisteredDevice(id=strawberry.ID(global_id("Device", key)), secret=secret)

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
