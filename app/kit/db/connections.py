"""How a connection is made and given up, whatever the database and the network do."""

import asyncio
import random
from collections.abc import Callable, Mapping
from traceback import clear_frames
from typing import Any, TypeVar

from psycopg import AsyncConnection, OperationalError, ProgrammingError
from psycopg.abc import PQGen
from psycopg.errors import Diagnostic
from psycopg.generators import cancel
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGcancelConn
from psycopg.waiting import wait_async, wait_conn_async

ResultT = TypeVar("ResultT")

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 0.5
_CANCEL_TIMEOUT = 5.0

# The event loop keeps only weak references to tasks.
_cancellations: set[asyncio.Task[None]] = set()


class InterruptibleConnection(AsyncConnection[Any]):
    """A connection that can be given up at once, in the middle of a statement.

    Psycopg's own would wait, for up to ten seconds, until the server has confirmed that it cancels
    the statement. Here the server is told in the background, and the connection is closed after
    that: a pooler no longer knows what to cancel for a client that has left.

    Attributes:
        is_lent: whether a session of SQLAlchemy uses it, which must not close it.
    """

    is_lent = False
    _is_given_up = False

    async def wait(
        self,
        gen: PQGen[ResultT],
        interval: float = 0.1,
        timeout: float | None = None,  # noqa: ASYNC109 - as Psycopg has it
    ) -> ResultT:
        """Let ``gen`` talk to the server until it is done, and return its result."""
        try:
            return await wait_async(gen, self.pgconn.socket, interval, timeout)
        except asyncio.CancelledError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self._is_given_up = True
                task = asyncio.create_task(self._cancel(self.pgconn.cancel_conn()))
                _cancellations.add(task)
                task.add_done_callback(_cancellations.discard)
            raise

    async def close(self) -> None:
        """Close it, unless that is to happen later: it is lent, or the server is told to cancel."""
        if not (self.is_lent or self._is_given_up):
            await super().close()

    def add_notice_handler(self, callback: Callable[[Diagnostic], None]) -> None:
        """Add none: each session of SQLAlchemy would add its own, to the same connection."""

    async def _cancel(self, request: PGcancelConn) -> None:
        try:
            request.start()
            await wait_conn_async(cancel(request), timeout=_CANCEL_TIMEOUT)
        except OperationalError:
            pass  # out of reach: the server cancels what it runs, or has died
        finally:
            request.finish()
            self.pgconn.finish()


class Connector:
    """Connects to PostgreSQL, however long that takes: the caller sets the limit.

    Args:
        options: the arguments of Psycopg's ``connect``.
        attempt_timeout: seconds after which an attempt that got no answer is made anew.

    Attributes:
        failure: why the last attempt failed, or an empty string.
    """

    def __init__(self, options: Mapping[str, Any], attempt_timeout: float) -> None:
        self._options = options
        self._attempt_timeout = attempt_timeout
        self.failure = ""

    async def connect(self) -> InterruptibleConnection:
        """Return a new connection."""
        pause = _FIRST_PAUSE
        while True:
            try:
                async with asyncio.timeout(self._attempt_timeout):
                    connection = await self._connect_once()
            except (OperationalError, ProgrammingError, TimeoutError) as error:
                self.failure = str(error).partition("\n")[0]
            else:
                self.failure = ""
                return connection
            # Not all processes at the same moment, when the database is back.
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _connect_once(self) -> InterruptibleConnection:
        try:
            return await InterruptibleConnection.connect(**self._options)
        except BaseException as error:
            # The traceback's frames reference the half-open socket: clear them, so that it closes.
            clear_frames(error.__traceback__)
            raise
