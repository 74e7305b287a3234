"""Certificates of devices: a device keeps a key of its own, and what it asks for is signed here (PKCS #10, RFC 2986).

A TLS proxy checks that the device has the key. The certificates are signed by an authority that is made with the first
of them, and kept encrypted.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, inserting, moment_of
from db.models import Credential, CredentialKind, Device, ServerSetting
from db.types import uuid7
from db.written import because
from resolvers.access.policy import policy_of
from resolvers.accounts.api_keys import ACTIVE, room
from resolvers.context import Context
from resolvers.failures import Invalid, WrongState
from resolvers.feed import principal_topic
from resolvers.identity.tokens import KeyRing
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.rows import locked, require

SETTING = "DEVICE_AUTHORITY"
"""The server setting with the authority's key and certificate, encrypted."""
LASTS = timedelta(days=365)
"""How long a certificate is valid."""
SIZE = 10_000
"""The most characters of a request."""
_AUTHORITY_LASTS = timedelta(days=20 * 365)
_EARLIER = timedelta(minutes=5)
"""How much the clock of a proxy may be behind."""
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_KEYS = "RSA with 2048 to 4096 bits, P-256, P-384, P-521 or Ed25519"

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class Signed:
    """A certificate and the authority's own, both in PEM."""

    credential: UUID
    certificate: str
    authority: str
    expires_at: datetime


async def create(ctx: Context, device: UUID, request: str) -> Signed:
    """Sign the request of a device, for who may make tokens of it."""
    async with writing(ctx, "CREATE_CERTIFICATE", Device, device) as session:
        row = await locked(session, ctx, Device, device, field="device")
        await require(session, ctx, row, policy_of(Device).tokens, "make a certificate of")
        key = key_of_request(request)
        kind = CredentialKind.CERTIFICATE
        await room(session, ACTIVE, Credential.device_id == device, Credential.kind == kind)
        signed = await sign(session, ctx.services.identity.keys, device, key)
        record(session, ctx, "CREATE_CERTIFICATE", "Device", device, credential=str(signed.credential))
        return signed


def key_of_request(request: str) -> PublicKey:
    """The key that a request asks to be signed. All else that it says is left out: what a device is, we know."""
    if len(request) > SIZE:
        raise Invalid(f"a request has at most {SIZE} characters", field="request")
    try:
        asked = x509.load_pem_x509_csr(request.encode())
        key = asked.public_key()
        if isinstance(key, rsa.RSAPublicKey):
            good = 2048 <= key.key_size <= 4096
        elif isinstance(key, ec.EllipticCurvePublicKey):
            good = isinstance(key.curve, _CURVES)
        else:
            good = isinstance(key, ed25519.Ed25519PublicKey)
        if good and asked.is_signature_valid:
            return key  # type: ignore[return-value]
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise Invalid("the request can't be read: PKCS #10 in PEM is needed", field="request") from None
    if good:
        raise Invalid("the request is not signed with its own key", field="request")
    raise Invalid(f"this kind of key is not taken: {_KEYS}", field="request")


async def sign(session: AsyncSession, keys: KeyRing, device: UUID, key: PublicKey) -> Signed:
    """Sign the key of a device, in the transaction of `session`."""
    authority, own = await _authority(session, keys)
    moment = await moment_of(session)
    ends = min((moment + LASTS).replace(microsecond=0), authority.not_valid_after_utc)
    made = (
        _builder(str(device), moment, ends)
        .issuer_name(authority.subject)
        .public_key(key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own.public_key()), critical=False)
        .sign(own, SHA256())
    )
    because(session, "a certificate is made by who may make one for the device, or by who registers it", Credential)
    row = Credential(
        device_id=device,
        kind=CredentialKind.CERTIFICATE,
        secret_hash=made.fingerprint(SHA256()).hex(),
        algorithm="sha256",
        expires_at=ends,
    )
    session.add(row)
    await session.flush()
    changed(session, principal_topic(device))
    return Signed(row.id, _pem(made), _pem(authority), ends)


async def _authority(session: AsyncSession, keys: KeyRing) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """The authority; the first who needs it makes it."""
    kept = sa.select(ServerSetting.value).where(ServerSetting.name == SETTING)
    sealed = await session.scalar(kept)
    if sealed is None:
        because(session, "the authority is made with the first certificate", ServerSetting)
        value = keys.seal(await _made(session))
        row = inserting(session, ServerSetting).values(id=uuid7(), name=SETTING, value=value, version=1)
        await session.execute(row.on_conflict_do_nothing(index_elements=["name"]))
        sealed = await session.scalar(kept)
    text = None if sealed is None else keys.unseal(sealed)
    if text is None:
        raise WrongState("the authority's key was encrypted with a secret key that the settings no longer have")
    own = load_pem_private_key(text.encode(), None)
    assert isinstance(own, ec.EllipticCurvePrivateKey)
    return x509.load_pem_x509_certificate(text.encode()), own


async def _made(session: AsyncSession) -> str:
    """A new authority: its key and its certificate, in PEM."""
    own = ec.generate_private_key(ec.SECP256R1())
    moment = await moment_of(session)
    builder = _builder("Torana devices", moment, moment + _AUTHORITY_LASTS)
    made = (
        builder.issuer_name(_name("Torana devices"))
        .public_key(own.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        .sign(own, SHA256())
    )
    key = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return key + _pem(made)


def _builder(name: str, moment: datetime, ends: datetime) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(_name(name)).serial_number(x509.random_serial_number())
    return builder.not_valid_before(moment - _EARLIER).not_valid_after(ends)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
