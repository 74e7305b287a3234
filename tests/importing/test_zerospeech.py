"""Archives of ZeroSpeech: what becomes of their folders and files, and what is named when it can't be read."""

import asyncio
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db import models as m
from resolvers.context import Context
from resolvers.failures import Forbidden
from resolvers.identity.principal import OPERATOR
from resolvers.importing import rows, zerospeech
from resolvers.importing.report import Report
from tests.importing.archives import CHALLENGES, abx, written
from tests.support.platforms import Platform

ON_SQLITE = True
REAL = Path(__file__).parents[3] / "shared" / "data" / "zerospeech"

TRACK = {
    "zr1999/entries/track1/10.yaml": abx("Ada", "9.5"),
    "zr1999/entries/track1/2.yaml": abx("Ina", "12.5"),
    "zr1999/entries/track1/0.yaml": abx("<b>Baseline</b>", "20.0"),
}


async def imported(platform: Platform, root: Path, *, dry_run: bool = False) -> Report:
    report = Report(dry_run=dry_run)
    await rows.bring(Context(platform.services, OPERATOR), zerospeech.read(root, report), report)
    return report


def counts(report: Report) -> dict[str, tuple[int, int, int]]:
    return {kind: (one.made, one.changed, one.same) for kind, one in report.counts.items()}


def problems(report: Report) -> dict[str, str]:
    return {one.file: one.reason for one in report.problems}


def planned(root: Path) -> tuple[dict[str, list[str]], Report]:
    """The keys of the entries of each leaderboard, without a database."""
    report = Report()
    plan = zerospeech.read(root, report)
    return {label: [one.key for one in board.entries] for label, board in plan.boards.items()}, report


async def board(platform: Platform, label: str) -> list[tuple[Any, ...]]:
    """What everyone sees of a leaderboard."""
    wanted = (
        sa.select(m.LeaderboardEntry.rank, m.LeaderboardEntry.author_label, m.LeaderboardEntry.baseline)
        .join(m.Leaderboard, m.Leaderboard.build_id == m.LeaderboardEntry.build_id)
        .where(m.Leaderboard.label == label)
    )
    return [tuple(row) for row in await platform.services.database.rows(wanted.order_by(m.LeaderboardEntry.position))]


async def one(platform: Platform, model: Any, label: str) -> Any:
    (row,) = await platform.services.database.rows(sa.select(model).where(model.label == label))
    return row


async def everything(platform: Platform) -> Mapping[str, Any]:
    """Versions of all rows that an import may write."""
    models: list[Any] = [m.Challenge, m.Phase, m.Leaderboard, m.LeaderboardBuild, m.ExternalEntry, m.LeaderboardRequest]
    return {
        model.__name__: [tuple(row) for row in await platform.services.database.rows(
            sa.select(model.id, model.version).order_by(model.id)
        )]
        for model in models
    }  # fmt: skip


# Folders and files ----------------------------------------------------------------------------------------------------


def test_every_folder_of_entries_is_a_leaderboard(tmp_path: Path) -> None:
    files = {
        "zr2017/entries/track1/within_speakers/2.yaml": abx("a", 1),
        "zr2017/entries/track1/within_speakers/10.yml": abx("b", 1),
        "zr2017/entries/track1/all.json": [abx("c", 1), abx("d", 1)],
        "zr2017/entries/top.json": abx("e", 1),
        "zr2018/entries/x.yaml": abx("f", 1),
        "notes/readme.yaml": abx("g", 1),
    }
    boards, report = planned(written(tmp_path, files))
    assert boards == {
        "zr2017": ["top.json"],
        "zr2017-track1": ["track1/all.json#0", "track1/all.json#1"],
        "zr2017-track1-within-speakers": ["track1/within_speakers/2.yaml", "track1/within_speakers/10.yml"],
        "zr2018": ["x.yaml"],
    }
    assert report.problems == []


def test_an_archive_by_itself_has_the_same_labels_and_keys(tmp_path: Path) -> None:
    above, _ = planned(written(tmp_path, TRACK))
    alone, _ = planned(tmp_path / "zr1999")
    assert above == alone == {"zr1999-track1": [f"track1/{n}.yaml" for n in (0, 2, 10)]}


def test_what_can_not_be_read_is_named_and_keeps_nothing_out(tmp_path: Path) -> None:
    files = {
        **TRACK,
        "zr1999/entries/track1/bad.yaml": "a: [1",
        "zr1999/entries/track1/bytes.yaml": b"\xff\xfe",
        "zr1999/entries/track1/large.json": b" " * 1_000_001,
        "zr1999/entries/track1/list.json": [abx("Tom", 8), "no entry"],
        "zr1999/entries/track1/text.yaml": "just a text",
        "zr1999/entries/track1/twice.yaml": "scores: {}\nscores: {}",
    }
    written(tmp_path, files)
    (tmp_path / "zr1999/entries/track1/out.yaml").symlink_to("/etc/hostname")
    boards, report = planned(tmp_path)
    assert len(boards["zr1999-track1"]) == 4
    folder = "zr1999/entries/track1"
    assert {file: reason.partition(":")[0] for file, reason in problems(report).items()} == {
        f"{folder}/bad.yaml": "it is not YAML",
        f"{folder}/bytes.yaml": "it is not UTF-8",
        f"{folder}/large.json": "it has more than 1,000,000 bytes",
        f"{folder}/list.json#1": "an entry is an object",
        f"{folder}/out.yaml": "it leads out of the folder",
        f"{folder}/text.yaml": "an entry is an object",
        f"{folder}/twice.yaml": "the key scores stands twice in one object",
    }


def test_two_folders_of_one_label_are_one_leaderboard_and_a_problem(tmp_path: Path) -> None:
    files = {"zr1/entries/a b/0.yaml": abx("first", 1), "zr1/entries/a_b/0.yaml": abx("second", 1)}
    boards, report = planned(written(tmp_path, files))
    assert boards == {"zr1-a-b": ["a b/0.yaml"]}
    assert problems(report) == {
        "zr1/entries/a_b": "zr1/entries/a b is the leaderboard zr1-a-b already; its 1 files are left out"
    }


def test_two_spellings_of_one_letter_are_one_key(tmp_path: Path) -> None:
    files = {"zr1/entries/\u00e9.yaml": abx("first", 1), "zr1/entries/e\u0301.yaml": abx("second", 1)}
    boards, report = planned(written(tmp_path, files))
    assert boards == {"zr1": ["\u00e9.yaml"]}
    assert [one.reason for one in report.problems] == ["another entry of zr1 has this key"]


def test_folders_that_lead_in_a_circle_end(tmp_path: Path) -> None:
    written(tmp_path, TRACK)
    (tmp_path / "zr1999/entries/track1/again").symlink_to(tmp_path / "zr1999/entries")
    boards, report = planned(tmp_path)
    assert list(boards) == ["zr1999-track1"]
    assert problems(report) == {"zr1999/entries/track1/again": "this folder was read already"}


def test_a_name_that_is_no_utf_8_is_named_so_that_it_prints(tmp_path: Path) -> None:
    written(tmp_path, TRACK)
    (tmp_path / "zr1999/entries/track1" / b"\xff.yaml".decode("utf-8", "surrogateescape")).write_text("scores: {}")
    _, report = planned(tmp_path)
    assert problems(report) == {"zr1999/entries/track1/\\udcff.yaml": "its name is not UTF-8"}


def test_an_empty_folder_is_a_problem(tmp_path: Path) -> None:
    _, report = planned(tmp_path)
    assert problems(report) == {".": "there is no folder entries in it, and no challenges.json"}


def test_numbers_that_json_lacks_become_null_and_are_named(tmp_path: Path) -> None:
    written(tmp_path, {"zr1/entries/0.yaml": "scores: {across: .nan, within: [1, .inf]}"})
    _, report = planned(tmp_path)
    assert [(one.file, one.reason) for one in report.notes] == [
        ("zr1/entries/0.yaml", "scores.across is no finite number, and becomes null"),
        ("zr1/entries/0.yaml", "scores.within.1 is no finite number, and becomes null"),
    ]
    assert report.problems == []


@pytest.mark.parametrize(
    ("readme", "days"),
    [
        ("It ran from 1998-02-03 to 1998-05-06, not on 1998-02-31.", (date(1998, 2, 3), date(1998, 5, 6))),
        ("The challenge of 1998", (date(1998, 1, 1), date(1998, 12, 31))),
        ("", (date(1999, 1, 1), date(1999, 12, 31))),
    ],
)
def test_a_challenge_without_a_list_is_made_of_its_readme_and_its_folder(
    tmp_path: Path, readme: str, days: tuple[date, date]
) -> None:
    written(tmp_path, {**TRACK, "zr1999/README.md": f"{readme} See [here](https://speech.example/x)."})
    found = zerospeech.read(tmp_path, Report()).challenges["zr1999"]
    assert found.stated == {}
    assert found.guessed == {
        "active": False, "url": "https://speech.example/x", "start_date": days[0], "end_date": days[1],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"label": ""}, "a label is one line of 1 to 100 characters"),
        ({"start_date": "soon"}, "start_date is a day, such as 2017-01-20"),
        ({"end_date": "1998-01-01"}, "zr1999 ends before it begins"),
        ({"active": "yes"}, "active of zr1999 is true or false"),
        ({"url": 5}, "url of zr1999 is an address of up to 2000 characters"),
    ],
)
def test_a_wrong_challenge_is_named_and_its_archive_is_read(tmp_path: Path, wrong: Any, why: str) -> None:
    written(tmp_path, {**TRACK, "challenges.json": [{**CHALLENGES[0], **wrong}]})
    boards, report = planned(tmp_path)
    assert problems(report) == {"challenges.json#0": why}
    assert list(boards) == ["zr1999-track1"]


def test_a_challenge_that_two_lists_describe_otherwise_is_a_problem(tmp_path: Path) -> None:
    other = {**CHALLENGES[0], "url": "https://speech.example/other"}
    written(tmp_path, {"challenges.json": CHALLENGES, "challenge.json": [other, CHALLENGES[0]]})
    _, report = planned(tmp_path)
    assert problems(report) == {"challenge.json#0": "zr1999 is described in challenges.json#0 already, and otherwise"}


# Rows -----------------------------------------------------------------------------------------------------------------


@pytest.mark.both
async def test_an_archive_becomes_a_challenge_with_ranked_leaderboards(platform: Platform, tmp_path: Path) -> None:
    written(tmp_path, {**TRACK, "challenges.json": CHALLENGES})
    report = await imported(platform, tmp_path)
    assert report.problems == report.notes == []
    assert counts(report) == {"challenges": (1, 0, 0), "leaderboards": (1, 0, 0), "entries": (3, 0, 0)}
    challenge = await one(platform, m.Challenge, "zr1999")
    assert (challenge.start_date, challenge.end_date, challenge.active) == (date(1999, 1, 20), date(1999, 4, 30), False)
    made = await one(platform, m.Leaderboard, "zr1999-track1")
    assert (made.archived, made.challenge_id, made.rank_by) == (True, challenge.id, "english_across")
    assert made.external_entries == "zr1999/entries/track1"
    assert await board(platform, "zr1999-track1") == [(1, "Ada", False), (2, "Ina", False), (None, "Baseline", True)]


@pytest.mark.both
async def test_an_entry_is_stored_whole(platform: Platform, tmp_path: Path) -> None:
    given = {"day": date(2017, 1, 20), "scores": {"across": "9.5", "note": "-", "by": {"speaker": [1, 2.0, None]}}}
    await imported(platform, written(tmp_path, {"zr1/entries/0.yaml": given}))
    (row,) = await platform.services.database.rows(sa.select(m.ExternalEntry.data, m.ExternalEntry.key))
    assert row.key == "0.yaml"
    assert row.data == {
        "day": "2017-01-20", "scores": {"across": 9.5, "note": "-", "by": {"speaker": [1, 2.0, None]}},
    }  # fmt: skip


@pytest.mark.both
async def test_a_second_run_changes_nothing(platform: Platform, tmp_path: Path) -> None:
    written(tmp_path, {**TRACK, "challenges.json": CHALLENGES})
    await imported(platform, tmp_path)
    before = await everything(platform)
    report = await imported(platform, tmp_path)
    assert counts(report) == {"challenges": (0, 0, 1), "leaderboards": (0, 0, 1), "entries": (0, 0, 3)}
    assert await everything(platform) == before
    assert before["LeaderboardRequest"] == []


@pytest.mark.both
async def test_a_changed_entry_is_updated_and_its_leaderboard_built(platform: Platform, tmp_path: Path) -> None:
    await imported(platform, written(tmp_path, TRACK))
    written(
        tmp_path, {"zr1999/entries/track1/2.yaml": abx("Ina", "1.5"), "zr1999/entries/track1/3.yaml": abx("Tom", 2)}
    )
    report = await imported(platform, tmp_path)
    assert counts(report)["entries"] == (1, 1, 2)
    assert [row[1] for row in await board(platform, "zr1999-track1")] == ["Ina", "Tom", "Ada", "Baseline"]


@pytest.mark.both
async def test_a_dry_run_tells_the_same_numbers_and_writes_nothing(platform: Platform, tmp_path: Path) -> None:
    written(tmp_path, {**TRACK, "challenges.json": CHALLENGES, "zr1999/entries/track1/bad.yaml": "["})
    before = await everything(platform)
    dry = await imported(platform, tmp_path, dry_run=True)
    assert await everything(platform) == before
    assert dry.data() == {**(await imported(platform, tmp_path)).data(), "dryRun": True}
    written(tmp_path, {"zr1999/entries/track1/2.yaml": {"scores": {"english_across": 1.0, "french_across": 2.0}}})
    before = await everything(platform)
    dry = await imported(platform, tmp_path, dry_run=True)
    assert await everything(platform) == before
    assert dry.data() == {**(await imported(platform, tmp_path)).data(), "dryRun": True}


@pytest.mark.both
async def test_a_run_that_was_killed_is_gone_on_with(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(*_: Any) -> bool:
        raise asyncio.CancelledError

    written(tmp_path, TRACK)
    with monkeypatch.context() as patch:
        patch.setattr("resolvers.importing.rows.TOGETHER", 2)
        patch.setattr("resolvers.importing.rows.boards.build", killed)
        with pytest.raises(asyncio.CancelledError):
            await imported(platform, tmp_path)
    report = await imported(platform, tmp_path)
    assert counts(report) == {"challenges": (0, 0, 1), "leaderboards": (0, 0, 1), "entries": (0, 0, 3)}
    assert [one.built for one in report.boards] == [True]
    assert len(await board(platform, "zr1999-track1")) == 3


async def test_columns_follow_the_entries_until_somebody_chooses_others(platform: Platform, tmp_path: Path) -> None:
    await imported(platform, written(tmp_path, {"zr1/entries/0.yaml": {"scores": {"across": 1.0}}}))
    written(tmp_path, {"zr1/entries/0.yaml": {"scores": {"across": 1.0, "within": 2.0}}})
    assert counts(await imported(platform, tmp_path))["leaderboards"] == (0, 1, 0)
    made = await one(platform, m.Leaderboard, "zr1")
    assert [column["key"] for column in made.public_columns] == ["across", "within"]
    async with platform.services.database.write(as_system="test") as session:
        (await session.get_one(m.Leaderboard, made.id)).columns = [{"key": "own", "path": "scores.within"}]
        (await session.get_one(m.Leaderboard, made.id)).rank_by = "own"
        (await session.get_one(m.Leaderboard, made.id)).ties = []
    written(tmp_path, {"zr1/entries/0.yaml": {"scores": {"across": 1.0}}})
    assert counts(await imported(platform, tmp_path))["leaderboards"] == (0, 0, 1)
    assert (await one(platform, m.Leaderboard, "zr1")).rank_by == "own"


async def test_a_challenge_is_brought_in_line_until_somebody_changes_it(platform: Platform, tmp_path: Path) -> None:
    await imported(platform, written(tmp_path, TRACK))
    written(tmp_path, {"challenges.json": CHALLENGES})
    assert counts(await imported(platform, tmp_path))["challenges"] == (0, 1, 0)
    written(tmp_path, {"challenges.json": [{**CHALLENGES[0], "url": "https://speech.example/moved"}]})
    report = await imported(platform, tmp_path)
    assert counts(report)["challenges"] == (0, 0, 1)
    assert [one.reason for one in report.notes] == ["the challenge zr1999 stays as it was changed here: url differ"]
    assert (await one(platform, m.Challenge, "zr1999")).url == "https://speech.example/1999"


async def test_a_leaderboard_of_another_challenge_is_left_alone(platform: Platform, tmp_path: Path) -> None:
    report = await imported(platform, written(tmp_path, {"units/entries/0.yaml": abx("Ada", 1)}))
    assert problems(report) == {
        "units/entries": "another challenge has the leaderboard units; its 1 entries are left out"
    }
    assert await platform.services.database.rows(sa.select(m.ExternalEntry.id)) == []


async def test_a_leaderboard_that_takes_submissions_is_left_alone(platform: Platform, tmp_path: Path) -> None:
    await imported(platform, written(tmp_path, TRACK))
    async with platform.services.database.write(as_system="test") as session:
        key = (await one(platform, m.Leaderboard, "zr1999-track1")).id
        (await session.get_one(m.Leaderboard, key)).archived = False
    report = await imported(platform, tmp_path)
    assert [one.reason.partition(":")[0] for one in report.problems] == [
        "the leaderboard zr1999-track1 takes submissions"
    ]


async def test_scores_that_nobody_knows_keep_the_order_of_the_files(platform: Platform, tmp_path: Path) -> None:
    files = {f"zr1/entries/{n}.yaml": {"author": f"{n}", "scores": {"foo": -n}} for n in (10, 9, 1)}
    await imported(platform, written(tmp_path, files))
    assert [row[1] for row in await board(platform, "zr1")] == ["1", "9", "10"]


async def test_leaderboards_of_the_list_have_its_settings_and_the_entries_that_are_here(
    platform: Platform, tmp_path: Path
) -> None:
    common = {
        "challenge_id": 1,
        "path_to": "x.json",
        "entry_file": "entry.json",
        "archived": False,
        "static_files": True,
    }
    boards = [
        {**common, "label": "named", "external_entries": "/app/archive/zr1999/entries/track1"},
        {**common, "label": "sorted", "external_entries": "/app/old", "sorting_key": "scores.x"},
        {**common, "label": "elsewhere", "external_entries": "/app/gone"},
        {**common, "label": "lost", "challenge_id": 7},
    ]
    files = {**TRACK, "old/0.json": {"scores": {"x": 2}}, "old/1.json": {"author": "b", "scores": {"x": 1}}}
    written(tmp_path, {**files, "challenges.json": CHALLENGES, "leaderboard.json": boards})
    report = await imported(platform, tmp_path)
    assert [(one.label, one.entries.made) for one in report.boards] == [("named", 3), ("sorted", 2), ("elsewhere", 0)]
    assert problems(report) == {"leaderboard.json#3": "the challenge of lost is not among those of challenges.json"}
    assert [one.file for one in report.notes] == ["leaderboard.json#2"]
    made = await one(platform, m.Leaderboard, "named")
    assert (made.archived, made.static_files, made.entry_file) == (False, True, "entry.json")
    assert [row[:2] for row in await board(platform, "sorted")] == [(1, "b"), (2, None)]


async def test_only_superadmins_import(platform: Platform, tmp_path: Path) -> None:
    principal = await platform.principal("sita")
    with pytest.raises(Forbidden):
        report = Report()
        plan = zerospeech.read(written(tmp_path, TRACK), report)
        await rows.bring(Context(platform.services, principal), plan, report)


# The real archives ----------------------------------------------------------------------------------------------------


@pytest.mark.both
@pytest.mark.skipif(not REAL.is_dir(), reason="the archives are not here")
async def test_the_real_archives_come_whole(platform: Platform) -> None:
    report = await imported(platform, REAL)
    assert counts(report) == {"challenges": (6, 0, 0), "leaderboards": (6, 0, 0), "entries": (81, 0, 0)}
    assert list(problems(report)) == ["challenge.json#0"]
    assert {one.label: (one.entries.made, one.baselines, one.rank_by) for one in report.boards if one.entries.made} == {
        "zr2015-track1": (28, 3, "xitsonga_across"),
        "zr2015-track2": (9, 2, "type_F_english"),
        "zr2017-track1-across-speakers": (19, 2, "LANG1_10s"),
        "zr2017-track1-within-speakers": (19, 2, "LANG1_10s"),
        "zr2017-track2": (6, 2, "type_fscore_LANG1"),
    }
    assert (await board(platform, "zr2015-track1"))[:2] == [
        (None, "Topline Kaldi", True), (1, "Heck et al. 2016", False),
    ]  # fmt: skip
    before = await everything(platform)
    again = await imported(platform, REAL)
    assert counts(again) == {"challenges": (0, 0, 6), "leaderboards": (0, 0, 6), "entries": (0, 0, 81)}
    assert await everything(platform) == before
