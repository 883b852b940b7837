"""What an application can do with tasks behind its routes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from app.kit.db.crud import OwnedCRUD
from app.kit.db.database import Database
from app.models.task import Task, TaskRead
from tests.support.server import Server

Call = Callable[[OwnedCRUD[TaskRead], Any], Awaitable[Any]]


def run(server: Server, owner: str, call: Call) -> Any:
    """Call something with the tasks of an owner, and with their session."""

    async def connected() -> Any:
        database = Database(
            server.app.state.settings.database_url, pool_size=1, timeout=5, prepared_statements=True
        )
        crud = OwnedCRUD(Task, TaskRead).bind(database.owned_by(owner))
        try:
            return await call(crud, crud.session)
        finally:
            await database.close()

    return asyncio.run(connected())
