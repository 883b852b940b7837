"""FastCRUD, bound to an owner and with one statement an operation."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Generic, NoReturn, Self, TypeVar
from uuid import UUID

from fastcrud import AccessDenied, FastCRUD, PolicyConfig
from fastcrud.crud.policy_enforcement import refuse_unwritable_data
from pydantic import TypeAdapter, create_model
from sqlmodel import col

from app.kit.db.compiled import OWNER, Row
from app.kit.db.database import BrokenReferenceError, OwnedConnection
from app.kit.db.session import OwnedSession
from app.kit.db.statements import Position, Query, Statements, Versions
from app.kit.models.owned import Owned, ReadSchema, creation_time, new_id

ReadT = TypeVar("ReadT", bound=ReadSchema)

_NOT_WRITTEN = frozenset({"owner_id", "created_at", "updated_at"})


class RowChangedError(Exception):
    """The row is not in a version that was asked for."""


class ReferencedError(Exception):
    """The row cannot be deleted, because another one refers to it."""


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
        owner = col(model.owner_id) == OWNER
        self._owner_policy = PolicyConfig(
            read=owner, create=True, update=owner, delete=owner, read_only_columns=_NOT_WRITTEN
        )
        mine = self.with_policy(self._owner_policy)
        self._statements = Statements(model, partial(mine.select, read_schema))
        self._read = _reader(read_schema)
        self._connection: OwnedConnection | None = None

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
        updated_at = datetime.now(UTC) if "id" in values else created_at
        row = {**self._defaults(), **values}
        row |= {"id": id_, "created_at": created_at, "updated_at": updated_at}
        rows = await self._rows(await self._statements.create(row))
        return self._read(rows)[0]

    async def get(self, id_: UUID) -> ReadT | None:  # type: ignore[override]
        """Return a row, or None: another owner's row is no row."""
        rows = await self._rows(await self._statements.get(id_), repeatable=True)
        return next(iter(self._read(rows)), None)

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
        page = await self._statements.get_page(
            sort=sort, limit=limit, filters=filters, search=search, after=after
        )
        return self._read(await self._rows(page, repeatable=True))

    async def update(  # type: ignore[override]
        self, id_: UUID, changes: Mapping[str, Any], versions: Versions | None = None
    ) -> ReadT | None:
        """Change a row and return it, or None if there is no such row.

        Args:
            id_: the row's id.
            changes: new values by field, or SQL expressions for them, which should be made once,
                as their statement is. Without any the row stays as it is, ``updated_at`` included.
            versions: if given, ``updated_at`` must be one of them.

        Raises:
            RowChangedError: the row is of another version; it was not changed.
            DuplicateError: the owner has a row with this unique value already.
            BrokenReferenceError: the owner has no row that a field refers to.
            OwnerMissingError: an expression reads more than the row, or has SQL in text.
        """
        refuse_unwritable_data(self.policy, self.model, "update", changes)
        if not changes:
            row = await self.get(id_)
            if row and versions is not None and row.updated_at not in versions:
                raise RowChangedError
            return row
        return await self._write(await self._statements.update(id_, changes, versions))

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
            return await self._write(await self._statements.delete(id_, versions))
        except BrokenReferenceError as error:
            raise ReferencedError from error

    async def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise AccessDenied("access", self.model)

    # They would take several statements, and may write rows of others to find that out.
    upsert = upsert_multi = db_delete = _refuse

    async def _write(self, query: Query) -> ReadT | None:
        rows = await self._rows(query)
        if not rows or rows[0]["id"] is None:
            if rows and rows[0]["bound_is_there"]:
                raise RowChangedError
            return None
        return self._read(rows)[0]

    async def _rows(self, query: Query, *, repeatable: bool = False) -> list[Row]:
        if self._connection is None:
            raise AccessDenied("access", self.model)
        return await self._connection.rows(query.statement, query.values, repeatable=repeatable)

    def _defaults(self) -> dict[str, Any]:
        fields = self.model.model_fields.items()
        return {
            name: field.get_default(call_default_factory=True)
            for name, field in fields
            if not field.is_required()
        }


def _reader(schema: type[ReadT]) -> Callable[[list[Row]], list[ReadT]]:
    """Return a function that makes rows into instances of a schema, and validates nothing.

    One odd stored row must not turn a list into an error.
    """
    anything = dict.fromkeys(schema.model_fields, (Any, ...))
    unchecked = create_model(schema.__name__, __base__=schema, **anything)  # type: ignore[call-overload]
    return TypeAdapter(list[unchecked]).validate_python  # type: ignore[valid-type]
