"""Lists, a page at a time: their parameters, cursor and envelope."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from struct import Struct
from typing import Annotated, Any, Generic, Literal, Self, TypeVar
from uuid import UUID

from pydantic import (
    MISSING,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    create_model,
)

from app.db.crud import Position
from app.models.fields import Text
from app.models.owned import Owned, ReadSchema
from app.models.time import from_microseconds, to_microseconds

ReadT = TypeVar("ReadT", bound=ReadSchema)

# Microseconds since 1970, and the 16 bytes of an id. 24 bytes are 32 characters of base64url.
_CURSOR = Struct(">q16s")

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
    packed = _CURSOR.pack(to_microseconds(position.value), position.id.bytes)
    return urlsafe_b64encode(packed).decode()


def decode_cursor(cursor: str) -> Position:
    """Return the position in a cursor. Whatever fits `Cursor` is one: there is no invalid time."""
    microseconds, id_ = _CURSOR.unpack(urlsafe_b64decode(cursor))
    return Position(from_microseconds(microseconds), UUID(bytes=id_))


class ListParameters(BaseModel):
    """What every list can be asked for. `list_parameters` adds what a model declares."""

    model_config = ConfigDict(extra="forbid")

    sort: str
    limit: Annotated[
        int,
        Field(
            ge=1,
            le=100,
            description="The most items on the page.",
            json_schema_extra={"format": "int32"},
        ),
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
        return None if self.cursor is MISSING else decode_cursor(self.cursor)


def _boolean(value: str) -> bool | str:
    return {"true": True, "false": False}.get(value, value)


# Pydantic takes "yes", "on" and "1" for true as well.
_FROM_QUERY: dict[Any, Any] = {bool: Annotated[StrictBool, BeforeValidator(_boolean)]}


def list_parameters(model: type[Owned]) -> type[ListParameters]:
    """Return the query parameters of a model's list: its sort orders, filters and search.

    Raises:
        TypeError: the model can be sorted or filtered by a field of a kind that is not supported.
    """
    for name in model.sortable:
        if model.model_fields[name].annotation is not datetime:
            raise TypeError(f"{model.__name__} cannot be sorted by {name}: it is no datetime")
    for name in model.filterable:
        if model.model_fields[name].annotation not in _FROM_QUERY:
            raise TypeError(f"{model.__name__} cannot be filtered by {name}: it is no bool")
    orders = tuple(sign + field for field in model.sortable for sign in ("-", ""))
    fields: dict[str, Any] = {
        "sort": (
            Annotated[Literal[orders], Field(description="`-` is for descending order.")],
            orders[0],
        )
    }
    for name in model.filterable:
        kind = _FROM_QUERY[model.model_fields[name].annotation]
        described = Field(description=f"Only items with this value of `{name}`.")
        fields[name] = (Annotated[kind | MISSING, described], MISSING)
    if model.searchable:
        described = Field(
            description=f"Only items with this in {' or '.join(model.searchable)}, in any case."
        )
        text = Annotated[Text, Field(max_length=200)]
        fields["q"] = (Annotated[text | MISSING, described], MISSING)
    return create_model(f"List{model.__name__}Parameters", __base__=ListParameters, **fields)


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
