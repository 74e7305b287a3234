"""Evaluators that the index of a folder describes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from db import models as m
from db.types import uuid7
from resolvers.challenges.discovery import Discovered, discover
from resolvers.context import Context
from resolvers.failures import Forbidden
from resolvers.identity.principal import OPERATOR
from tests.support.platforms import Platform

ON_SQLITE = True

PYTHON = {"executor": "python", "script_path": "score.py"}


def folder(root: Path, evaluators: Mapping[str, Any], **files: str) -> Path:
    """A folder with an index and programs; `__` in the name of a file is a dot."""
    for name, text in {"score__py": "print(1)", "score__sh": "echo 1", **files}.items():
        path = root / name.replace("__", ".")
        path.write_text(text)
    (root / "index.yml").write_text(yaml.safe_dump({"evaluators": dict(evaluators)}))
    return root


async def discovered(platform: Platform, root: Path, host: str = "") -> Discovered:
    return await discover(Context(platform.services, OPERATOR), root, host)


async def versions(platform: Platform) -> list[tuple[Any, ...]]:
    """The current versions: the evaluator's label, host and number, and the executor."""
    wanted = sa.select(m.Evaluator.label, m.Evaluator.host, m.EvaluatorVersion.number, m.EvaluatorVersion.executor)
    wanted = wanted.join(m.EvaluatorVersion, m.EvaluatorVersion.id == m.Evaluator.current_version_id)
    return [tuple(row) for row in await platform.services.database.rows(wanted.order_by(m.Evaluator.label))]


async def files(platform: Platform) -> list[tuple[Any, ...]]:
    """The files of current versions, by evaluator: their role, name, purpose and owner."""
    wanted = (
        sa.select(
            m.Evaluator.label,
            m.EvaluatorFile.role,
            m.File.name,
            m.File.purpose,
            m.File.owner_user_id,
            m.File.challenge_id,
        )
        .join(m.EvaluatorFile, m.EvaluatorFile.evaluator_version_id == m.Evaluator.current_version_id)
        .join(m.File, m.File.id == m.EvaluatorFile.file_id)
        .order_by(m.Evaluator.label, m.EvaluatorFile.role, m.File.name)
    )
    return [tuple(row) for row in await platform.services.database.rows(wanted)]


async def stored(platform: Platform) -> int:
    (row,) = await platform.services.database.rows(sa.select(sa.func.count(m.File.id)))
    return int(row[0])


@pytest.mark.both
async def test_each_evaluator_of_the_index_is_made(platform: Platform, tmp_path: Path) -> None:
    index = {
        "abx": {**PYTHON, "executor_arguments": ["-OO"], "arguments": ["--levels", 2], "reference": ["labels.csv"],
                "bounds": {"seconds": 60}, "scores_schema": {"type": "object"}},
        "words": {"executor": "bash", "script_path": "score.sh"},
    }  # fmt: skip
    found = await discovered(platform, folder(tmp_path, index, labels__csv="id,label"), "node1")
    assert found == Discovered(made=["abx", "words"])
    assert await versions(platform) == [
        ("abx", "node1", 1, m.Executor.PYTHON),
        ("words", "node1", 1, m.Executor.BASH),
    ]
    program, reference = m.EvaluatorFileRole.PROGRAM, m.EvaluatorFileRole.REFERENCE
    assert await files(platform) == [
        ("abx", program, "score.py", m.FilePurpose.EVALUATOR_PROGRAM, None, None),
        ("abx", reference, "labels.csv", m.FilePurpose.REFERENCE_DATA, None, None),
        ("words", program, "score.sh", m.FilePurpose.EVALUATOR_PROGRAM, None, None),
    ]
    (row,) = await platform.services.database.rows(
        sa.select(m.EvaluatorVersion.arguments, m.EvaluatorVersion.executor_arguments, m.EvaluatorVersion.bounds).where(
            m.EvaluatorVersion.executor == m.Executor.PYTHON
        )
    )
    assert tuple(row) == (["--levels", "2"], ["-OO"], {"seconds": 60})


@pytest.mark.both
async def test_what_is_the_same_is_left_alone_and_its_files_are_used_again(platform: Platform, tmp_path: Path) -> None:
    index = {"a": PYTHON, "b": {"executor": "bash", "script_path": "score.sh"}}
    await discovered(platform, folder(tmp_path, index))
    before = await stored(platform)
    found = await discovered(platform, folder(tmp_path, index, score__sh="echo 2"))
    assert found == Discovered(changed=["b"], same=["a"])
    assert [row[2] for row in await versions(platform)] == [1, 2]
    assert await stored(platform) == before + 1


async def test_one_label_on_two_hosts_is_two_evaluators(platform: Platform, tmp_path: Path) -> None:
    root = folder(tmp_path, {"a": PYTHON})
    for host in ("one", "two"):
        assert (await discovered(platform, root, host)).made == ["a"]


async def test_a_path_of_another_machine_means_the_file_of_that_name(platform: Platform, tmp_path: Path) -> None:
    root = folder(tmp_path, {"a": {**PYTHON, "script_path": "/app-data/evaluators/score.py"}})
    assert await discovered(platform, root) == Discovered(made=["a"])


async def test_a_link_within_the_folder_is_followed(platform: Platform, tmp_path: Path) -> None:
    root = folder(tmp_path, {"a": {**PYTHON, "script_path": "link.py"}})
    (root / "link.py").symlink_to("score.py")
    assert await discovered(platform, root) == Discovered(made=["a"])


WRONG: list[tuple[Any, str]] = [
    ({"executor": "docker", "script_path": "score.py"}, "containers are given as images"),
    ({"executor": "perl", "script_path": "score.py"}, "executor is one of python, bash, sbatch"),
    ({"executor": "python"}, "script_path is the path of a file in the folder"),
    ({"executor": "python", "script_path": "../out.py"}, "it leads out of the folder"),
    ({"executor": "python", "script_path": "link.py"}, "it leads out of the folder"),
    ({"executor": "python", "script_path": "/etc/gone.py"}, "there is no such file"),
    ({"executor": "python", "script_path": "/etc/hostname"}, "there is no such file"),
    ({"executor": "python", "script_path": "."}, "this is not a file"),
    ({"executor": "python", "script_path": "empty.py"}, "it is empty"),
    ({"executor": "python", "script_path": "score.sh"}, "a file that ends with .py or .zip"),
    ({**PYTHON, "executor_arguments": "-x"}, "executor_arguments is a list"),
    ({**PYTHON, "arguments": [["x"]]}, "arguments is a list of texts"),
    ({**PYTHON, "arguments": ["a\nb"]}, "an argument has 1 to 1000 characters"),
    ({**PYTHON, "reference": ["../out.py"]}, "it leads out of the folder"),
    ({**PYTHON, "bounds": {"seconds": -1}}, "bounds: seconds: a number above 0"),
    ({**PYTHON, "bounds": [1]}, "bounds is an object"),
    ({**PYTHON, "scores_schema": {"type": "nothing"}}, "scores_schema: "),
    ({**PYTHON, "scores_schema": "object"}, "scores_schema is a JSON schema"),
    ({**PYTHON, "scores_schema": {"enum": {"a"}}}, "scores_schema: "),
    ({**PYTHON, "cluster": "nowhere"}, "there is no cluster nowhere"),
    ({"executor": "sbatch", "script_path": "score.sh"}, "name it as cluster"),
    ({**PYTHON, "image": "x"}, "there is no field image"),
    ("score.py", "an evaluator is an object"),
]


async def test_bad_evaluators_are_named_and_keep_no_other_out(platform: Platform, tmp_path: Path) -> None:
    (tmp_path / "out.py").write_text("print(1)")
    (tmp_path / "in").mkdir()
    index = {f"bad{n:02}": given for n, (given, _) in enumerate(WRONG)}
    root = folder(tmp_path / "in", {**index, "good": PYTHON}, empty__py="")
    (root / "link.py").symlink_to(tmp_path / "out.py")
    before = await stored(platform)
    found = await discovered(platform, root)
    assert found.made == ["good"]
    for n, ((_, why), problem) in enumerate(zip(WRONG, found.problems, strict=True)):
        assert problem.startswith(f"bad{n:02}: ")
        assert why in problem
    assert await stored(platform) == before + 1


async def test_sbatch_runs_on_a_named_cluster_of_slurm(platform: Platform, tmp_path: Path) -> None:
    async with platform.services.database.write(as_system="test") as session:
        session.add(m.Cluster(id=uuid7(), name="big", platform=m.Platform.SLURM, enabled=True))
        session.add(m.Cluster(id=uuid7(), name="small", platform=m.Platform.CELERY, enabled=True))
    described = {"executor": "sbatch", "script_path": "score.sh"}
    index = {"a": {**described, "cluster": "big"}, "b": {**described, "cluster": "small"}}
    found = await discovered(platform, folder(tmp_path, index))
    assert found.made == ["a"]
    assert found.problems == ["b: input.cluster: SBATCH runs on a cluster of Slurm"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "there is no such file"),
        ("evaluators: [", "it is not YAML"),
        ("- a", "it has an object `evaluators`"),
        ("evaluators: [a]", "it has an object `evaluators`"),
    ],
)
async def test_an_index_that_can_not_be_read_is_a_problem(
    platform: Platform, tmp_path: Path, text: str | None, why: str
) -> None:
    if text is not None:
        (tmp_path / "index.yml").write_text(text)
    (problem,) = (await discovered(platform, tmp_path)).problems
    assert problem.startswith(f"index.yml: {why}")


async def test_two_labels_that_are_one_are_made_once(platform: Platform, tmp_path: Path) -> None:
    found = await discovered(platform, folder(tmp_path, {"a": PYTHON, " a ": {**PYTHON, "arguments": ["x"]}}))
    assert len(found.made) == 1
    assert found.problems == ["a: another evaluator of the index has this label"]


async def test_only_superadmins_discover(platform: Platform, tmp_path: Path) -> None:
    with pytest.raises(Forbidden):
        await discover(Context(platform.services, await platform.principal("sita")), folder(tmp_path, {"a": PYTHON}))
