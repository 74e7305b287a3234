"""Find the principal for the credentials of a request or a socket, and look it up again while the socket is open."""

import asyncio
import base64
import binascii
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from db.outages import Unavailable
from gateway.protocol import client_certificates
from resolvers.accounts import external_identity
from resolvers.context import Services
from resolvers.failures import Code, Failure, TokenExpired, Unauthenticated
from resolvers.feed import RIGHTS, disconnected_topic, renewed_topic
from resolvers.identity.principal import ANONYMOUS, Kind, Principal, TaskClaim
from resolvers.identity.tokens import Secret

RECHECK = 120.0
"""Seconds after which the principal of a stream or socket is looked up again, even without news about it."""
AWAY = 1.0
"""Seconds between two look-ups while the database is away."""
UNHEARD = 2.0
"""The same where changes of other processes, such as the command line, are not heard of: on SQLite."""


CHALLENGES = {
    Code.UNAUTHENTICATED: "Bearer",
    Code.TOKEN_EXPIRED: 'Bearer error="invalid_token", error_description="the token has expired"',
}
"""The `WWW-Authenticate` headers of RFC 6750, section 3."""


async def presented(services: Services, authorization: str | None) -> tuple[Principal, Failure | None]:
    """The principal of an `Authorization` header, and the failure of a bad one: operations that are open to anyone run
    all the same."""
    try:
        return await authenticate(services, authorization), None
    except Failure as failure:
        return ANONYMOUS, failure


async def authenticate(services: Services, authorization: str | None) -> Principal:
    """The principal of an `Authorization` header; anonymous without one. Raises TOKEN_EXPIRED for a token that expired
    and can be refreshed, UNAUTHENTICATED for any other bad one."""
    if not authorization:
        return ANONYMOUS
    principal = await _presented(services, authorization)
    services.identity.presence.heard(principal)
    return principal


async def _presented(services: Services, authorization: str) -> Principal:
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme == client_certificates.SCHEME:
        return await _known(services, client_certificates.proved(services.identity.keys, token))
    if scheme.lower() == "basic":
        return await _known(services, _pair(services, token))
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("the Authorization header must be: Bearer <access token>")
    identity = services.identity
    if (external := await identity.issuers.verify(token, partial(external_identity.learn, services))) is not None:
        return await identity.principals.of(external)
    said = identity.keys.verify(token)
    if isinstance(said, TaskClaim):
        return Principal(kind=Kind.WORKER, task_claim=said)
    return await (_known(services, said) if isinstance(said, Secret) else identity.principals.of(said))


async def _known(services: Services, said: Secret) -> Principal:
    """The principal of a key or token. Its use is noted in the background."""
    principal = await services.identity.principals.of(said)
    assert principal.credential is not None
    services.identity.uses.note(principal.credential, principal.kind)
    return principal


def _pair(services: Services, encoded: str) -> Secret:
    """An API key in the header's other form, RFC 7617: the public key as the user, the secret as the password. A token
    of specs has any user, such as `__token__`."""
    try:
        public_key, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        public_key = secret = ""
    said = services.identity.keys.verify(secret) if public_key and secret else None
    if not isinstance(said, Secret):
        raise Unauthenticated("the Authorization header must be: Basic <base64 of the public key, a colon, the secret>")
    return said if said.kind is Kind.SPEC_TOKEN else replace(said, public_key=public_key)


def _ended(principal: Principal) -> Failure:
    """The failure when a credential ends. An access token, ours or a provider's, can be refreshed; a key, a static
    token and a link can't."""
    if principal.session is None and principal.credential is not None:
        return Unauthenticated("the key or token has ended")
    return TokenExpired("the token has expired; go on with a fresh one")


async def keep(
    services: Services, authorization: str | None, principal: Principal, renewed: Callable[[Principal], None]
) -> None:
    """Look up the principal of a long connection again, as time passes and things change, and call `renewed` with it.

    Raises TOKEN_EXPIRED when its token ends, UNAUTHENTICATED when the credential is no longer valid; never ends for
    anonymous.
    """
    recheck = min(RECHECK, UNHEARD) if services.database.dialect == "sqlite" else RECHECK
    ending = disconnected_topic(principal.id)
    topics = (*principal.topics, RIGHTS, ending)
    with services.identity.presence.there(principal), services.feed.subscription(*topics) as changes:
        away = False
        while True:
            pause: float | None = None if principal.kind is Kind.ANONYMOUS else min(recheck, AWAY) if away else recheck
            if principal.expires_at is not None:
                left = (principal.expires_at - datetime.now(UTC)).total_seconds()
                if left <= 0:
                    raise _ended(principal)
                pause = min(AWAY if away else recheck, left + 0.01)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    if ending in await changes.next() and principal.id is not None:
                        raise Unauthenticated("an administrator ended this connection")
            try:
                principal = await authenticate(services, authorization)
            except Unavailable:  # nothing can be read either; what was missed is looked at when it is back
                away = True
                continue
            away = False
            renewed(principal)
            services.feed.publish([renewed_topic(principal.id)])
