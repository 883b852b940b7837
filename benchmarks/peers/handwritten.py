"""FastAPI and SQLModel by hand: a session for each request, a commit for each change."""

import os
from collections.abc import AsyncIterator, Sequence
from typing import Annotated
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException, Query
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from benchmarks.peers.schemas import TaskCreate, TaskRead, TaskUpdate, current_owner, now
from benchmarks.peers.table import Task

engine = create_async_engine(
    make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+psycopg"),
    pool_size=5,
    max_overflow=0,
)
sessions = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)


async def get_session() -> AsyncIterator[AsyncSession]:
    """A session for one request."""
    async with sessions() as session:
        yield session


Session = Annotated[AsyncSession, Depends(get_session)]
Owner = Annotated[str, Depends(current_owner)]


async def get_task(id_: UUID, session: Session, owner: Owner) -> Task:
    """The owner's task with this id, or 404."""
    found = await session.exec(select(Task).where(Task.id == id_, Task.owner_id == owner))
    task = found.one_or_none()
    if task is None:
        raise HTTPException(404)
    return task


app = FastAPI()


@app.post("/api/v1/tasks", status_code=201, response_model=TaskRead)
async def create_task(item: TaskCreate, session: Session, owner: Owner) -> Task:
    """Store a task."""
    task = Task.model_validate(item, update={"owner_id": owner})
    session.add(task)
    await session.commit()
    return task


@app.get("/api/v1/tasks", response_model=list[TaskRead])
async def list_tasks(
    session: Session,
    owner: Owner,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> Sequence[Task]:
    """Show tasks, the newest first."""
    statement = select(Task).where(Task.owner_id == owner).order_by(col(Task.id).desc())
    return (await session.exec(statement.offset(offset).limit(limit))).all()


@app.get("/api/v1/tasks/{id_}", response_model=TaskRead)
async def read_task(task: Annotated[Task, Depends(get_task)]) -> Task:
    """Show a task."""
    return task


@app.patch("/api/v1/tasks/{id_}", response_model=TaskRead)
async def update_task(
    item: TaskUpdate, task: Annotated[Task, Depends(get_task)], session: Session
) -> Task:
    """Change the given fields."""
    task.sqlmodel_update(item.model_dump(exclude_unset=True), update={"updated_at": now()})
    await session.commit()
    return task


@app.post("/api/v1/tasks/{id_}/toggle", response_model=TaskRead)
async def toggle_task(task: Annotated[Task, Depends(get_task)], session: Session) -> Task:
    """Complete a task, or reopen it."""
    task.sqlmodel_update({"completed": not task.completed, "updated_at": now()})
    await session.commit()
    return task


@app.delete("/api/v1/tasks/{id_}", status_code=204)
async def delete_task(task: Annotated[Task, Depends(get_task)], session: Session) -> None:
    """Remove a task."""
    await session.delete(task)
    await session.commit()
