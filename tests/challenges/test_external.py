"""External evaluators: workers of organisers, at a gateway on a port."""

import asyncio
import contextlib
import os
import signal
import sys
import zipfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from db import models as m
from gateway.cli import app
from jobs.worker.external import CLAIM, Evaluator
from jobs.worker.gateway import Gateway
from resolvers.feed import WORK, board_topic, log_topic, submission_topic
from tests.support.contests import Contest, begun, contest, entries, key_of, read
from tests.support.postgres import free_port
from tests.support.serving import Serve, Served
from tests.support.uploading import Uploader
from tests.support.work import REPORT, RESULTS

pytestmark = pytest.mark.slow
"""Real components, started and ended."""
ON_SQLITE = True

LABELS = "id,label\n1,one\n2,two\n"
TOKEN = """mutation($c:ID!){createChallengeToken(challenge:$c){__typename
  ...on IssuedCredential{secret credential{id}} ...on Problem{code message}}}"""
REVOKE = "mutation($i:ID!){revokeCredential(id:$i){__typename ...on Problem{code message}}}"
CANCEL = "mutation($i:ID!){cancelSubmission(id:$i){__typename ...on Problem{code message}}}"
EVALUATION = """query($i:ID!){submission(id:$i){evaluations(first:9){nodes{number externalVersion scores error{code message}
  job{state attempt log(first:99){nodes{text file}} tasks(first:9){nodes{attempt state}}}}}}}"""
SCORE = """\
import json, os, sys
submission, reference, output = sys.argv[-3:]
assert not [name for name in os.environ if name.startswith("TORANA_")]
truth = open(f"{reference}/labels.csv").read().split()[1:]
found = open(f"{submission}/predictions.csv").read().split()[1:]
print("evaluated 1 of 2", flush=True)
print("a line", *sys.argv[1:-3], flush=True)
scores = {"accuracy": sum(map(str.__eq__, truth, found)) / len(truth)}
open(f"{output}/scores.json", "w").write(json.dumps(scores))
"""
FAILS = 'import sys\nopen(f"{sys.argv[-1]}/scores.json", "w").write(\'{"accuracy": 1}\')\nsys.exit(1)\n'
"""It writes scores, and ends with 1."""
WAITS = 'import time\nprint("it waits", flush=True)\ntime.sleep(600)\n'
"""It runs until it is ended."""


@dataclass
class Organised:
    """A contest with an external evaluator at a gateway on a port, and a token of its workers."""

    gateway: Served
    contest: Contest
    root: str
    tom: str
    token: str
    credential: str
    folder: Path

    async def submit(self, content: bytes = LABELS.encode(), name: str = "predictions.csv") -> Any:
        """A submission that waits for its evaluation."""
        made = await begun(self.gateway, self.tom, self.contest)
        said = {"purpose": "SUBMISSION_INPUT", "target": made["id"]}
        await Uploader(self.gateway, self.tom).ready(content, name, **said)
        assert (await read(self.gateway, self.tom, made))["status"] == "ON_QUEUE"
        return made

    def evaluator(self, program: str = SCORE, *, seconds: float | None = None, token: str | None = None) -> Evaluator:
        file = self.folder / f"{uuid4()}.py"
        file.write_text(program)
        gateway = Gateway(self.gateway.url, token or self.token)
        return Evaluator(gateway, [sys.executable, str(file), "--more"], "score 1.2", seconds)

    async def until(self, submission: Any, *statuses: str) -> Any:
        """The submission once it has one of these statuses."""

        async def found() -> Any:
            now = await read(self.gateway, self.tom, submission)
            return now if now["status"] in statuses else None

        return await self.heard(submission_topic(key_of(submission["id"])), found)

    async def heard(self, topic: str, found: Callable[[], Any]) -> Any:
        """What is found at last, looked for at each change of a topic."""
        with self.gateway.services.feed.subscription(topic) as changes:
            async with asyncio.timeout(60):
                while not (now := await found()):
                    await changes.next()
                return now

    async def evaluations(self, submission: Any) -> list[Any]:
        found = await self.gateway.ask(EVALUATION, self.root, i=submission["id"])
        return list(found["submission"]["evaluations"]["nodes"])

    async def printed(self, submission: Any, line: str) -> None:
        """Wait until the live log of the latest evaluation has this line."""
        wanted = sa.select(m.Job.id).join(m.Evaluation, m.Evaluation.id == m.Job.evaluation_id)
        wanted = wanted.where(m.Evaluation.submission_id == key_of(submission["id"])).order_by(
            m.Job.submitted_at.desc()
        )
        job = (await self.gateway.services.database.rows(wanted))[0].id

        async def found() -> bool:
            texts = sa.select(m.LogEntry.text).where(m.LogEntry.job_id == job)
            return line in [row.text for row in await self.gateway.services.database.rows(texts)]

        await self.heard(log_topic(job), found)

    async def claim(self, token: str | None = None, number: str = "") -> Any:
        """What a worker that is written by hand claims: the assignment, or None; or an answer with errors."""
        variables = {"number": number or str(uuid4()), "version": "by hand"}
        answer = await self.raw(CLAIM, token or self.token, **variables)
        return answer["data"]["challengeWorkerClaim"] if "errors" not in answer else answer

    async def raw(self, query: str, token: str, **variables: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        body = {"query": query, "variables": variables}
        return (await self.gateway.client.post("/graphql", json=body, headers=headers)).json()


Organise = Callable[..., Any]


@pytest.fixture
async def organise(serve: Serve, backend: str, tmp_path: Path) -> Organise:
    async def start(label: str = "digits", gateway: Served | None = None, **settings: Any) -> Organised:
        served = gateway or await serve(backend, dispatch=True, **settings)
        root, tom = await served.log_in("root"), await served.log_in("tom")
        external = {"executor": "EXTERNAL", "program": None, "arguments": ["--strict"]}
        made = await contest(served, root, label=label, evaluator=external, files={"labels.csv": LABELS})
        issued = (await served.ask(TOKEN, root, c=made.challenge))["createChallengeToken"]
        assert issued["__typename"] == "IssuedCredential", issued
        return Organised(served, made, root, tom, issued["secret"], issued["credential"]["id"], tmp_path)

    return start


@contextlib.asynccontextmanager
async def working(*evaluators: Evaluator) -> AsyncIterator[None]:
    """Evaluators at work, each in a thread, until the end."""
    running = [asyncio.ensure_future(asyncio.to_thread(evaluator.run)) for evaluator in evaluators]
    try:
        yield
    finally:
        for evaluator in evaluators:
            evaluator.stop()
        await asyncio.gather(*running)


def gone(file: Path) -> bool:
    """Whether the process has ended whose number is in a file."""
    return not Path("/proc", file.read_text()).exists()


def code(answer: Any) -> str:
    return str(answer["errors"][0]["extensions"]["code"])


@pytest.mark.both
async def test_a_submission_is_evaluated_by_the_worker_of_an_organiser(organise: Organise) -> None:
    ours: Organised = await organise()
    submission = await ours.submit(b"id,label\n1,one\n2,three\n")
    async with working(ours.evaluator()):
        found = await ours.until(submission, "COMPLETED", "FAILED")
    assert (found["status"], found["evaluation"]) == ("COMPLETED", {"number": 1, "scores": {"accuracy": 0.5}})
    (evaluation,) = await ours.evaluations(submission)
    assert (evaluation["externalVersion"], evaluation["error"]) == ("score 1.2", None)
    assert evaluation["job"]["state"] == "COMPLETED"
    assert {"text": "a line --more --strict", "file": "stdout"} in evaluation["job"]["log"]["nodes"]
    assert not any(line["text"].startswith("evaluated") for line in evaluation["job"]["log"]["nodes"])

    async def on_board() -> Any:
        return await entries(ours.gateway, ours.root, ours.contest)

    (entry,) = await ours.heard(board_topic(key_of(ours.contest.board)), on_board)
    assert (entry["rank"], entry["data"]["accuracy"], entry["submission"]["id"]) == (1, 0.5, submission["id"])


async def test_an_archive_is_unpacked_and_the_evaluations_come_one_after_the_other(organise: Organise) -> None:
    ours: Organised = await organise()
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("predictions.csv", LABELS)
    submissions = [await ours.submit(packed.getvalue(), "all.zip"), await ours.submit()]
    async with working(ours.evaluator()):
        for submission in submissions:
            found = await ours.until(submission, "COMPLETED", "FAILED")
            assert (found["status"], found["evaluation"]["scores"]) == ("COMPLETED", {"accuracy": 1.0})


async def test_scores_of_a_command_that_fails_do_not_count(organise: Organise) -> None:
    ours: Organised = await organise()
    submission = await ours.submit()
    assert await asyncio.to_thread(ours.evaluator(FAILS).run, once=True) == 0
    found = await ours.until(submission, "COMPLETED", "FAILED")
    assert (found["status"], found["evaluation"], found["hasScores"]) == ("FAILED", None, False)
    assert found["reason"]["code"] == "PROGRAM_FAILED"
    assert "exit status 1" in found["reason"]["message"]


async def test_a_command_that_writes_no_scores_and_one_that_takes_too_long_fail(organise: Organise) -> None:
    ours: Organised = await organise()
    for evaluator, reason, said in (
        (ours.evaluator("pass"), "PROGRAM_FAILED", "the evaluator wrote no scores"),
        (ours.evaluator(WAITS, seconds=0.5), "TIME", "for more than 0.5 s"),
        (ours.evaluator("import sys; sys.exit(2)"), "REFERENCE", "tell the organisers"),
    ):
        submission = await ours.submit()
        await asyncio.to_thread(evaluator.run, once=True)
        found = (await ours.until(submission, "COMPLETED", "FAILED"))["reason"]
        assert found["code"] == reason
        assert said in found["message"]


@pytest.mark.both
async def test_a_silent_worker_loses_its_evaluation_and_the_second_silence_ends_it(organise: Organise) -> None:
    ours: Organised = await organise(cluster_lease=1.0, task_interruptions=2)
    submission = await ours.submit()
    first = await ours.claim()
    assert first["attempt"] == 1
    second = await ours.heard(WORK, ours.claim)
    assert second["attempt"] == 2, "the lease of the first has ended"
    for query, given in ((REPORT, {"d": "1", "n": 1}), (RESULTS, {"e": {"accuracy": 1}})):
        refused = await ours.raw(query, first["token"], **given)
        assert code(refused) == "STATE"
        assert "attempt 1 of task 1 is no longer to run" in refused["errors"][0]["message"]
    found = await ours.until(submission, "COMPLETED", "FAILED")
    assert (found["status"], found["reason"]["code"], found["charged"]) == ("FAILED", "TASK_LOST", False)
    assert found["reason"]["message"] == "no sign of life within the lease; it was interrupted 2 times"
    assert code(await ours.raw(RESULTS, second["token"], e={"accuracy": 1})) == "STATE"
    assert await ours.claim() is None


async def test_the_lease_is_renewed_while_the_command_runs(organise: Organise) -> None:
    ours: Organised = await organise(cluster_lease=8.0)
    submission = await ours.submit()
    gate = ours.folder / "gate"
    waits = (
        f"import os, time\nprint('it waits', flush=True)\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.05)\n"
    )
    async with working(ours.evaluator(waits + SCORE)):
        await ours.printed(submission, "it waits")
        (task,) = (await ours.evaluations(submission))[0]["job"]["tasks"]["nodes"]
        until = sa.select(m.Task.lease_until).join(m.Job).where(m.Job.kind == m.JobKind.SUBMISSION_EVALUATION)
        before = (await ours.gateway.services.database.rows(until))[0].lease_until
        async with asyncio.timeout(20):
            while (await ours.gateway.services.database.rows(until))[0].lease_until == before:
                await asyncio.sleep(0.05)
        gate.touch()
        assert (await ours.until(submission, "COMPLETED", "FAILED"))["status"] == "COMPLETED"
    assert task == {"attempt": 1, "state": "RUNNING"}


async def test_a_command_ends_when_its_submission_is_cancelled_and_the_next_one_is_evaluated(
    organise: Organise, capfd: pytest.CaptureFixture[str]
) -> None:
    ours: Organised = await organise()
    first, pid = await ours.submit(), ours.folder / "pid"
    # The first is waited for, the next is scored.
    program = f"import os\nfrom pathlib import Path\nif not Path({str(pid)!r}).exists():\n"
    program += f"    Path({str(pid)!r}).write_text(str(os.getpid()))\n    exec({WAITS!r})\n"
    async with working(ours.evaluator(program + SCORE)):
        await ours.printed(first, "it waits")
        cancelled = (await ours.gateway.ask(CANCEL, ours.tom, i=first["id"]))["cancelSubmission"]
        assert cancelled["__typename"] == "Submission", cancelled
        second = await ours.submit()
        assert (await ours.until(second, "COMPLETED", "FAILED"))["status"] == "COMPLETED"
        assert gone(pid), "what nobody waits for is ended"
    assert (await read(ours.gateway, ours.tom, first))["status"] == "CANCELED"
    assert "the evaluation is no longer this worker's: attempt 1" in capfd.readouterr().err


async def test_the_token_of_another_challenge_gets_nothing_and_one_that_was_revoked_is_refused(
    organise: Organise, capfd: pytest.CaptureFixture[str]
) -> None:
    ours: Organised = await organise()
    theirs: Organised = await organise("words", ours.gateway)
    submission = await ours.submit()
    assert await theirs.claim() is None
    assert await asyncio.to_thread(theirs.evaluator().run, once=True) == 0
    assert (await read(ours.gateway, ours.tom, submission))["status"] == "ON_QUEUE"
    revoked = (await ours.gateway.ask(REVOKE, ours.root, i=ours.credential))["revokeCredential"]
    assert revoked["__typename"] != "Problem", revoked
    assert code(await ours.claim()) == "UNAUTHENTICATED"
    assert await asyncio.to_thread(ours.evaluator().run) == 1, "it does not try for ever"
    assert "nothing is claimed" in capfd.readouterr().err


async def test_an_evaluation_goes_on_when_the_token_of_its_challenge_is_revoked(organise: Organise) -> None:
    """The token of the task is its own; revoking ends what is to be claimed."""
    ours: Organised = await organise()
    submission = await ours.submit()
    task = await ours.claim()
    await ours.gateway.ask(REVOKE, ours.root, i=ours.credential)
    assert "errors" not in await ours.raw(RESULTS, task["token"], e={"accuracy": 1})
    assert (await ours.until(submission, "COMPLETED", "FAILED"))["status"] == "COMPLETED"


@pytest.mark.both
async def test_workers_at_once_never_get_the_same_evaluation(organise: Organise) -> None:
    ours: Organised = await organise()
    submissions = [await ours.submit() for _ in range(4)]
    claimed = await asyncio.gather(*(ours.claim() for _ in range(8)))
    tasks = [task for task in claimed if task is not None]
    assert len(tasks) == len({task["token"] for task in tasks}) == 4
    for answer in await asyncio.gather(*(ours.raw(RESULTS, task["token"], e={"accuracy": 1}) for task in tasks)):
        assert "errors" not in answer
    for submission in submissions:
        assert (await ours.until(submission, "COMPLETED", "FAILED"))["status"] == "COMPLETED"
        (evaluation,) = await ours.evaluations(submission)
        assert [task["attempt"] for task in evaluation["job"]["tasks"]["nodes"]] == [1]


async def test_a_claim_whose_answer_was_lost_is_asked_for_again(organise: Organise) -> None:
    ours: Organised = await organise()
    await ours.submit()
    number = str(uuid4())
    first, again = await ours.claim(number=number), await ours.claim(number=number)
    assert (first["ordinal"], first["attempt"]) == (again["ordinal"], again["attempt"]) == (1, 1)
    assert await ours.claim() is None


async def test_a_worker_reads_no_reference_data_of_another_challenge(organise: Organise) -> None:
    ours: Organised = await organise()
    theirs: Organised = await organise("words", ours.gateway)
    await ours.submit()
    await theirs.submit()
    mine, other = await ours.claim(), await theirs.claim()
    client = ours.gateway.client
    for file in mine["fetched"]:
        path = file["path"].partition("?")[0]
        own = {"Authorization": f"Bearer {ours.token}"}
        assert (await client.get(file["path"])).status_code == 200
        assert (await client.get(path, headers=own)).status_code == 200
        for token in (theirs.token, other["token"]):
            answer = await client.get(path, headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code in (401, 403, 404), answer.status_code
        # The ticket of one file opens no other.
        ticket = other["fetched"][0]["path"].partition("?")[2]
        assert (await client.get(f"{path}?{ticket}")).status_code in (401, 403, 404)
        assert (await client.get(path)).status_code in (401, 403, 404)


class Command:
    """`torana evaluate`, as an organiser starts it."""

    def __init__(self, ours: Organised, program: str) -> None:
        self._ours, self._program = ours, ours.folder / "score.py"
        self._program.write_text(program)

    async def start(self, *words: str, url: str = "", in_file: bool = False) -> asyncio.subprocess.Process:
        """With the token in a file, or in its variable."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TORANA_")}
        arguments = ["--gateway", url or self._ours.gateway.url, "--version", "1", *words]
        if in_file:
            file = self._ours.folder / "token"
            file.write_text(f"{self._ours.token}\n")
            arguments += ["--token-file", str(file)]
        else:
            environment["TORANA_CHALLENGE_TOKEN"] = self._ours.token
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.cli", "evaluate", *arguments, "--", sys.executable, str(self._program),
            env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip


async def test_a_signal_ends_the_command_and_gives_the_evaluation_back(organise: Organise) -> None:
    ours: Organised = await organise(cluster_lease=8.0)
    submission = await ours.submit()
    pid = ours.folder / "pid"
    child = "import subprocess, sys\nfrom pathlib import Path\n"
    child += f"one = subprocess.Popen(['sleep', '600'])\nPath({str(pid)!r}).write_text(str(one.pid))\n"
    process = await Command(ours, child + WAITS).start(in_file=True)
    await ours.printed(submission, "it waits")
    process.send_signal(signal.SIGTERM)
    _, complaint = await process.communicate()
    assert process.returncode == 0, complaint
    assert b"the worker was stopped" in complaint
    assert gone(pid), "what the command started is ended with it"
    again = await ours.heard(WORK, ours.claim)
    assert again["attempt"] == 2
    assert "errors" not in await ours.raw(RESULTS, again["token"], e={"accuracy": 1})
    assert (await ours.until(submission, "COMPLETED", "FAILED"))["status"] == "COMPLETED"


async def test_the_command_waits_for_a_gateway_that_is_away(organise: Organise, serve: Serve, tmp_path: Path) -> None:
    ours: Organised = await organise(data_dir=tmp_path / "data")
    submission = await ours.submit()
    address, port = ours.gateway.services.database.url, free_port()
    await ours.gateway.stop()
    process = await Command(ours, SCORE).start("--once", url=f"http://127.0.0.1:{port}")
    assert process.stderr is not None
    assert b"the gateway did not answer" in await process.stderr.readline()
    ours.gateway = await serve(
        database=address.render_as_string(hide_password=False), data_dir=tmp_path / "data", port=port, dispatch=True
    )
    assert (await ours.until(submission, "COMPLETED", "FAILED"))["status"] == "COMPLETED"
    assert await process.wait() == 0


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "give the token of a challenge, in a file by --token-file or in TORANA_CHALLENGE_TOKEN"),
        (("--token-file", "empty"), "give the token of a challenge"),
        (("--token-file", "token", "--gateway", "x.example"), "begins with http:// or https://"),
        (("--token-file", "token"), "there is no command no-such-command"),
    ],
)
def test_what_can_not_work_is_said_at_once(
    words: tuple[str, ...], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TORANA_CHALLENGE_TOKEN", raising=False)
    Path("empty").touch()
    Path("token").write_text("secret")
    found = CliRunner().invoke(app, ["evaluate", "--version", "1", *words, "--", "no-such-command", "--its", "own"])
    assert found.exit_code == 2
    assert why in found.stderr
    assert "secret" not in found.output
