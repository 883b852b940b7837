"""The application: ``uvicorn app.main:app``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI
from starlette.middleware import Middleware

from app.api import tasks
from app.config import NO_DATABASE, Settings, SettingsError, load
from app.kit.api import errors, health, logs
from app.kit.api.envelope import Envelope
from app.kit.api.lifespan import RefuseToStart
from app.kit.api.openapi import DescribedAPI
from app.kit.api.router import OwnedRouter
from app.kit.api.routes import DirectRoutes
from app.kit.db.database import Database

ROUTERS: list[OwnedRouter] = [
    tasks.router,
]


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
        description=(
            "Each task belongs to one user, and nobody else can see or change it."
            " HEAD is answered as GET, without the body."
        ),
        version="0.1.0",
        contact={"name": "The Todo authors"},
        license_info={"name": "MIT", "identifier": "MIT"},
        servers=[
            {
                "url": settings.root_path or "/",
                "description": "Production: where this is served.",
                "x-internal": False,
            }
        ],
        openapi_tags=[{"name": r.name, "description": r.description} for r in ROUTERS],
        lifespan=lifespan,
        openapi_url="/openapi.json" if settings.docs else None,
        redoc_url=None,
        redirect_slashes=False,  # each resource has one path
        exception_handlers=errors.HANDLERS,
        middleware=[
            Middleware(Envelope, cors_origins=settings.cors_origins, root_path=settings.root_path),
            Middleware(DirectRoutes),
        ],
    )
    app.state.settings = settings
    for router in ROUTERS:
        app.include_router(router, prefix="/api/v1")
    app.include_router(health.router)
    if refusal:
        app.add_middleware(RefuseToStart, reason=refusal)
    return app


app = create_app()
