"""The commands for challenges, evaluators, leaderboards and submissions, as an operator types them."""

import asyncio
import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
import typer
from sqlalchemy.ext.asyncio import AsyncSession
from typer.testing import CliRunner

from db import models as m
from db.engine import Database
from db.types import now, uuid7
from gateway.commands.administration.challenges import challenges
from gateway.commands.administration.evaluators import evaluators
from gateway.commands.administration.leaderboards import leaderboards
from gateway.commands.administration.submissions import submissions
from gateway.commands.administration.tokens import tokens
from gateway.commands.terminal import opened
from gateway.settings import load
from resolvers.challenges import boards
from resolvers.files.checking import check_next
from resolvers.spelling import global_id
from tests.commands.test_administration import Done, Operator
from tests.support.databases import WORLD, Prepared, Recipe, quick_passwords
from tests.support.filed import file_of
from tests.support.platforms import KEY
from tests.support.world import World

pytestmark = pytest.mark.slow

ON_SQLITE = True

INDEX = """evaluators:
  by-hand:
    executor: python
    script_path: score.py
    arguments: [--strict]
    bounds: {seconds: 60}
"""
COLUMNS = [
    {"key": "per", "path": "per", "title": "Error rate", "precision": 2, "errorPath": "err"},
    {"key": "n", "path": "n"},
]


APP = typer.Typer()
"""These commands alone: to make the whole command line takes a tenth of a second."""
for _noun in (challenges, evaluators, leaderboards, submissions, tokens):
    APP.add_typer(_noun)


class Organiser(Operator):
    """Types commands for challenges against one database."""

    def __call__(self, line: str, typed: str = "") -> Done:
        done = CliRunner().invoke(APP, shlex.split(line), input=typed, env=self._environment)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Done(done.exit_code, done.stdout, done.stderr)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.app.Passwords", lambda **_: quick_passwords())
    monkeypatch.setattr("gateway.commands.administration.commands.set_up_logs", lambda *_: None)
    monkeypatch.setattr("gateway.commands.administration.commands.check_migrated", lambda _: None)


@dataclass(frozen=True)
class Known:
    """The world, and the challenge words-2026 in it with its phase and its leaderboard."""

    people: World
    challenge: UUID
    phase: UUID


async def _fill(session: AsyncSession, people: World) -> Known:
    await session.execute(sa.delete(m.Challenge))
    known = Known(people, uuid7(), uuid7())
    session.add(m.Challenge(id=known.challenge, label="words-2026", start_date=date(2026, 1, 1), active=True, url=""))
    await session.flush()
    session.add(m.Phase(id=known.phase, challenge_id=known.challenge, name="main"))
    session.add(m.Leaderboard(challenge_id=known.challenge, label="words", archived=False, static_files=False))
    await session.flush()
    return known


CHALLENGED = Recipe("challenged", _fill, WORLD)


@pytest.fixture
def world(prepared: Prepared) -> tuple[str, Known]:
    return asyncio.run(prepared.copy("sqlite", CHALLENGED))


@pytest.fixture
def torana(world: tuple[str, Known], tmp_path: Path) -> Operator:
    return Organiser(world[0], TORANA_DATA_DIR=str(tmp_path / "data"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an evaluator."""
    folder = tmp_path / "evaluators"
    folder.mkdir()
    (folder / "index.yml").write_text(INDEX)
    (folder / "score.py").write_text("print(1)")
    return folder


def written(torana: Operator, work: Callable[[Any], Any]) -> Any:
    """What `work` returns, which writes rows in one transaction."""

    async def run() -> Any:
        database = Database(torana.url)
        try:
            async with database.write(as_system="test") as session:
                return await work(session)
        finally:
            await database.dispose()

    return asyncio.run(run())


def evaluated(torana: Operator, world: Known, *, public_id: str = "first") -> None:
    written(torana, lambda session: _evaluate(session, world, public_id, 12.346))


async def _evaluate(session: AsyncSession, world: Known, public_id: str, per: float) -> None:
    """A submission of tom that has scores, a log and a file."""
    challenge, tom = world.challenge, world.people.tom
    evaluator, version, submission, evaluation, job = (uuid7() for _ in range(5))
    session.add(m.Evaluator(id=evaluator, label=f"of {public_id}", host="", challenge_id=challenge))
    await session.flush()
    session.add(m.EvaluatorVersion(id=version, evaluator_id=evaluator, number=1, digest="0" * 64,
                                   executor=m.Executor.EXTERNAL))  # fmt: skip
    await session.flush()
    (await session.get_one(m.Evaluator, evaluator)).current_version_id = version
    session.add(m.Submission(id=submission, public_id=public_id, challenge_id=challenge, phase_id=world.phase,
                             user_id=tom, status=m.SubmissionStatus.COMPLETED, has_scores=True,
                             evaluator_id=evaluator, submitted_at=now()))  # fmt: skip
    await session.flush()
    scores = {"per": per, "err": 0.125, "n": 7}
    session.add(m.Evaluation(id=evaluation, submission_id=submission, challenge_id=challenge, number=1, scores=scores,
                             evaluator_version_id=version, owner_scores=scores, ended_at=now()))  # fmt: skip
    await session.flush()
    (await session.get_one(m.Submission, submission)).evaluation_id = evaluation
    session.add(m.Job(id=job, key=f"evaluation-{evaluation}", kind=m.JobKind.SUBMISSION_EVALUATION, title="x",
                      owner_user_id=tom, state=m.JobState.COMPLETED, evaluation_id=evaluation))  # fmt: skip
    await session.flush()
    task = m.Task(id=uuid7(), job_id=job, ordinal=1, requested=1, done=1, state=m.JobState.COMPLETED, attempt=1)
    session.add(task)
    await session.flush()
    session.add_all(
        m.LogEntry(job_id=job, task_id=task.id, attempt=1, line=n, sequence=n, text=f"line {n}\x1b[2J") for n in (1, 2)
    )
    await file_of(session, "predictions.csv", purpose=m.FilePurpose.SUBMISSION_INPUT, owner_user_id=tom,
                  submission_id=submission, challenge_id=challenge)  # fmt: skip


def status_of(torana: Operator, public_id: str) -> str:
    return str(torana(f"submissions show {public_id} --json").json["status"])


def table(done: Done) -> list[str]:
    """The lines of a table without its header."""
    assert done.status == 0, done
    return done.out.splitlines()[1:]


def test_the_command_line_has_these_commands(torana: Operator) -> None:
    for noun in ("challenges", "evaluators", "leaderboards", "submissions"):
        assert Operator(torana.url)(f"{noun} list").status == 0


# Challenges -----------------------------------------------------------------------------------------------------------


def test_a_new_challenge_has_what_was_given_and_a_phase(torana: Operator) -> None:
    made = torana(
        "challenges create dose-2026 --start 2026-02-01 --end 2099-01-01 --title Doses --site Harbour --url https://x.example"
        " --organisers 'Protons (user)' --registration OPEN --team-size 3 --unpublished"
    )
    assert made.out.startswith("made the challenge dose-2026, "), made
    shown = torana("challenges show dose-2026 --json").json
    given = {"startDate": "2026-02-01", "endDate": "2099-01-01", "title": "Doses", "registrationMode": "OPEN",
             "teamSize": 3, "published": False, "active": True}  # fmt: skip
    assert {name: shown[name] for name in given} == given
    assert (shown["site"]["name"], shown["organisers"]["name"]) == ("Harbour", "Protons (user)")
    assert [phase["name"] for phase in shown["phases"]["nodes"]] == ["main"]


def test_challenges_that_are_off_or_over_are_listed_when_asked_for(torana: Operator) -> None:
    torana("challenges create over --start 2020-01-01 --end 2020-02-01")
    torana("challenges create off --start 2026-01-01 --inactive")
    assert [node["label"] for node in torana("challenges list --json").json] == ["words-2026"]
    assert {node["label"] for node in torana("challenges list --all --json").json} == {"words-2026", "over", "off"}
    assert [line.split()[0] for line in table(torana("challenges list --all --text ov"))] == ["over"]


def test_a_challenge_is_named_by_its_label_or_id(torana: Operator, world: tuple[str, Known]) -> None:
    for name in ("words-2026", str(world[1].challenge), global_id("Challenge", world[1].challenge)):
        assert torana(f"challenges show {name} --json").json["label"] == "words-2026"
    assert "there is no challenge nothing (NOT_FOUND)" in torana("challenges show nothing").err


def test_the_challenges_of_a_file_are_made_and_each_wrong_one_is_named(torana: Operator, tmp_path: Path) -> None:
    file = tmp_path / "challenges.json"
    old = {"start_date": "2026-01-01", "url": "https://x.example", "active": True}
    file.write_text(
        json.dumps(
            [
                {**old, "label": "one", "end_date": "2027-01-01", "evaluator": None},
                {**old, "label": "words-2026"},
                {**old, "label": "two", "end_date": "2025-01-01"},
                {**old, "label": "three", "evaluator": "nothing"},
                {**old, "label": "four", "colour": "red"},
                {"label": "five"},
                {**old, "label": "six", "active": "yes"},
            ]
        )
    )
    for line, said in ((" --dry-run", "1 of 7 challenges can be made: one"), ("", "1 of 7 challenges were made: one")):
        done = torana(f"challenges add {file}{line}")
        assert (done.status, said in done.err) == (1, True), done
        told = done.err.splitlines()
        for start, end in (
            ("words-2026: there is already a ", "label)"),
            ("two: a challenge ends on its first day, or later (INVALID, ", "endDate)"),
            ("three: there is no evaluator nothing", "(NOT_FOUND)"),
            ("four: there is no such field", "(INVALID, colour)"),
            ("five: it is needed", "(INVALID, startDate)"),
            ("six: ", "(INVALID, active)"),
        ):
            assert any(one.startswith(start) and one.endswith(end) for one in told), (start, done.err)
        made = torana.rows(sa.select(m.Challenge.label).where(m.Challenge.label == "one"))
        assert len(made) == (0 if line else 1)


def test_a_file_with_one_challenge_makes_it(torana: Operator, tmp_path: Path) -> None:
    file = tmp_path / "challenge.json"
    file.write_text('{"label": "one", "start_date": "2026-01-01"}')
    assert torana(f"challenges add {file}").out == "1 of 1 challenges were made: one\n"
    file.write_text("{")
    assert "challenge.json is no JSON" in torana(f"challenges add {file}").err


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("end-date", "2027-05-01", ("endDate", "2027-05-01")),
        ("endDate", "-", ("endDate", None)),
        ("active", "no", ("active", False)),
        ("team_size", "4", ("teamSize", 4)),
        ("registrationMode", "approval", ("registrationMode", "APPROVAL")),
        ("title", "Units of speech", ("title", "Units of speech")),
        ("site", "Harbour", ("site", {"name": "Harbour"})),
    ],
)
def test_a_field_of_a_challenge_is_set_by_its_text(torana: Operator, field: str, value: str, found: Any) -> None:
    done = torana(f"challenges set words-2026 {field} '{value}' --json")
    assert done.json[found[0]] == found[1], done


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("challenges set words-2026 colour red", "there is no field colour; there are label, title"),
        ("challenges set words-2026 active perhaps", "active is true or false, not perhaps (INVALID, active)"),
        ("challenges set words-2026 teamSize many", "(INVALID, teamSize)"),
        ("challenges set words-2026 startDate soon", "(BAD_USER_INPUT)"),
        ("challenges set words-2026 title -", "title can't be null (INVALID, input.title)"),
        ("challenges set words-2026 title x --as tom", "(FORBIDDEN"),
        ("challenges set-phase words-2026 main endsAt soon", "(INVALID, endsAt)"),
        ("challenges set-phase words-2026 final name x", "there is no phase final; words-2026 has main (NOT_FOUND)"),
        ("challenges token words-2026 --as tom", "(FORBIDDEN"),
        ("challenges announce words-2026 --yes --as tom", "(FORBIDDEN"),
        ("leaderboards create words --challenge words-2026", "(CONFLICT, input.label)"),
        ("leaderboards create x --challenge words-2026 --rank-by y", "(INVALID, input.rankBy)"),
        ("leaderboards create x --challenge words-2026 --reveal-at soon", "(INVALID, revealAt)"),
        ("leaderboards show nothing", "there is no leaderboard nothing (NOT_FOUND)"),
        ("evaluators show nothing", "there is no evaluator nothing (NOT_FOUND)"),
        ("submissions show nothing", "there is no submission nothing (NOT_FOUND)"),
        ("submissions reevaluate words-2026", "(STATE)"),
    ],
)
def test_what_is_wrong_is_told_with_its_code_and_field(torana: Operator, line: str, says: str) -> None:
    done = torana(line)
    assert (done.status, done.out) == (1, ""), done
    assert says in done.err


DESTRUCTIVE = [
    "challenges delete words-2026",
    "challenges announce words-2026",
    "challenges delete-phase words-2026 main",
    "leaderboards delete words",
    "evaluators delete 'of first'",
    "submissions cancel first",
    "submissions delete first",
    "submissions delete --user tom",
]


def test_a_declined_command_changes_nothing(torana: Operator, world: tuple[str, Known]) -> None:
    evaluated(torana, world[1])
    file = Path(torana.url.removeprefix("sqlite:///"))
    before = file.read_bytes()
    for line in DESTRUCTIVE:
        declined = torana(line, "n\n")
        assert (declined.status, "[y/N]" in declined.err) == (1, True), line
        assert file.read_bytes() == before, line


def test_a_challenge_is_deleted_with_its_leaderboards_but_not_with_submissions(
    torana: Operator, world: tuple[str, Known]
) -> None:
    torana("challenges create empty --start 2026-01-01")
    assert torana("challenges delete empty --yes").out == "deleted empty\n"
    evaluated(torana, world[1])
    assert "(DEPENDENCY)" in torana("challenges delete words-2026 --yes").err


def test_the_token_of_an_external_worker_is_shown_once_and_can_be_revoked(torana: Operator) -> None:
    done = torana("challenges token words-2026")
    assert done.out.startswith("cw_")
    assert "It is shown this once." in done.err
    revoke = done.err.partition("torana ")[2].partition(" ends")[0]
    assert torana(f"{revoke} --yes").status == 0


def test_users_are_told_of_a_challenge(torana: Operator) -> None:
    assert torana("challenges announce words-2026 --yes").out == "7 mails were posted\n"


def test_phases_are_added_changed_listed_and_deleted(torana: Operator) -> None:
    assert torana("challenges set-phase words-2026 main ends-at 2026-06-01").status == 0
    torana(
        "challenges add-phase words-2026 final --starts 2026-06-01T00:00 --ordinal 2 --quota 3 --window 60 --at-once 1"
    )
    assert torana("challenges set-phase words-2026 final showsLog false").status == 0
    first, last = torana("challenges phases words-2026 --json").json
    assert (first["name"], first["endsAt"]) == ("main", "2026-06-01T00:00:00.000000Z")
    assert (last["windowLimit"], last["windowSeconds"], last["concurrentLimit"], last["showsLog"]) == (3, 60, 1, False)
    assert "3 in 60 s" in torana("challenges phases words-2026").out
    assert torana("challenges delete-phase words-2026 final --yes").status == 0
    assert [phase["name"] for phase in torana("challenges phases words-2026 --json").json] == ["main"]


# Evaluators -----------------------------------------------------------------------------------------------------------


def test_evaluators_of_a_folder_are_discovered_listed_and_deleted(torana: Operator, folder: Path) -> None:
    assert torana(f"evaluators discover {folder} --host node1 --json").json["made"] == ["by-hand"]
    assert torana(f"evaluators discover {folder} --host node1 --json").json["same"] == ["by-hand"]
    (line,) = table(torana("evaluators list"))
    assert line.split()[:2] == ["by-hand", "node1"]
    shown = torana("evaluators show by-hand").out
    assert "score.py" in shown
    assert "--strict" in shown
    assert torana("evaluators delete by-hand --yes").out == "deleted by-hand\n"
    assert torana("evaluators list").out == "none\n"


def test_a_problem_of_a_discovered_evaluator_is_told(torana: Operator, folder: Path) -> None:
    (folder / "index.yml").write_text(f"{INDEX}  other:\n    executor: python\n    script_path: nothing.py\n")
    done = torana(f"evaluators discover {folder}")
    assert done.status == 1
    assert any(line.startswith("other: ") for line in done.err.splitlines()), done
    assert "1 could not be made; made: by-hand" in done.err


def test_other_arguments_make_a_version_that_is_else_the_same(torana: Operator, folder: Path) -> None:
    torana(f"evaluators discover {folder}")
    assert torana("evaluators args by-hand -- --seed 7").out == "version 2 of by-hand is current\n"
    assert "already, with these arguments" in torana("evaluators args by-hand -- --seed 7").out
    second, first = torana("evaluators versions by-hand --json").json
    assert (first["arguments"], second["arguments"]) == (["--strict"], ["--seed", "7"])
    for name in ("executor", "program", "executorArguments", "entryPoint", "bounds"):
        assert first[name] == second[name], name
    files = [[node["file"]["id"] for node in one["evaluatorFiles"]["nodes"]] for one in (first, second)]
    assert files[0] == files[1]
    assert [line.split()[0] for line in table(torana("evaluators versions by-hand"))] == ["2", "1"]


def test_a_label_that_evaluators_of_several_hosts_have_is_refused_with_their_ids(
    torana: Operator, folder: Path
) -> None:
    for host in ("node1", "node2"):
        torana(f"evaluators discover {folder} --host {host}")
    refused = torana("evaluators show by-hand")
    assert (refused.status, "(node1)" in refused.err, "(node2)" in refused.err) == (1, True, True)
    id = refused.err.partition("id: ")[2].split()[0]
    assert torana(f"evaluators show {id} --json").json["host"] == "node1"


# Leaderboards ---------------------------------------------------------------------------------------------------------


async def _board(session: AsyncSession, known: Known) -> Known:
    """A leaderboard, rates, with a submission and two entries from outside."""
    await _evaluate(session, known, "first", 12.346)
    board = uuid7()
    session.add(m.Leaderboard(id=board, challenge_id=known.challenge, label="rates", archived=False, static_files=False,
                              columns=COLUMNS, public_columns=COLUMNS, rank_by="per", phase_id=known.phase))  # fmt: skip
    await session.flush()
    session.add_all(
        m.ExternalEntry(leaderboard_id=board, key=author, author_label=author, data={"per": per}, baseline=baseline)
        for author, per, baseline in (("Old", 10, False), ("Chance", 50, True))
    )
    await session.flush()
    await boards.build(session, board, "an organiser asked for it")
    return known


RANKED = Recipe("challenged-ranked", _board, CHALLENGED)


@pytest.fixture
def board(prepared: Prepared) -> Operator:
    return Organiser(asyncio.run(prepared.copy("sqlite", RANKED))[0])


def test_a_leaderboard_is_made_with_columns_and_entries_and_built(
    torana: Operator, world: tuple[str, Known], tmp_path: Path
) -> None:
    columns, entry = tmp_path / "columns.json", tmp_path / "entry.json"
    columns.write_text(json.dumps(COLUMNS))
    entry.write_text('{"per": 10}')
    made = torana(
        f"leaderboards create rates --challenge words-2026 --columns {columns} --rank-by per --ties n --phase main"
        " --counting BEST --hidden --reveal-at 2027-01-01"
    )
    assert made.out.startswith("made the leaderboard rates, "), made
    given = {"rankBy": "per", "ties": ["n"], "counting": "BEST", "hidden": True, "phase": {"name": "main"}}
    shown = torana("leaderboards show rates --json").json
    assert {name: shown[name] for name in given} == given
    assert torana(f"leaderboards add-entry rates old {entry} --author 'Team Old'").status == 0
    assert "(CONFLICT" in torana(f"leaderboards add-entry rates old {entry}").err
    assert torana("leaderboards build rates").out.endswith("built rates: 1 entries, build 1\n")


def test_entries_are_shown_by_the_columns_of_their_leaderboard(board: Operator) -> None:
    header, *lines = [line.split("  ") for line in board("leaderboards show rates").out.splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in (header, *lines)]
    assert cells == [
        ["place", "rank", "author", "Error rate", "n"],
        ["1", "1", "Old", "10.00"],
        ["2", "2", "tom", "12.35 ± 0.12", "7"],
        ["3", "Chance (baseline)", "50.00"],
    ]


def test_raw_entries_are_json_with_all_scores(board: Operator) -> None:
    raw = board("leaderboards show rates --raw --limit 2").json
    assert [(entry["place"], entry["data"]["per"]) for entry in raw] == [(1, 10), (2, 12.346)]
    whole = board("leaderboards show rates --json").json
    assert (whole["build"]["number"], len(whole["entries"])) == (1, 3)


def test_a_leaderboard_without_columns_shows_every_score(board: Operator) -> None:
    assert board("leaderboards build words").status == 0
    assert board("leaderboards show words").out.splitlines()[0].split() == [
        "place",
        "rank",
        "author",
        "per",
        "err",
        "n",
    ]


def test_a_leaderboard_that_was_not_built_says_so(torana: Operator) -> None:
    done = torana("leaderboards show words")
    assert (done.out, "it was not built" in done.err) == ("none\n", True)


def test_a_field_of_a_leaderboard_is_set_by_its_text(board: Operator, tmp_path: Path) -> None:
    assert board("leaderboards edit rates ties n --json").json["ties"] == ["n"]
    assert board("leaderboards edit rates phase - --json").json["phase"] is None
    assert board("leaderboards edit rates phase main --json").json["phase"] == {"name": "main"}
    ends = board("leaderboards edit rates embargo-ends-at 2027-01-01 --json").json["embargoEndsAt"]
    assert ends == "2027-01-01T00:00:00.000000Z"
    file = tmp_path / "other.json"
    file.write_text(json.dumps([*COLUMNS, {"key": "err", "path": "err"}]))
    assert len(board(f"leaderboards edit rates columns {file} --json").json["columns"]) == 3


def test_the_builds_of_a_leaderboard_are_its_history(board: Operator) -> None:
    board("leaderboards build rates")
    assert [node["number"] for node in board("leaderboards history rates --json").json] == [2, 1]
    assert all("an organiser asked for it" in line for line in table(board("leaderboards history rates")))


def test_leaderboards_are_listed_and_deleted(board: Operator) -> None:
    assert [line.split()[0] for line in table(board("leaderboards list --challenge words-2026"))] == ["rates", "words"]
    assert board("leaderboards delete rates --yes").status == 0
    assert [node["label"] for node in board("leaderboards list --json").json] == ["words"]


# Submissions ----------------------------------------------------------------------------------------------------------


def test_a_file_is_submitted_for_a_user_and_taken_once_it_was_checked(torana: Operator, tmp_path: Path) -> None:
    file = tmp_path / "predictions.csv"
    file.write_text("id,label\n1,a\n")
    made = torana(f"submissions create words-2026 tom {file} --author 'Tom and Co'")
    assert made.out.startswith("submitted "), made
    (node,) = torana("submissions list --user tom --json").json
    given = (node["owner"]["username"], node["authorLabel"], node["status"])
    assert given == ("tom", "Tom and Co", "VALIDATING")

    async def checked() -> None:
        settings = load(database_url=torana.url, secret_keys=KEY, data_dir=tmp_path / "data")
        async with opened(settings) as services:
            while await check_next(services):
                pass

    asyncio.run(checked())
    assert status_of(torana, node["publicId"]) == "NO_EVAL"
    (stored,) = torana(f"submissions files {node['publicId']} --json").json
    assert (stored["name"], stored["state"], stored["size"]) == ("predictions.csv", "READY", "13")


def test_a_file_that_can_not_come_leaves_no_submission_under_way(torana: Operator, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    refused = torana(f"submissions create words-2026 tom {tmp_path / 'empty.csv'}")
    assert (refused.status, "(INVALID, input.size)" in refused.err) == (1, True), refused
    assert [node["status"] for node in torana("submissions list --json").json] == ["CANCELED"]


def test_nobody_but_the_operator_submits_for_another(torana: Operator, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("x")
    refused = torana(f"submissions create words-2026 tom {tmp_path / 'x.csv'} --as maria")
    assert (refused.status, "(FORBIDDEN)" in refused.err) == (1, True)


def test_a_phase_is_named_where_there_are_several(torana: Operator, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("x")
    torana("challenges set words-2026 parallelPhases yes")
    torana("challenges add-phase words-2026 other")
    refused = torana(f"submissions create words-2026 tom {tmp_path / 'x.csv'}")
    assert "name one of its phases; words-2026 has main, other" in refused.err
    assert torana(f"submissions create words-2026 tom {tmp_path / 'x.csv'} --phase other").status == 0
    assert len(torana("submissions list --phase other --json").json) == 1
    assert torana("submissions list --phase main").out == "none\n"


def test_submissions_are_listed_by_user_challenge_and_status(torana: Operator, world: tuple[str, Known]) -> None:
    evaluated(torana, world[1])
    for line, count in (
        ("--user tom --challenge words-2026", 1),
        ("--status COMPLETED --status FAILED", 1),
        ("--status FAILED", 0),
        ("--user eve", 0),
    ):
        assert len(torana(f"submissions list {line} --json").json) == count, line


def test_a_submission_is_shown_with_its_evaluations_scores_and_log(torana: Operator, world: tuple[str, Known]) -> None:
    evaluated(torana, world[1])
    shown = torana("submissions show first").out
    assert "COMPLETED" in shown
    assert "of first" in shown
    assert torana("submissions scores first").json == {"per": 12.346, "err": 0.125, "n": 7}
    assert torana("submissions log first").out == "line 1 [2J\nline 2 [2J\n"


def test_organisers_decide_about_a_submission(torana: Operator, world: tuple[str, Known], folder: Path) -> None:
    evaluated(torana, world[1])
    assert torana("submissions exclude first 'trained on the test set'").out == "first is EXCLUDED\n"
    assert "BY_ORGANISER: trained on the test set" in torana("submissions show first").out
    assert torana("submissions status first COMPLETED 'it was not'").out == "first is COMPLETED\n"
    assert torana("submissions author first 'The Crew' --json").json["authorLabel"] == "The Crew"
    assert torana("submissions author first - --json").json["authorLabel"] is None
    torana(f"evaluators discover {folder}")
    assert torana("submissions evaluator first by-hand --json").json["evaluator"] == {"label": "by-hand"}
    assert torana("submissions evaluator first - --json").json["evaluator"] is None


def test_a_submission_is_evaluated_again_with_further_arguments_and_cancelled(
    torana: Operator, world: tuple[str, Known]
) -> None:
    evaluated(torana, world[1])
    assert torana("submissions eval first -- --loud").out == "first is ON_QUEUE\n"
    assert torana("submissions show first --json").json["evaluations"]["nodes"][0]["extraArguments"] == ["--loud"]
    assert "(STATE)" in torana("submissions delete first --yes").err
    assert torana("submissions cancel first --yes").out == "first is COMPLETED\n"


def test_submissions_are_deleted_by_id_and_by_user_and_those_under_way_are_named(
    torana: Operator, world: tuple[str, Known]
) -> None:
    for name in ("first", "second", "third"):
        evaluated(torana, world[1], public_id=name)
    assert torana("submissions delete first --yes").out == "deleted 1 submissions\n"
    torana("submissions eval second")
    left = torana("submissions delete --user tom --challenge words-2026 --yes")
    assert left.status == 1
    assert "second: something is under way" in left.err
    assert "1 of 2 submissions were deleted" in left.err
    assert [node["publicId"] for node in torana("submissions list --json").json] == ["second"]
    assert torana("submissions delete --yes").status == 2


def test_a_phase_is_evaluated_again_with_a_new_version(
    torana: Operator, world: tuple[str, Known], folder: Path
) -> None:
    evaluated(torana, world[1])
    torana(f"evaluators discover {folder}")
    torana("submissions evaluator first by-hand")
    assert torana("submissions reevaluate words-2026").out == "1 submissions to words-2026 are evaluated again\n"


def test_a_user_sees_and_does_with_submissions_what_the_user_may(torana: Operator, world: tuple[str, Known]) -> None:
    evaluated(torana, world[1])
    assert len(torana("submissions list --as tom --json").json) == 1
    assert torana("submissions list --as eve").out == "none\n"
    assert "(NOT_FOUND" in torana("submissions scores first --as eve").err
    assert "(FORBIDDEN" in torana("submissions exclude first x --as tom").err
