"""What is asked of a new upload, and what is wrong with it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from db.models import ChecksumAlgorithm, Entity, FilePurpose
from resolvers.failures import Invalid
from resolvers.files import quotas
from resolvers.files.purposes import PURPOSES
from resolvers.limits import FileBounds

PARTS = 2_000
"""The most parts of one manifest, and of uploads that are put together: as many as a request may name."""
DIGITS = {ChecksumAlgorithm.SHA256: 64, ChecksumAlgorithm.MD5: 32}
_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a manifest, with its checksum in hexadecimal digits."""

    name: str
    size: int
    checksum: str
    algorithm: ChecksumAlgorithm


@dataclass(frozen=True, slots=True)
class NewUpload:
    """What is asked of a new upload. `target` is what the file will belong to; `checksum` is in hexadecimal digits.
    Without `size` the client tells it later. `meta` is what tus clients get back. `partial` uploads are put together
    later; what is `joined` of them was counted with them."""

    purpose: FilePurpose
    name: str
    size: int | None
    target: tuple[type[Entity], UUID] | None = None
    checksum: tuple[ChecksumAlgorithm, str] | None = None
    parts: Sequence[Part] = ()
    meta: str | None = None
    partial: bool = False
    joined: bool = False
    recorded_at: datetime | None = None
    expires_at: datetime | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    """How the client calls the fields, where not as the schema does."""

    def at(self, name: str) -> str:
        """The client's name of a field, for failures."""
        return self.fields.get(name, f"input.{name}")


def check(bounds: FileBounds, new: NewUpload) -> None:
    """Refuse an upload that can't become a file of its purpose."""
    if not new.partial:
        PURPOSES[new.purpose].check_name(new.name, new.at("name"))
    if new.size is not None:
        if new.size < 1:
            raise Invalid(f"a file has at least one byte, not {new.size}", field=new.at("size"), value=new.size)
        quotas.check_size(bounds, new.size, new.at("size"))
    if new.expires_at is not None and new.expires_at <= datetime.now(UTC):
        raise Invalid("a file expires in the future", field=new.at("expiresAt"))
    if new.checksum is not None:
        _check_digits(*new.checksum, new.at("checksum"))
    if new.parts:
        _check_parts(bounds, new)


def _check_parts(bounds: FileBounds, new: NewUpload) -> None:
    if len(new.parts) > PARTS:
        raise Invalid(f"at most {PARTS} parts, not {len(new.parts)}", field=new.at("parts"), allowed=PARTS)
    seen = set[str]()
    for number, part in enumerate(new.parts):
        at = f"{new.at('parts')}.{number}"
        if not _PART.fullmatch(part.name):
            raise Invalid(
                "the name of a part has 1 to 128 letters, digits, dots, dashes and underscores, not first a dot",
                field=f"{at}.name",
            )
        if part.name in seen:
            raise Invalid(f"two parts are called {part.name}", field=f"{at}.name")
        seen.add(part.name)
        if not 1 <= part.size <= bounds.part:
            raise Invalid(
                f"a part has 1 to {bounds.part:,} bytes, not {part.size:,}",
                field=f"{at}.size",
                allowed=bounds.part,
                value=part.size,
            )
        _check_digits(part.algorithm, part.checksum, f"{at}.checksum")
    if (total := sum(part.size for part in new.parts)) != new.size:
        told = "none is given" if new.size is None else f"not {new.size:,}"
        raise Invalid(f"the parts have {total:,} bytes together, {told}", field=new.at("size"))


def _check_digits(algorithm: ChecksumAlgorithm, value: str, field: str) -> None:
    digits = DIGITS[algorithm]
    if len(value) != digits or not set(value.lower()) <= set("0123456789abcdef"):
        raise Invalid(f"{algorithm.name} is given as {digits} hexadecimal digits", field=field)
