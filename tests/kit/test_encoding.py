"""Lists in JSON: msgspec writes what Pydantic would, and Pydantic what only it knows to write."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from pydantic import (
    AliasGenerator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    TypeAdapter,
    computed_field,
    create_model,
    field_serializer,
    field_validator,
    model_serializer,
)

from app.kit.api.encoding import page_encoder
from app.kit.models import ReadSchema

AT = datetime(2026, 11, 22, 8, 54, 25, 158000, UTC)
Name = Annotated[str, Field(max_length=200)]
ROW: dict[str, Any] = {
    "id": UUID(int=7),
    "created_at": AT,
    "updated_at": AT,
    "etag": '"1"',
    "name": "Buy milk",
}
VALUES: list[Any] = [
    UUID(int=0), UUID("FFFFFFFF-ffff-4fff-bfff-ffffffffffff"),
    AT, AT.replace(microsecond=0), AT.replace(microsecond=1), datetime.min.replace(tzinfo=UTC),
    datetime.max.replace(tzinfo=UTC), AT.astimezone(timezone(timedelta(0))),
    date.min, date.max, date(2026, 1, 2),
    "", "é\u2028\U0001f389", "\x00\x01\x1f\x7f\x80", '\t\n\r\b\f"\\/', "</script>",
    True, False, None, 0, -1, 2**31, 2**53 - 1, -(2**63), ["a", None], [],
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_msgspec_writes_a_value_as_pydantic_does(value: Any) -> None:
    assert json.loads(msgspec.json.encode(value)) == json.loads(TypeAdapter(Any).dump_json(value))


def page_of(schema: type[BaseModel]) -> type[BaseModel]:
    """A page of a schema."""
    return create_model("ItemPage", items=(list[schema], ...), total=(int | None, ...))  # type: ignore[valid-type]


class Item(ReadSchema):
    """A schema that says nothing of how to write it."""

    name: Name
    due: datetime | None
    done: bool


def upper(name: str) -> str:
    """Write a name in capital letters."""
    return name.upper()


class Odd(ReadSchema):
    """Has names that mean something to Pydantic."""

    type: Name
    serial: Name
    computed: Name


class OfMetadata(ReadSchema):
    """Says how to write a field whose name means something to Pydantic."""

    metadata: Annotated[Name, PlainSerializer(upper)]


class Computed(ReadSchema):
    """Has a field that no row has."""

    name: Name

    @computed_field
    def length(self) -> int:
        """How long the name is."""
        return len(self.name)


class OfField(ReadSchema):
    """Says how to write a field."""

    name: Name

    @field_serializer("name")
    def _write(self, name: str) -> str:
        return name.upper()


class OfModel(ReadSchema):
    """Says how to write all."""

    name: Name

    @model_serializer
    def _write(self) -> dict[str, str]:
        return {"named": self.name}


class Validated(ReadSchema):
    """Changes what it is read from."""

    name: Name

    @field_validator("name")
    @classmethod
    def _read(cls, name: str) -> str:
        return name.upper()


class OfType(ReadSchema):
    """Says how to write a type."""

    name: Annotated[Name, PlainSerializer(upper)]


class Renamed(ReadSchema):
    """Writes fields under other names."""

    model_config = ConfigDict(alias_generator=AliasGenerator(serialization_alias=upper))

    name: Name


class Configured(ReadSchema):
    """Says in its configuration how to write."""

    model_config = ConfigDict(ser_json_inf_nan="strings")

    name: Name


WRITTEN: list[tuple[type[ReadSchema], Callable[[dict[str, Any]], Any]]] = [
    (Computed, lambda item: item["length"] == 8),
    (OfField, lambda item: item["name"] == "BUY MILK"),
    (OfModel, lambda item: item == {"named": "Buy milk"}),
    (Validated, lambda item: item["name"] == "BUY MILK"),
    (OfType, lambda item: item["name"] == "BUY MILK"),
    (Renamed, lambda item: item["NAME"] == "Buy milk"),
    (Configured, lambda item: item["name"] == "Buy milk"),
]


def test_a_schema_of_plain_types_is_written_without_instances() -> None:
    encode = page_encoder(page_of(Item), Item)
    row = {**ROW, "due": None, "done": True}

    assert encode.__name__ == "by_msgspec"
    written = json.loads(encode({"items": [row], "total": 1}))
    assert written == {
        "items": [json.loads(Item.model_construct(**row).model_dump_json())],
        "total": 1,
    }


def test_names_that_mean_something_to_pydantic_change_nothing() -> None:
    assert page_encoder(page_of(Odd), Odd).__name__ == "by_msgspec"
    assert page_encoder(page_of(OfMetadata), OfMetadata).__name__ == "by_pydantic"


def test_a_value_of_a_type_that_msgspec_does_not_know_is_written_by_pydantic() -> None:
    class Name(str):
        __slots__ = ()

    row = {**ROW, "name": Name("Buy bread"), "due": None, "done": True}
    written = json.loads(page_encoder(page_of(Item), Item)({"items": [row], "total": 1}))

    assert written["items"][0]["name"] == "Buy bread"


@pytest.mark.parametrize(("schema", "is_written"), WRITTEN, ids=lambda given: given.__name__)
def test_a_schema_that_says_how_to_write_it_is_written_so(
    schema: type[ReadSchema], is_written: Callable[[dict[str, Any]], bool]
) -> None:
    encode = page_encoder(page_of(schema), schema)

    assert encode.__name__ == "by_pydantic"
    (item,) = json.loads(encode({"items": [dict(ROW)], "total": None}))["items"]
    assert is_written(item)
