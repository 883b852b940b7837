"""How a connection is made and given up, whatever the database and the network do."""

import asyncio
import random
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import sha256
from math import inf
from time import monotonic
from traceback import clear_frames
from typing import Any, TypeVar

from psycopg import (
    AsyncConnection,
    AsyncCursor,
    Error,
    OperationalError,
    ProgrammingError,
    adapters,
)
from psycopg._preparing import Prepare, PrepareManager
from psycopg._queries import PostgresQuery
from psycopg.abc import Buffer, PQGen
from psycopg.conninfo import conninfo_attempts_async
from psycopg.errors import Diagnostic, _WaitTimeout
from psycopg.generators import cancel
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGcancelConn, PGconn, PGresult
from psycopg.types.string import StrDumperUnknown
from psycopg.waiting import wait_conn_async
from pydantic import AnyUrl

from app.kit.db.sockets import WatchedSocket

ResultT = TypeVar("ResultT")

_PAUSE = 0.3
_PAUSE_AFTER_REFUSAL = 10.0
"""Seconds. Hosts ban clients that try too often with a wrong password."""
_CANCEL_TIMEOUT = 5.0
_MOST_CURSORS = 100
"""Psycopg keeps as many prepared statements."""

# A failed connection has no SQLSTATE. In another language the attempts go on until the timeout.
_REFUSAL = re.compile(
    "authentication failed|does not exist|no such (database|user)|user not found|pg_hba.conf"
    "|not permitted|permission denied|no password supplied"
)

# The event loop keeps only weak references to tasks.
_cancellations: set[asyncio.Task[None]] = set()


class _UrlDumper(StrDumperUnknown):
    """Sends a URL of Pydantic, which a row of a transaction may be given, as the text it is."""

    def dump(self, obj: object) -> Buffer | None:
        """Return what is sent."""
        return super().dump(str(obj))


adapters.register_dumper(AnyUrl, _UrlDumper)


class _PrepareManager(PrepareManager):
    """Puts a statement's text into its name.

    A pooler gives a server that has prepared it to other clients, whose statements Psycopg would
    give the same names. With the text in it, a name can mean no other statement.
    """

    def get(
        self,
        query: PostgresQuery,
        prepare: bool | None = None,  # noqa: FBT001 - as Psycopg has it
    ) -> tuple[Prepare, bytes]:
        """Return whether to prepare a query, and its name."""
        state, name = super().get(query, prepare)
        if state is Prepare.SHOULD:
            digest = sha256(repr(self.key(query)).encode()).hexdigest()
            name += b"_" + digest[:32].encode()
        return state, name


class InterruptibleConnection(AsyncConnection[Any]):
    """A connection that can be given up at once, in the middle of a statement.

    Psycopg's own would wait, for up to ten seconds, until the server has confirmed that it cancels
    the statement. Here the server is told in the background, and the connection is closed after
    that: a pooler no longer knows what to cancel for a client that has left.

    Attributes:
        is_lent: whether a session of SQLAlchemy uses it, which must not close it.
        cursor_of: returns the cursor that a query had last time. It knows how the parameters are
            converted, which a new one would have to look up.
    """

    is_lent = False
    cursor_of: Callable[[str], AsyncCursor[Any]]
    _is_given_up = False
    _deadline: float | None = None
    _socket: WatchedSocket | None = None

    def __init__(self, pgconn: PGconn) -> None:
        super().__init__(pgconn)
        self._prepared = _PrepareManager()
        self.cursor_of = lru_cache(_MOST_CURSORS)(lambda _query: self.cursor(binary=True))

    async def result_of(
        self,
        query: str,
        parameters: Mapping[str, Any],
        *,
        prepare: bool | None,
        deadline: float | None = None,
    ) -> PGresult:
        """Execute a query with the cursor that it had last time, and return what has come.

        Args:
            query: as Psycopg takes it.
            parameters: by name.
            prepare: whether to; None is for Psycopg to decide.
            deadline: until when to wait for the server, by `time.monotonic`.

        Raises:
            _WaitTimeout: the answer has not come by the deadline; the connection is given up.
        """
        cursor = self.cursor_of(query)
        self._deadline = deadline
        try:
            await cursor.execute(query, parameters, prepare=prepare)
        finally:
            self._deadline = None
        assert cursor.pgresult is not None  # noqa: S101 - or else it raises
        return cursor.pgresult

    async def wait(
        self,
        gen: PQGen[ResultT],
        interval: float = 0.1,  # noqa: ARG002 - as Psycopg has it
        timeout: float | None = None,  # noqa: ASYNC109 - as Psycopg has it
    ) -> ResultT:
        """Let ``gen`` talk to the server until it is done, and return its result."""
        deadline = self._deadline if timeout is None else monotonic() + timeout
        try:
            wanted = next(gen)
            if self._socket is None:
                self._socket = WatchedSocket(self.pgconn.socket)
            while True:
                wanted = gen.send(await self._socket.ready(wanted, deadline))
        except StopIteration as done:
            result: ResultT = done.value
            return result
        except (asyncio.CancelledError, _WaitTimeout):
            self._unwatch()
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self._is_given_up = True
                task = asyncio.create_task(self._cancel(self.pgconn.cancel_conn()))
                _cancellations.add(task)
                task.add_done_callback(_cancellations.discard)
            raise
        except OSError as error:
            self._unwatch()
            raise OperationalError("the socket of the connection is closed") from error
        except BaseException:
            self._unwatch()  # libpq closes its socket when the connection is lost
            raise

    def _unwatch(self) -> None:
        if self._socket is not None:
            self._socket.unwatch()
            self._socket = None

    async def close(self) -> None:
        """Close it, unless that is to happen later: it is lent, or the server is told to cancel."""
        if not (self.is_lent or self._is_given_up):
            self._unwatch()
            await super().close()

    async def rollback(self) -> None:
        """Roll back, unless it is given up: the server does so then."""
        if not self._is_given_up:
            await super().rollback()

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


Attempt = asyncio.Task[InterruptibleConnection | None]


class Connector:
    """Connects to PostgreSQL, however long that takes: the caller sets the limit.

    It tries one address of one host after the other, again and again. An attempt that gets no
    answer goes on while the next ones start, as it may only be slow; the first to succeed is used.

    Args:
        options: the arguments of Psycopg's ``connect``.
        patience: seconds until the next attempt starts, if there was no answer.

    Attributes:
        failure: why the last attempt failed, or an empty string.
    """

    def __init__(self, options: Mapping[str, Any], patience: float) -> None:
        self._options = options
        self._patience = patience
        self._first = 0
        self._refused_at = -inf
        self._refusal = ""
        self.failure = ""

    async def connect(self) -> InterruptibleConnection:
        """Return a new connection.

        Raises:
            OperationalError: the database refuses the login, now or some seconds ago.
        """
        connection: InterruptibleConnection | None = None
        if monotonic() - self._refused_at > _PAUSE_AFTER_REFUSAL:
            if self._refused_at > -inf:
                self._refused_at = monotonic()  # one attempt is enough to know
            connection = await self._first_to_succeed()
        if connection is None:
            raise OperationalError(self._refusal)
        return connection

    async def _first_to_succeed(self) -> InterruptibleConnection | None:
        """Return the first connection to be made, or None if the database refuses the login."""
        ended: set[Attempt] = set()
        running: set[Attempt] = set()
        number = self._first
        try:
            while True:
                running.add(asyncio.create_task(self._attempt(number)))
                ended, running = await asyncio.wait(
                    running, timeout=self._patience, return_when=asyncio.FIRST_COMPLETED
                )
                if succeeded := [attempt for attempt in ended if not attempt.exception()]:
                    ended.remove(succeeded[0])
                    return succeeded[0].result()
                number += 1
        finally:
            for attempt in ended | running:
                attempt.cancel()
                attempt.add_done_callback(_close_unused)  # one may have succeeded all the same

    async def _attempt(self, number: int) -> InterruptibleConnection | None:
        """Return a connection, or None if the database refuses the login.

        Raises:
            OperationalError: the next attempt may succeed.
        """
        try:
            addresses = await conninfo_attempts_async(self._options)
            connection = await _connect(addresses[number % len(addresses)])
        except (Error, ValueError) as error:
            self.failure = str(error).partition("\n")[0]
            if isinstance(error, ProgrammingError) or _REFUSAL.search(str(error)):
                self._refused_at, self._refusal = monotonic(), self.failure
                return None
            # Not all processes at the same moment, when the database is back.
            await asyncio.sleep(_PAUSE * random.uniform(0.5, 1))  # noqa: S311
            raise
        self._first = number
        self._refused_at = -inf
        self.failure = ""
        return connection


def _close_unused(attempt: Attempt) -> None:
    connection = None if attempt.cancelled() or attempt.exception() else attempt.result()
    if connection is not None:
        connection.pgconn.finish()


async def _connect(options: Mapping[str, Any]) -> InterruptibleConnection:
    try:
        return await InterruptibleConnection.connect(**options)
    except BaseException as error:
        # The traceback's frames reference the half-open socket: clear them, so that it closes.
        clear_frames(error.__traceback__)
        raise
