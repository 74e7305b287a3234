"""Certificates of clients, which a TLS proxy has checked and tells in a header (RFC 9440, or PEM as nginx writes it).

One place turns that header into an `Authorization` header of a scheme of our own, with a mark that only we can make; so
every door knows devices with certificates, and none believes a client.
"""

import base64
import binascii
import hashlib
import hmac
import ssl
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

from resolvers.failures import Unauthenticated
from resolvers.identity.principal import Kind
from resolvers.identity.tokens import KeyRing, Secret

SCHEME = "Torana-Certificate"
MOST = 16_000
"""The most bytes of the header."""


class ClientCertificates:
    """Reads `header`, which the proxy sets and takes from what clients send. A client's own `Authorization` header
    comes first."""

    def __init__(self, app: ASGIApp, keys: KeyRing, header: str) -> None:
        self._app = app
        self._keys = keys
        self._header = header.lower().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            headers = scope["headers"]
            told = [value for name, value in headers if name == self._header]
            if told and told != [b""] and not any(name == b"authorization" for name, _ in headers):
                shown = f"{SCHEME} {self._marked(told)}".encode()
                scope = {**scope, "headers": [*headers, (b"authorization", shown)]}
        await self._app(scope, receive, send)

    def _marked(self, told: list[bytes]) -> str:
        try:
            (value,) = told
            fingerprint = hashlib.sha256(_der(value)).hexdigest()
        except (ValueError, binascii.Error):
            return ""
        return f"{fingerprint}:{self._keys.marks(_text(fingerprint))[0]}"


def shown(authorization: str | None) -> str | None:
    """The header, if it is about a certificate."""
    return authorization if authorization is not None and authorization.startswith(f"{SCHEME} ") else None


def proved(keys: KeyRing, token: str) -> Secret:
    """The certificate that the proxy told of. UNAUTHENTICATED for one that can't be read, and where a client says so
    itself."""
    fingerprint, _, mark = token.partition(":")
    if not any(hmac.compare_digest(mark.encode(), own.encode()) for own in keys.marks(_text(fingerprint))):
        raise Unauthenticated("the certificate can't be read")
    return Secret(Kind.DEVICE, fingerprint)


def _text(fingerprint: str) -> str:
    return f"certificate {fingerprint}"


def _der(value: bytes) -> bytes:
    if len(value) > MOST:
        raise ValueError("too long")
    text = value.decode("ascii").strip()
    if text.startswith(":"):
        return base64.b64decode(text.strip(":"), validate=True)
    return ssl.PEM_cert_to_DER_cert(unquote(text))
