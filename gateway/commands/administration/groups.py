"""torana groups: users who hold the same roles."""

from typing import Annotated, Any

import typer

from db.models import CORE
from gateway.commands.administration.asking import Asking, has, is_, listing, some, uuid_of, writing
from gateway.commands.administration.commands import Limit, Shown, Yes, command, confirm, group, one, rows
from gateway.commands.tables import Row, names
from resolvers.spelling import global_id

groups = group("groups", "Groups of users, who hold the same roles.")

_ROLE = "role { id name service { id name } site { name } project { name site { name } } }"
_LIST = listing("userGroups", "UserGroup", "id name")
_SHOW = "query($id: ID!) { node(id: $id) { ... on UserGroup { id version name createdAt } } }"
_MEMBERS = listing("users", "User", "id username firstName lastName email active")
_GRANTS = listing("roleGrants", "RoleGrant", f"id {_ROLE}")
_CREATE = writing("createUserGroup", "UserGroup { id name }", input="NewUserGroup!")
_DELETE = writing("deleteUserGroup", "Deleted { id at }", id="ID!")
_RESTORE = writing("restoreUserGroup", "UserGroup { id name }", id="ID!")
_ADD = writing("addToGroup", "Linked { added removed }", id="ID!", users="[ID!]!")
_REMOVE = writing("removeFromGroup", "Linked { added removed }", id="ID!", users="[ID!]!")

Group = Annotated[str, typer.Argument(help="A group of users, by name or id.")]
Members = Annotated[list[str], typer.Argument(help="Users, by username, e-mail address or id.")]


def _role_in(**places: str | None) -> dict[str, Any] | None:
    """The filter of a grant of a role in a place."""
    given = {name: is_(id) for name, id in places.items() if id is not None}
    return {"role": given} if given else None


@command(groups, "list")
async def list_groups(
    ask: Asking,
    text: Annotated[str | None, typer.Option(help="Part of the name.")] = None,
    user: Annotated[str | None, typer.Option(help="With this user.")] = None,
    site: Annotated[str | None, typer.Option(help="With a role in this site.")] = None,
    project: Annotated[str | None, typer.Option(help="With a role in this project.")] = None,
    limit: Limit = None,
) -> Shown:
    """List groups by name."""
    found = await ask.all(
        _LIST,
        limit,
        name=has(text),
        users=some(is_(await ask.id("User", user))),
        grants=some(_role_in(site=await ask.id("Site", site), project=await ask.id("Project", project))),
    )
    return rows(found, {"name": "name", "id": lambda group: uuid_of(group["id"])})


@command(groups, "show")
async def show(ask: Asking, group: Group) -> Shown:
    """Show a group with its members and roles."""
    id = (await ask.find("UserGroup", group)).id
    node = (await ask.data(_SHOW, id=id))["node"]
    node["users"] = {"nodes": (await ask.all(_MEMBERS, groups=some(is_(id)))).nodes}
    node["grants"] = {"nodes": (await ask.all(_GRANTS, userGroup=is_(id))).nodes}
    return one(
        node,
        {
            "name": "name",
            "id": lambda group: uuid_of(group["id"]),
            "members": names("users", "username"),
            "roles": lambda group: [held(grant["role"]) for grant in group["grants"]["nodes"] if grant["role"]],
        },
    )


def held(role: Row) -> str:
    """A role and the place where it holds."""
    return f"{role['name']} of {place(role)}{_by(role)}"


def place(role: Row) -> str:
    """The name of the place where a role holds."""
    match role:
        case {"project": {"name": name, "site": {"name": site}}}:
            return f"{site} / {name}"
        case {"project": {"name": name}} | {"site": {"name": name}}:
            return str(name)
    return "everything"


def _by(role: Row) -> str:
    match role:
        case {"service": {"id": id, "name": name}} if id != global_id("Service", CORE):
            return f" ({name})"
    return ""


@command(groups, "create")
async def create(ask: Asking, name: Annotated[str, typer.Argument(help="What it is called.")]) -> Shown:
    """Make a group; it has no members and no roles yet."""
    made = await ask.write(_CREATE, input={"name": name})
    return Shown(made, f"made the group {made['name']}, {uuid_of(made['id'])}")


@command(groups, "add")
async def add(ask: Asking, group: Group, users: Members) -> Shown:
    """Put users into a group. Superadmins need none, and are refused."""
    return await _linked(ask, _ADD, group, users)


@command(groups, "remove")
async def remove(ask: Asking, group: Group, users: Members) -> Shown:
    """Take users out of a group."""
    return await _linked(ask, _REMOVE, group, users)


async def _linked(ask: Asking, document: str, group: str, users: list[str]) -> Shown:
    found = await ask.find("UserGroup", group)
    ids = [(await ask.find("User", user)).id for user in users]
    done = await ask.write(document, id=found.id, users=ids)
    return Shown(done, f"{found.name}: added {done['added']}, removed {done['removed']}")


@command(groups, "delete")
async def delete(ask: Asking, group: Group, yes: Yes = False) -> Shown:
    """Delete a group that has no members any more."""
    found = await ask.find("UserGroup", group)
    confirm(f"Delete the group {found.name}?", yes=yes)
    gone = await ask.write(_DELETE, id=found.id)
    return Shown(gone, f"deleted {found.name}; torana groups restore {uuid_of(found.id)} brings it back")


@command(groups, "restore")
async def restore(ask: Asking, id: Annotated[str, typer.Argument(help="The id of a deleted group.")]) -> Shown:
    """Bring back a deleted group with its roles."""
    node = await ask.write(_RESTORE, id=ask.deleted("UserGroup", id))
    return Shown(node, f"{node['name']} is back")
