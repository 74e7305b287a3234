"""Rows that differ in every way that lists are asked for: nulls, ties, texts in other forms, nights of clock changes.

They stand beside the rows of the matrix: here owen's, in tom's project; there root's, in the hidden one. So the matrix says
who sees them. Some simulations are in no project: their owner alone sees those.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from unicodedata import normalize
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db import models as m
from db.types import uuid7
from tests.support.organisation import Place

SINCE = datetime(2031, 1, 1, tzinfo=UTC)
"""All of these rows, and no others, were created from then on."""
NIGHTS = (
    datetime(2026, 10, 25, 1, tzinfo=UTC),  # Zurich, back
    datetime(2026, 3, 29, 1, tzinfo=UTC),  # Zurich, forth
    datetime(2026, 11, 1, 5, tzinfo=UTC),  # Havana: midnight comes twice
    datetime(2026, 3, 8, 5, tzinfo=UTC),  # Havana: there is no midnight
    datetime(2026, 12, 31, 18, 30, tzinfo=UTC),  # Kolkata: the new year
)
TEXTS = (
    "Proton beam", "proton BEAM", "Ähre", normalize("NFD", "Ähre"), "ahre", "Straße", "STRASSE", "100%", "a_b", "axb",
    "x/y", "İstanbul", "  two  blanks ", "Łódź ŻÓŁW", "\N{CASTLE} castle", "z", "Z", "Ziel 1", "Ziel-2", "'; --", '"q"',
)  # fmt: skip
HERE, THERE = 30, 12


class Diverse:
    """Makes the rows, the same ones for the same seed."""

    def __init__(self, session: AsyncSession, seed: int = 1) -> None:
        self._session = session
        self._random = Random(seed)
        self._number = 0

    async def make(self, place: Place, owner: UUID, kind: UUID, type_id: UUID, number: int) -> None:
        one = self._random.choice
        groups = [self._new(m.ParticipantGroup, project_id=place.project, name=one(TEXTS)) for _ in range(number // 6)]
        held = [
            self._new(
                m.Session, project_id=place.project, creator_id=owner, type_id=kind, name=one(TEXTS),
                starts_at=self._moment(), duration_seconds=one((0, 60, 3600)), status=one([*m.SessionStatus]),
                comments=one((None, "x")),
            )
            for _ in range(number // 2)
        ]  # fmt: skip
        devices = [
            self._new(
                m.Device, name=one(TEXTS), type_id=type_id, enabled=one((True, False)),
                onlineable=one((True, False)), last_online_at=self._perhaps(self._moment),
            )
            for _ in range(number // 3)
        ]  # fmt: skip
        simulations = [
            self._new(
                m.Simulation, user_id=owner, project_id=one((place.project,) * 5 + (None,)), title=one(TEXTS),
                sim_type=one([*m.SimulationType]), input_type=one([*m.InputType]),
            )
            for _ in range(number)
        ]  # fmt: skip
        await self._session.flush()
        for _ in range(number):
            self._new(
                m.Participant, project_id=place.project, group_id=self._perhaps(lambda: one(groups).id), name=one(TEXTS),
                username=self._perhaps(lambda: f"{one(('anna', 'bo', 'İx'))}{self._number}"), enabled=one((True, False)),
                email=self._perhaps(lambda: f"{one(('anna', 'bo'))}{self._number}@x.example"),
                login_enabled=one((True, False)), last_online_at=self._perhaps(self._moment),
            )  # fmt: skip
        for one_held in held:
            for _ in range(self._random.randrange(4)):
                self._new(
                    m.SessionEvent, session_id=one_held.id, type=one([*m.SessionEventType][:4]),
                    occurred_at=self._moment(), text=one((None, *TEXTS)),
                )  # fmt: skip
        for device in devices:
            self._session.add(m.SiteDevice(site_id=place.site, device_id=device.id))
            self._session.add(m.ProjectDevice(project_id=place.project, device_id=device.id))
        for simulation in simulations:
            simulation.session_id = self._perhaps(lambda: one(held).id)
        await self._session.flush()
        await self._jobs(simulations, owner)

    async def _jobs(self, simulations: Sequence[Any], owner: UUID) -> None:
        one, jobs = self._random.choice, []
        for simulation in simulations:
            number = self._random.randrange(3)
            for attempt in range(1, number + 1):
                over = attempt < number or one((True, False))
                state = one((m.JobState.FAILED, m.JobState.COMPLETED, m.JobState.CANCELED))
                jobs.append(
                    self._new(
                        m.Job, simulation_id=simulation.id, project_id=simulation.project_id, owner_user_id=owner, attempt=attempt, title=simulation.title,
                        kind=m.JobKind.SIMULATION, key=f"diverse-{self._number:05}-{one(TEXTS)}",
                        state=state if over else m.JobState.RUNNING, progress=one((0.0, 0.25, 0.5, 1.0)),
                        submitted_at=self._moment(), ended_at=self._moment() if over else None,
                        started_at=self._perhaps(self._moment), estimated_seconds=one((None, 0, 10, 3600)),
                    )
                )  # fmt: skip
        await self._session.flush()
        for job in jobs:
            for ordinal in range(1, 1 + self._random.randrange(4)):
                requested = one((1, 1000, 2**40))
                self._new(
                    m.Task, job_id=job.id, ordinal=ordinal, requested=requested, done=one((0, requested)),
                    state=one([*m.JobState]), ended_at=self._perhaps(self._moment), attempt=one((0, 1, 2)),
                )  # fmt: skip
        await self._session.flush()

    def _new(self, model: Any, **values: Any) -> Any:
        self._number += 1
        created = SINCE + timedelta(hours=self._random.randrange(2_000))  # some at the same time
        row = model(id=uuid7(), created_at=created, updated_at=created, **values)
        self._session.add(row)
        return row

    def _moment(self) -> datetime:
        return self._random.choice(NIGHTS) + timedelta(minutes=15 * self._random.randrange(-16, 16), seconds=7)

    def _perhaps(self, made: Any) -> Any:
        return None if self._random.random() < 0.3 else made()
