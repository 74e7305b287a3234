"""The states of sessions and of their members, as tables: each cell is tried."""

from datetime import UTC, datetime, timedelta

import pytest

from db.models import Session, SessionMember, SessionMemberState, SessionStatus
from resolvers.failures import WrongState
from resolvers.sessions.states import Step, Turn, move, turn

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

MOVES = """
              START        STOP       CANCEL     TERMINATE
NOT_STARTED   IN_PROGRESS  -          CANCELLED  -
IN_PROGRESS   -            COMPLETED  -          TERMINATED
COMPLETED     IN_PROGRESS  -          -          -
CANCELLED     -            -          -          -
TERMINATED    IN_PROGRESS  -          -          -
"""

TURNS = """
            ASK      SKIP   ACCEPT   REJECT    BUSY   TIME_OUT   LEAVE
INVITED     INVITED  BUSY   JOINED   REFUSED   BUSY   TIMED_OUT  -
JOINED      -        -      -        -         -      -          LEFT
BUSY        INVITED  BUSY   JOINED   REFUSED   -      -          -
REFUSED     INVITED  BUSY   JOINED   -         -      -          -
TIMED_OUT   INVITED  BUSY   JOINED   REFUSED   BUSY   -          -
LEFT        INVITED  BUSY   JOINED   -         -      -          -
"""


def cells(table: str) -> list[tuple[str, str, str | None]]:
    header, *lines = (line.split() for line in table.strip().splitlines())
    return [
        (row, column, None if cell == "-" else cell)
        for row, *rest in lines
        for column, cell in zip(header, rest, strict=True)
    ]


def test_the_tables_name_all_there_is() -> None:
    for table, states, steps in ((MOVES, SessionStatus, Step), (TURNS, SessionMemberState, Turn)):
        found = cells(table)
        assert {(row, column) for row, column, _ in found} == {
            (a, b) for a in states.__members__ for b in steps.__members__
        }


@pytest.mark.parametrize(("status", "step", "then"), cells(MOVES))
def test_a_session_moves_only_as_the_table_says(status: str, step: str, then: str | None) -> None:
    row = Session(status=SessionStatus[status], starts_at=NOW - timedelta(hours=1), duration_seconds=60)
    row.resumed_at = NOW - timedelta(seconds=90) if status == "IN_PROGRESS" else None
    if then is None:
        with pytest.raises(WrongState) as refused:
            move(row, Step[step], NOW)
        assert refused.value.details["state"] == status
        assert (row.status.name, row.duration_seconds) == (status, 60)
    else:
        move(row, Step[step], NOW)
        assert row.status.name == then
        assert row.resumed_at == (NOW if then == "IN_PROGRESS" else None)
        assert row.duration_seconds == (150 if status == "IN_PROGRESS" else 60)


@pytest.mark.parametrize(("state", "what", "then"), cells(TURNS))
def test_a_member_turns_only_as_the_table_says(state: str, what: str, then: str | None) -> None:
    member = SessionMember(state=SessionMemberState[state], expires_at=NOW)
    if then is None:
        with pytest.raises(WrongState) as refused:
            turn(member, Turn[what], NOW)
        assert refused.value.details["state"] == member.state.name == state
    else:
        assert turn(member, Turn[what], NOW) == (then != state)
        assert member.state.name == then
        assert member.expires_at == (NOW if what == "ASK" else None)
