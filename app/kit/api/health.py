"""Whether this process lives, and whether it can serve."""

from fastapi import APIRouter, HTTPException, Request

from app.kit.db.database import Database

STOPPING = "stopping"
"""What a server sets in its lifespan state once it is to stop."""

router = APIRouter(prefix="/health", include_in_schema=False)


@router.get("/live")
async def live() -> dict[str, str]:
    """Answer without the database, so that a probe does not keep a serverless one awake."""
    return {"status": "live"}


@router.get("/ready")
async def ready(request: Request) -> dict[str, str]:
    """Answer if the database has all that is needed; 503, with the reason in the log, if not.

    A server that is to stop is not ready: a balancer is to find another one before it stops.
    """
    if hasattr(request.state, STOPPING):
        raise HTTPException(503, "The server is about to stop.", {"Retry-After": "1"})
    database: Database = request.state.database
    await database.check()
    return {"status": "ready"}
