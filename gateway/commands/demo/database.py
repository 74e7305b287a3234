"""The demo's database, filled when it is empty, and its signing key."""

import secrets
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from db import files, models
from db.types import uuid7
from gateway.commands.demo.challenges import fill_challenges, fill_living
from gateway.commands.demo.files import fill_files
from gateway.commands.demo.organisation import ACCOUNTS, PEOPLE, fill_organisation
from gateway.commands.demo.sessions import fill_sessions
from gateway.commands.demo.simulations import compute, submit
from gateway.commands.demo.specs import fill_specs
from resolvers.accounts.sign_in import create_user
from resolvers.context import Services


async def fill(services: Services, tell: Callable[[str], None]) -> bool:
    """Fill an empty database with the demonstration data; returns whether it was empty."""
    if await services.database.rows(sa.select(models.User.id).limit(1)):
        return False
    tell("accounts and projects")
    hashes = [await services.identity.passwords.hash(account.password) for account in ACCOUNTS]
    async with services.database.write(as_system="the demo fills its own database") as session:
        _, maria, tom = [
            await create_user(session, account.username, hashed, email=f"{account.username}@torana.example", **columns)
            for account, hashed, columns in zip(ACCOUNTS, hashes, PEOPLE, strict=True)
        ]
        projects = await fill_organisation(session, maria.id, tom.id)
        organisers = models.UserGroup(id=uuid7(), name="Organisers of spoken digits")
        session.add(organisers)
        await session.flush()
        session.add(models.UserGroupMember(user_group_id=organisers.id, user_id=maria.id))
        tell("sessions and their events")
        await fill_sessions(session, projects, [maria.id, tom.id])
        tell("challenges and leaderboards")
        await fill_challenges(session)
        tell("specs and their versions")
        await fill_specs(session, [maria.id, tom.id])
    tell("a challenge that takes submissions")
    await fill_living(services, organisers.id)
    tell("a simulation of a proton beam, computed now")
    await compute(services, tom.id, projects[0], tell)
    tell("a file, and an archive that will be made once the gateway is up")
    await fill_files(services, tom.id, projects[0])
    tell("a simulation that will run once the gateway is up")
    await submit(services, maria.id, projects[0], "Proton beam, 4 tasks", 4_000, 4)
    return True


def own_keys(data_dir: Path) -> str:
    """The demo's own signing key, made at its first start and kept beside its database."""
    file = data_dir / "secret-keys"
    if not file.exists():
        files.made(data_dir)
        file.touch(mode=0o600)
        file.write_text(f"demo:{secrets.token_urlsafe(48)}")
    return file.read_text().strip()
