"""The states of sessions and of their members. Every change of one goes through `move` or `turn`."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum

from db.models import Session, SessionMember, SessionMemberState, SessionStatus
from resolvers.failures import WrongState

_S, _M = SessionStatus, SessionMemberState


class Step(Enum):
    """What is done to a session."""

    START = "start"
    STOP = "stop"
    CANCEL = "cancel"
    TERMINATE = "terminate"


class Turn(Enum):
    """What is done to a member, or by one."""

    ASK = "ask"
    SKIP = "skip"
    ACCEPT = "accept"
    REJECT = "reject"
    BUSY = "busy"
    TIME_OUT = "time out"
    LEAVE = "leave"


MOVES: Mapping[tuple[SessionStatus, Step], SessionStatus] = {
    (_S.NOT_STARTED, Step.START): _S.IN_PROGRESS,
    (_S.NOT_STARTED, Step.CANCEL): _S.CANCELLED,
    (_S.IN_PROGRESS, Step.STOP): _S.COMPLETED,
    (_S.IN_PROGRESS, Step.TERMINATE): _S.TERMINATED,
    (_S.COMPLETED, Step.START): _S.IN_PROGRESS,
    (_S.TERMINATED, Step.START): _S.IN_PROGRESS,
}
"""What a session becomes by a step; STATE for a step that is not named. One that ended may be taken up again."""

TURNS: Mapping[tuple[SessionMemberState, Turn], SessionMemberState] = {
    (_M.INVITED, Turn.ASK): _M.INVITED,
    (_M.INVITED, Turn.SKIP): _M.BUSY,
    (_M.INVITED, Turn.ACCEPT): _M.JOINED,
    (_M.INVITED, Turn.REJECT): _M.REFUSED,
    (_M.INVITED, Turn.BUSY): _M.BUSY,
    (_M.INVITED, Turn.TIME_OUT): _M.TIMED_OUT,
    (_M.JOINED, Turn.LEAVE): _M.LEFT,
    (_M.BUSY, Turn.ASK): _M.INVITED,
    (_M.BUSY, Turn.SKIP): _M.BUSY,
    (_M.BUSY, Turn.ACCEPT): _M.JOINED,
    (_M.BUSY, Turn.REJECT): _M.REFUSED,
    (_M.REFUSED, Turn.ASK): _M.INVITED,
    (_M.REFUSED, Turn.SKIP): _M.BUSY,
    (_M.REFUSED, Turn.ACCEPT): _M.JOINED,
    (_M.TIMED_OUT, Turn.ASK): _M.INVITED,
    (_M.TIMED_OUT, Turn.SKIP): _M.BUSY,
    (_M.TIMED_OUT, Turn.ACCEPT): _M.JOINED,
    (_M.TIMED_OUT, Turn.REJECT): _M.REFUSED,
    (_M.TIMED_OUT, Turn.BUSY): _M.BUSY,
    (_M.LEFT, Turn.ASK): _M.INVITED,
    (_M.LEFT, Turn.SKIP): _M.BUSY,
    (_M.LEFT, Turn.ACCEPT): _M.JOINED,
}
"""What a member becomes by a turn; STATE for a turn that is not named. SKIP is to be busy elsewhere when asked. Who
refused, left, or answered too late may still come."""


LONGEST = timedelta(days=366)
"""The longest session."""
_SECOND = timedelta(seconds=1)


def move(row: Session, step: Step, moment: datetime) -> None:
    """Take a session, locked by the transaction, a step further. The time under way is added to its duration when it
    ends. STATE for a step that it can't take now."""
    status = MOVES.get((row.status, step))
    if status is None:
        told = f"a session that is {row.status.name} can't be {_DONE[step]}"
        raise WrongState(told, field="id", state=row.status.name)
    if step is Step.START:
        row.starts_at = min(row.starts_at, moment) if row.status is not _S.NOT_STARTED else moment
        row.ends_at = None if row.ends_at is not None and row.ends_at <= moment else row.ends_at
        row.resumed_at = moment
    else:
        since = row.resumed_at
        lasted = 0 if since is None else max(0, round((moment - since) / _SECOND))
        row.duration_seconds = min(row.duration_seconds + lasted, LONGEST // _SECOND)
        row.resumed_at = None
        if step is not Step.CANCEL:
            row.ends_at = max(moment, row.starts_at)
    row.status = status


_DONE = {
    Step.START: "started",
    Step.STOP: "stopped",
    Step.CANCEL: "cancelled",
    Step.TERMINATE: "terminated",
}


def turn(member: SessionMember, what: Turn, expires_at: datetime | None = None) -> bool:
    """Bring a member, locked by the transaction, into the next state; whether that is another one. `expires_at` is
    until when who is asked may answer. STATE for what can't be now."""
    state = TURNS.get((member.state, what))
    if state is None:
        raise WrongState(f"a member that is {member.state.name} can't {what.value}", state=member.state.name)
    before, member.state = member.state, state
    member.expires_at = expires_at if what is Turn.ASK else None
    return before is not state
