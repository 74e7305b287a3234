"""Events of sessions, told one by one or in batches. A batch is stored in one transaction; a bad event takes no good
one with it, and one that came before is answered by its first id."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from db.engine import changed, inserting, moment_of, row_topic
from db.keys import among
from db.models import Session, SessionEvent, SessionEventType
from db.types import uuid7
from db.written import because
from resolvers.access.rules import SUPERADMIN, allowed
from resolvers.access.session_rules import REPORTING
from resolvers.access.visibility import visible
from resolvers.context import Context
from resolvers.failures import Failure, Forbidden, Invalid, NotFound, Unauthenticated, check_limit
from resolvers.feed import events_topic
from resolvers.identity.principal import Kind
from resolvers.spelling import invisible

MOST = 1_000
"""The most events of one batch."""
LONGEST = 10_000
"""The most characters of a text."""
FIRST = datetime(1970, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=1)
"""By how much the clock of a device may be ahead."""
NUMBERS = 2**53 - 1
REPORTER = {Kind.USER: "user_id", Kind.DEVICE: "device_id", Kind.SERVICE: "service_id"}


@dataclass(frozen=True, slots=True)
class Told:
    """An event as a client tells of it, or what is wrong with it. `occurred_at` and `type` are texts."""

    session: UUID | Failure
    client_id: str | None
    type: str
    occurred_at: str
    text: str | None = None
    context: str | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an event: its key, whether it had come before, or why it was refused."""

    client_id: str | None
    key: UUID | None = None
    repeated: bool = False
    failure: Failure | None = None


async def report(ctx: Context, told: Sequence[Told], place: str = "events.{}") -> list[Outcome]:
    """Store events; an outcome for each, in their order; `place` is where the event of a number stands. Refuses
    all of them for too many, or too fast."""
    column = REPORTER.get(ctx.principal.kind)
    if column is None or ctx.principal.id is None:
        raise Unauthenticated("sign in as a user, a device or a service")
    check_limit(f"at most {MOST} events at once, not {len(told)}", len(told), MOST, limit="events", field="events")
    ctx.services.pace.expect(ctx.principal.id, len(told), ctx.services.limits.events_per_minute)
    async with ctx.database.write() as session:
        moment = await moment_of(session)
        checked = [_checked(one, moment) for one in told]
        keys = {one["session_id"] for one in checked if not isinstance(one, Failure)}
        open_to = await _open(ctx, session, keys)
        outcomes: list[Outcome | None] = []
        rows: dict[tuple[int, str], dict[str, Any]] = {}
        places: list[tuple[int, str] | None] = []
        for n, (one, event) in enumerate(zip(told, checked, strict=True)):
            failure = event if isinstance(event, Failure) else _refusal(open_to, event["session_id"])
            if failure is not None:
                failure.field = f"{place.format(n)}.{failure.field}"
                outcomes.append(Outcome(one.client_id, failure=failure))
                places.append(None)
                continue
            outcomes.append(None)
            called = (0, one.client_id) if one.client_id is not None else (1, str(n))
            places.append(called)
            assert not isinstance(event, Failure)
            rows.setdefault(called, {**event, column: ctx.principal.id, "id": uuid7(), "version": 1})
        stored = await _store(session, column, ctx.principal.id, rows)
        changed(session, *(events_topic(key) for key in {row["session_id"] for row in rows.values()}))
        if rows:
            changed(session, row_topic(SessionEvent, "*"))
    seen: set[tuple[int, str]] = set()
    found: list[Outcome] = []
    for outcome, named, one in zip(outcomes, places, told, strict=True):
        if outcome is not None or named is None:
            assert outcome is not None
            found.append(outcome)
            continue
        key, new = stored[named]
        found.append(Outcome(one.client_id, key, not new or named in seen))
        seen.add(named)
    return found


def _checked(one: Told, moment: datetime) -> dict[str, Any] | Failure:
    """The columns of an event, or what is wrong with it."""
    try:
        if isinstance(one.session, Failure):
            return one.session
        if one.client_id is not None and not (0 < len(one.client_id) <= 64 and not invisible(one.client_id)):
            raise Invalid("an id of a client has 1 to 64 characters", field="clientId")
        if one.type not in SessionEventType.__members__:
            kinds = [*SessionEventType.__members__]
            raise Invalid(f"no type of events is called {one.type[:64]}", field="type", allowed=kinds)
        for name, text in (("text", one.text), ("context", one.context)):
            if text is not None and (len(text) > LONGEST or "\0" in text):
                raise Invalid(f"at most {LONGEST} characters, and none of them NUL", field=name)
        if one.seq is not None and not 0 <= one.seq <= NUMBERS:
            raise Invalid(f"a number is 0 to {NUMBERS}", field="seq")
        return {
            "session_id": one.session,
            "client_id": one.client_id,
            "type": SessionEventType[one.type],
            "occurred_at": _moment(one.occurred_at, moment),
            "text": one.text,
            "context": one.context,
            "seq": one.seq,
        }
    except Failure as failure:
        return failure


def _moment(text: str, now: datetime) -> datetime:
    """A moment that a device tells by its clock."""
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            raise ValueError
        found = found.astimezone(UTC)
    except (ValueError, OverflowError):
        told = "a moment is a date and time with an offset, such as 2026-01-05T09:00:00Z"
        raise Invalid(told, field="occurredAt") from None
    if not FIRST <= found <= now + AHEAD:
        last = (now + AHEAD).isoformat(timespec="seconds")
        raise Invalid(f"a moment is from {FIRST.isoformat()} to {last}; check the clock", field="occurredAt", to=last)
    return found


async def _open(ctx: Context, session: Any, keys: set[UUID]) -> Mapping[UUID, bool]:
    """Those of the sessions that are seen, and whether one may tell of what happens in them."""
    if not keys:
        return {}
    profile = ctx.principal.profile
    may = allowed((*REPORTING, SUPERADMIN), Session, profile)
    wanted = sa.select(Session.id, may.label("may")).where(
        among(Session.id, "keys", list(keys)), visible(Session, profile)
    )
    return {row.id: bool(row.may) for row in await session.execute(wanted, dict(ctx.principal.parameters))}


def _refusal(open_to: Mapping[UUID, bool], key: UUID) -> Failure | None:
    if key not in open_to:
        return NotFound("no Session with this id", field="session")
    return None if open_to[key] else Forbidden("you may not tell of events of this session", field="session")


async def _store(
    session: Any, column: str, teller: UUID, rows: Mapping[tuple[int, str], dict[str, Any]]
) -> dict[tuple[int, str], tuple[UUID, bool]]:
    """Store events in the order of their names, in which two gateways wait for each other; the key of each, and whether
    it is new."""
    if not rows:
        return {}
    because(session, "who tells of events was asked for each session", SessionEvent)
    ordered = [rows[place] for place in sorted(rows)]
    statement = inserting(session, SessionEvent).on_conflict_do_nothing().returning(SessionEvent.id)
    new = set((await session.execute(statement, ordered)).scalars())
    found = {place: (row["id"], True) for place, row in rows.items() if row["id"] in new}
    before = [place[1] for place in rows if place not in found]
    if before:
        known = sa.select(SessionEvent.client_id, SessionEvent.id).where(
            getattr(SessionEvent, column) == teller, SessionEvent.client_id.in_(before)
        )
        found |= {(0, name): (key, False) for name, key in await session.execute(known)}
    return found
