"""FastCRUD, bound to an owner and with one statement an operation."""

from collections.abc import Awaitable, Callable, Hashable, Mapping
from datetime import timedelta
from typing import Any, Generic, NamedTuple, Self, TypeVar
from uuid import UUID

from fastcrud import AccessDenied, FastCRUD, PolicyConfig
from fastcrud.crud.policy_enforcement import refuse_unwritable_data
from sqlalchemy import (
    BindParameter,
    ClauseElement,
    ColumnElement,
    Executable,
    Insert,
    Select,
    String,
    Table,
    Update,
    bindparam,
    delete,
    func,
    insert,
    or_,
    tuple_,
    update,
)
from sqlmodel import col

from app.db.engine import OWNER, OwnedConnection, OwnerMissingError
from app.models.owned import Owned, ReadSchema, creation_time, new_id

ReadT = TypeVar("ReadT", bound=ReadSchema)
StatementT = TypeVar("StatementT", bound=Executable)

_NOT_WRITTEN = frozenset({"owner_id", "created_at", "updated_at"})
_KEY: BindParameter[UUID] = bindparam("key")
_LIMIT: BindParameter[int] = bindparam("limit")
_SEARCH = bindparam("search", type_=String)


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
        """Insert a row and return it. If ``values`` has no ``id``, it gets a new one."""
        refuse_unwritable_data(self.policy, self.model, "create", values)
        id_ = values.get("id") or new_id()
        now = creation_time(id_)
        statement = await self._built("create", self._insert)
        row = {**values, "id": id_, "created_at": now, "updated_at": now}
        return (await self._rows(statement, row))[0]

    async def get(self, id_: UUID) -> ReadT | None:  # type: ignore[override]
        """Return a row, or None: another owner's row is no row."""
        statement = await self._built("get", self._select_one)
        return next(iter(await self._rows(statement, {_KEY.key: id_})), None)

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
        values = {**filters, _LIMIT.key: limit, _SEARCH.key: search}
        if after is not None:
            values |= {f"after_{sort.removeprefix('-')}": after.value, "after_id": after.id}
        return await self._rows(statement, values)

    async def update(  # type: ignore[override]
        self, id_: UUID, changes: Mapping[str, Any]
    ) -> ReadT | None:
        """Change a row and return it, or None if there is no such row.

        Args:
            id_: the row's id.
            changes: new values by field, or SQL expressions for them. Without any the row stays
                as it is, ``updated_at`` included.
        """
        refuse_unwritable_data(self.policy, self.model, "update", changes)
        if not changes:
            return await self.get(id_)
        statement = await self._built("update", self._update_one)
        values: dict[str, Any] = {_KEY.key: id_}
        for field, change in changes.items():
            if isinstance(change, ClauseElement):
                statement = statement.values({field: change})
            else:
                values[field] = change
        return next(iter(await self._rows(statement, values)), None)

    async def delete(self, id_: UUID) -> ReadT | None:  # type: ignore[override]
        """Delete a row and return what it was, or None if there is no such row."""
        statement = await self._built("delete", self._delete_one)
        return next(iter(await self._rows(statement, {_KEY.key: id_})), None)

    async def _rows(self, statement: Executable, values: Mapping[str, Any]) -> list[ReadT]:
        if self._connection is None:
            raise AccessDenied("access", self.model)
        rows = await self._connection.rows(statement, values)
        # Not validated again: one odd stored row must not turn a list into an error.
        return [self._read_schema.model_construct(**row) for row in rows]

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
            there = tuple_(*(bindparam(f"after_{c.name}", type_=c.type) for c in columns))
            where.append(here < there if order == "desc" else here > there)
        statement = await self.select(
            self._read_schema,
            sort_columns=sort_columns,
            sort_orders=[order] * len(sort_columns),
            where=where,
            **{name: bindparam(name) for name in shape.filters},
        )
        return statement.limit(_LIMIT)

    async def _insert(self) -> Insert:
        shown = (await self._select_one()).selected_columns
        return insert(self._table).values(owner_id=OWNER).returning(*shown)

    async def _update_one(self) -> Update:
        one = await self._select_one()
        # Later than before, even if the clock stands still or goes back.
        later = self._table.c.updated_at + timedelta(microseconds=1)
        return (
            update(self._table)
            .where(_condition(one))
            .values(updated_at=func.greatest(func.now(), later))
            .returning(*one.selected_columns)
        )

    async def _delete_one(self) -> Executable:
        one = await self._select_one()
        return delete(self._table).where(_condition(one)).returning(*one.selected_columns)


def _condition(statement: Select[Any]) -> ColumnElement[bool]:
    if statement.whereclause is None:
        raise OwnerMissingError(statement)
    return statement.whereclause
