"""Policies of challenges, their phases, and who takes part in them."""

import re
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from db.models import (
    Challenge,
    Evaluator,
    Phase,
    Registration,
    RegistrationMode,
    RegistrationState,
    Site,
    Team,
    TeamMember,
)
from db.written import because
from resolvers.access.challenge_rules import (
    ONCE_PUBLISHED,
    ORGANISER,
    ORGANISES,
    TEAM_MEMBER,
)
from resolvers.access.memberships import put_out
from resolvers.access.policy import Change, Policy, Rules
from resolvers.access.rules import ANY_USER, OWNER, SITE_ADMIN, SUPERADMIN
from resolvers.failures import Invalid, WrongState

_ADDRESS = re.compile(r"https?://[^\s\"'<>\\]{1,1990}")
TEAM = 100
"""The most people of a team."""
FIRST = "main"
"""The name of the phase that a new challenge has."""
_OF_SITE: Rules = (SITE_ADMIN, SUPERADMIN)
_ORGANISING: Rules = (ORGANISER, SUPERADMIN)
_MOST = 1_000_000
_LONGEST = 366 * 86_400


async def _validate(change: Change) -> None:
    challenge = change.row
    if change.going:
        return
    if challenge.end_date is not None and challenge.end_date < challenge.start_date:
        raise Invalid("a challenge ends on its first day, or later", field="input.endDate")
    if challenge.url and not _ADDRESS.fullmatch(challenge.url):
        raise Invalid("an address begins with https:// or http://, and has no blanks and quotes", field="input.url")
    if not 1 <= challenge.team_size <= TEAM:
        raise Invalid(f"a team has 1 to {TEAM} people", field="input.teamSize", allowed=TEAM, value=challenge.team_size)
    if challenge.evaluator_id is not None:
        evaluator = await change.session.get_one(Evaluator, challenge.evaluator_id)
        if evaluator.challenge_id not in (None, challenge.id):
            raise Invalid("the evaluator is of another challenge", field="input.evaluator")
    if not challenge.parallel_phases:
        await _expect_apart(change, challenge, "input.parallelPhases")


async def _then(change: Change) -> None:
    """A new challenge has one phase, which lasts as long as the challenge."""
    if change.new:
        because(change.session, "a new challenge has a phase", Phase)
        change.session.add(Phase(challenge_id=change.row.id, name=FIRST))
        await change.session.flush()


async def _may_end(change: Change) -> None:
    """A refusal stays: whoever was refused would else come back by ending it."""
    row = change.row
    if change.going and row.state is RegistrationState.REFUSED and row.user_id == change.principal.id:
        raise WrongState("your registration was refused; only an organiser ends that", state=row.state.name)


async def _end_registration(change: Change) -> None:
    """Who no longer takes part is in no team, where one must take part to be in one."""
    if not change.going:
        return
    challenge = await change.session.get_one(Challenge, change.row.challenge_id)
    if challenge.registration_mode is not RegistrationMode.NONE or challenge.terms:
        await put_out(change.session, challenge.id, change.row.user_id)


async def _validate_phase(change: Change) -> None:
    phase = change.row
    if change.going:
        return
    if phase.starts_at is not None and phase.ends_at is not None and phase.ends_at <= phase.starts_at:
        raise Invalid("a phase ends after its start", field="input.endsAt")
    for name in ("window_limit", "total_limit", "concurrent_limit"):
        value, shown = getattr(phase, name), "".join(w.capitalize() if n else w for n, w in enumerate(name.split("_")))
        if value is not None and not 1 <= value <= _MOST:
            raise Invalid(f"a limit is 1 to {_MOST:,}, or null for none", field=f"input.{shown}", value=value)
    if not 1 <= phase.window_seconds <= _LONGEST:
        told = f"a window has 1 to {_LONGEST:,} seconds"
        raise Invalid(told, field="input.windowSeconds", allowed=_LONGEST, value=phase.window_seconds)
    challenge = await change.session.get_one(Challenge, phase.challenge_id)
    if not challenge.parallel_phases:
        await _expect_apart(change, challenge, "input.startsAt")


async def _expect_apart(change: Change, challenge: Any, field: str) -> None:
    """INVALID for two phases at one time. A phase without a start or end of its own has the challenge's."""
    wanted = sa.select(Phase).where(Phase.challenge_id == challenge.id).order_by(Phase.ordinal, Phase.id)
    phases = sorted(
        ((_starts(phase), _ends(phase), phase.name) for phase in await change.session.scalars(wanted)),
        key=lambda one: one[:2],
    )
    for (_, end, name), (start, _, other) in pairwise(phases):
        if start < end:
            told = f"the phases {name} and {other} are at one time; set parallelPhases where that is meant"
            raise Invalid(told, field=field)


def _starts(phase: Any) -> datetime:
    found: datetime = phase.starts_at or datetime.min.replace(tzinfo=UTC)
    return found


def _ends(phase: Any) -> datetime:
    found: datetime = phase.ends_at or datetime.max.replace(tzinfo=UTC)
    return found


POLICIES = (
    Policy(
        model=Challenge,
        read=(ONCE_PUBLISHED, ORGANISES),
        fields={"auto_eval": (ORGANISES, SUPERADMIN)},
        made_in=(Site,),
        create=_OF_SITE,
        update=(ORGANISES, SUPERADMIN),
        columns=dict.fromkeys(("site_id", "organisers_id"), _OF_SITE),
        leaving=dict.fromkeys(("site_id", "organisers_id"), _OF_SITE),
        given={},
        delete=_OF_SITE,
        stays=(Challenge.site_id, Challenge.organisers_id, Challenge.evaluator_id),
        validate=_validate,
        then=_then,
        rights=("organisers_id", "site_id"),
        principal=True,
        tokens=(ORGANISES, SUPERADMIN),
        contradiction="a team has at least one person",
    ),
    Policy(
        model=Phase,
        through=Phase.challenge,
        read=(ONCE_PUBLISHED, ORGANISER),
        create=_ORGANISING,
        update=_ORGANISING,
        delete=_ORGANISING,
        goes_with=(Phase.challenge_id,),
        validate=_validate_phase,
        contradiction="a phase ends after its start, and its limits are at least 1",
    ),
    Policy(
        model=Registration,
        read=(OWNER, ORGANISER),
        create=(ANY_USER,),
        delete=(OWNER, ORGANISER, SUPERADMIN),
        goes_with=(Registration.challenge_id, Registration.user_id),
        validate=_may_end,
        then=_end_registration,
    ),
    Policy(
        model=Team,
        read=(TEAM_MEMBER, ORGANISER),
        create=(ANY_USER,),
        goes_with=(Team.challenge_id,),
        stays=(Team.captain_id,),
    ),
    Policy(
        model=TeamMember,
        through=TeamMember.team,
        goes_with=(TeamMember.team_id, TeamMember.challenge_id, TeamMember.user_id),
    ),
)
