"""torana users sessions and close-sessions: where an account is signed in."""

from gateway.commands.administration.asking import Asking, Listed
from gateway.commands.administration.commands import Shown, Yes, command, confirm, rows
from gateway.commands.administration.users import User, users
from gateway.commands.tables import moment
from resolvers.accounts import sessions
from schema.fields.scalars import key_of

__all__ = ["users"]
"""The group, with the commands of this module in it."""


@command(users, "sessions")
async def list_sessions(ask: Asking, user: User) -> Shown:
    """List where an account is signed in, the latest first."""
    found = await ask.find("User", user)
    held = await sessions.of_user(ask.context, key_of("User", found.id))
    return rows(
        Listed(
            [
                {
                    "id": str(one.family),
                    "address": one.address,
                    "agent": one.agent,
                    "createdAt": one.created_at.isoformat(),
                    "usedAt": one.used_at.isoformat(),
                }
                for one in held
            ]
        ),
        {
            "since (UTC)": moment("createdAt"),
            "last used (UTC)": moment("usedAt"),
            "from": "address",
            "with": "agent",
        },
    )


@command(users, "close-sessions")
async def close_sessions(ask: Asking, user: User, yes: Yes = False) -> Shown:
    """End all login sessions of an account."""
    found = await ask.find("User", user)
    confirm(f"Sign {found.name} out everywhere?", yes=yes)
    count = await sessions.close_all(ask.context, key_of("User", found.id))
    return Shown({"closed": count}, f"{found.name}: ended {count}")
