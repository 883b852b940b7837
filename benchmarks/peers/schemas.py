"""What clients of the peers send and see, and who they are."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Header
from pydantic import BaseModel, Field

Title = Annotated[str, Field(min_length=1, max_length=200)]
Description = Annotated[str, Field(max_length=5000)]


class TaskCreate(BaseModel):
    """A new task."""

    title: Title
    description: Description | None = None
    completed: bool = False


class TaskUpdate(BaseModel):
    """The fields to change."""

    title: Title | None = None
    description: Description | None = None
    completed: bool | None = None


class TaskRead(BaseModel):
    """A task as its owner sees it."""

    id: UUID
    title: str
    description: str | None
    completed: bool
    created_at: datetime
    updated_at: datetime


async def current_owner(x_user_id: Annotated[str, Header()]) -> str:
    """Who is asking."""
    return x_user_id


def now() -> datetime:
    """The current time."""
    return datetime.now(UTC)
