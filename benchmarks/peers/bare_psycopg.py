"""FastAPI and SQL: one statement for each request, and nothing around it."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, FastAPI, Query
from psycopg.rows import DictRow

from benchmarks.peers import sql
from benchmarks.peers.schemas import TaskCreate, TaskRead, TaskUpdate, current_owner

Owner = Annotated[str, Depends(current_owner)]

app = FastAPI(lifespan=sql.lifespan)


@app.post("/api/v1/tasks", status_code=201, response_model=TaskRead)
async def create_task(item: TaskCreate, owner: Owner) -> DictRow:
    """Store a task."""
    return await sql.create(owner, item.model_dump())


@app.get("/api/v1/tasks", response_model=list[TaskRead])
async def list_tasks(
    owner: Owner,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> list[DictRow]:
    """Show tasks, the newest first."""
    return await sql.page(owner, offset, limit)


@app.get("/api/v1/tasks/{id_}", response_model=TaskRead)
async def read_task(id_: UUID, owner: Owner) -> DictRow:
    """Show a task."""
    return await sql.read(owner, id_)


@app.patch("/api/v1/tasks/{id_}", response_model=TaskRead)
async def update_task(id_: UUID, item: TaskUpdate, owner: Owner) -> DictRow:
    """Change the given fields."""
    return await sql.update(owner, id_, item.model_dump(exclude_unset=True))


@app.post("/api/v1/tasks/{id_}/toggle", response_model=TaskRead)
async def toggle_task(id_: UUID, owner: Owner) -> DictRow:
    """Complete a task, or reopen it."""
    return await sql.toggle(owner, id_)


@app.delete("/api/v1/tasks/{id_}", status_code=204)
async def delete_task(id_: UUID, owner: Owner) -> None:
    """Remove a task."""
    await sql.delete(owner, id_)
