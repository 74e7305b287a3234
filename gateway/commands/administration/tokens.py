"""torana tokens: what programs prove with who they are."""

from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Annotated

import typer

from gateway.commands.administration.asking import Asking, is_, listing, uuid_of, writing
from gateway.commands.administration.commands import Limit, Shown, Yes, command, confirm, group, needs_one, rows
from gateway.commands.tables import Row, moment

tokens = group("tokens", "API keys of users; static tokens of participants, devices and services.")

_CREDENTIAL = """id kind label publicKey scopes createdAt expiresAt lastUsedAt revokedAt user { id username }
    participant { id name } device { id name } service { id name }"""
_ISSUED = f"IssuedCredential {{ secret publicKey credential {{ {_CREDENTIAL} }} }}"
_LIST = listing("credentials", "Credential", _CREDENTIAL)
_KEY = writing("createApiKey", _ISSUED, label="String!", scopes="[KeyScope!]!", expiresAt="DateTime")
_TOKENS = {
    "participant": writing("createParticipantToken", _ISSUED, participant="ID!"),
    "device": writing("createDeviceToken", _ISSUED, device="ID!"),
    "service": writing("createServiceToken", _ISSUED, service="ID!"),
}
_REVOKE = writing("revokeCredential", "Revoked { id at }", id="ID!")
_REGISTER = writing("newDeviceRegisterKey", "RegisterKey { secret }")

OfParticipant = Annotated[str | None, typer.Option(help="Of this participant, by username, name or id.")]
OfDevice = Annotated[str | None, typer.Option(help="Of this device, by name or id.")]
OfService = Annotated[str | None, typer.Option(help="Of this service, by key, name or id.")]
ONCE = "It is shown this once."


class Scope(Enum):
    """What a key may do besides reading."""

    READ = "READ"
    WRITE = "WRITE"


@command(tokens, "list")
async def list_tokens(
    ask: Asking,
    user: Annotated[str | None, typer.Option(help="Of this user, by username, e-mail address or id.")] = None,
    participant: OfParticipant = None,
    device: OfDevice = None,
    service: OfService = None,
    limit: Limit = None,
) -> Shown:
    """List keys and tokens, the latest first. Their secrets are known to nobody."""
    found = await ask.all(
        _LIST,
        limit,
        user=is_(await ask.id("User", user)),
        participant=is_(await ask.id("Participant", participant)),
        device=is_(await ask.id("Device", device)),
        service=is_(await ask.id("Service", service)),
    )
    return rows(
        found,
        {
            "of": _owner,
            "label": "label",
            "may": lambda key: [scope.lower() for scope in key["scopes"] or ()],
            "made (UTC)": moment("createdAt"),
            "last used (UTC)": moment("lastUsedAt"),
            "ends (UTC)": moment("expiresAt"),
            "revoked (UTC)": moment("revokedAt"),
            "id": lambda key: uuid_of(key["id"]),
        },
    )


def _owner(key: Row) -> str:
    for kind, name in (("user", "username"), ("participant", "name"), ("device", "name"), ("service", "name")):
        if key[kind]:
            return f"{kind} {key[kind][name]}"
    return ""


@command(tokens, "create")
async def create(
    ask: Asking,
    user: Annotated[str | None, typer.Option(help="An API key of this user, by username.")] = None,
    participant: OfParticipant = None,
    device: OfDevice = None,
    service: OfService = None,
    label: Annotated[str, typer.Option(help="What an API key is called.")] = "default",
    scope: Annotated[list[Scope] | None, typer.Option(help="What an API key may do besides reading.")] = None,
    days: Annotated[float | None, typer.Option(min=0.01, help="When an API key ends; without, never.")] = None,
) -> Shown:
    """Make an API key of a user, or a static token of a participant, a device or a service, and print it once."""
    kind, named = needs_one(user=user, participant=participant, device=device, service=service)
    if kind == "user":
        owner = await ask.as_owner(named)
        until = None if days is None else (datetime.now(UTC) + timedelta(days=days)).isoformat()
        made = await owner.write(_KEY, label=label, scopes=[one.value for one in scope or ()], expiresAt=until)
    else:
        made = await ask.write(_TOKENS[kind], **{kind: (await ask.find(kind.title(), named)).id})
    key = f"{made['publicKey']}\n" if made["publicKey"] else ""
    return Shown(made, f"{key}{made['secret']}", ONCE)


@command(tokens, "revoke")
async def revoke(
    ask: Asking, id: Annotated[str, typer.Argument(help="A key or token by its id.")], yes: Yes = False
) -> Shown:
    """End a key or token at once, for good."""
    found = await ask.find("Credential", id)
    confirm("Revoke it? Programs that use it are refused from now on.", yes=yes)
    node = await ask.write(_REVOKE, id=found.id)
    return Shown(node, f"revoked {uuid_of(node['id'])}")


@command(tokens, "device-register-key")
async def device_register_key(ask: Asking, yes: Yes = False) -> Shown:
    """Make the key with which devices register themselves, and print it once; the former one ends."""
    confirm("Make a new key? The former one ends.", yes=yes)
    made = await ask.write(_REGISTER)
    return Shown(made, made["secret"], ONCE)
