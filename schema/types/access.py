"""What one may do, who may do what where, and how much there is."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Any

import strawberry

from db import models
from resolvers.access.policy import policies
from resolvers.organisation import counts, effective_roles, maintenance_mode, permissions, service_logs
from resolvers.reading.listing import Listing
from resolvers.reading.paging import Page
from resolvers.spelling import camel, constant, global_id
from schema.fields.fields import Info, computed
from schema.fields.mutations import SIGNED_IN, WRITER, mutation
from schema.fields.nodes import Connection
from schema.fields.problems import Problem
from schema.fields.scalars import enum, member_name, optional_key, parse_id
from schema.fields.selection import DEFINITION, model_of, select
from schema.lists.connections import Sliced, listed
from schema.types.accounts.signing import Done, DoneResult
from schema.types.groups import UserGroup
from schema.types.organisation import Project, Site

AccessAction = enum(
    permissions.Action,
    "What may be done with a row.",
    READ="Read the row.",
    UPDATE="Change at least one field of it.",
    DELETE="Delete it, unless other rows need it.",
)


@strawberry.type(description="What you may do with a row. A page shows its buttons by it.")
class Access:
    actions: list[AccessAction] = strawberry.field(description="What you may do.")  # type: ignore[valid-type]
    fields: list[str] = strawberry.field(
        description="The fields that you may change, as the input of the update names them."
    )
    readable_fields: list[str] = strawberry.field(
        description="Its guarded fields that you may read. Fields that are not guarded are read by all who see it."
    )
    creates: list[str] = strawberry.field(description="The types of rows that you may create in it.")


def _of_role(model: type[models.Entity], key: str) -> Any:
    async def resolve(self: Any, info: Info) -> Any:
        found = getattr(self, key)
        return None if found is None else await info.context.loaders.one(select(info, model), found)

    return resolve


@strawberry.type(
    description="A role that a group, a device or participants hold in a site or a project, also by inheritance."
)
class HeldRole:
    role: str = strawberry.field(description="`admin` or `user`.")
    inherited: bool = strawberry.field(
        description="Whether it follows from another role, in the site or in a project of it."
    )
    service_key: str = strawberry.field(
        description="The key of the service whose role it is: `torana` of the gateway itself."
    )
    user_group_id: strawberry.Private[Any]
    site_id: strawberry.Private[Any]
    project_id: strawberry.Private[Any]
    user_group: UserGroup | None = strawberry.field(
        resolver=_of_role(models.UserGroup, "user_group_id"), description="The group, if it is one's."
    )
    site: Site | None = strawberry.field(resolver=_of_role(models.Site, "site_id"), description="The site.")
    project: Project | None = strawberry.field(
        resolver=_of_role(models.Project, "project_id"), description="The project; null for a role in the site."
    )


@strawberry.type(description="How many rows of each type you see in a place.")
class Stats:
    sites: int = strawberry.field(description="Sites.")
    projects: int = strawberry.field(description="Projects.")
    users: int = strawberry.field(description="Users with a role there.")
    user_groups: int = strawberry.field(description="Groups of users with a role there.")
    participant_groups: int = strawberry.field(description="Groups of participants.")
    participants: int = strawberry.field(description="Participants.")
    devices: int = strawberry.field(description="Devices.")
    services: int = strawberry.field(description="Services.")
    sessions: int = strawberry.field(description="Sessions.")
    simulations: int = strawberry.field(description="Simulations.")


RestorableModel = Enum(  # type: ignore[misc]
    "RestorableModel", {constant(policy.model.__name__): policy.model for policy in policies() if policy.restorable}
)
"""The models of which deleted rows can be brought back."""

RestorableType = enum(
    RestorableModel,
    "A type of which deleted rows can be brought back.",
    name="RestorableType",
    **{one.name: f"{one.value.__name__}." for one in RestorableModel},
)


@strawberry.type(description="A deleted row that you may restore.")
class Restorable:
    @computed("The row, for the mutation that restores it.", reads=())
    def id(self: Any) -> strawberry.ID:
        return strawberry.ID(global_id(self.model.__name__, self.id))

    name: str = strawberry.field(description="What it was called.")
    deleted_at: datetime = strawberry.field(description="When it was deleted.")


_HELD = Listing(
    "HeldRole",
    lambda held: (str(held.site_id), str(held.project_id or ""), str(held.user_group_id), held.service_key, held.role),
)


async def _access_for(
    info: Info,
    sliced: Sliced,
    id: Annotated[
        strawberry.ID,
        strawberry.argument(description="A User, UserGroup, Site, Project, Device, Participant or ParticipantGroup."),
    ],
) -> Page:
    return _HELD.page(await effective_roles.access_for(info.context, *parse_id(id)), sliced(_HELD))


async def _restorable(
    info: Info,
    sliced: Sliced,
    type: Annotated[RestorableType, strawberry.argument(description="Of which type.")],  # type: ignore[valid-type]
) -> Page:
    model: Any = type.value  # type: ignore[attr-defined]
    return await permissions.restorable(info.context, model, sliced(permissions.restorable_order(model)))


@strawberry.type
class AccessQuery:
    @strawberry.field(description="What you may do with a node; null when there is no such node or you may not see it.")
    async def my_access(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The node.")]
    ) -> Access | None:
        typename, key = parse_id(id)
        model = model_of(info._raw_info.schema.get_type(typename))
        found = None if model is None else await permissions.allowance(info.context, model, key)
        if found is None or model is None:
            return None
        known = info._raw_info.schema
        changes: Any = known.get_type(f"{typename}Changes")
        spelled = [camel(name.removesuffix("_id")) for name in found.columns]
        fields = [field for field in dict.fromkeys(spelled) if changes is not None and field in changes.fields]
        kind: Any = known.get_type(typename)
        shown = {field.extensions[DEFINITION].python_name: name for name, field in kind.fields.items()}
        return Access(
            actions=list(found.actions),
            fields=fields,
            readable_fields=[shown[name] for name in found.reads if name in shown],
            creates=[made.__name__ for made in found.creates],
        )

    access_for: Connection[HeldRole] = listed(
        "The roles of a User or a UserGroup, or the roles in a Site or a Project, as far as you see their grants; of a "
        "Device, a Participant or a ParticipantGroup the roles of all services that were granted to it. "
        "Inherited roles are included: administrators of a site administer its projects, and who has a role in a "
        "project is a user of its site. "
        f"At most {effective_roles.MOST}.",
        _access_for,
    )

    @strawberry.field(description="How many rows of each type you see, in a Site, in a Project or everywhere.")
    async def stats(
        self,
        info: Info,
        scope: Annotated[strawberry.ID | None, strawberry.argument(description="A Site or a Project.")] = None,
    ) -> Stats | None:
        kind, key = (None, None) if scope is None else parse_id(scope, "scope")
        return Stats(**await counts.count(info.context, kind, key))

    restorable: Connection[Restorable] = listed(
        "The deleted rows that you may restore, the last deleted first.", _restorable
    )

    @strawberry.field(
        description="Whether the gateway is locked. While it is, nothing can be changed, and reading goes on."
    )
    async def read_only(self, info: Info) -> bool:
        return await info.context.services.locking.read_only()


@strawberry.type(description="Whether the gateway is locked.")
class Lock:
    read_only: bool = strawberry.field(description="Whether nothing can be changed.")


LockResult = Annotated[Lock | Problem, strawberry.union("LockResult", description="The lock, or why not.")]


LogLevel = enum(
    service_logs.Level,
    "How grave a log event is.",
    name="LogLevel",
    DEBUG="For who develops the service.",
    INFO="It went as it should.",
    WARNING="Something to look at.",
    ERROR="It failed.",
)


@strawberry.type
class AccessMutation:
    @mutation(needs=WRITER)
    async def add_log_event(
        self,
        info: Info,
        level: Annotated[LogLevel, strawberry.argument(description="How grave it is.")],  # type: ignore[valid-type]
        message: Annotated[str, strawberry.argument(description="In words, at most 2000 characters; no secrets.")],
        project: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="The project that it is of: its administrators read it, too."),
        ] = None,
    ) -> DoneResult:
        """Put a log event on record, as a service. It is read among `auditEvents`."""
        key = optional_key("Project", project, "project")
        chosen = service_logs.Level[member_name(level)]
        return Done(at=await service_logs.add(info.context, chosen, message, key))

    @mutation(needs=SIGNED_IN, always=True)
    async def set_read_only(
        self,
        info: Info,
        read_only: Annotated[bool, strawberry.argument(description="Whether to lock, or to unlock.")],
    ) -> LockResult:
        """Lock or unlock the gateway. While it is locked, signing in and out, reading and the reports of running
        workers
        go on; every other mutation is LOCKED. Allowed to superadmins."""
        await maintenance_mode.set_read_only(info.context, read_only)
        return Lock(read_only=read_only)
