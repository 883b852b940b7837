"""Lists, a page at a time: their parameters and their envelope."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import MISSING, BaseModel, BeforeValidator, Field, StrictBool, StrictInt, create_model

from app.kit.api.cursors import cursor_type, decode_cursor, encode_cursor
from app.kit.api.filters import SelectionParameters, with_filters
from app.kit.db.compiled import Row
from app.kit.db.selects import MOST_COUNTED, Position
from app.kit.models.declarations import StrictType
from app.kit.models.fields import KINDS
from app.kit.models.owned import Owned, OwnedField
from app.kit.models.schemas import ReadSchema
from app.kit.models.sorting import MOST_SORTED_BY, Sort, parse_sort, reverse_sort

ReadT = TypeVar("ReadT", bound=ReadSchema)

_LARGEST_ID = 2**128 - 1


class ListParameters(SelectionParameters):
    """What every list can be asked for. `list_parameters` adds what a model declares."""

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
    cursor: str | MISSING = MISSING
    total: Annotated[
        StrictBool,
        Field(description="Whether to count the items of all pages."),
        BeforeValidator(KINDS[bool].from_query),
    ] = False

    @property
    def position(self) -> Position | None:
        """The position to go on from; None is the beginning."""
        return None if self.cursor is MISSING else decode_cursor(self.cursor, self.sorted_by)

    @property
    def sorted_by(self) -> Sequence[StrictType]:
        """The types of the fields that the list is sorted by."""
        return _sorted_by(type(self), self.sort)


@lru_cache(maxsize=1024)
def _sorted_by(parameters: type[ListParameters], sort: str) -> Sequence[StrictType]:
    return [parameters.owned_fields[by.field].type for by in parse_sort(sort)]


def list_parameters(model: type[Owned], read_schema: type[ReadSchema]) -> type[ListParameters]:
    """Return the query parameters of a model's list: its sort orders, filters and search.

    Raises:
        TypeError: a filter has the name of another parameter, or a list is sorted by a field that
            is not shown, so that a cursor could not have its value.
    """
    name = model.__name__
    indexed = {by.field for sort in _sorts(model) for by in sort}
    for field in {*indexed, *model.sortable_unindexed} - read_schema.model_fields.keys():
        use = "sortable" if field in indexed else "sortable_unindexed"
        raise TypeError(
            f"{name}.{use}: {field} is not in {read_schema.__name__}, so no page could follow"
            " another: show it, or leave it out"
        )
    for field in {"q", *dir(ListParameters), *ListParameters.model_fields} & {*model.filterable}:
        raise TypeError(f"{name}.filterable: {field} is a parameter of all lists: rename the field")
    described = Field(description="A cursor of a page, to go on from there with the same query.")
    parameters = with_filters(
        ListParameters,
        f"List{name}Parameters",
        model,
        sort=_sort_parameter(model),
        cursor=(Annotated[_cursor(model, backwards=True) | MISSING, described], MISSING),
    )
    parameters.owned_fields = model.owned_fields
    return parameters


def _sorts(model: type[Owned]) -> list[Sort]:
    """Return the sort orders that an index serves, each in both directions."""
    sorts: list[Sort] = []
    for fields in model.sortable or ("created_at",):
        sort = parse_sort(fields)
        # Of a single field, the largest come first by default.
        if len(sort) == 1 and not sort[0].descending:
            sort = reverse_sort(sort)
        sorts += [sort, reverse_sort(sort)]
    return sorts


def _free_fields(model: type[Owned]) -> list[str]:
    """Return the fields that a list can be sorted by in any combination."""
    if not model.sortable_unindexed:
        return []
    single = [sort[0].field for sort in _sorts(model) if len(sort) == 1]
    return list(dict.fromkeys((*single, *model.sortable_unindexed)))


def _sort_parameter(model: type[Owned]) -> Any:  # noqa: ANN401 - a field of a Pydantic model
    orders = [",".join(map(str, sort)) for sort in _sorts(model)]
    description = "`-` is for descending order."
    kind: Any = Literal[tuple(orders)]
    if fields := _free_fields(model):
        field = f"-?({'|'.join(fields)})"
        indexed = "".join(f"|{order}" for order in orders if "," in order)
        kind = Annotated[
            str,
            Field(
                pattern=f"^({field}(,{field}){{0,{MOST_SORTED_BY - 1}}}{indexed})$",
                max_length=max(MOST_SORTED_BY * (len(max(fields, key=len)) + 2), *map(len, orders)),
            ),
        ]
        description += (
            f" Up to {MOST_SORTED_BY} of {', '.join(fields)}, separated by commas; what cannot"
            " change the order is left out."
        )
    return (Annotated[kind, Field(description=description)], orders[0])


def _cursor(model: type[Owned], *, backwards: bool) -> Any:  # noqa: ANN401 - an annotation
    """Return the type of the cursors of a model's lists."""
    free = _free_fields(model)
    sorts = [
        *([by.field for by in sort] for sort in _sorts(model)),
        *combinations(free, min(MOST_SORTED_BY, len(free))),
    ]
    types = [[model.owned_fields[name].type for name in sort] for sort in sorts]
    return cursor_type(types, backwards=backwards)


class Page(BaseModel, Generic[ReadT]):
    """A page of a list."""

    items: Annotated[list[ReadT], Field(max_length=100)]
    next_cursor: str | None
    previous_cursor: str | None
    total: Annotated[
        Annotated[int, Field(ge=0, le=MOST_COUNTED, json_schema_extra={"format": "int32"})] | None,
        Field(
            description=f"How many items all pages have, counted up to {MOST_COUNTED:,}. Null if"
            " `total` was not asked for."
        ),
    ]


def page_values(
    rows: list[Row], total: int | None, parameters: ListParameters, position: Position | None
) -> dict[str, Any]:
    """Return the fields of the page that was asked for.

    Args:
        rows: the rows of the page, and one more if another page follows in its direction.
        total: how many rows all pages have, if that was asked for.
        parameters: what was asked for.
        position: the position in it.
    """
    limit = parameters.limit
    backwards = position is not None and position.backwards
    items = rows[-limit:] if backwards else rows[:limit]
    sort, types = parse_sort(parameters.sort), parameters.sorted_by

    def cursor(row: Row, *, backwards: bool) -> str:
        values = tuple([row[by.field] for by in sort])
        return encode_cursor(Position(values, row["id"], backwards), types)

    following = preceding = None
    if items:
        more = len(rows) > limit
        following = cursor(items[-1], backwards=False) if more or backwards else None
        is_preceded = more if backwards else position is not None
        preceding = cursor(items[0], backwards=True) if is_preceded else None
    elif position:
        back = encode_cursor(_turned(position, sort), types)
        following, preceding = (back, None) if backwards else (None, back)
    return {"items": items, "next_cursor": following, "previous_cursor": preceding, "total": total}


def _turned(position: Position, sort: Sort) -> Position:
    """Return the way back from a page without items, the row that it was next to included."""
    step = 1 if sort[-1].descending == position.backwards else -1
    beyond = UUID(int=min(max(position.id.int + step, 0), _LARGEST_ID))
    return Position(position.values, beyond, not position.backwards)


def page_schema(model: type[Owned], read_schema: type[ReadT]) -> type[Page[ReadT]]:
    """Return the schema of a page, under the name that clients see."""
    following, preceding = (
        Field(description=f"Where the {which} page starts. Null on the {end} page.")
        for which, end in (("next", "last"), ("previous", "first"))
    )
    cursors: dict[str, Any] = {
        "next_cursor": (Annotated[_cursor(model, backwards=False) | None, following], ...),
        "previous_cursor": (Annotated[_cursor(model, backwards=True) | None, preceding], ...),
    }
    return create_model(f"{model.__name__}Page", __base__=Page[read_schema], **cursors)  # type: ignore[valid-type]
