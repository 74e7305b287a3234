"""Groups of users, roles, and to whom they are granted."""

from typing import TYPE_CHECKING, Annotated

import strawberry

from db import models
from resolvers.organisation import links
from schema.fields.fields import Info, column, node, related
from schema.fields.inputs import Given, Several, deleting, editing, inputs, result
from schema.fields.mutations import WRITER, mutation, written
from schema.fields.nodes import Node
from schema.fields.problems import Problem
from schema.fields.scalars import enum, key_of, parse_id
from schema.lists.connections import connection

if TYPE_CHECKING:
    pass

RoleScope = enum(
    models.RoleScope,
    "Where a role holds.",
    GLOBAL="Everywhere.",
    SITE="In a site.",
    PROJECT="In a project.",
)


@node(models.UserGroup, by="name", listed="The groups of users that you may see.")
class UserGroup(Node):
    """Users who hold the same roles."""

    name: str = column("Its name.", filter=True, order=True, search=True)
    users = connection(models.UserGroup.users, "Its members.", small=True)
    grants = connection(models.UserGroup.grants, "The roles that its members hold by it, as far as you see them.")


@node(models.Role, by="name", listed="The roles that you may see.")
class Role(Node):
    """A role that can be granted. The gateway's own service has the roles `admin` and `user` in every site and project;
    other services have roles of their own."""

    name: str = column("Its name.", filter=True, order=True, search=True)
    scope: RoleScope = column("Where it holds.", filter=True, group=True)  # type: ignore[valid-type]
    service = related(
        models.Role.service,
        "The service whose role it is; the gateway's own is shown to superadmins alone.",
        group=True,
    )
    site = related(models.Role.site, "The site.")
    project = related(models.Role.project, "The project.")
    grants = connection(models.Role.grants, "Who holds it.")


@node(models.RoleGrant, listed="Who holds which role, as far as you see it.")
class RoleGrant(Node):
    """A role given to a group of users, a device, or a group of participants."""

    role = related(models.RoleGrant.role, "The role.")
    user_group = related(models.RoleGrant.user_group, "The group of users that holds it.")
    device = related(models.RoleGrant.device, "The device that holds it.")
    participant_group = related(models.RoleGrant.participant_group, "The group of participants that holds it.")


_GROUP = inputs(
    "UserGroup",
    models.UserGroup,
    name=Given(str, "Its name."),
    roles=Several(
        "Role", models.RoleGrant, "user_group_id", "role_id", "Roles that it holds; you must be able to grant each."
    ),
)
_ROLE = inputs(
    "Role",
    models.Role,
    service=Given("Service", "The service whose role it is.", fixed=True),
    scope=Given(RoleScope, "Where it holds.", fixed=True),
    site=Given("Site", "The site, for the scope SITE.", default=None, fixed=True),
    project=Given("Project", "The project, for the scope PROJECT.", default=None, fixed=True),
    name=Given(str, "Its name."),
)
RoleGrantResult = Annotated[
    RoleGrant | Problem, strawberry.union("RoleGrantResult", description="The RoleGrant, or why not.")
]


@strawberry.type(description="How many links were added, and how many removed.")
class Linked:
    added: int = strawberry.field(description="How many were added.")
    removed: int = strawberry.field(description="How many were removed.")


LinkedResult = Annotated[Linked | Problem, strawberry.union("LinkedResult", description="What changed, or why not.")]
LinkKind = enum(
    links.LinkKind,
    "What is linked with what. `id` names a row of the first type.",
    USER_GROUP_USERS="A group of users with its members.",
    DEVICE_SITES="A device with the sites that have it.",
    DEVICE_PROJECTS="A device with the projects that use it, each of a site that has it.",
    DEVICE_PARTICIPANTS="A device with the participants that use it, each of a project that uses it.",
    SERVICE_SITES="A service with the sites that it works in.",
    SERVICE_PROJECTS="A service with the projects that it works in, each of a site that it works in.",
    CLUSTER_USER_GROUPS="A cluster with the groups of users that it is for; without any it is for every user.",
    SESSION_TYPE_SITES="A type of sessions with the sites that have it.",
    SESSION_TYPE_PROJECTS="A type of sessions with the projects that have it; each must be in one of its sites.",
    SESSION_TYPE_SERVICES="A type of sessions with the services that help in them.",
)


@strawberry.type
class GroupsMutation:
    create_user_group, update_user_group, delete_user_group, restore_user_group = editing(_GROUP, result(UserGroup))
    create_role, update_role, delete_role = editing(_ROLE, result(Role))[:3]
    revoke_role = deleting(
        models.RoleGrant,
        "RoleGrant",
        "Revoke a granted role. Only administrators of a site take a group of users out of the site: when others "
        "revoke "
        "its last role in a project of the site, it keeps the site's role `user`.",
    )

    @mutation(needs=WRITER)
    async def grant_role(
        self,
        info: Info,
        role: Annotated[strawberry.ID, strawberry.argument(description="The role.")],
        grantee: Annotated[
            strawberry.ID, strawberry.argument(description="A UserGroup, a Device or a ParticipantGroup.")
        ],
    ) -> RoleGrantResult:
        """Grant a role that you administer. A role that is granted already stays."""
        key = await links.grant(info.context, key_of("Role", role, "role"), *parse_id(grantee, "grantee"))
        return await written(info, "RoleGrant", models.RoleGrant, key)  # type: ignore[no-any-return]

    @mutation(needs=WRITER)
    async def set_links(
        self,
        info: Info,
        kind: Annotated[LinkKind, strawberry.argument(description="What is linked with what.")],  # type: ignore[valid-type]
        id: Annotated[
            strawberry.ID,
            strawberry.argument(description="The row whose links are set: of the type that `kind` names first."),
        ],
        ids: Annotated[list[strawberry.ID], strawberry.argument(description="All rows that it is to be linked with.")],
    ) -> LinkedResult:
        """Link a row with exactly the rows that are given. You must be allowed to make each new link, and to undo each
        that goes. Links with rows that you do not see stay."""
        added, removed = await links.set_links(info.context, kind, id, ids, parse_id)
        return Linked(added=added, removed=removed)

    @mutation(needs=WRITER)
    async def add_to_group(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The group of users.")],
        users: Annotated[list[strawberry.ID], strawberry.argument(description="The users who join it.")],
    ) -> LinkedResult:
        """Add users to a group. Superadmins need no groups, and are refused."""
        kind = links.LinkKind.USER_GROUP_USERS
        added, _ = await links.set_links(info.context, kind, id, users, parse_id, remove=False)
        return Linked(added=added, removed=0)

    @mutation(needs=WRITER)
    async def remove_from_group(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The group of users.")],
        users: Annotated[list[strawberry.ID], strawberry.argument(description="The users who leave it.")],
    ) -> LinkedResult:
        """Remove users from a group."""
        removed = await links.unlink(info.context, links.LinkKind.USER_GROUP_USERS, id, users, parse_id)
        return Linked(added=0, removed=removed)
