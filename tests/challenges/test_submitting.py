"""From a submission to its place on the leaderboard, with real workers: by a gateway on a port."""

from dataclasses import dataclass
from typing import Any

import pytest

from db import models as m
from tests.support.contests import Contest, contest, ended, sent, set_row, shown
from tests.support.serving import Serve, Served

ON_SQLITE = True
pytestmark = pytest.mark.slow
"""Real components, started and ended."""

LABELS = "id,label\n1,one\n2,two\n3,three\n4,one\n"
RIGHT = b"id,label\n1,one\n2,two\n3,three\n4,two\n"
BUILT_IN = {"scoresSchema": None, "arguments": ["--bootstrap", "0"], "bounds": {"seconds": 60}}
LOG = """query($i:ID!){submission(id:$i){evaluations(first:9){nodes{number error{code message} endedAt digests job{state
  log(first:1000){nodes{sequence text file}}}}} files(first:9){nodes{name purpose}}}}"""
QUOTA = "query($p:ID!){submissionQuota(phase:$p){totalUsed concurrentUsed windowUsed left}}"
READABLE = ["UPLOADING", "UPLOADED", "VALIDATING", "ON_QUEUE", "EVALUATING", "COMPLETED"]


@dataclass
class Stage:
    gateway: Served
    root: str
    tom: str
    maria: str

    async def contest(self, label: str, **given: Any) -> Contest:
        files = given.pop("files", {"labels.csv": LABELS})
        evaluator = {**BUILT_IN, **given.pop("evaluator", {})}
        return await contest(self.gateway, self.root, label=label, files=files, evaluator=evaluator, **given)

    async def log(self, as_: str, submission: Any) -> Any:
        return (await self.gateway.ask(LOG, as_, i=submission["id"]))["submission"]

    async def used(self, as_: str, contest: Contest) -> int:
        return int((await self.gateway.ask(QUOTA, as_, p=contest.phase))["submissionQuota"]["totalUsed"])


@pytest.fixture(scope="module")
async def stage(serve_module: Serve) -> Stage:
    gateway: Served = await serve_module("sqlite", task_slots=2)
    return Stage(gateway, *[await gateway.log_in(name) for name in ("root", "tom", "maria")])


async def test_a_submission_is_evaluated_by_a_built_in_evaluator_and_comes_onto_the_board(stage: Stage) -> None:
    gateway, of = stage.gateway, await stage.contest("whole")
    submission = await sent(gateway, stage.tom, of, RIGHT)
    found = await ended(gateway, stage.tom, submission)
    assert (found["status"], found["reason"], found["evaluation"]["number"]) == ("COMPLETED", None, 1)
    scores = found["evaluation"]["scores"]
    assert (scores["accuracy"], scores["count"], scores["f1"]["micro"]) == (0.75, 4, 0.75)
    assert [step["status"] for step in found["history"]] == READABLE
    times = [step["at"] for step in found["history"]]
    assert times == sorted(times)
    (entry,) = await shown(gateway, stage.maria, of, bool)
    assert (entry["place"], entry["rank"], entry["authorLabel"]) == (1, 1, "tom")
    assert entry["data"]["accuracy"] == 0.75
    assert entry["submission"] is None, "others do not see the submission"
    (mine,) = await shown(gateway, stage.tom, of, bool)
    assert mine["submission"] == {"id": submission["id"]}


async def test_its_log_is_read_by_its_submitter_and_by_organisers_and_by_nobody_else(stage: Stage) -> None:
    gateway, of = stage.gateway, await stage.contest("logged")
    submission = await sent(gateway, stage.tom, of, RIGHT)
    await ended(gateway, stage.tom, submission)
    for reader in (stage.tom, stage.root):
        (evaluation,) = (await stage.log(reader, submission))["evaluations"]["nodes"]
        lines = evaluation["job"]["log"]["nodes"]
        assert evaluation["job"]["state"] == "COMPLETED"
        assert [line["sequence"] for line in lines] == list(range(1, len(lines) + 1))
        assert "the evaluator runs" in [line["text"] for line in lines]
        assert sorted(evaluation["digests"]) == ["evaluator", "submission"]
    assert await stage.log(stage.maria, submission) is None


async def test_a_phase_that_hides_its_log_and_scores_hides_them_from_the_submitter(stage: Stage) -> None:
    gateway, of = stage.gateway, await stage.contest("hiding", phase={"showsLog": False, "showsScores": False})
    submission = await sent(gateway, stage.tom, of, RIGHT)
    found = await ended(gateway, stage.root, submission)
    assert found["evaluation"]["scores"]["accuracy"] == 0.75
    query = "query($i:ID!){submission(id:$i){evaluations(first:9){nodes{job{log(first:9){nodes{text}}}}}}}"
    (evaluation,) = (await gateway.ask(query, stage.tom, i=submission["id"]))["submission"]["evaluations"]["nodes"]
    assert not evaluation["job"] or not evaluation["job"]["log"]["nodes"]
    scores = "query($i:ID!){submission(id:$i){evaluation{scores}}}"
    answer = await gateway.client.post("/graphql", json={"query": scores, "variables": {"i": submission["id"]}},
                                       headers={"Authorization": stage.tom})  # fmt: skip
    assert "0.75" not in answer.text


@pytest.mark.parametrize(
    ("data", "name", "said"),
    [
        (b"key,value\n1,one\n", "predictions.csv", "predictions.csv, line 1: the header must be id,label"),
        (RIGHT, "answers.csv", "predictions.csv"),
        (b"id,label\n1,one\n2,two\n3,three\n", "predictions.csv", "4"),
        (b"id,label\n1,one\n2,two\n3,three\n4,one\n5,one\n", "predictions.csv", "5"),
        (b"\n", "predictions.csv", "predictions.csv, line 1: the header must be id,label"),
        (b"PK\x03\x04 no archive", "predictions.zip", "it can't be read: File is not a zip file"),
    ],
    ids=["another header", "another name", "a row is missing", "a row too many", "an empty line", "no archive"],
)
async def test_a_submission_that_is_wrong_fails_and_its_reason_names_what_is(
    stage: Stage, data: bytes, name: str, said: str
) -> None:
    of = await stage.contest(f"wrong {data[:30]!r} {name}")
    submission = await sent(stage.gateway, stage.tom, of, data, name)
    found = await ended(stage.gateway, stage.tom, submission)
    assert found["status"] in ("FAILED", "INVALID"), found
    assert said in found["reason"]["message"], found["reason"]
    assert found["history"][-1]["reason"] == found["reason"]
    assert not found["hasScores"]
    assert found["evaluation"] is None
    charged = found["status"] == "FAILED"
    assert (found["charged"], await stage.used(stage.tom, of)) == (charged, int(charged))


@pytest.mark.parametrize(
    "files",
    [{}, {"others.csv": LABELS}, {"labels.csv": "a,b\n1,one\n"}],
    ids=["no reference data", "a file of another name", "another header"],
)
async def test_what_is_wrong_with_the_reference_data_is_not_charged(stage: Stage, files: dict[str, str]) -> None:
    of = await stage.contest(f"no reference {files}", files=files)
    submission = await sent(stage.gateway, stage.tom, of, RIGHT)
    found = await ended(stage.gateway, stage.tom, submission)
    assert found["status"] == "FAILED"
    assert "reference" in found["reason"]["message"], found["reason"]
    assert found["reason"]["code"] == "REFERENCE"
    assert (found["charged"], await stage.used(stage.tom, of)) == (False, 0)


OWN = """import json, sys
submission, reference, output = sys.argv[-3:]
text = open(f"{submission}/predictions.csv").read()
json.dump(%s, open(f"{output}/scores.json", "w"))
open(f"{output}/details.txt", "w").write("in detail")
"""


async def test_scores_of_another_shape_fail_with_the_path_of_the_fault_and_are_not_charged(stage: Stage) -> None:
    schema = {
        "type": "object",
        "properties": {"f1": {"type": "object", "properties": {"macro": {"type": "number", "maximum": 1}}}},
    }
    evaluator = {"scoresSchema": schema, "arguments": []}
    of = await stage.contest("shape", evaluator=evaluator, files={"score.py": OWN % "{'f1': {'macro': 'high'}}"})
    found = await ended(stage.gateway, stage.tom, await sent(stage.gateway, stage.tom, of, RIGHT))
    assert (found["status"], found["reason"]["code"], found["charged"]) == ("FAILED", "SCORES", False)
    assert "f1.macro" in found["reason"]["message"]
    assert (found["hasScores"], found["evaluation"]) == (False, None)


async def test_what_an_evaluator_writes_beside_the_scores_belongs_to_the_submission(stage: Stage) -> None:
    evaluator = {"scoresSchema": {"type": "object"}, "arguments": []}
    of = await stage.contest("beside", evaluator=evaluator, files={"score.py": OWN % "{'accuracy': 1}"})
    submission = await sent(stage.gateway, stage.tom, of, RIGHT)
    await ended(stage.gateway, stage.tom, submission)
    files = (await stage.log(stage.tom, submission))["files"]["nodes"]
    assert sorted((file["name"], file["purpose"]) for file in files) == [
        ("details.txt", "SUBMISSION_OUTPUT"),
        ("predictions.csv", "SUBMISSION_INPUT"),
    ]


async def test_nan_and_infinite_scores_count_as_missing_and_are_named(stage: Stage) -> None:
    evaluator = {"scoresSchema": {"type": "object"}, "arguments": []}
    scores = "{'accuracy': float('nan'), 'cost': {'seconds': float('inf')}, 'n': 1}"
    of = await stage.contest("not finite", evaluator=evaluator, files={"score.py": OWN % scores})
    submission = await sent(stage.gateway, stage.tom, of, RIGHT)
    found = await ended(stage.gateway, stage.tom, submission)
    assert found["status"] == "COMPLETED", found["reason"]
    assert found["evaluation"]["scores"] == {"accuracy": None, "cost": {"seconds": None}, "n": 1}
    (entry,) = await shown(stage.gateway, stage.tom, of, bool)
    assert (entry["place"], entry["rank"]) == (1, None)
    query = "query($i:ID!){submission(id:$i){evaluation{job{warnings}}}}"
    job = (await stage.gateway.ask(query, stage.tom, i=submission["id"]))["submission"]["evaluation"]["job"]
    assert [text.split(" is ")[0] for text in job["warnings"]] == ["accuracy", "cost.seconds"]


async def test_without_an_evaluator_or_with_the_switch_off_a_submission_waits_for_an_organiser(stage: Stage) -> None:
    gateway, of = stage.gateway, await stage.contest("by hand", challenge={"autoEval": False})
    submission = await sent(gateway, stage.tom, of, RIGHT)
    assert (await ended(gateway, stage.tom, submission))["status"] == "NO_AUTO_EVAL"
    await set_row(gateway, m.Challenge, of.challenge, evaluator_id=None)
    other = await sent(gateway, stage.tom, of, RIGHT)
    found = await ended(gateway, stage.tom, other)
    assert (found["status"], bool(found["statusEndsAt"])) == ("NO_EVAL", True)
