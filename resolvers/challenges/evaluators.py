"""Evaluators: make one or a new version of one, and discover those of a folder of the gateway's machine."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from db.engine import changed, row_topic
from db.models import (
    Challenge,
    Cluster,
    Evaluator,
    EvaluatorFile,
    EvaluatorFileRole,
    EvaluatorVersion,
    Executor,
    File,
    FilePurpose,
    FileState,
    Platform,
)
from db.types import uuid7
from db.written import because
from jobs.programs.evaluation import MOST, bounds_of
from jobs.programs.evaluators import BUILT_IN
from resolvers.access import json_schemas
from resolvers.access.policy import policy_of
from resolvers.challenges.names import one_line
from resolvers.context import Context
from resolvers.failures import Conflict, Invalid, LimitExceeded, WrongState
from resolvers.writing.audit import record
from resolvers.writing.refusals import writing
from resolvers.writing.rows import locked, require, seen

NAMES = sorted(BUILT_IN)
"""The built-in programs."""
TOGETHER = 20_000
"""The most bytes of the arguments of one kind: a command has all of them."""
FILES = 100
"""The most files of a version."""
ARGUMENTS = 50
"""The most arguments, each of at most 1000 characters."""
_PURPOSES: Mapping[EvaluatorFileRole, FilePurpose] = {
    EvaluatorFileRole.PROGRAM: FilePurpose.EVALUATOR_PROGRAM,
    EvaluatorFileRole.REFERENCE: FilePurpose.REFERENCE_DATA,
    EvaluatorFileRole.GIVEN: FilePurpose.CHALLENGE_DATA,
}
_FIELDS = {EvaluatorFileRole.PROGRAM: "programFile", EvaluatorFileRole.REFERENCE: "reference",
           EvaluatorFileRole.GIVEN: "given"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NewVersion:
    """What a version of an evaluator is to be. `files` are keys by their roles."""

    executor: Executor
    program: str | None = None
    executor_arguments: Sequence[str] = ()
    arguments: Sequence[str] = ()
    entry_point: str | None = None
    scores_schema: Mapping[str, Any] | None = None
    bounds: Mapping[str, Any] = field(default_factory=dict)
    cluster: UUID | None = None
    files: Mapping[EvaluatorFileRole, Sequence[UUID]] = field(default_factory=dict)


async def upsert(ctx: Context, label: str, new: NewVersion, *, challenge: UUID | None = None, host: str = "") -> UUID:
    """Make an evaluator, or a new version of the one with this label and host, which is the current one from then on.
    One that equals the current version changes nothing. Returns the key of the evaluator."""
    label = one_line(label, 100, "a label", "input.label")
    async with writing(ctx, "UPSERT", Evaluator) as session:
        if challenge is not None:
            await seen(session, ctx, Challenge, challenge, field="input.challenge")
        known = sa.select(Evaluator).where(Evaluator.label == label, Evaluator.host == host).with_for_update()
        evaluator = (await session.scalars(known)).one_or_none()
        if evaluator is None:
            evaluator = Evaluator(id=uuid7(), label=label, host=host, challenge_id=challenge)
            session.add(evaluator)
            await session.flush()
        elif challenge is not None and evaluator.challenge_id != challenge:
            raise Conflict("another evaluator has this label", field="input.label")
        await require(session, ctx, evaluator, policy_of(Evaluator).create, "make")
        version = await _version(session, ctx, evaluator, new)
        await session.flush()
        record(session, ctx, "UPSERT", "Evaluator", evaluator.id, label=label, number=version)
        return evaluator.id


async def _version(session: AsyncSession, ctx: Context, evaluator: Evaluator, new: NewVersion) -> int:
    schema = _checked(new)
    files = await _files(session, ctx, evaluator, new)
    await _check_cluster(session, ctx, new)
    digest = _digest(new, schema, files)
    if evaluator.current_version_id is not None:
        current = await session.get_one(EvaluatorVersion, evaluator.current_version_id)
        if current.digest == digest:
            return current.number
    highest = sa.select(sa.func.max(EvaluatorVersion.number)).where(EvaluatorVersion.evaluator_id == evaluator.id)
    because(session, "a version of an evaluator is made by who looks after that", EvaluatorVersion, EvaluatorFile)
    version = EvaluatorVersion(
        id=uuid7(),
        evaluator_id=evaluator.id,
        number=(await session.scalar(highest) or 0) + 1,
        executor=new.executor,
        program=new.program,
        executor_arguments=list(new.executor_arguments),
        arguments=list(new.arguments),
        entry_point=new.entry_point,
        scores_schema=dict(schema),
        bounds=dict(new.bounds),
        cluster_id=new.cluster,
        digest=digest,
    )
    session.add(version)
    await session.flush()
    session.add_all(
        EvaluatorFile(id=uuid7(), evaluator_version_id=version.id, file_id=file.id, role=role)
        for role, held in files.items()
        for file in held
    )
    evaluator.current_version_id = version.id
    changed(session, row_topic(Evaluator, evaluator.id))
    return version.number


def _checked(new: NewVersion) -> Mapping[str, Any]:
    """The schema of its scores. INVALID for a version that can't work."""
    external, own = new.executor is Executor.EXTERNAL, new.files.get(EvaluatorFileRole.PROGRAM, ())
    if external and (new.program or own):
        raise Invalid("the worker of an organiser has its program with it", field="input.program")
    if not external and bool(new.program) == bool(own):
        raise Invalid("name a built-in program, or give one as a file", field="input.program", allowed=NAMES)
    if len(own) > 1:
        raise Invalid("a program is one file; pack several into a zip", field="input.programFile")
    if new.program is not None and new.program not in BUILT_IN:
        told = f"there is no built-in program {new.program}"
        raise Invalid(told, field="input.program", allowed=NAMES)
    if new.program is not None and new.executor is not Executor.PYTHON:
        raise Invalid("the built-in programs run by PYTHON", field="input.executor")
    check_arguments(new.executor_arguments, "input.executorArguments")
    check_arguments(new.arguments, "input.arguments")
    if new.entry_point is not None and not _plain(new.entry_point):
        raise Invalid(
            "the entry point is a file of the submission, such as main.py or run.sh", field="input.entryPoint"
        )
    try:
        bounds_of(new.bounds)
    except ValueError as error:
        name, _, why = str(error).partition(": ")
        raise Invalid(why or name, field=f"input.bounds.{name}", allowed=MOST.get(name)) from None
    schema = new.scores_schema
    if schema is None:
        schema = BUILT_IN[new.program].schema if new.program is not None else {"type": "object"}
    if (wrong := json_schemas.wrong(schema)) is not None:
        raise Invalid(f"the schema of the scores is none: {wrong}", field="input.scoresSchema")
    return schema


def check_arguments(words: Sequence[str], field: str) -> None:
    """Refuse words that no command should have."""
    if len(words) > ARGUMENTS:
        told = f"at most {ARGUMENTS} arguments, not {len(words)}"
        raise LimitExceeded(told, field=field, limit="arguments", allowed=ARGUMENTS, value=len(words))
    for n, word in enumerate(words):
        if not 1 <= len(word) <= 1000 or not word.isprintable():
            raise Invalid("an argument has 1 to 1000 characters that can be seen", field=f"{field}.{n}")
    if (size := sum(len(word.encode()) for word in words)) > TOGETHER:
        told = f"arguments have at most {TOGETHER:,} bytes together, not {size:,}"
        raise LimitExceeded(told, field=field, limit="arguments", allowed=TOGETHER, value=size)


def _plain(name: str) -> bool:
    parts = name.split("/")
    return (
        len(name) <= 255
        and name.isprintable()
        and all(part not in ("", ".", "..") for part in parts)
        and (name.endswith((".py", ".sh")))
    )


async def _files(
    session: AsyncSession, ctx: Context, evaluator: Evaluator, new: NewVersion
) -> Mapping[EvaluatorFileRole, Sequence[File]]:
    found: dict[EvaluatorFileRole, list[File]] = {}
    if sum(map(len, new.files.values())) > FILES:
        raise Invalid(f"a version has at most {FILES} files", field="input.reference", allowed=FILES)
    for role, keys in new.files.items():
        for n, key in enumerate(keys):
            at = f"input.{_FIELDS[role]}" + ("" if role is EvaluatorFileRole.PROGRAM else f".{n}")
            file = await seen(session, ctx, File, key, field=at)
            if file.purpose is not _PURPOSES[role]:
                raise Invalid(f"a file of purpose {_PURPOSES[role].name} is needed, not {file.purpose.name}", field=at)
            if file.challenge_id != evaluator.challenge_id:
                raise Invalid("the file is of another challenge", field=at)
            if file.state is not FileState.READY:
                raise WrongState(f"the file is {file.state.name}", field=at, state=file.state.name)
            if role is EvaluatorFileRole.PROGRAM:
                _check_program(new.executor, file.name, at)
            found.setdefault(role, []).append(file)
    return found


ENDS: Mapping[Executor, tuple[str, ...]] = {
    Executor.PYTHON: (".py", ".zip"),
    Executor.BASH: (".sh", ".zip"),
    Executor.SBATCH: (".sh", ".zip"),
    Executor.CONTAINER: (".tar",),
}
"""How the names of programs end."""


def _check_program(executor: Executor, name: str, field: str) -> None:
    ends = ENDS[executor]
    if not name.lower().endswith(ends):
        told = f"the program of {executor.name} is a file that ends with {' or '.join(ends)}"
        raise Invalid(told, field=field, allowed=list(ends))


async def _check_cluster(session: AsyncSession, ctx: Context, new: NewVersion) -> None:
    if new.cluster is None:
        if new.executor is Executor.SBATCH:
            raise Invalid("SBATCH runs on a cluster of Slurm: name it", field="input.cluster")
        return
    cluster = await locked(session, ctx, Cluster, new.cluster, field="input.cluster")
    if new.executor is Executor.EXTERNAL:
        raise Invalid("the worker of an organiser runs on no cluster", field="input.cluster")
    if new.executor is Executor.SBATCH and cluster.platform is not Platform.SLURM:
        raise Invalid("SBATCH runs on a cluster of Slurm", field="input.cluster")


def _digest(new: NewVersion, schema: Mapping[str, Any], files: Mapping[EvaluatorFileRole, Sequence[File]]) -> str:
    """The SHA-256 of all that decides the scores."""
    described = {
        "executor": new.executor.name,
        "program": new.program,
        "executorArguments": list(new.executor_arguments),
        "arguments": list(new.arguments),
        "entryPoint": new.entry_point,
        "schema": dict(schema),
        "bounds": {name: float(value) for name, value in new.bounds.items()},
        "cluster": None if new.cluster is None else str(new.cluster),
        "files": {role.name: sorted([file.name, file.digest or ""] for file in held) for role, held in files.items()},
    }
    return hashlib.sha256(orjson.dumps(described, option=orjson.OPT_SORT_KEYS)).hexdigest()
