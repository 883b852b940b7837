"""The statements of an owned model, and the values of their parameters."""

from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BindParameter,
    ClauseElement,
    ColumnElement,
    Insert,
    Select,
    String,
    Table,
    any_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import QueryableAttribute
from sqlalchemy.sql.dml import ReturningDelete, ReturningUpdate
from sqlmodel.sql.sqltypes import UTCDateTime

from app.kit.db.compiled import DIALECT, OWNER, CompiledStatement, OwnerMissingError
from app.kit.db.dialects import STATEMENT
from app.kit.models.owned import Owned
from app.kit.models.sorting import sort_key

Build = Callable[[], Awaitable[Any]]
Versions = Collection[datetime]
"""Versions of a row: the times of its last change."""

_MOST_STATEMENTS = 1000
"""Clients choose which fields they send, and so how many statements there are."""
_SQL = (ClauseElement, QueryableAttribute)
# SQLAlchemy keeps the names of columns to itself, so no parameter has the name of one.
_KEY: BindParameter[UUID] = bindparam("bound_key")
_LIMIT: BindParameter[int] = bindparam("bound_limit")
_SEARCH = bindparam("bound_search", type_=String)
_VERSIONS = bindparam("bound_versions", type_=ARRAY(UTCDateTime))


class Position(NamedTuple):
    """A place in a sorted list: after the row with this id and this value to sort by."""

    value: Any
    id: UUID


class Query(NamedTuple):
    """A statement, and the values of its parameters but for the owner."""

    statement: CompiledStatement
    values: dict[str, Any]


class _PageShape(NamedTuple):
    """What makes one page's statement another than the next: all but the values."""

    sort: str
    filters: tuple[str, ...]
    search: bool
    after: bool


class _UpdateShape(NamedTuple):
    """What makes one update's statement another than the next: all but the values."""

    given: tuple[str, ...]
    computed: tuple[tuple[str, Any], ...]


class Statements:
    """What is sent for each operation, built when it is first needed and kept for all owners.

    Args:
        model: the table.
        select_mine: builds a query of the owner's rows, with the fields that rows are read with.
            It takes conditions, and values to filter by, as FastCRUD's ``select`` does.
    """

    def __init__(self, model: type[Owned], select_mine: Callable[..., Awaitable[Any]]) -> None:
        self._model = model
        self._table: Table = model.__table__  # type: ignore[attr-defined]
        self._select = select_mine
        self._kept: dict[Hashable, CompiledStatement] = {}

    async def create(self, row: Mapping[str, Any]) -> Query:
        """Insert a row, with a value for each field, and return it."""
        return Query(await self._statement("create", self._insert), _bound_values(row))

    async def get(self, id_: UUID) -> Query:
        """Return a row."""
        return Query(await self._statement("get", self._select_one), {_KEY.key: id_})

    async def get_page(
        self,
        *,
        sort: str,
        limit: int,
        filters: Mapping[str, Any],
        search: str | None,
        after: Position | None,
    ) -> Query:
        """Return rows of a sorted list. `OwnedCRUD.get_page` has the arguments."""
        shape = _PageShape(sort, tuple(filters), search is not None, after is not None)
        values = _bound_values(filters) | {_LIMIT.key: limit}
        if search is not None:
            values[_SEARCH.key] = search
        if after is not None:
            field = sort.removeprefix("-")
            values |= {_after(field): after.value, _after("id"): after.id}
        return Query(await self._statement(shape, lambda: self._select_page(shape)), values)

    async def update(
        self, id_: UUID, changes: Mapping[str, Any], versions: Versions | None
    ) -> Query:
        """Change a row, and return it."""
        computed = {k: v for k, v in changes.items() if isinstance(v, _SQL)}
        given = {k: v for k, v in changes.items() if k not in computed}
        shape = _UpdateShape(tuple(given), tuple(computed.items()))
        values = {**_bound_values(given), _KEY.key: id_}
        return await self._write(shape, lambda: self._update_one(shape), values, versions)

    async def delete(self, id_: UUID, versions: Versions | None) -> Query:
        """Delete a row, and return what it was."""
        return await self._write("delete", self._delete_one, {_KEY.key: id_}, versions)

    async def _write(
        self, shape: Hashable, build: Build, values: dict[str, Any], versions: Versions | None
    ) -> Query:
        if versions is None:
            return Query(await self._statement(shape, build), values)
        statement = await self._statement(
            (shape, "versions"), lambda: self._conditional(build), DIALECT
        )
        return Query(statement, {**values, _VERSIONS.key: versions})

    async def _statement(
        self, shape: Hashable, build: Build, dialect: Dialect = STATEMENT
    ) -> CompiledStatement:
        statement = self._kept.get(shape)
        if statement is None:
            if len(self._kept) == _MOST_STATEMENTS:
                self._kept.clear()
            statement = self._kept[shape] = CompiledStatement(await build(), dialect)
        return statement

    async def _select_one(self) -> Select[Any]:
        one: Select[Any] = await self._select(id=_KEY)
        return one

    async def _select_page(self, shape: _PageShape) -> Select[Any]:
        field = shape.sort.removeprefix("-")
        descending = shape.sort.startswith("-")
        # The order of creation is the order of the primary key.
        names = ["id"] if field == "created_at" else [field, "id"]
        sorted_by = [self._table.c[name] for name in names]
        keys = [sort_key(column) for column in sorted_by]
        where: list[ColumnElement[bool]] = []
        if shape.search:
            columns = [self._table.c[name] for name in self._model.searchable]
            found = (func.strpos(func.lower(c), func.lower(_SEARCH)) > 0 for c in columns)
            where.append(or_(*found))
        if shape.after:
            values = (bindparam(_after(c.name), type_=c.type) for c in sorted_by)
            here, there = tuple_(*keys), tuple_(*map(sort_key, sorted_by, values))
            where.append(here < there if descending else here > there)
        where += [self._table.c[field] == bindparam(_bound(field)) for field in shape.filters]
        page: Select[Any] = await self._select(where=where)
        order = [key.desc() if descending else key.asc() for key in keys]
        return page.order_by(*order).limit(_LIMIT)

    async def _insert(self) -> Insert:
        columns = (column for column in self._table.columns if column.name != "owner_id")
        values = {column: bindparam(_bound(column.name), type_=column.type) for column in columns}
        shown = (await self._select_one()).selected_columns
        return insert(self._table).values(values).values(owner_id=OWNER).returning(*shown)

    async def _update_one(self, shape: _UpdateShape) -> ReturningUpdate[Any]:
        computed = dict(shape.computed)
        if unknown := {*shape.given, *computed}.difference(self._table.columns.keys()):
            raise TypeError(f"{self._table.name} has no fields {unknown}")
        one = await self._select_one()
        # Later than before, even if the clock stands still or goes back.
        later = self._table.c.updated_at + timedelta(microseconds=1)
        return (
            update(self._table)
            .where(_condition(one))
            .values({field: bindparam(_bound(field)) for field in shape.given})
            .values(computed)
            .values(updated_at=func.greatest(func.now(), later))
            .returning(*one.selected_columns)
        )

    async def _delete_one(self) -> ReturningDelete[Any]:
        one = await self._select_one()
        return delete(self._table).where(_condition(one)).returning(*one.selected_columns)

    async def _conditional(self, build: Build) -> Select[Any]:
        """Write a row in certain versions. What is returned tells one in another from no row."""
        write: ReturningUpdate[Any] | ReturningDelete[Any] = await build()
        CompiledStatement(write, STATEMENT)  # within another, a dialect cannot tell its parts
        written = write.where(self._table.c.updated_at == any_(_VERSIONS)).cte("written")
        there = select((await self._select_one()).exists().label("bound_is_there")).subquery(
            "there"
        )
        return select(there, written).select_from(there.outerjoin(written, true()))


def _bound(field: str) -> str:
    """The name of the parameter with a value of a field."""
    return f"bound_value_{field}"


def _after(field: str) -> str:
    """The name of the parameter with the value of a field where a page starts."""
    return f"bound_after_{field}"


def _bound_values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {_bound(field): value for field, value in values.items()}


def _condition(query: Select[Any]) -> ColumnElement[bool]:
    if query.whereclause is None:
        raise OwnerMissingError(query)
    return query.whereclause
