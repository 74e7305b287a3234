"""API keys, static tokens, and tokens of specs."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import strawberry

from db import models
from resolvers.accounts import api_keys, revocation
from schema.fields.fields import Info, column, computed, node, related
from schema.fields.mutations import ACTING, SIGNED_IN, WRITER, mutation, written
from schema.fields.nodes import Node
from schema.fields.problems import Problem
from schema.fields.scalars import enum, key_of, optional_key
from schema.types.accounts.owners import ForOwner, owner_given
from schema.types.accounts.signing import Done, DoneResult, KeyScope


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


@strawberry.type(description="The credential is revoked: it can no longer be used.")
class Revoked:
    id: strawberry.ID = strawberry.field(description="The credential.")
    at: datetime = strawberry.field(description="When it was revoked.")


IssuedCredentialResult = Annotated[
    IssuedCredential | Problem, strawberry.union("IssuedCredentialResult", description="What was created, or why not.")
]
RevokedResult = Annotated[
    Revoked | Problem, strawberry.union("RevokedResult", description="When it was revoked, or why not.")
]

_Id = Annotated[strawberry.ID, strawberry.argument(description="The id of the row.")]


def issued(made: api_keys.Issued) -> IssuedCredential:
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
        return issued(made)

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
        return issued(made)

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
        return issued(await api_keys.rotate_key(info.context, key_of("Credential", id), until))

    @mutation(needs=WRITER)
    async def create_participant_token(
        self, info: Info, participant: Annotated[strawberry.ID, strawberry.argument(description="Whose.")]
    ) -> IssuedCredentialResult:
        """Create a static token of a participant, and allow the use of its tokens. With one, the participant sees
        little
        more than its name. Allowed to administrators of the project, services linked to it, superadmins."""
        key = key_of("Participant", participant, "participant")
        return issued(await api_keys.create_token(info.context, models.Participant, key))

    @mutation(needs=SIGNED_IN)
    async def create_service_token(
        self, info: Info, service: Annotated[strawberry.ID, strawberry.argument(description="Whose.")]
    ) -> IssuedCredentialResult:
        """Create a static token of a service. Allowed to superadmins."""
        key = key_of("Service", service, "service")
        return issued(await api_keys.create_token(info.context, models.Service, key))

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
