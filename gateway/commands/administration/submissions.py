"""torana submissions: what was submitted, its evaluations, and what organisers decide about it."""

import os
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from db.models import SubmissionStatus
from db.storage.storage import CHUNK
from gateway.commands.administration.arguments import NONE, evaluator, id_of, labelled, phase
from gateway.commands.administration.asking import Asking, Refusal, among, is_, listing, uuid_of, writing
from gateway.commands.administration.commands import Limit, Shown, Yes, command, confirm, group, one, rows
from gateway.commands.tables import Cell, Row, columns, moment, plain
from resolvers.challenges.statuses import BY_HAND
from resolvers.failures import Code, Failure
from resolvers.files import receiving
from schema.fields.scalars import key_of

submissions = group("submissions", "Submissions to challenges, and their evaluations.")

_ROW = """id version publicId status statusChangedAt submittedAt authorLabel hasScores
    challenge { label } phase { name } owner { username } team { name } evaluator { label } reason { code message }"""
_LIST = listing("submissions", "Submission", _ROW)
_SHOWN = f"""{_ROW} statusEndsAt charged history evaluations(first: 100) {{ nodes {{
    number endedAt extraArguments error {{ code message }} evaluatorVersion {{ number evaluator {{ label }} }}
    job {{ id state }} }} }}"""
_FILES = listing("files", "File", "id name purpose state size digest createdAt")
_LINES = """query($id: ID!, $after: String) { job(id: $id) { log(first: 1000, after: $after) {
    nodes { sequence text file at } pageInfo { hasNextPage endCursor } } } }"""
_SUBMISSION = f"Submission {{ {_ROW} }}"
_CREATE = writing("createSubmission", "Submission { id publicId }", input="NewSubmission!")
_UPLOAD = writing("createUpload", "UploadBegun { upload { id } }", input="NewUpload!")
_EVALUATE = writing("evaluateSubmission", _SUBMISSION, id="ID!", extraArguments="[String!]!")
_CANCEL = writing("cancelSubmission", _SUBMISSION, id="ID!")
_STATUS = writing("setSubmissionStatus", _SUBMISSION, id="ID!", status="SubmissionStatus!", reason="String!")
_EXCLUDE = writing("excludeSubmission", _SUBMISSION, id="ID!", reason="String!")
_AUTHOR = writing("setAuthorLabel", _SUBMISSION, id="ID!", label="String")
_EVALUATOR = writing("setSubmissionEvaluator", _SUBMISSION, id="ID!", evaluator="ID")
_ARCHIVE = writing("archiveSubmission", _SUBMISSION, id="ID!")
_DELETE = writing("deleteSubmission", "Deleted { id at }", id="ID!")
_REEVALUATE = writing("reevaluate", "Reevaluation { id state total }", phase="ID!")

Status = Enum("Status", {status.name: status.name for status in SubmissionStatus})  # type: ignore[misc]
Given = Enum("Given", {status.name: status.name for status in BY_HAND})  # type: ignore[misc]
Submission = Annotated[str, typer.Argument(help="A submission, by its public id or its id.")]
Challenge = Annotated[str, typer.Argument(help="A challenge, by its label or id.")]
Reason = Annotated[str, typer.Argument(help="Why, for its submitter.")]
OfUser = Annotated[str | None, typer.Option(help="Of this user, by username, e-mail address or id.")]
OfChallenge = Annotated[str | None, typer.Option(help="To this challenge, by its label or id.")]
OfPhase = Annotated[str | None, typer.Option("--phase", help="The phase, by its name; needed where there are several.")]


@command(submissions, "list")
async def list_submissions(
    ask: Asking,
    user: OfUser = None,
    challenge: OfChallenge = None,
    status: Annotated[list[Status] | None, typer.Option(help="In this status; may be given again.")] = None,
    of_phase: Annotated[str | None, typer.Option("--phase", help="To the phase of this name.")] = None,
    limit: Limit = None,
) -> Shown:
    """List submissions, the latest first."""
    found = await ask.all(
        _LIST,
        limit,
        owner=is_(await ask.id("User", user)),
        challenge=is_(await id_of(ask, "Challenge", challenge)),
        status=among([one.value for one in status or ()]),
        phase=None if of_phase is None else {"name": {"equals": of_phase}},
    )
    return rows(
        found,
        {
            "id": "publicId",
            "status": "status",
            "since (UTC)": moment("statusChangedAt"),
            "challenge": "challenge.label",
            "phase": "phase.name",
            "by": "owner.username",
            "team": "team.name",
            "scores": "hasScores",
            "why": _why,
        },
    )


def _why(node: Row) -> str:
    """Why it has its status, or no scores."""
    why = node.get("reason") or node.get("error")
    return f"{why['code']}: {why['message']}" if why else ""


@command(submissions, "show")
async def show(ask: Asking, id: Submission) -> Shown:
    """Show a submission with its statuses and its evaluations."""
    node = await labelled(ask, "Submission", id, _SHOWN)
    cells: dict[str, Cell] = {
        "public id": "publicId",
        "id": lambda node: uuid_of(node["id"]),
        "challenge": "challenge.label",
        "phase": "phase.name",
        "by": "owner.username",
        "team": "team.name",
        "author": "authorLabel",
        "status": "status",
        "since (UTC)": moment("statusChangedAt"),
        "until (UTC)": moment("statusEndsAt"),
        "why": _why,
        "evaluator": lambda node: node["evaluator"]["label"] if node["evaluator"] else "that of the challenge",
        "scores": "hasScores",
        "in the quota": "charged",
        "submitted (UTC)": moment("submittedAt"),
        "statuses": lambda node: [f"{one['status']} {one['at'][:19].replace('T', ' ')}" for one in node["history"]],
    }
    evaluations: dict[str, Cell] = {
        "evaluation": "number",
        "evaluator": "evaluatorVersion.evaluator.label",
        "version": "evaluatorVersion.number",
        "job": "job.state",
        "ended (UTC)": moment("endedAt"),
        "arguments": lambda node: " ".join(node["extraArguments"]),
        "why": _why,
    }
    tables = [columns(node["evaluations"]["nodes"], evaluations)] if node["evaluations"]["nodes"] else []
    return Shown(node, "\n\n".join([one(node, cells).text, *tables]))


@command(submissions, "create")
async def create(
    ask: Asking,
    challenge: Challenge,
    user: Annotated[str, typer.Argument(help="Whose submission it is, by username.")],
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="What is submitted.")],
    of_phase: OfPhase = None,
    author: Annotated[str | None, typer.Option(help="What leaderboards name as its author.")] = None,
) -> Shown:
    """Submit a file for a user, as that user: while the phase takes submissions, and within the user's quota."""
    owner = await ask.as_owner(user)
    found = await phase(owner, challenge, of_phase)
    made = await owner.write(_CREATE, input={"phase": found["id"], "authorLabel": author})
    try:
        await _send(owner, made["id"], file)
    except (Failure, Refusal, OSError):
        await owner.write(_CANCEL, id=made["id"])
        raise
    return Shown(made, f"submitted {made['publicId']}; a running gateway checks and evaluates it")


async def _send(owner: Asking, submission: str, file: Path) -> None:
    """Bring the file of a submission."""
    size = os.stat(file).st_size
    asked = {"purpose": "SUBMISSION_INPUT", "name": file.name, "size": str(size), "target": submission}
    key = key_of("Upload", (await owner.write(_UPLOAD, input=asked))["upload"]["id"])
    async with receiving.receiving(owner.context, key, 0, size) as at:
        with file.open("rb") as content:
            while piece := content.read(CHUNK):
                await at.take(piece)
        await at.finish()


@command(submissions, "eval")
async def evaluate(
    ask: Asking,
    id: Submission,
    words: Annotated[list[str] | None, typer.Argument(help="Further arguments of the evaluator, after --.")] = None,
) -> Shown:
    """Evaluate a submission, for the first time or again."""
    return await _written(ask, _EVALUATE, id, extraArguments=list(words or ()))


@command(submissions, "cancel")
async def cancel(ask: Asking, id: Submission, yes: Yes = False) -> Shown:
    """Cancel what is under way for a submission. One that has scores keeps them."""
    confirm("Cancel what is under way for it?", yes=yes)
    return await _written(ask, _CANCEL, id)


@command(submissions, "status")
async def status(
    ask: Asking,
    id: Submission,
    status: Annotated[Given, typer.Argument(help="COMPLETED only where it has scores.")],
    reason: Reason,
) -> Shown:
    """Set the status of a submission for which nothing is under way."""
    return await _written(ask, _STATUS, id, status=status.value, reason=reason)


@command(submissions, "exclude")
async def exclude(ask: Asking, id: Submission, reason: Reason) -> Shown:
    """Keep a submission off leaderboards. The status COMPLETED brings it back."""
    return await _written(ask, _EXCLUDE, id, reason=reason)


@command(submissions, "archive")
async def archive(ask: Asking, id: Submission, yes: Yes = False) -> Shown:
    """Set a submission aside for good: scores and file stay, it is not evaluated any more."""
    confirm("Archive it? What its evaluations wrote beside the scores goes.", yes=yes)
    return await _written(ask, _ARCHIVE, id)


@command(submissions, "author")
async def author(
    ask: Asking, id: Submission, label: Annotated[str, typer.Argument(help="The author; - for the team or user.")]
) -> Shown:
    """Say what leaderboards name as the author of a submission."""
    return await _written(ask, _AUTHOR, id, label=None if label == NONE else label)


@command(submissions, "evaluator")
async def set_evaluator(
    ask: Asking,
    id: Submission,
    label: Annotated[str, typer.Argument(help="An evaluator, by its label or id; - for that of the challenge.")],
) -> Shown:
    """Have a submission evaluated by another evaluator from now on."""
    return await _written(ask, _EVALUATOR, id, evaluator=None if label == NONE else (await evaluator(ask, label)).id)


async def _written(ask: Asking, document: str, named: str, **values: Any) -> Shown:
    node = await ask.write(document, id=await id_of(ask, "Submission", named), **values)
    return Shown(node, f"{node['publicId']} is {node['status']}")


@command(submissions, "delete")
async def delete(
    ask: Asking,
    ids: Annotated[list[str] | None, typer.Argument(help="Submissions, by their public ids or ids.")] = None,
    user: OfUser = None,
    challenge: OfChallenge = None,
    yes: Yes = False,
) -> Shown:
    """Delete submissions with their files and evaluations: those that are named, or all of a user, a challenge or both.
    Each that can't be deleted is named; the others are deleted."""
    if bool(ids) == (user is not None or challenge is not None):
        raise typer.BadParameter("give ids, or --user, --challenge or both")
    if ids:
        found = [await labelled(ask, "Submission", id) for id in ids]
    else:
        filter = {"owner": is_(await ask.id("User", user)), "challenge": is_(await id_of(ask, "Challenge", challenge))}
        found = (await ask.all(_LIST, **filter)).nodes
    confirm(f"Delete {len(found)} submissions, with their files and evaluations? They can't be brought back.", yes=yes)
    gone, bad = [], 0
    for node in found:
        try:
            gone.append(await ask.write(_DELETE, id=node["id"]))
        except Refusal as refusal:
            bad += 1
            typer.echo(f"{node['publicId']}: {refusal}", err=True)
    if bad:
        raise Refusal(f"{len(gone)} of {len(found)} submissions were deleted", Code.STATE.name)
    return Shown(gone, f"deleted {len(gone)} submissions")


@command(submissions, "log")
async def log(ask: Asking, id: Submission) -> Shown:
    """Print the log of the latest evaluation of a submission."""
    shown = "evaluations(first: 1) { nodes { job { id } } }"
    nodes = (await labelled(ask, "Submission", id, shown))["evaluations"]["nodes"]
    if not nodes or nodes[0]["job"] is None:
        raise Refusal("it was not evaluated", Code.NOT_FOUND.name)
    lines: list[dict[str, Any]] = []
    page: dict[str, Any] = {"hasNextPage": True, "endCursor": None}
    while page["hasNextPage"]:
        read = (await ask.data(_LINES, id=nodes[0]["job"]["id"], after=page["endCursor"]))["job"]["log"]
        lines, page = lines + read["nodes"], read["pageInfo"]
    return Shown(lines, "\n".join(plain(line["text"]) for line in lines))


@command(submissions, "scores")
async def scores(ask: Asking, id: Submission) -> Shown:
    """Print the scores of a submission that count, as JSON."""
    evaluation = (await labelled(ask, "Submission", id, "evaluation { number scores }"))["evaluation"]
    if evaluation is None or evaluation["scores"] is None:
        raise Refusal("it has no scores that you may see", Code.NOT_FOUND.name)
    return Shown(evaluation["scores"], orjson.dumps(evaluation["scores"], option=orjson.OPT_INDENT_2).decode())


@command(submissions, "files")
async def files(ask: Asking, id: Submission) -> Shown:
    """List the file of a submission, and those that evaluations wrote."""
    found = await ask.all(_FILES, submission=is_(await id_of(ask, "Submission", id)))
    cells: dict[str, Cell] = {"name": "name", "for": "purpose", "state": "state", "bytes": "size",
                              "made (UTC)": moment("createdAt"), "SHA-256": "digest",
                              "id": lambda node: uuid_of(node["id"])}  # fmt: skip
    return rows(found, cells)


@command(submissions, "reevaluate")
async def reevaluate(ask: Asking, challenge: Challenge, of_phase: OfPhase = None) -> Shown:
    """Evaluate the completed submissions of a phase again, with the current version of their evaluator."""
    found = await phase(ask, challenge, of_phase)
    made = await ask.write(_REEVALUATE, phase=found["id"])
    return Shown(made, f"{made['total']} submissions to {found['challenge']} are evaluated again")
