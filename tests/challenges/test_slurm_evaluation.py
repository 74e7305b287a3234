"""Evaluations on a real Slurm: the bundle of the worker carries the sandbox and the evaluators to the node."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from db import models as m
from jobs.sandbox.commands import Unavailable, available
from resolvers.files import storing
from resolvers.spelling import global_id
from tests.sandbox.running import with_mark
from tests.support.contests import Contest, contest, ended, key_of, sent, shown, upserted
from tests.support.images import laid_out, layer, member, shell
from tests.support.serving import Serve, Served
from tests.support.slurm import Slurm, running_slurm

ON_SQLITE = True
pytestmark = pytest.mark.slow
"""Real components, started and ended."""

LABELS = "id,label\n1,one\n2,two\n3,three\n4,one\n"
RIGHT = b"id,label\n1,one\n2,two\n3,three\n4,two\n"
MARK = str(uuid4())
SCORE = """#!/bin/bash
echo "evaluated 1 of 2"
right=$(comm -12 <(sort "$2/predictions.csv") <(sort "$3/labels.csv") | grep -vc id)
echo "{\\"accuracy\\": 0.$right, \\"slurm\\": \\"${SLURM_JOB_ID-none}\\", \\"said\\": \\"$1\\"}" > "$4/scores.json"
"""
IN_IMAGE = b"""#!/bin/bash
read -r first < "$2/predictions.csv"
echo "{\\"accuracy\\": 0.5, \\"said\\": \\"$1 $first\\"}" > "$4/scores.json"
"""
FORKS = f": {MARK}; :(){{ :|:& :; }}; :; sleep 60\n"
LOG = """query($i:ID!){submission(id:$i){evaluations(first:9){nodes{error{code message} job{state platform
  log(first:1000){nodes{text}}}}}}}"""


@dataclass
class Stage:
    gateway: Served
    slurm: Slurm
    root: str
    tom: str

    async def contest(self, label: str, cluster: str = "slurm") -> Contest:
        """A contest whose built-in evaluator runs on a cluster."""
        evaluator = {"scoresSchema": None, "arguments": ["--bootstrap", "0"], "cluster": await self.cluster(cluster)}
        return await contest(self.gateway, self.root, label=label, files={"labels.csv": LABELS}, evaluator=evaluator)

    async def by_program(self, label: str, text: str, **bounds: Any) -> Contest:
        """A contest whose evaluator is a program of one's own, by SBATCH."""
        given = {"executor": "SBATCH", "arguments": ["extra"], "bounds": {"seconds": 30, **bounds}}
        return await self.by_file(label, "score.sh", text.encode(), given)

    async def by_file(self, label: str, name: str, data: bytes, given: dict[str, Any]) -> Contest:
        """A contest whose evaluator is a file, on the cluster."""
        of = await self.contest(label)
        purpose, services = m.FilePurpose.EVALUATOR_PROGRAM, self.gateway.services
        digest = await storing.place(services, data)
        async with services.database.write(as_system="test") as session:
            key = await storing.store(session, purpose, name, digest, len(data), challenge_id=key_of(of.challenge))
        changes = {
            "program": None, "programFile": global_id("File", key), "cluster": await self.cluster("slurm"), **given,
        }  # fmt: skip
        await upserted(self.gateway, self.root, of.challenge, label, changes, {"labels.csv": LABELS})
        return of

    async def cluster(self, name: str) -> str:
        ((key,),) = await self.gateway.services.database.rows(sa.select(m.Cluster.id).where(m.Cluster.name == name))
        return global_id("Cluster", key)

    async def evaluated(self, of: Contest, data: bytes = RIGHT) -> tuple[Any, Any]:
        """A submission that was evaluated, and its evaluation."""
        submission = await sent(self.gateway, self.tom, of, data)
        found = await ended(self.gateway, self.tom, submission)
        read = (await self.gateway.ask(LOG, self.root, i=submission["id"]))["submission"]
        (evaluation,) = read["evaluations"]["nodes"]
        return found, evaluation


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    try:
        available()
    except Unavailable as why:
        pytest.skip(str(why))
    with running_slurm() as running:
        yield running


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python without packages."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
async def stage(slurm: Slurm, serve_module: Serve, bare: Path, tmp_path_factory: Any) -> Stage:
    folder: Path = tmp_path_factory.mktemp("slurm")
    (folder / "tmp").mkdir()
    common = {
        "platform": "SLURM", "environment": slurm.environment, "prologue": [f"export TMPDIR={folder / 'tmp'}"], "look": 0.5,
    }  # fmt: skip
    clusters = [
        {**common, "name": "slurm", "work_dir": str(folder / "work"), "python": sys.executable},
        {**common, "name": "bare", "work_dir": str(folder / "other"), "python": str(bare)},
    ]
    gateway: Served = await serve_module("sqlite", dispatch=True, task_slots=0, clusters=clusters)
    return Stage(gateway, slurm, *[await gateway.log_in(name) for name in ("root", "tom")])


async def test_a_program_by_sbatch_writes_scores_from_within_the_sandbox(stage: Stage) -> None:
    found, evaluation = await stage.evaluated(of := await stage.by_program("by sbatch", SCORE))
    assert (found["status"], found["reason"]) == ("COMPLETED", None)
    assert found["evaluation"]["scores"] == {"accuracy": 0.3, "slurm": "none", "said": "extra"}
    assert (evaluation["job"]["platform"], evaluation["job"]["state"]) == ("SLURM", "COMPLETED")
    assert "the evaluator runs" in [line["text"] for line in evaluation["job"]["log"]["nodes"]]
    (entry,) = await shown(stage.gateway, stage.tom, of, bool)
    assert entry["data"]["accuracy"] == 0.3


async def test_a_built_in_evaluator_runs_on_the_node(stage: Stage) -> None:
    found, evaluation = await stage.evaluated(await stage.contest("built in"))
    assert (found["status"], found["reason"]) == ("COMPLETED", None)
    assert found["evaluation"]["scores"]["accuracy"] == 0.75
    assert evaluation["job"]["platform"] == "SLURM"


async def test_an_image_runs_on_the_node(stage: Stage, tmp_path: Path) -> None:
    config = {"Entrypoint": ["/score"], "Cmd": ["usual"]}
    archive = laid_out(tmp_path / "image.tar", shell(), layer(member("score", IN_IMAGE, 0o755)), config=config)
    given = {"executor": "CONTAINER", "bounds": {"seconds": 30}}
    found, _ = await stage.evaluated(await stage.by_file("image", "image.tar", archive.read_bytes(), given))
    assert (found["status"], found["reason"]) == ("COMPLETED", None)
    assert found["evaluation"]["scores"] == {"accuracy": 0.5, "said": "usual id,label"}


async def test_a_node_without_the_packages_of_an_evaluator_says_which_is_missing(stage: Stage) -> None:
    found, evaluation = await stage.evaluated(await stage.contest("bare", "bare"))
    assert found["status"] == "FAILED"
    assert found["reason"]["code"] == evaluation["error"]["code"] == "PACKAGE"
    assert evaluation["error"]["message"] == (
        "numpy, sklearn: not all is there on the machine; pip install 'torana[evaluators]'"
    )
    said = [line["text"] for line in evaluation["job"]["log"]["nodes"]]
    assert any(text.startswith("the package numpy is missing; ") for text in said)


async def test_a_fork_bomb_is_ended_and_its_reason_is_told(stage: Stage) -> None:
    found, evaluation = await stage.evaluated(await stage.by_program("forks", FORKS, processes=20))
    assert (found["status"], found["reason"]["code"]) == ("FAILED", "PROCESSES")
    assert "more than 20 processes" in evaluation["error"]["message"]
    assert with_mark(MARK) == []
