"""The headers of tus: what a client asks of a new upload, its checksums and its metadata."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from db.models import ChecksumAlgorithm, FilePurpose
from gateway.protocol.asgi import Incoming
from resolvers.failures import Invalid
from resolvers.files.grants import PLACE
from resolvers.files.new_uploads import PARTS, NewUpload
from resolvers.files.purposes import target_of
from resolvers.files.receiving import Checksum
from schema.fields.scalars import parse_id

ALGORITHMS = ("sha256", "sha1", "md5", "sha512")
LONGEST = 8_000
"""The most characters of the metadata."""
_FIELDS = {
    **dict.fromkeys(("name", "purpose", "target", "checksum"), "Upload-Metadata"),
    "size": "Upload-Length",
    "parts": "Upload-Concat",
}


@dataclass(frozen=True, slots=True)
class Concat:
    """A partial upload, or one that is put together `of` others."""

    of: Sequence[UUID] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """What a client asks of a new upload."""

    size: int | None
    meta: str | None
    said: Mapping[str, str]
    concat: Concat | None

    @classmethod
    def read(cls, incoming: Incoming) -> "Terms":
        """Raises INVALID with the header that is wrong."""
        size, later = number(incoming, "Upload-Length"), incoming.header(b"upload-defer-length")
        concat = _concat(incoming.header(b"upload-concat"))
        if later not in (None, "1"):
            raise Invalid("Upload-Defer-Length is 1 or left out", field="Upload-Defer-Length", allowed=["1"])
        if concat is not None and concat.of:
            if size is not None:
                raise Invalid("an upload that is put together has no Upload-Length", field="Upload-Length")
        elif (size is None) == (later is None):
            raise Invalid("either Upload-Length or Upload-Defer-Length is needed", field="Upload-Length")
        meta = incoming.header(b"upload-metadata")
        return cls(size, meta, metadata(meta), concat)

    def new_upload(self) -> NewUpload:
        """What is asked of the upload, by its metadata: `filename`, `purpose`, `target`, `checksum`, `recordedAt`,
        `expiresAt`."""
        partial = self.concat is not None and not self.concat.of
        return NewUpload(
            purpose=self._purpose(partial),
            name=self.said.get("filename") or self.said.get("name") or "",
            size=self.size,
            target=self._target(),
            checksum=self._checksum(),
            meta=self.meta,
            partial=partial,
            recorded_at=self._moment("recordedAt"),
            expires_at=self._moment("expiresAt"),
            fields=_FIELDS,
        )

    def _purpose(self, partial: bool) -> FilePurpose:
        given = self.said.get("purpose")
        if given is None and partial:
            return FilePurpose.DATASET
        try:
            return FilePurpose[given or ""]
        except KeyError:
            allowed = [purpose.name for purpose in FilePurpose]
            raise Invalid(
                f"the metadata name a purpose: {', '.join(allowed)}", field="Upload-Metadata", allowed=allowed
            ) from None

    def _target(self) -> tuple[Any, UUID] | None:
        if not (given := self.said.get("target")):
            return None
        return target_of(*parse_id(given, "Upload-Metadata"), "Upload-Metadata")

    def _checksum(self) -> tuple[ChecksumAlgorithm, str] | None:
        if not (given := self.said.get("checksum")):
            return None
        algorithm, _, digits = given.partition(" ")
        try:
            return ChecksumAlgorithm[algorithm.upper()], digits
        except KeyError:
            allowed = [one.name.lower() for one in ChecksumAlgorithm]
            raise Invalid(
                "the checksum is the name of an algorithm, a space, and hexadecimal digits",
                field="Upload-Metadata",
                allowed=allowed,
            ) from None

    def _moment(self, name: str) -> datetime | None:
        if not (given := self.said.get(name)):
            return None
        try:
            moment = datetime.fromisoformat(given)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise Invalid(f"{name} is a moment with its offset, as 2026-01-31T12:00:00Z", field="Upload-Metadata")
        return moment


def metadata(header: str | None) -> Mapping[str, str]:
    """The pairs of Upload-Metadata; a value may be absent."""
    found: dict[str, str] = {}
    wrong = Invalid("it has pairs of a key and a value in base64, with commas between", field="Upload-Metadata")
    if header is None or not header.strip():
        return found
    if len(header) > LONGEST:
        raise Invalid(f"the metadata have at most {LONGEST} characters", field="Upload-Metadata", allowed=LONGEST)
    for pair in header.split(","):
        key, _, value = pair.strip().partition(" ")
        if not key or not key.isascii() or key in found:
            raise wrong
        try:
            found[key] = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise wrong from None
    return found


def check_once(incoming: Incoming) -> None:
    """Refuse a header of the protocol that was sent twice: which one counts would be a guess."""
    for name in incoming.repeated:
        if name.startswith((b"upload-", b"tus-")):
            spelled = name.decode().title()
            raise Invalid(f"{spelled} was sent twice", field=spelled)


def number(incoming: Incoming, name: str) -> int | None:
    """A header that is a whole number."""
    given = incoming.header(name.lower().encode())
    if given is None:
        return None
    if not given.isascii() or not given.isdecimal() or len(given) > 18:
        raise Invalid(f"{name} is a whole number, not {given[:40]!r}", field=name)
    return int(given)


def checksum(incoming: Incoming) -> Checksum | None:
    """What Upload-Checksum says."""
    given = incoming.header(b"upload-checksum")
    if given is None:
        return None
    algorithm, _, value = given.strip().partition(" ")
    if algorithm not in ALGORITHMS:
        raise Invalid(
            f"Upload-Checksum knows {', '.join(ALGORITHMS)}", field="Upload-Checksum", allowed=list(ALGORITHMS)
        )
    try:
        return Checksum(algorithm, base64.b64decode(value.strip(), validate=True))
    except binascii.Error:
        raise Invalid("Upload-Checksum is an algorithm and a digest in base64", field="Upload-Checksum") from None


def _concat(given: str | None) -> Concat | None:
    if given is None:
        return None
    if given.strip() == "partial":
        return Concat()
    kind, _, places = given.partition(";")
    wrong = Invalid("Upload-Concat is `partial`, or `final;` and addresses of uploads", field="Upload-Concat")
    if kind.strip() != "final":
        raise wrong
    listed = places.split()
    if not 1 <= len(listed) <= PARTS:
        raise wrong
    try:
        return Concat(tuple(UUID(place[place.index(f"{PLACE}/") + len(PLACE) + 1 :].strip("/")) for place in listed))
    except ValueError:
        raise wrong from None
