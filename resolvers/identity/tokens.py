"""The keys that sign and encrypt tokens, and what each kind of token says.

All processes share the keys through the settings, so a restart ends no session.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from joserfc.jws import JWSRegistry
from uuid_utils.compat import uuid4

from resolvers.failures import TokenExpired, Unauthenticated
from resolvers.identity.principal import Kind, TaskClaim

ALGORITHM = "HS256"
ISSUER = "torana"
_LEEWAY = timedelta(seconds=10)
"""How much clocks may differ."""
WORKER = "worker+jwt"
MOST = 10_000
"""The number of tokens whose signature is not checked again."""
MINIMUM = 32
"""Bytes of a key."""

_registry = JWSRegistry(algorithms=[ALGORITHM])


@dataclass(frozen=True, slots=True)
class Session:
    """What an access token says: the owner, the login session, and when it expires."""

    kind: Kind
    owner: UUID
    family: UUID
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Secret:
    """An API key's secret or a static token, by its digest; its prefix tells the kind of owner. A `public_key`
    presented with it must belong to it. Also a device's certificate, by its fingerprint."""

    kind: Kind
    digest: str
    public_key: str | None = None


@dataclass(frozen=True, slots=True)
class Ticket:
    """A sign-in that waits for a second factor: the owner, and the version of the password. `number` is the ticket's
    own."""

    owner: UUID
    password: UUID
    version: int
    number: UUID


@dataclass(frozen=True, slots=True)
class Fetch:
    """A download ticket: its owner may fetch one address without a header for a while. It names the credential that it
    was asked for with: the family of a login session or the key of an API key; None for an external identity and for a
    link."""

    kind: Kind
    owner: UUID
    credential: UUID | None
    address: str
    expires_at: datetime


PREFIXES = {
    "sk": Kind.USER,
    "pt": Kind.PARTICIPANT,
    "dt": Kind.DEVICE,
    "st": Kind.SERVICE,
    "sl": Kind.LINK,
    "cw": Kind.CHALLENGE_WORKER,
    "tk": Kind.SPEC_TOKEN,
}
"""The prefixes of secrets of users, participants, devices, services, links, external workers of challenges and clients
with a token of specs, before an underscore."""


def digest_of(secret: str) -> str:
    """The digest of one of our secrets. It has 256 random bits, so one round of a hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


class KeyRing:
    """The keys of the gateway. `keys` maps key ids to secrets; the first one signs, all verify."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = {kid: OctKey.import_key(secret, {"kid": kid}) for kid, secret in keys.items()}
        self._kid = next(iter(self._keys))
        self._known: dict[str, tuple[Session | TaskClaim, datetime]] = {}
        self._seals = MultiFernet([Fernet(_derived(secret, b"torana seals")) for secret in keys.values()])
        self._marks = [_derived(secret, b"torana marks") for secret in keys.values()]

    def seal(self, text: str) -> str:
        """Encrypt a text that must be read again; any key of the ring decrypts it."""
        return self._seals.encrypt(text.encode()).decode()

    def marks(self, text: str) -> list[str]:
        """The fingerprints of a text, by which it is recognised: one by each key of the ring, the first key's first.
        Someone who reads the database can't guess the text by trying."""
        return [hmac.new(key, text.encode(), hashlib.sha256).hexdigest() for key in self._marks]

    def unseal(self, sealed: str) -> str | None:
        """Decrypt a text; None when its key has left the ring."""
        try:
            return self._seals.decrypt(sealed).decode()
        except InvalidToken:
            return None

    def access_token(self, kind: Kind, owner: UUID, family: UUID, lifetime: timedelta) -> str:
        return self._sign("at+jwt", lifetime, sub=str(owner), of=kind.value, sid=str(family), jti=str(uuid4()))

    def worker_token(self, task_claim: TaskClaim, lifetime: timedelta) -> str:
        return self._sign(
            WORKER,
            lifetime,
            sub=str(task_claim.job_id),
            ordinal=task_claim.ordinal,
            attempt=task_claim.attempt,
            scope=" ".join(sorted(task_claim.scopes)),
            batch=task_claim.batch,
        )

    def ticket(self, owner: UUID, password: UUID, version: int, lifetime: timedelta) -> str:
        """A ticket which says that a user gave the password that is this version of a credential, and still needs a
        second factor."""
        return self._sign("2fa+jwt", lifetime, sub=str(owner), pwd=str(password), ver=version, jti=str(uuid4()))

    def read_ticket(self, token: str) -> Ticket:
        """What a valid ticket of ours says; UNAUTHENTICATED for anything else."""
        kind, claims, expires_at = self._claims(token)
        if kind != "2fa+jwt" or expires_at < datetime.now(UTC):
            raise Unauthenticated("the ticket is not valid, or no longer; sign in again")
        return Ticket(UUID(claims["sub"]), UUID(claims["pwd"]), int(claims["ver"]), UUID(claims["jti"]))

    def fetch_ticket(self, kind: Kind, owner: UUID, credential: UUID | None, address: str, lifetime: timedelta) -> str:
        """A ticket with which one fetches one address as its owner."""
        made_with = None if credential is None else str(credential)
        return self._sign("get+jwt", lifetime, who=kind.value, sub=str(owner), cred=made_with, addr=address)

    def read_fetch(self, token: str, address: str | None = None) -> Fetch:
        """What a ticket of ours says, which must be for this address, if one is given; UNAUTHENTICATED for anything
        else."""
        kind, claims, expires_at = self._claims(token)
        if kind != "get+jwt" or expires_at <= datetime.now(UTC) or address not in (None, claims["addr"]):
            raise Unauthenticated("the ticket is for another address, or no longer valid; ask for another")
        made_with = claims["cred"]
        credential = None if made_with is None else UUID(made_with)
        return Fetch(Kind(claims["who"]), UUID(claims["sub"]), credential, claims["addr"], expires_at)

    def flow_token(self, lifetime: timedelta, **claims: Any) -> str:
        """A token that a browser holds for us while the user signs in at a provider."""
        return self._sign("flow+jwt", lifetime, **claims)

    def flow(self, token: str) -> Mapping[str, Any]:
        """The claims of a valid flow token of ours; UNAUTHENTICATED for anything else."""
        kind, claims, expires_at = self._claims(token)
        if kind != "flow+jwt" or expires_at < datetime.now(UTC):
            raise Unauthenticated("the sign-in took too long, or was not begun here")
        return claims

    def verify(self, token: str) -> Session | Secret | TaskClaim:
        """What a token of ours says. Raises TOKEN_EXPIRED for an access token that expired, UNAUTHENTICATED for
        anything else.

        Of a secret only the form is checked here.
        """
        prefix, _, rest = token.partition("_")
        if rest and prefix in PREFIXES:
            return Secret(PREFIXES[prefix], digest_of(token))
        if (known := self._known.get(token)) is None:
            known = self._read(token)
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[token] = known
        said, expires_at = known
        if expires_at + _LEEWAY < datetime.now(UTC):
            if isinstance(said, TaskClaim):  # a worker has nothing to refresh it by
                raise Unauthenticated("the token of the task has expired")
            raise TokenExpired("the token has expired; refresh it or sign in again")
        return said

    def _read(self, token: str) -> tuple[Session | TaskClaim, datetime]:
        """What a token with a valid signature says, and when it expires."""
        kind, claims, expires_at = self._claims(token)
        try:
            return _said(kind, claims, expires_at), expires_at
        except (KeyError, ValueError, TypeError):
            raise Unauthenticated("the token is not one of this gateway") from None

    def _claims(self, token: str) -> tuple[Any, Mapping[str, Any], datetime]:
        """The kind and the claims of a token that this gateway signed, and when it expires."""
        try:
            decoded = jwt.decode(token, self._key, algorithms=[ALGORITHM], registry=_registry)
            claims, kind = decoded.claims, decoded.header.get("typ")
            if claims.get("iss") != ISSUER or claims.get("aud") != kind:
                raise ValueError
            expires_at = datetime.fromtimestamp(claims["exp"], UTC)
            issued_at = datetime.fromtimestamp(claims["iat"], UTC)
            # A worker's token holds for days: it need not end with a gateway's clock that is set right.
            if kind != WORKER and issued_at > datetime.now(UTC) + _LEEWAY:
                raise ValueError
            return kind, claims, expires_at
        except (JoseError, KeyError, ValueError, TypeError, OverflowError):
            raise Unauthenticated("the token is not one of this gateway") from None

    def _key(self, recipient: Any) -> OctKey:
        return self._keys[recipient.headers()["kid"]]

    def _sign(self, kind: str, lifetime: timedelta, **claims: Any) -> str:
        now = datetime.now(UTC)
        header = {"alg": ALGORITHM, "typ": kind, "kid": self._kid}
        common = {"iss": ISSUER, "aud": kind, "iat": int(now.timestamp()), "exp": int((now + lifetime).timestamp())}
        return jwt.encode(header, common | claims, self._keys[self._kid], registry=_registry)


def _derived(secret: bytes, purpose: bytes) -> bytes:
    """A key for one purpose, derived from the signing key."""
    return base64.urlsafe_b64encode(HKDF(SHA256(), 32, None, purpose).derive(secret))


def _said(kind: Any, claims: Mapping[str, Any], expires_at: datetime) -> Session | TaskClaim:
    if kind == "at+jwt":
        return Session(Kind(claims.get("of", "user")), UUID(claims["sub"]), UUID(claims["sid"]), expires_at)
    if kind == WORKER:
        scopes = frozenset(claims["scope"].split())
        job, batch = UUID(claims["sub"]), claims.get("batch", "")
        return TaskClaim(job, int(claims["ordinal"]), int(claims["attempt"]), scopes, batch)
    raise ValueError
