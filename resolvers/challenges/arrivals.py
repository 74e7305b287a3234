"""What becomes of a submission when the last byte of its file has come, and when that was checked."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import moment_of
from db.models import (
    Challenge,
    File,
    Phase,
    Registration,
    RegistrationState,
    Submission,
    SubmissionStatus,
    Upload,
    UploadPart,
)
from db.written import because
from resolvers.challenges import announcements, evaluations, openness
from resolvers.challenges.statuses import move
from resolvers.failures import Forbidden, WrongState

_S = SubmissionStatus


async def came(session: AsyncSession, upload: Upload) -> None:
    """All bytes are here. The database says whether the phase still takes them: what came in time counts, whenever it
    is evaluated. STATE for a submission that waits for none: of several uploads the first to come is its file."""
    submission = await _of(session, upload)
    if submission is None:
        return
    if submission.status is not _S.UPLOADING:
        raise WrongState(f"a submission that is {submission.status.name} takes no file", state=submission.status.name)
    await _expect_taking_part(session, submission, upload)
    because(session, "the last byte of a submission came", Submission)
    submission.submitted_at = moment = await moment_of(session)
    phase = await session.get_one(Phase, submission.phase_id, populate_existing=True)
    challenge = await session.get_one(Challenge, submission.challenge_id, populate_existing=True)
    if (why := openness.late(challenge, phase, moment)) is not None:
        await move(session, submission, _S.INVALID, why, charged=False)
        return
    await move(session, submission, _S.UPLOADED)
    await move(session, submission, _S.VALIDATING)


async def taken(session: AsyncSession, upload: Upload, file: File) -> None:
    """The file is READY."""
    submission = await _of(session, upload)
    if submission is None or submission.status is not _S.VALIDATING:
        return
    await evaluations.accepted(session, submission)
    await announcements.of_submission(session, submission)


async def refused(session: AsyncSession, upload: Upload, why: Mapping[str, Any]) -> None:
    """The file is not taken. Where it came in parts, those that were wrong may be sent again while the phase takes
    submissions."""
    submission = await _of(session, upload)
    if submission is None or submission.status is not _S.VALIDATING:
        return
    reason = {"code": why["code"], "message": why["message"]}
    parts = sa.select(UploadPart.id).where(UploadPart.upload_id == upload.id).limit(1)
    if await session.scalar(parts) is not None:
        await move(session, submission, _S.UPLOADING, reason)
    else:
        await move(session, submission, _S.INVALID, reason, charged=False)


async def _expect_taking_part(session: AsyncSession, submission: Submission, upload: Upload) -> None:
    """FORBIDDEN for who was refused since the submission was begun, also while the question is asked anew."""
    state = sa.select(Registration.state).where(
        Registration.challenge_id == submission.challenge_id, Registration.user_id == upload.owner_user_id
    )
    found = await session.scalar(state)
    if found is RegistrationState.REFUSED:
        raise Forbidden("your registration was refused")
    if found is RegistrationState.PENDING:
        raise Forbidden("your registration waits for approval")


async def _of(session: AsyncSession, upload: Upload) -> Submission | None:
    if upload.submission_id is None or upload.task_id is not None:
        return None
    return await evaluations.held(session, upload.submission_id)
