"""Sessions of SQLAlchemy in transactions that PostgreSQL guards."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

import sqlalchemy.ext.asyncio
import sqlalchemy.orm
from psycopg import Error
from psycopg.pq import TransactionStatus
from psycopg.sql import SQL
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlmodel import Session
from sqlmodel.ext.asyncio.session import AsyncSession

from app.kit.db import guard
from app.kit.db.connections import InterruptibleConnection
from app.kit.db.errors import DatabaseError, translated

# SQLAlchemy reads results as text: in these styles Psycopg can read all, and loses nothing.
_STYLES = SQL(
    "; SET LOCAL datestyle = 'ISO'; SET LOCAL intervalstyle = 'postgres'"
    "; SET LOCAL timezone = 'UTC'; SET LOCAL extra_float_digits = 1"
)

_lent: ContextVar[InterruptibleConnection] = ContextVar("lent")


class _Session(Session):
    execute = sqlalchemy.orm.Session.execute


class OwnedSession(AsyncSession):
    """SQLModel's session, whose ``execute()`` is no longer deprecated: FastCRUD calls it."""

    sync_session_class = _Session
    execute = sqlalchemy.ext.asyncio.AsyncSession.execute


class Sessions:
    """Opens sessions on connections of the pool. SQLAlchemy makes none, and closes none."""

    def __init__(self) -> None:
        self._engine = create_async_engine(
            "postgresql+psycopg://", async_creator=_lend, poolclass=NullPool
        )
        event.listen(self._engine.sync_engine, "begin", _begin)
        event.listen(self._engine.sync_engine, "before_cursor_execute", _refuse_unguarded)

    @asynccontextmanager
    async def guarded(
        self, connection: InterruptibleConnection, owner: str
    ) -> AsyncIterator[OwnedSession]:
        """Run a transaction that reaches the rows of an owner only.

        It is committed at the end of the block, and rolled back after an exception.

        Raises:
            DatabaseError: a statement has failed, and the block went on as if it had not.
        """
        token = _lent.set(connection)
        connection.is_lent = True
        # What is prepared may be missing later, which ends a transaction: see `Database`.
        threshold, connection.prepare_threshold = connection.prepare_threshold, None
        try:
            async with self._engine.connect() as lent:
                await lent.execution_options(owner=owner)
                async with lent.begin():
                    # Its commit() must not end the transaction, which ends with the block.
                    session = OwnedSession(
                        lent, join_transaction_mode="rollback_only", expire_on_commit=False
                    )
                    async with session:
                        yield session
                        await session.commit()
                    if connection.info.transaction_status == TransactionStatus.INERROR:
                        raise DatabaseError("a statement failed: run it in begin_nested()")
        except DBAPIError as error:
            if isinstance(error.orig, Error):
                raise translated(error.orig) from None  # its details may have values
            raise
        finally:
            connection.is_lent = False
            connection.prepare_threshold = threshold
            _lent.reset(token)


async def _lend() -> InterruptibleConnection:
    """Return the connection of the transaction, where SQLAlchemy would make one."""
    return _lent.get()


def _begin(connection: Connection) -> None:
    """Begin a guarded transaction, whenever SQLAlchemy begins one: no statement runs without."""
    statement = guard.begin(connection.get_execution_options()["owner"]) + _STYLES
    # Several statements at once cannot be prepared.
    lent = connection.connection.dbapi_connection
    assert lent is not None  # noqa: S101 - it has just been connected
    lent.run_async(lambda driver: driver.execute(statement, prepare=False))


def _refuse_unguarded(connection: Connection, *_: object) -> None:
    """Run nothing once text has ended the transaction, and its guard with it."""
    driver: InterruptibleConnection = connection.connection.driver_connection  # type: ignore[assignment]
    if driver.info.transaction_status == TransactionStatus.IDLE:
        raise DatabaseError("the block has ended its transaction: nothing can run after that")
