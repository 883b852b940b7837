"""Tasks: the generated operations, and toggle."""

from typing import Annotated

from fastapi import Depends, Response
from sqlmodel import col

from app.api.identity import current_owner
from app.kit.api.etags import IfMatch, tagged, versions
from app.kit.api.problems import documented
from app.kit.api.router import ItemId, owned_crud_router, shown
from app.kit.db.crud import OwnedCRUD
from app.models.task import Task, TaskCreate, TaskRead, TaskUpdate

router = owned_crud_router(
    model=Task,
    create_schema=TaskCreate,
    update_schema=TaskUpdate,
    read_schema=TaskRead,
    owner=current_owner,
    path="/tasks",
)

FLIPPED = {"completed": ~col(Task.completed)}
"""Made once, so that its statement is."""


@router.post(
    "/{id}/toggle",
    operation_id="toggleTask",
    summary="Toggle a task",
    description="Complete one of the caller's tasks or, if it is completed, reopen it.",
    responses={200: tagged(), **documented(404, 412, 422)},
)
async def toggle_task(
    id_: ItemId,
    tasks: Annotated[OwnedCRUD[TaskRead], Depends(router.owned)],
    response: Response,
    if_match: IfMatch = None,
) -> TaskRead:
    return shown(await tasks.update(id_, FLIPPED, versions(if_match)), response)
