"""Browser sign-in at an OpenID Connect provider: the authorization code flow with PKCE.

The state of a sign-in waits in a signed cookie. So any process may finish the sign-in, and only the browser that began
it can.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from gateway.protocol import cookies
from gateway.protocol.asgi import client_of
from gateway.settings.server import ServerSettings
from resolvers.accounts import external_identity
from resolvers.accounts.sessions import Tokens
from resolvers.context import Context, Services
from resolvers.failures import Code, Failure, Invalid, NotFound, Unauthenticated
from resolvers.identity.oidc import Issuer
from resolvers.identity.providers import Unreachable

log = structlog.get_logger("torana.oidc")

LASTS = timedelta(minutes=10)
"""Time for signing in at the provider."""
HOME = "/graphql"

_STATUS = {
    Code.UNAUTHENTICATED: 403,
    Code.TOKEN_EXPIRED: 403,
    Code.FORBIDDEN: 403,
    Code.NOT_FOUND: 404,
    Code.CONFLICT: 409,
}
_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")
"""A path of this gateway with its query: no other host, no backslash (which browsers take for a slash), no control
characters."""


@dataclass(frozen=True)
class OidcRoutes:
    """`GET /auth/{name}` leads to the provider, which leads back to `/auth/{name}/callback`."""

    settings: ServerSettings
    services: Services

    @property
    def routes(self) -> list[Route]:
        return [
            Route("/auth/{name}", self.begin, methods=["GET"]),
            Route("/auth/{name}/callback", self.finish, methods=["GET"]),
        ]

    async def begin(self, request: Request) -> Response:
        name = request.path_params["name"]
        try:
            issuer = self._issuer(name)
            metadata = await issuer.metadata()
        except (Failure, Unreachable) as error:
            return _told(name, error)
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        following = request.query_params.get("next", HOME)
        flow = self.services.identity.keys.flow_token(
            LASTS,
            provider=name,
            state=state,
            nonce=nonce,
            verifier=verifier,
            next=following if _PATH.fullmatch(following) else HOME,
        )
        asked = {
            "response_type": "code",
            "client_id": issuer.provider.client_id,
            "redirect_uri": self._callback(name),
            "scope": issuer.provider.scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in metadata.authorization else "?"
        response = _leading(f"{metadata.authorization}{joint}{urlencode(asked)}")
        response.set_cookie(
            _cookie(state), flow, int(LASTS.total_seconds()),
            path="/auth", secure=self._secure, httponly=True, samesite="lax",
        )  # fmt: skip
        return response

    async def finish(self, request: Request) -> Response:
        name, given = request.path_params["name"], request.query_params
        state = given.get("state", "")
        try:
            issuer = self._issuer(name)
            flow = self._flow(request.cookies.get(_cookie(state)), name, state)
            if given.get("iss", issuer.provider.issuer) != issuer.provider.issuer:  # RFC 9207
                raise Unauthenticated("the answer is of another provider")
            if "code" not in given:
                raise Unauthenticated("the provider did not sign you in")
            token = await issuer.exchange(given["code"], flow["verifier"], self._callback(name))
            claims = await issuer.identity(token, flow["nonce"])
            ctx = Context(self.services, client=client_of(request.scope, request.headers.get("user-agent")))
            tokens = await external_identity.sign_in(ctx, issuer.provider, claims)
        except (Failure, Unreachable) as error:
            response = _told(name, error)
        else:
            log.info("oidc.signed_in", provider=name, principal=ctx.principal.name)
            response = self._welcome(flow["next"], tokens)
        response.delete_cookie(_cookie(state), path="/auth", secure=self._secure, httponly=True, samesite="lax")
        return response

    def _issuer(self, name: str) -> Issuer:
        if (issuer := self.services.identity.issuers.named(name)) is None:
            raise NotFound("there is no such provider")
        return issuer

    def _flow(self, cookie: str | None, name: str, state: str) -> Mapping[str, Any]:
        """What the cookie holds since this browser began this sign-in."""
        if not cookie:
            raise Invalid("the sign-in was not begun in this browser, or took too long; begin it again")
        flow = self.services.identity.keys.flow(cookie)
        if flow["provider"] != name or not hmac.compare_digest(flow["state"].encode(), state.encode()):
            raise Invalid("the sign-in was not begun in this browser, or took too long; begin it again")
        return flow

    def _welcome(self, following: str, tokens: Tokens) -> Response:
        response = _leading(following)
        assert tokens.refresh_token is not None
        response.set_cookie(
            cookies.NAME, tokens.refresh_token, int(self.services.limits.refresh_lifetime.total_seconds()),
            path=cookies.PATH, secure=self._secure, httponly=True, samesite="strict",
        )  # fmt: skip
        return response

    def _callback(self, name: str) -> str:
        return f"{self.settings.reached_at}/auth/{name}/callback"

    @property
    def _secure(self) -> bool:
        return self.settings.cookie_secure or self.settings.reached_at.startswith("https:")


def _cookie(state: str) -> str:
    """The name of the cookie: one for each sign-in, so that two tabs don't disturb each other."""
    return f"torana_flow_{re.sub('[^A-Za-z0-9_-]', '', state)[:16]}"


def _challenge(verifier: str) -> str:
    """The code challenge (RFC 7636, S256)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _leading(address: str) -> Response:
    return RedirectResponse(address, 303, headers=_HEADERS)


def _told(name: str, error: Failure | Unreachable) -> Response:
    """Why the sign-in failed, in plain text and in our words only: anyone could have written the provider's."""
    log.info("oidc.refused", provider=name[:32], why=str(error))
    if isinstance(error, Unreachable):
        return PlainTextResponse("The identity provider does not answer as it should.\n", 502, _HEADERS)
    return PlainTextResponse(f"You are not signed in: {error.message}.\n", _STATUS.get(error.code, 400), _HEADERS)


_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
