"""All identity providers of the settings, and a cache of the access tokens of theirs that were verified lately."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx2
import structlog

from resolvers.failures import Away, TokenExpired
from resolvers.identity.oidc import SECONDS, Issuer, parts_of
from resolvers.identity.providers import External, Provider, Unreachable

log = structlog.get_logger("torana.oidc")

MOST, CHECKED = 10_000, 300.0
"""The number of tokens whose signature is not checked again, and for how many seconds."""

Learn = Callable[[Provider, Mapping[str, Any]], Awaitable[None]]


class Issuers:
    """The identity providers of the settings."""

    def __init__(self, providers: Sequence[Provider] = ()) -> None:
        self._client = httpx2.AsyncClient(follow_redirects=False, timeout=SECONDS) if providers else None
        self._named: dict[str, Issuer] = {}
        self._issuing: dict[str, Issuer] = {}
        self._known: dict[str, tuple[External, float]] = {}
        for provider in providers:
            assert self._client is not None
            issuer = Issuer(provider, self._client)
            self._named[provider.name] = self._issuing[provider.issuer] = issuer

    @property
    def providers(self) -> Sequence[Provider]:
        """All providers, in the order of the settings."""
        return [issuer.provider for issuer in self._named.values()]

    def named(self, name: str) -> Issuer | None:
        return self._named.get(name)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def verify(self, token: str, learn: Learn) -> External | None:
        """What an access token of a provider says; None for a token that names none of the providers. `learn` is given
        the claims of a token that was not verified lately.

        Raises UNAUTHENTICATED for a token that is not valid, UNAVAILABLE while its provider is away.
        """
        if not self._named:
            return None
        if (known := self._known.get(token)) is not None and known[1] > time.monotonic():
            presented = known[0]
            if presented.expires_at <= datetime.now(UTC):
                raise TokenExpired("the token has expired; get another from its provider")
            return presented
        try:
            _, unchecked = parts_of(token)
        except ValueError:
            return None
        issuer = self._issuing.get(named) if isinstance(named := unchecked.get("iss"), str) else None
        if issuer is None:
            return None
        try:
            presented, claims = await issuer.access(token)
        except Unreachable as error:
            log.warning("oidc.unreachable", provider=issuer.provider.name, why=str(error))
            raise Away("the token can't be checked: its provider does not answer; try again") from None
        await learn(issuer.provider, claims)
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[token] = (presented, time.monotonic() + CHECKED)
        return presented
