"""FastCRUD, bound to an owner and with one statement an operation."""

from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, NamedTuple, Self, TypeVar
from uuid import UUID

from fastcrud import AccessDenied, FastCRUD, PolicyConfig
from fastcrud.crud.policy_enforcement import refuse_unwritable_data
from sqlalchemy import (
    ARRAY,
    BindParameter,
    ClauseElement,
    ColumnElement,
    Executable,
    Insert,
    RowMapping,
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
from sqlalchemy.sql.dml import ReturningDelete, ReturningUpdate
from sqlmodel import col
from sqlmodel.sql.sqltypes import UTCDateTime

from app.db.engine import OWNER, OwnedConnection, OwnerMissingError
from app.models.owned import Owned, ReadSchema, creation_time, new_id

ReadT = TypeVar("ReadT", bound=ReadSchema)
StatementT = TypeVar("StatementT", bound=Executable)

_NOT_WRITTEN = frozenset({"owner_id", "created_at", "updated_at"})
# SQLAlchemy keeps the names of columns to itself, so no parameter has the name of one.
_KEY: BindParameter[UUID] = bindparam("bound_key")
_LIMIT: BindParameter[int] = bindparam("bound_limit")
_SEARCH = bindparam("bound_search", type_=String)
_VERSIONS = bindparam("bound_versions", type_=ARRAY(UTCDateTime))


Versions = Collection[datetime]
"""Versions of a row: the times of its last change."""


class RowChangedError(Exception):
    """The row is not in a version that was asked for."""


class Position(NamedTuple):
    """A place in a sorted list: after the row with this id and this value to sort by."""

    value: Any
    id: UUID


class _PageShape(NamedTuple):
    """What makes one page's statement another than the next: all but the values."""

    sort: str
    filters: tuple[str, ...]
    search: bool
    after: bool


class OwnedCRUD(FastCRUD[Any, Any, Any, Any, Any, Any], Generic[ReadT]):
    """The rows of one owner, or of nobody until `bind` says whose.

    `FastCRUD.select` builds the statements, under a policy whose owner is a parameter: each is
    built once and serves every owner. FastCRUD's own ``create``, ``get``, ``update`` and
    ``delete`` are overridden, because they send two to five statements (they count before they
    write, and read again afterwards) through a session, which would be a way around the owner.

    Args:
        model: the table.
        read_schema: the fields that rows are read with.

    Raises:
        TypeError: ``model`` has no owner.
    """

    def __init__(self, model: type[Owned], read_schema: type[ReadT]) -> None:
        if not issubclass(model, Owned):
            raise TypeError(f"{model.__name__} has no owner: derive it from Owned")
        super().__init__(model, policy=PolicyConfig())  # denies every operation
        mine = col(model.owner_id) == OWNER
        self._owner_policy = PolicyConfig(
            read=mine, create=True, update=mine, delete=mine, read_only_columns=_NOT_WRITTEN
        )
        self._connection: OwnedConnection | None = None
        self._read_schema = read_schema
        self._table: Table = model.__table__  # type: ignore[attr-defined]
        self._statements: dict[Hashable, Any] = {}

    def bind(self, connection: OwnedConnection) -> Self:
        """Return the same for the owner of ``connection``; statements are shared, rows are not."""
        bound = self.with_policy(self._owner_policy)
        bound._connection = connection  # noqa: SLF001 - a copy of self
        return bound

    async def create(self, values: Mapping[str, Any]) -> ReadT:  # type: ignore[override]
        """Insert a row and return it.

        Args:
            values: by field. If there is no ``id`` among them, the row gets a new one.

        Raises:
            DuplicateError: the owner has a row with this id, or this unique value, already.
        """
        refuse_unwritable_data(self.policy, self.model, "create", values)
        id_ = values.get("id") or new_id()
        created_at = creation_time(id_)
        # A chosen id can be used again once the row is deleted, and then needs another entity tag.
        updated_at = max(created_at, datetime.now(UTC)) if "id" in values else created_at
        statement = await self._built("create", self._insert)
        row = {**values, "id": id_, "created_at": created_at, "updated_at": updated_at}
        return self._read((await self._rows(statement, row))[0])

    async def get(self, id_: UUID) -> ReadT | None:  # type: ignore[override]
        """Return a row, or None: another owner's row is no row."""
        statement = await self._built("get", self._select_one)
        rows = await self._rows(statement, {_KEY.key: id_}, repeatable=True)
        return self._read(rows[0]) if rows else None

    async def get_page(
        self,
        *,
        sort: str,
        limit: int,
        filters: Mapping[str, Any],
        search: str | None = None,
        after: Position | None = None,
    ) -> list[ReadT]:
        """Return the first rows of a sorted list, or those after a position.

        Args:
            sort: a sortable field of the model, with ``-`` before it for descending order.
            limit: the most rows to return.
            filters: values that filterable fields must equal, by field.
            search: what a searchable field must contain, in upper or lower case.
            after: the position to start after; None starts at the first row.
        """
        shape = _PageShape(sort, tuple(filters), search is not None, after is not None)
        statement = await self._built(shape, lambda: self._select_page(shape))
        values = {_bound(field): value for field, value in filters.items()}
        values |= {_LIMIT.key: limit, _SEARCH.key: search}
        if after is not None:
            field = sort.removeprefix("-")
            values |= {_bound(f"after_{field}"): after.value, _bound("after_id"): after.id}
        return [self._read(row) for row in await self._rows(statement, values, repeatable=True)]

    async def update(  # type: ignore[override]
        self, id_: UUID, changes: Mapping[str, Any], versions: Versions | None = None
    ) -> ReadT | None:
        """Change a row and return it, or None if there is no such row.

        Args:
            id_: the row's id.
            changes: new values by field, or SQL expressions for them. Without any the row stays
                as it is, ``updated_at`` included.
            versions: if given, ``updated_at`` must be one of them.

        Raises:
            RowChangedError: the row is of another version; it was not changed.
        """
        refuse_unwritable_data(self.policy, self.model, "update", changes)
        if not changes:
            row = await self.get(id_)
            if row and versions is not None and row.updated_at not in versions:
                raise RowChangedError
            return row
        expressions = {k: v for k, v in changes.items() if isinstance(v, ClauseElement)}
        fields = tuple(field for field in changes if field not in expressions)
        statement = await self._built(("update", *fields), lambda: self._update_one(fields))
        if expressions:
            statement = statement.values(expressions)
        values = {_bound(field): changes[field] for field in fields}
        return await self._write(statement, {**values, _KEY.key: id_}, versions)

    async def delete(  # type: ignore[override]
        self, id_: UUID, versions: Versions | None = None
    ) -> ReadT | None:
        """Delete a row and return what it was, or None if there is no such row.

        Args:
            id_: the row's id.
            versions: if given, ``updated_at`` must be one of them.

        Raises:
            RowChangedError: the row is of another version; it was not deleted.
        """
        statement = await self._built("delete", self._delete_one)
        return await self._write(statement, {_KEY.key: id_}, versions)

    async def _write(
        self,
        write: ReturningUpdate[Any] | ReturningDelete[Any],
        values: Mapping[str, Any],
        versions: Versions | None,
    ) -> ReadT | None:
        if versions is None:
            rows = await self._rows(write, values)
            return self._read(rows[0]) if rows else None
        # Still one statement: it writes, and tells a row of another version from no row.
        one = await self._built("get", self._select_one)
        written = write.where(self._table.c.updated_at == any_(_VERSIONS)).cte("written")
        there = select(one.exists().label("is_there")).subquery("there")
        statement = select(there, written).select_from(there.outerjoin(written, true()))
        (row,) = await self._rows(statement, {**values, _VERSIONS.key: versions})
        if row["id"] is None and row["is_there"]:
            raise RowChangedError
        return None if row["id"] is None else self._read(row)

    async def _rows(
        self, statement: Executable, values: Mapping[str, Any], *, repeatable: bool = False
    ) -> Sequence[RowMapping]:
        if self._connection is None:
            raise AccessDenied("access", self.model)
        return await self._connection.rows(statement, values, repeatable=repeatable)

    def _read(self, row: RowMapping) -> ReadT:
        # Not validated again: one odd stored row must not turn a list into an error.
        return self._read_schema.model_construct(**row)

    async def _built(
        self, shape: Hashable, build: Callable[[], Awaitable[StatementT]]
    ) -> StatementT:
        if shape not in self._statements:
            self._statements[shape] = await build()
        statement: StatementT = self._statements[shape]
        return statement

    async def _select_one(self) -> Select[Any]:
        return await self.select(self._read_schema, id=_KEY)

    async def _select_page(self, shape: _PageShape) -> Select[Any]:
        field = shape.sort.removeprefix("-")
        order = "desc" if shape.sort.startswith("-") else "asc"
        # The order of creation is the order of the primary key.
        sort_columns = ["id"] if field == "created_at" else [field, "id"]
        where = []
        if shape.search:
            columns = [self._table.c[name] for name in self.model.searchable]
            found = (func.strpos(func.lower(c), func.lower(_SEARCH)) > 0 for c in columns)
            where.append(or_(*found))
        if shape.after:
            columns = [self._table.c[name] for name in sort_columns]
            here = tuple_(*columns)
            there = tuple_(*(bindparam(_bound(f"after_{c.name}"), type_=c.type) for c in columns))
            where.append(here < there if order == "desc" else here > there)
        statement = await self.select(
            self._read_schema,
            sort_columns=sort_columns,
            sort_orders=[order] * len(sort_columns),
            where=where,
            **{field: bindparam(_bound(field)) for field in shape.filters},
        )
        return statement.limit(_LIMIT)

    async def _insert(self) -> Insert:
        shown = (await self._select_one()).selected_columns
        return insert(self._table).values(owner_id=OWNER).returning(*shown)

    async def _update_one(self, fields: tuple[str, ...]) -> ReturningUpdate[Any]:
        one = await self._select_one()
        # Later than before, even if the clock stands still or goes back.
        later = self._table.c.updated_at + timedelta(microseconds=1)
        return (
            update(self._table)
            .where(_condition(one))
            .values({field: bindparam(_bound(field)) for field in fields})
            .values(updated_at=func.greatest(func.now(), later))
            .returning(*one.selected_columns)
        )

    async def _delete_one(self) -> ReturningDelete[Any]:
        one = await self._select_one()
        return delete(self._table).where(_condition(one)).returning(*one.selected_columns)


def _bound(field: str) -> str:
    """The name of the parameter with a value of a field."""
    return f"bound_value_{field}"


def _condition(statement: Select[Any]) -> ColumnElement[bool]:
    if statement.whereclause is None:
        raise OwnerMissingError(statement)
    return statement.whereclause
