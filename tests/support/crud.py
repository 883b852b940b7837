"""What an application can do with tasks behind its routes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from app.kit.db.crud import OwnedCRUD
from app.kit.db.database import Database
from app.kit.models.schemas import schemas_of
from app.models.task import Task
from tests.support.server import Server

Call = Callable[[OwnedCRUD], Awaitable[Any]]


def unbound() -> OwnedCRUD:
    """The tasks of nobody."""
    return OwnedCRUD(Task, schemas_of(Task).read)


def run(server: Server, owner: str, call: Call, timeout: float = 5) -> Any:
    """Call something with the tasks of an owner, on a pool of one connection."""

    async def connected() -> Any:
        settings = server.app.state.settings
        database = Database(
            settings.database_url,
            pool_size=1,
            timeout=timeout,
            prepared_statements=settings.prepared_statements,
        )
        try:
            return await call(unbound().bind(database, owner))
        finally:
            await database.close()

    return asyncio.run(connected())
