"""Connections that are kept for the next statement."""

import asyncio
import select
from time import monotonic

from psycopg import OperationalError
from psycopg.errors import ConnectionTimeout
from psycopg.pq import TransactionStatus

from app.kit.db.connections import Connector, InterruptibleConnection

_LONGEST_IDLE = 5.0


class Pool:
    """Lends connections, the one that was used last first, and makes one if there is none.

    The caller limits concurrency. Idle connections are validated before reuse: a server that closes
    a connection says so, which shows without a round trip; a network that forgets it says nothing,
    so after some idle seconds the connection is pinged.

    SQLAlchemy's pool takes ten times the processor time, a tenth of that of a whole request.
    Psycopg's first tries again after a second (here 0.05), and after its ``reconnect_timeout`` of
    300 seconds, by default, starts no new attempt while requests wait.

    Args:
        connector: makes connections.
        answer_timeout: seconds within which the server has to answer.
    """

    def __init__(self, connector: Connector, answer_timeout: float) -> None:
        self._connector = connector
        self._answer_timeout = answer_timeout
        self._idle: list[tuple[InterruptibleConnection, float]] = []

    def connection(self, deadline: float) -> "_Loan":
        """Lend a connection for a block. One on which anything is left open is not used again.

        Args:
            deadline: until when the block waits for it, by `time.monotonic`; then it is a
                ConnectionTimeout.
        """
        return _Loan(self, deadline)

    async def lend(self, deadline: float) -> InterruptibleConnection:
        """Return a connection, at once if one is idle."""
        if self._idle:
            connection, used_at = self._idle.pop()
            if monotonic() - used_at < _LONGEST_IDLE and not _has_received(connection):
                return connection
            if await self._is_answered(connection, deadline):
                return connection
            await connection.close()
            await self.close()  # the others are older
        try:
            async with asyncio.timeout(deadline - monotonic()):
                return await self._connector.connect()
        except TimeoutError as error:
            raise ConnectionTimeout("no connection was made in time") from error

    async def take_back(self, connection: InterruptibleConnection) -> None:
        """Keep a connection, or close it."""
        if connection.pgconn.transaction_status == TransactionStatus.IDLE:
            self._idle.append((connection, monotonic()))
        else:
            await connection.close()

    async def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            connection, _ = self._idle.pop()
            await connection.close()

    async def _is_answered(self, connection: InterruptibleConnection, deadline: float) -> bool:
        try:
            async with asyncio.timeout(min(self._answer_timeout, deadline - monotonic())):
                await connection.execute("SELECT 1")
        except (OperationalError, TimeoutError):
            return False
        return True


class _Loan:
    """A connection for a block. A generator would take more time than all of the pool."""

    def __init__(self, pool: Pool, deadline: float) -> None:
        self._pool = pool
        self._deadline = deadline

    async def __aenter__(self) -> InterruptibleConnection:
        self._connection = await self._pool.lend(self._deadline)
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        await self._pool.take_back(self._connection)


def _has_received(connection: InterruptibleConnection) -> bool:
    """Tell whether something has come that nobody asked for, such as the end of the connection."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
