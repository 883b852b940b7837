"""Tasks: the generated operations, and toggle."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends
from sqlmodel import col

from app.api.crud_router import ItemId, found, owned_crud_router
from app.api.identity import current_owner
from app.api.problems import documented
from app.db.crud import OwnedCRUD
from app.models.task import Task, TaskCreate, TaskRead, TaskUpdate

router = owned_crud_router(
    model=Task,
    create_schema=TaskCreate,
    update_schema=TaskUpdate,
    read_schema=TaskRead,
    owner=current_owner,
    path="/tasks",
)


@router.post(
    "/{id}/toggle",
    operation_id="toggleTask",
    summary="Complete a task, or reopen it",
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY),
)
async def toggle_task(
    id_: ItemId, tasks: Annotated[OwnedCRUD[TaskRead], Depends(router.owned)]
) -> TaskRead:
    return found(await tasks.update(id_, {"completed": ~col(Task.completed)}))
