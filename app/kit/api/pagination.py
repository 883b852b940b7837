"""Lists, a page at a time: their parameters and their envelope."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar
from urllib.parse import parse_qsl

from fastapi.exceptions import RequestValidationError
from pydantic import (
    MISSING,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    create_model,
)

from app.kit.api.cursors import Cursor, decode_cursor, encode_cursor
from app.kit.db.statements import Position
from app.kit.models.declarations import StrictType
from app.kit.models.fields import KINDS, Text
from app.kit.models.owned import Owned, OwnedField
from app.kit.models.schemas import ReadSchema

ReadT = TypeVar("ReadT", bound=ReadSchema)


class ListParameters(BaseModel):
    """What every list can be asked for. `list_parameters` adds what a model declares."""

    model_config = ConfigDict(extra="forbid", use_enum_values=True)

    owned_fields: ClassVar[Mapping[str, OwnedField]]

    sort: str
    limit: Annotated[
        StrictInt,
        Field(
            ge=1,
            le=100,
            description="The most items on the page.",
            json_schema_extra={"format": "int32"},
        ),
        BeforeValidator(KINDS[int].from_query),
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
        return decode_cursor(self.cursor, self.sorted_by[1])

    @property
    def sorted_by(self) -> tuple[str, StrictType]:
        """The field that the list is sorted by, and its type."""
        name = self.sort.removeprefix("-")
        return name, self.owned_fields[name].type


def list_parameters(model: type[Owned], read_schema: type[ReadSchema]) -> type[ListParameters]:
    """Return the query parameters of a model's list: its sort orders, filters and search.

    Raises:
        TypeError: a filter has the name of another parameter, or a list is sorted by a field that
            is not shown, so that a cursor could not have its value.
    """
    name = model.__name__
    for field in {*model.sortable} - read_schema.model_fields.keys():
        raise TypeError(
            f"{name}.sortable: {field} is not in {read_schema.__name__}, so no page could follow"
            " another: show it, or leave it out"
        )
    for field in {"q", *dir(ListParameters), *ListParameters.model_fields} & {*model.filterable}:
        raise TypeError(f"{name}.filterable: {field} is a parameter of all lists: rename the field")
    orders = tuple(sign + field for field in model.sortable for sign in ("-", ""))
    described = Field(description="`-` is for descending order.")
    fields: dict[str, Any] = {"sort": (Annotated[Literal[orders], described], orders[0])}
    for field in model.filterable:
        _, value, kind, *_ = model.owned_fields[field].type
        value = Annotated[value, BeforeValidator(kind.from_query or str)]
        described = Field(description=f"Only items with this value of `{field}`.")
        fields[field] = (Annotated[value | MISSING, described], MISSING)
    if model.searchable:
        described = Field(
            description=f"Only items with this in {' or '.join(model.searchable)}, in any case."
        )
        text = Annotated[Text, Field(max_length=200)]
        fields["q"] = (Annotated[text | MISSING, described], MISSING)
    parameters = create_model(f"List{name}Parameters", __base__=ListParameters, **fields)
    parameters.owned_fields = model.owned_fields
    return parameters


def check_query(query: bytes) -> None:
    """Refuse what FastAPI would accept: of a repeated parameter the last value, and any bytes.

    Raises:
        RequestValidationError: a parameter is sent twice, or its value is not UTF-8.
    """
    details: dict[str, str] = {}
    names: set[str] = set()
    text = query.decode("latin-1")
    for name, value in parse_qsl(text, keep_blank_values=True, encoding="latin-1"):
        if name in names:
            details[name] = "Parameter should be sent once"
        names.add(name)
        try:
            value.encode("latin-1").decode()
        except UnicodeDecodeError:
            details[name] = "Value should be UTF-8"
    if details:
        raise RequestValidationError(
            [{"type": "query", "loc": ("query", k), "msg": v} for k, v in details.items()]
        )


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
            name, type_ = parameters.sorted_by
            position = Position(getattr(items[-1], name), items[-1].id)
            next_cursor = encode_cursor(position, type_)
        return cls.model_construct(items=items, next_cursor=next_cursor)


def page_schema(name: str, read_schema: type[ReadT]) -> type[Page[ReadT]]:
    """The schema of a page of ``read_schema``, under the name that clients see."""
    return create_model(name, __base__=Page[read_schema])  # type: ignore[valid-type]
