"""torana writes: whether anything may change."""

from gateway.commands.administration.asking import Asking
from gateway.commands.administration.commands import Shown, command, group

writes = group("writes", "Lock the gateway for maintenance: reading goes on, nothing changes.")

_READ = "query { readOnly }"
_SET = """mutation($readOnly: Boolean!) { result: setReadOnly(readOnly: $readOnly) {
  __typename ... on Lock { readOnly } ... on Problem { code message field details } } }"""


@command(writes, "show")
async def show(ask: Asking) -> Shown:
    """Tell whether the gateway is locked."""
    found = await ask.data(_READ)
    return Shown(found, "locked" if found["readOnly"] else "open")


@command(writes, "lock")
async def lock(ask: Asking) -> Shown:
    """Refuse every mutation but signing in and out, and the reports of workers."""
    return Shown(await ask.write(_SET, readOnly=True), "locked")


@command(writes, "unlock")
async def unlock(ask: Asking) -> Shown:
    """Let things change again."""
    return Shown(await ask.write(_SET, readOnly=False), "open")
