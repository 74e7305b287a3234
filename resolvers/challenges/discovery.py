"""Discover the evaluators that the index of a folder on the gateway's own machine describes."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa

from db.models import Cluster, Evaluator, EvaluatorFileRole, Executor, File, FilePurpose, FileState
from db.searching.folding import composed
from jobs.programs.evaluation import bounds_of
from resolvers.access import json_schemas
from resolvers.challenges.evaluators import ENDS, FILES, NewVersion, check_arguments, upsert
from resolvers.context import Context
from resolvers.documents import Unreadable, content, document, within
from resolvers.failures import Failure, Forbidden
from resolvers.files import storing
from resolvers.mail.templates import printable

INDEX = "index.yml"
EVALUATORS = 1_000
"""The most evaluators of an index."""
PROGRAM, REFERENCE = 16_000_000, 256_000_000
"""The most bytes of a program, and of a file of reference data."""
_EXECUTORS: Mapping[str, Executor] = {"python": Executor.PYTHON, "bash": Executor.BASH, "sbatch": Executor.SBATCH}
"""The executors of an index."""
_FIELDS = {"executor", "script_path", "executor_arguments", "arguments", "reference", "scores_schema", "bounds",
           "cluster"}  # fmt: skip


@dataclass
class Discovered:
    """The labels of evaluators that were made, that got a new version, and that were left as they are; and what could
    not be made, each with its label and the reason."""

    made: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Described:
    """An evaluator of an index: its version but for the files, which are not stored yet."""

    executor: Executor
    script: Path
    executor_arguments: Sequence[str]
    arguments: Sequence[str]
    references: Sequence[Path]
    scores_schema: Mapping[str, Any] | None
    bounds: Mapping[str, Any]
    cluster: str | None


async def discover(ctx: Context, folder: Path, host: str = "") -> Discovered:
    """Make the evaluators of `index.yml` in a folder, and new versions of those that changed. A bad one keeps no other
    out. Their programs and reference data lie in the folder."""
    if not ctx.principal.superadmin:
        raise Forbidden("only superadmins may discover evaluators")
    found, taken = Discovered(), set[str]()
    try:
        index = await asyncio.to_thread(_index, folder)
    except Unreadable as error:
        found.problems.append(f"{INDEX}: {error}")
        return found
    for written, given in index.items():
        label = composed(written.strip())
        try:
            if label in taken:
                raise Unreadable("another evaluator of the index has this label")
            taken.add(label)
            described = await asyncio.to_thread(_described, folder, label, given)
            (await _make(ctx, folder, label, host, described, found)).append(label)
        except Forbidden:
            raise
        except (Unreadable, Failure) as error:
            at = error.field if isinstance(error, Failure) and error.field else None
            found.problems.append(_printed(f"{label}: {f'{at}: ' if at else ''}{error}"))
    return found


def _index(folder: Path) -> dict[str, Any]:
    given = document(folder, folder / INDEX)
    evaluators = given.get("evaluators") if isinstance(given, dict) else None
    if not isinstance(evaluators, dict):
        raise Unreadable("it has an object `evaluators`")
    if len(evaluators) > EVALUATORS:
        raise Unreadable(f"it has more than {EVALUATORS:,} evaluators")
    return evaluators


def _described(folder: Path, label: str, given: object) -> _Described:
    """What an index says of an evaluator, checked before anything of it is stored."""
    if not 1 <= len(label) <= 100 or not printable(label):
        raise Unreadable("a label is one line of 1 to 100 characters")
    if not isinstance(given, dict):
        raise Unreadable("an evaluator is an object with executor and script_path")
    for name in given:
        if name not in _FIELDS:
            raise Unreadable(f"there is no field {name}; there are {', '.join(sorted(_FIELDS))}")
    if given.get("executor") == "docker":
        raise Unreadable("containers are given as images: upload the image, and make a version with executor CONTAINER")
    if given.get("executor") not in _EXECUTORS:
        raise Unreadable(f"executor is one of {', '.join(_EXECUTORS)}")
    executor = _EXECUTORS[given["executor"]]
    ends = ENDS[executor]
    script = _place(folder, given.get("script_path"), "script_path")
    if not script.name.lower().endswith(ends):
        raise Unreadable(f"the program of {executor.name} is a file that ends with {' or '.join(ends)}")
    schema, bounds, cluster = _settings(given)
    if executor is Executor.SBATCH and cluster is None:
        raise Unreadable("sbatch runs on a cluster of Slurm: name it as cluster")
    references = [_place(folder, one, "reference") for one in _list(given, "reference")]
    if len(set(references)) >= FILES:
        raise Unreadable(f"a version has at most {FILES} files")
    return _Described(
        executor,
        script,
        _words(given, "executor_arguments"),
        _words(given, "arguments"),
        list(dict.fromkeys(references)),
        schema,
        bounds,
        cluster,
    )


def _settings(given: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, Mapping[str, Any], str | None]:
    """The schema of the scores, the bounds, and the name of the cluster."""
    schema, bounds, cluster = given.get("scores_schema"), given.get("bounds") or {}, given.get("cluster")
    if schema is not None and not isinstance(schema, dict):
        raise Unreadable("scores_schema is a JSON schema, an object")
    try:
        wrong = None if schema is None else json_schemas.wrong(orjson.loads(orjson.dumps(schema)))
    except TypeError as error:  # a set, say, of which YAML knows
        wrong = str(error)
    if wrong is not None:
        raise Unreadable(f"scores_schema: {wrong}")
    if not isinstance(bounds, dict):
        raise Unreadable("bounds is an object with numbers")
    try:
        bounds_of(bounds)
    except ValueError as error:
        raise Unreadable(f"bounds: {error}") from None
    if cluster is not None and not isinstance(cluster, str):
        raise Unreadable("cluster is the name of a cluster")
    return schema, bounds, cluster


def _list(given: Mapping[str, Any], name: str) -> list[Any]:
    value = given.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Unreadable(f"{name} is a list")
    return value


def _words(given: Mapping[str, Any], name: str) -> list[str]:
    """Arguments: numbers are taken as they would be typed."""
    words = [str(one) if type(one) in (int, float) else one for one in _list(given, name)]
    if not all(isinstance(word, str) for word in words):
        raise Unreadable(f"{name} is a list of texts")
    check_arguments(words, name)
    return words


def _place(folder: Path, given: object, name: str) -> Path:
    """The real file that a path of an index means: one in the folder. A path from the root that leads elsewhere, as old
    indexes have them, means the file of that name in the folder."""
    if not isinstance(given, str) or not given or not given.isprintable():
        raise Unreadable(f"{name} is the path of a file in the folder")
    path = PurePosixPath(given)
    try:
        try:
            real = within(folder, folder / path)
        except Unreadable:
            if not path.is_absolute() or not path.name:
                raise
            real = within(folder, folder / path.name)
    except Unreadable as error:
        raise Unreadable(f"{name} {given[:200]}: {error}") from None
    if not real.is_file():
        raise Unreadable(f"{name} {given[:200]}: this is not a file")
    return real


async def _make(
    ctx: Context, folder: Path, label: str, host: str, described: _Described, found: Discovered
) -> list[str]:
    """Make an evaluator or a version; returns the list that its label belongs to."""
    before = await _current(ctx, label, host)
    cluster = None if described.cluster is None else await _cluster(ctx, described.cluster)
    files = {
        EvaluatorFileRole.PROGRAM: [
            await _stored(ctx, folder, described.script, FilePurpose.EVALUATOR_PROGRAM, PROGRAM)
        ],
        EvaluatorFileRole.REFERENCE: [
            await _stored(ctx, folder, one, FilePurpose.REFERENCE_DATA, REFERENCE) for one in described.references
        ],
    }
    version = NewVersion(
        described.executor,
        executor_arguments=described.executor_arguments,
        arguments=described.arguments,
        scores_schema=described.scores_schema,
        bounds=described.bounds,
        cluster=cluster,
        files={role: keys for role, keys in files.items() if keys},
    )
    await upsert(ctx, label, version, host=host)
    if before is None:
        return found.made
    return found.same if await _current(ctx, label, host) == before else found.changed


async def _current(ctx: Context, label: str, host: str) -> tuple[UUID, UUID | None] | None:
    """The keys of an evaluator and of its current version."""
    wanted = sa.select(Evaluator.id, Evaluator.current_version_id).where(Evaluator.label == label)
    rows = await ctx.database.rows(wanted.where(Evaluator.host == host))
    return (rows[0].id, rows[0].current_version_id) if rows else None


async def _cluster(ctx: Context, name: str) -> UUID:
    rows = await ctx.database.rows(sa.select(Cluster.id).where(Cluster.name == name, Cluster.deleted_at.is_(None)))
    if not rows:
        raise Unreadable(f"there is no cluster {name}")
    key: UUID = rows[0].id
    return key


async def _stored(ctx: Context, folder: Path, path: Path, purpose: FilePurpose, most: int) -> UUID:
    """A file of the platform with the name and the bytes of one of the folder: one that there is, else a new one."""
    name = composed(path.name)
    if not 1 <= len(name) <= 128 or not printable(name):
        raise Unreadable(f"{path.name[:100]}: the name of a file has 1 to 128 characters")
    data = await asyncio.to_thread(content, folder, path, most)
    if not data:
        raise Unreadable(f"{name}: it is empty")
    digest = await asyncio.to_thread(storing.digest_of, data)
    known = sa.select(File.id).where(
        File.purpose == purpose,
        File.state == FileState.READY,
        File.name == name,
        File.digest == digest,
        File.challenge_id.is_(None),
        File.owner_user_id.is_(None),
        File.deleted_at.is_(None),
    )
    if rows := await ctx.database.rows(known.order_by(File.id).limit(1)):
        key: UUID = rows[0].id
        return key
    await storing.place(ctx.services, data, digest)
    async with ctx.database.write(as_system="bytes of the gateway's own are stored") as session:
        return await storing.store(session, purpose, name, digest, len(data))


def _printed(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text.encode("utf-8", "replace").decode())
