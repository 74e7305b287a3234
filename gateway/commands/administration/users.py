"""torana users: accounts, their passwords, what they may do."""

from enum import Enum
from typing import Annotated, Any

import typer

from gateway.commands.administration.asking import Asking, Refusal, is_, listing, some, uuid_of, writing
from gateway.commands.administration.commands import Limit, Shown, Yes, command, confirm, group, one, rows
from gateway.commands.tables import Cell, moment
from resolvers.accounts import password_changes
from resolvers.failures import Code, Failure
from schema.fields.scalars import key_of

users = group("users", "Accounts.")

_CARD = """id version username authProvider email emailVerified firstName lastName affiliation active superadmin
    platformRole twoFactor forcePasswordChange notes createdAt lastOnlineAt"""
_LIST = listing("users", "User", "id username email firstName lastName active superadmin platformRole lastOnlineAt")
_SHOW = f"query($id: ID!) {{ node(id: $id) {{ ... on User {{ {_CARD} }} }} }}"
_GROUPS = listing("userGroups", "UserGroup", "id name")
_CREATE = writing("createUser", "User { id username }", input="NewUser!")
_UPDATE = writing(
    "updateUser",
    f"User {{ {_CARD} }}",
    id="ID!",
    expectedVersion="Int!",
    input="UserChanges!",
)
_DELETE = writing("deleteUser", "Deleted { id at }", id="ID!")
_RESTORE = writing("restoreUser", "User { id username }", id="ID!")

User = Annotated[str, typer.Argument(help="A username, an e-mail address or an id.")]
Password = Annotated[
    str | None, typer.Option(help="12 to 1024 characters; asked for when it is not given, so that no one sees it.")
]
MustChange = Annotated[
    bool | None, typer.Option(help="At the next sign-in; by default so, but not where a superadmin is made.")
]
_ROLE: Cell = lambda user: "SUPERADMIN" if user["superadmin"] else user["platformRole"]  # noqa: E731
_NAME: Cell = lambda user: " ".join(filter(None, (user["firstName"], user["lastName"])))  # noqa: E731


class Role(Enum):
    """What a user may contribute; each includes the former."""

    READER = "READER"
    CONTRIBUTOR = "CONTRIBUTOR"
    MANAGER = "MANAGER"


@command(users, "list")
async def list_users(
    ask: Asking,
    text: Annotated[str | None, typer.Option(help="Part of the username, a name or the e-mail address.")] = None,
    project: Annotated[str | None, typer.Option(help="With a role in this project.")] = None,
    group: Annotated[str | None, typer.Option(help="In this group.")] = None,
    limit: Limit = None,
) -> Shown:
    """List accounts, the oldest first."""
    found = await ask.all(
        _LIST,
        limit,
        text=text,
        groups=some(_in(is_(await ask.id("Project", project)), await ask.id("UserGroup", group))),
    )
    return rows(
        found,
        {
            "username": lambda user: user["username"] or uuid_of(user["id"]),
            "name": _NAME,
            "e-mail": "email",
            "role": _ROLE,
            "active": "active",
            "last online (UTC)": moment("lastOnlineAt"),
        },
    )


def _in(project: dict[str, Any] | None, group: str | None) -> dict[str, Any] | None:
    """The filter of a group: this one, and with a role in a project."""
    given = {"ids": group and [group], "grants": project and {"some": {"role": {"project": project}}}}
    return given if any(given.values()) else None


@command(users, "show")
async def show(ask: Asking, user: User) -> Shown:
    """Show an account with its groups."""
    id = (await ask.find("User", user)).id
    node = (await ask.data(_SHOW, id=id))["node"]
    node["groups"] = (await ask.all(_GROUPS, users=some(is_(id)))).nodes
    return _card(node)


def _card(node: dict[str, Any]) -> Shown:
    cells: dict[str, Cell] = {
        "username": "username",
        "id": lambda user: uuid_of(user["id"]),
        "name": _NAME,
        "affiliation": "affiliation",
        "e-mail": "email",
        "e-mail verified": "emailVerified",
        "identity from": "authProvider",
        "role": _ROLE,
        "active": "active",
        "second factor": "twoFactor",
        "must change password": "forcePasswordChange",
        "notes": "notes",
        "joined (UTC)": moment("createdAt"),
        "last online (UTC)": moment("lastOnlineAt"),
    }
    if "groups" in node:
        cells["groups"] = lambda user: [group["name"] for group in user["groups"]]
    return one(node, cells)


@command(users, "create")
async def create(
    ask: Asking,
    username: Annotated[str, typer.Argument(help="Letters, digits, dots, underscores and hyphens.")],
    email: Annotated[str | None, typer.Option(help="The e-mail address.")] = None,
    unverified: Annotated[
        bool, typer.Option(help="The user is to confirm the address; else you vouch for it.")
    ] = False,
    first_name: Annotated[str | None, typer.Option(help="Given name.")] = None,
    last_name: Annotated[str | None, typer.Option(help="Family name.")] = None,
    affiliation: Annotated[str | None, typer.Option(help="Institution.")] = None,
    role: Annotated[Role, typer.Option(help="What the user may contribute.")] = Role.READER,
    superadmin: Annotated[bool, typer.Option("--superadmin", help="May do everything.")] = False,
    group: Annotated[
        list[str] | None, typer.Option(help="A group to put the user into; several times for more.")
    ] = None,
    invite: Annotated[bool, typer.Option("--invite", help="Mail a link by which the user chooses a password.")] = False,
    password: Password = None,
    must_change: MustChange = None,
) -> Shown:
    """Make a local account; asks for its password, or mails an invitation."""
    if invite:
        _check_mail(ask, email, password)
    else:
        password = _asked(password)
        await ask.services.identity.passwords.check(password, "password", username, email, first_name, last_name)
    given: dict[str, Any] = {
        "username": username,
        "email": email,
        "emailVerified": email is not None and not unverified and not invite,
        "firstName": first_name,
        "lastName": last_name,
        "affiliation": affiliation,
        "platformRole": role.value,
        "superadmin": superadmin,
        "groups": [(await ask.find("UserGroup", name)).id for name in group or ()],
    }
    made = await ask.write(_CREATE, input=given)
    said = f"made {username.lower()}{', a superadmin' if superadmin else ''}"
    if password is None:
        assert email is not None
        await password_changes.invite(ask.context, email)
        return Shown(made, f"{said}; a link goes to {email}")
    try:
        await _set_password(
            ask, made["id"], password, must_change=not superadmin if must_change is None else must_change
        )
    except (Failure, Refusal) as refused:
        raise Refusal(f"{said}, but without a password: {refused}", Code.FORBIDDEN.name) from None
    return Shown(made, said)


@command(users, "update")
async def update(
    ask: Asking,
    user: User,
    email: Annotated[str | None, typer.Option(help="The e-mail address, then not verified; '' takes it away.")] = None,
    first_name: Annotated[str | None, typer.Option(help="Given name; '' takes it away.")] = None,
    last_name: Annotated[str | None, typer.Option(help="Family name; '' takes it away.")] = None,
    affiliation: Annotated[str | None, typer.Option(help="Institution; '' takes it away.")] = None,
    notes: Annotated[str | None, typer.Option(help="What the user does not see; '' takes it away.")] = None,
    must_change_password: Annotated[bool | None, typer.Option(help="At the next sign-in.")] = None,
) -> Shown:
    """Change an account: what is given, nothing else."""
    given = {
        "email": email,
        "firstName": first_name,
        "lastName": last_name,
        "affiliation": affiliation,
        "notes": notes,
    }
    changes: dict[str, Any] = {name: value or None for name, value in given.items() if value is not None}
    if must_change_password is not None:
        changes["forcePasswordChange"] = must_change_password
    if not changes:
        raise typer.BadParameter("give what changes")
    return _card(await _changed(ask, user, **changes))


@command(users, "verify")
async def verify(ask: Asking, user: User) -> Shown:
    """Vouch for the user's e-mail address."""
    found = await ask.find("User", user)
    if (await ask.data(_SHOW, id=found.id))["node"]["email"] is None:
        raise Refusal(f"{found.name} has no e-mail address", Code.STATE.name)
    node = await _changed(ask, found.id, emailVerified=True)
    return Shown(node, f"{node['email']} of {node['username']} counts as verified")


@command(users, "activate")
async def activate(ask: Asking, user: User) -> Shown:
    """Let an account sign in again."""
    node = await _changed(ask, user, active=True)
    return Shown(node, f"{node['username']} may sign in")


@command(users, "deactivate")
async def deactivate(ask: Asking, user: User) -> Shown:
    """Keep an account from signing in, and from whatever it is signed in to."""
    node = await _changed(ask, user, active=False)
    return Shown(node, f"{node['username']} may not sign in")


@command(users, "role")
async def role(
    ask: Asking,
    user: User,
    role: Annotated[Role | None, typer.Argument(help="What the user may contribute.")] = None,
    superadmin: Annotated[bool | None, typer.Option(help="Whether the user may do everything.")] = None,
) -> Shown:
    """Set what an account may do on the whole platform."""
    changes: dict[str, Any] = {}
    if role is not None:
        changes["platformRole"] = role.value
    if superadmin is not None:
        changes["superadmin"] = superadmin
    if not changes:
        raise typer.BadParameter("give a role, --superadmin or --no-superadmin")
    node = await _changed(ask, user, **changes)
    kind = "a superadmin" if node["superadmin"] else "no superadmin"
    return Shown(node, f"{node['username']} is {node['platformRole']} and {kind}")


@command(users, "password")
async def password(ask: Asking, user: User, password: Password = None, must_change: MustChange = None) -> Shown:
    """Give an account another password; all of its login sessions end."""
    found = await ask.find("User", user)
    await _set_password(ask, found.id, _asked(password), must_change=must_change is not False)
    return Shown({"id": found.id}, f"{found.name} has another password, and is signed in nowhere")


@command(users, "delete")
async def delete(ask: Asking, user: User, yes: Yes = False) -> Shown:
    """Delete an account. Its name stays reserved; its password, keys and groups are gone for good."""
    found = await ask.find("User", user)
    confirm(f"Delete the user {found.name}? Its password, keys and groups are gone for good.", yes=yes)
    gone = await ask.write(_DELETE, id=found.id)
    return Shown(gone, f"deleted {found.name}; torana users restore {uuid_of(found.id)} brings it back")


@command(users, "restore")
async def restore(ask: Asking, id: Annotated[str, typer.Argument(help="The id of a deleted user.")]) -> Shown:
    """Bring back a deleted account, in no group and without a password."""
    node = await ask.write(_RESTORE, id=ask.deleted("User", id))
    return Shown(node, f"{node['username']} is back, in no group and without a password")


async def _changed(ask: Asking, user: str, **changes: Any) -> dict[str, Any]:
    found = await ask.find("User", user)
    return await ask.write(_UPDATE, id=found.id, expectedVersion=found.version, input=changes)


async def _set_password(ask: Asking, id: str, password: str, *, must_change: bool) -> None:
    await password_changes.set_for_user(ask.context, key_of("User", id), password)
    if not must_change:
        await _changed(ask, id, forcePasswordChange=False)


def _check_mail(ask: Asking, email: str | None, password: str | None) -> None:
    """Refuse an invitation that nobody would receive, before an account is made."""
    if email is None or password is not None:
        raise typer.BadParameter("an invitation needs --email, and no password")
    if not (ask.settings.mail.server or ask.settings.mail.mail_log):
        raise Refusal("there is no mail server to invite by; TORANA_SMTP_URL names one", Code.STATE.name)


def _asked(given: str | None) -> str:
    """The given password; else one that is typed twice."""
    return given or str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
