"""The rows of one owner: one statement an operation."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from copy import copy
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

from fastcrud import AccessDenied
from pydantic import TypeAdapter, create_model
from sqlmodel.ext.asyncio.session import AsyncSession

from app.kit.db.compiled import Row
from app.kit.db.database import Database
from app.kit.db.errors import (
    DuplicateKeyError,
    ForeignKeyError,
    StillReferencedError,
    VersionConflictError,
)
from app.kit.db.statements import THERE, Position, Query, Statements, Versions
from app.kit.models.owned import Owned, new_id, own_fields
from app.kit.models.schemas import ReadSchema
from app.kit.models.time import creation_time

_NOT_GIVEN = frozenset({"owner_id", "created_at", "updated_at"})


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
        self._read = _reader(read_schema)
        self._defaults = _defaults(model)
        self._database: Database | None = None
        self._owner = ""

    def bind(self, database: Database, owner: str) -> Self:
        """Return the same for the rows of ``owner``. All share the statements."""
        bound = copy(self)
        bound._database, bound._owner = database, owner  # noqa: SLF001 - a copy of self
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
        if self._database is None:
            raise AccessDenied("access", self.model)
        return self._database.transaction(self._owner)

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
        if refused := _NOT_GIVEN & values.keys():
            raise AccessDenied("create", self.model, columns=sorted(refused), reason="columns")
        id_ = values.get("id") or new_id()
        created_at = creation_time(id_)
        # A chosen id can be used again once the row is deleted, and then needs another entity tag.
        updated_at = datetime.now(UTC) if "id" in values else created_at
        row = {field: make() for field, make in self._defaults.items() if field not in values}
        row |= {**values, "id": id_, "created_at": created_at, "updated_at": updated_at}
        try:
            return self._read(await self._rows(self._statements.create(row)))[0]
        except DuplicateKeyError as error:
            if error.fields == ["id"]:
                error.existing = await self.get(id_)
            raise

    async def get(self, id_: UUID) -> ReadSchema | None:
        """Return a row, or None: another owner's row is no row."""
        rows = await self._rows(self._statements.get(id_), repeatable=True)
        return next(iter(self._read(rows)), None)

    async def get_page(
        self,
        *,
        sort: str,
        limit: int,
        filters: Mapping[str, Any],
        search: str | None = None,
        after: Position | None = None,
    ) -> list[ReadSchema]:
        """Return the first rows of a sorted list, or those after a position.

        Args:
            sort: a sortable field of the model, with ``-`` before it for descending order.
            limit: the most rows to return.
            filters: values that filterable fields must equal, by field.
            search: what a searchable field must contain, in upper or lower case.
            after: the position to start after; None starts at the first row.
        """
        page = self._statements.get_page(
            sort=sort, limit=limit, filters=filters, search=search, after=after
        )
        return self._read(await self._rows(page, repeatable=True))

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
        try:
            return await self._write(self._statements.delete(id_, versions))
        except ForeignKeyError as error:
            raise StillReferencedError from error

    async def _write(self, query: Query) -> ReadSchema | None:
        rows = await self._rows(query)
        if not rows or rows[0]["id"] is None:
            if rows and rows[0][THERE]:
                raise VersionConflictError
            return None
        return self._read(rows)[0]

    async def _rows(self, query: Query, *, repeatable: bool = False) -> list[Row]:
        if self._database is None:
            raise AccessDenied("access", self.model)
        return await self._database.rows(
            query.statement, query.values, owner=self._owner, repeatable=repeatable
        )


def _defaults(model: type[Owned]) -> dict[str, Callable[[], Any]]:
    """Return what makes the value of each field that may be left out."""
    fields = own_fields(model).items()
    return {name: field.default for name, field in fields if field.has_default}


def _reader(schema: type[ReadSchema]) -> Callable[[list[Row]], list[ReadSchema]]:
    """Return a function that makes rows into instances of a schema, and validates nothing.

    One odd stored row must not turn a list into an error.
    """
    anything = dict.fromkeys(schema.model_fields, (Any, ...))
    unchecked = create_model(  # type: ignore[call-overload]
        schema.__name__, __base__=schema, __cls_kwargs__={"is_strict": False}, **anything
    )
    return TypeAdapter(list[unchecked]).validate_python  # type: ignore[valid-type]
