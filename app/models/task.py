"""The task."""

from pydantic import Field

from app.kit.models.fields import Line
from app.kit.models.owned import Owned


class Task(Owned, table=True):
    """A thing to do."""

    filterable = ("completed",)
    searchable = ("title", "description")

    title: Line = Field(max_length=200, description="One line.", examples=["Buy milk"])
    description: str | None = Field(
        default=None,
        max_length=5000,
        description="Anything worth adding.",
        examples=["Two litres."],
    )
    completed: bool = Field(default=False, description="Whether it is done.", examples=[False])
