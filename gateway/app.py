"""The application: everything made once, wired together, and put away at the end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from db import folding, migrating
from db.engine import Database
from gateway.background.engines import make_posts, read_clusters
from gateway.background.housekeeping import Housekeeping
from gateway.background.mail_sender import Outbox
from gateway.background.relay import relayed
from gateway.background.transports import Delivery, read_sender, read_smtp, read_webhooks
from gateway.operations.document_lists import read_list
from gateway.operations.documents import Documents
from gateway.operations.execution import Execution
from gateway.operations.fanout import Broadcasts
from gateway.protocol import pages
from gateway.protocol.downloads import Downloads
from gateway.protocol.http import PREFLIGHT, Endpoint
from gateway.protocol.oidc import OidcRoutes
from gateway.protocol.websocket import SocketEndpoint
from gateway.settings import Settings
from jobs.programs import Registry, configured
from resolvers.context import Entrance, Services
from resolvers.feed import Feed
from resolvers.identity.hashing import Leaked, Passwords
from resolvers.identity.issuers import Issuers
from resolvers.identity.last_used import Uses
from resolvers.identity.lookup import Principals
from resolvers.identity.presence import Presence
from resolvers.identity.tokens import KeyRing
from resolvers.limits import Limits
from resolvers.maintenance import Locking
from resolvers.queue.reports import Reports
from resolvers.work.dispatcher import Dispatcher
from schema import build
from schema.fields.cost import Bounds
from schema.fields.introspection import introspection_of

log = structlog.get_logger("torana")


def make_database(settings: Settings) -> Database:
    return Database(
        settings.database,
        timeout=settings.operation_timeout,
        readers=settings.database_readers,
        writers=settings.database_writers,
    )


def make_services(settings: Settings, passwords: Passwords | None = None, database: Database | None = None) -> Services:
    """What operations share; `services.database` is to be started and disposed by the caller. What is given is used in
    place of what the settings make."""
    database = database or make_database(settings)
    feed = Feed()
    database.listen(feed.publish, feed.missed)
    limits = Limits(
        access_lifetime=timedelta(minutes=settings.access_minutes),
        refresh_lifetime=timedelta(days=settings.refresh_days),
        sign_ins_per_account=settings.sign_in_attempts,
        sign_ins_anywhere=settings.account_attempts,
        tasks=settings.max_tasks,
        task_attempts=settings.task_attempts,
        lease=settings.task_lease,
        cluster_lease=settings.cluster_lease,
        silence=settings.task_silence,
        register_device_types=settings.register_device_types,
    )
    if passwords is None:
        leaked = None if settings.leaked_passwords is None else Leaked(settings.leaked_passwords)
        passwords = Passwords(threads=settings.password_threads, leaked=leaked)
    issuers = Issuers(settings.oidc)
    programs = Registry(map(configured, settings.programs))
    return Services(
        database,
        feed,
        KeyRing(settings.keys),
        Principals(database),
        passwords,
        limits,
        issuers,
        Uses(database),
        Presence(database),
        Locking(database),
        Reports(database, limits),
        programs,
        Entrance(settings.reached_at, settings.sign_up),
    )


def bounds_of(settings: Settings) -> Bounds:
    return Bounds(tokens=settings.max_tokens, depth=settings.max_depth, cost=settings.max_cost)


def make_delivery(settings: Settings) -> Delivery:
    """The ways that messages leave by; to be closed by the caller."""
    server, sender = settings.smtp_url.get_secret_value(), settings.mail_from
    return Delivery(
        read_smtp(server) if server else None,
        read_sender(sender) if sender else None,
        read_webhooks(settings.chat_webhooks.get_secret_value()),
        logged=settings.mail_log,
    )


class _Straight:
    """Leads HTTP requests for one path past the router."""

    def __init__(self, app: ASGIApp, path: str, to: ASGIApp) -> None:
        self._app = app
        self._path = path
        self._to = to

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        straight = scope["type"] == "http" and scope["path"] == self._path
        await (self._to if straight else self._app)(scope, receive, send)


@contextlib.asynccontextmanager
async def _working(settings: Settings, services: Services, runs: Path) -> AsyncIterator[None]:
    """All that works beside the requests, from the start of the application to its end."""
    outbox = Outbox(services, make_delivery(settings))
    housekeeping = Housekeeping(
        services,
        audit_days=settings.audit_days,
        notice_days=settings.notice_days,
        simulation_days=settings.simulation_days,
        deleted_days=settings.deleted_days,
    )
    try:
        async with relayed(settings, services.database):
            await services.database.start()
            outbox.start()
            housekeeping.start()
            dispatcher = None
            if settings.dispatch:
                posts = await make_posts(
                    services, read_clusters(settings.clusters), slots=settings.task_slots, runs=runs
                )
                dispatcher = Dispatcher(
                    services, posts, settings.reports_to, alone=services.database.dialect == "sqlite"
                )
                dispatcher.start()
            try:
                yield
            finally:
                if dispatcher is not None:
                    await dispatcher.close()
                await services.reports.settled()
                await outbox.close()
                await housekeeping.close()
                await services.issuers.close()
                await services.uses.settled()
                services.passwords.close()
    finally:
        await services.database.dispose()


def create_app(settings: Settings, services: Services | None = None) -> Starlette:
    """The gateway as an ASGI application, on `services` or its own. `app.state.closing` is set before it ends;
    `app.state.runs` is the folder of the tasks under way."""
    services = services or make_services(settings)
    bounds = bounds_of(settings)
    schema = build()
    trusted = {**read_list(settings.trusted_documents), **pages.DOCUMENTS} if settings.trusted_documents else None
    documents = Documents(schema.core, bounds, keep=settings.documents, trusted=trusted, turns=services.database.turns)
    # Made now, so that no request waits for them.
    introspection_of(schema.core)
    folding.beyond()
    execution = Execution(schema, bounds, timeout=settings.operation_timeout, rendering=settings.rendering)
    broadcasts = Broadcasts(execution)
    closing = asyncio.Event()
    runs = settings.data_dir.resolve() / "runs"
    endpoint = Endpoint(documents, execution, broadcasts, services, settings, closing)
    socket = SocketEndpoint(documents, execution, broadcasts, services, settings)

    async def graphql(scope: Scope, receive: Receive, send: Send) -> None:
        asked = pages.show() if settings.explorer and pages.wanted(scope) else endpoint
        await asked(scope, receive, send)

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(_: Request) -> Response:
        """Whether the database answers and has the tables that this code expects."""
        try:
            async with asyncio.timeout(5):
                await services.database.rows(sa.select(1))
            present, newest = await migrating.present(settings.database), migrating.newest()
        except (OSError, TimeoutError, sa.exc.SQLAlchemyError) as error:
            log.warning("not_ready", error=repr(error))
            return JSONResponse({"status": "no database"}, 503)
        if present != newest and migrating.knows(present):  # a newer one serves this version as well
            return JSONResponse({"status": "not migrated"}, 503)
        return JSONResponse({"status": "ready"})

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with _working(settings, services, runs):
            try:
                yield
            finally:
                closing.set()

    cross_origin = Middleware(
        CORSMiddleware,
        allow_origins=settings.allowed_origins,
        allow_methods=["GET", "POST"],
        allow_headers=["content-type", *PREFLIGHT],
        expose_headers=["X-Request-Id", "Content-Disposition"],
        max_age=600,
    )
    app = Starlette(
        routes=[
            Route("/", lambda _: RedirectResponse("/graphql"), methods=["GET"]),
            WebSocketRoute("/graphql", socket.__call__),
            Mount("/graphql", pages.Assets()),
            *pages.LINKS,
            *Downloads(services).routes,
            *(OidcRoutes(settings, services).routes if settings.oidc else ()),
            Route("/healthz", health),
            Route("/readyz", ready),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=settings.allowed_hosts, www_redirect=False),
            *([cross_origin] if settings.allowed_origins else []),
            Middleware(_Straight, path="/graphql", to=graphql),
        ],
        lifespan=lifespan,
    )
    app.state.closing = closing
    app.state.runs = runs
    return app
