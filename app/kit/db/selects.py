"""The queries of an owned table: one row, the rows that filters find, a page of a sorted list.

FastCRUD builds them, under a policy whose owner is a parameter.
"""

from collections.abc import Callable, Coroutine, Mapping
from itertools import groupby
from operator import eq, ge, gt, le, lt
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from fastcrud import FastCRUD, PolicyConfig
from pydantic import BaseModel
from sqlalchemy import (
    ARRAY,
    BindParameter,
    ColumnElement,
    Select,
    any_,
    bindparam,
    cast,
    func,
    or_,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlmodel import col

from app.kit.db.compiled import OWNER
from app.kit.db.search import contains, search_values
from app.kit.models.fields import RANGE
from app.kit.models.owned import Owned, table_of
from app.kit.models.sorting import Sort, parse_sort, sort_columns, sort_key
from app.kit.models.time import ids_made_at

ResultT = TypeVar("ResultT")
Filters = Mapping[str, Any]
"""Values by FastCRUD's names of filters: `OwnedCRUD.get_page` has examples."""
NO_FILTERS: Filters = MappingProxyType({})

MOST_COUNTED = 10_000

TOTAL = "total found"
"""The column with the number of rows that are found. No field can have this name."""

# SQLAlchemy reserves column names as parameter names, hence the prefix.
KEY: BindParameter[UUID] = bindparam("bound_key")
"""The id of the one row."""
_LIMIT: BindParameter[int] = bindparam("bound_limit")
Columns = ReadOnlyColumnCollection[str, Any]
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "": eq, "gt": gt, "gte": ge, "lt": lt, "lte": le,
}  # fmt: skip


class Position(NamedTuple):
    """A row in a sorted list, and the direction in which the list is read from there.

    Attributes:
        values: the row's values of the fields that the list is sorted by.
        id: the row's id.
        backwards: whether to read what comes before the row.
    """

    values: tuple[Any, ...]
    id: UUID
    backwards: bool = False


class Selection(NamedTuple):
    """Which of the owner's rows: those that match each filter, and the search."""

    filters: Filters
    search: str | None

    @property
    def shape(self) -> "SelectionShape":
        """All that changes the SQL."""
        return SelectionShape(tuple(self.filters), self.search is not None)

    @property
    def values(self) -> dict[str, Any]:
        """The values of its parameters."""
        values = {_sought(name): value for name, value in self.filters.items()}
        for name, value in self.filters.items():
            if name.startswith("created_at__"):
                values[_implied_by(name)] = ids_made_at(value)["lt" in name]
        return values if self.search is None else values | search_values(self.search)


class SelectionShape(NamedTuple):
    """All that changes the SQL of a selection."""

    filters: tuple[str, ...]
    search: bool


class PageShape(NamedTuple):
    """All that changes the SQL of a page."""

    selection: SelectionShape
    sort: Sort
    after: bool
    total: bool


def page_values(
    selection: Selection, sort: Sort, limit: int, after: Position | None
) -> dict[str, Any]:
    """Return the values of the parameters of a page."""
    values = selection.values | {_LIMIT.key: limit}
    if after is not None:
        values |= {_after(by.field): value for by, value in zip(sort, after.values, strict=True)}
        values |= {_after("id"): after.id}
    return values


class Selects:
    """The queries of a table.

    Args:
        model: the table.
        read_schema: the fields that rows are read with.

    Attributes:
        one: the query of the row with the id `KEY`.
    """

    def __init__(self, model: type[Owned], read_schema: type[BaseModel]) -> None:
        self._model = model
        self._table = table_of(model)
        self._read_schema = read_schema
        mine = PolicyConfig(read=col(model.owner_id) == OWNER)
        self._fastcrud: FastCRUD[Any, Any, Any, Any, Any, Any] = FastCRUD(
            model, policy=mine, custom_filters={"in": _is_one_of}
        )
        self._indexed = {parse_sort(fields)[0].field for fields in model.sortable}
        self.one = self._select(id=KEY)

    def found(self, shape: SelectionShape, *conditions: ColumnElement[bool]) -> Select[Any]:
        """Return the query of all rows of a selection."""
        where = [*conditions, *map(self._implied, shape.filters)]
        if shape.search:
            where.append(or_(*(contains(self._table.c[name]) for name in self._model.searchable)))
        # Each has its operator, or else a field could have the name of an argument.
        filters = {
            name if "__" in name else f"{name}__eq": self._filter_value(name)
            for name in shape.filters
        }
        return self._select(where=where, **filters)

    def page(self, shape: PageShape) -> Select[Any]:
        """Return the query of a page, with `TOTAL` in each row if it is asked for.

        A page of no rows has a total all the same, in a row without an id.
        """
        sort = sort_columns(shape.sort)
        order = self._order(sort, self._table.c)
        after = self._after(sort) if shape.after else [[]]
        parts = [self.found(shape.selection, *p).order_by(*order).limit(_LIMIT) for p in after]
        if len(parts) == 1 and not shape.total:
            return parts[0]
        page = (union_all(*parts) if len(parts) > 1 else parts[0]).subquery("page")
        query = select(page)
        if shape.total:
            found = self.found(shape.selection).limit(MOST_COUNTED).subquery("found")
            counted = select(func.count().label(TOTAL)).select_from(found).subquery("counted")
            query = select(counted, page).select_from(counted.outerjoin(page, true()))
        return query.order_by(*self._order(sort, page.c)).limit(_LIMIT)

    def _select(self, **conditions: Any) -> Select[Any]:
        query: Select[Any] = _result(self._fastcrud.select(self._read_schema, **conditions))
        return query

    def _filter_value(self, name: str) -> Any:  # noqa: ANN401 - what FastCRUD takes
        field, operator = _parts(name)
        type_ = self._table.c[field].type
        match operator:
            case "is" | "is_not":
                return None
            case "in":
                return [bindparam(_sought(name), type_=ARRAY(type_))]
            case _:
                return bindparam(_sought(name), type_=type_)

    def _implied(self, name: str) -> ColumnElement[bool]:
        """Return a condition that follows from a filter, and that an index starts or ends at."""
        field, operator = _parts(name)
        compare, type_ = _COMPARISONS.get(operator), self._model.owned_fields[field].type
        if operator in RANGE and field == "created_at":
            id_ = bindparam(_implied_by(name), type_=self._table.c.id.type)
            return self._table.c.id <= id_ if "lt" in operator else self._table.c.id >= id_
        if compare and type_.is_nullable and field in self._indexed:
            value: BindParameter[Any] = bindparam(_sought(name), type_=self._table.c[field].type)
            implied: ColumnElement[bool] = compare(
                self._key(field, self._table.c), self._key(field, {field: value})
            )
            return implied
        return true()

    def _after(self, sort: Sort) -> list[list[ColumnElement[bool]]]:
        """Return the conditions of the parts of a list after a row. An index starts at each part.

        If all columns have the same direction there is one: ``(due, id) > (…, …)``. Else what
        ``weight, due DESC, id DESC`` sorts after a row is where ``weight > …``, and where
        ``weight = …`` and ``(due, id) < (…, …)``.
        """
        types = {by.field: self._table.c[by.field].type for by in sort}
        position = {  # with its type, which null has not
            name: cast(bindparam(_after(name), type_=type_), type_) for name, type_ in types.items()
        }
        parts: list[list[ColumnElement[bool]]] = []
        equal: list[ColumnElement[bool]] = []
        for descending, group in groupby(sort, key=lambda by: by.descending):
            names = [by.field for by in group]
            here = [self._key(name, self._table.c) for name in names]
            there = [self._key(name, position) for name in names]
            row, after = tuple_(*here), tuple_(*there)
            parts.append([*equal, row < after if descending else row > after])
            equal += map(eq, here, there)
        return parts

    def _order(self, sort: Sort, columns: Columns) -> list[ColumnElement[Any]]:
        keys = ((self._key(by.field, columns), by.descending) for by in sort)
        return [key.desc() if descending else key.asc() for key, descending in keys]

    def _key(
        self, field: str, values: Columns | Mapping[str, ColumnElement[Any]]
    ) -> ColumnElement[Any]:
        return sort_key(values[field], self._model.owned_fields[field].type)


def _is_one_of(column: ColumnElement[Any]) -> Callable[[list[Any]], ColumnElement[bool]]:
    """Take one array, where FastCRUD's own filter takes a parameter for each value."""
    return lambda array: column == any_(array[0])


def _result(build: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Return the result of a coroutine that awaits nothing, as FastCRUD's ``select``."""
    try:
        build.send(None)
    except StopIteration as done:
        result: ResultT = done.value
        return result
    build.close()
    raise RuntimeError("FastCRUD's select waits for something")


def _parts(name: str) -> tuple[str, str]:
    """Return the field and the operator of a filter."""
    if "__" not in name:
        return name, ""
    field, _, operator = name.rpartition("__")  # a field may end with an underscore
    return field, operator


def _sought(name: str) -> str:
    """The name of the parameter with the value of a filter."""
    return f"bound_filter_{name}"


def _implied_by(name: str) -> str:
    """The name of the parameter with what follows from the value of a filter."""
    return f"bound_implied_{name}"


def _after(field: str) -> str:
    """The name of the parameter with the value of a field where a page starts."""
    return f"bound_after_{field}"
