"""Connections to PostgreSQL. From outside this module they serve one owner at a time."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from psycopg.errors import UniqueViolation
from sqlalchemy import URL, Executable, RowMapping, String, bindparam, event
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.sql.compiler import SQLCompiler

OWNER = bindparam("bound_owner", type_=String)
"""The owner in a statement. `OwnedConnection` supplies its value, and nothing else does."""


class DatabaseUnavailableError(Exception):
    """PostgreSQL is out of reach, has no free connection, or did not answer in time."""


class DuplicateError(Exception):
    """A row with this key, or with another value that must be unique, is there already."""


class OwnerMissingError(Exception):
    """A statement without an owner was about to be sent: a bug, never a client's fault."""


class Database:
    """A pool of connections in autocommit: one statement is one transaction and one round trip.

    Args:
        url: where PostgreSQL is.
        pool_size: the most connections that are open at once.
        timeout: seconds that a statement may take, waiting for a connection included.
    """

    def __init__(self, url: URL, *, pool_size: int, timeout: float) -> None:
        self._timeout = timeout
        self._engine = create_async_engine(
            url,
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=timeout,
            pool_use_lifo=True,
            pool_reset_on_return=None,
            hide_parameters=True,
            use_native_hstore=False,
        )
        event.listen(self._engine.sync_engine, "before_cursor_execute", _refuse_without_owner)

    def owned_by(self, owner: str) -> "OwnedConnection":
        """Access to what belongs to ``owner``."""
        return OwnedConnection(self._connect, owner)

    async def check(self) -> None:
        """Return once PostgreSQL has answered; raise DatabaseUnavailableError if it does not."""
        async with self._connect() as connection:
            await connection.exec_driver_sql("SELECT 1")

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with asyncio.timeout(self._timeout), self._engine.connect() as connection:
                yield connection
        except (OperationalError, InterfaceError, PoolTimeoutError, TimeoutError) as error:
            raise DatabaseUnavailableError from error


class _Connect(Protocol):
    def __call__(self) -> AbstractAsyncContextManager[AsyncConnection]: ...


class OwnedConnection:
    """Runs statements on behalf of one owner."""

    def __init__(self, connect: _Connect, owner: str) -> None:
        self._connect = connect
        self._owner = owner

    async def rows(
        self, statement: Executable, parameters: Mapping[str, Any]
    ) -> Sequence[RowMapping]:
        """Run a statement that binds `OWNER`, in one round trip, and return its rows.

        Raises:
            OwnerMissingError: the statement does not bind `OWNER`; it was not sent.
            DuplicateError: a unique value is there already; nothing was changed.
            DatabaseUnavailableError: the database is out of reach or too slow.
        """
        async with self._connect() as connection:
            try:
                result = await connection.execute(statement, {**parameters, OWNER.key: self._owner})
            except IntegrityError as error:
                if isinstance(error.orig, UniqueViolation):
                    raise DuplicateError from error
                raise
            return result.mappings().all()


def _refuse_without_owner(*arguments: Any) -> None:
    """Refuse what `OWNER` is not in. SQLAlchemy calls this before it sends a statement."""
    context: DefaultExecutionContext = arguments[-2]
    # The readiness check is a string, which is not compiled.
    if isinstance(context.compiled, SQLCompiler) and OWNER.key not in context.compiled.binds:
        raise OwnerMissingError(context.statement)
