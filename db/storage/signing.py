"""Addresses of objects in S3 that are signed for a while (Signature Version 4, in the query)."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What signs: the key, its secret, and the region."""

    key: str
    secret: str
    region: str


def signed(address: str, query: dict[str, str], credentials: Credentials, moment: datetime, seconds: int) -> str:
    """The address of a GET that the store takes until so many seconds after `moment` (UTC)."""
    parts = urlsplit(address)
    day, stamp = f"{moment:%Y%m%d}", f"{moment:%Y%m%dT%H%M%SZ}"
    scope = f"{day}/{credentials.region}/s3/aws4_request"
    given = {
        **query,
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{credentials.key}/{scope}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": "host",
    }
    spelled = "&".join(f"{_spelled(name)}={_spelled(value)}" for name, value in sorted(given.items()))
    path = quote(parts.path, safe="/-_.~")
    asked = "\n".join(("GET", path, spelled, f"host:{parts.netloc}", "", "host", "UNSIGNED-PAYLOAD"))
    text = "\n".join((ALGORITHM, stamp, scope, hashlib.sha256(asked.encode()).hexdigest()))
    key = f"AWS4{credentials.secret}".encode()
    for part in (day, credentials.region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    return f"{parts.scheme}://{parts.netloc}{path}?{spelled}&X-Amz-Signature={signature}"


def _spelled(text: str) -> str:
    return quote(text, safe="-_.~")
