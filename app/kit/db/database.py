"""Access to PostgreSQL, for one owner at a time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

from psycopg import Error, OperationalError
from psycopg.adapt import Transformer
from psycopg.errors import (
    ConnectionTimeout,
    DeadlockDetected,
    DuplicatePreparedStatement,
    FeatureNotSupported,
    InvalidSqlStatementName,
    ReadOnlySqlTransaction,
    SerializationFailure,
    _WaitTimeout,
)
from psycopg.pq.abc import PGresult
from sqlalchemy import URL
from sqlmodel.ext.asyncio.session import AsyncSession

from app.kit.db import readiness
from app.kit.db.compiled import DIALECT, OWNER, CompiledStatement, Row
from app.kit.db.connections import Connector, InterruptibleConnection
from app.kit.db.errors import DatabaseUnavailableError, translated
from app.kit.db.pool import Pool
from app.kit.db.transactions import Sessions

_LEAST_TIME = 0.5
"""The minimum time once a connection is held, in seconds.

Cancelling a statement discards its connection, and a new one costs more than most statements: under
overload that would empty the pool.
"""


class Database:
    """A pool of connections in autocommit: one statement is one transaction and one round trip.

    It connects when it is first needed, and again when the database comes back.

    Args:
        url: where PostgreSQL is.
        pool_size: the most connections that are open at once.
        timeout: seconds that a statement or a transaction may take, waiting for a connection
            included. One that has waited for nearly as long gets half a second more.
        prepared_statements: whether statements are prepared on the server once they are used often,
            until a pooler turns out to lose them.
    """

    def __init__(
        self, url: URL, *, pool_size: int, timeout: float, prepared_statements: bool
    ) -> None:
        self._timeout = timeout
        self._free = asyncio.Semaphore(pool_size)  # it is fair
        _, options = DIALECT.create_connect_args(url)
        options.update(autocommit=True, client_encoding="UTF8")
        self._prepare = None if prepared_statements else False
        self._connector = Connector(options, patience=timeout / 4)
        self._pool = Pool(self._connector, answer_timeout=timeout / 5)
        self._sessions = Sessions()
        self._transformer = Transformer()  # of no connection: its times are in UTC

    async def rows(
        self,
        statement: CompiledStatement,
        values: Mapping[str, Any],
        *,
        owner: str,
        repeatable: bool,
    ) -> list[Row]:
        """Run a statement on behalf of an owner in one round trip, and return its rows.

        Args:
            statement: what to run.
            values: those of its parameters, but for the owner.
            owner: whose rows it is about.
            repeatable: whether to send it once more if the connection breaks. A statement that
                writes is not repeatable: nobody knows whether it was carried out.

        Raises:
            DuplicateKeyError: a unique value is there already; nothing was changed.
            ForeignKeyError: a row would refer to one that is not there; nothing was changed.
            OutOfRangeError: a value does not fit its column; nothing was changed.
            DatabaseUnavailableError: the database is out of reach or too slow.
            DatabaseError: the database refuses the statement.
        """
        parameters = statement.values({**values, OWNER.key: owner})
        result = await self._execute(statement.text, parameters, repeatable=repeatable)
        # All rows have come with the answer: to read them takes no connection.
        return statement.rows(result, self._transformer)

    @asynccontextmanager
    async def transaction(self, owner: str) -> AsyncIterator[AsyncSession]:
        """Open a transaction that reaches an owner's rows only: see `OwnedCRUD.transaction`."""
        async with self._turn() as deadline:
            try:
                async with (
                    asyncio.timeout(deadline - monotonic()) as limit,
                    self._pool.connection(deadline) as connection,
                    self._sessions.guarded(connection, owner) as session,
                ):
                    yield session
            except TimeoutError as error:
                if not limit.expired():
                    raise
                raise self._late() from error

    async def check(self) -> None:
        """Return if the database has all that the models need.

        Raises:
            DatabaseUnavailableError: it is out of reach, or lacks something. The message says what.
        """
        result = await self._execute(readiness.QUERY, readiness.needed(), repeatable=True)
        if result.ntuples and (lack := result.get_value(0, 0)):
            raise DatabaseUnavailableError(lack.decode())

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()

    async def _execute(
        self, query: str, parameters: Mapping[str, Any], *, repeatable: bool
    ) -> PGresult:
        async with self._turn() as deadline:
            async with self._pool.connection(deadline) as connection:
                try:
                    return await self._run(connection, query, parameters, deadline)
                except ReadOnlySqlTransaction:
                    await connection.close()  # it leads to what is a standby by now
                    raise
                except OperationalError:
                    if not (repeatable and connection.closed):
                        raise
            async with self._pool.connection(deadline) as connection:
                return await self._run(connection, query, parameters, deadline)

    async def _run(
        self,
        connection: InterruptibleConnection,
        query: str,
        parameters: Mapping[str, Any],
        deadline: float,
    ) -> PGresult:
        """Execute a statement, once more if PostgreSQL says that it has carried nothing out."""
        while True:
            try:
                return await connection.result_of(
                    query, parameters, prepare=self._prepare, deadline=deadline
                )
            except (SerializationFailure, DeadlockDetected):
                continue  # another transaction was first
            except FeatureNotSupported:
                # A migration has changed a column of a prepared statement.
                await connection.result_of("DEALLOCATE ALL", {}, prepare=False, deadline=deadline)
            except (InvalidSqlStatementName, DuplicatePreparedStatement):
                self._prepare = False  # a pooler gives each statement to another server
            return await connection.result_of(query, parameters, prepare=False, deadline=deadline)

    def _turn(self) -> "_Turn":
        return _Turn(self._free, self._timeout, self._late)

    def _late(self) -> DatabaseUnavailableError:
        reasons = [f"no answer within {self._timeout:g} s", self._connector.failure]
        return DatabaseUnavailableError(": ".join(filter(None, reasons)))


class _Turn:
    """A block that may use a connection, and has a deadline, by `time.monotonic`, to do so.

    It raises the errors of `Database`. It is no generator, for the sake of time.

    Args:
        free: how many connections are free.
        timeout: seconds for the block, waiting for its turn included.
        late: returns the error of a block that gets no answer in time.
    """

    def __init__(
        self,
        free: asyncio.Semaphore,
        timeout: float,
        late: Callable[[], DatabaseUnavailableError],
    ) -> None:
        self._free = free
        self._timeout = timeout
        self._late = late

    async def __aenter__(self) -> float:
        deadline = monotonic() + self._timeout
        if self._free.locked():
            try:
                async with asyncio.timeout(self._timeout):
                    await self._free.acquire()
            except TimeoutError as error:
                raise self._late() from error
        else:
            await self._free.acquire()
        return max(deadline, monotonic() + _LEAST_TIME)

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._free.release()
        if isinstance(error, ConnectionTimeout | _WaitTimeout):
            raise self._late() from error
        if isinstance(error, Error):
            raise translated(error) from None  # its details may have values
