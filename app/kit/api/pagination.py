"""Lists, a page at a time: their parameters, cursor and envelope."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime
from enum import StrEnum
from struct import Struct
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar
from uuid import UUID

from pydantic import (
    MISSING,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    create_model,
)
from sqlalchemy import BigInteger, Column, Date, Integer

from app.kit.db.statements import Position
from app.kit.models.fields import Text, bare_type, declared_type
from app.kit.models.owned import Owned, ReadSchema
from app.kit.models.time import from_microseconds, to_microseconds

ReadT = TypeVar("ReadT", bound=ReadSchema)

# A number that stands for the value, and the 16 bytes of an id: 24 bytes are 32 characters of
# base64url.
_CURSOR = Struct(">q16s")
_NULL = 2**63 - 1

Cursor = Annotated[
    str,
    Field(
        max_length=32,
        pattern=r"^[A-Za-z0-9_-]{32}$",
        description="Where a page starts.",
        examples=["AAZA3fXJ0-gBogJ2uoZ2oojvjpgwnQBH"],
    ),
]


def encode_cursor(position: Position) -> str:
    """Return the cursor of the page that starts after ``position``."""
    packed = _CURSOR.pack(_number(position.value), position.id.bytes)
    return urlsafe_b64encode(packed).decode()


def decode_cursor(cursor: str, column: Column[Any]) -> Position:
    """Return the position in a cursor, in a list that is sorted by a column.

    Whatever fits `Cursor` is one: for a number that is no value of the column there is the nearest.
    """
    number, id_ = _CURSOR.unpack(urlsafe_b64decode(cursor))
    return Position(_value(number, column), UUID(bytes=id_))


def _number(value: datetime | date | int | None) -> int:
    match value:
        case None:
            return _NULL
        case datetime():
            return to_microseconds(value)
        case date():
            return value.toordinal()
    return value


def _value(number: int, column: Column[Any]) -> datetime | date | int | None:
    if column.nullable and number == _NULL:
        return None
    match column.type:
        case Date():
            return date.fromordinal(min(max(number, 1), date.max.toordinal()))
        case BigInteger():
            return number
        case Integer():
            return min(max(number, -(2**31)), 2**31 - 1)
    return from_microseconds(number)


def _boolean(text: str) -> bool | str:
    return {"true": True, "false": False}.get(text, text)


def _integer(text: str) -> int | str:
    return int(text) if re.fullmatch("0|-?[1-9][0-9]{0,18}", text) else text


class ListParameters(BaseModel):
    """What every list can be asked for. `list_parameters` adds what a model declares."""

    model_config = ConfigDict(extra="forbid", use_enum_values=True)

    columns: ClassVar[Mapping[str, Column[Any]]]

    sort: str
    limit: Annotated[
        StrictInt,
        Field(
            ge=1,
            le=100,
            description="The most items on the page.",
            json_schema_extra={"format": "int32"},
        ),
        BeforeValidator(_integer),
    ] = 50
    cursor: Annotated[
        Cursor | MISSING,
        Field(description="The `next_cursor` of a page, to go on with the same query."),
    ] = MISSING

    @property
    def filters(self) -> dict[str, Any]:
        """The values to filter by, by field."""
        return self.model_dump(exclude={*ListParameters.model_fields, "q"})

    @property
    def search(self) -> str | None:
        """The text to search for."""
        return self.model_dump(include={"q"}).get("q")

    @property
    def after(self) -> Position | None:
        """The position to start after."""
        if self.cursor is MISSING:
            return None
        return decode_cursor(self.cursor, self.columns[self.sort.removeprefix("-")])


# Pydantic takes "yes", "on" and "1" for true as well, and " 1.0" for 1.
_FROM_TEXT: dict[type, Callable[[str], object]] = {
    bool: _boolean,
    int: _integer,
    str: str,
    date: str,
    UUID: str,
    StrEnum: str,
}


def _kind(model: type[Owned], field: str) -> type:
    kind = bare_type(declared_type(model, field))
    if not isinstance(kind, type):
        return object
    return StrEnum if issubclass(kind, StrEnum) else kind


def _refuse_other_kinds(
    model: type[Owned], use: str, fields: Iterable[str], kinds: Collection[type]
) -> None:
    for field in fields:
        if _kind(model, field) not in kinds:
            names = ", ".join(kind.__name__ for kind in kinds)
            raise TypeError(f"{model.__name__} cannot be {use} by {field}: it is none of {names}")


def list_parameters(model: type[Owned], read_schema: type[ReadSchema]) -> type[ListParameters]:
    """Return the query parameters of a model's list: its sort orders, filters and search.

    Raises:
        TypeError: the model can be sorted or filtered by a field of a kind that is not supported,
            or filtered by one that has the name of another parameter, or sorted by one that is not
            shown, where a cursor could not take its value from.
    """
    if hidden := {*model.sortable} - read_schema.model_fields.keys():
        raise TypeError(f"{model.__name__} cannot be sorted by {', '.join(hidden)}: show it")
    if taken := {"q", *dir(ListParameters), *ListParameters.model_fields} & {*model.filterable}:
        raise TypeError(f"{model.__name__} cannot be filtered by {', '.join(taken)}: rename it")
    _refuse_other_kinds(model, "sorted", model.sortable, (datetime, date, int))
    _refuse_other_kinds(model, "filtered", model.filterable, _FROM_TEXT)
    _refuse_other_kinds(model, "searched", model.searchable, (str,))
    orders = tuple(sign + field for field in model.sortable for sign in ("-", ""))
    fields: dict[str, Any] = {
        "sort": (
            Annotated[Literal[orders], Field(description="`-` is for descending order.")],
            orders[0],
        )
    }
    for name in model.filterable:
        kind = _kind(model, name)
        declared: Any = StrictBool if kind is bool else declared_type(model, name)
        value = Annotated[declared, BeforeValidator(_FROM_TEXT[kind])]
        described = Field(description=f"Only items with this value of `{name}`.")
        fields[name] = (Annotated[value | MISSING, described], MISSING)
    if model.searchable:
        described = Field(
            description=f"Only items with this in {' or '.join(model.searchable)}, in any case."
        )
        text = Annotated[Text, Field(max_length=200)]
        fields["q"] = (Annotated[text | MISSING, described], MISSING)
    name = f"List{model.__name__}Parameters"
    parameters = create_model(name, __base__=ListParameters, **fields)
    parameters.columns = model.__table__.c  # type: ignore[attr-defined]
    return parameters


class Page(BaseModel, Generic[ReadT]):
    """A page of a list."""

    items: Annotated[list[ReadT], Field(max_length=100)]
    next_cursor: Annotated[
        Cursor | None, Field(description="Where the next page starts. Null on the last page.")
    ]

    @classmethod
    def of(cls, rows: list[ReadT], parameters: ListParameters) -> Self:
        """Return the page that was asked for.

        Args:
            rows: the rows of the page, and one more if another page follows.
            parameters: what was asked for.
        """
        items = rows[: parameters.limit]
        next_cursor = None
        if len(rows) > len(items):
            value = getattr(items[-1], parameters.sort.removeprefix("-"))
            next_cursor = encode_cursor(Position(value, items[-1].id))
        return cls.model_construct(items=items, next_cursor=next_cursor)


def page_schema(name: str, read_schema: type[ReadT]) -> type[Page[ReadT]]:
    """The schema of a page of ``read_schema``, under the name that clients see."""
    return create_model(name, __base__=Page[read_schema])  # type: ignore[valid-type]
