"""A challenge with several of everything that belongs to one: tom organises it, takes part, and submitted all of it."""

from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db import models as m
from db.types import later, uuid7
from tests.support.boards import entry
from tests.support.filed import file_of, upload_of
from tests.support.world import START

SUBMITTED = 3
"""Submissions of a phase, evaluations of a submission, entries of a build."""


@dataclass(frozen=True, slots=True)
class Arena:
    """Where a challenge is, and who takes part beside tom: `other` is in his teams."""

    tom: UUID
    other: UUID
    site: UUID
    cluster: UUID


async def compete(session: AsyncSession, arena: Arena, n: int) -> None:
    """The challenge of this number."""
    challenge, organisers = uuid7(), uuid7()
    session.add(m.UserGroup(id=organisers, name=f"organisers {n}"))
    await session.flush()
    session.add(m.UserGroupMember(user_group_id=organisers, user_id=arena.tom))
    session.add(m.Challenge(id=challenge, label=f"challenge-{n}", start_date=date(2026, 1, 1) + timedelta(n), active=True,
                            url="https://x.example", team_size=5, parallel_phases=True, site_id=arena.site,
                            organisers_id=organisers))  # fmt: skip
    await session.flush()
    session.add(m.Credential(kind=m.CredentialKind.CHALLENGE_WORKER, algorithm="sha256", secret_hash=f"worker-{n}",
                             challenge_id=challenge, expires_at=later(3600)))  # fmt: skip
    session.add_all(m.Registration(challenge_id=challenge, user_id=user) for user in (arena.tom, arena.other))
    team = await _teams(session, arena, challenge)
    versions = [await _evaluator(session, arena, challenge, f"evaluator {n}-{one}") for one in range(2)]
    held = await session.get_one(m.EvaluatorVersion, versions[-1])
    (await session.get_one(m.Challenge, challenge)).evaluator_id = held.evaluator_id
    for ordinal in (1, 2):
        phase = uuid7()
        session.add(m.Phase(id=phase, challenge_id=challenge, name=f"phase {ordinal}", ordinal=ordinal))
        await session.flush()
        submitted = await _phase(session, arena, phase, challenge, team, held)
        await _board(session, arena, f"board-{n}-{ordinal}", phase, challenge, team, submitted)


async def _teams(session: AsyncSession, arena: Arena, challenge: UUID) -> UUID:
    """Tom has joined the one that is returned, and is invited to another."""
    teams = [uuid7(), uuid7()]
    session.add_all(
        m.Team(id=key, challenge_id=challenge, name=f"team {one}", captain_id=arena.tom)
        for one, key in enumerate(teams)
    )
    await session.flush()
    for team, state in zip(teams, (m.MemberState.JOINED, m.MemberState.INVITED), strict=True):
        session.add_all(
            m.TeamMember(team_id=team, challenge_id=challenge, user_id=user, state=state)
            for user in (arena.tom, arena.other)
        )
    await session.flush()
    return teams[0]


async def _evaluator(session: AsyncSession, arena: Arena, challenge: UUID, label: str) -> UUID:
    """One of two versions, each with two files; its current version."""
    evaluator, versions = uuid7(), [uuid7(), uuid7()]
    session.add(m.Evaluator(id=evaluator, label=label, challenge_id=challenge))
    await session.flush()
    for number, version in enumerate(versions, 1):
        session.add(m.EvaluatorVersion(id=version, evaluator_id=evaluator, number=number, executor=m.Executor.BASH,
                                       digest="0" * 64, cluster_id=arena.cluster))  # fmt: skip
        await session.flush()
        for purpose, role in (
            (m.FilePurpose.EVALUATOR_PROGRAM, m.EvaluatorFileRole.PROGRAM),
            (m.FilePurpose.REFERENCE_DATA, m.EvaluatorFileRole.REFERENCE),
        ):
            file = await file_of(session, f"{label} {number} {role.name}", purpose=purpose, challenge_id=challenge)
            session.add(m.EvaluatorFile(evaluator_version_id=version, file_id=file, role=role))
    await session.flush()
    (await session.get_one(m.Evaluator, evaluator)).current_version_id = versions[-1]
    await session.flush()
    return versions[-1]


async def _phase(
    session: AsyncSession, arena: Arena, phase: UUID, challenge: UUID, team: UUID, version: m.EvaluatorVersion
) -> list[UUID]:
    """Its submissions, evaluated and all evaluated again, twice."""
    again = [uuid7(), uuid7()]
    session.add_all(
        m.Reevaluation(id=key, challenge_id=challenge, phase_id=phase, evaluator_version_id=version.id,
                       user_id=arena.tom, state=m.ReevaluationState.DONE)
        for key in again
    )  # fmt: skip
    await session.flush()
    submitted = [uuid7() for _ in range(SUBMITTED)]
    for key in submitted:
        session.add(m.Submission(id=key, public_id=f"s-{key}", challenge_id=challenge, phase_id=phase,
                                 user_id=arena.tom, team_id=team, evaluator_id=version.evaluator_id, has_scores=True,
                                 status=m.SubmissionStatus.COMPLETED))  # fmt: skip
        await session.flush()
        evaluation = await _evaluated(session, key, challenge, version.id, [again[0], *again])
        (await session.get_one(m.Submission, key)).evaluation_id = evaluation
        await _job(session, arena, evaluation)
        of = {"submission_id": key, "challenge_id": challenge, "owner_user_id": arena.tom}
        await file_of(session, f"{key}.csv", purpose=m.FilePurpose.SUBMISSION_INPUT, **of)
        await file_of(session, f"{key}.log", purpose=m.FilePurpose.SUBMISSION_OUTPUT, **of)
        await upload_of(session, f"{key}.csv", purpose=m.FilePurpose.SUBMISSION_INPUT, **of)
    return submitted


async def _evaluated(
    session: AsyncSession, submission: UUID, challenge: UUID, version: UUID, again: list[UUID]
) -> UUID:
    """The last of its evaluations, which alone has not ended."""
    keys = [uuid7() for _ in again]
    for number, (key, reevaluation) in enumerate(zip(keys, again, strict=True), 1):
        session.add(m.Evaluation(id=key, submission_id=submission, challenge_id=challenge, number=number,
                                 evaluator_version_id=version, reevaluation_id=reevaluation, scores={"per": number},
                                 owner_scores={"per": number},
                                 ended_at=None if key == keys[-1] else START + timedelta(hours=number)))  # fmt: skip
    await session.flush()
    return keys[-1]


async def _job(session: AsyncSession, arena: Arena, evaluation: UUID) -> None:
    job = uuid7()
    session.add(m.Job(id=job, key=f"evaluation-{evaluation}", kind=m.JobKind.SUBMISSION_EVALUATION,
                      owner_user_id=arena.tom, title="evaluation", state=m.JobState.COMPLETED, log_length=2,
                      evaluation_id=evaluation, platform=m.Platform.EXTERNAL, progress=1.0))  # fmt: skip
    await session.flush()
    for n in (1, 2):
        task = m.Task(id=uuid7(), job_id=job, ordinal=n, requested=1, done=1, state=m.JobState.COMPLETED, attempt=1)
        session.add(task)
        await session.flush()
        session.add(m.LogEntry(job_id=job, task_id=task.id, attempt=1, line=1, sequence=n, text=f"task {n}"))
    await session.flush()


async def _board(
    session: AsyncSession, arena: Arena, label: str, phase: UUID, challenge: UUID, team: UUID, submitted: list[UUID]
) -> None:
    """A leaderboard of the submissions, which was built twice, and what came to it from outside."""
    board, builds = uuid7(), [uuid7(), uuid7()]
    session.add(m.Leaderboard(id=board, challenge_id=challenge, phase_id=phase, label=label, entry_file="e.json",
                              archived=False, static_files=False))  # fmt: skip
    await session.flush()
    session.add_all(m.ExternalEntry(leaderboard_id=board, key=f"baseline {one}", data={"per": one}) for one in range(3))
    session.add_all(
        m.LeaderboardBuild(id=build, leaderboard_id=board, number=number, entry_count=len(submitted))
        for number, build in enumerate(builds, 1)
    )
    await session.flush()
    session.add_all(
        m.LeaderboardEntry(**entry(build, board, {"position": place, "submission_id": submission, "user_id": arena.tom,
                                                  "team_id": team, "data": {"per": place}, "author_label": "team 0"}))
        for build in builds
        for place, submission in enumerate(submitted, 1)
    )  # fmt: skip
    (await session.get_one(m.Leaderboard, board)).build_id = builds[-1]
    await session.flush()
