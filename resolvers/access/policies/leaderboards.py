"""Policies of leaderboards, their builds and entries."""

from collections.abc import Sequence

from db.engine import moment_of
from db.models import ExternalEntry, Leaderboard, LeaderboardBuild, LeaderboardEntry, LeaderboardRequest, Phase
from db.written import because
from jobs.scores.columns import Audience, Column, ColumnError, read
from jobs.scores.values import DEPTH, finite
from resolvers.access import board_requests
from resolvers.access.challenge_rules import (
    BOARD_ORGANISER,
    BUILD_ORGANISER,
    ON_SHOWN_BOARD,
    ORGANISER,
    OWN_ENTRY,
    SHOWN_BOARD,
)
from resolvers.access.policy import Change, Policy, Rules
from resolvers.access.rules import SUPERADMIN
from resolvers.failures import Invalid

CHANGED = "it was changed"
"""The reason to build a leaderboard again that now shows something else."""
_ORGANISING: Rules = (ORGANISER, SUPERADMIN)
_OF_BOARD: Rules = (BOARD_ORGANISER, SUPERADMIN)


async def _validate(change: Change) -> None:
    board = change.row
    if change.going:
        return
    try:
        columns = read(board.columns)
    except ColumnError as error:
        raise Invalid(str(error), field=".".join(filter(None, ("input.columns", error.path)))) from None
    keys = [column.key for column in columns]
    for field, wanted in (("rankBy", [board.rank_by]), ("ties", board.ties)):
        for n, key in enumerate(key for key in wanted if key is not None):
            if key not in keys:
                at = field if field == "rankBy" else f"{field}.{n}"
                raise Invalid(f"there is no column with the key {key}", field=f"input.{at}", allowed=keys)
    if board.ties and board.rank_by is None:
        raise Invalid("ties are broken in a ranking: name rankBy", field="input.ties")
    await _expect_told(change, columns)
    if board.phase_id is not None:
        phase = await change.session.get_one(Phase, board.phase_id)
        if phase.challenge_id != board.challenge_id:
            raise Invalid("the phase is of another challenge", field="input.phase")


async def _expect_told(change: Change, columns: Sequence[Column]) -> None:
    """INVALID for a ranking that tells everyone the order of scores which are not for everyone yet."""
    board = change.row
    shown_at = board.reveal_at
    if board.hidden or (shown_at is not None and shown_at <= await moment_of(change.session)):
        return
    kept = {column.key for column in columns if column.audience is not Audience.ALL and not column.hidden}
    for field, wanted in (("rankBy", [board.rank_by]), ("ties", board.ties)):
        if any(key in kept for key in wanted):
            told = "places would tell the order of scores that are not for everyone; hide the leaderboard till then"
            raise Invalid(told, field=f"input.{field}")


async def _then(change: Change) -> None:
    """Whatever changes of a leaderboard, it is built again; a column for organisers alone is not even named to
    others."""
    if change.going:
        return
    session, board = change.session, change.row
    because(session, "a leaderboard keeps what all may know of its columns", Leaderboard)
    columns = read(board.columns)
    shown = [c.description() for c in columns if not c.hidden and c.audience is not Audience.ORGANISERS]
    board.columns, board.public_columns = [column.description() for column in columns], shown
    await session.flush()
    await board_requests.ask_for(session, [board.id], CHANGED)


async def _validate_external(change: Change) -> None:
    entry = change.row
    if change.going:
        return
    try:
        _, lost = finite(entry.data)
    except ValueError:
        raise Invalid(f"data are at most {DEPTH} levels deep", field="input.data") from None
    if lost:
        raise Invalid("no double holds this number", field=f"input.data.{lost[0]}")


async def _then_external(change: Change) -> None:
    await board_requests.ask_for(change.session, [change.row.leaderboard_id], "an external entry was changed")


POLICIES = (
    Policy(
        model=Leaderboard,
        through=Leaderboard.challenge,
        read=(SHOWN_BOARD, ORGANISER),
        fields=dict.fromkeys(("sorting_key", "external_entries"), _ORGANISING),
        create=_ORGANISING,
        update=_ORGANISING,
        delete=_ORGANISING,
        goes_with=(Leaderboard.challenge_id,),
        stays=(Leaderboard.phase_id, Leaderboard.build_id),
        validate=_validate,
        then=_then,
    ),
    Policy(model=LeaderboardBuild, through=LeaderboardBuild.leaderboard, goes_with=(LeaderboardBuild.leaderboard_id,)),
    Policy(model=LeaderboardRequest, goes_with=(LeaderboardRequest.leaderboard_id,)),
    Policy(
        model=ExternalEntry,
        read=(BOARD_ORGANISER,),
        create=_OF_BOARD,
        update=_OF_BOARD,
        delete=_OF_BOARD,
        goes_with=(ExternalEntry.leaderboard_id,),
        validate=_validate_external,
        then=_then_external,
    ),
    Policy(
        model=LeaderboardEntry,
        read=(ON_SHOWN_BOARD, OWN_ENTRY, BUILD_ORGANISER),
        goes_with=(LeaderboardEntry.leaderboard_id, LeaderboardEntry.build_id),
        stays=(
            LeaderboardEntry.submission_id,
            LeaderboardEntry.user_id,
            LeaderboardEntry.team_id,
        ),
    ),
)
