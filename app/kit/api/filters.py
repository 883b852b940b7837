"""Query parameters that say which rows: the filters of a model, and its search."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar
from urllib.parse import parse_qsl

from fastapi.exceptions import RequestValidationError
from pydantic import (
    MISSING,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    create_model,
    model_validator,
)

from app.kit.models.declarations import StrictType
from app.kit.models.fields import RANGE, Text
from app.kit.models.owned import Owned

MOST_VALUES = 100

_OF_ALL = {"id": ("in",), "created_at": RANGE, "updated_at": RANGE}
"""The filters of all lists."""
_NULL = ("is", "is_not")
_MANY = ("__in", "__contains")
_DESCRIPTIONS = {
    "": "Only items with this value of `{}`.",
    "gt": "Only items whose `{}` is greater than this.",
    "gte": "Only items whose `{}` is at least this.",
    "lt": "Only items whose `{}` is less than this.",
    "lte": "Only items whose `{}` is at most this.",
    "in": "Only items whose `{}` is one of these.",
    "contains": "Only items whose `{}` has all of these.",
    "is": "Only items whose `{}` is null.",
    "is_not": "Only items whose `{}` is not null.",
}


class SelectionParameters(BaseModel):
    """Base of the parameters that say which rows. `with_filters` adds those of a model."""

    model_config = ConfigDict(extra="forbid", use_enum_values=True)

    filter_names: ClassVar[frozenset[str]]

    @property
    def filters(self) -> dict[str, Any]:
        """The values to filter by, as `OwnedCRUD` takes them."""
        # One order, whatever a client sends them in: each order would be another statement.
        return {
            name: None if name.endswith(("__is", "__is_not")) else getattr(self, name)
            for name in sorted(self.filter_names & self.model_fields_set)
        }

    @property
    def search(self) -> str | None:
        """The text to search for."""
        text = getattr(self, "q", MISSING)
        return None if text is MISSING else str(text)


class SomeParameters(SelectionParameters):
    """Parameters that must say which rows, because these are to be changed or deleted."""

    @model_validator(mode="after")
    def _refuse_all(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("One filter at least is needed")
        return self


ParametersT = TypeVar("ParametersT", bound=SelectionParameters)


def some_parameters(model: type[Owned]) -> type[SomeParameters]:
    """Return the query parameters of what changes or deletes many rows of a model."""
    name = f"Some{model.__name__}Parameters"
    # An empty text is in all items.
    return with_filters(SomeParameters, name, model, shortest_search=1)


def with_filters(
    base: type[ParametersT],
    name: str,
    model: type[Owned],
    *,
    shortest_search: int = 0,
    **fields: Any,
) -> type[ParametersT]:
    """Return query parameters with each filter of a model, and its search.

    Args:
        base: the parameters that any model has.
        name: what they are called.
        model: the table.
        shortest_search: how many characters the search needs.
        fields: further parameters of this model, which come first.

    Raises:
        TypeError: the name of a field could be that of a filter.
    """
    filters = _filter_parameters(model)
    fields = {**fields, **filters}
    if model.searchable:
        described = Field(
            description=f"Only items with this in {' or '.join(model.searchable)}, in any case."
        )
        least = {"min_length": shortest_search} if shortest_search else {}
        text = Annotated[Text, Field(max_length=200, **least)]
        fields["q"] = (Annotated[text | MISSING, described], MISSING)
    parameters = create_model(name, __base__=base, **fields)
    parameters.filter_names = frozenset(filters)
    return parameters


def _filter_parameters(model: type[Owned]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for field, operator in _filters(model):
        name = f"{field}__{operator}".removesuffix("__")
        described = Field(description=_DESCRIPTIONS[operator].format(field))
        value = _value(model.owned_fields[field].type, operator)
        fields[name] = (Annotated[value | MISSING, described], MISSING)
    return fields


def _filters(model: type[Owned]) -> Iterator[tuple[str, str]]:
    """Give the field and the operator of each filter."""
    for field in model.filterable:
        if "__" in field:
            raise TypeError(
                f"{model.__name__}.filterable: {field} has two underscores, which come before an"
                " operator: rename the field"
            )
    for field in dict.fromkeys((*model.filterable, *_OF_ALL)):
        type_ = model.owned_fields[field].type
        declared = type_.kind.operators if field in model.filterable else ()
        null = _NULL if declared and type_.is_nullable else ()
        for operator in dict.fromkeys((*declared, *_OF_ALL.get(field, ()), *null)):
            yield field, operator


def _value(type_: StrictType, operator: str) -> Any:  # noqa: ANN401 - an annotation
    """Return the type of the parameter of a filter."""
    match operator:
        case "is" | "is_not":
            return Literal["null"]
        case "in":
            return _several(type_)
        case "contains":
            assert type_.item is not None  # noqa: S101 - only a list has this operator
            return _several(type_.item)
        case _:
            return _one(type_)


def _one(type_: StrictType) -> Any:  # noqa: ANN401 - an annotation
    return Annotated[type_.value, BeforeValidator(type_.kind.from_query)]


def _several(type_: StrictType) -> Any:  # noqa: ANN401 - an annotation
    return Annotated[list[_one(type_)], Field(max_length=MOST_VALUES)]  # type: ignore[misc]


def check_query(query: bytes) -> None:
    """Refuse what FastAPI would accept: of a repeated parameter the last value, and any bytes.

    Raises:
        RequestValidationError: a parameter of one value is sent twice, or a value is not UTF-8.
    """
    # What is written in plain ASCII need not be parsed: names are as they stand there.
    if query.isascii() and b"%" not in query:
        sent = [part.partition(b"=")[0].decode() for part in query.split(b"&")]
        single = [name for name in sent if not name.endswith(_MANY)]
        if len({*single}) == len(single):
            return
    details: dict[str, str] = {}
    names: set[str] = set()
    text = query.decode("latin-1")
    for name, value in parse_qsl(text, keep_blank_values=True, encoding="latin-1"):
        if name in names and not name.endswith(_MANY):
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
