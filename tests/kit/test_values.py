"""The values that the suite sends for a field fit it."""

import datetime as dt
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import pytest
from pydantic import MISSING, AnyUrl, EmailStr, Field, HttpUrl, StrictBool

from app.kit.models import BigInteger, CreateSchema, Date, Float, Id, Integer, Line, Text, Time
from tests.support.values import Schema, example_of, resolved, value_of


class Code(StrEnum):
    ONE = "1"
    TWO = "2"


def schemas_of(model: type[CreateSchema]) -> dict[str, Schema]:
    """The schemas of the fields of what clients send."""
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})
    return {
        name: resolved(name, field, definitions)
        for name, field in schema["properties"].items()
        if name != "id"
    }


class Anything(CreateSchema):
    line: Annotated[Line, Field(max_length=100)]
    short: Annotated[Line, Field(min_length=2, max_length=3)]
    long: Annotated[Text, Field(min_length=20, max_length=100)] | None
    colour: Annotated[
        str, Field(pattern="^#[0-9a-f]{6}$", examples=["#a0b1c2"], min_length=7, max_length=7)
    ]
    integer: Annotated[Integer, Field(ge=-20, lt=0)]
    positive: Annotated[BigInteger, Field(gt=0)] | MISSING
    fraction: Annotated[Float, Field(gt=0, lt=1e-9)]
    any_number: Float
    day: Date | MISSING | None
    time: Annotated[Time | None, Field(description="When.")]
    reference: Id
    code: Code | None
    flag: StrictBool
    price: Annotated[Decimal, Field(max_digits=9, decimal_places=2, gt=0)]
    shares: Annotated[Decimal, Field(max_digits=2, decimal_places=2)] | None
    clock: dt.time
    duration: dt.timedelta | MISSING
    email: EmailStr
    url: HttpUrl | None
    link: AnyUrl
    tags: Annotated[list[Annotated[Line, Field(max_length=20)]], Field(max_length=5)]
    codes: Annotated[list[Code], Field(min_length=2, max_length=5)] | None
    anything: dict[str, Any]


def test_a_body_has_values_that_fit_each_field() -> None:
    schemas = schemas_of(Anything)

    Anything.model_validate({name: example_of(schema) for name, schema in schemas.items()})
    assert example_of(schemas["colour"]) == "#a0b1c2"
    bodies = [{name: value_of(s, number) for name, s in schemas.items()} for number in range(20)]
    for body in bodies:
        Anything.model_validate(body)
    for name in schemas.keys() - {"code", "codes", "flag"}:
        assert len({str(body[name]) for body in bodies}) == 20, name


@pytest.mark.parametrize(
    ("field", "why"),
    [
        (Field(pattern="^[0-9]+$", max_length=9), "value has a pattern: give it an example"),
        (
            Field(pattern="^[-+]$", examples=["+"], max_length=9),
            "value: give it an example with letters",
        ),
    ],
)
def test_a_field_that_needs_an_example_is_named(field: Any, why: str) -> None:
    class Patterned(CreateSchema):
        value: Annotated[str, field]

    with pytest.raises(NotImplementedError, match=f"^{why}"):
        value_of(schemas_of(Patterned)["value"], 1)
