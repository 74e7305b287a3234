"""torana audit: what happened and mattered."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import orjson
import typer

from gateway.commands.administration.asking import Asking, Listed, among, listing, uuid_of
from gateway.commands.administration.commands import Shown, command, group, rows
from gateway.commands.tables import moment
from schema.fields.scalars import parse_id

audit = group("audit", "The record of what mattered.")

_LIST = listing("auditEvents", "AuditEvent", "id action at actorKind actor entityType entity client detail")
_WHO = "query($ids: [ID!]!) { nodes(ids: $ids) { id ... on User { username } } }"
_AGO = re.compile(r"(\d+)([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _moment(text: str) -> datetime:
    """A time, in UTC unless it says otherwise, or how long ago."""
    if ago := _AGO.fullmatch(text):
        return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("a time looks like 2026-03-01, 2026-03-01T09:30 or 3d (ago)") from None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _when(help: str) -> Any:
    return typer.Option(parser=_moment, metavar="TIME", help=help)


@command(audit, "list")
async def list_events(
    ask: Asking,
    since: Annotated[
        datetime | None, _when("From then on: 2026-03-01, 2026-03-01T09:30, or 3d for three days.")
    ] = None,
    until: Annotated[datetime | None, _when("Until before then.")] = None,
    actor: Annotated[str | None, typer.Option(help="Done by this user, by username; or by `operator`.")] = None,
    action: Annotated[list[str] | None, typer.Option(help="Such as LOG_IN; several times for more.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Events at most.")] = 100,
) -> Shown:
    """List what was recorded, the latest first."""
    chosen: dict[str, Any] = {
        "at": {"from": since and since.isoformat(), "to": until and until.isoformat()},
        "action": among([one.upper() for one in action or ()]),
    }
    if actor == "operator":
        chosen["actorKind"] = {"equals": actor}
    elif actor is not None:
        chosen["actor"] = among([(await ask.find("User", actor)).id])
    found = await ask.all(_LIST, limit, **chosen)
    known = await _names(ask, found)
    return rows(
        found,
        {
            "at (UTC)": moment("at"),
            "action": "action",
            "by": lambda event: known.get(event["actor"]) or _named(event["actorKind"], event["actor"]),
            "of": lambda event: known.get(event["entity"]) or _named(event["entityType"], event["entity"]),
            "from": lambda event: (event["client"] or {}).get("ip") or (event["client"] or {}).get("account"),
            "more": lambda event: _said(event["detail"]),
        },
    )


async def _names(ask: Asking, found: Listed) -> dict[str | None, str]:
    """The names of the users in some events."""
    ids = sorted({event[key] for event in found.nodes for key in ("actor", "entity") if event[key]})
    users = [id for id in ids if parse_id(id)[0] == "User"]
    known: dict[str | None, str] = {}
    for start in range(0, len(users), 50):
        nodes = (await ask.data(_WHO, ids=users[start : start + 50]))["nodes"]
        known |= {node["id"]: f"user {node['username']}" for node in nodes if node and node["username"]}
    return known


def _named(kind: str | None, id: str | None) -> str:
    return " ".join(filter(None, (kind or "anonymous", uuid_of(id))))


def _said(detail: Any) -> str:
    if not isinstance(detail, dict):
        return ""
    return ", ".join(
        f"{name} {value if isinstance(value, str) else orjson.dumps(value).decode()}" for name, value in detail.items()
    )
