"""OpenID Connect: a provider's discovery document and keys, and the verification of the tokens that it signs.

Follows OpenID Connect Core 1.0 and Discovery 1.0; access tokens are read as in RFC 9068, and as Keycloak and Cognito
write them. Requests go to configured issuers only, and to the addresses that their own discovery documents name.
"""

import asyncio
import base64
import binascii
import time
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus, urlsplit

import httpx2
import orjson
import structlog
from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key
from joserfc.jws import JWSRegistry

from db.models import AuthProvider
from resolvers.failures import TokenExpired, Unauthenticated
from resolvers.identity.providers import External, Metadata, Provider, Unreachable

log = structlog.get_logger("torana.oidc")

KEY_TYPES: Mapping[str, type] = {"RS256": RSAKey, "ES256": ECKey, "EdDSA": OKPKey, "Ed25519": OKPKey}
"""The accepted algorithms, and the key type of each: never one with which a public key could sign."""
LEEWAY = 30
"""Seconds by which clocks may differ."""
SECONDS = 5.0
"""Seconds for one request to a provider."""
BYTES = 262_144
"""The most bytes of one answer of a provider."""
KEPT = 3_600.0
"""Seconds for which a provider's document and keys are kept."""
PAUSE = 60.0
"""Seconds between two fetches of the keys for a key that is not known."""
RETRY = 5.0
"""Seconds between two fetches while there are no keys at all."""
TOKEN = 16_384
"""The most characters of a token."""

_registry = JWSRegistry(algorithms=list(KEY_TYPES), strict_check_header=False)  # but what is critical must be known


class Issuer:
    """One provider: its document and its keys, fetched when they are first needed."""

    def __init__(self, provider: Provider, client: httpx2.AsyncClient) -> None:
        self.provider = provider
        self._client = client
        self._lock = asyncio.Lock()
        self._metadata: tuple[Metadata, float] | None = None
        self._keys: Mapping[str | None, Any] = {}
        self._fetched = self._tried = float("-inf")

    async def metadata(self) -> Metadata:
        """Raises Unreachable."""
        if self._metadata is not None and time.monotonic() - self._metadata[1] < KEPT:
            return self._metadata[0]
        address = f"{self.provider.issuer.rstrip('/')}/.well-known/openid-configuration"
        _, told = await self._ask("GET", address)
        if told.get("issuer") != self.provider.issuer:
            raise Unreachable("its document names another issuer")
        ways = told.get("token_endpoint_auth_methods_supported")
        found = Metadata(
            self._endpoint(told, "authorization_endpoint"),
            self._endpoint(told, "token_endpoint"),
            self._endpoint(told, "jwks_uri"),
            isinstance(ways, list) and "client_secret_post" in ways and "client_secret_basic" not in ways,
        )
        self._metadata = (found, time.monotonic())
        return found

    async def exchange(self, code: str, verifier: str, redirect_uri: str) -> str:
        """The id token for a code, not verified; raises Unreachable, and UNAUTHENTICATED for a code that is not
        valid."""
        metadata, provider = await self.metadata(), self.provider
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
            "client_id": provider.client_id,
        }
        sent: dict[str, Any] = {}
        if (secret := provider.client_secret) is not None:
            if metadata.posts_secret:
                form["client_secret"] = secret.get_secret_value()
            else:
                # RFC 6749, 2.3.1: each is encoded first.
                sent["auth"] = httpx2.BasicAuth(quote_plus(provider.client_id), quote_plus(secret.get_secret_value()))
        status, told = await self._ask("POST", metadata.token, data=form, refusals=(400, 401, 403), **sent)
        if status != 200 or not isinstance(told.get("id_token"), str):
            raise Unauthenticated("the provider did not accept the sign-in; begin it again")
        return str(told["id_token"])

    async def identity(self, token: str, nonce: str) -> Mapping[str, Any]:
        """The claims of an id token that was made for us and for this sign-in; raises UNAUTHENTICATED, Unreachable."""
        claims, _ = await self._verified(token)
        audience, party = claims.get("aud"), claims.get("azp")
        ours = self.provider.client_id
        several = isinstance(audience, list) and len(audience) > 1
        if ours not in _listed(audience) or (party != ours if several else party not in (None, ours)):
            raise Unauthenticated("the identity was made for another application")
        if claims.get("nonce") != nonce:
            raise Unauthenticated("the identity was made for another sign-in")
        return claims

    async def access(self, token: str) -> tuple[External, Mapping[str, Any]]:
        """What an access token for this gateway says, and all its claims; raises UNAUTHENTICATED, Unreachable."""
        claims, kind = await self._verified(token)
        wanted = self.provider.audience or self.provider.client_id
        audiences = _listed(claims.get("aud"))
        if claims.get("token_use") == "access" and not audiences:  # Cognito's name no audience
            audiences = _listed(claims.get("client_id"))
        if wanted not in audiences:
            raise Unauthenticated("the token is for another audience")
        # An id token tells an application who signed in, and opens nothing; its audience is the client.
        if not (kind == "at+jwt" or claims.get("typ") == "Bearer" or claims.get("token_use") == "access") and (
            wanted == self.provider.client_id or claims.keys() & {"nonce", "at_hash"}
        ):
            raise Unauthenticated("the token is no access token")
        self.provider.admit(claims)
        until = datetime.fromtimestamp(claims["exp"] + LEEWAY, UTC)
        return External(AuthProvider[self.provider.provider], claims["sub"], until), claims

    async def _verified(self, token: str) -> tuple[Mapping[str, Any], str]:
        """The claims and the type of a token that this issuer signed and that is valid now."""
        try:
            header, _ = parts_of(token)
            key = await self._key(header.get("kid"), header.get("alg"))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SecurityWarning)  # EdDSA has a newer name, which few providers use yet
                claims = jwt.decode(token, key, algorithms=list(KEY_TYPES), registry=_registry).claims
            now = time.time()
            if claims["iss"] != self.provider.issuer or not isinstance(claims["sub"], str):
                raise ValueError
            if not 0 < len(claims["sub"]) <= 255 or not claims["sub"].isprintable():
                raise ValueError
            if max(claims.get("nbf", 0), claims.get("iat", 0)) > now + LEEWAY:
                raise ValueError
            if float(claims["exp"]) + LEEWAY <= now:
                raise TokenExpired("the token has expired; get another from its provider")
            return claims, str(header.get("typ", "")).lower().removeprefix("application/")
        except (JoseError, KeyError, ValueError, TypeError, OverflowError):
            raise Unauthenticated("the token is not one of the provider that it names") from None

    async def _key(self, kid: Any, algorithm: Any) -> Any:
        """The key of this id. The keys are fetched again, though not often, when it is not known."""
        wanted = KEY_TYPES.get(algorithm) if isinstance(algorithm, str) else None
        if wanted is None or not (kid is None or isinstance(kid, str)):
            raise ValueError
        async with self._lock:
            moment = time.monotonic()
            due = self._found(kid, wanted) is None or moment - self._fetched >= KEPT
            if due and moment - self._tried >= (PAUSE if self._keys else RETRY):
                self._tried = moment
                try:
                    await self._fetch_keys()
                except Unreachable as error:
                    log.warning("oidc.no_new_keys", provider=self.provider.name, why=str(error))
        if not self._keys:
            raise Unreachable("its keys could not be had")
        if (key := self._found(kid, wanted)) is None:
            raise ValueError
        return key

    def _found(self, kid: str | None, wanted: type) -> Any:
        if kid is not None:
            key = self._keys.get(kid)
            return key if isinstance(key, wanted) else None
        suited = [key for key in self._keys.values() if isinstance(key, wanted)]
        return suited[0] if len(suited) == 1 else None

    async def _fetch_keys(self) -> None:
        _, told = await self._ask("GET", (await self.metadata()).keys)
        listed = told.get("keys")
        found: dict[str | None, Any] = {}
        for one in listed if isinstance(listed, list) else []:
            try:
                if one.get("use", "sig") == "sig":
                    found[one.get("kid")] = import_key(one)
            except (JoseError, ValueError, TypeError, KeyError, AttributeError):
                continue  # of a kind that is not known here
        self._keys, self._fetched = found, time.monotonic()

    def _endpoint(self, told: Mapping[str, Any], name: str) -> str:
        """An address in the discovery document; it must use TLS if the issuer does."""
        address = told.get(name)
        scheme = urlsplit(self.provider.issuer).scheme
        if not isinstance(address, str) or urlsplit(address).scheme not in ("https", scheme):
            raise Unreachable(f"its document has no usable {name}")
        return address

    async def _ask(
        self, method: str, address: str, *, refusals: Sequence[int] = (), **sent: Any
    ) -> tuple[int, Mapping[str, Any]]:
        """The status and the JSON object of a provider's answer: 200, or one of `refusals`."""
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        body = bytearray()
        try:
            async with (
                asyncio.timeout(SECONDS),
                self._client.stream(method, address, headers=headers, **sent) as response,
            ):
                if response.status_code != 200 and response.status_code not in refusals:
                    raise Unreachable(f"it answered {response.status_code}")
                async for part in response.aiter_raw():
                    body += part
                    if len(body) > BYTES:
                        raise Unreachable("its answer is too long")
        except (OSError, TimeoutError, httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Unreachable(f"it could not be reached: {type(error).__name__}") from None
        try:
            told = orjson.loads(body)
        except orjson.JSONDecodeError:
            told = {} if response.status_code != 200 else None
        if not isinstance(told, dict):
            raise Unreachable("its answer is no JSON object")
        return response.status_code, told


def parts_of(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and the claims of a token, not verified; raises ValueError."""
    parts = token.split(".", 3)
    if len(parts) != 3 or len(token) > TOKEN:
        raise ValueError
    try:
        header, claims = (orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts[:2])
    except (binascii.Error, orjson.JSONDecodeError, UnicodeError):
        raise ValueError from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise ValueError
    return header, claims


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
