"""FastCRUD's own router, with a policy for the rows of the owner.

Its paths carry the owner as well, because the table's key does.
"""

import os
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException
from fastcrud import CreateConfig, FastCRUD, PolicyConfig, crud_router
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlmodel import col

from benchmarks.peers.schemas import TaskCreate, TaskRead, TaskUpdate, current_owner
from benchmarks.peers.table import Task

engine = create_async_engine(
    make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+psycopg"),
    pool_size=5,
    max_overflow=0,
)
sessions = async_sessionmaker(engine, expire_on_commit=False)
tasks: FastCRUD[Any, Any, Any, Any, Any, Any] = FastCRUD(Task)


async def get_session() -> AsyncIterator[AsyncSession]:
    """A session for one request."""
    async with sessions() as session:
        yield session


async def own_rows(owner: Annotated[str, Depends(current_owner)]) -> PolicyConfig:
    """The rows that a request may reach."""
    mine = col(Task.owner_id) == owner
    return PolicyConfig(read=mine, create=True, create_check=mine, update=mine, delete=mine)


app = FastAPI()
app.include_router(
    crud_router(
        session=get_session,
        model=Task,
        create_schema=TaskCreate,
        update_schema=TaskUpdate,
        select_schema=TaskRead,
        create_config=CreateConfig(auto_fields={"owner_id": current_owner}, exclude_from_schema=[]),
        policy=own_rows,  # type: ignore[arg-type]  # FastAPI awaits it
        path="/api/v1/tasks",
    )
)


@app.post("/api/v1/tasks/{owner_id}/{id}/toggle")
async def toggle(
    owner_id: str,
    id: UUID,  # noqa: A002 - as FastCRUD names it
    session: Annotated[AsyncSession, Depends(get_session)],
    policy: Annotated[PolicyConfig, Depends(own_rows)],
) -> TaskRead:
    """Complete a task, or reopen it: a route beside the router's."""
    mine = tasks.with_policy(policy)
    key: dict[str, Any] = {"owner_id": owner_id, "id": id}
    task = await mine.get(session, schema_to_select=TaskRead, return_as_model=True, **key)
    if task is None:
        raise HTTPException(404)
    changed = await mine.update(
        session,
        TaskUpdate(completed=not task.completed),
        schema_to_select=TaskRead,
        return_as_model=True,
        **key,
    )
    return TaskRead.model_validate(changed)
