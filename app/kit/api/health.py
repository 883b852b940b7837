"""Whether this process lives, and whether it can serve."""

from fastapi import APIRouter, Request

from app.kit.db.database import Database

router = APIRouter(prefix="/health", include_in_schema=False)


@router.get("/live")
async def live() -> dict[str, str]:
    """Answer without the database, so that a probe does not keep a serverless one awake."""
    return {"status": "live"}


@router.get("/ready")
async def ready(request: Request) -> dict[str, str]:
    """Answer if the database has all that is needed; 503, with the reason in the log, if not."""
    database: Database = request.state.database
    await database.check()
    return {"status": "ready"}
