"""The application: ``uvicorn app.main:app``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TypedDict

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from app.config import NO_DATABASE, Settings, SettingsError, load
from app.kit.api import errors, health, logs
from app.kit.api.cors import EXPOSED, CrossOriginRequests
from app.kit.api.headers import ResponseHeaders
from app.kit.api.limits import BodyLimit
from app.kit.api.openapi import DescribedAPI
from app.kit.api.request_log import RequestLog
from app.kit.api.router import OwnedRouter
from app.kit.db.database import Database

RESOURCES = [
    "tasks",
]
"""The modules of `app.api` that have the routers of the resources."""

ROUTERS: list[OwnedRouter] = [import_module(f"app.api.{name}").router for name in RESOURCES]


class State(TypedDict):
    """What a request finds in ``request.state``."""

    database: Database


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application. It connects to nothing before it is started.

    Args:
        settings: by default those of the environment. With bad ones, or without a database, the
            application can be imported and described, but it refuses to start.
    """
    refusal = ""
    try:
        settings = settings or load(Settings)
    except SettingsError as error:
        settings, refusal = Settings.model_construct(), str(error)
    if settings.database_url is None:
        refusal = refusal or NO_DATABASE

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[State]:
        assert settings.database_url is not None  # noqa: S101 - else it refuses to start
        logs.configure(settings.log_level)
        database = Database(
            settings.database_url,
            pool_size=settings.database_pool_size,
            timeout=settings.database_timeout,
            prepared_statements=settings.prepared_statements,
        )
        try:
            yield {"database": database}
        finally:
            await database.close()

    app = DescribedAPI(
        title="Todo API",
        summary="Tasks that belong to their owner.",
        description="Each task belongs to one user, and nobody else can see or change it.",
        version="0.1.0",
        contact={"name": "The Todo authors"},
        license_info={"name": "MIT", "identifier": "MIT"},
        servers=[
            {"url": "/", "description": "Production: where this is served.", "x-internal": False}
        ],
        openapi_tags=[{"name": r.name, "description": r.description} for r in ROUTERS],
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,  # each resource has one path
        exception_handlers=errors.HANDLERS,
        middleware=[
            Middleware(RequestLog),
            Middleware(ResponseHeaders),
            Middleware(
                CrossOriginRequests,
                allow_origins=settings.cors_origins,
                allow_methods=["*"],
                allow_headers=["*"],
                expose_headers=EXPOSED,
            ),
            Middleware(errors.UnexpectedErrors),
            Middleware(BodyLimit),
        ],
    )
    app.state.settings = settings
    for router in ROUTERS:
        app.include_router(router, prefix="/api/v1")
    app.include_router(health.router)
    if refusal:
        app.add_middleware(RefuseToStart, reason=refusal)
    return app


class RefuseToStart:
    """Answers the server's request to start with a reason instead (ASGI lifespan protocol)."""

    def __init__(self, app: ASGIApp, reason: str) -> None:
        self._app = app
        self._reason = reason

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.failed", "message": self._reason})
        else:
            await self._app(scope, receive, send)


app = create_app()
