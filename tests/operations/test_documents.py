"""Documents without their texts, and gateways that run those of a list alone."""

import gc
import hashlib
import json
import weakref
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from db.prepared import Kept, Prepared
from gateway.operations.document_lists import ListError, read_list, write_list
from gateway.operations.documents import Documents, Envelope
from gateway.operations.responses import Refused
from gateway.protocol.negotiation import GRAPHQL, JSON
from resolvers.identity.principal import TaskClaim
from resolvers.queue.leases import SCOPES
from schema import Schema
from schema.fields.cost import Bounds
from tests.commands import test_cli
from tests.commands.test_cli import Torana
from tests.protocol.test_sockets import _hear, _open, _say
from tests.support.platforms import KEY
from tests.support.postgres import free_port
from tests.support.serving import Serve, Served

torana = test_cli.torana

LABELS = "query Labels{challenges(first:1){nodes{label}}}"
COUNT = "query Count{challenges(first:1){totalCount}}"
OTHER = "query Other{challenges(first:1){nodes{url}}}"
LABELLED = {"data": {"challenges": {"nodes": [{"label": "units-2026"}]}}}
COUNTED = {"data": {"challenges": {"totalCount": 1}}}
MISSING = {"message": "PersistedQueryNotFound", "extensions": {"code": "PERSISTED_QUERY_NOT_FOUND"}}
MANIFEST = {
    "format": "apollo-persisted-query-manifest",
    "version": 1,
    "operations": [
        {"id": "labels-of-release-7", "name": "Labels", "type": "query", "body": LABELS},
        {"id": "count-of-release-7", "name": "Count", "type": "query", "body": COUNT},
    ],
}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _persisted(text: str) -> dict[str, Any]:
    return {"persistedQuery": {"version": 1, "sha256Hash": _hash(text)}}


def _code(response: httpx2.Response) -> str:
    return str(response.json()["errors"][0]["extensions"]["code"])


async def _post(gateway: Served, body: Any, **headers: str) -> httpx2.Response:
    return await gateway.client.post("/graphql", json=body, headers={"Accept": GRAPHQL, **headers})


@pytest.fixture(scope="module")
async def gateway(serve_module: Serve) -> Served:
    return await serve_module()


@pytest.fixture(scope="module")
async def trusting(serve_module: Serve, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """Of a release whose client has two documents."""
    file = tmp_path_factory.mktemp("release") / "manifest.json"
    file.write_text(json.dumps(MANIFEST))
    return await serve_module(trusted_documents=file)


# Automatic persisted queries ------------------------------------------------------------------------------------------


async def test_an_unknown_hash_is_told_in_the_words_that_clients_look_for(gateway: Served) -> None:
    for media in (JSON, GRAPHQL):
        response = await _post(gateway, {"extensions": _persisted("{never:__typename}")}, Accept=media)
        assert response.status_code == 200
        assert response.json()["errors"] == [MISSING]


async def test_a_document_sent_with_its_hash_is_then_known_by_it_alone(serve: Serve) -> None:
    gateway = await serve()
    extensions = _persisted(LABELS)
    assert (await _post(gateway, {"extensions": extensions})).json()["errors"] == [MISSING]
    assert (await _post(gateway, {"query": LABELS, "extensions": extensions})).json() == LABELLED
    assert (await _post(gateway, {"extensions": extensions})).json() == LABELLED
    params = {"extensions": json.dumps(extensions)}
    assert (await gateway.client.get("/graphql", params=params, headers={"Accept": GRAPHQL})).json() == LABELLED


async def test_a_document_is_known_by_its_hash_with_other_variables_too(gateway: Served) -> None:
    query = "query($l:String!){challenge(label:$l){label}}"
    body = {"query": query, "variables": {"l": "none"}, "extensions": _persisted(query)}
    assert (await _post(gateway, body)).json() == {"data": {"challenge": None}}
    body = {"variables": {"l": "units-2026"}, "extensions": _persisted(query)}
    assert (await _post(gateway, body)).json() == {"data": {"challenge": {"label": "units-2026"}}}


async def test_a_mutation_is_not_run_by_a_get_that_names_its_hash(gateway: Served) -> None:
    query = "mutation{logOut{__typename}}"
    await _post(gateway, {"query": query, "extensions": _persisted(query)})
    params = {"extensions": json.dumps(_persisted(query))}
    response = await gateway.client.get("/graphql", params=params, headers={"Accept": GRAPHQL})
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


async def test_a_wrong_hash_is_refused_and_nothing_is_registered(gateway: Served) -> None:
    one, other = "{one:__typename}", "{other:__typename}"
    response = await _post(gateway, {"query": one, "extensions": _persisted(other)})
    assert (response.status_code, _code(response)) == (400, "BAD_REQUEST")
    for text in (one, other):
        assert (await _post(gateway, {"extensions": _persisted(text)})).json()["errors"] == [MISSING]


@pytest.mark.parametrize(
    "persisted",
    [
        {"version": 2, "sha256Hash": _hash(LABELS)},
        {"sha256Hash": _hash(LABELS)},
        {"version": "1", "sha256Hash": _hash(LABELS)},
        {"version": 1},
        {"version": 1, "sha256Hash": None},
        {"version": 1, "sha256Hash": 5},
        {"version": 1, "sha256Hash": [_hash(LABELS)]},
        {},
        [],
        "",
        False,
        _hash(LABELS),
    ],
)
async def test_a_persisted_query_of_another_version_or_form_is_refused(gateway: Served, persisted: Any) -> None:
    for body in ({}, {"query": LABELS}):
        response = await _post(gateway, {**body, "extensions": {"persistedQuery": persisted}})
        assert (response.status_code, _code(response)) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    ("query", "code"),
    [("{", "GRAPHQL_PARSE_FAILED"), ("{unknown}", "GRAPHQL_VALIDATION_FAILED"), ("{" + "a:__typename " * 2_000 + "}", "GRAPHQL_PARSE_FAILED")],
)  # fmt: skip
async def test_a_document_that_is_not_valid_is_never_registered(gateway: Served, query: str, code: str) -> None:
    for _ in range(2):
        assert _code(await _post(gateway, {"query": query, "extensions": _persisted(query)})) == code
        assert (await _post(gateway, {"extensions": _persisted(query)})).json()["errors"] == [MISSING]


# documentId -----------------------------------------------------------------------------------------------------------


async def test_a_known_document_goes_by_its_document_id(gateway: Served) -> None:
    await _post(gateway, {"query": COUNT})
    for id in (f"sha256:{_hash(COUNT)}", _hash(COUNT)):
        assert (await _post(gateway, {"documentId": id})).json() == COUNTED
        response = await gateway.client.get("/graphql", params={"documentId": id}, headers={"Accept": GRAPHQL})
        assert response.json() == COUNTED


@pytest.mark.parametrize("id", [f"sha256:{_hash('{unheard:__typename}')}", "sha256:", "labels-of-release-7", LABELS])
async def test_an_unknown_document_id_is_told(gateway: Served, id: str) -> None:
    await _post(gateway, {"query": LABELS})
    assert (await _post(gateway, {"documentId": id})).json()["errors"] == [MISSING]


async def test_a_document_is_named_in_one_way_only(gateway: Served) -> None:
    id = f"sha256:{_hash(LABELS)}"
    for body in ({"query": LABELS}, {"extensions": _persisted(LABELS)}, {"query": COUNT}):
        response = await _post(gateway, {"documentId": id, **body})
        assert (response.status_code, _code(response)) == (400, "BAD_REQUEST")


async def test_a_request_that_names_no_document_is_refused(gateway: Served) -> None:
    for body in ({}, {"query": ""}, {"query": None, "extensions": {}}, {"extensions": {"persistedQuery": None}}):
        response = await _post(gateway, body)
        assert (response.status_code, _code(response)) == (400, "BAD_REQUEST")


# Over a WebSocket -----------------------------------------------------------------------------------------------------


async def test_a_socket_takes_documents_by_hash_and_id_as_well(serve: Serve) -> None:
    async with _open(await serve(), {}) as socket:

        async def ask(**payload: Any) -> Any:
            await _say(socket, id="1", type="subscribe", payload=payload)
            answer = await _hear(socket)
            if answer["type"] == "next":
                assert await _hear(socket) == {"id": "1", "type": "complete"}
            return answer["payload"]

        assert await ask(extensions=_persisted(LABELS)) == [MISSING]
        assert await ask(query=LABELS, extensions=_persisted(LABELS)) == LABELLED
        assert await ask(extensions=_persisted(LABELS)) == LABELLED
        assert await ask(documentId=f"sha256:{_hash(LABELS)}") == LABELLED
        (error,) = await ask(query=COUNT, documentId=f"sha256:{_hash(LABELS)}")
        assert error["extensions"]["code"] == "BAD_REQUEST"


# A list of trusted documents ------------------------------------------------------------------------------------------


async def test_a_listed_document_is_answered_however_it_is_named(trusting: Served) -> None:
    for body in (
        {"documentId": "labels-of-release-7"},
        {"documentId": f"sha256:{_hash(LABELS)}"},
        {"extensions": _persisted(LABELS)},
        {"query": LABELS},
        {"query": LABELS, "extensions": _persisted(LABELS)},
    ):
        assert (await _post(trusting, body)).json() == LABELLED
    assert (await _post(trusting, {"documentId": "count-of-release-7"})).json() == COUNTED


@pytest.mark.parametrize("query", [OTHER, LABELS + " ", "{__typename}", "{__schema{types{name}}}", "{", "{unknown}", "mutation{logOut{__typename}}"])  # fmt: skip
async def test_no_other_text_is_run(trusting: Served, query: str) -> None:
    for extensions in ({}, _persisted(query)):
        response = await _post(trusting, {"query": query, "extensions": extensions})
        assert (response.status_code, _code(response)) == (403, "DOCUMENT_NOT_TRUSTED")
        assert "data" not in response.json()
    assert (await _post(trusting, {"extensions": _persisted(query)})).json()["errors"] == [MISSING]
    response = await trusting.client.get("/graphql", params={"query": query}, headers={"Accept": GRAPHQL})
    assert (response.status_code, _code(response)) == (403, "DOCUMENT_NOT_TRUSTED")


async def test_a_socket_runs_no_other_text_either(trusting: Served) -> None:
    async with _open(trusting, {}) as socket:
        await _say(socket, id="1", type="subscribe", payload={"query": OTHER})
        answer = await _hear(socket)
        assert (answer["type"], answer["payload"][0]["extensions"]["code"]) == ("error", "DOCUMENT_NOT_TRUSTED")
        await _say(socket, id="2", type="subscribe", payload={"documentId": "labels-of-release-7"})
        assert (await _hear(socket))["payload"] == LABELLED


async def test_workers_are_not_restricted_to_the_list_and_widen_it_for_nobody(trusting: Served) -> None:
    token = trusting.services.identity.keys.worker_token(
        TaskClaim(trusting.world.job, 1, 9, SCOPES), timedelta(minutes=1)
    )
    response = await _post(trusting, {"query": "{worker:__typename}"}, Authorization=f"Bearer {token}")
    assert response.json() == {"data": {"worker": "Query"}}
    assert _code(await _post(trusting, {"query": "{worker:__typename}"})) == "DOCUMENT_NOT_TRUSTED"
    for body in (
        {"extensions": _persisted("{worker:__typename}")},
        {"documentId": f"sha256:{_hash('{worker:__typename}')}"},
    ):
        assert (await _post(trusting, body)).json()["errors"] == [MISSING]


BROKEN = {
    "absent": None,
    "not JSON": b"{",
    "an array": b"[]",
    "of other values": b'{"a": 5}',
    "a manifest without operations": b'{"format":"apollo-persisted-query-manifest","version":1}',
    "a manifest of others": b'{"format":"apollo-persisted-query-manifest","version":1,"operations":[1]}',
    "without a body": b'{"format":"apollo-persisted-query-manifest","version":1,"operations":[{"id":"a"}]}',
    "with another body": b'{"format":"apollo-persisted-query-manifest","version":1,"operations":[{"id":"a","body":1}]}',
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_list_is_told_with_its_name(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "list.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ListError, match=r"list\.json is not a list of documents"):
        read_list(file)


def test_a_gateway_with_a_broken_list_does_not_start(torana: Torana, tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    file.write_text("{")
    given = {"TORANA_SECRET_KEYS": KEY, "TORANA_DATA_DIR": str(tmp_path), "TORANA_TRUSTED_DOCUMENTS": str(file)}
    torana("migrate", **given)
    done = torana("serve", "--port", str(free_port()), **given)
    assert done.returncode == 2
    assert f"{file} is not a list of documents" in done.stderr
    assert "Traceback" not in done.stderr


# torana documents -----------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A client's sources: a good document beside a folder with another."""
    folder = tmp_path / "src"
    (folder / "deep").mkdir(parents=True)
    (folder / "labels.graphql").write_text(LABELS)
    (folder / "deep" / "count.gql").write_text(COUNT)
    (folder / "notes.txt").write_text("no document")
    return folder


def test_check_names_operations_and_hashes(torana: Torana, files: Path) -> None:
    done = torana("documents", "check", str(files))
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        f"{files / 'deep' / 'count.gql'}: Count: sha256:{_hash(COUNT)}",
        f"{files / 'labels.graphql'}: Labels: sha256:{_hash(LABELS)}",
    ]


def test_check_tells_every_fault_with_its_place(torana: Torana, files: Path) -> None:
    (files / "wrong.graphql").write_text("query Wrong {\n  challenges(first: 1) {\n    nodes { colour }\n  }\n}\n")
    (files / "broken.graphql").write_text("query {\n")
    done = torana("documents", "check", str(files))
    assert done.returncode == 2
    broken, wrong, end = done.stderr.splitlines()
    assert broken.startswith(f"{files / 'broken.graphql'}:2:1: ")
    assert wrong.startswith(f"{files / 'wrong.graphql'}:3:13: ")
    assert "colour" in wrong
    assert end == "torana: documents that would be refused: 2"
    assert "Labels" in done.stdout


def test_check_holds_documents_to_the_bounds_of_this_gateway(torana: Torana, files: Path) -> None:
    done = torana("documents", "check", str(files), TORANA_MAX_DEPTH="1")
    assert done.returncode == 2
    assert "documents that would be refused: 2" in done.stderr


def test_check_and_a_refused_add_change_nothing(torana: Torana, files: Path, tmp_path: Path) -> None:
    into = tmp_path / "documents.json"
    torana("documents", "add", str(files), "--into", str(into))
    (files / "more.graphql").write_text(OTHER)
    (files / "wrong.graphql").write_text("{unknown}")
    before, there = into.read_bytes(), sorted(tmp_path.rglob("*"))
    assert torana("documents", "check", str(files)).returncode == 2
    assert torana("documents", "add", str(files), "--into", str(into)).returncode == 2
    assert torana("documents", "add", str(files), "--into", str(tmp_path / "fresh.json")).returncode == 2
    assert into.read_bytes() == before
    assert sorted(tmp_path.rglob("*")) == there


def test_add_keeps_what_was_there(torana: Torana, files: Path, tmp_path: Path) -> None:
    into = tmp_path / "documents.json"
    into.write_text(json.dumps({"my-own-id": OTHER}))
    done = torana("documents", "add", str(files), "--into", str(into))
    assert done.stdout.splitlines()[-1] == f"{into}: documents 3, new 2"
    assert read_list(into) == {
        "my-own-id": OTHER, _hash(OTHER): OTHER, _hash(LABELS): LABELS, _hash(COUNT): COUNT,
    }  # fmt: skip
    again = torana("documents", "add", str(files), "--into", str(into))
    assert again.stdout.splitlines()[-1] == f"{into}: documents 3, new 0"


def test_add_takes_manifests_with_their_ids(torana: Torana, tmp_path: Path) -> None:
    manifest, into = tmp_path / "manifest.json", tmp_path / "documents.json"
    manifest.write_text(json.dumps(MANIFEST))
    assert torana("documents", "add", str(manifest), "--into", str(into)).returncode == 0
    assert msgspec.json.decode(into.read_bytes()) == {
        "labels-of-release-7": LABELS, "count-of-release-7": COUNT, _hash(LABELS): LABELS, _hash(COUNT): COUNT,
    }  # fmt: skip


def test_a_list_is_replaced_whole_or_not_at_all(
    torana: Torana, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    into = tmp_path / "documents.json"
    into.write_text(json.dumps({"my-own-id": OTHER}))

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:10])
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        done = torana("documents", "add", str(files), "--into", str(into))
    assert (done.returncode, "no space left" in done.stderr) == (2, True)
    assert read_list(into) == {"my-own-id": OTHER, _hash(OTHER): OTHER}


def test_add_refuses_to_write_over_what_is_no_list(torana: Torana, files: Path, tmp_path: Path) -> None:
    into = tmp_path / "package.json"
    into.write_text('{"name": "app", "private": true}')
    done = torana("documents", "add", str(files), "--into", str(into))
    assert done.returncode == 2
    assert f"{into} is not a list of documents" in done.stderr
    assert into.read_text() == '{"name": "app", "private": true}'


@pytest.mark.parametrize(("name", "says"), [("absent.graphql", "can't be read"), ("absent.json", "is not a list of documents"), ("latin.graphql", "can't be read"), ("empty", "there is no document")])  # fmt: skip
def test_what_cannot_be_read_is_told(torana: Torana, tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "latin.graphql").write_bytes("{é}".encode("latin-1"))
    done = torana("documents", "check", str(tmp_path / name))
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_gateway_trusts_the_list_that_add_wrote(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "documents.json"
    write_list(file, {_hash(LABELS): LABELS})
    gateway = await serve(trusted_documents=file)
    assert (await _post(gateway, {"documentId": f"sha256:{_hash(LABELS)}"})).json() == LABELLED
    assert _code(await _post(gateway, {"query": COUNT})) == "DOCUMENT_NOT_TRUSTED"


# What is kept ---------------------------------------------------------------------------------------------------------


def test_one_off_documents_do_not_pile_up(schema: Schema) -> None:
    documents = Documents(schema.core, Bounds(), keep=150_000)
    often = Envelope(LABELS)
    for n in range(50):
        documents.operation(Envelope(f"{{one{n}:__typename}}"))
        assert documents.operation(often).document is documents.operation(often).document
    assert 2 < len(documents._known) == len(documents._texts) < 12
    assert sum(document.weight for document in documents._known.values()) <= 150_000
    assert {document.text for document in documents._known.values()} == set(documents._texts)
    assert LABELS in documents._texts


def test_the_oldest_document_is_forgotten_and_the_one_asked_for_by_hash_stays(schema: Schema) -> None:
    weight = Documents(schema.core, Bounds(), keep=1).operation(Envelope(LABELS)).document.weight
    documents = Documents(schema.core, Bounds(), keep=int(2.5 * weight))
    documents.operation(Envelope(LABELS))
    documents.operation(Envelope(COUNT))
    documents.operation(Envelope(extensions=_persisted(LABELS)))
    documents.operation(Envelope(OTHER))
    documents.operation(Envelope(extensions=_persisted(LABELS)))
    with pytest.raises(Refused) as refused:
        documents.operation(Envelope(extensions=_persisted(COUNT)))
    assert refused.value.answer.body["errors"] == [MISSING]


def test_documents_that_are_refused_take_no_place(schema: Schema) -> None:
    documents = Documents(schema.core, Bounds(), keep=5)
    for n in range(20):
        with pytest.raises(Refused):
            documents.operation(Envelope(f"{{unknown{n}}}"))
    assert not documents._known
    assert not documents._texts


class _Holder:
    """What statements are made from."""

    def __init__(self) -> None:
        self.prepared: dict[Any, Prepared] = {}


def _made(kept: Kept, holder: Any, n: int, make: Callable[[], Any]) -> Prepared:
    if (found := kept.find(holder, n)) is None:
        kept.keep(holder, n, found := Prepared(make(), kept.dialect))
    return found


def test_prepared_statements_stay_under_their_characters_and_those_in_use_stay() -> None:
    kept, holders = Kept(sqlite.dialect(), 1_000), [_Holder(), _Holder()]
    made: list[int] = []

    def get(n: int) -> str:
        def make() -> Any:
            made.append(n)
            return sa.select(sa.literal_column(f"'{n:0>100}'"))

        return _made(kept, holders[n % 2], n, make).sql

    for n in range(1, 100):
        assert f"{n:0>100}" in get(n)
        get(0)
        held = [len(one.sql) for holder in holders for one in holder.prepared.values()]
        assert kept._characters == sum(held)
        assert sum(held) <= 1_000
    assert made == [1, 0, *range(2, 100)]
    assert len(held) > 5
    get(1)
    assert made[-1] == 1


def test_a_statement_larger_than_all_that_is_kept_is_still_made() -> None:
    kept, holder = Kept(sqlite.dialect(), 100), _Holder()
    for n in range(3):
        assert "x" * 500 in _made(kept, holder, n, lambda: sa.select(sa.literal_column(f"'{'x' * 500}'"))).sql
        assert list(holder.prepared) == [n]


def test_statements_go_with_what_they_were_made_from() -> None:
    kept = Kept(sqlite.dialect(), 1_000)
    gone = []
    for n in range(50):
        holder = _Holder()
        gone.append(weakref.ref(_made(kept, holder, n, lambda: sa.select(sa.literal_column("1")))))
        del holder
    gc.collect()
    assert not any(one() for one in gone)
    assert kept._characters <= 1_000
