"""For whom something is done: the argument `owner`."""

from typing import Annotated, Any

import strawberry

from db import models
from resolvers.accounts.owners import SUBJECT, Owner
from schema.fields.scalars import key_of
from schema.types.accounts.users import AuthProvider


@strawberry.input(description="Who a user is at an identity provider.")
class ExternalSubject:
    provider: AuthProvider = strawberry.field(description="The provider, KEYCLOAK or COGNITO.")  # type: ignore[valid-type]
    subject: str = strawberry.field(
        description=f"The subject of its tokens, `sub`: 1 to {SUBJECT} characters of ASCII that can be seen."
    )


@strawberry.input(description="Another user, by one of these.", name="Owner", one_of=True)
class OwnerReference:
    user: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="The user.")
    external_subject: ExternalSubject | None = strawberry.field(
        default=strawberry.UNSET,
        description="Who they are at an identity provider. Somebody who is not known yet is made by what is created.",
    )


ForOwner = Annotated[
    OwnerReference | None,
    strawberry.argument(
        description="For whom, if not for you. Allowed to superadmins, and to services that act for users of the "
        "provider, except for superadmins and managers."
    ),
]


def owner_given(given: OwnerReference | None) -> Owner | None:
    """The owner that is meant; INVALID for an id that is none of a user."""
    if given is None:
        return None
    if given.user is not None and given.user is not strawberry.UNSET:
        return Owner(user=key_of("User", given.user, "owner.user"))
    external: Any = given.external_subject
    return Owner(provider=models.AuthProvider[external.provider.name], subject=external.subject)
