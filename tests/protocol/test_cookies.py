"""A browser's session in a cookie, and the pages that links in mails lead to."""

import json
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
from websockets.asyncio.client import connect

from db import models
from db.types import later
from tests.support.serving import UNSENT, Serve, Served
from tests.support.world import PASSWORD

ON_SQLITE = True

COOKIE = {"X-Torana-Session": "cookie"}
LOG_IN = """mutation($u:String!,$p:String!){r:logIn(username:$u,password:$p){
  __typename ...on Tokens{accessToken refreshToken} ...on Problem{code message}}}"""
REFRESH = """mutation($t:String){r:refresh(refreshToken:$t){
  __typename ...on Tokens{accessToken refreshToken viewer{username}} ...on Problem{code message}}}"""
LOG_OUT = "mutation{r:logOut{__typename ...on Problem{code}}}"
TOM = {"u": "tom", "p": PASSWORD}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
async def gateway(request: pytest.FixtureRequest, serve_module: Serve) -> Served:
    return await serve_module(request.param, **UNSENT, public_url="http://torana.example", sign_up=True)


async def _post(
    gateway: Served, query: str, variables: Any = None, cookie: str | None = None, **headers: str
) -> httpx2.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if cookie is not None:
        sent["Cookie"] = f"theme=dark; torana_refresh={cookie}"
    # A client of its own: this one would keep and send cookies by itself.
    async with httpx2.AsyncClient(base_url=gateway.url, timeout=30) as client:
        return await client.post("/graphql", json={"query": query, "variables": variables}, headers=sent)


def _result(response: httpx2.Response) -> Any:
    return response.json()["data"]["r"]


def _cookie(response: httpx2.Response) -> tuple[str, set[str]]:
    """The value of the cookie that is set, and its attributes."""
    first, *more = response.headers["set-cookie"].split("; ")
    name, _, value = first.partition("=")
    assert name == "torana_refresh"
    return value, set(more)


async def _signed_in(gateway: Served) -> tuple[str, str]:
    """The cookie and the access token of a fresh session."""
    response = await _post(gateway, LOG_IN, TOM, **COOKIE)
    return _cookie(response)[0], _result(response)["accessToken"]


async def test_the_refresh_token_goes_into_a_cookie_that_scripts_can_not_read(gateway: Served) -> None:
    response = await _post(gateway, LOG_IN, TOM, **COOKIE)
    assert _result(response)["refreshToken"] is None
    value, attributes = _cookie(response)
    assert len(value) > 40
    assert value not in response.text
    assert attributes == {"Max-Age=2592000", "Path=/graphql", "HttpOnly", "SameSite=Strict"}


async def test_without_the_header_nothing_is_set(gateway: Served) -> None:
    response = await _post(gateway, LOG_IN, TOM)
    assert "set-cookie" not in response.headers
    assert _result(response)["refreshToken"]


async def test_a_refused_sign_in_sets_nothing(gateway: Served) -> None:
    response = await _post(gateway, LOG_IN, {"u": "nobody", "p": "wrong"}, **COOKIE)
    assert _result(response)["code"] == "UNAUTHENTICATED"
    assert "set-cookie" not in response.headers


async def test_the_cookie_is_spent_for_the_next(gateway: Served) -> None:
    first, _ = await _signed_in(gateway)
    response = await _post(gateway, REFRESH, cookie=first, **COOKIE)
    assert _result(response)["viewer"] == {"username": "tom"}
    assert _result(response)["refreshToken"] is None
    second, _ = _cookie(response)
    assert second != first
    assert _result(await _post(gateway, REFRESH, cookie=second, **COOKIE))["__typename"] == "Tokens"


async def test_the_cookie_counts_only_with_the_header(gateway: Served) -> None:
    cookie, _ = await _signed_in(gateway)
    assert _result(await _post(gateway, REFRESH, cookie=cookie))["code"] == "UNAUTHENTICATED"
    assert _result(await _post(gateway, REFRESH, cookie=cookie, **COOKIE))["__typename"] == "Tokens"


async def test_the_cookie_opens_nothing_else(gateway: Served) -> None:
    cookie, _ = await _signed_in(gateway)
    response = await _post(gateway, "{r:viewer{username}}", cookie=cookie, **COOKIE)
    assert _result(response) is None
    assert _result(await _post(gateway, LOG_OUT, cookie=cookie, **COOKIE))["code"] == "UNAUTHENTICATED"


async def test_signing_out_clears_the_cookie(gateway: Served) -> None:
    cookie, access = await _signed_in(gateway)
    response = await _post(gateway, LOG_OUT, cookie=cookie, Authorization=f"Bearer {access}", **COOKIE)
    assert _result(response)["__typename"] == "LoggedOut"
    value, attributes = _cookie(response)
    assert (value, "Max-Age=0" in attributes) == ("", True)
    assert _result(await _post(gateway, REFRESH, cookie=cookie, **COOKIE))["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://torana.example.evil.example"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    ],
)
async def test_pages_of_elsewhere_are_refused(gateway: Served, headers: dict[str, str]) -> None:
    cookie, _ = await _signed_in(gateway)
    response = await _post(gateway, REFRESH, cookie=cookie, **COOKIE, **headers)
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    assert response.status_code == 403 or "data" not in response.json()
    assert "set-cookie" not in response.headers
    assert _result(await _post(gateway, REFRESH, cookie=cookie, **COOKIE))["__typename"] == "Tokens"


async def test_pages_of_the_gateway_are_not(gateway: Served) -> None:
    cookie, _ = await _signed_in(gateway)
    for origin in (gateway.url, "http://torana.example"):
        headers = {"Sec-Fetch-Site": "same-origin", "Origin": origin}
        response = await _post(gateway, REFRESH, cookie=cookie, **COOKIE, **headers)
        assert _result(response)["__typename"] == "Tokens"
        cookie, _ = _cookie(response)


async def test_a_form_of_another_site_is_no_request(gateway: Served) -> None:
    cookie, _ = await _signed_in(gateway)
    async with httpx2.AsyncClient(base_url=gateway.url) as client:
        headers = {"Cookie": f"torana_refresh={cookie}", "Content-Type": "text/plain", "Origin": "https://evil.example"}
        response = await client.post("/graphql", content='{"query":"mutation{refresh{__typename}}"}', headers=headers)
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


async def test_two_cookies_of_the_name_are_none(gateway: Served) -> None:
    cookie, _ = await _signed_in(gateway)
    response = await _post(gateway, REFRESH, cookie=f"{cookie}; torana_refresh=tossed", **COOKIE)
    assert _result(response)["code"] == "UNAUTHENTICATED"


@pytest.mark.both
async def test_two_pages_that_refresh_at_once_do_not_end_the_session(gateway: Served) -> None:
    cookie, _ = await _signed_in(gateway)
    following = _cookie(await _post(gateway, REFRESH, cookie=cookie, **COOKIE))[0]
    crossed = await _post(gateway, REFRESH, cookie=cookie, **COOKIE)
    assert _result(crossed)["code"] == "CONFLICT"
    assert "set-cookie" not in crossed.headers
    assert _result(await _post(gateway, REFRESH, cookie=following, **COOKIE))["__typename"] == "Tokens"


async def test_a_cookie_that_was_spent_before_ends_the_session(gateway: Served) -> None:
    cookie, _ = await _signed_in(gateway)
    following = _cookie(await _post(gateway, REFRESH, cookie=cookie, **COOKIE))[0]
    async with gateway.services.database.write(as_system="test") as session:
        spent = sa.update(models.Credential).where(models.Credential.last_used_at > later(-60))
        sessions = spent.where(models.Credential.kind == models.CredentialKind.LOGIN_SESSION)
        await session.execute(sessions.values(last_used_at=later(-60)))
    assert _result(await _post(gateway, REFRESH, cookie=cookie, **COOKIE))["code"] == "UNAUTHENTICATED"
    assert _result(await _post(gateway, REFRESH, cookie=following, **COOKIE))["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("value", ["", "token", "cookie, cookie"])
async def test_another_value_of_the_header_is_refused(gateway: Served, value: str) -> None:
    response = await _post(gateway, LOG_IN, TOM, X_Torana_Session=value)
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


async def test_a_stream_sets_no_cookie(gateway: Served) -> None:
    response = await _post(gateway, LOG_IN, TOM, Accept="text/event-stream", **COOKIE)
    assert '"code":"INVALID"' in response.text
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    ("settings", "secure"),
    [({"cookie_secure": True}, True), ({"public_url": "https://torana.example"}, True), ({}, False)],
)
async def test_the_cookie_is_for_https_where_that_is_used(serve: Serve, settings: dict[str, Any], secure: bool) -> None:
    gateway = await serve("sqlite", **settings)
    _, attributes = _cookie(await _post(gateway, LOG_IN, TOM, **COOKIE))
    assert ("Secure" in attributes) is secure


@pytest.mark.parametrize("where", ["payload", "handshake"])
async def test_a_socket_sets_no_cookie(gateway: Served, where: str) -> None:
    url = gateway.url.replace("http", "ws") + "/graphql"
    sent = COOKIE if where == "handshake" else None
    async with connect(url, subprotocols=["graphql-transport-ws"], additional_headers=sent) as socket:  # type: ignore[list-item]
        await socket.send(json.dumps({"type": "connection_init", "payload": COOKIE if where == "payload" else None}))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        operation = {"query": LOG_IN, "variables": TOM}
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": operation}))
        assert json.loads(await socket.recv())["payload"]["data"]["r"]["code"] == "INVALID"


# Links --------------------------------------------------------------------------------------------------------------

SENT = "mutation($e:String!){r:requestPasswordReset(email:$e){__typename}}"


@pytest.mark.parametrize("path", ["/verify-email", "/reset-password"])
async def test_the_page_of_a_link_does_nothing_by_itself_and_tells_nobody(gateway: Served, path: str) -> None:
    response = await gateway.client.get(path)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["x-content-type-options"] == "nosniff"
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert "<script>" not in response.text
    assert "style=" not in response.text
    for file, media in (("link.js", "text/javascript"), ("link.css", "text/css")):
        assert f'"/pages/{file}"' in response.text
        found = await gateway.client.get(f"/pages/{file}")
        assert found.headers["content-type"].startswith(media)
        assert found.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/pages/link.html", "/pages/../page.py", "/pages/%2e%2e/page.py"])
async def test_no_other_file_is_served(gateway: Served, path: str) -> None:
    assert (await gateway.client.get(path)).status_code == 404


async def test_a_link_is_made_of_the_public_address_whatever_host_is_asked(gateway: Served) -> None:
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Origin": "https://evil.example"}
    response = await _post(gateway, SENT, {"e": "maria@torana.example"}, **headers)
    assert _result(response)["__typename"] == "MailSent"
    rows = await gateway.services.database.rows(
        sa.select(models.Notification.text, models.Notification.html)
        .where(models.Notification.recipient == "maria@torana.example")
        .order_by(models.Notification.id.desc())
    )
    assert "http://torana.example/reset-password#token=" in rows[0].text
    assert "evil" not in rows[0].text + rows[0].html


async def test_reading_a_mail_does_not_spend_its_link(gateway: Served) -> None:
    await _post(gateway, SENT, {"e": "eve@torana.example"})
    (row,) = await gateway.services.database.rows(
        sa.select(models.Notification.text).where(models.Notification.recipient == "eve@torana.example")
    )
    token = row.text.partition("#token=")[2].split()[0]
    for address in (f"/reset-password?token={token}", "/reset-password", f"/verify-email?token={token}"):
        await gateway.client.get(address)
    reset = 'mutation($t:String!){r:resetPassword(token:$t,newPassword:"quiet water under the bridge"){__typename}}'
    assert _result(await _post(gateway, reset, {"t": token}))["__typename"] == "Done"


async def test_the_pages_work_where_only_known_documents_are_run(serve: Serve, tmp_path: Any) -> None:
    listed = tmp_path / "documents.json"
    listed.write_text("{}")
    gateway = await serve("sqlite", trusted_documents=listed)
    page = (await gateway.client.get("/verify-email")).text
    document = page.partition('data-document="')[2].partition('"')[0]
    response = await _post(gateway, document.replace("&quot;", '"'), {"token": "x"})
    assert response.json()["data"]["result"]["__typename"] == "Problem"
    refused = await _post(gateway, "{viewer{username}}")
    assert refused.json()["errors"][0]["extensions"]["code"] == "DOCUMENT_NOT_TRUSTED"
