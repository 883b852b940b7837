"""The table that the migrations make, as SQLModel's tutorial has tables."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Field, SQLModel
from uuid_utils.compat import uuid7

from benchmarks.peers.schemas import now


class Task(SQLModel, table=True):
    """A thing to do."""

    owner_id: str = Field(primary_key=True)
    id: UUID = Field(default_factory=uuid7, primary_key=True)
    title: str
    description: str | None = None
    completed: bool = False
    created_at: datetime = Field(default_factory=now)
    updated_at: datetime = Field(default_factory=now)
