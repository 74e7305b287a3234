"""Making and changing users, what applications keep for them, and who else is asking."""

from datetime import datetime
from typing import Annotated, Any

import sqlalchemy as sa
import strawberry

from db import models
from resolvers.accounts import preferences
from resolvers.accounts.addresses import canonical
from resolvers.reading.conditions import Where
from schema.fields.declarations import FoundBy
from schema.fields.fields import Info, column, found, node, related
from schema.fields.inputs import AnyVersion, Given, Several, editing, inputs, lower, result
from schema.fields.mutations import SIGNED_IN, mutation, written
from schema.fields.nodes import Node
from schema.fields.problems import Problem
from schema.fields.scalars import JSON
from schema.fields.values import ANY
from schema.types.accounts.signing import Done
from schema.types.accounts.users import PlatformRole, User
from schema.types.devices import Device
from schema.types.organisation import Participant
from schema.types.services import Service


def _own(entity: Any, suffix: str, _: Any) -> list[Any]:
    of_me = entity.user_id == sa.bindparam("me", type_=entity.user_id.type)
    return [of_me, entity.app_tag == sa.bindparam(f"app_tag{suffix}")]


@node(
    models.Preference,
    found_by={"app_tag": FoundBy("The application that stored it for you.", _own)},
    listed="What applications store for you. Superadmins see what they store for everybody.",
)
class Preference(Node):
    """What an application stores for a user."""

    app_tag: str = column("The application.", filter=True)
    value: JSON = column("What is stored.")
    user = related(models.Preference.user, "Whose it is.")


def _me() -> Where:
    return Where(lambda entity, _, __: [entity.id == sa.bindparam("me", type_=entity.id.type)])


@strawberry.type
class PeopleQuery:
    my_participant: Participant | None = found(
        models.Participant, "The participant who is signed in; null for everyone else.", _me
    )
    my_device: Device | None = found(models.Device, "The device that is signed in; null for everyone else.", _me)
    my_service: Service | None = found(models.Service, "The service that is signed in; null for everyone else.", _me)


_USER = inputs(
    "User",
    models.User,
    username=Given(
        str, "The name to sign in with: letters, digits, `.`, `_` and `-`. Never changes.", fixed=True, kept=lower
    ),
    email=Given(str, "The e-mail address.", default=None, kept=canonical),
    email_verified=Given(bool, "Whether you vouch for the address. Otherwise the user must confirm it.", default=False),
    first_name=Given(str, "Given name.", default=None),
    last_name=Given(str, "Family name.", default=None),
    affiliation=Given(str, "Institution.", default=None),
    notes=Given(str, "Notes of administrators. The user does not see them.", default=None),
    active=Given(bool, "Whether the account may sign in.", default=True),
    force_password_change=Given(bool, "Whether the password must be changed at the next sign-in.", default=False),
    platform_role=Given(PlatformRole, "What the user may contribute.", default=models.PlatformRole.READER),
    superadmin=Given(bool, "Whether the user may do everything.", default=False),
    groups=Several(
        "UserGroup",
        models.UserGroupMember,
        "user_id",
        "user_group_id",
        "Groups that the user joins; you must administer each of them.",
    ),
)

PreferenceResult = Annotated[
    Preference | Done | Problem,
    strawberry.union(
        "PreferenceResult", description="The preference; Done when nothing is stored any more; or why not."
    ),
]


@strawberry.type
class PeopleMutation:
    create_user, update_user, delete_user, restore_user = editing(_USER, result(User))

    @mutation(needs=SIGNED_IN)
    async def set_preference(
        self,
        info: Info,
        app_tag: Annotated[str, strawberry.argument(description="The application, at most 100 characters.")],
        value: Annotated[
            JSON,
            strawberry.argument(
                description=ANY.described("The value. An empty text, list or object deletes what is stored."),
                metadata=ANY.metadata,
            ),
        ],
        expected_version: AnyVersion = None,
    ) -> PreferenceResult:
        """Store a value for an application. It replaces the former value; an empty value deletes it."""
        kept = await preferences.keep(info.context, app_tag, value, expected_version)
        if isinstance(kept, datetime):
            return Done(at=kept)
        return await written(info, "Preference", models.Preference, kept)  # type: ignore[no-any-return]
