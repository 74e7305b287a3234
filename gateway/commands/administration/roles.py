"""torana roles: who may do what where."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from db.models import CORE
from gateway.commands.administration.asking import Asking, Refusal, is_, listing, writing
from gateway.commands.administration.commands import Limit, Shown, command, group, needs_one, rows
from gateway.commands.administration.groups import place
from resolvers.failures import Code
from resolvers.spelling import global_id

roles = group("roles", "Roles in sites and projects, and who holds them.")

_WHERE = "service { id name } site { name } project { name site { name } }"
_HELD = "grants(first: 50) { nodes { id userGroup { id name } device { id name } participantGroup { id name } } }"
_LIST = listing("roles", "Role", f"id name scope {_WHERE} {_HELD}")
_NAMED = listing("roles", "Role", "id name service { id key }")
_GRANTS = listing("roleGrants", "RoleGrant", "id role { id }")
_GRANT = writing(
    "grantRole",
    f"RoleGrant {{ id role {{ id name {_WHERE} }} userGroup {{ id name }} device {{ id name }}"
    " participantGroup { id name } }",
    role="ID!",
    grantee="ID!",
)
_REVOKE = writing("revokeRole", "Deleted { id at }", id="ID!")
_ACCESS = """query($id: ID!, $first: Int!, $after: String) { page: accessFor(id: $id, first: $first, after: $after) {
    nodes { role inherited userGroup { id name } site { id name } project { id name } }
    pageInfo { hasNextPage endCursor } } }"""

Role = Annotated[str, typer.Argument(help="A role by name, such as admin or user.")]
OfSite = Annotated[str | None, typer.Option(help="A role in this site.")]
OfProject = Annotated[str | None, typer.Option(help="A role in this project.")]
Service = Annotated[
    str | None, typer.Option(help="The key of the service whose role it is; without, the gateway's own.")
]
ToGroup = Annotated[str | None, typer.Option(help="A group of users.")]
ToDevice = Annotated[str | None, typer.Option(help="A device.")]
ToParticipants = Annotated[str | None, typer.Option(help="A group of participants.")]


@command(roles, "list")
async def list_roles(ask: Asking, site: OfSite = None, project: OfProject = None, limit: Limit = None) -> Shown:
    """List roles, and who holds each."""
    here = {"site": is_(await ask.id("Site", site)), "project": is_(await ask.id("Project", project))}
    found = await ask.all(_LIST, limit, **here)
    return rows(
        found,
        {
            "role": "name",
            "in": place,
            "of": lambda role: role["service"]["name"] if role["service"] else "",
            "held by": lambda role: [name for grant in role["grants"]["nodes"] if (name := _holder(grant))],
        },
    )


def _holder(grant: dict[str, Any]) -> str | None:
    known = (grant[kind] for kind in ("userGroup", "device", "participantGroup"))
    return next((holder["name"] for holder in known if holder), None)


@command(roles, "grant")
async def grant(
    ask: Asking,
    role: Role,
    site: OfSite = None,
    project: OfProject = None,
    service: Service = None,
    group: ToGroup = None,
    device: ToDevice = None,
    participant_group: ToParticipants = None,
) -> Shown:
    """Give a role in a site or a project to a group of users, a device or a group of participants."""
    wanted = await _role(ask, role, site, project, service)
    _, grantee = await _grantee(ask, group, device, participant_group)
    made = await ask.write(_GRANT, role=wanted, grantee=grantee)
    return Shown(made, f"{_holder(made)} has the role {made['role']['name']} of {place(made['role'])}")


@command(roles, "revoke")
async def revoke(
    ask: Asking,
    role: Role,
    site: OfSite = None,
    project: OfProject = None,
    service: Service = None,
    group: ToGroup = None,
    device: ToDevice = None,
    participant_group: ToParticipants = None,
) -> Shown:
    """Take a role back."""
    wanted = await _role(ask, role, site, project, service)
    kind, grantee = await _grantee(ask, group, device, participant_group)
    for held in (await ask.all(_GRANTS, **{kind: is_(grantee)})).nodes:
        if held["role"] and held["role"]["id"] == wanted:
            return Shown(
                await ask.write(_REVOKE, id=held["id"]), f"{group or device or participant_group} has it no more"
            )
    raise Refusal(f"{group or device or participant_group} does not have this role", Code.NOT_FOUND.name)


@command(roles, "access")
async def access(
    ask: Asking,
    user: Annotated[str | None, typer.Option(help="What this user may do.")] = None,
    group: Annotated[str | None, typer.Option(help="What members of this group may do.")] = None,
    site: Annotated[str | None, typer.Option(help="Who may do something in this site.")] = None,
    project: Annotated[str | None, typer.Option(help="Who may do something in this project.")] = None,
) -> Shown:
    """Show who has which role where, after inheritance: who administers a site administers its projects, and who has a
    role in a project is a user of its site."""
    name, named = needs_one(user=user, group=group, site=site, project=project)
    kind = {"user": "User", "group": "UserGroup", "site": "Site", "project": "Project"}[name]
    return rows(
        await ask.all(_ACCESS, None, {"id": (await ask.find(kind, named)).id}),
        {
            "group": "userGroup.name",
            "role": "role",
            "site": "site.name",
            "project": "project.name",
            "inherited": "inherited",
        },
    )


async def _role(ask: Asking, role: str, site: str | None, project: str | None, service: str | None) -> str:
    """The id of a role of a service in a place."""
    name, named = needs_one(site=site, project=project)
    where = {name: is_(await ask.id(name.title(), named))}
    for found in (await ask.all(_NAMED, **where)).nodes:
        of = found["service"]
        if found["name"] == role and (_own(of) if service is None else of and of["key"] == service):
            return str(found["id"])
    raise Refusal(f"there is no role {role} in {named}", Code.NOT_FOUND.name)


def _own(service: Mapping[str, Any] | None) -> bool:
    """Whether the service is the gateway itself, which only superadmins see among the services."""
    return service is None or service["id"] == global_id("Service", CORE)


async def _grantee(
    ask: Asking, group: str | None, device: str | None, participant_group: str | None
) -> tuple[str, str]:
    """The grantee of a role: the filter of grants that finds it, and its id."""
    name, named = needs_one(group=group, device=device, participant_group=participant_group)
    kinds = {"group": "UserGroup", "device": "Device", "participant_group": "ParticipantGroup"}
    kind = kinds[name]
    return kind[0].lower() + kind[1:], (await ask.find(kind, named)).id
