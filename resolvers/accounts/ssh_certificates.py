"""SSH keys and certificates of users, stored encrypted, with which the gateway reaches clusters for them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificate,
    SSHCertificateType,
    load_ssh_private_key,
    load_ssh_public_identity,
)

from db.engine import moment_of
from db.models import Credential, CredentialKind
from db.types import instant_text
from db.written import because
from jobs.engine import Login
from resolvers.context import Context, Services
from resolvers.failures import Invalid
from resolvers.identity.credentials import LIVE
from resolvers.identity.principal import Kind
from resolvers.writing.audit import record
from resolvers.writing.rows import signed_in

SIZE = 20_000
"""The most characters of a key."""
FOR_EVER = 2**62
"""A certificate that never expires has a moment beyond all others."""


async def login_of(services: Services, user: UUID) -> Login | None:
    """The login that a user stored, while it is valid."""
    held = sa.select(Credential.sealed).where(
        Credential.user_id == user,
        Credential.kind == CredentialKind.SSH_CERTIFICATE,
        LIVE,
    )
    for row in await services.database.rows(held.order_by(Credential.id.desc()).limit(1)):
        text = services.identity.keys.unseal(row.sealed)
        return None if text is None else Login(**orjson.loads(text))
    return None


@dataclass(frozen=True, slots=True)
class ClusterLogin:
    """What clients see of a login: for which accounts it is valid, and until when; None: for ever."""

    principals: tuple[str, ...]
    expires_at: datetime | None


async def leave(ctx: Context, private_key: str, signed_key: str) -> ClusterLogin:
    """Store a user's key and certificate, encrypted, in place of the former ones; INVALID for what OpenSSH would not
    take."""
    owner = signed_in(ctx)
    certificate = _checked(private_key, signed_key)
    ends = certificate.valid_before
    expires_at = None if ends >= FOR_EVER else datetime.fromtimestamp(ends, UTC)
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise Invalid("the certificate has expired", field="signedKey", expiredAt=instant_text(expires_at))
    principals = tuple(name.decode(errors="replace") for name in certificate.valid_principals)
    sealed = ctx.services.identity.keys.seal(
        orjson.dumps({"private_key": private_key, "certificate": signed_key}).decode()
    )
    async with ctx.database.write() as session:
        because(session, "one's own login of clusters", Credential)
        await session.execute(sa.delete(Credential).where(*_of(owner)))
        session.add(
            Credential(
                user_id=owner,
                kind=CredentialKind.SSH_CERTIFICATE,
                algorithm="openssh",
                sealed=sealed,
                expires_at=expires_at,
                client={"principals": list(principals)},
            )
        )
        record(session, ctx, "SET_CLUSTER_LOGIN", "User", owner)
    return ClusterLogin(principals, expires_at)


async def left(ctx: Context) -> ClusterLogin | None:
    """The login that the user stored, expired or not."""
    if ctx.principal.kind is not Kind.USER or ctx.principal.id is None:
        return None
    held = sa.select(Credential.client, Credential.expires_at).where(*_of(ctx.principal.id))
    for row in await ctx.database.rows(held):
        return ClusterLogin(tuple(row.client["principals"]), row.expires_at)
    return None


async def remove(ctx: Context) -> datetime:
    """Delete the stored login. Jobs that are on a cluster can no longer be followed or ended there. Returns when."""
    owner = signed_in(ctx)
    async with ctx.database.write() as session:
        because(session, "one's own login of clusters", Credential)
        await session.execute(sa.delete(Credential).where(*_of(owner)))
        record(session, ctx, "REMOVE_CLUSTER_LOGIN", "User", owner)
        return await moment_of(session)


def _of(user: UUID) -> tuple[Any, ...]:
    return Credential.user_id == user, Credential.kind == CredentialKind.SSH_CERTIFICATE


def _checked(private_key: str, signed_key: str) -> SSHCertificate:
    if len(private_key) > SIZE or len(signed_key) > SIZE:
        raise Invalid(f"a key has at most {SIZE} characters", field="privateKey")
    try:
        # Whether its numbers are prime matters to its owner alone, and takes a minute for one of this size.
        own = load_ssh_private_key(private_key.encode(), None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Invalid(
            "the private key can't be read: OpenSSH's format without a passphrase is needed", field="privateKey"
        ) from None
    try:
        certificate = load_ssh_public_identity(signed_key.strip().encode())
    except (ValueError, UnsupportedAlgorithm):
        certificate = None
    if not isinstance(certificate, SSHCertificate) or certificate.type is not SSHCertificateType.USER:
        raise Invalid("the signed key is not an SSH certificate of a user", field="signedKey")
    spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if own.public_key().public_bytes(*spki) != certificate.public_key().public_bytes(*spki):
        raise Invalid("the certificate is not of this private key", field="signedKey")
    return certificate
