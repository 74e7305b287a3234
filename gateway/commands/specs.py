"""`torana specs`: push specifications to a gateway, and look at what is there."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import httpx2
import typer
from packaging.utils import canonicalize_version

from db.models import TERMINAL
from gateway.commands import tables
from gateway.commands.remote import HERE, Gateway, Token, ask, connected
from gateway.commands.tables import moment, plain
from gateway.commands.terminal import WRONG, fail

specs = typer.Typer(help="Specs of your own, at a gateway.", no_args_is_help=True, rich_markup_mode=None)
LANGUAGES = {".json": "JSON", ".yaml": "YAML", ".yml": "YAML"}
ENDED = {state.name for state in TERMINAL}
PAUSE = 0.3
"""Seconds between two looks at a build."""

_PUT = """mutation($n:String!,$s:SpecSource!,$l:SpecLanguage!,$v:String){
  done:putSpec(name:$n,source:$s,language:$l,version:$v){
    ...on SpecVersion{id name modelCount spec{canonicalName} job{id}} ...on Problem{code message details}}}"""
_JOB = "query($id:ID!){job(id:$id){state error{message} log(last:20){nodes{text}}}}"
_VERSION = "nodes{id name canonicalName title modelCount language updatedAt yankedAt job{state}}"
_LIST = """query($me:ID!,$after:String){specs(first:100,after:$after,filter:{owner:{ids:[$me]}}){
  nodes{name canonicalName state updatedAt latestVersion{name modelCount title}} pageInfo{hasNextPage endCursor}}}"""
_ONE = f"""query($n:String!,$after:String){{spec(name:$n){{id canonicalName versions(first:100,after:$after){{
  {_VERSION} pageInfo{{hasNextPage endCursor}}}}}}}}"""
_SOURCE = "query($id:ID!){specVersion(id:$id){source}}"
_DIFF = """query($v:ID!,$o:ID!){specDifference(version:$v,other:$o){complete changes{
  part action model name detail before after breaksBackward breaksForward}}}"""
_DELETE = "mutation($id:ID!){done:%s(id:$id){__typename ...on Problem{message}}}"

Name = Annotated[str, typer.Argument(help="The name of the spec.")]
Version = Annotated[str | None, typer.Option(help="The version; without it the latest.")]


@specs.command()
def push(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="A .json or .yaml file.")],
    name: Annotated[str | None, typer.Option(help="The name of the spec; without it that of the file.")] = None,
    version: Annotated[str | None, typer.Option(help="The version, where the file does not say it.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait until its packages are built.")] = True,
    gateway: Gateway = HERE,
    token: Token = "",
) -> None:
    """Store a version of a spec, and have its packages built. All faults of the file are told with their places."""
    with connected(gateway, token) as client:
        try:
            source = file.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError:
            fail(f"{file.name} is no text in UTF-8", WRONG)
        if (language := LANGUAGES.get(file.suffix.lower())) is None:
            fail(f"{file.name} ends with none of {', '.join(LANGUAGES)}", WRONG)
        done = ask(client, _PUT, n=name or file.stem, s=source, l=language, v=version)["done"]
        if "code" in done:
            faults = (done["details"] or {}).get("faults", ())
            for fault in faults:
                typer.echo(plain(f"{file.name}: {fault['pointer'] or '/'}: {fault['message']}"), err=True)
            fail(f"{file.name} was not taken: {len(faults)} faults" if faults else plain(done["message"]), WRONG)
        typer.echo(f"{done['spec']['canonicalName']} {done['name']}: {done['modelCount']} models")
        if wait:
            _wait(client, done["job"]["id"])


def _wait(client: httpx2.Client, job: str) -> None:
    while (told := ask(client, _JOB, id=job)["job"])["state"] not in ENDED:
        time.sleep(PAUSE)
    if told["state"] != "COMPLETED":
        for line in told["log"]["nodes"]:
            typer.echo(plain(line["text"]), err=True)
        fail(plain(f"its packages were not built: {(told['error'] or {}).get('message', told['state'])}"), WRONG)
    typer.echo("its packages are built")


@specs.command()
def pull(
    name: Name,
    version: Version = None,
    output: Annotated[Path | None, typer.Option(help="The file to write; without it the terminal.")] = None,
    gateway: Gateway = HERE,
    token: Token = "",
) -> None:
    """Print the source of a version, as it was pushed."""
    with connected(gateway, token) as client:
        source = ask(client, _SOURCE, id=_version(*_spec(client, name), version)["id"])["specVersion"]["source"]
    if output is None:
        sys.stdout.buffer.write(source.encode())
        sys.stdout.flush()
    else:
        output.write_bytes(source.encode())


@specs.command("list")
def list_(gateway: Gateway = HERE, token: Token = "") -> None:
    """List your specs with their latest versions."""
    with connected(gateway, token) as client:
        me = ask(client, "{viewer{id specModelCount specModelLimit}}")["viewer"]
        rows = _every(lambda after: ask(client, _LIST, me=me["id"], after=after)["specs"])
    columns = {"name": "canonicalName", "latest": "latestVersion.name", "models": "latestVersion.modelCount",
               "state": "state", "changed": moment("updatedAt"), "title": "latestVersion.title"}  # fmt: skip
    typer.echo(tables.columns(rows, columns))
    limit = "" if me["specModelLimit"] is None else f" of {me['specModelLimit']}"
    typer.echo(f"{me['specModelCount']}{limit} models")


@specs.command()
def versions(name: Name, gateway: Gateway = HERE, token: Token = "") -> None:
    """List the versions of a spec, the one that was stored last first."""
    with connected(gateway, token) as client:
        _, rows = _spec(client, name)
    columns = {"version": "name", "models": "modelCount", "packages": "job.state", "yanked": moment("yankedAt"),
               "changed": moment("updatedAt"), "title": "title"}  # fmt: skip
    typer.echo(tables.columns(rows, columns))


@specs.command()
def diff(
    name: Name,
    version: Annotated[str, typer.Argument(help="A version.")],
    other: Annotated[str | None, typer.Argument(help="What it is compared with; without it the latest.")] = None,
    gateway: Gateway = HERE,
    token: Token = "",
) -> None:
    """Print what differs in another version of a spec; what breaks rows or code is marked with `!`, and with `~` what
    code of the version before does not know."""
    with connected(gateway, token) as client:
        spec, rows = _spec(client, name)
        given = {"v": _version(spec, rows, version)["id"], "o": _version(spec, rows, other)["id"]}
        found = ask(client, _DIFF, **given)["specDifference"]
    for one in found["changes"]:
        what = f"{one['model']}.{one['name']}" if one["name"] else one["model"]
        values = f": {one['before']} -> {one['after']}" if one["action"] == "CHANGED" else ""
        mark = "!" if one["breaksBackward"] else "~" if one["breaksForward"] else " "
        detail = f" {one['detail']}" if one["detail"] else ""
        typer.echo(plain(f"{mark} {one['action'].lower()} {one['part'].lower()} {what}{detail}{values}"))
    if not found["complete"]:
        typer.echo("there is more")


@specs.command()
def delete(
    name: Name,
    version: Annotated[str | None, typer.Option(help="The version; without it the whole spec.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    gateway: Gateway = HERE,
    token: Token = "",
) -> None:
    """Delete a spec with all its versions and packages, or one version."""
    with connected(gateway, token) as client:
        spec, rows = _spec(client, name)
        what = spec["canonicalName"] if version is None else f"{spec['canonicalName']} {version}"
        mutation, key = ("deleteSpec", spec["id"])
        if version is not None:
            mutation, key = "deleteSpecVersion", _version(spec, rows, version)["id"]
        if not yes:
            typer.confirm(f"delete {what} with its packages?", abort=True)
        done = ask(client, _DELETE % mutation, id=key)["done"]
        if "message" in done:
            fail(plain(done["message"]), WRONG)
    typer.echo(f"{what} is deleted")


def _spec(client: httpx2.Client, name: str) -> tuple[Any, list[Any]]:
    """The spec, and all its versions. Ends the command where there is none."""
    found: dict[str, Any] = {}

    def page(after: str | None) -> Any:
        spec = ask(client, _ONE, n=name, after=after)["spec"]
        if spec is None:
            fail(f"you have no spec called {plain(name)}", WRONG)
        found.update(spec)
        return spec["versions"]

    rows = _every(page)
    return found, rows


def _every(page: Callable[[str | None], Any]) -> list[Any]:
    """The rows of all pages of a connection."""
    rows: list[Any] = []
    after = None
    while True:
        found = page(after)
        rows += found["nodes"]
        if not found["pageInfo"]["hasNextPage"]:
            return rows
        after = found["pageInfo"]["endCursor"]


def _version(spec: Any, rows: list[Any], version: str | None) -> Any:
    """One of the versions of a spec, by any name that is equal by PEP 440; without one the latest."""
    found = [row for row in rows if version is None or row["canonicalName"] == canonicalize_version(version)]
    if not found:
        fail(f"{spec['canonicalName']} has no version {plain(version or '')}".rstrip(), WRONG)
    return found[0]
