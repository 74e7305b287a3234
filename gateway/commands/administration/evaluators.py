"""torana evaluators: what computes the scores of submissions."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.commands.administration.arguments import InLabel, OfChallenge, evaluator, id_of
from gateway.commands.administration.asking import Asking, Refusal, has, is_, listing, uuid_of, writing
from gateway.commands.administration.commands import Limit, Shown, Yes, command, confirm, group, one, rows
from gateway.commands.tables import Cell, Row, columns, moment
from resolvers.challenges import discovery
from resolvers.failures import Code

evaluators = group("evaluators", "What computes the scores of submissions, and its versions.")

_VERSION = """number executor program executorArguments arguments entryPoint bounds digest createdAt cluster { id name }
    evaluatorFiles(first: 100) { nodes { use file { id name } } }"""
_ROW = "id version label host challenge { id label } currentVersion { number executor program }"
_LIST = listing("evaluators", "Evaluator", _ROW)
_SHOW = f"""query($id: ID!) {{ evaluator(id: $id) {{ id version label host challenge {{ id label }}
    currentVersion {{ {_VERSION} scoresSchema }} }} }}"""
_VERSIONS = listing("evaluatorVersions", "EvaluatorVersion", _VERSION)
_UPSERT = writing("upsertEvaluator", f"Evaluator {{ {_ROW} }}", input="NewEvaluator!")
_DELETE = writing("deleteEvaluator", "Deleted { id at }", id="ID!")
_SIZES = {"memory": ("memoryMegabytes", 1 << 20), "output": ("outputMegabytes", 1 << 20),
          "printed": ("printedMegabytes", 1_000_000)}  # fmt: skip
"""Bounds in bytes, with the fields that take them in megabytes."""

Evaluator = Annotated[str, typer.Argument(help="An evaluator, by its label or id.")]


def _of(node: Row) -> str:
    return str(node["challenge"]["label"]) if node["challenge"] else "the platform"


def _names(version: Row, use: str) -> list[str]:
    nodes = version["evaluatorFiles"]["nodes"]
    return [node["file"]["name"] for node in nodes if node["use"] == use and node["file"]]


_CELLS: dict[str, Cell] = {
    "version": "number",
    "runs by": "executor",
    "program": lambda version: version["program"] or _names(version, "PROGRAM"),
    "arguments": lambda version: " ".join(version["arguments"] or ()),
    "executor arguments": lambda version: " ".join(version["executorArguments"] or ()),
    "submitted program": "entryPoint",
    "bounds": lambda version: [f"{name} {value}" for name, value in version["bounds"].items()],
    "reference data": lambda version: _names(version, "REFERENCE"),
    "given data": lambda version: _names(version, "GIVEN"),
    "cluster": "cluster.name",
    "made (UTC)": moment("createdAt"),
    "digest": "digest",
}


@command(evaluators, "list")
async def list_evaluators(
    ask: Asking,
    text: InLabel = None,
    challenge: OfChallenge = None,
    limit: Limit = None,
) -> Shown:
    """List evaluators with the machines that they were discovered on."""
    found = await ask.all(_LIST, limit, label=has(text), challenge=is_(await id_of(ask, "Challenge", challenge)))
    return rows(
        found,
        {
            "label": "label",
            "host": "host",
            "of": _of,
            "version": "currentVersion.number",
            "runs by": "currentVersion.executor",
            "program": "currentVersion.program",
            "id": lambda node: uuid_of(node["id"]),
        },
    )


@command(evaluators, "show")
async def show(ask: Asking, label: Evaluator) -> Shown:
    """Show an evaluator and its current version."""
    node = await _shown(ask, label)
    cells: dict[str, Cell] = {
        "label": "label",
        "id": lambda node: uuid_of(node["id"]),
        "host": "host",
        "of": _of,
    }
    if node["currentVersion"]:
        cells |= {name: _current(cell) for name, cell in _CELLS.items()}
    return one(node, cells)


def _current(cell: Cell) -> Cell:
    return f"currentVersion.{cell}" if isinstance(cell, str) else lambda node: cell(node["currentVersion"])


async def _shown(ask: Asking, label: str) -> dict[str, Any]:
    node: dict[str, Any] = (await ask.data(_SHOW, id=(await evaluator(ask, label)).id))["evaluator"]
    return node


@command(evaluators, "versions")
async def versions(ask: Asking, label: Evaluator) -> Shown:
    """List the versions of an evaluator, the latest first."""
    found = await ask.all(_VERSIONS, evaluator=is_((await evaluator(ask, label)).id))
    nodes = sorted(found.nodes, key=lambda node: -int(node["number"]))
    return Shown(nodes, columns(nodes, _CELLS) if nodes else "none")


@command(evaluators, "args")
async def args(
    ask: Asking,
    label: Evaluator,
    words: Annotated[
        list[str] | None, typer.Argument(help="The arguments of its program, after --; none: no arguments.")
    ] = None,
) -> Shown:
    """Make a version of an evaluator with other arguments; all else stays. The same arguments make none."""
    node = await _shown(ask, label)
    if node["currentVersion"] is None:
        raise Refusal(f"{node['label']} has no version", Code.STATE.name)
    before = node["currentVersion"]["number"]
    made = await ask.write(_UPSERT, input={**_again(node), "arguments": list(words or ())})
    number = made["currentVersion"]["number"]
    said = f"version {number} of {made['label']} is current"
    return Shown(made, said if number != before else f"{said} already, with these arguments")


def _again(node: Row) -> dict[str, Any]:
    """An evaluator as it is, as the input that makes it."""
    version = node["currentVersion"]
    files: dict[str, list[str]] = {"PROGRAM": [], "REFERENCE": [], "GIVEN": []}
    for one_ in version["evaluatorFiles"]["nodes"]:
        if one_["file"] is None:
            raise Refusal("one of its files is gone", Code.STATE.name)
        files[one_["use"]].append(one_["file"]["id"])
    return {
        "label": node["label"],
        "host": node["host"] or "",
        "challenge": node["challenge"] and node["challenge"]["id"],
        "executor": version["executor"],
        "program": version["program"],
        "programFile": files["PROGRAM"][0] if files["PROGRAM"] else None,
        "executorArguments": version["executorArguments"] or [],
        "entryPoint": version["entryPoint"],
        "scoresSchema": version["scoresSchema"],
        "bounds": _bounds(version["bounds"]),
        "reference": files["REFERENCE"],
        "given": files["GIVEN"],
        "cluster": version["cluster"] and version["cluster"]["id"],
    }


def _bounds(bounds: Row) -> dict[str, Any]:
    """Bounds as an input takes them; a Refusal for one that would not stay the same."""
    found: dict[str, Any] = {}
    for name, value in bounds.items():
        field, size = _SIZES.get(name, (name, 1))
        if value % size and name in _SIZES:
            raise Refusal(f"its bound {name} is {value} bytes, and only whole megabytes can be given", field=field)
        found[field] = value // size if name in _SIZES else value
    return found


@command(evaluators, "delete")
async def delete(ask: Asking, label: Evaluator, yes: Yes = False) -> Shown:
    """Delete an evaluator that evaluated nothing; an evaluation stands in the way."""
    found = await evaluator(ask, label)
    confirm(f"Delete the evaluator {found.name}, with its versions? It can't be brought back.", yes=yes)
    return Shown(await ask.write(_DELETE, id=found.id), f"deleted {found.name}")


@command(evaluators, "discover")
async def discover(
    ask: Asking,
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The folder, with its index.")],
    host: Annotated[str, typer.Option(help="The machine that they are of, where that matters.")] = "",
) -> Shown:
    """Make the evaluators that the index of a folder on this machine describes; changed ones get a new version."""
    found = await discovery.discover(ask.context, folder, host)
    told = {"made": found.made, "changed": found.changed, "same": found.same}
    for problem in found.problems:
        typer.echo(problem, err=True)
    text = "\n".join(f"{name}: {', '.join(labels) or 'none'}" for name, labels in told.items())
    if found.problems:
        raise Refusal(f"{len(found.problems)} could not be made; {text.replace(chr(10), '; ')}")
    return Shown({**told, "problems": []}, text)
