"""FastCRUD, bound to an owner and with one statement an operation."""

from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, NamedTuple, NoReturn, Self, TypeVar
from uuid import UUID

from fastcrud import AccessDenied, FastCRUD, PolicyConfig
from fastcrud.crud.policy_enforcement import refuse_unwritable_data
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
from sqlalchemy.sql.dml import ReturningDelete, ReturningUpdate
from sqlmodel import col
from sqlmodel.sql.sqltypes import UTCDateTime

from app.db.engine import BrokenReferenceError, OwnedConnection
from app.db.session import OwnedSession
from app.db.statements import OWNER, OwnerMissingError, Row, Statement
from app.models.owned import Owned, ReadSchema, creation_time, new_id
from app.models.sorting import sort_key

ReadT = TypeVar("ReadT", bound=ReadSchema)
Build = Callable[[], Awaitable[Any]]
"""A function that builds a statement."""

_NOT_WRITTEN = frozenset({"owner_id", "created_at", "updated_at"})
# SQLAlchemy keeps the names of columns to itself, so no parameter has the name of one.
_KEY: BindParameter[UUID] = bindparam("bound_key")
_MOST_STATEMENTS = 1000
"""Clients choose which fields they send, and so how many statements there are."""
_LIMIT: BindParameter[int] = bindparam("bound_limit")
_SEARCH = bindparam("bound_search", type_=String)
_VERSIONS = bindparam("bound_versions", type_=ARRAY(UTCDateTime))


Versions = Collection[datetime]
"""Versions of a row: the times of its last change."""


class RowChangedError(Exception):
    """The row is not in a version that was asked for."""


class ReferencedError(Exception):
    """The row cannot be deleted, because another one refers to it."""


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


class _UpdateShape(NamedTuple):
    """What makes one update's statement another than the next: all but the values."""

    given: tuple[str, ...]
    computed: tuple[tuple[str, ClauseElement], ...]


class OwnedCRUD(FastCRUD[Any, Any, Any, Any, Any, Any], Generic[ReadT]):
    """The rows of one owner, or of nobody until `bind` says whose.

    `FastCRUD.select` builds the statements, under a policy whose owner is a parameter: each is
    built once and serves every owner. FastCRUD's own ``create``, ``get``, ``update`` and
    ``delete`` are overridden, because they send two to five statements (they count before they
    write, and read again afterwards). Its other reads, such as ``count`` and ``get_multi_joined``,
    work as they are when they are given `session`; its other writes are refused.

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
        self._statements: dict[Hashable, Statement] = {}

    def bind(self, connection: OwnedConnection) -> Self:
        """Return the same for the owner of ``connection``; statements are shared, rows are not."""
        bound = self.with_policy(self._owner_policy)
        bound._connection = connection  # noqa: SLF001 - a copy of self
        return bound

    @property
    def session(self) -> OwnedSession:
        """The argument ``db`` of the methods that FastCRUD has and this class does not override.

        Raises:
            AccessDenied: it is bound to nobody.
        """
        if self._connection is None:
            raise AccessDenied("access", self.model)
        return OwnedSession(self._connection)

    async def create(self, values: Mapping[str, Any]) -> ReadT:  # type: ignore[override]
        """Insert a row and return it.

        Args:
            values: by field. If there is no ``id`` among them, the row gets a new one.

        Raises:
            DuplicateError: the owner has a row with this id, or this unique value, already.
            BrokenReferenceError: the owner has no row that a field refers to.
        """
        refuse_unwritable_data(self.policy, self.model, "create", values)
        id_ = values.get("id") or new_id()
        created_at = creation_time(id_)
        # A chosen id can be used again once the row is deleted, and then needs another entity tag.
        updated_at = max(created_at, datetime.now(UTC)) if "id" in values else created_at
        row = {**self._defaults(), **values}
        row |= {"id": id_, "created_at": created_at, "updated_at": updated_at}
        statement = await self._statement("create", self._insert)
        return self._read((await self._rows(statement, _bound_values(row)))[0])

    async def get(self, id_: UUID) -> ReadT | None:  # type: ignore[override]
        """Return a row, or None: another owner's row is no row."""
        statement = await self._statement("get", self._select_one)
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
        statement = await self._statement(shape, lambda: self._select_page(shape))
        values = _bound_values(filters) | {_LIMIT.key: limit}
        if search is not None:
            values[_SEARCH.key] = search
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
            DuplicateError: the owner has a row with this unique value already.
            BrokenReferenceError: the owner has no row that a field refers to.
        """
        refuse_unwritable_data(self.policy, self.model, "update", changes)
        if not changes:
            row = await self.get(id_)
            if row and versions is not None and row.updated_at not in versions:
                raise RowChangedError
            return row
        given = {k: v for k, v in changes.items() if not isinstance(v, ClauseElement)}
        computed = {k: v for k, v in changes.items() if k not in given}
        shape = _UpdateShape(tuple(given), tuple(computed.items()))
        values = {**_bound_values(given), _KEY.key: id_}
        return await self._write(shape, lambda: self._update_one(shape), values, versions)

    async def delete(  # type: ignore[override]
        self, id_: UUID, versions: Versions | None = None
    ) -> ReadT | None:
        """Delete a row and return what it was, or None if there is no such row.

        Args:
            id_: the row's id.
            versions: if given, ``updated_at`` must be one of them.

        Raises:
            RowChangedError: the row is of another version; it was not deleted.
            ReferencedError: another row refers to it; it was not deleted.
        """
        try:
            return await self._write("delete", self._delete_one, {_KEY.key: id_}, versions)
        except BrokenReferenceError as error:
            raise ReferencedError from error

    async def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise AccessDenied("access", self.model)

    # They would take several statements, and may write rows of others to find that out.
    upsert = upsert_multi = db_delete = _refuse

    async def _write(
        self, shape: Hashable, build: Build, values: Mapping[str, Any], versions: Versions | None
    ) -> ReadT | None:
        if versions is None:
            rows = await self._rows(await self._statement(shape, build), values)
            return self._read(rows[0]) if rows else None
        statement = await self._statement((shape, "versions"), lambda: self._conditional(build))
        rows = await self._rows(statement, {**values, _VERSIONS.key: versions})
        if rows[0]["id"] is not None:
            return self._read(rows[0])
        if rows[0]["is_there"]:
            raise RowChangedError
        return None

    async def _rows(
        self, statement: Statement, values: Mapping[str, Any], *, repeatable: bool = False
    ) -> list[Row]:
        if self._connection is None:
            raise AccessDenied("access", self.model)
        return await self._connection.rows(statement, values, repeatable=repeatable)

    def _read(self, row: Row) -> ReadT:
        # Not validated again: one odd stored row must not turn a list into an error.
        return self._read_schema.model_construct(**row)

    def _defaults(self) -> dict[str, Any]:
        fields = self.model.model_fields.items()
        return {
            name: field.get_default(call_default_factory=True)
            for name, field in fields
            if not field.is_required()
        }

    async def _statement(self, shape: Hashable, build: Build) -> Statement:
        statement = self._statements.get(shape)
        if statement is None:
            if len(self._statements) == _MOST_STATEMENTS:
                self._statements.clear()
            statement = self._statements[shape] = Statement(await build())
        return statement

    async def _select_one(self) -> Select[Any]:
        return await self.select(self._read_schema, id=_KEY)

    async def _select_page(self, shape: _PageShape) -> Select[Any]:
        field = shape.sort.removeprefix("-")
        descending = shape.sort.startswith("-")
        # The order of creation is the order of the primary key.
        names = ["id"] if field == "created_at" else [field, "id"]
        sorted_by = [self._table.c[name] for name in names]
        keys = [sort_key(column) for column in sorted_by]
        where = []
        if shape.search:
            columns = [self._table.c[name] for name in self.model.searchable]
            found = (func.strpos(func.lower(c), func.lower(_SEARCH)) > 0 for c in columns)
            where.append(or_(*found))
        if shape.after:
            values = (bindparam(_bound(f"after_{c.name}"), type_=c.type) for c in sorted_by)
            here, there = tuple_(*keys), tuple_(*map(sort_key, sorted_by, values))
            where.append(here < there if descending else here > there)
        filters: dict[str, Any] = {field: bindparam(_bound(field)) for field in shape.filters}
        statement = await self.select(
            self._read_schema,
            where=where,
            **filters,
        )
        order = [key.desc() if descending else key.asc() for key in keys]
        return statement.order_by(*order).limit(_LIMIT)

    async def _insert(self) -> Insert:
        columns = (column for column in self._table.columns if column.name != "owner_id")
        values = {column: bindparam(_bound(column.name), type_=column.type) for column in columns}
        shown = (await self._select_one()).selected_columns
        return insert(self._table).values(values).values(owner_id=OWNER).returning(*shown)

    async def _update_one(self, shape: _UpdateShape) -> ReturningUpdate[Any]:
        one = await self._select_one()
        # Later than before, even if the clock stands still or goes back.
        later = self._table.c.updated_at + timedelta(microseconds=1)
        return (
            update(self._table)
            .where(_condition(one))
            .values({field: bindparam(_bound(field)) for field in shape.given})
            .values(dict(shape.computed))
            .values(updated_at=func.greatest(func.now(), later))
            .returning(*one.selected_columns)
        )

    async def _delete_one(self) -> ReturningDelete[Any]:
        one = await self._select_one()
        return delete(self._table).where(_condition(one)).returning(*one.selected_columns)

    async def _conditional(self, build: Build) -> Select[Any]:
        """A write of a row in certain versions: it also tells a row of another one from no row."""
        write: ReturningUpdate[Any] | ReturningDelete[Any] = await build()
        written = write.where(self._table.c.updated_at == any_(_VERSIONS)).cte("written")
        there = select((await self._select_one()).exists().label("is_there")).subquery("there")
        return select(there, written).select_from(there.outerjoin(written, true()))


def _bound(field: str) -> str:
    """The name of the parameter with a value of a field."""
    return f"bound_value_{field}"


def _bound_values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {_bound(field): value for field, value in values.items()}


def _condition(statement: Select[Any]) -> ColumnElement[bool]:
    if statement.whereclause is None:
        raise OwnerMissingError(statement)
    return statement.whereclause
