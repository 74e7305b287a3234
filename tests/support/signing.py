"""What the tests of signing in ask, and what they read from mails."""

import re
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from db import models
from db.engine import changed
from gateway.protocol.authentication import authenticate
from resolvers.feed import principal_topic
from resolvers.identity.principal import Principal
from tests.support.platforms import Platform
from tests.support.world import PASSWORD

TOKENS = "... on Tokens { accessToken refreshToken duties viewer { username } }"
NEEDED = "... on TwoFactorNeeded { method ticket expiresIn }"
PROBLEM = "... on Problem { code message field details }"
LOG_IN = f"""mutation($u: String!, $p: String!, $c: String) {{
  r: logIn(username: $u, password: $p, code: $c) {{ __typename {TOKENS} {NEEDED} {PROBLEM} }} }}"""
COMPLETE = f"""mutation($t: String!, $c: String!) {{
  r: completeTwoFactor(ticket: $t, code: $c) {{ __typename {TOKENS} {PROBLEM} }} }}"""
REFRESH = f"mutation($t: String!) {{ r: refresh(refreshToken: $t) {{ __typename {TOKENS} {PROBLEM} }} }}"


async def ask(platform: Platform, query: str, as_: str | Principal | None = None, **variables: Any) -> Any:
    """The one field `r` of an operation."""
    return (await platform.ask(query, as_, **variables))["r"]


async def log_in(platform: Platform, username: str = "tom", password: str = PASSWORD, code: str | None = None) -> Any:
    return await ask(platform, LOG_IN, u=username, p=password, c=code)


async def signed_in(platform: Platform, username: str = "tom", password: str = PASSWORD) -> Principal:
    """The principal of a fresh login session."""
    tokens = await log_in(platform, username, password)
    return await principal(platform, tokens)


async def principal(platform: Platform, tokens: Any) -> Principal:
    return await authenticate(platform.services, f"Bearer {tokens['accessToken']}")


async def do(platform: Platform, mutation: str, as_: str | Principal | None = None, **variables: Any) -> Any:
    """A mutation of texts by its name: `closeSession(id: $id)`; what it gives, without looking into it."""
    kinds = {"id": "ID!", "user": "ID!", "participant": "ID!", "method": "TwoFactor!", "input": "NewAccount!"}
    given = ", ".join(f"${name}: {kinds.get(name, 'String!')}" for name in variables)
    more = {
        "confirmTwoFactor": "... on RecoveryCodes { codes }",
        "newRecoveryCodes": "... on RecoveryCodes { codes }",
        "setUpTwoFactor": "... on TwoFactorSetup { method uri key }",
        "signUp": "... on MailSent { to }",
        "resendVerification": "... on MailSent { to }",
        "requestPasswordReset": "... on MailSent { to }",
        "closeSession": "... on SessionsClosed { count }",
        "closeOtherSessions": "... on SessionsClosed { count }",
        "closeSessions": "... on SessionsClosed { count }",
        "logInParticipant": "... on Tokens { accessToken refreshToken participant { name } viewer { id } }",
    }.get(mutation, "")
    arguments = ", ".join(f"{name}: ${name}" for name in variables)
    head = f"mutation({given})" if given else "mutation"
    call = f"{mutation}({arguments})" if arguments else mutation
    return await ask(platform, f"{head} {{ r: {call} {{ __typename {more} {PROBLEM} }} }}", as_, **variables)


async def mails(platform: Platform, template: str | None = None) -> list[models.Notification]:
    """What was put into the outbox, by time."""
    async with platform.services.database.write(as_system="test") as session:
        found = sa.select(models.Notification).order_by(models.Notification.id)
        rows = (await session.scalars(found)).all()
        return [row for row in rows if template in (None, row.template_key)]


async def token_in(platform: Platform, template: str) -> str:
    """The token of the link that was mailed last."""
    found = re.search(r"#token=([\w-]+)", (await mails(platform, template))[-1].text)
    assert found is not None
    return found[1]


async def change(platform: Platform, model: Any, where: Any, **values: Any) -> None:
    """Change rows past the gateway."""
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(sa.update(model).where(where).values(**values))


async def change_user(platform: Platform, user: UUID, **values: Any) -> None:
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(sa.update(models.User).where(models.User.id == user).values(**values))
        changed(session, principal_topic(user))


async def audited(platform: Platform) -> list[str]:
    """The actions on record, by time."""
    rows = await platform.services.database.rows(sa.select(models.AuditEvent.action).order_by(models.AuditEvent.id))
    return [row.action for row in rows]


async def user_of(platform: Platform, key: UUID) -> Any:
    return (await platform.services.database.rows(sa.select(*models.User.__table__.c).where(models.User.id == key)))[0]
