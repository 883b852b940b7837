"""Many items at once: what clients send, and what they are answered."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from app.kit.models.owned import Owned
from app.kit.models.schemas import CreateSchema, ReadSchema, Schemas, words_of

LARGEST_BATCH = 100
LARGEST_BODY = 1024 * 1024
"""Bytes."""


class Batch(BaseModel):
    """New items."""

    model_config = ConfigDict(extra="forbid")

    items: list[CreateSchema]


class Items(BaseModel):
    """Items, in the order in which they were sent."""

    items: list[ReadSchema]


class Count(BaseModel):
    """How many items there were."""

    count: Annotated[
        int,
        Field(
            ge=0,
            le=2**53 - 1,
            description="How many items were changed or deleted.",
            json_schema_extra={"format": "int64"},
        ),
    ]


def batch_schemas(model: type[Owned], schemas: Schemas) -> tuple[type[Batch], type[Items]]:
    """Return the schemas of a request to create many items, and of its answer."""
    return (
        create_model(
            f"{model.__name__}BatchCreate",
            __base__=Batch,
            __doc__=f"Each is a new {words_of(model)}.",
            items=(_list(schemas.create, min_length=1), ...),
        ),
        create_model(
            f"{model.__name__}BatchRead",
            __base__=Items,
            __doc__=Items.__doc__,
            items=(_list(schemas.read), ...),
        ),
    )


def _list(schema: type[BaseModel], **bounds: Any) -> Any:  # noqa: ANN401 - an annotation
    return Annotated[list[schema], Field(max_length=LARGEST_BATCH, **bounds)]  # type: ignore[valid-type]
