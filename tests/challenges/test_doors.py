"""Scores under an embargo, scores for some, and authors that are not named: each door tells each role what it may know."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import httpx2
import orjson
import pytest
from starlette.applications import Starlette

from db import models as m
from db.types import later, uuid7
from gateway.protocol.boards import Boards
from gateway.protocol.exports import Exports
from resolvers.accounts import tickets
from resolvers.challenges.boards import build
from resolvers.identity.principal import Kind, Principal
from resolvers.spelling import global_id
from schema import Schema
from tests.support.databases import BACKENDS, Prepared
from tests.support.matrix import ROLES, Stage, staged_on

pytestmark = pytest.mark.slow

INSIDE = ("OG", "SA", "XA")
"""Who organises the challenge here."""
MINE, OTHER = {"all": 111001.5, "own": 222001.5, "kept": 333001.5}, {"all": 111002.5, "own": 222002.5, "kept": 333002.5}
"""The scores of what OW submitted, and of what uma did."""
NAMES = ("penname-of-owen", "penname-of-uma")
COLUMNS = [
    {"key": "all", "path": "all"},
    {"key": "own", "path": "own", "audience": "OWNER"},
    {"key": "kept", "path": "kept", "audience": "ORGANISERS"},
]
SECRETS = {**{f"mine.{k}": str(v) for k, v in MINE.items()}, **{f"other.{k}": str(v) for k, v in OTHER.items()},
           "mine.name": NAMES[0], "other.name": NAMES[1]}  # fmt: skip


def told(board: str, role: str) -> set[str]:
    """What a role may know of the leaderboard, from the specification."""
    if role in INSIDE:
        return set(SECRETS)
    own = {"mine.all", "mine.own", "mine.name"} if role == "OW" else set()
    if board == "hidden":
        return set()
    if board == "embargo":
        return own
    everyone = {"mine.all", "other.all"} | ({"mine.name", "other.name"} if board != "anonymous" else set())
    return everyone | own | (set(SECRETS) if board == "revealed" else set())


BOARDS: Mapping[str, Mapping[str, Any]] = {
    "private": {},
    "embargo": {"embargo_ends_at": later(3600)},
    "anonymous": {"anonymity_ends_at": later(3600)},
    "hidden": {"hidden": True},
    "revealed": {"reveal_at": later(-3600)},
}


@dataclass
class House:
    """Leaderboards with scores for some, and the doors to them."""

    stage: Stage
    client: httpx2.AsyncClient
    boards: Mapping[str, UUID]
    challenge: UUID

    async def ask(self, query: str, role: str, **given: Any) -> str:
        who = await self.stage.now(role)
        return "".join([str((await way.answer(query, who, **given)).body) for way in self.stage.ways])

    async def get(self, path: str, role: str, **query: str) -> str:
        who = self.stage.who(role)
        answer = await self.client.get(path, params=query, headers=self._header(who))
        return answer.text

    def _header(self, who: Principal) -> dict[str, str]:
        if who.kind is not Kind.USER:
            return {}
        keys = self.stage.rendered.services.identity.keys
        return {"Authorization": f"Bearer {keys.access_token(Kind.USER, who.id, who.session, tickets.LASTS)}"}  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=BACKENDS)
async def house(
    request: pytest.FixtureRequest, prepared: Prepared, schema: Schema, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    async with staged_on(prepared, request.param, schema, tmp_path_factory.mktemp("data")) as stage:
        boards, challenge = await _fill(stage)
        platform = stage.rendered
        ways = platform.documents, platform.execution
        routes = [
            *Boards(platform.services, *ways).routes, *Exports(platform.services, schema.core, *ways).routes,
        ]  # fmt: skip
        transport = httpx2.ASGITransport(app=Starlette(routes=routes))
        async with httpx2.AsyncClient(transport=transport, base_url="http://torana") as client:
            yield House(stage, client, boards, challenge)


async def _fill(stage: Stage) -> tuple[dict[str, UUID], UUID]:
    here, challenge, phase = stage.here, uuid7(), uuid7()
    async with stage.rendered.services.database.write(as_system="test") as session:
        session.add(
            m.Challenge(
                id=challenge, label="doors", start_date=date(2026, 1, 1), url="https://x.example",
                site_id=stage.world.here.site, organisers_id=here["UserGroup/organisers"],
            )
        )  # fmt: skip
        await session.flush()
        session.add(m.Phase(id=phase, challenge_id=challenge, name="first"))
        await session.flush()
        for name, scores, label in (("owen", MINE, NAMES[0]), ("uma", OTHER, NAMES[1])):
            submission, evaluation = uuid7(), uuid7()
            held = m.Submission(
                id=submission, public_id=f"s-{name}", challenge_id=challenge, phase_id=phase, user_id=stage.added[name],
                author_label=label, status=m.SubmissionStatus.COMPLETED, has_scores=True,
            )  # fmt: skip
            session.add(held)
            await session.flush()
            session.add(
                m.Evaluation(
                    id=evaluation, submission_id=submission, challenge_id=challenge, number=1, scores=scores,
                    evaluator_version_id=here["EvaluatorVersion"], ended_at=later(0),
                )
            )  # fmt: skip
            await session.flush()
            held.evaluation_id = evaluation
        boards = {name: uuid7() for name in BOARDS}
        for name, given in BOARDS.items():
            session.add(
                m.Leaderboard(id=boards[name], challenge_id=challenge, label=f"doors-{name}", columns=COLUMNS,
                              public_columns=COLUMNS[:2], rank_by="all", **given)
            )  # fmt: skip
        await session.flush()
        for key in boards.values():
            for reason in ("first", ""):
                await build(session, key, reason)
    return boards, challenge


_ENTRY = "place rank authorLabel data external submission{authorLabel owner{username}evaluation{scores}}"
Door = Callable[[House, str, str], Awaitable[str]]


def _query(text: str) -> Door:
    """A door that is a query, of the id of the leaderboard."""

    async def ask(house: House, board: str, role: str) -> str:
        return await house.ask(text, role, i=global_id("Leaderboard", house.boards[board]))

    return ask


def _of_entries(filter: str) -> Door:
    return _query(f"query($i:ID!){{leaderboardEntries(first:100,filter:{filter}){{totalCount nodes{{{_ENTRY}}}}}}}")


async def _node(house: House, board: str, role: str) -> str:
    """Each entry by its id, of all builds."""
    query = "query($i:ID!){leaderboard(id:$i){builds(first:9){nodes{entries(first:9){nodes{id}}}}entries(first:9){nodes{id}}}}"
    who, stage = stage_of(house), house.stage
    found = await stage.rows.ask(query, who, i=global_id("Leaderboard", house.boards[board]))
    parts = [*found["leaderboard"]["builds"]["nodes"], found["leaderboard"]]
    ids = sorted({node["id"] for part in parts for node in part["entries"]["nodes"]})
    assert len(ids) == 4
    return await house.ask(f"query($i:[ID!]!){{nodes(ids:$i){{...on LeaderboardEntry{{{_ENTRY}}}}}}}", role, i=ids)


def stage_of(house: House) -> Principal:
    return house.stage.who("XA")


async def _export(house: House, board: str, role: str) -> str:
    filter = {"leaderboard": {"ids": [global_id("Leaderboard", house.boards[board])]}}
    fields = "place,rank,authorLabel,data,submission.authorLabel"
    given = {"format": "ndjson", "fields": fields, "filter": orjson.dumps(filter).decode()}
    return await house.get("/exports/leaderboardEntries", role, **given)


async def _watched(house: House, board: str, role: str) -> str:
    query = f"subscription($i:ID!){{leaderboardUpdated(id:$i){{columns entries(first:9){{nodes{{{_ENTRY}}}}}}}}}"
    id = global_id("Leaderboard", house.boards[board])
    async with house.stage.rendered.watch(query, await house.stage.now(role), i=id) as answers:
        return str((await anext(answers)).body)


async def _json(house: House, board: str, role: str) -> str:
    return await house.get(f"/leaderboards/doors-{board}.json", role)


async def _csv(house: House, board: str, role: str) -> str:
    return await house.get(f"/leaderboards/doors-{board}.csv", role)


DOORS: Mapping[str, Door] = {
    "leaderboard": _query(f"query($i:ID!){{leaderboard(id:$i){{columns entries(first:9){{totalCount nodes{{{_ENTRY}}}}}}}}}"),
    "list": _of_entries("{leaderboard:{ids:[$i]}}"),
    "history": _query(f"query($i:ID!){{leaderboard(id:$i){{builds(first:9){{nodes{{reason entries(first:9){{nodes{{{_ENTRY}}}}}}}}}}}}}"),
    "groups": _query("query($i:ID!){leaderboard(id:$i){entries(first:0){groups(by:EXTERNAL){count}}}}"),
    "external": _query("query($i:ID!){leaderboard(id:$i){external(first:9){nodes{data authorLabel}}}}"),
    "entries by id": _node,
    "export": _export,
    "subscription": _watched,
    "json": _json,
    "csv": _csv,
}  # fmt: skip
EVERYTHING = {"leaderboard", "list", "entries by id", "subscription", "json"}
"""Doors that tell all that one may know."""
READING = tuple(role for role in ROLES if role in ("AN", "US", "OW", "PU", "SA", "OG", "XA", "PT"))


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("board", BOARDS)
async def test_a_door_tells_each_role_what_it_may_know(house: House, door: str, board: str) -> None:
    for role in READING:
        if door in ("export", "json", "csv") and role == "PT":
            continue  # who has no access token here
        text = await DOORS[door](house, board, role)
        known = {name for name, secret in SECRETS.items() if secret in text}
        allowed = told(board, role)
        assert known <= allowed, (role, known - allowed)
        if door in EVERYTHING:
            assert known >= allowed, (role, allowed - known)


GUESSES = ['authorLabel:{{equals:"{name}"}}', 'authorLabel:{{in:["{name}"]}}']


@pytest.mark.parametrize("guess", GUESSES)
async def test_a_filter_tells_no_author_who_is_not_named(house: House, guess: str) -> None:
    """Of an anonymous leaderboard: neither whether an entry is somebody's, nor how many are. A filter compares what
    everyone sees."""
    id = global_id("Leaderboard", house.boards["anonymous"])
    for role in ("AN", "US", "PU", "OW", "OG"):
        filter = "{leaderboard:{ids:[$i]}," + guess.format(name=NAMES[1]) + "}"
        query = f"query($i:ID!){{found:leaderboardEntries(first:9,filter:{filter}){{totalCount}}}}"
        for way in house.stage.ways:
            found = await way.answer(query, await house.stage.now(role), i=id)
            count = found.body["data"]["found"]["totalCount"]
            assert count == 0, role


async def test_what_a_submitter_sees_of_scores_is_what_columns_show(house: House) -> None:
    """Also at the submission, whose evaluation keeps what no leaderboard shows to its submitter yet."""
    query = "{submissions(first:99){nodes{publicId evaluation{scores}}}evaluations(first:99){nodes{scores}}}"
    text = await house.ask(query, "OW")
    assert str(OTHER["all"]) not in text
    text = await house.ask(query, "OG")
    assert str(MINE["kept"]) in text


async def test_a_leaderboard_file_is_in_the_old_shape_and_says_when_nothing_changed(house: House) -> None:
    first = await house.client.get("/leaderboards/doors-private.json")
    body = first.json()
    assert set(body) == {"updatedOn", "data"}
    assert [one["index"] for one in body["data"]] == [1, 2]
    assert body["data"][0] == {"all": MINE["all"], "index": 1, "rank": 1, "author_label": NAMES[0]}
    again = await house.client.get("/leaderboards/doors-private.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    async with house.stage.rendered.services.database.write(as_system="test") as session:
        await build(session, house.boards["private"], "again")
    again = await house.client.get("/leaderboards/doors-private.json", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 200
    table = (await house.client.get("/leaderboards/doors-private.csv")).text.splitlines()
    assert table == [
        "place,rank,author,baseline,all,own",
        f"1,1,{NAMES[0]},false,{MINE['all']},",
        f"2,2,{NAMES[1]},false,{OTHER['all']},",
    ]
    missing = await house.client.get("/leaderboards/none/at/all.json")
    assert (missing.status_code, missing.json()["errors"][0]["extensions"]["code"]) == (404, "NOT_FOUND")
