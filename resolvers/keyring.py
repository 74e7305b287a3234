"""The keys that sign tokens, shared by every process through the settings, so that a restart ends no session."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from joserfc.jws import JWSRegistry
from uuid_utils.compat import uuid4

from resolvers.failures import Unauthenticated
from resolvers.principal import Errand

ALGORITHM = "HS256"
ISSUER = "torana"
_LEEWAY = timedelta(seconds=10)
"""How far clocks may differ."""
MOST = 10_000
"""Tokens whose signature is not checked again."""
MINIMUM = 32
"""Bytes of a key."""

_registry = JWSRegistry(algorithms=[ALGORITHM])


@dataclass(frozen=True, slots=True)
class Session:
    """What an access token says: the user, the login session, and when it ends."""

    user: UUID
    family: UUID
    expires_at: datetime


class KeyRing:
    """`keys` maps key ids to secrets; the first signs, all verify."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = {kid: OctKey.import_key(secret, {"kid": kid}) for kid, secret in keys.items()}
        self._kid = next(iter(self._keys))
        self._known: dict[str, tuple[Session | Errand, datetime]] = {}

    def access_token(self, user: UUID, family: UUID, lifetime: timedelta) -> str:
        return self._sign("at+jwt", lifetime, sub=str(user), sid=str(family), jti=str(uuid4()))

    def worker_token(self, errand: Errand, lifetime: timedelta) -> str:
        return self._sign(
            "worker+jwt",
            lifetime,
            sub=str(errand.job_id),
            ordinal=errand.ordinal,
            attempt=errand.attempt,
            scope=" ".join(sorted(errand.scopes)),
        )

    def verify(self, token: str) -> Session | Errand:
        """What a token of ours says; anything else is UNAUTHENTICATED, and only an expired one is told so."""
        if (known := self._known.get(token)) is None:
            known = self._read(token)
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[token] = known
        said, expires_at = known
        if expires_at + _LEEWAY < datetime.now(UTC):
            raise Unauthenticated("the token has expired; refresh it or sign in again")
        return said

    def _read(self, token: str) -> tuple[Session | Errand, datetime]:
        """What a token with a right signature says, and when it ends."""
        try:
            decoded = jwt.decode(token, self._key, algorithms=[ALGORITHM], registry=_registry)
            claims, kind = decoded.claims, decoded.header.get("typ")
            if claims.get("iss") != ISSUER or claims.get("aud") != kind:
                raise ValueError
            expires_at = datetime.fromtimestamp(claims["exp"], UTC)
            issued_at = datetime.fromtimestamp(claims["iat"], UTC)
            if issued_at > datetime.now(UTC) + _LEEWAY:
                raise ValueError
            return _said(kind, claims, expires_at), expires_at
        except (JoseError, KeyError, ValueError, TypeError, OverflowError):
            raise Unauthenticated("the token is not one of this gateway") from None

    def _key(self, recipient: Any) -> OctKey:
        return self._keys[recipient.headers()["kid"]]

    def _sign(self, kind: str, lifetime: timedelta, **claims: Any) -> str:
        now = datetime.now(UTC)
        header = {"alg": ALGORITHM, "typ": kind, "kid": self._kid}
        common = {"iss": ISSUER, "aud": kind, "iat": int(now.timestamp()), "exp": int((now + lifetime).timestamp())}
        return jwt.encode(header, common | claims, self._keys[self._kid], registry=_registry)


def _said(kind: Any, claims: Mapping[str, Any], expires_at: datetime) -> Session | Errand:
    if kind == "at+jwt":
        return Session(UUID(claims["sub"]), UUID(claims["sid"]), expires_at)
    if kind == "worker+jwt":
        scopes = frozenset(claims["scope"].split())
        return Errand(UUID(claims["sub"]), int(claims["ordinal"]), int(claims["attempt"]), scopes)
    raise ValueError
