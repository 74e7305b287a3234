"""The credentials of a request, or of a socket, make its principal."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from resolvers.context import Services
from resolvers.failures import Unauthenticated
from resolvers.feed import user_topic
from resolvers.principal import ANONYMOUS, Errand, Kind, Principal

RECHECK = 120.0
"""Seconds after which the principal of a stream or socket is looked up again, even if nothing is heard of it."""


async def authenticate(services: Services, authorization: str | None) -> Principal:
    """The principal of an `Authorization` header; anonymous without one, UNAUTHENTICATED for one that is no good."""
    if not authorization:
        return ANONYMOUS
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("the Authorization header must be: Bearer <access token>")
    said = services.keys.verify(token.strip())
    if isinstance(said, Errand):
        return Principal(kind=Kind.WORKER, errand=said)
    return await services.principals.of(said)


async def keep(
    services: Services, authorization: str | None, principal: Principal, renewed: Callable[[Principal], None]
) -> None:
    """Look up again, as time passes and things change, who a long connection is of, and tell `renewed`.

    Raises UNAUTHENTICATED when it is of nobody any more; never ends for anonymous.
    """
    with services.feed.subscription(user_topic(principal.id)) as changes:
        while True:
            pause: float | None = None if principal.kind is Kind.ANONYMOUS else RECHECK
            if principal.expires_at is not None:
                left = (principal.expires_at - datetime.now(UTC)).total_seconds()
                if left <= 0:
                    raise Unauthenticated("the token has expired")
                pause = min(RECHECK, left + 0.01)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await changes.next()
            principal = await authenticate(services, authorization)
            renewed(principal)
