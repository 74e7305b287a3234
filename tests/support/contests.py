"""Contests: a challenge with its phase, evaluator and leaderboard, submissions to it, and their evaluation by hand."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from db import models as m
from resolvers.challenges import arrivals
from resolvers.challenges.boards import build_wanted
from resolvers.challenges.settling import settle
from resolvers.feed import board_topic, submission_topic
from resolvers.files import storing
from resolvers.identity.principal import Principal
from resolvers.spelling import global_id
from resolvers.work.finishing import merge_ready
from schema.fields.scalars import parse_id
from tests.support.filed import upload_of
from tests.support.platforms import Platform
from tests.support.serving import Served
from tests.support.uploading import Uploader
from tests.support.work import RESULTS, claim

SUBMISSION = (
    "id version publicId status statusEndsAt reason{code message} charged hasScores chosen authorLabel history "
    "evaluation{number scores} team{id}"
)
_SHOWN = {
    "Submission": SUBMISSION,
    "Challenge": "id version phases(first:9){nodes{id version name}}",
    "Phase": "id version name",
    "Team": "id members(first:9){nodes{state user{id}}}",
    "Evaluator": "id currentVersion{number}",
    "Reevaluation": "id state total failed",
    "Deleted": "id",
}
_TAKEN = {
    "createChallenge": ("Challenge", "$input:NewChallenge!"),
    "updateChallenge": ("Challenge", "$id:ID!,$expectedVersion:Int!,$input:ChallengeChanges!"),
    "createPhase": ("Phase", "$input:NewPhase!"),
    "updatePhase": ("Phase", "$id:ID!,$expectedVersion:Int!,$input:PhaseChanges!"),
    "upsertEvaluator": ("Evaluator", "$input:NewEvaluator!"),
    "createLeaderboard": ("Leaderboard", "$input:NewLeaderboard!"),
    "updateLeaderboard": ("Leaderboard", "$id:ID!,$expectedVersion:Int!,$input:LeaderboardChanges!"),
    "rebuildLeaderboard": ("Leaderboard", "$id:ID!"),
    "createExternalEntry": ("ExternalEntry", "$input:NewExternalEntry!"),
    "joinChallenge": ("Registration", "$challenge:ID!,$acceptTerms:Boolean!=true"),
    "decideRegistration": ("Registration", "$id:ID!,$accept:Boolean!,$reason:String"),
    "deleteRegistration": ("Deleted", "$id:ID!"),
    "createTeam": ("Team", "$challenge:ID!,$name:String!"),
    "inviteToTeam": ("Team", "$id:ID!,$users:[ID!]!"),
    "joinTeam": ("Team", "$id:ID!"),
    "createSubmission": ("Submission", "$input:NewSubmission!"),
    "evaluateSubmission": ("Submission", "$id:ID!,$extraArguments:[String!]!=[]"),
    "cancelSubmission": ("Submission", "$id:ID!"),
    "withdrawSubmission": ("Submission", "$id:ID!"),
    "chooseSubmission": ("Submission", "$id:ID!"),
    "setSubmissionStatus": ("Submission", "$id:ID!,$status:SubmissionStatus!,$reason:String!"),
    "excludeSubmission": ("Submission", "$id:ID!,$reason:String!"),
    "setAuthorLabel": ("Submission", "$id:ID!,$label:String"),
    "setSubmissionEvaluator": ("Submission", "$id:ID!,$evaluator:ID"),
    "deleteSubmission": ("Deleted", "$id:ID!"),
    "reevaluate": ("Reevaluation", "$phase:ID!"),
    "cancelReevaluation": ("Reevaluation", "$id:ID!"),
}
COLUMNS = [
    {"key": "accuracy", "path": "accuracy", "direction": "DESC"},
    {"key": "seconds", "path": "cost.seconds"},
]
SCHEMA = {"type": "object", "properties": {"accuracy": {"type": ["number", "null"]}}}
ENTRIES = """query($i:ID!,$n:Int,$a:String){leaderboard(id:$i){build{number} entries(first:$n,after:$a){
  nodes{place rank authorLabel data baseline submission{id}} pageInfo{hasNextPage endCursor}}}}"""


async def answer(gateway: Any, as_: Any, name: str, /, **arguments: Any) -> Any:
    """What a mutation answers, to a person of a platform, or to an Authorization header at a gateway on a port."""
    typename, taken = _TAKEN[name]
    given = ",".join(f"{word}:${word}" for word in (part.split(":")[0].strip("$") for part in taken.split(",")))
    shown = f"...on {typename}{{{_SHOWN.get(typename, 'id')}}}"
    query = f"mutation({taken}){{it:{name}({given}){{__typename {shown} ...on Problem{{code message field details}}}}}}"
    return (await gateway.ask(query, as_, **arguments))["it"]


async def done(gateway: Any, as_: Any, name: str, /, **arguments: Any) -> Any:
    """The row that a mutation answers."""
    found = await answer(gateway, as_, name, **arguments)
    assert found["__typename"] != "Problem", found
    return found


async def refused(gateway: Any, as_: Any, name: str, /, **arguments: Any) -> tuple[str, str]:
    """The code and the sentence with which a mutation is refused."""
    found = await answer(gateway, as_, name, **arguments)
    assert found["__typename"] == "Problem", found
    return found["code"], found["message"]


@dataclass(frozen=True)
class Contest:
    """A challenge with one phase, an evaluator and a leaderboard: their ids."""

    challenge: str
    phase: str
    evaluator: str
    board: str


async def contest(
    gateway: Any,
    as_: Any = "root",
    *,
    label: str = "digits",
    challenge: Mapping[str, Any] | None = None,
    phase: Mapping[str, Any] | None = None,
    evaluator: Mapping[str, Any] | None = None,
    board: Mapping[str, Any] | None = None,
    files: Mapping[str, str] | None = None,
) -> Contest:
    """A new contest. Its evaluator has `files` as reference data, and where one is called score.py that as program."""
    given = {"label": label, "startDate": "2026-01-01", **(challenge or {})}
    made = await done(gateway, as_, "createChallenge", input=given)
    (first,) = made["phases"]["nodes"]
    if phase:
        await done(gateway, as_, "updatePhase", id=first["id"], expectedVersion=first["version"], input=phase)
    key = await upserted(gateway, as_, made["id"], label, evaluator, files)
    changes = {"evaluator": key}
    await done(gateway, as_, "updateChallenge", id=made["id"], expectedVersion=made["version"], input=changes)
    ranked = {"columns": COLUMNS, "rankBy": "accuracy", "ties": ["seconds"], "counting": "ALL", **(board or {})}
    shown = await done(
        gateway, as_, "createLeaderboard", input={"challenge": made["id"], "label": f"{label}-board", **ranked}
    )
    return Contest(made["id"], first["id"], key, shown["id"])


async def upserted(
    gateway: Any,
    as_: Any,
    challenge: str,
    label: str = "digits",
    changes: Mapping[str, Any] | None = None,
    files: Mapping[str, str] | None = None,
) -> str:
    """An evaluator, or a new version of it."""
    stored = {name: await stored_for(gateway.services, challenge, name, text) for name, text in (files or {}).items()}
    program = stored.pop("score.py", None)
    what = {"program": "classification"} if program is None else {"programFile": program}
    given = {
        "label": label, "challenge": challenge, "executor": "PYTHON", "scoresSchema": SCHEMA, **what,
        "reference": list(stored.values()), **(changes or {}),
    }  # fmt: skip
    return str((await done(gateway, as_, "upsertEvaluator", input=given))["id"])


async def stored_for(services: Any, challenge: str, name: str, text: str) -> str:
    """A file of a challenge: the program of an evaluator, or its reference data."""
    purpose = m.FilePurpose.EVALUATOR_PROGRAM if name == "score.py" else m.FilePurpose.REFERENCE_DATA
    data = text.encode()
    digest = await storing.place(services, data)
    async with services.database.write(as_system="test") as session:
        file = await storing.store(session, purpose, name, digest, len(data), challenge_id=key_of(challenge))
    return global_id("File", file)


def key_of(id: str) -> UUID:
    """The key in a global id."""
    return parse_id(id)[1]


async def begun(gateway: Any, as_: Any, contest: Contest, **given: Any) -> Any:
    """A submission that waits for its file."""
    return await done(gateway, as_, "createSubmission", input={"phase": contest.phase, **given})


# At a gateway on a port ---------------------------------------------------------------------------------------------


async def sent(gateway: Served, as_: str, contest: Contest, data: bytes, name: str = "predictions.csv") -> Any:
    """A submission whose file was uploaded."""
    submission = await begun(gateway, as_, contest)
    await Uploader(gateway, as_).brought(data, name, purpose="SUBMISSION_INPUT", target=submission["id"])
    return submission


async def until(gateway: Served, as_: str, submission: Any, reached: Callable[[Any], bool], seconds: float = 60) -> Any:
    """A submission, as soon as it is so."""
    with gateway.services.feed.subscription(submission_topic(key_of(submission["id"]))) as changes:
        async with asyncio.timeout(seconds):
            while not reached(found := await read(gateway, as_, submission)):
                await changes.next()
    return found


ENDED = ("COMPLETED", "FAILED", "CANCELED", "INVALID", "WITHDRAWN", "NO_EVAL", "NO_AUTO_EVAL")


async def ended(gateway: Served, as_: str, submission: Any, seconds: float = 60) -> Any:
    """A submission for which nothing is under way any more."""
    return await until(gateway, as_, submission, lambda found: found["status"] in ENDED, seconds)


async def shown(gateway: Served, as_: str, contest: Contest, reached: Callable[[list[Any]], bool]) -> list[Any]:
    """The entries of the leaderboard, as soon as they are so."""
    with gateway.services.feed.subscription(board_topic(key_of(contest.board))) as changes:
        async with asyncio.timeout(30):
            while not reached(found := await entries(gateway, as_, contest)):
                await changes.next()
    return found


# Without HTTP, by hand ----------------------------------------------------------------------------------------------


async def brought(platform: Platform, submission: Any, data: bytes = b"id,label\n1,one\n") -> None:
    """Bring the file of a submission, as an upload does that was checked."""
    digest, key = await storing.place(platform.services, data), key_of(submission["id"])
    async with platform.services.database.write(as_system="test") as session:
        row = await session.get_one(m.Submission, key)
        of = {"submission_id": key, "owner_user_id": row.user_id, "challenge_id": row.challenge_id}
        purpose = m.FilePurpose.SUBMISSION_INPUT
        upload = await session.get_one(m.Upload, (await upload_of(session, "x.csv", purpose=purpose, **of))[0])
        await arrivals.came(session, upload)
        await session.refresh(row)
        if row.status is not m.SubmissionStatus.VALIDATING:
            return
        file = await storing.store(session, purpose, "predictions.csv", digest, len(data), **of)
        await arrivals.taken(session, upload, await session.get_one(m.File, file))


async def submitted(platform: Platform, as_: str, contest: Contest, **given: Any) -> Any:
    """A submission whose file has come."""
    submission = await begun(platform, as_, contest, **given)
    await brought(platform, submission)
    return submission


async def claimed(platform: Platform, number: int = 9) -> list[tuple[Principal, str]]:
    """The workers of the evaluations whose turn it is, in order, each with the id of its submission."""
    found = []
    for worker in await claim(platform, number):
        assert worker.task_claim is not None
        wanted = sa.select(m.Evaluation.submission_id).join(m.Job, m.Job.evaluation_id == m.Evaluation.id)
        (row,) = await platform.services.database.rows(wanted.where(m.Job.id == worker.task_claim.job_id))
        found.append((worker, global_id("Submission", row[0])))
    return found


async def scored(platform: Platform, worker: Principal, scores: Any) -> None:
    """Let a worker deliver scores."""
    await platform.ask(RESULTS, worker, e=scores)
    await merge_ready(platform.services)


async def completed(platform: Platform, as_: str, contest: Contest, scores: Any, **given: Any) -> Any:
    """A submission that has these scores; nothing else must wait to be evaluated."""
    submission = await submitted(platform, as_, contest, **given)
    ((worker, of),) = await claimed(platform)
    assert of == submission["id"]
    await scored(platform, worker, scores)
    return submission


async def passed(platform: Platform) -> None:
    """One pass of what follows submissions and builds leaderboards in the background."""
    await settle(platform.services)
    await build_wanted(platform.services)


async def read(gateway: Any, as_: Any, submission: Any) -> Any:
    query = f"query($i:ID!){{submission(id:$i){{{SUBMISSION}}}}}"
    return (await gateway.ask(query, as_, i=submission["id"]))["submission"]


async def status_of(gateway: Any, as_: Any, submission: Any) -> tuple[str, str | None]:
    """The status of a submission, and the code of its reason."""
    found = await read(gateway, as_, submission)
    return found["status"], found["reason"] and found["reason"]["code"]


async def entries(gateway: Any, as_: Any, contest: Contest, number: int = 100) -> list[Any]:
    return list((await gateway.ask(ENTRIES, as_, i=contest.board, n=number))["leaderboard"]["entries"]["nodes"])


async def set_row(platform: Any, model: Any, id: str, **columns: Any) -> None:
    """Change a row behind the API's back, to bring a moment near."""
    async with platform.services.database.write(as_system="test") as session:
        await session.execute(sa.update(model).where(model.id == key_of(id)).values(columns))
