"""What files are for. A purpose says what a file belongs to, who may bring one, which types it may have, and how it is
checked."""

import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from db.models import Challenge, Entity, FilePurpose, Project, Session, Submission, SubmissionStatus
from resolvers.access.challenge_rules import ORGANISES, SUBMITTER
from resolvers.access.policy import Rules
from resolvers.access.rules import (
    ANY_USER,
    LINKED_SERVICE,
    PROJECT_USER,
    SERVICE,
    SUPERADMIN,
)  # fmt: skip
from resolvers.access.session_rules import BRINGING
from resolvers.failures import Invalid, WrongState
from resolvers.spelling import invisible

OTHERWISE = "application/octet-stream"
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
"""The ends of names of files that hold others."""
SIGNATURES: Mapping[str, tuple[bytes, ...]] = {
    ".png": (b"\x89PNG\r\n\x1a\n",),
    ".jpg": (b"\xff\xd8\xff",),
    ".jpeg": (b"\xff\xd8\xff",),
    ".gif": (b"GIF87a", b"GIF89a"),
    ".webp": (b"RIFF",),
    ".pdf": (b"%PDF-",),
    ".zip": (b"PK\x03\x04", b"PK\x05\x06"),
    ".tgz": (b"\x1f\x8b",),
    ".gz": (b"\x1f\x8b",),
    ".bz2": (b"BZh",),
    ".xz": (b"\xfd7zXZ\x00",),
}
"""What files begin with, by the ends of their names."""
_TYPES = {".ndjson": "application/x-ndjson", ".parquet": "application/vnd.apache.parquet", ".md": "text/markdown"}
_NAME = re.compile(r"[^/\\]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """A purpose. `who` may bring files for a target of this model, and `alone` without one; nobody may bring those that
    the tasks of jobs deliver. With `unpacked`, archives are looked through before they are taken. With `replaces`, a
    file takes the place of one with the same name."""

    name: FilePurpose
    target: type[Entity] | None = None
    who: Rules = ()
    alone: Rules = ()
    ends: tuple[str, ...] = ()
    unpacked: bool = False
    replaces: bool = False

    def columns(self, target: Any) -> dict[str, Any]:
        """What says what an upload, and then its file, belongs to."""
        if isinstance(target, Session):
            return {"session_id": target.id, "project_id": target.project_id}
        if isinstance(target, Submission | Challenge):
            return {"submission_id" if isinstance(target, Submission) else "challenge_id": target.id}
        return {"project_id": None if target is None else target.id}

    def expect(self, target: Any) -> None:
        """STATE for a target that takes no files now."""
        if isinstance(target, Submission) and target.status is not SubmissionStatus.UPLOADING:
            raise WrongState("this submission has its file", field="target", state=target.status.name)

    def check_name(self, name: str, field: str) -> None:
        """INVALID for a name that is none, or that a file of this purpose may not have."""
        if not _NAME.fullmatch(name) or name in (".", "..") or name != name.strip() or invisible(name):
            raise Invalid(
                "a name has 1 to 128 characters: no slash, no backslash, nothing invisible, and no space at its ends",
                field=field,
            )
        if self.ends and not name.lower().endswith(self.ends):
            raise Invalid(
                f"the name of a {self.name.name} file ends with {', '.join(self.ends)}",
                field=field,
                allowed=list(self.ends),
            )

    def looks_into(self, name: str) -> bool:
        """Whether a file of this name is an archive that is looked through. An image of an evaluator is not: what
        unpacks it has rules of its own."""
        image = self.name is FilePurpose.EVALUATOR_PROGRAM and name.lower().endswith(".tar")
        return self.unpacked and name.lower().endswith(ARCHIVES) and not image


PURPOSES: Mapping[FilePurpose, Purpose] = {
    purpose.name: purpose
    for purpose in (
        Purpose(
            name=FilePurpose.SESSION_ASSET,
            target=Session,
            who=(*BRINGING, SUPERADMIN),
        ),
        Purpose(
            name=FilePurpose.DATASET,
            target=Project,
            who=(PROJECT_USER, LINKED_SERVICE, SUPERADMIN),
            alone=(ANY_USER, SERVICE),
            unpacked=True,
        ),
        Purpose(name=FilePurpose.ARCHIVE, ends=(".zip",)),
        Purpose(name=FilePurpose.OUTPUT),
        Purpose(name=FilePurpose.SPEC_PACKAGE),
        Purpose(name=FilePurpose.SUBMISSION_INPUT, target=Submission, who=(SUBMITTER,), unpacked=True),
        Purpose(name=FilePurpose.SUBMISSION_OUTPUT),
        Purpose(
            name=FilePurpose.EVALUATOR_PROGRAM,
            target=Challenge,
            who=(ORGANISES, SUPERADMIN),
            alone=(SUPERADMIN,),
            ends=(".py", ".sh", ".zip", ".tar"),
            unpacked=True,
        ),
        Purpose(
            name=FilePurpose.REFERENCE_DATA,
            target=Challenge,
            who=(ORGANISES, SUPERADMIN),
            alone=(SUPERADMIN,),
            unpacked=True,
        ),
        Purpose(
            name=FilePurpose.CHALLENGE_DATA,
            target=Challenge,
            who=(ORGANISES, SUPERADMIN),
            alone=(SUPERADMIN,),
            unpacked=True,
        ),
        Purpose(
            name=FilePurpose.PUBLIC,
            alone=(SUPERADMIN,),
            ends=(".png", ".jpg", ".jpeg", ".gif", ".webp", ".pdf", ".txt", ".md", ".csv", ".json", ".zip"),
            replaces=True,
        ),
    )
}


def target_of(typename: str, key: UUID, field: str) -> tuple[type[Entity], UUID]:
    """A target by the name of its type; INVALID for a type that no purpose has."""
    known = {purpose.target.__name__: purpose.target for purpose in PURPOSES.values() if purpose.target}
    if typename not in known:
        raise Invalid(f"files belong to no {typename}", field=field, allowed=sorted(known))
    return known[typename], key


def media_type(name: str) -> str:
    """The type of a file, by its name alone."""
    known = next((kind for end, kind in _TYPES.items() if name.lower().endswith(end)), None)
    return known or mimetypes.guess_type(name)[0] or OTHERWISE


def begins_wrongly(name: str, head: bytes) -> bool:
    """Whether a file can't be what its name says, by its first bytes."""
    begins = next((found for end, found in SIGNATURES.items() if name.lower().endswith(end)), None)
    return begins is not None and not head.startswith(begins)
