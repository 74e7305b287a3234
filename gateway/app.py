"""The application: it makes all services once, wires them together, and closes them at the end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from functools import partial
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

from db import migrating
from db.engine import Database
from db.models import FilePurpose
from db.searching import folding
from gateway.background.challenges import Challenges
from gateway.background.engines import make_posts
from gateway.background.file_checks import FileChecks
from gateway.background.housekeeping import Housekeeping, sweeps_of
from gateway.background.mail_sender import Outbox
from gateway.background.relay import relayed
from gateway.background.sessions import SessionCare
from gateway.background.storage import make_storage
from gateway.background.transports import Delivery
from gateway.operations.document_lists import read_list
from gateway.operations.documents import Documents
from gateway.operations.execution import Execution
from gateway.operations.fanout import Broadcasts
from gateway.protocol import pages
from gateway.protocol.boards import Boards
from gateway.protocol.client_certificates import ClientCertificates
from gateway.protocol.exports import Exports
from gateway.protocol.http import PREFLIGHT, Endpoint
from gateway.protocol.oidc import OidcRoutes
from gateway.protocol.packages.index import PackageIndex, former
from gateway.protocol.results.downloads import Downloads
from gateway.protocol.stored_files import FILE_HEADERS, StoredFiles
from gateway.protocol.tus.endpoint import HEADERS as UPLOAD_HEADERS
from gateway.protocol.tus.endpoint import Uploads
from gateway.protocol.websocket import SocketEndpoint
from gateway.settings import Settings
from gateway.settings.jobs import read_clusters
from gateway.settings.operations import OperationSettings
from jobs.programs import Registry, configured
from resolvers.archives import kind as archives
from resolvers.challenges import arrivals
from resolvers.challenges import kind as evaluations
from resolvers.context import Arrival, Entrance, Files, Identity, Jobs, Services
from resolvers.feed import Feed
from resolvers.identity.hashing import Passwords
from resolvers.identity.issuers import Issuers
from resolvers.identity.last_used import Uses
from resolvers.identity.lookup import Principals
from resolvers.identity.password_rules import Leaked
from resolvers.identity.presence import Presence
from resolvers.identity.tokens import KeyRing
from resolvers.limits import Limits
from resolvers.maintenance import Locking
from resolvers.queue.kinds import kinds_of
from resolvers.queue.reports import Reports
from resolvers.simulations import kind as simulations
from resolvers.specs import kind as packages
from resolvers.work.dispatcher import Dispatcher
from resolvers.work.finishing import merge_ready
from schema import build
from schema.fields.cost import Bounds
from schema.fields.introspection import introspection_of

log = structlog.get_logger("torana")


def make_database(settings: Settings) -> Database:
    return Database(
        settings.storage.url,
        timeout=settings.operations.operation_timeout,
        readers=settings.storage.database_readers,
        writers=settings.storage.database_writers,
    )


def make_services(settings: Settings, passwords: Passwords | None = None, database: Database | None = None) -> Services:
    """Make the services that all operations share. The caller starts and disposes `services.database`. Arguments that
    are given replace what the settings make."""
    database = database or make_database(settings)
    feed = Feed()
    database.listen(feed.publish, feed.missed)
    limits = Limits(
        access_lifetime=timedelta(minutes=settings.sign_in.access_minutes),
        refresh_lifetime=timedelta(days=settings.sign_in.refresh_days),
        sign_ins_per_account=settings.sign_in.sign_in_attempts,
        sign_ins_anywhere=settings.sign_in.account_attempts,
        tasks=settings.jobs.max_tasks,
        user_tasks=settings.jobs.user_tasks or None,
        project_tasks=settings.jobs.project_tasks or None,
        task_attempts=settings.jobs.task_attempts,
        task_interruptions=settings.jobs.task_interruptions,
        page_values=settings.jobs.page_values,
        result_values=settings.jobs.result_values,
        worker_body=settings.server.worker_body_limit,
        lease=settings.jobs.task_lease,
        cluster_lease=settings.jobs.cluster_lease,
        silence=settings.jobs.task_silence,
        spec_models=settings.specs.spec_models or None,
        reply=timedelta(seconds=settings.sessions.reply_seconds),
        events_per_minute=settings.sessions.events_per_minute,
        register_device_types=settings.sign_in.register_device_types,
    )
    if passwords is None:
        leaked = None if settings.sign_in.leaked_passwords is None else Leaked(settings.sign_in.leaked_passwords)
        passwords = Passwords(threads=settings.sign_in.password_threads, leaked=leaked)
    return Services(
        database=database,
        feed=feed,
        limits=limits,
        identity=Identity(
            keys=KeyRing(settings.sign_in.keys),
            principals=Principals(database),
            passwords=passwords,
            issuers=Issuers(settings.sign_in.oidc),
            uses=Uses(database),
            presence=Presence(database),
        ),
        jobs=Jobs(
            kinds=kinds_of(simulations.KIND, archives.KIND, evaluations.KIND, packages.KIND),
            programs=Registry(map(configured, settings.jobs.programs)),
            reports=Reports(database, limits),
        ),
        files=Files(
            storage=make_storage(settings.files, settings.storage.data_dir),
            bounds=settings.files.bounds,
            arrivals={
                FilePurpose.SUBMISSION_INPUT: Arrival(
                    come=arrivals.came, taken=arrivals.taken, refused=arrivals.refused
                )
            },
        ),
        locking=Locking(database),
        entrance=Entrance(settings.server.reached_at, settings.sign_in.sign_up),
    )


def bounds_of(settings: OperationSettings) -> Bounds:
    return Bounds(tokens=settings.max_tokens, depth=settings.max_depth, cost=settings.max_cost)


class _Straight:
    """Takes HTTP requests for some paths directly, without the router; for a path that ends with a slash, those below
    it."""

    def __init__(self, app: ASGIApp, paths: Sequence[str], to: ASGIApp) -> None:
        self._app = app
        self._paths = frozenset(paths)
        self._below = tuple(path for path in paths if path.endswith("/"))
        self._to = to

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        straight = path in self._paths or bool(self._below and path.startswith(self._below))
        await (self._to if straight else self._app)(scope, receive, send)


@contextlib.asynccontextmanager
async def _working(settings: Settings, services: Services, runs: Path) -> AsyncIterator[None]:
    """Everything that runs beside the requests, from the start of the application to its end."""
    outbox = Outbox(services, Delivery.of(settings.mail))
    housekeeping = Housekeeping(
        services, sweeps_of(settings.retention, services.files.storage), settings.mail.job_mail_seconds
    )
    checks = FileChecks(services)
    challenges = Challenges(services)
    care = SessionCare(services, settings.sessions)
    try:
        async with relayed(settings.storage, services.database):
            await services.database.start()
            outbox.start()
            housekeeping.start()
            checks.start()
            challenges.start()
            care.start()
            dispatcher = None
            if settings.jobs.dispatch:
                posts = await make_posts(
                    services, read_clusters(settings.jobs.clusters), slots=settings.jobs.task_slots, runs=runs
                )
                alone = services.database.dialect == "sqlite"
                merge = partial(merge_ready, services)
                dispatcher = Dispatcher(services, posts, settings.server.reports_to, merge=merge, alone=alone)
                dispatcher.start()
            try:
                yield
            finally:
                if dispatcher is not None:
                    await dispatcher.close()
                await services.jobs.reports.settled()
                await care.close()
                await challenges.close()
                await checks.close()
                await outbox.close()
                await housekeeping.close()
                await services.identity.close()
    finally:
        await services.files.storage.close()
        await services.database.dispose()


def create_app(settings: Settings, services: Services | None = None) -> Starlette:
    """The gateway as an ASGI application, on `services` or its own. `app.state.closing` is set before it ends;
    `app.state.runs` is the folder of the tasks under way."""
    services = services or make_services(settings)
    bounds = bounds_of(settings.operations)
    schema = build()
    given = settings.operations
    trusted = {**read_list(given.trusted_documents), **pages.DOCUMENTS} if given.trusted_documents else None
    documents = Documents(schema.core, bounds, keep=given.documents, trusted=trusted, turns=services.database.turns)
    # Made now, so that no request waits for them.
    introspection_of(schema.core)
    folding.beyond()
    execution = Execution(schema, bounds, timeout=given.operation_timeout, rendering=given.rendering)
    broadcasts = Broadcasts(execution)
    closing = asyncio.Event()
    runs = settings.storage.runs
    endpoint = Endpoint(documents, execution, broadcasts, services, settings.server, closing)
    socket = SocketEndpoint(documents, execution, broadcasts, services, settings.server)

    async def graphql(scope: Scope, receive: Receive, send: Send) -> None:
        asked = pages.show() if settings.server.explorer and pages.wanted(scope) else endpoint
        await asked(scope, receive, send)

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(_: Request) -> Response:
        """Whether the database answers and has the tables that this code expects."""
        try:
            async with asyncio.timeout(5):
                await services.database.rows(sa.select(1))
            present, newest = await migrating.present(settings.storage.url), migrating.newest()
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
        allow_origins=settings.server.allowed_origins,
        allow_methods=["GET", "POST", "HEAD", "PATCH", "PUT", "DELETE"],
        allow_headers=["content-type", *PREFLIGHT, *UPLOAD_HEADERS],
        expose_headers=["X-Request-Id", "Content-Disposition", *FILE_HEADERS, *UPLOAD_HEADERS],
        max_age=600,
    )
    certificates = Middleware(
        ClientCertificates, keys=services.identity.keys, header=settings.sign_in.certificate_header
    )
    app = Starlette(
        routes=[
            Route("/", lambda _: RedirectResponse("/graphql"), methods=["GET"]),
            WebSocketRoute("/graphql", socket.__call__),
            Mount("/graphql", pages.Assets()),
            *pages.LINKS,
            *Downloads(services).routes,
            *StoredFiles(services).routes,
            *Exports(services, schema.core, documents, execution).routes,
            *Boards(services, documents, execution).routes,
            *(OidcRoutes(settings.server, services).routes if settings.sign_in.oidc else ()),
            *PackageIndex(services, settings.specs).routes,
            Route("/healthz", health),
            Route("/readyz", ready),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=settings.server.allowed_hosts, www_redirect=False),
            *([cross_origin] if settings.server.allowed_origins else []),
            *([certificates] if settings.sign_in.certificate_header else []),
            Middleware(_Straight, paths=("/uploads", "/uploads/"), to=Uploads(services)),
            Middleware(_Straight, paths=("/graphql",), to=graphql),
        ],
        lifespan=lifespan,
    )
    app.router.default = former(app.router.default)
    app.state.closing = closing
    app.state.runs = runs
    return app
