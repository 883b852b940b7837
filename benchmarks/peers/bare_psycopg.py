"""FastAPI and SQL on a pool of psycopg, in autocommit: one statement for each request."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any, LiteralString
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException, Query
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg.sql import SQL, Composed, Identifier, Placeholder
from psycopg_pool import AsyncConnectionPool
from uuid_utils.compat import uuid7

from benchmarks.peers.schemas import TaskCreate, TaskRead, TaskUpdate, current_owner, now

Statement = LiteralString | Composed
Owner = Annotated[str, Depends(current_owner)]

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

pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
    os.environ["DATABASE_URL"],
    min_size=5,
    max_size=5,
    open=False,
    kwargs={"autocommit": True, "row_factory": dict_row},
)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Keep the pool open while the application runs."""
    async with pool:
        yield


app = FastAPI(lifespan=lifespan)


async def rows(statement: Statement, values: Mapping[str, Any]) -> list[DictRow]:
    """Run a statement and return its rows."""
    async with pool.connection() as connection:
        cursor = await connection.execute(statement, values)
        return await cursor.fetchall()


async def row(statement: Statement, values: Mapping[str, Any]) -> DictRow:
    """Run a statement and return its row, or answer 404."""
    found = await rows(statement, values)
    if not found:
        raise HTTPException(404)
    return found[0]


@app.post("/api/v1/tasks", status_code=201, response_model=TaskRead)
async def create_task(item: TaskCreate, owner: Owner) -> DictRow:
    """Store a task."""
    return await row(INSERT, {**item.model_dump(), "owner": owner, "id": uuid7(), "now": now()})


@app.get("/api/v1/tasks", response_model=list[TaskRead])
async def list_tasks(
    owner: Owner,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> list[DictRow]:
    """Show tasks, the newest first."""
    return await rows(PAGE, {"owner": owner, "offset": offset, "limit": limit})


@app.get("/api/v1/tasks/{id_}", response_model=TaskRead)
async def read_task(id_: UUID, owner: Owner) -> DictRow:
    """Show a task."""
    return await row(SELECT, {"owner": owner, "id": id_})


@app.patch("/api/v1/tasks/{id_}", response_model=TaskRead)
async def update_task(id_: UUID, item: TaskUpdate, owner: Owner) -> DictRow:
    """Change the given fields."""
    changes = {**item.model_dump(exclude_unset=True), "updated_at": now()}
    assignments = [SQL("{} = {}").format(Identifier(n), Placeholder(n)) for n in changes]
    statement = SQL(UPDATE).format(changes=SQL(", ").join(assignments))
    return await row(statement, {**changes, "owner": owner, "id": id_})


@app.post("/api/v1/tasks/{id_}/toggle", response_model=TaskRead)
async def toggle_task(id_: UUID, owner: Owner) -> DictRow:
    """Complete a task, or reopen it."""
    return await row(TOGGLE, {"owner": owner, "id": id_, "now": now()})


@app.delete("/api/v1/tasks/{id_}", status_code=204)
async def delete_task(id_: UUID, owner: Owner) -> None:
    """Remove a task."""
    await row(DELETE, {"owner": owner, "id": id_})
