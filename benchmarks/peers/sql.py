"""SQL on a pool of psycopg, in autocommit: one statement for each operation."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg.sql import SQL, Identifier, Placeholder
from psycopg_pool import AsyncConnectionPool
from starlette.exceptions import HTTPException
from uuid_utils.compat import uuid7

Statement = LiteralString | bytes

COLUMNS: LiteralString = "id, title, description, completed, created_at, updated_at"
INSERT: LiteralString = (
    "INSERT INTO task (owner_id, id, title, description, completed, created_at, updated_at)"
    " VALUES (%(owner)s, %(id)s, %(title)s, %(description)s, %(completed)s, %(now)s, %(now)s)"
    f" RETURNING {COLUMNS}"
)
PAGE: LiteralString = (
    f"SELECT {COLUMNS} FROM task WHERE owner_id = %(owner)s"
    " ORDER BY id DESC OFFSET %(offset)s LIMIT %(limit)s"
)
THIS: LiteralString = "WHERE owner_id = %(owner)s AND id = %(id)s"
SELECT: LiteralString = f"SELECT {COLUMNS} FROM task {THIS}"
UPDATE: LiteralString = f"UPDATE task SET {{changes}} {THIS} RETURNING {COLUMNS}"
TOGGLE: LiteralString = (
    f"UPDATE task SET completed = NOT completed, updated_at = %(now)s {THIS} RETURNING {COLUMNS}"
)
DELETE: LiteralString = f"DELETE FROM task {THIS} RETURNING id"

now = partial(datetime.now, UTC)
pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
    os.environ["DATABASE_URL"],
    min_size=5,
    max_size=5,
    open=False,
    kwargs={"autocommit": True, "row_factory": dict_row},
)


@asynccontextmanager
async def lifespan(_app: object) -> AsyncIterator[None]:
    """Keep the pool open while the application runs."""
    async with pool:
        yield


async def create(owner: str, fields: Mapping[str, Any]) -> DictRow:
    """Store a task."""
    return await _row(INSERT, {**fields, "owner": owner, "id": uuid7(), "now": now()})


async def page(owner: str, offset: int, limit: int) -> list[DictRow]:
    """Return tasks, the newest first."""
    return await _rows(PAGE, {"owner": owner, "offset": offset, "limit": limit})


async def read(owner: str, id_: UUID) -> DictRow:
    """Return a task."""
    return await _row(SELECT, {"owner": owner, "id": id_})


async def update(owner: str, id_: UUID, fields: Mapping[str, Any]) -> DictRow:
    """Change the given fields."""
    changes = {**fields, "updated_at": now()}
    return await _row(_update(tuple(changes)), {**changes, "owner": owner, "id": id_})


async def toggle(owner: str, id_: UUID) -> DictRow:
    """Complete a task, or reopen it."""
    return await _row(TOGGLE, {"owner": owner, "id": id_, "now": now()})


async def delete(owner: str, id_: UUID) -> None:
    """Remove a task."""
    await _row(DELETE, {"owner": owner, "id": id_})


@cache
def _update(names: tuple[str, ...]) -> bytes:
    changes = [SQL("{} = {}").format(Identifier(n), Placeholder(n)) for n in names]
    return SQL(UPDATE).format(changes=SQL(", ").join(changes)).as_bytes()


async def _row(statement: Statement, values: Mapping[str, Any]) -> DictRow:
    """Run a statement and return its row, or answer 404."""
    found = await _rows(statement, values)
    if not found:
        raise HTTPException(404)
    return found[0]


async def _rows(statement: Statement, values: Mapping[str, Any]) -> list[DictRow]:
    """Run a statement and return its rows."""
    async with pool.connection() as connection:
        cursor = await connection.execute(statement, values)
        return await cursor.fetchall()
