"""The package index: pages in both forms, negotiated; files with their metadata; nothing of others."""

import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from db import models as m
from gateway.protocol.packages import pages
from tests.support.recording import recorded
from tests.support.serving import Serve, Served
from tests.support.spec_owners import SpecOwner, pair, publish
from tests.support.specs import described

WHEEL = "beam_line-1.0-py3-none-any.whl"
SDIST = "beam_line-1.0.tar.gz"


class Index:
    """A client with the key of somebody."""

    def __init__(self, owner: SpecOwner, auth: tuple[str, str] | None) -> None:
        self.owner = owner
        self.auth = auth

    async def get(self, path: str, *, method: str = "GET", **headers: str) -> httpx2.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        auth: Any = self.auth or httpx2.USE_CLIENT_DEFAULT
        return await self.owner.gateway.client.request(method, path, headers=given, auth=auth)

    async def json(self, path: str) -> Any:
        answer = await self.get(path, Accept=pages.JSON)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == pages.JSON
        return answer.json()


@pytest.fixture
async def tom(serve: Serve, backend: str) -> Index:
    gateway: Served = await serve(backend)
    owner = SpecOwner(gateway, await gateway.log_in("tom"))
    await publish(owner, "Beam_Line", described("Magnet", version="1.0"))
    return Index(owner, await pair(owner))


async def _other(tom: Index, name: str) -> Index:
    owner = SpecOwner(tom.owner.gateway, await tom.owner.gateway.log_in(name))
    return Index(owner, await pair(owner))


class _Links(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []
        self.meta: dict[str, str | None] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        if tag == "a":
            self.found.append(said)
        elif tag == "meta" and "name" in said:
            self.meta[str(said["name"])] = said["content"]


async def test_the_root_has_the_names_of_ones_specs(tom: Index) -> None:
    assert await tom.json("/simple/") == {"meta": {"api-version": "1.4"}, "projects": [{"name": "beam-line"}]}
    html = await tom.get("/simple/")
    assert html.headers["Content-Type"] == "text/html; charset=utf-8"
    assert [link["href"] for link in _Links(html.text).found] == ["beam-line/"]


async def test_a_page_has_the_files_with_all_that_installers_ask_for(tom: Index) -> None:
    page = await tom.json("/simple/beam-line/")
    assert page["meta"] == {"api-version": "1.4"}
    assert (page["name"], page["project-status"], page["versions"]) == ("beam-line", {"status": "active"}, ["1.0"])
    files = {file["filename"]: file for file in page["files"]}
    assert set(files) == {WHEEL, SDIST}
    for file in files.values():
        content = await tom.get(f"/simple/beam-line/{file['url']}")
        assert hashlib.sha256(content.content).hexdigest() == file["hashes"]["sha256"]
        assert len(content.content) == file["size"]
        assert content.headers["Cache-Control"] == "private, max-age=86400, immutable"
        metadata = await tom.get(f"/simple/beam-line/{file['url']}.metadata")
        assert hashlib.sha256(metadata.content).hexdigest() == file["core-metadata"]["sha256"]
        assert b"\nName: beam-line\nVersion: 1.0\n" in metadata.content
        assert (file["requires-python"], file["yanked"]) == (">=3.10", False)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]+\.\d+Z", file["upload-time"])


async def test_the_page_in_html_says_the_same(tom: Index) -> None:
    page = await tom.json("/simple/beam-line/")
    html = _Links((await tom.get("/simple/beam-line/", Accept=pages.HTML)).text)
    assert html.meta == {"pypi:repository-version": "1.4", "pypi:project-status": "active"}
    for link, file in zip(html.found, page["files"], strict=True):
        assert link["href"] == f"{file['filename']}#sha256={file['hashes']['sha256']}"
        assert link["data-requires-python"] == file["requires-python"]
        assert link["data-core-metadata"] == f"sha256={file['core-metadata']['sha256']}"
        assert link["data-dist-info-metadata"] == link["data-core-metadata"]


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", "text/html; charset=utf-8"),
        ("*/*", "text/html; charset=utf-8"),
        ("text/html", "text/html; charset=utf-8"),
        (pages.JSON_LATEST, pages.JSON),
        (f"{pages.JSON}, {pages.HTML}; q=0.1, text/html; q=0.01", pages.JSON),
        (f"{pages.HTML};q=0.9, {pages.JSON};q=0.8", pages.HTML),
    ],
)
async def test_a_client_gets_the_form_that_it_wants(tom: Index, accept: str, media: str) -> None:
    answer = await tom.get("/simple/beam-line/", Accept=accept)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, media)
    assert answer.headers["Vary"] == "Accept, Authorization"
    assert answer.headers["Cache-Control"].startswith("private")


async def test_a_form_that_there_is_not_is_refused(tom: Index) -> None:
    answer = await tom.get("/simple/", Accept="image/png")
    assert answer.status_code == 406
    assert pages.JSON in answer.text


async def test_a_page_that_did_not_change_is_not_sent_again(tom: Index) -> None:
    first = await tom.get("/simple/beam-line/")
    again = await tom.get("/simple/beam-line/", If_None_Match=first.headers["ETag"])
    assert (again.status_code, again.content) == (304, b"")
    other = await tom.get("/simple/beam-line/", Accept=pages.JSON, If_None_Match=first.headers["ETag"])
    assert other.status_code == 200, "another form"
    version = await tom.owner.put("beam-line", described("Magnet", version="1.0"))
    yank = 'mutation($id:ID!){done:yankPackage(id:$id,reason:"wrong <units>"){__typename}}'
    await tom.owner.gateway.ask(yank, tom.owner.bearer, id=version["id"])
    yanked = await tom.get("/simple/beam-line/", If_None_Match=first.headers["ETag"])
    assert yanked.status_code == 200
    assert {link["data-yanked"] for link in _Links(yanked.text).found} == {"wrong <units>"}
    assert {file["yanked"] for file in (await tom.json("/simple/beam-line/"))["files"]} == {"wrong <units>"}
    await publish(tom.owner, "beam-line", described("Magnet", version="1.1"))
    assert (await tom.get("/simple/beam-line/", If_None_Match=yanked.headers["ETag"])).status_code == 200


@pytest.mark.parametrize(
    ("path", "to"),
    [
        ("/simple", "/simple/"),
        ("/simple/beam-line", "/simple/beam-line/"),
        ("/simple/Beam_Line/", "/simple/beam-line/"),
        ("/simple/~tom/Beam.Line/", "/simple/~tom/beam-line/"),
        ("/Beam_Line/", "/simple/beam-line/"),
        ("/beam-line/beam_line-1.0.tar.gz", "/simple/beam-line/beam_line-1.0.tar.gz"),
    ],
)
async def test_other_addresses_lead_to_the_normal_one(tom: Index, path: str, to: str) -> None:
    answer = await tom.get(path)
    assert (answer.status_code, answer.headers["Location"]) == (301, to)


@pytest.mark.parametrize("auth", [None, ("pk_wrong", "sk_wrong")])
async def test_who_has_no_key_is_asked_for_one(tom: Index, auth: tuple[str, str] | None) -> None:
    for path in ("/simple/", "/simple/beam-line/", f"/simple/beam-line/{WHEEL}", "/simple/nothing/"):
        answer = await Index(tom.owner, auth).get(path)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")


async def test_foreign_and_unknown_names_are_answered_alike(tom: Index) -> None:
    eve = await _other(tom, "eve")
    for below in ("", WHEEL, f"{WHEEL}.metadata", SDIST):
        told = []
        for name in ("beam-line", "unknown"):
            answer = await eve.get(f"/simple/{name}/{below}")
            del answer.headers["X-Request-Id"], answer.headers["Date"]
            told.append((answer.status_code, sorted(answer.headers.items()), answer.text))
        assert told[0] == told[1]
        assert told[0][0] == 404
        shared = await eve.get(f"/simple/~tom/beam-line/{below}")
        assert shared.status_code == 404
    assert (await eve.json("/simple/"))["projects"] == []


async def test_what_is_not_here_is_looked_for_upstream(serve: Serve) -> None:
    gateway = await serve("sqlite", package_upstream="https://index.example/simple/")
    owner = SpecOwner(gateway, await gateway.log_in("tom"))
    await publish(owner, "beam-line", described("Magnet", version="1.0"))
    eve = Index(SpecOwner(gateway, await gateway.log_in("eve")), None)
    eve.auth = await pair(eve.owner)
    for name in ("beam-line", "requests"):
        answer = await eve.get(f"/simple/{name}/")
        assert (answer.status_code, answer.headers["Location"]) == (302, f"https://index.example/simple/{name}/")
    tom = Index(owner, await pair(owner))
    assert (await tom.get("/simple/beam-line/")).status_code == 200
    assert (await tom.get("/simple/requests/")).status_code == 302


async def test_what_ones_own_spec_has_not_is_not_taken_from_elsewhere(serve: Serve) -> None:
    """Before its first build, as a draft, and for the token of another spec: a stranger may have the name there."""
    gateway = await serve("sqlite", package_upstream="https://index.example/simple/", task_slots=0)
    owner = SpecOwner(gateway, await gateway.log_in("tom"))
    await owner.put("beam-line", described("Magnet", version="1.0"))
    tom = Index(owner, await pair(owner))
    for path in ("/simple/beam-line/", "/simple/beam-line/beam_line-1.0.tar.gz"):
        answer = await tom.get(path)
        assert (answer.status_code, answer.headers.get("Location")) == (404, None)


async def test_a_user_of_a_provider_is_named_by_the_subject(serve: Serve, backend: str) -> None:
    gateway: Served = await serve(backend)
    tom, maria = [SpecOwner(gateway, await gateway.log_in(name)) for name in ("tom", "maria")]
    await publish(tom, "beam-line", described("Magnet", version="1.0"))
    await _share(gateway, tom)
    async with gateway.services.database.write(as_system="test") as session:
        identity = {"auth_provider": m.AuthProvider.COGNITO, "external_subject": "4f|1c", "username": "maria"}
        mine = sa.update(m.User).where(m.User.username == "tom").values(**identity)
        await session.execute(sa.update(m.User).where(m.User.username == "maria").values(username="other"))
        await session.execute(mine)
    index = Index(maria, await pair(maria))
    for path in ("/simple/~cognito:4f|1c/", "/simple/~cognito:4f%7C1c/"):
        assert (await index.json(path))["projects"] == [{"name": "beam-line"}]
    for path in ("/simple/~maria/", "/simple/~keycloak:4f|1c/", "/simple/~local:maria/", "/simple/~nothing:4f|1c/"):
        assert (await index.json(path))["projects"] == [], path


async def _share(gateway: Served, owner: SpecOwner) -> None:
    spec = (await gateway.ask('{spec(name:"beam-line"){id version}}', owner.bearer))["spec"]
    share = "mutation($i:ID!,$v:Int!,$p:ID!){done:updateSpec(id:$i,expectedVersion:$v,input:{project:$p}){__typename}}"
    project = gateway.world.id("Project", "shared")
    done = await gateway.ask(share, owner.bearer, i=spec["id"], v=spec["version"], p=project)
    assert done["done"]["__typename"] == "Spec"


async def test_shared_specs_stand_under_their_owner(tom: Index) -> None:
    gateway = tom.owner.gateway
    await _share(gateway, tom.owner)
    maria = await _other(tom, "maria")
    assert (await maria.json("/simple/~tom/"))["projects"] == [{"name": "beam-line"}]
    page = await maria.json("/simple/~tom/beam-line/")
    assert (await maria.get(f"/simple/~tom/beam-line/{page['files'][0]['url']}")).status_code == 200
    assert (await maria.json("/simple/"))["projects"] == []
    await publish(maria.owner, "beam-line", described("Other", version="9"))
    assert (await maria.json("/simple/beam-line/"))["versions"] == ["9"], "equal names are not merged"


async def test_states_are_told_and_drafts_are_not_there(tom: Index) -> None:
    gateway = tom.owner.gateway
    for state, status in (("DEPRECATED", "deprecated"), ("ARCHIVED", "archived"), ("DRAFT", None)):
        async with gateway.services.database.write(as_system="test") as session:
            await session.execute(sa.update(m.Spec).values(state=m.SpecState[state]))
        if status is not None:
            assert (await tom.json("/simple/beam-line/"))["project-status"] == {"status": status}
        else:
            assert (await tom.get("/simple/beam-line/")).status_code == 404
            assert (await tom.json("/simple/"))["projects"] == []


@pytest.mark.parametrize(("below", "method", "counts"), [
    ("", "GET", False), (WHEEL, "HEAD", False), (WHEEL, "GET", True), (f"{SDIST}.metadata", "GET", True),
])  # fmt: skip
async def test_who_fetches_a_package_or_its_metadata_keeps_its_bytes(
    tom: Index, below: str, method: str, counts: bool
) -> None:
    assert (await tom.get(f"/simple/beam-line/{below}", method=method)).status_code == 200
    done = await tom.owner.put("beam-line", described("Other", version="1.0"))
    assert (done.get("code") == "CONFLICT") is counts


async def test_a_deleted_version_is_gone_from_the_index(tom: Index) -> None:
    done = await publish(tom.owner, "beam-line", described("Magnet", version="1.1"))
    await tom.owner.run("deleteSpecVersion", done["id"])
    assert (await tom.json("/simple/beam-line/"))["versions"] == ["1.0"]
    await tom.owner.run("deleteSpec", done["spec"]["id"])
    assert (await tom.get("/simple/beam-line/")).status_code == 404
    assert (await tom.get(f"/simple/beam-line/{WHEEL}")).status_code == 404


async def test_a_credential_asks_so_often_and_another_one_is_not_held_up(serve: Serve) -> None:
    gateway = await serve("sqlite", package_requests=2)
    owner = SpecOwner(gateway, await gateway.log_in("tom"))
    tom, again = Index(owner, await pair(owner)), Index(owner, await pair(owner))
    answers = [await tom.get("/simple/") for _ in range(8)]
    codes = [answer.status_code for answer in answers]
    assert codes[:4] == [200] * 4
    assert 429 in codes
    assert answers[codes.index(429)].headers["Retry-After"] == "1"
    assert (await again.get("/simple/")).status_code == 200


async def test_a_page_takes_as_many_statements_for_many_versions_as_for_one(tom: Index) -> None:
    one = await _statements(tom)
    for n in range(3):
        await publish(tom.owner, "beam-line", described("Magnet", version=f"2.{n}"))
    assert await _statements(tom) == one <= 3


async def _statements(tom: Index) -> int:
    await tom.get("/simple/beam-line/")  # its key is known from here on
    with recorded() as counted:
        await tom.get("/simple/beam-line/")
    return len(counted.texts)


@pytest.mark.parametrize(
    "path",
    [
        "/simple/~nobody/",
        "/simple/beam-line/..%2F..%2Fetc",
        "/simple/beam%00line/",
        "/simple/beam-line/x%00y",
        "/simple/~t%00m/",
        "/simple/~t%00m/beam-line/",
        "/simple/~/x",
    ],
)
async def test_odd_addresses_find_nothing(tom: Index, path: str) -> None:
    answer = await tom.get(path, Accept=pages.JSON)
    assert answer.status_code == 404 or answer.json()["projects"] == []


async def test_the_addresses_of_the_former_index_take_no_others(tom: Index) -> None:
    answer = await tom.get("/healthz/")
    assert answer.status_code == 307
    assert answer.headers["Location"].endswith("/healthz")
    for path in ("/static/x.whl", "/beam-line/notes.txt", "/page.py"):
        assert (await tom.get(path)).status_code == 404


async def test_versions_are_in_their_order(tom: Index) -> None:
    for version in ("1.10", "1.9", "1.10rc1"):
        await publish(tom.owner, "beam-line", described("Magnet", version=version))
    assert (await tom.json("/simple/beam-line/"))["versions"] == ["1.0", "1.9", "1.10rc1", "1.10"]
