"""Tasks: the generated operations, and toggle."""

from typing import Annotated

from fastapi import Depends, Response
from sqlmodel import col

from app.api.identity import current_owner
from app.kit.api.etags import IfMatch, etag_headers, parse_if_match
from app.kit.api.items import ItemId, with_etag
from app.kit.api.problems import error_responses
from app.kit.api.router import owned_crud_router
from app.kit.db.crud import OwnedCRUD
from app.kit.models import ReadSchema
from app.models.task import Task

router = owned_crud_router(Task, owner=current_owner, path="/tasks")

FLIPPED = {"completed": ~col(Task.completed)}
"""Made once, so that its statement is."""


@router.post(
    "/{id}/toggle",
    operation_id="toggleTask",
    summary="Toggle a task",
    description="Complete one of the caller's tasks or, if it is completed, reopen it.",
    response_model=router.schemas.read,
    responses={200: etag_headers(), **error_responses(404, 412, 422)},
)
async def toggle_task(
    id_: ItemId,
    tasks: Annotated[OwnedCRUD, Depends(router.owned)],
    response: Response,
    if_match: IfMatch = None,
) -> ReadSchema:
    return with_etag(await tasks.update(id_, FLIPPED, parse_if_match(if_match)), response)
