"""The rows of one owner: one statement an operation."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from functools import cache
from typing import Any, Self, TypeVar
from uuid import UUID

from fastcrud import AccessDenied
from pydantic import TypeAdapter, create_model
from sqlalchemy import Table
from sqlmodel.ext.asyncio.session import AsyncSession

from app.kit.db.compiled import Row
from app.kit.db.database import Database
from app.kit.db.errors import (
    DuplicateKeyError,
    ForeignKeyError,
    IntegrityError,
    StillReferencedError,
    VersionConflictError,
)
from app.kit.db.selects import NO_FILTERS, TOTAL, Filters, Position, Selection
from app.kit.db.statements import COUNT, THERE, Query, Statements, Versions
from app.kit.models.constraints import referred_table
from app.kit.models.owned import Owned, new_id, own_fields, table_of
from app.kit.models.schemas import ReadSchema
from app.kit.models.sorting import parse_sort, reverse_sort
from app.kit.models.time import creation_time, entity_tag

ResultT = TypeVar("ResultT")

_NOT_GIVEN = frozenset({"owner_id", "created_at", "updated_at"})


class Rows(list[ReadSchema]):
    """Rows of a sorted list, in its order.

    Attributes:
        total: how many rows the whole list has, if that was asked for; `MOST_COUNTED` at most.
    """

    total: int | None = None


class OwnedCRUD:
    """The rows of one owner, or of nobody until `bind` says whose.

    Each operation is one statement with the owner in it, and one round trip. It returns rows as
    instances of the read schema.

    Args:
        model: the table.
        read_schema: the fields that rows are read with.

    Raises:
        TypeError: ``model`` has no owner.
    """

    def __init__(self, model: type[Owned], read_schema: type[ReadSchema]) -> None:
        if not issubclass(model, Owned):
            raise TypeError(f"{model.__name__} has no owner: derive it from Owned")
        self.model = model
        self._statements = Statements(model, read_schema)
        self._instances = reader(read_schema)
        self._defaults = _defaults(model)
        self._database: Database | None = None
        self._owner = ""

    def bind(self, database: Database, owner: str) -> Self:
        """Return the same for the rows of ``owner``. All share the statements."""
        bound = self.__new__(type(self))  # `copy` takes three times as long
        bound.__dict__ = {**self.__dict__, "_database": database, "_owner": owner}
        return bound

    def transaction(self) -> AbstractAsyncContextManager[AsyncSession]:
        """Open a transaction for statements of your own: all or nothing.

        The session is SQLModel's, and anything works in it: queries of models, bulk updates,
        inserts, text, FastCRUD's methods. PostgreSQL shows it the owner's rows only, and refuses
        to write others, by row level security. At the end of the block it is committed, after an
        exception rolled back; ``commit()`` within the block commits nothing yet.

        It takes a connection for as long as it is open, `DATABASE_TIMEOUT` at most: do not wait
        for anything else in it, nor for another operation of an `OwnedCRUD`.

        Raises:
            AccessDenied: it is bound to nobody.
            DuplicateKeyError, ForeignKeyError, OutOfRangeError: a statement was refused.
            DatabaseUnavailableError: the database is out of reach or too slow.
            DatabaseError: the database refuses a statement.
        """
        return self._reached().transaction(self._owner)

    async def create(self, values: Mapping[str, Any]) -> ReadSchema:
        """Insert a row and return it.

        Args:
            values: by field. If there is no ``id`` among them, the row gets a new one.

        Raises:
            AccessDenied: a value is not for its owner to choose.
            DuplicateKeyError: the owner has a row with this id, or this unique value, already.
            ForeignKeyError: the owner has no row that a field refers to.
            OutOfRangeError: a value does not fit its column.
        """
        row = self._row(values)
        try:
            return self._read(await self._rows(self._statements.create(row)))[0]
        except DuplicateKeyError as error:
            if error.fields == ["id"]:
                error.existing = await self.get(row["id"])
            raise

    async def create_many(self, items: Sequence[Mapping[str, Any]]) -> list[ReadSchema]:
        """Insert rows, all or none, and return them in the same order.

        Args:
            items: the values of each row, as for `create`.

        Raises:
            AccessDenied: a value is not for its owner to choose.
            DuplicateKeyError, ForeignKeyError: as for `create`. It says of which rows.
            OutOfRangeError: a value does not fit its column.
        """
        rows = [self._row(values) for values in items]
        try:
            created = self._read(await self._rows(self._statements.create_many(rows)))
        except IntegrityError as error:
            error.rows = await self._refused(rows, error)
            raise
        by_id = {row.id: row for row in created}
        return [by_id[row["id"]] for row in rows]

    async def get(self, id_: UUID) -> ReadSchema | None:
        """Return a row, or None: another owner's row is no row."""
        rows = await self._rows(self._statements.get(id_), repeatable=True)
        return next(iter(self._read(rows)), None)

    async def get_page(
        self,
        *,
        sort: str = "-created_at",
        limit: int,
        filters: Filters = NO_FILTERS,
        search: str | None = None,
        position: Position | None = None,
        total: bool = False,
    ) -> Rows:
        """Return the first rows of a sorted list, or those next to a position.

        Args:
            sort: up to three fields, as ``priority,-due``; ``-`` is for descending order.
            limit: the most rows to return.
            filters: which rows the list has, by FastCRUD's names: ``weight``, ``due__gte``,
                ``id__in`` and ``tags__contains`` with a list, ``due__is`` and ``due__is_not``
                with None.
            search: what a searchable field must contain, in upper or lower case.
            position: the row to go on from, in its direction; None is the beginning.
            total: whether to count the rows of the whole list.
        """
        values, counted = await self.get_page_values(
            sort=sort,
            limit=limit,
            filters=filters,
            search=search,
            position=position,
            total=total,
        )
        rows = Rows(self._instances(values))
        rows.total = counted
        return rows

    async def get_page_values(
        self,
        *,
        sort: str,
        limit: int,
        filters: Filters,
        search: str | None,
        position: Position | None,
        total: bool,
    ) -> tuple[list[Row], int | None]:
        """Return what `get_page` does, but of each row its values by field, and the total."""
        backwards = position is not None and position.backwards
        order = reverse_sort(parse_sort(sort)) if backwards else parse_sort(sort)
        page = self._statements.get_page(
            Selection(filters, search), sort=order, limit=limit, after=position, total=total
        )
        rows = await self._rows(page, repeatable=True)
        counted = None
        if total:
            counted = rows[0][TOTAL]
            rows = [row for row in rows if row["id"]]
            for row in rows:
                del row[TOTAL]
        if backwards:
            rows.reverse()
        return _tagged(rows), counted

    async def update(
        self, id_: UUID, changes: Mapping[str, Any], versions: Versions | None = None
    ) -> ReadSchema | None:
        """Change a row and return it, or None if there is no such row.

        Args:
            id_: the row's id.
            changes: new values by field, or SQL expressions for them, which should be made once,
                as their statement is. Without any the row stays as it is, ``updated_at`` included.
            versions: if given, ``updated_at`` must be one of them.

        Raises:
            VersionConflictError: the row is of another version; it was not changed.
            AccessDenied: a field is not for its owner to change.
            DuplicateKeyError: the owner has a row with this unique value already.
            ForeignKeyError: the owner has no row that a field refers to.
            OutOfRangeError: a value does not fit its column.
            OwnerMissingError: an expression reads more than the row.
        """
        if not changes:
            row = await self.get(id_)
            if row and versions is not None and row.updated_at not in versions:
                raise VersionConflictError
            return row
        return await self._write(self._statements.update(id_, changes, versions))

    async def delete(self, id_: UUID, versions: Versions | None = None) -> ReadSchema | None:
        """Delete a row and return what it was, or None if there is no such row.

        Args:
            id_: the row's id.
            versions: if given, ``updated_at`` must be one of them.

        Raises:
            VersionConflictError: the row is of another version; it was not deleted.
            StillReferencedError: another row refers to it; it was not deleted.
        """
        return await _deleted(self._write(self._statements.delete(id_, versions)))

    async def update_many(
        self,
        changes: Mapping[str, Any],
        *,
        filters: Filters = NO_FILTERS,
        search: str | None = None,
    ) -> int:
        """Change all rows that are found, and return how many.

        Args:
            changes: as for `update`. Without any no row is changed.
            filters: which rows, as for `get_page`.
            search: which rows, as for `get_page`.

        Raises:
            AccessDenied, DuplicateKeyError, ForeignKeyError, OutOfRangeError, OwnerMissingError: as
                for `update`; no row was changed.
        """
        self._reached()
        if not changes:
            return 0
        selection = Selection(filters, search)
        return await self._count(self._statements.update_many(selection, changes))

    async def delete_many(self, *, filters: Filters = NO_FILTERS, search: str | None = None) -> int:
        """Delete all rows that are found, and return how many.

        Args:
            filters: which rows, as for `get_page`.
            search: which rows, as for `get_page`.

        Raises:
            StillReferencedError: another row refers to one of them; none was deleted.
        """
        delete = self._statements.delete_many(Selection(filters, search))
        return await _deleted(self._count(delete))

    def _row(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of all fields of a new row."""
        if refused := _NOT_GIVEN & values.keys():
            raise AccessDenied("create", self.model, columns=sorted(refused), reason="columns")
        id_ = values.get("id") or new_id()
        created_at = creation_time(id_)
        # A chosen id can be used again once the row is deleted, and then needs another entity tag.
        updated_at = datetime.now(UTC) if "id" in values else created_at
        row = {field: make() for field, make in self._defaults.items() if field not in values}
        return row | {**values, "id": id_, "created_at": created_at, "updated_at": updated_at}

    async def _refused(self, rows: list[dict[str, Any]], error: IntegrityError) -> list[int]:
        """Return the numbers of the new rows that have the refused values.

        It asks once more, and only after an error: PostgreSQL names no row, and no value where a
        policy could hide it.
        """
        sent = [tuple([row[field] for field in error.fields]) for row in rows]
        table = table_of(self.model)
        if not isinstance(error, ForeignKeyError):
            there = await self._existing(table, error.fields, sent)
            return [
                n
                for n, key in enumerate(sent)
                if None not in key and (key in there or key in sent[:n])
            ]
        other = referred_table(table, error.fields)
        there = await self._existing(other, ["id"], sent)
        if other is table:
            there |= {(row["id"],) for row in rows}
        return [n for n, key in enumerate(sent) if key != (None,) and key not in there]

    async def _existing(
        self, table: Table, fields: Sequence[str], keys: Sequence[tuple[Any, ...]]
    ) -> set[tuple[Any, ...]]:
        values = {name: [key[n] for key in keys] for n, name in enumerate(fields)}
        rows = await self._rows(self._statements.existing(table, values))
        return {tuple(row.values()) for row in rows}

    async def _count(self, query: Query) -> int:
        (row,) = await self._rows(query)
        count: int = row[COUNT]
        return count

    async def _write(self, query: Query) -> ReadSchema | None:
        rows = await self._rows(query)
        if not rows or rows[0]["id"] is None:
            if rows and rows[0][THERE]:
                raise VersionConflictError
            return None
        return self._read(rows)[0]

    def _reached(self) -> Database:
        if self._database is None:
            raise AccessDenied("access", self.model)
        return self._database

    def _read(self, rows: list[Row]) -> list[ReadSchema]:
        return self._instances(_tagged(rows))

    async def _rows(self, query: Query, *, repeatable: bool = False) -> list[Row]:
        return await self._reached().rows(
            query.statement, query.values, owner=self._owner, repeatable=repeatable
        )


async def _deleted(delete: Awaitable[ResultT]) -> ResultT:
    """Return what was deleted. A foreign key that refuses it is that of another row."""
    try:
        return await delete
    except ForeignKeyError as error:
        raise StillReferencedError from error


def _defaults(model: type[Owned]) -> dict[str, Callable[[], Any]]:
    """Return what makes the value of each field that may be left out."""
    fields = own_fields(model).items()
    return {name: field.default for name, field in fields if field.has_default}


def _tagged(rows: list[Row]) -> list[Row]:
    """Give rows their entity tags."""
    for row in rows:
        row["etag"] = entity_tag(row["updated_at"])
    return rows


@cache
def reader(schema: type[ReadSchema]) -> Callable[[list[Row]], list[ReadSchema]]:
    """Return a function that makes rows with entity tags into instances of a schema.

    It validates nothing: one odd stored row must not turn a list into an error.
    """
    anything = dict.fromkeys(schema.model_fields, (Any, ...))
    unchecked = create_model(  # type: ignore[call-overload]
        schema.__name__, __base__=schema, __cls_kwargs__={"is_strict": False}, **anything
    )
    # Not the method of the adapter, which takes as much time as a row.
    make: Any = TypeAdapter(list[unchecked]).validator.validate_python  # type: ignore[valid-type]
    return make  # type: ignore[no-any-return]
