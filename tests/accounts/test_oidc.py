"""Signing in through OpenID Connect providers: one that others wrote, and one of our own that lies as it is told."""

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
import sqlalchemy as sa
import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from db import models
from db.engine import changed
from gateway.settings import SettingsError, load
from resolvers.accounts.external_identity import _called
from resolvers.feed import principal_topic
from resolvers.identity import oidc
from resolvers.spelling import global_id
from tests.support.identity_provider import lab_of, person, running
from tests.support.platforms import KEY, Platform
from tests.support.postgres import free_port
from tests.support.serving import Serve, Served

pytestmark = pytest.mark.slow

ON_SQLITE = True

VIEWER = (
    "{viewer{username authProvider email emailVerified firstName lastName superadmin groups(first:9){nodes{name}}}}"
)
REFRESH = (
    "mutation($t: String!) { refresh(refreshToken: $t) { ... on Tokens { accessToken } ... on Problem { code } } }"
)
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"})
STRANGE = RSAKey.generate_key(2048, {"kid": "rsa"})


def _browser(gateway: Served, **options: Any) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=gateway.url, timeout=30, headers={"Accept": "text/html"}, **options)


async def _viewer(gateway: Served, browser: httpx2.AsyncClient) -> Any:
    refreshed = await gateway.ask(REFRESH, t=browser.cookies["torana_refresh"])
    return (await gateway.ask(VIEWER, f"Bearer {refreshed['refresh']['accessToken']}"))["viewer"]


# With a provider of others ------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that answers late is another matter: here it may be busy with other tests."""
    monkeypatch.setattr(oidc, "SECONDS", 60.0)


@pytest.fixture(scope="module")
async def provider() -> AsyncIterator[str]:
    async with running() as address:
        yield address


@pytest.fixture(scope="module")
async def lab(serve_module: Serve, provider: str) -> Served:
    """A gateway for tests that leave nothing behind but users."""
    return await serve_module("sqlite", oidc=lab_of(provider, sign_up=True))  # type: ignore[no-any-return]


async def _sign_in(gateway: Served, browser: httpx2.AsyncClient, sub: str, **query: str) -> httpx2.Response:
    """As a person would: follow to the provider's page, fill it in, follow back."""
    page = await browser.get("/auth/lab", params=query, follow_redirects=True)
    assert page.status_code == 200
    assert not str(page.url).startswith(gateway.url)
    return await browser.post(page.url, data={"sub": sub}, follow_redirects=True)


async def test_a_person_signs_in_with_a_browser_and_becomes_a_user(serve: Serve, backend: str, provider: str, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    gateway = await serve(backend, oidc=lab_of(provider, sign_up=True))
    await person(provider, "a1", preferred_username="Alice", email="Alice@Lab.example", email_verified=True, given_name="Alice", family_name="Liddell")  # fmt: skip
    async with _browser(gateway) as browser:
        arrived = await _sign_in(gateway, browser, "a1")
        assert str(arrived.url) == f"{gateway.url}/graphql"
        assert [answer.status_code for answer in arrived.history] == [302, 303]
        token = browser.cookies["torana_refresh"]
        assert [cookie.name for cookie in browser.cookies.jar if "flow" in cookie.name] == []
        page = {"X-Torana-Session": "cookie", "Accept": "application/json"}
        body = {"query": "mutation{refresh{...on Tokens{accessToken refreshToken}}}"}
        went_on = (await browser.post("/graphql", json=body, headers=page)).json()["data"]["refresh"]
        assert went_on["accessToken"]
        assert went_on["refreshToken"] is None
        assert browser.cookies["torana_refresh"] != token
        assert await _viewer(gateway, browser) == {
            "username": "alice", "authProvider": "KEYCLOAK", "email": "alice@lab.example", "emailVerified": True,
            "firstName": "Alice", "lastName": "Liddell", "superadmin": False, "groups": {"nodes": []},
        }  # fmt: skip
    events = await gateway.services.database.rows(
        sa.select(models.AuditEvent.action, models.AuditEvent.detail).order_by(models.AuditEvent.id.desc()).limit(2)
    )
    assert [(event.action, event.detail) for event in reversed(events)] == [
        ("SIGN_UP", {"provider": "lab"}), ("LOG_IN", {"provider": "lab"}),
    ]  # fmt: skip
    code = dict(parse_qsl(urlsplit(str(arrived.history[0].headers["location"])).query))["code"]
    printed = capsys.readouterr()
    for secret in (token, code, "hush"):
        assert secret not in printed.out + printed.err


async def test_a_person_who_comes_again_is_the_same_user_as_the_provider_now_tells(serve: Serve, backend: str, provider: str) -> None:  # fmt: skip
    gateway = await serve(backend, oidc=lab_of(provider, sign_up=True))
    seen = []
    for name, mail in (("bob", "bob@lab.example"), ("robert", "r@lab.example")):
        await person(provider, "b1", preferred_username=name, email=mail)
        async with _browser(gateway) as browser:
            await _sign_in(gateway, browser, "b1")
            viewer = await _viewer(gateway, browser)
            seen.append((viewer["username"], viewer["email"], viewer["emailVerified"]))
    assert seen == [("bob", "bob@lab.example", False), ("robert", "r@lab.example", False)]
    users = await gateway.services.database.rows(sa.select(models.User).where(models.User.external_subject == "b1"))
    assert len(users) == 1


async def test_who_is_not_known_becomes_no_user_unless_the_settings_say_so(serve: Serve, backend: str, provider: str) -> None:  # fmt: skip
    gateway = await serve(backend, oidc=lab_of(provider))
    await person(provider, "c1", preferred_username="carol")
    async with _browser(gateway) as browser:
        refused = await _sign_in(gateway, browser, "c1")
        assert (refused.status_code, refused.text) == (403, "You are not signed in: no user of this gateway has this identity.\n")  # fmt: skip
        assert "torana_refresh" not in browser.cookies
    assert not await gateway.services.database.rows(sa.select(models.User).where(models.User.external_subject == "c1"))


async def test_a_name_at_the_provider_gives_no_rights_of_a_local_user(serve: Serve, backend: str, provider: str) -> None:  # fmt: skip
    gateway = await serve(backend, oidc=lab_of(provider, sign_up=True))
    await person(provider, "d1", preferred_username="root", email="root@torana.example", email_verified=True)
    async with _browser(gateway) as browser:
        await _sign_in(gateway, browser, "d1")
        viewer = await _viewer(gateway, browser)
    assert (viewer["username"], viewer["authProvider"], viewer["superadmin"]) == ("root", "KEYCLOAK", False)


async def test_a_username_that_another_has_at_the_provider_is_a_conflict(serve: Serve, backend: str, provider: str) -> None:  # fmt: skip
    gateway = await serve(backend, oidc=lab_of(provider, sign_up=True))
    statuses = []
    for sub in ("e1", "e2"):
        await person(provider, sub, preferred_username="erin")
        async with _browser(gateway) as browser:
            statuses.append((await _sign_in(gateway, browser, sub)).status_code)
    assert statuses[1] == 409


async def test_groups_of_the_provider_become_groups_here_and_end_with_them(serve: Serve, backend: str, provider: str) -> None:  # fmt: skip
    probe = await serve(backend)
    (row,) = await probe.services.database.rows(
        sa.select(models.UserGroup.name).where(models.UserGroup.id == probe.world.here.members)
    )
    gateway = await serve(backend, oidc=lab_of(provider, sign_up=True, groups={"physics": row.name, "none": "No group of ours"}))  # fmt: skip
    joined = []
    for groups in (["physics", "none", "chess"], ["chess"], None, ["physics"]):
        await person(provider, "f1", preferred_username="frank", **({} if groups is None else {"groups": groups}))
        async with _browser(gateway) as browser:
            await _sign_in(gateway, browser, "f1")
            joined.append([group["name"] for group in (await _viewer(gateway, browser))["groups"]["nodes"]])
    assert joined == [[row.name], [], [], [row.name]]


async def test_who_is_in_no_required_group_is_refused(serve: Serve, provider: str) -> None:
    gateway = await serve(oidc=lab_of(provider, sign_up=True, groups_claim="access.lab", required=["beam"]))
    statuses = []
    for access in ({"lab": ["desk"]}, {}, {"lab": ["desk", "beam"]}):
        await person(provider, "g1", preferred_username="grace", access=access)
        async with _browser(gateway) as browser:
            statuses.append((await _sign_in(gateway, browser, "g1")).status_code)
    assert statuses[:2] == [403, 403]
    assert statuses[2] != 403


@pytest.mark.parametrize("change", [{"active": False}, {"deleted_at": models.User.created_at}])
async def test_a_disabled_user_does_not_sign_in(lab: Served, provider: str, change: Any) -> None:
    name = f"heidi {next(iter(change))}"
    await person(provider, name, preferred_username=name)
    async with _browser(lab) as browser:
        await _sign_in(lab, browser, name)
        async with lab.services.database.write(as_system="test") as session:
            await session.execute(sa.update(models.User).where(models.User.username == name).values(**change))
        refused = await _sign_in(lab, browser, name)
    assert (refused.status_code, refused.text) == (403, "You are not signed in: this account is disabled.\n")


async def test_an_answer_is_taken_once_and_only_in_the_browser_that_asked(lab: Served, provider: str) -> None:
    await person(provider, "i1", preferred_username="ivan")
    async with _browser(lab) as browser, _browser(lab) as other:
        begun = await browser.get("/auth/lab")
        kept = dict(browser.cookies)
        back = (await browser.post(begun.headers["location"], data={"sub": "i1"})).headers["location"]
        assert (await other.get(back)).status_code == 400
        assert (await browser.get(back.replace("state=", "state=x"))).status_code == 400
        assert (await browser.get(back)).status_code == 303
        assert (await browser.get(back)).status_code == 400
        for name, value in kept.items():  # who kept the cookie still has a code that was spent
            other.cookies.set(name, value)
        again = await other.get(back)
    assert (again.status_code, again.text) == (403, "You are not signed in: the provider did not accept the sign-in; begin it again.\n")  # fmt: skip


async def test_who_declines_at_the_provider_is_told_in_our_words(lab: Served) -> None:
    async with _browser(lab) as browser:
        page = await browser.get("/auth/lab", follow_redirects=True)
        refused = await browser.post(page.url, data={"action": "deny"})
        state = dict(parse_qsl(urlsplit(str(page.url)).query))["state"]
        told = await browser.get("/auth/lab/callback", params={"error": "access_denied", "error_description": "<b>call 555</b>", "state": state})  # fmt: skip
    assert refused.status_code == 302
    assert (told.status_code, told.text) == (403, "You are not signed in: the provider did not sign you in.\n")


@pytest.mark.parametrize(
    ("asked", "led"),
    [
        ("/graphql?x=1&y=a%20b", "/graphql?x=1&y=a%20b"), ("https://evil.example/", "/graphql"), ("//evil.example", "/graphql"),
        ("/\\evil.example", "/graphql"), ("\\\\evil.example", "/graphql"), ("/a\r\nSet-Cookie: x=1", "/graphql"),
        ("javascript:alert(1)", "/graphql"), ("graphql", "/graphql"), ("", "/graphql"), ("/\t/evil.example", "/graphql"),
    ],
)  # fmt: skip
async def test_a_sign_in_leads_to_a_path_of_ours(lab: Served, provider: str, asked: str, led: str) -> None:
    await person(provider, "j1", preferred_username="judy")
    async with _browser(lab) as browser:
        begun = await browser.get("/auth/lab", params={"next": asked})
        back = (await browser.post(begun.headers["location"], data={"sub": "j1"})).headers["location"]
        done = await browser.get(back)
    assert (done.status_code, done.headers["location"]) == (303, led)


async def test_where_the_provider_leads_back_to_is_set_and_not_what_a_request_says(serve: Serve, provider: str) -> None:
    gateway = await serve(oidc=lab_of(provider), public_url="https://torana.example/")
    begun = await gateway.client.get("/auth/lab", headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
    asked = dict(parse_qsl(urlsplit(begun.headers["location"]).query))
    assert asked["redirect_uri"] == "https://torana.example/auth/lab/callback"
    assert begun.headers["location"].startswith(provider)
    assert begun.headers["cache-control"] == "no-store"
    assert begun.headers["referrer-policy"] == "no-referrer"
    cookie = begun.headers["set-cookie"]
    for part in ("HttpOnly", "SameSite=lax", "Secure", "Path=/auth", "Max-Age=600"):
        assert part in cookie


async def test_a_provider_that_is_not_configured_is_not_found(serve: Serve, provider: str) -> None:
    gateway = await serve(oidc=lab_of(provider))
    for path in ("/auth/other", "/auth/other/callback?code=1&state=2"):
        assert (await gateway.client.get(path)).status_code == 404
    none = await serve()
    assert (await none.client.get("/auth/lab")).status_code == 404


# With a provider that lies ------------------------------------------------------------------------------------------


class Forge:
    """Answers with whatever a test wants."""

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self.honest()
        self.app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._tell),
                Route("/keys", self._show),
                Route("/token", self._exchange, methods=["POST"]),
            ]
        )

    def honest(self) -> None:
        self.keys: list[Any] = [RSA, EC, ED]
        self.document: dict[str, Any] = {}
        self.id_token = ""
        self.challenge = ""
        self.answer: Response | None = None
        self.forms: list[dict[str, Any]] = []
        self.looked = 0

    def sign(
        self, key: Any = RSA, algorithm: str = "RS256", header: Any = None, spoil: Any = str, **changed: Any
    ) -> str:
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": "torana", "sub": "z1", "iat": now, "exp": now + 60, "preferred_username": "zoe"}  # fmt: skip
        claims = {name: value for name, value in {**claims, **changed}.items() if value is not None}
        head = {"alg": algorithm, "kid": getattr(key, "kid", None), "typ": "JWT", **(header or {})}
        registry = JWSRegistry(algorithms=[algorithm])
        return str(spoil(jwt.encode(head, claims, key, algorithms=[algorithm], registry=registry)))

    async def _tell(self, _: Request) -> Response:
        places = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        found = {name: f"{self.issuer}/{path}" for name, path in places.items()}
        return JSONResponse({"issuer": self.issuer, **found, **self.document})

    async def _show(self, _: Request) -> Response:
        self.looked += 1
        return JSONResponse({"keys": [key.as_dict(private=False) for key in self.keys] + [{"kty": "unheard of"}, None]})

    async def _exchange(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        self.forms.append({**form, "header": request.headers.get("authorization")})
        if self.answer is not None:
            return self.answer
        digest = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).decode()
        assert digest.rstrip("=") == self.challenge
        return JSONResponse({"access_token": "x", "token_type": "Bearer", "id_token": self.id_token})


@pytest.fixture(scope="module")
async def standing() -> AsyncIterator[Forge]:
    async with _forging() as made:
        yield made


@pytest.fixture
def forge(standing: Forge) -> Forge:
    """One that all tests share, honest again."""
    standing.honest()
    return standing


@pytest.fixture(scope="module")
async def gateway(serve_module: Serve, standing: Forge) -> Served:
    """For tests that leave nothing behind but the user zoe."""
    return await serve_module("sqlite", oidc=lab_of(standing.issuer, sign_up=True, audience="api"))  # type: ignore[no-any-return]


@asynccontextmanager
async def _forging() -> AsyncIterator[Forge]:
    port = free_port()
    made = Forge(port)
    server = uvicorn.Server(uvicorn.Config(made.app, port=port, log_config=None, lifespan="off"))
    running = asyncio.create_task(server._serve())
    while not server.started:
        assert not running.done()
        await asyncio.sleep(0)
    yield made
    server.should_exit = True
    await running


async def _forged(gateway: Served, forge: Forge, **token: Any) -> httpx2.Response:
    """What comes of a sign-in that the provider answers with this id token."""
    async with _browser(gateway) as browser:
        begun = await browser.get("/auth/lab")
        asked = dict(parse_qsl(urlsplit(begun.headers["location"]).query))
        forge.challenge = asked["code_challenge"]
        forge.id_token = forge.sign(**{"nonce": asked["nonce"], **token})
        return await browser.get("/auth/lab/callback", params={"code": "c", "state": asked["state"]})


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (EC, "ES256"), (ED, "EdDSA"), (ED, "Ed25519")])
async def test_identities_signed_with_each_algorithm_are_taken(gateway: Served, forge: Forge, key: Any, algorithm: str) -> None:  # fmt: skip
    assert (await _forged(gateway, forge, key=key, algorithm=algorithm)).status_code == 303
    (form,) = forge.forms
    assert form["redirect_uri"] == f"{gateway.url}/auth/lab/callback"
    assert form["header"] == f"Basic {base64.b64encode(b'torana:hush').decode()}"
    assert "client_secret" not in form


def _flip(token: str) -> str:
    head, claims, signature = token.split(".")
    return f"{head}.{claims}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


def _unsigned(token: str) -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"none","kid":"rsa"}').decode().rstrip("=")
    return f"{head}.{token.split('.')[1]}."


def _symmetric(token: str) -> str:
    """Signed with the public key as if it were a secret one."""
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"rsa","typ":"at+jwt"}').decode().rstrip("=")
    body = f"{head}.{token.split('.')[1]}"
    signature = hmac.digest(RSA.as_pem(private=False), body.encode(), "sha256")
    return f"{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ({"nonce": "another"}, "for another sign-in"), ({"nonce": None}, "for another sign-in"),
        ({"aud": "other"}, "for another application"), ({"aud": ["torana", "other"]}, "for another application"),
        ({"azp": "other"}, "for another application"), ({"aud": None}, "for another application"),
        ({"iss": "https://evil.example"}, "not one of the provider"), ({"sub": None}, "not one of the provider"),
        ({"sub": ""}, "not one of the provider"), ({"exp": 1_700_000_000}, "has expired"),
        ({"exp": None}, "not one of the provider"), ({"nbf": 4_000_000_000}, "not one of the provider"),
        ({"iat": 4_000_000_000}, "not one of the provider"), ({"exp": "soon"}, "not one of the provider"),
        ({"key": STRANGE}, "not one of the provider"), ({"header": {"kid": "unknown"}}, "not one of the provider"),
        ({"header": {"kid": "ec"}}, "not one of the provider"), ({"spoil": _flip}, "not one of the provider"),
        ({"spoil": _unsigned}, "not one of the provider"), ({"spoil": lambda _: "a.b.c"}, "not one of the provider"),
        ({"algorithm": "RS512"}, "not one of the provider"),
        ({"spoil": _symmetric}, "not one of the provider"),
        ({"header": {"jwk": STRANGE.as_dict(private=False)}, "key": STRANGE}, "not one of the provider"),
    ],
    ids=lambda value: None if isinstance(value, str) else "-".join(f"{n}" for n in value),
)  # fmt: skip
async def test_an_identity_that_is_no_good_signs_nobody_in(gateway: Served, forge: Forge, token: Any, why: str) -> None:
    refused = await _forged(gateway, forge, **token)
    assert refused.status_code == 403
    assert why in refused.text
    assert "torana_refresh" not in refused.headers.get("set-cookie", "")


async def test_clocks_may_differ_a_little(gateway: Served, forge: Forge) -> None:
    now = int(time.time())
    assert (await _forged(gateway, forge, exp=now - 5, iat=now + 5)).status_code == 303


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (RedirectResponse("http://127.0.0.1:1/", 302), 502), (Response("x" * 300_000), 502), (Response("no json"), 502),
        (JSONResponse([1]), 502), (JSONResponse({}, 500), 502), (JSONResponse({"error": "invalid_grant"}, 400), 403),
        (JSONResponse({"access_token": "x"}), 403), (JSONResponse({"id_token": 7}), 403),
    ],
)  # fmt: skip
async def test_a_provider_that_answers_wrongly_is_not_followed(gateway: Served, forge: Forge, answer: Response, status: int) -> None:  # fmt: skip
    forge.answer = answer
    assert (await _forged(gateway, forge)).status_code == status


@pytest.mark.parametrize(
    "document",
    [{"issuer": "https://evil.example"}, {"jwks_uri": "file:///etc/passwd"}, {"token_endpoint": None}, {"authorization_endpoint": 7}],
)  # fmt: skip
async def test_a_document_that_is_not_the_issuers_own_is_not_believed(serve: Serve, forge: Forge, document: Any) -> None:  # fmt: skip
    gateway = await serve(oidc=lab_of(forge.issuer))
    forge.document = document
    refused = await gateway.client.get("/auth/lab")
    assert (refused.status_code, refused.text) == (502, "The identity provider does not answer as it should.\n")
    forge.document = {}
    assert (await gateway.client.get("/auth/lab")).status_code == 303


async def test_a_provider_that_is_down_is_told(serve: Serve) -> None:
    gateway = await serve(oidc=lab_of(f"http://127.0.0.1:{free_port()}"))
    assert (await gateway.client.get("/auth/lab")).status_code == 502


async def test_a_secret_goes_into_the_body_where_the_provider_takes_no_header(serve: Serve, forge: Forge) -> None:
    gateway = await serve(oidc=lab_of(forge.issuer, sign_up=True))
    forge.document = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert (await _forged(gateway, forge)).status_code == 303
    assert (forge.forms[0]["client_secret"], forge.forms[0]["header"]) == ("hush", None)


# Access tokens of a provider ----------------------------------------------------------------------------------------


async def _bearing(gateway: Served, token: str, query: str = "{viewer{username}}") -> Any:
    answer = await gateway.client.post("/graphql", json={"query": query}, headers={"Authorization": f"Bearer {token}"})
    body = answer.json()
    return body["errors"][0]["message"] if answer.status_code == 401 else body["data"]


ACCESS = {"header": {"typ": "at+jwt"}, "aud": "api"}


@asynccontextmanager
async def _linked(serve: Serve, forge: Forge, backend: str = "sqlite", **more: Any) -> AsyncIterator[Served]:
    """A gateway on which the identity z1 is that of a user."""
    gateway = await serve(backend, oidc=lab_of(forge.issuer, sign_up=True, audience="api", **more))
    assert (await _forged(gateway, forge)).status_code == 303
    yield gateway


async def test_an_access_token_of_a_provider_is_that_of_the_user_with_its_identity(serve: Serve, forge: Forge, backend: str) -> None:  # fmt: skip
    async with _linked(serve, forge, backend) as gateway:
        token = forge.sign(**ACCESS)
        assert await _bearing(gateway, token) == {"viewer": {"username": "zoe"}}
        written = await _bearing(gateway, token, 'mutation{updateProfile(expectedVersion:1,input:{firstName:"Z"}){__typename}}')  # fmt: skip
        assert written == {"updateProfile": {"__typename": "User"}}


async def test_an_access_token_makes_its_user_where_anyone_may_sign_up(serve: Serve, forge: Forge) -> None:
    """As YAPTIDE's users come: with a token of their own, never through our page."""
    gateway = await serve(oidc=lab_of(forge.issuer, sign_up=True, audience="api"))
    token = forge.sign(**ACCESS, sub="n1", preferred_username="new", given_name="Nora")
    assert await _bearing(gateway, token, "{viewer{username firstName}}") == {
        "viewer": {"username": "new", "firstName": "Nora"}
    }
    gateway = await serve(oidc=lab_of(forge.issuer, audience="api"))
    unknown = await _bearing(gateway, forge.sign(**ACCESS, sub="n1", preferred_username="new"))
    assert unknown == "no active user of this gateway is linked with this identity; sign in through the browser first"


async def test_an_access_token_brings_what_changed_at_the_provider(serve: Serve, forge: Forge) -> None:
    groups = {"beam": "Beam"}
    async with _linked(serve, forge, groups=groups) as gateway:
        async with gateway.services.database.write(as_system="test") as session:
            session.add(models.UserGroup(name="Beam"))
        query = "{viewer{username firstName groups(first:9){nodes{name}}}}"

        async def seen(**claims: Any) -> Any:
            viewer = (await _bearing(gateway, forge.sign(**ACCESS, **claims), query))["viewer"]
            return viewer["firstName"], [group["name"] for group in viewer["groups"]["nodes"]]

        assert await seen(given_name="Zed", groups=["beam"], jti="1") == ("Zed", ["Beam"])
        assert await seen(jti="2", groups=None) == ("Zed", ["Beam"]), "what it leaves out stays"
        assert await seen(jti="3", groups=["desk"]) == ("Zed", [])


async def test_a_refused_identity_is_on_record(serve: Serve, forge: Forge) -> None:
    gateway = await serve(oidc=lab_of(forge.issuer))
    await _forged(gateway, forge)
    wanted = sa.select(models.AuditEvent.action, models.AuditEvent.detail)
    events = await gateway.services.database.rows(wanted.where(models.AuditEvent.action == "LOG_IN_FAILED"))
    assert [event.detail.get("subject") for event in events] == ["z1"]


@pytest.mark.both
async def test_a_user_who_is_disabled_is_refused_at_once_with_a_providers_token(serve: Serve, forge: Forge, backend: str) -> None:  # fmt: skip
    async with _linked(serve, forge, backend) as gateway:
        token = forge.sign(**ACCESS)
        assert await _bearing(gateway, token) == {"viewer": {"username": "zoe"}}
        async with gateway.services.database.write(as_system="test") as session:
            user = (await session.scalars(sa.select(models.User).where(models.User.username == "zoe"))).one()
            user.active = False
            changed(session, principal_topic(user.id))
        assert "no active user" in await _bearing(gateway, token)


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ({**ACCESS, "aud": "torana"}, "another audience"), ({**ACCESS, "aud": None}, "another audience"),
        ({**ACCESS, "exp": 1_700_000_000}, "has expired"), ({**ACCESS, "key": STRANGE}, "not one of the provider"),
        ({**ACCESS, "iss": "https://evil.example"}, "not one of this gateway"),
        ({**ACCESS, "header": {"kid": "unknown"}}, "not one of the provider"),
        ({"aud": "api", "nonce": "n"}, "no access token"),
        ({**ACCESS, "spoil": _symmetric}, "not one of the provider"),
        ({**ACCESS, "spoil": _flip}, "not one of the provider"),
    ],
)  # fmt: skip
async def test_an_access_token_that_is_no_good_is_told(gateway: Served, forge: Forge, token: Any, why: str) -> None:
    assert (await _forged(gateway, forge)).status_code == 303
    for _ in range(2):
        assert why in await _bearing(gateway, forge.sign(**token))


async def test_an_identity_is_no_access_token_where_the_audience_is_the_client(serve: Serve, forge: Forge) -> None:
    gateway = await serve(oidc=lab_of(forge.issuer, sign_up=True))
    await _forged(gateway, forge)
    assert "no access token" in await _bearing(gateway, forge.sign())
    assert "no access token" in await _bearing(gateway, forge.sign(typ="ID"))
    for written in ({"typ": "Bearer"}, {"token_use": "access"}, {"token_use": "access", "aud": None, "client_id": "torana"}):  # fmt: skip
        assert await _bearing(gateway, forge.sign(**written)) == {"viewer": {"username": "zoe"}}, written


async def test_access_tokens_need_a_required_group_too(serve: Serve, forge: Forge) -> None:
    gateway = await serve(oidc=lab_of(forge.issuer, sign_up=True, audience="api", required=["beam"]))
    await _forged(gateway, forge, groups=["beam"])
    assert await _bearing(gateway, forge.sign(**ACCESS, groups="beam")) == {"viewer": {"username": "zoe"}}
    assert "none of the groups" in await _bearing(gateway, forge.sign(**ACCESS, groups=["desk"]))


async def test_a_key_that_is_not_known_is_looked_for_once_in_a_while(serve: Serve, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    async with _linked(serve, forge) as gateway:
        assert forge.looked == 1
        new = RSAKey.generate_key(2048, {"kid": "new"})
        forge.keys = [new]
        for _ in range(3):
            assert "not one of the provider" in await _bearing(gateway, forge.sign(key=new, **ACCESS))
        assert forge.looked == 1
        monkeypatch.setattr(oidc, "PAUSE", 0.0)
        assert await _bearing(gateway, forge.sign(key=new, **ACCESS)) == {"viewer": {"username": "zoe"}}
        assert forge.looked == 2
        assert "not one of the provider" in await _bearing(gateway, forge.sign(**ACCESS))


async def test_a_token_of_a_provider_that_is_down_is_to_be_tried_again(serve: Serve) -> None:
    async with _forging() as forge:
        gateway = await serve(oidc=lab_of(forge.issuer))
    headers = {
        "Authorization": f"Bearer {forge.sign(**ACCESS)}", "Accept": "application/graphql-response+json",
    }  # fmt: skip
    answer = await gateway.client.post("/graphql", json={"query": "{viewer{username}}"}, headers=headers)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"


# Settings -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ([{"name": "lab", "issuer": "http://idp.example", "client_id": "x"}], "https://"),
        ([{"name": "lab", "issuer": "https://idp.example?x", "client_id": "x"}], "without a user"),
        ([{"name": "No Name", "issuer": "https://idp.example", "client_id": "x"}], "NAME"),
        ([{"name": "lab", "issuer": "https://idp.example", "client_id": "x", "sing_up": True}], "SING_UP"),
        ([{"name": "lab", "issuer": "https://idp.example", "client_id": "x", "provider": "LOCAL"}], "PROVIDER"),
        ([{"name": n, "issuer": f"https://{n}.example", "client_id": "x"} for n in ("a", "b")], "same provider"),
        ([{"name": "a", "issuer": "https://a.example", "client_id": "x", "provider": p} for p in ("KEYCLOAK", "COGNITO")], "same name"),
    ],
)  # fmt: skip
def test_a_provider_that_is_set_wrongly_is_told(wrong: Any, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        load(secret_keys=KEY, oidc=wrong)


def test_providers_are_set_by_a_variable_or_by_tables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORANA_OIDC", '[{"name":"lab","issuer":"https://idp.example","client_id":"x","client_secret":"hush"}]')  # fmt: skip
    (provider,) = load().sign_in.oidc
    assert (provider.name, provider.scopes, provider.sign_up) == ("lab", "openid profile email", False)
    assert "hush" not in repr(provider)
    monkeypatch.delenv("TORANA_OIDC")
    file = tmp_path / "torana.toml"
    file.write_text('[[oidc]]\nname = "lab"\nissuer = "https://idp.example/realms/x"\nclient_id = "y"\n[oidc.groups]\nphysics = "Physicists"\n')  # fmt: skip
    monkeypatch.setenv("TORANA_SETTINGS", str(file))
    (provider,) = load().sign_in.oidc
    assert (provider.issuer, provider.groups) == ("https://idp.example/realms/x", {"physics": "Physicists"})


@pytest.mark.both
async def test_a_group_that_somebody_calls_like_a_mapped_one_draws_nobody(platform: Platform) -> None:
    async with platform.services.database.write(as_system="test") as session:
        made = {}
        for name, creator in (("Ours", "root"), ("Theirs", "sita"), ("Two", "root"), ("Two of them", "root")):
            row = models.UserGroup(name=name.removesuffix(" of them"), creator_id=getattr(platform.world, creator))
            session.add(row)
            await session.flush()
            made[name] = row.id
        ids = {name: global_id("UserGroup", key) for name, key in made.items()}
        found = {name: list(await session.scalars(_called(name))) for name in ("Ours", "Theirs", "Two", "None")}
        by_id = {name: list(await session.scalars(_called(text))) for name, text in ids.items()}
    assert found == {"Ours": [made["Ours"]], "Theirs": [], "Two": [made["Two"], made["Two of them"]], "None": []}
    assert by_id == {name: [key] for name, key in made.items()}
