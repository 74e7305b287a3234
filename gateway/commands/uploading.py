"""`torana upload`: bring a file to a gateway by tus, with a bar, and go on where it was left."""

import contextlib
import hashlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import httpx2
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from db.models import FilePurpose
from gateway.commands.remote import AGAIN, HERE, PATIENCE, Gateway, Token, ask, connected
from gateway.commands.terminal import WRONG, fail
from gateway.protocol.tus.endpoint import MEDIA, VERSION
from resolvers.failures import Failure
from schema.fields.scalars import parse_id

CHUNK = 1 << 20
PURPOSES = {"Session": "SESSION_ASSET", "Project": "DATASET", "Submission": "SUBMISSION_INPUT"}
"""What a file is for that belongs to a row of this type."""
NAMED = "the id of a session, project, submission or challenge"
OF_CHALLENGE = ("REFERENCE_DATA", "CHALLENGE_DATA", "EVALUATOR_PROGRAM")
"""What a file of a challenge may be for."""
_OPEN = """query($c:String!,$n:String!){uploads(first:1,filter:{checksum:{in:[$c]},name:{in:[$n]},state:{in:[OPEN]}}){
  nodes{id url received}}}"""
_BEGIN = """mutation($i:NewUpload!){createUpload(input:$i){
  ...on UploadBegun{upload{id url received}} ...on Problem{code message}}}"""
_STATE = "query($id:ID!){upload(id:$id){state refusal{code message entry} file{id state}}}"


def upload(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="The file.")],
    to: Annotated[
        str, typer.Option(help="The id of a session, project, submission or challenge; or a purpose such as DATASET.")
    ],
    purpose: Annotated[
        str | None, typer.Option("--as", help=f"What it is for, in a challenge: {', '.join(OF_CHALLENGE)}.")
    ] = None,
    gateway: Gateway = HERE,
    token: Token = "",
) -> None:
    """Upload a file, or go on with an upload of it that was broken off. The same command goes on."""
    meant, size = _purpose(to, purpose), file.stat().st_size
    if size == 0:
        fail(f"{file.name} is empty: a file has at least one byte", WRONG)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console) as bars, connected(gateway, token) as client:
        ask(client, "{signedIn{__typename}}")  # before the file is read
        digest = _digest(file, size, bars)
        found = _found(client, file.name, digest) or _begun(client, file.name, size, digest, meant)
        bar = bars.add_task("sending", total=size, completed=int(found["received"]))
        _send(client, str(found["url"]), file, size, lambda done: bars.update(bar, completed=done))
        checking = bars.add_task("checking", total=None)
        told = _checked(client, str(found["id"]))
        bars.remove_task(checking)
    if told["state"] != "COMPLETE":
        why = told["refusal"] or {"code": told["state"], "message": "it was not taken"}
        entry = f" ({why['entry']})" if why.get("entry") else ""
        fail(f"{file.name} was refused: {why['message']}{entry}", WRONG)
    typer.echo(told["file"]["id"])


def _digest(file: Path, size: int, bars: Progress) -> str:
    bar, hasher = bars.add_task("reading", total=size), hashlib.sha256()
    with file.open("rb") as content:
        while piece := content.read(CHUNK):
            hasher.update(piece)
            bars.advance(bar, len(piece))
    return hasher.hexdigest()


def _found(client: httpx2.Client, name: str, digest: str) -> Any:
    """One's own upload of the same bytes that was broken off."""
    nodes = ask(client, _OPEN, c=digest, n=name)["uploads"]["nodes"]
    return nodes[0] if nodes else None


def _begun(client: httpx2.Client, name: str, size: int, digest: str, purpose: dict[str, str]) -> Any:
    checksum = {"algorithm": "SHA256", "value": digest}
    given = {"name": name, "size": str(size), "checksum": checksum, **purpose}
    made = ask(client, _BEGIN, i=given)["createUpload"]
    if "upload" not in made:
        fail(made["message"], WRONG)
    return made["upload"]


def _purpose(to: str, given: str | None) -> dict[str, str]:
    with contextlib.suppress(Failure):
        typename, _ = parse_id(to)
        if typename == "Challenge":
            if given is None or given.upper() not in OF_CHALLENGE:
                fail(f"say with --as what a file of a challenge is for: {', '.join(OF_CHALLENGE)}")
            return {"purpose": given.upper(), "target": to}
        if typename not in PURPOSES:
            fail(f"files belong to no {typename}; give {NAMED}, or a purpose")
        return {"purpose": PURPOSES[typename], "target": to}
    if (purpose := to.upper()) not in FilePurpose.__members__:
        fail(f"{to[:60]} is no purpose ({', '.join(FilePurpose.__members__)}) and not {NAMED}")
    return {"purpose": purpose}


def _send(client: httpx2.Client, url: str, file: Path, size: int, tell: Any) -> None:
    """Send what lacks; after a break, ask how much came and go on. It is tried for `PATIENCE` seconds after the last
    byte that came."""
    deadline, pause, before = time.monotonic() + PATIENCE, 0.5, -1
    while True:
        why, done = "", before
        try:
            head = client.head(url, headers={"Tus-Resumable": VERSION})
            if head.status_code >= 400 and head.status_code not in AGAIN:
                fail(f"the upload is not there any more (HTTP {head.status_code}); run the command again", WRONG)
            done = int(head.headers.get("Upload-Offset", before))
            tell(max(done, 0))
            if done == size:
                return
            headers = {"Tus-Resumable": VERSION, "Upload-Offset": str(done), "Content-Type": MEDIA}
            headers["Content-Length"] = str(size - done)
            answer = client.patch(url, content=_rest(file, done, tell), headers=headers)
            if answer.status_code == 204 and int(answer.headers["Upload-Offset"]) == size:
                return  # what becomes of it is told by its state
            if answer.status_code == 204:
                continue
            why = str(answer.json()["errors"][0]["message"])
            if answer.status_code not in AGAIN:
                fail(why, WRONG)
        except (httpx2.HTTPError, ValueError, LookupError) as failure:
            why = f"the gateway does not answer: {type(failure).__name__}"
        if done > before:
            deadline, pause, before = time.monotonic() + PATIENCE, 0.5, done
        if time.monotonic() > deadline:
            fail(f"{why}; run the command again to go on", WRONG)
        time.sleep(pause)
        pause = min(2 * pause, 10.0)


def _rest(file: Path, done: int, tell: Any) -> Iterator[bytes]:
    with file.open("rb") as content:
        content.seek(done)
        while piece := content.read(CHUNK):
            yield piece
            done += len(piece)
            tell(done)


def _checked(client: httpx2.Client, key: str) -> Any:
    """The upload once it was checked."""
    while True:
        found = ask(client, _STATE, id=key)["upload"]
        if found is None:
            fail("the upload was removed meanwhile", WRONG)
        if found["state"] not in ("OPEN", "ASSEMBLING"):
            return found
        sys.stderr.flush()
        time.sleep(0.5)
