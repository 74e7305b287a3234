"""Policies of files, the uploads that bring them, and the bytes that they stand for."""

from typing import Any

import sqlalchemy as sa

from db.models import Archive, Blob, File, FilePurpose, SpecVersion, Submission, Upload, UploadPart
from db.types import now
from resolvers.access.challenge_rules import (
    FILE_SUBMITTER,
    FOR_WORKER,
    ORGANISER,
    STATIC_FILE,
    SUBMITTED_ORGANISER,
    TAKES_PART,
)
from resolvers.access.policy import Change, Policy
from resolvers.access.rules import (
    ANY_USER,
    OWN_DEVICE,
    OWN_PARTICIPANT,
    OWN_SERVICE,
    OWNER,
    OWNING_USER,
    PROJECT_ADMIN,
    PROJECT_USER,
    PUBLISHED,
    SIMULATION_READER,
    SUPERADMIN,
)  # fmt: skip
from resolvers.access.session_rules import CHECKER, SESSION_READER
from resolvers.access.spec_rules import SPEC_READER
from resolvers.failures import WrongState


def _in_time(file: Any) -> Any:
    """A file is seen until it expires."""
    return sa.or_(file.expires_at.is_(None), file.expires_at > now())


async def _validate(change: Change) -> None:
    """What was submitted is deleted with its submission alone, and a package with its version."""
    file = change.row
    if file.purpose is FilePurpose.SPEC_PACKAGE and file.spec_version_id is not None:
        version = await change.session.get_one(SpecVersion, file.spec_version_id)
        if version.deleted_at is None:
            raise WrongState("it is the package of a version: yank or delete that, or have it built again")
    if change.going and file.purpose is FilePurpose.SUBMISSION_INPUT and file.submission_id is not None:
        submission = await change.session.get_one(Submission, file.submission_id)
        if submission.deleted_at is None:
            raise WrongState("it was submitted; delete the submission", state=submission.status.name)


POLICIES = (
    Policy(model=Blob),
    Policy(
        model=File,
        shown=_in_time,
        read=(
            PUBLISHED,
            OWNING_USER,
            OWN_SERVICE,
            OWN_PARTICIPANT,
            OWN_DEVICE,
            PROJECT_USER,
            SESSION_READER,
            CHECKER,
            SIMULATION_READER,
            SPEC_READER,
            FILE_SUBMITTER,
            TAKES_PART,
            STATIC_FILE,
            ORGANISER,
            SUBMITTED_ORGANISER,
            FOR_WORKER,
        ),
        delete=(OWNING_USER, OWN_SERVICE, PROJECT_ADMIN, ORGANISER, SUPERADMIN),
        undelete=(SUPERADMIN,),
        validate=_validate,
        goes_with=(
            File.session_id,
            File.archive_id,
            File.simulation_id,
            File.submission_id,
            File.challenge_id,
            File.spec_version_id,
        ),
        blocks=(File.owner_user_id, File.service_id, File.participant_id, File.device_id, File.blob_id),
        stays=(File.project_id, File.task_id),
    ),
    Policy(
        model=Upload,
        read=(OWNING_USER, OWN_SERVICE, OWN_PARTICIPANT, OWN_DEVICE),
        delete=(OWNING_USER, OWN_SERVICE, OWN_PARTICIPANT, OWN_DEVICE, SUPERADMIN),
        stays=(
            Upload.owner_user_id,
            Upload.service_id,
            Upload.participant_id,
            Upload.device_id,
            Upload.session_id,
            Upload.project_id,
            Upload.archive_id,
            Upload.simulation_id,
            Upload.submission_id,
            Upload.challenge_id,
            Upload.file_id,
        ),
    ),
    Policy(model=UploadPart, through=UploadPart.upload),
    Policy(
        model=Archive,
        read=(OWNER,),
        seen_with=(Archive.jobs, Archive.file),
        create=(ANY_USER,),
        delete=(OWNER, SUPERADMIN),
        undelete=(),
        stays=(Archive.user_id, Archive.simulation_id, Archive.project_id),
    ),
)
