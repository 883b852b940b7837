"""Access to PostgreSQL. From outside this module it serves one owner at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from psycopg import Error
from psycopg.errors import UniqueViolation
from sqlalchemy import URL, Executable, RowMapping, String, bindparam, event
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.sql.compiler import SQLCompiler

from app.db.connections import Connector, LivenessCheck

ResultT = TypeVar("ResultT")

OWNER = bindparam("bound_owner", type_=String)
"""The owner in a statement. `OwnedConnection` supplies its value, and nothing else does."""


_LEAST_TIME = 0.5
"""Seconds for a statement, however long it has waited for its turn.

To give it up breaks its connection, and a new one costs more than most statements: in an overload
that would leave nobody any.
"""


class DatabaseUnavailableError(Exception):
    """PostgreSQL is out of reach, has no free connection, or did not answer in time."""


class DatabaseError(Exception):
    """PostgreSQL refused a statement, which is a bug. The message has no value of any row."""


class DuplicateError(Exception):
    """A row with this key, or with another value that must be unique, is there already."""


class OwnerMissingError(Exception):
    """A statement without an owner was about to be sent: a bug, never a client's fault."""


class Database:
    """A pool of connections in autocommit: one statement is one transaction and one round trip.

    It connects when it is first needed, and again when the database comes back.

    Args:
        url: where PostgreSQL is.
        pool_size: the most connections that are open at once.
        timeout: seconds that a statement may take, waiting for a connection included. One that
            has waited for nearly as long gets half a second more.
        prepared_statements: whether statements are prepared on the server once they are used often.
    """

    def __init__(
        self, url: URL, *, pool_size: int, timeout: float, prepared_statements: bool
    ) -> None:
        self._timeout = timeout
        self._connector = Connector(attempt_timeout=timeout / 2)
        # SQLAlchemy's pool never has to queue anybody: those who wait there are not told when a
        # connection could not be made, and another one could.
        self._free = asyncio.Semaphore(pool_size)
        options: dict[str, Any] = {"async_creator_fn": self._connector.connect}
        if not prepared_statements:
            options["prepare_threshold"] = None
        self._engine = create_async_engine(
            url,
            connect_args=options,
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            pool_size=pool_size,
            max_overflow=0,
            pool_use_lifo=True,
            pool_reset_on_return=None,
            hide_parameters=True,
            use_native_hstore=False,
        )
        engine = self._engine.sync_engine
        event.listen(engine, "before_cursor_execute", _refuse_without_owner)
        event.listen(engine, "checkout", LivenessCheck(answer_timeout=timeout / 5))

    def owned_by(self, owner: str) -> "OwnedConnection":
        """Access to what belongs to ``owner``."""
        return OwnedConnection(self._run, owner)

    async def check(self) -> None:
        """Return once PostgreSQL has answered; raise DatabaseUnavailableError if it does not."""
        await self._run(lambda connection: connection.exec_driver_sql("SELECT 1"), repeatable=True)

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()

    async def _run(
        self, work: Callable[[AsyncConnection], Awaitable[ResultT]], *, repeatable: bool
    ) -> ResultT:
        try:
            async with asyncio.timeout(self._timeout) as limit, self._free:
                _grant(limit, _LEAST_TIME)
                try:
                    return await self._run_once(work)
                except DBAPIError as error:
                    if not (repeatable and error.connection_invalidated):
                        raise
                    return await self._run_once(work)
        except TimeoutError as error:
            raise DatabaseUnavailableError(self._why_it_took_long()) from error
        except (OperationalError, InterfaceError) as error:
            raise DatabaseUnavailableError(_message(error)) from error
        except DBAPIError as error:
            if isinstance(error.orig, UniqueViolation):
                raise DuplicateError from error
            raise DatabaseError(_message(error)) from None

    async def _run_once(self, work: Callable[[AsyncConnection], Awaitable[ResultT]]) -> ResultT:
        async with self._engine.connect() as connection:
            return await work(connection)

    def _why_it_took_long(self) -> str:
        reasons = [f"no answer within {self._timeout:g} s", self._connector.failure]
        return ": ".join(filter(None, reasons))


class _Run(Protocol):
    async def __call__(
        self, work: Callable[[AsyncConnection], Awaitable[ResultT]], *, repeatable: bool
    ) -> ResultT: ...


class OwnedConnection:
    """Runs statements on behalf of one owner."""

    def __init__(self, run: _Run, owner: str) -> None:
        self._run = run
        self._owner = owner

    async def rows(
        self, statement: Executable, parameters: Mapping[str, Any], *, repeatable: bool = False
    ) -> Sequence[RowMapping]:
        """Run a statement that binds `OWNER`, in one round trip, and return its rows.

        Args:
            statement: what to run.
            parameters: its values, but for the owner.
            repeatable: whether to send it once more if the connection breaks. A statement that
                writes is not repeatable: nobody knows whether it was carried out.

        Raises:
            OwnerMissingError: the statement does not bind `OWNER`; it was not sent.
            DuplicateError: a unique value is there already; nothing was changed.
            DatabaseUnavailableError: the database is out of reach or too slow.
            DatabaseError: the database refuses the statement.
        """
        values = {**parameters, OWNER.key: self._owner}

        async def fetch(connection: AsyncConnection) -> Sequence[RowMapping]:
            return (await connection.execute(statement, values)).mappings().all()

        return await self._run(fetch, repeatable=repeatable)


def _grant(limit: asyncio.Timeout, seconds: float) -> None:
    """Put a limit off, if there is less time left."""
    ends_at = limit.when()
    at_least_until = asyncio.get_running_loop().time() + seconds
    if ends_at is not None and ends_at < at_least_until:
        limit.reschedule(at_least_until)


def _message(error: DBAPIError) -> str:
    """What PostgreSQL says, but for the details, in which there may be values."""
    reason = error.orig
    primary = reason.diag.message_primary if isinstance(reason, Error) else None
    return f"{type(reason).__name__}: {primary or str(reason).splitlines()[0]}"


def _refuse_without_owner(*arguments: Any) -> None:
    """Refuse what `OWNER` is not in. SQLAlchemy calls this before it sends a statement."""
    context: DefaultExecutionContext = arguments[-2]
    # The readiness check is a string, which is not compiled.
    if isinstance(context.compiled, SQLCompiler) and OWNER.key not in context.compiled.binds:
        raise OwnerMissingError(context.statement)
