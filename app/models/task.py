"""The task: what is stored, and what clients send and see."""

from typing import Annotated, ClassVar

from pydantic import MISSING, ConfigDict, Field, StrictBool

from app.kit.models.fields import Line, Text
from app.kit.models.owned import CreateSchema, Owned, ReadSchema, UpdateSchema

Title = Annotated[Line, Field(max_length=200, description="One line.", examples=["Buy milk"])]
Description = Annotated[
    Text, Field(max_length=5000, description="Anything worth adding.", examples=["Two litres."])
]
Completed = Annotated[StrictBool, Field(description="Whether it is done.", examples=[False])]


class Task(Owned, table=True):
    """A thing to do."""

    filterable: ClassVar[tuple[str, ...]] = ("completed",)
    searchable: ClassVar[tuple[str, ...]] = ("title", "description")

    title: Title
    description: Description | None = None
    completed: Completed = False


class TaskCreate(CreateSchema):
    """A new task. What is left out is null or false."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"title": "Buy milk"}]})

    title: Title
    description: Description | MISSING | None = MISSING
    completed: Completed | MISSING = MISSING


class TaskUpdate(UpdateSchema):
    """The fields to change. What is left out stays; a null `description` is cleared."""

    title: Title | MISSING = MISSING
    description: Description | MISSING | None = MISSING
    completed: Completed | MISSING = MISSING


class TaskRead(ReadSchema):
    """A task as its owner sees it."""

    title: Title
    description: Description | None
    completed: Completed
