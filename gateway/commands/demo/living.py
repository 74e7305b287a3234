"""The demo's small study that lives: a session under way, an invitation, and devices that tell of what they measure."""

import json
import random
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db import models
from db.engine import moment_of
from db.models import SessionEventType, SessionMemberState, SessionStatus
from db.types import uuid7
from resolvers.accounts.api_keys import new_secret
from resolvers.context import Services
from resolvers.identity.tokens import digest_of
from resolvers.sessions import members
from resolvers.spelling import global_id

NAME, LABEL = "Exercises at home, live", "demo"
PROJECT, DEVICES = "Rehabilitation at home", 2
EVERY = 5.0
"""Seconds between two batches of a device."""
REPORT = "mutation($e:[NewReportedEvent!]!){reportEvents(events:$e){__typename}}"


@dataclass(frozen=True, slots=True)
class Study:
    """The session under way, and the token of each device in it."""

    session: str
    tokens: Sequence[str]


async def begin(services: Services) -> Study | None:
    """Have the session under way, and new tokens for its devices. None where the demo's project is gone."""
    async with services.database.write(as_system="the demo fills its own database") as session:
        project = await session.scalar(sa.select(models.Project).where(models.Project.name == PROJECT))
        if project is None or project.deleted_at is not None:
            return None
        linked = sa.select(models.ProjectDevice.device_id).where(models.ProjectDevice.project_id == project.id)
        wanted = sa.select(models.Device).where(models.Device.id.in_(linked), models.Device.enabled)
        devices = list(await session.scalars(wanted.order_by(models.Device.name).limit(DEVICES)))
        held = await _session(session, project.id, devices)
        if held is None:
            return None
        tokens = [await _token(session, device.id) for device in devices]
        await members.refresh_busy(session, await members.of(session, held))
        return Study(global_id("Session", held), tokens)


async def _session(session: AsyncSession, project: UUID, devices: Sequence[models.Device]) -> UUID | None:
    moment = await moment_of(session)
    going = sa.select(models.Session).where(models.Session.name == NAME, models.Session.deleted_at.is_(None))
    row = await session.scalar(going.where(models.Session.status == SessionStatus.IN_PROGRESS))
    if row is None:
        people = {name: await _user(session, name) for name in ("maria", "tom")}
        kind = sa.select(models.SessionTypeProject.session_type_id).join(models.SessionType).where(
            models.SessionTypeProject.project_id == project, models.SessionType.service_id.is_(None)
        )  # fmt: skip
        type_id = await session.scalar(kind.limit(1))
        participant = await session.scalar(
            sa.select(models.Participant.id).where(models.Participant.project_id == project).limit(1)
        )
        if None in (type_id, participant, *people.values()):
            return None
        row = models.Session(
            id=uuid7(), type_id=type_id, project_id=project, creator_id=people["maria"], name=NAME, starts_at=moment,
            resumed_at=moment, status=SessionStatus.IN_PROGRESS, parameters={"repetitions": 10},
        )  # fmt: skip
        session.add(row)
        await session.flush()
        joined = {"session_id": row.id, "state": SessionMemberState.JOINED}
        session.add_all([
            models.SessionMember(user_id=people["maria"], **joined),
            models.SessionMember(participant_id=participant, **joined),
            *(models.SessionMember(device_id=device.id, **joined) for device in devices),
            models.SessionMember(session_id=row.id, user_id=people["tom"]),
            models.SessionEvent(session_id=row.id, type=SessionEventType["SESSION_START"], occurred_at=moment),
        ])  # fmt: skip
        await session.flush()
    invited = sa.update(models.SessionMember).where(
        models.SessionMember.session_id == row.id,
        models.SessionMember.state.in_((SessionMemberState.INVITED, SessionMemberState.TIMED_OUT)),
    )
    invited = invited.values(state=SessionMemberState.INVITED, expires_at=moment + timedelta(days=1))
    await session.execute(invited.execution_options(synchronize_session=False))
    return row.id


async def _user(session: AsyncSession, name: str) -> UUID | None:
    found: UUID | None = await session.scalar(sa.select(models.User.id).where(models.User.username == name))
    return found


async def _token(session: AsyncSession, device: UUID) -> str:
    """A new token of a device, in place of the one before."""
    of_demo = (models.Credential.device_id == device, models.Credential.label == LABEL)
    await session.execute(sa.delete(models.Credential).where(*of_demo))
    token = new_secret("dt")
    session.add(
        models.Credential(
            device_id=device, kind=models.CredentialKind.STATIC_TOKEN, label=LABEL, algorithm="sha256",
            secret_hash=digest_of(token),
        )
    )  # fmt: skip
    await session.flush()
    return token


def play(study: Study, address: str) -> None:
    """Have the devices tell of what they measure, as devices do: over HTTP, until the process ends."""
    for number, token in enumerate(study.tokens):
        device = threading.Thread(target=_device, args=(study.session, token, address, number), daemon=True)
        device.start()


def _device(session: str, token: str, address: str, number: int) -> None:
    """A device: each time a batch, which is sent again when it did not come through."""
    count, waiting, pause = 0, [], threading.Event()
    run = uuid7().hex[:12]
    while not pause.wait(EVERY):
        moment = datetime.now(UTC).isoformat()
        pulse = 70 + 10 * number + random.randint(-4, 4)  # noqa: S311
        waiting.append(
            {
                "session": session, "clientId": f"{run}-{count}", "seq": str(count + 1), "type": "DEVICE_EVENT",
                "occurredAt": moment, "text": f"pulse {pulse}", "context": "wrist",
            }
        )  # fmt: skip
        count += 1
        if _sent({"query": REPORT, "variables": {"e": waiting[:100]}}, token, address):
            del waiting[:100]
        del waiting[:-1_000]


def _sent(body: Any, token: str, address: str) -> bool:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    asked = urllib.request.Request(address, json.dumps(body).encode(), headers)  # noqa: S310
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310
            return "errors" not in json.load(answer)
    except (OSError, ValueError):
        return False
