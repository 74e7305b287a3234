"""Challenges in the access matrix: lines, fields, what is given, and a row of every kind here and there."""

from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from db import models as m
from db.types import later, now, uuid7
from resolvers.identity.tokens import digest_of
from tests.support.boards import entry
from tests.support.filed import file_of, upload_of
from tests.support.further import Name, Ref
from tests.support.organisation import Place

MATRIX = """
# Site administrators make challenges; they and organisers see to them (6.13). Superadmins do so everywhere.
Challenge                  R  R  R   R    R   R     R  CRUD  R  R  R  R    R  RU R  R  CRUD
Challenge/open             R  R  R   R    R   R     R  R     R  R  R  R    R  R  R  R  R
UserGroup/organisers       -  -  -   -    -   -     -  -     -  -  -  -    -  R  -  -  R
Phase                      R  R  R   R    R   R     R  CRUD  R  R  R  R    R  CRUD R  R  CRUD
Phase/open                 R  R  R   R    R   R     R  R     R  R  R  R    R  R  R  R  R
# Every user joins what is open, makes teams there, and submits.
Registration               -  C  C   CRD  C   C     C  CRD   -  -  -  -    -  CRD -  -  CRD
Team                       -  C  C   CR   C   C     C  CR    -  -  -  -    -  CR -  -  CR
TeamMember                 -  -  -   R    -   -     -  R     -  -  -  -    -  R  -  -  R
Submission                 -  C  C   CRD  C   C     C  CRD   -  -  -  -    -  CRD -  -  CRD
Evaluation                 -  -  -   R    -   -     -  R     -  -  -  -    -  R  -  -  R
Reevaluation               -  -  -   -    -   -     -  R     -  -  -  -    -  R  -  -  R
# C is upsertEvaluator, of one for the challenge here.
Evaluator                  -  R  R   R    R   R     R  CRD   -  -  -  -    -  CRD -  -  CRD
EvaluatorVersion           -  R  R   R    R   R     R  R     -  -  -  -    -  R  -  -  R
EvaluatorFile              -  -  -   -    -   -     -  R     -  -  -  -    -  R  -  -  R
Leaderboard                R  R  R   R    R   R     R  CRUD  R  R  R  R    R  CRUD R  R  CRUD
LeaderboardBuild           R  R  R   R    R   R     R  R     R  R  R  R    R  R  R  R  R
LeaderboardEntry           R  R  R   R    R   R     R  R     R  R  R  R    R  R  R  R  R
ExternalEntry              -  -  -   -    -   -     -  CRUD  -  -  -  -    -  CRUD -  -  CRUD
Credential/challenge       -  -  -   -    -   -     -  RD    -  -  -  -    -  RD -  -  RD
Job/evaluation             -  -  -   R    -   -     -  R     -  -  -  -    -  R  -  -  RD
LogEntry/evaluation        -  -  -   R    -   -     -  R     -  -  -  -    -  R  -  -  R
File/submission            -  -  -   R    -   -     -  R     -  -  -  -    -  R  R  -  R
# CW: of evaluators that evaluate what was submitted. Nobody deletes what an evaluator has.
File/reference             -  -  -   -    -   -     -  R     -  -  -  -    -  R  R  -  R
# Published with an entry, of a leaderboard that does so.
File/static                R  R  R   R    R   R     R  R     R  R  R  R    R  R  R  R  R
File/program               -  -  -   -    -   -     -  R     -  -  -  -    -  R  -  -  R
File/given                 R  R  R   R    R   R     R  RD    R  R  R  R    R  RD R  R  RDB
"""

ORGANISING = "SA OG XA"
_SITE = dict.fromkeys(("site", "organisers"), "SA XA")
FIELD_WRITERS: Mapping[str, Mapping[str, str]] = {"Challenge": {"*": ORGANISING, **_SITE}}

MUTATIONS: Mapping[str, Mapping[str, str]] = {
    "Registration": {"C": "joinChallenge"},
    "Evaluator": {"C": "upsertEvaluator"},
}

FIELDS: Mapping[str, str] = {
    **dict.fromkeys(("Challenge.autoEval", "Leaderboard.sortingKey", "Leaderboard.externalEntries"), ORGANISING),
    **dict.fromkeys(("Evaluator.host", "EvaluatorVersion.program", "EvaluatorVersion.executorArguments", "EvaluatorVersion.arguments"), ORGANISING),
    "Evaluation.scores": f"OW {ORGANISING}",
}  # fmt: skip

_PHASE = {
    "name": Name(), "ordinal": 1, "description": Name(), "startsAt": "2026-01-01T00:00:00Z", "endsAt": None, "published": True,
    "windowLimit": None, "windowSeconds": 60, "totalLimit": None, "concurrentLimit": None, "selfEvaluation": True,
    "showsScores": True, "showsLog": True,
}  # fmt: skip
NEW: Mapping[str, Mapping[str, Any]] = {
    "Challenge": {"label": Name(), "startDate": "2026-01-01", "url": "https://x.example", "site": Ref("Site")},
    "Phase": {"challenge": Ref("Challenge"), "name": Name()},
    "Registration": {"challenge": Ref("Challenge/open")},
    "Team": {"challenge": Ref("Challenge/open"), "name": Name()},
    "Submission": {"phase": Ref("Phase/open")},
    "Evaluator": {"label": Name(), "challenge": Ref("Challenge"), "executor": "PYTHON", "program": "classification"},
    "Leaderboard": {"challenge": Ref("Challenge"), "label": Name()},
    "ExternalEntry": {"leaderboard": Ref("Leaderboard"), "key": Name(), "data": {"per": 1}},
}

OPEN: Mapping[str, str] = {
    "Challenge": (
        "label title description startDate endDate active published url terms registrationMode teamSize "
        "parallelPhases site organisers evaluator phases leaderboards evaluators submissions registrations teams files "
        "isActive"
    ),
    "Phase": (
        "name ordinal description startsAt endsAt published windowLimit windowSeconds totalLimit concurrentLimit "
        "selfEvaluation showsScores showsLog challenge submissions"
    ),
    "Registration": "state message reason termsAcceptedAt challenge user",
    "Team": "name challenge captain members submissions",
    "TeamMember": "state team user",
    "Submission": (
        "publicId status statusChangedAt statusEndsAt history submittedAt archivedAt autoEval authorLabel chosen hasScores "
        "charged challenge phase owner team evaluator evaluation evaluations files reason"
    ),
    "Evaluation": (
        "number digests extraArguments externalVersion endedAt submission evaluatorVersion reevaluation job error"
    ),
    "Reevaluation": "state total failed endedAt phase evaluatorVersion user evaluations",
    "Evaluator": "label challenge currentVersion versions",
    "EvaluatorVersion": "number executor entryPoint scoresSchema bounds digest evaluator cluster evaluatorFiles",
    "EvaluatorFile": "use file versionOf",
    "Leaderboard": (
        "label title archived staticFiles builtAt columns rankBy ties counting hidden embargoEndsAt anonymityEndsAt "
        "revealAt challenge phase build builds entries external"
    ),
    "LeaderboardBuild": "number reason entryCount leaderboard entries",
    "LeaderboardEntry": "place rank data authorLabel external baseline leaderboard build files submission",
    "ExternalEntry": "key data authorLabel baseline leaderboard",
}

CHANGES: Mapping[str, Mapping[str, Any]] = {
    "Challenge": {
        "label": Name(), "title": Name(), "description": Name(), "startDate": "2026-01-02", "endDate": None, "active": True,
        "published": True, "url": "https://y.example", "autoEval": True, "terms": None, "registrationMode": "NONE",
        "teamSize": 4, "parallelPhases": True, "site": Ref("Site"), "organisers": Ref("UserGroup/organisers"),
        "evaluator": Ref("Evaluator"),
    },
    "Phase": _PHASE,
    "Leaderboard": {
        "phase": Ref("Phase"), "label": Name(), "title": Name(), "columns": [{"key": "per", "path": "per"}], "rankBy": "per",
        "ties": [], "counting": "BEST", "archived": False, "staticFiles": True, "hidden": False, "embargoEndsAt": None,
        "anonymityEndsAt": None, "revealAt": None, "sortingKey": Name(),
    },
    "ExternalEntry": {"data": {"per": 2}, "authorLabel": Name(), "baseline": True},
}  # fmt: skip

ARGUMENTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "createChallengeToken": ("OG", {"challenge": Ref("Challenge")}),
    "joinChallenge": ("US", {"challenge": Ref("Challenge/open")}),
    "createTeam": ("US", {"challenge": Ref("Challenge/open"), "name": Name()}),
    "inviteToTeam": ("OW", {"id": Ref("Team"), "users": [Ref("User")]}),
    "joinTeam": ("OW", {"id": Ref("Team")}),
    "leaveTeam": ("OW", {"id": Ref("Team"), "user": Ref("User")}),
    "createSubmission": ("OW", {"input": {"phase": Ref("Phase"), "team": Ref("Team")}}),
    "evaluateSubmission": ("OG", {"id": Ref("Submission")}),
    "cancelSubmission": ("OG", {"id": Ref("Submission")}),
    "archiveSubmission": ("OG", {"id": Ref("Submission")}),
    "withdrawSubmission": ("OW", {"id": Ref("Submission")}),
    "chooseSubmission": ("OW", {"id": Ref("Submission")}),
    "setSubmissionStatus": ("OG", {"id": Ref("Submission"), "status": "INVALID", "reason": "x"}),
    "excludeSubmission": ("OG", {"id": Ref("Submission"), "reason": "x"}),
    "setAuthorLabel": ("OG", {"id": Ref("Submission"), "label": "x"}),
    "setSubmissionEvaluator": ("OG", {"id": Ref("Submission"), "evaluator": Ref("Evaluator")}),
    "reevaluate": ("OG", {"phase": Ref("Phase")}),
    "cancelReevaluation": ("OG", {"id": Ref("Reevaluation")}),
    "decideRegistration": ("OG", {"id": Ref("Registration"), "accept": True}),
    "announceChallenge": ("OG", {"id": Ref("Challenge")}),
    "rebuildLeaderboard": ("OG", {"id": Ref("Leaderboard")}),
    "upsertEvaluator": ("OG", {"input": {
        "label": Name(), "challenge": Ref("Challenge"), "executor": "PYTHON", "programFile": Ref("File/program"),
        "reference": [Ref("File/reference")], "given": [Ref("File/given")], "cluster": Ref("Cluster"),
    }}),
}  # fmt: skip

GROUP = "organisers"


async def contest(
    session: AsyncSession, place: Place, owner: UUID, organisers: UUID | None, cluster: UUID, *, shown: bool
) -> dict[str, UUID]:
    """A row of every kind in a place, submitted by `owner`; `shown` says whether the challenge is published."""
    names = ("Challenge", "Challenge/open", "Phase", "Phase/open", "Registration", "Team", "TeamMember", "Submission",
             "Evaluation", "Reevaluation", "Evaluator", "EvaluatorVersion", "EvaluatorFile", "Leaderboard",
             "LeaderboardBuild", "ExternalEntry", "Credential/challenge", "Job/evaluation", "LogEntry/evaluation",
             "UserGroup/organisers")  # fmt: skip
    key = {name: uuid7() for name in names}
    session.add(m.UserGroup(id=key["UserGroup/organisers"], name=f"{GROUP} {place.site}"))
    await session.flush()
    if organisers is not None:
        session.add(m.UserGroupMember(user_group_id=key["UserGroup/organisers"], user_id=organisers))
    for name in ("Challenge", "Challenge/open"):
        session.add(m.Challenge(
            id=key[name], label=f"{name} {place.site}", start_date=date(2026, 1, 1), url="https://x.example", team_size=5,
            parallel_phases=True, published=shown, site_id=place.site, organisers_id=key["UserGroup/organisers"],
        ))  # fmt: skip
    await session.flush()
    challenge = {"challenge_id": key["Challenge"]}
    session.add_all([
        m.Phase(id=key["Phase"], name="first", published=shown, **challenge),
        m.Phase(id=key["Phase/open"], name="first", published=shown, challenge_id=key["Challenge/open"]),
        m.Registration(id=key["Registration"], user_id=owner, **challenge),
        m.Team(id=key["Team"], name="ours", captain_id=owner, **challenge),
        m.Evaluator(id=key["Evaluator"], label=f"of {place.site}", host="x", **challenge),
    ])  # fmt: skip
    await session.flush()
    session.add_all([
        m.TeamMember(id=key["TeamMember"], team_id=key["Team"], user_id=owner, state=m.MemberState.JOINED, **challenge),
        m.EvaluatorVersion(id=key["EvaluatorVersion"], evaluator_id=key["Evaluator"], number=1, digest="0" * 64,
                           cluster_id=cluster,executor=m.Executor.EXTERNAL, program="x", executor_arguments=["x"], arguments=["x"]),
        m.Leaderboard(id=key["Leaderboard"], label=f"board {place.site}", sorting_key="per", external_entries="x", columns=[{"key": "per", "path": "per"}],
                      hidden=not shown, static_files=True, phase_id=key["Phase"], **challenge),
    ])  # fmt: skip
    await session.flush()
    (await session.get_one(m.Evaluator, key["Evaluator"])).current_version_id = key["EvaluatorVersion"]
    (await session.get_one(m.Challenge, key["Challenge"])).evaluator_id = key["Evaluator"]
    purpose = m.FilePurpose
    files = {
        "File/reference": await file_of(session, "reference.csv", purpose=purpose.REFERENCE_DATA, **challenge),
        "File/given": await file_of(session, "given.csv", purpose=purpose.CHALLENGE_DATA, **challenge),
        "File/program": await file_of(session, "main.py", purpose=purpose.EVALUATOR_PROGRAM, **challenge),
    }
    session.add_all([
        m.EvaluatorFile(id=key["EvaluatorFile"], evaluator_version_id=key["EvaluatorVersion"], file_id=files["File/reference"],
                        role=m.EvaluatorFileRole.REFERENCE),
        m.Reevaluation(id=key["Reevaluation"], phase_id=key["Phase"], evaluator_version_id=key["EvaluatorVersion"],
                       user_id=organisers, state=m.ReevaluationState.DONE, **challenge),
        _submission(key["Submission"], key["Challenge"], key["Phase"], owner, has_scores=True, team_id=key["Team"], evaluator_id=key["Evaluator"], status=m.SubmissionStatus.COMPLETED),
    ])  # fmt: skip
    await session.flush()
    session.add(m.Evaluation(
        id=key["Evaluation"], submission_id=key["Submission"], number=1, evaluator_version_id=key["EvaluatorVersion"],
        scores={"per": 1}, owner_scores={"per": 1}, reevaluation_id=key["Reevaluation"], **challenge,
    ))  # fmt: skip
    await session.flush()
    (await session.get_one(m.Submission, key["Submission"])).evaluation_id = key["Evaluation"]
    session.add(m.Job(
        id=key["Job/evaluation"], key=f"evaluation-{key['Evaluation']}", kind=m.JobKind.SUBMISSION_EVALUATION, owner_user_id=owner,
        title="x", state=m.JobState.COMPLETED, evaluation_id=key["Evaluation"], platform=m.Platform.EXTERNAL, progress=1.0,
    ))  # fmt: skip
    await session.flush()
    task = m.Task(
        id=uuid7(), job_id=key["Job/evaluation"], ordinal=1, requested=1, done=1, state=m.JobState.COMPLETED, attempt=1
    )
    session.add(task)
    await session.flush()
    session.add_all([
        m.LogEntry(id=key["LogEntry/evaluation"], job_id=key["Job/evaluation"], task_id=task.id, attempt=1, line=1, sequence=1, text="x"),
        m.ExternalEntry(id=key["ExternalEntry"], leaderboard_id=key["Leaderboard"], key="baseline", data={"per": 3}),
        m.LeaderboardRequest(leaderboard_id=key["Leaderboard"], reason="x"),
        m.LeaderboardBuild(id=key["LeaderboardBuild"], leaderboard_id=key["Leaderboard"], number=1, entry_count=1),
        _token(key["Credential/challenge"], key["Challenge"], token_of(place)),
    ])  # fmt: skip
    await session.flush()
    row = entry(
        key["LeaderboardBuild"],
        key["Leaderboard"],
        {"position": 1, "data": {"per": 3}, "author_label": "x", "submission_id": key["Submission"]},
    )
    session.add(m.LeaderboardEntry(**row))
    (await session.get_one(m.Leaderboard, key["Leaderboard"])).build_id = key["LeaderboardBuild"]
    await session.flush()
    submitted = await file_of(session, "submitted.csv", purpose=purpose.SUBMISSION_INPUT, owner_user_id=owner,
                              submission_id=key["Submission"])  # fmt: skip
    await upload_of(
        session, "submitted.csv", purpose=purpose.SUBMISSION_INPUT, owner_user_id=owner, submission_id=key["Submission"]
    )
    await upload_of(session, "reference.csv", purpose=purpose.REFERENCE_DATA, owner_user_id=owner, **challenge)
    files["File/static"] = await file_of(
        session, "static-plot.svg", purpose=purpose.SUBMISSION_OUTPUT, submission_id=key["Submission"]
    )
    return {**key, **files, "LeaderboardEntry": row["id"], "File/submission": submitted}


def token_of(place: Place) -> str:
    """The secret of the external worker of a place."""
    return f"cw_{place.project}"


def _token(key: UUID, challenge: UUID, secret: str) -> m.Credential:
    return m.Credential(id=key, kind=m.CredentialKind.CHALLENGE_WORKER, algorithm="sha256", secret_hash=digest_of(secret),
                        challenge_id=challenge, expires_at=later(3600))  # fmt: skip


def _submission(key: UUID, challenge: UUID, phase: UUID, owner: UUID, **columns: Any) -> m.Submission:
    return m.Submission(id=key, public_id=f"s-{key}", challenge_id=challenge, phase_id=phase, user_id=owner, **columns)


KINDS = ("Challenge", "Phase", "Registration", "Submission", "Evaluator", "Leaderboard", "ExternalEntry",
         "Credential/challenge", "Job/evaluation", "File/given")  # fmt: skip
"""Those of which there may be further rows."""


async def further(session: AsyncSession, kind: str, here: Mapping[str, UUID], place: Place, owner: UUID) -> UUID:
    """One more row of a kind, beside those of `contest`, which nothing uses."""
    key, name = uuid7(), str(uuid4())
    challenge = {"challenge_id": here["Challenge"]}
    published = (await session.get_one(m.Challenge, here["Challenge"])).published
    match kind:
        case "Challenge":
            session.add(
                m.Challenge(
                    id=key,
                    label=name,
                    start_date=date(2026, 1, 1),
                    url="https://x.example",
                    site_id=place.site,
                    published=published,
                )
            )
        case "Phase":
            session.add(m.Phase(id=key, name=name, **challenge))
        case "Registration":
            held = m.Challenge(id=uuid7(), label=name, start_date=date(2026, 1, 1), url="https://x.example",
                               site_id=place.site, active=True, published=published, organisers_id=here["UserGroup/organisers"])  # fmt: skip
            session.add(held)
            await session.flush()
            session.add(m.Registration(id=key, user_id=owner, challenge_id=held.id))
        case "Submission":
            session.add(_submission(key, here["Challenge"], here["Phase"], owner, status=m.SubmissionStatus.CANCELED))
        case "Evaluator":
            session.add(m.Evaluator(id=key, label=name, **challenge))
        case "Leaderboard":
            session.add(m.Leaderboard(id=key, label=name, **challenge))
        case "ExternalEntry":
            session.add(m.ExternalEntry(id=key, leaderboard_id=here["Leaderboard"], key=name, data={}))
        case "Credential/challenge":
            session.add(_token(key, here["Challenge"], name))
        case "Job/evaluation":
            evaluation = uuid7()
            session.add(m.Evaluation(id=evaluation, submission_id=here["Submission"], ended_at=now(), number=uuid4().int % 10**8 + 2,
                                     evaluator_version_id=here["EvaluatorVersion"], **challenge))  # fmt: skip
            await session.flush()
            session.add(m.Job(id=key, key=name, kind=m.JobKind.SUBMISSION_EVALUATION, owner_user_id=owner, title="x",
                              state=m.JobState.COMPLETED, evaluation_id=evaluation, platform=m.Platform.EXTERNAL))  # fmt: skip
        case "File/given":
            return await file_of(session, name, purpose=m.FilePurpose.CHALLENGE_DATA, **challenge)
        case _:
            raise AssertionError(kind)
    await session.flush()
    return key
