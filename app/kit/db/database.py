"""Access to PostgreSQL. From outside this module it serves one owner at a time."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from psycopg import AsyncCursor, DataError, Error, InterfaceError, OperationalError
from psycopg.errors import (
    DatetimeFieldOverflow,
    ExclusionViolation,
    FeatureNotSupported,
    ForeignKeyViolation,
    NumericValueOutOfRange,
    ReadOnlySqlTransaction,
    RestrictViolation,
    StringDataRightTruncation,
    UniqueViolation,
)
from sqlalchemy import URL

from app.kit.db.compiled import DIALECT, OWNER, CompiledStatement, Row
from app.kit.db.connections import Connector, InterruptibleConnection
from app.kit.db.pool import Pool

ResultT = TypeVar("ResultT")
Work = Callable[[InterruptibleConnection], Awaitable[ResultT]]

_LEAST_TIME = 0.5
"""Seconds for a statement, however long it has waited for its turn.

To give it up breaks its connection, and a new one costs more than most statements: in an overload
that would leave nobody any.
"""


class DatabaseUnavailableError(Exception):
    """PostgreSQL is out of reach, has no free connection, or did not answer in time."""


class DatabaseError(Exception):
    """PostgreSQL refused a statement, which is a bug. The message has no value of any row."""


class UnfitValueError(Exception):
    """PostgreSQL cannot hold a value: it is too large for its column, say; nothing was changed."""


class RefusedKeyError(Exception):
    """PostgreSQL refused a key in a row; nothing was changed.

    Attributes:
        fields: those of the key, but for the owner.
    """

    def __init__(self, fields: Sequence[str]) -> None:
        super().__init__(*fields)
        self.fields = fields


class DuplicateError(RefusedKeyError):
    """A row with this key, or with another value that must be unique, is there already."""


class BrokenReferenceError(RefusedKeyError):
    """A row would refer to one of the same owner that is not there."""


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
        self._free = asyncio.Semaphore(pool_size)  # it is fair
        _, options = DIALECT.create_connect_args(url)
        options["autocommit"] = True
        if not prepared_statements:
            options["prepare_threshold"] = None
        self._connector = Connector(options, attempt_timeout=timeout / 2)
        self._pool = Pool(self._connector, answer_timeout=timeout / 5)

    def owned_by(self, owner: str) -> "OwnedConnection":
        """Access to what belongs to ``owner``."""
        return OwnedConnection(self._run, owner)

    async def check(self) -> None:
        """Return once PostgreSQL has answered; raise DatabaseUnavailableError if it does not."""
        await self._run(lambda connection: connection.execute("SELECT 1"), repeatable=True)

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()

    async def _run(self, work: Work[ResultT], *, repeatable: bool) -> ResultT:
        try:
            async with asyncio.timeout(self._timeout) as limit, self._free:
                _grant(limit, _LEAST_TIME)
                async with self._pool.connection() as connection:
                    try:
                        return await work(connection)
                    except FeatureNotSupported:
                        # A migration has changed a column of a prepared statement. PostgreSQL
                        # says so before it carries anything out.
                        await connection.execute("DEALLOCATE ALL")
                        return await work(connection)
                    except ReadOnlySqlTransaction:
                        await connection.close()  # it leads to what is a standby by now
                        raise
                    except OperationalError:
                        if not (repeatable and connection.closed):
                            raise
                async with self._pool.connection() as connection:
                    return await work(connection)
        except TimeoutError as error:
            raise DatabaseUnavailableError(self._why_it_took_long()) from error
        except Error as error:
            raise _translated(error) from None  # its details may have values

    def _why_it_took_long(self) -> str:
        reasons = [f"no answer within {self._timeout:g} s", self._connector.failure]
        return ": ".join(filter(None, reasons))


class _Run(Protocol):
    async def __call__(self, work: Work[ResultT], *, repeatable: bool) -> ResultT: ...


class OwnedConnection:
    """Runs statements on behalf of one owner."""

    def __init__(self, run: _Run, owner: str) -> None:
        self._run = run
        self._owner = owner

    async def rows(
        self,
        statement: CompiledStatement,
        parameters: Mapping[str, Any],
        *,
        repeatable: bool,
    ) -> list[Row]:
        """Run a statement in one round trip, and return its rows.

        Args:
            statement: what to run.
            parameters: its values, but for the owner.
            repeatable: whether to send it once more if the connection breaks. A statement that
                writes is not repeatable: nobody knows whether it was carried out.

        Raises:
            DuplicateError: a unique value is there already; nothing was changed.
            BrokenReferenceError: a row would refer to one that is not there; nothing was changed.
            UnfitValueError: a value does not fit its column; nothing was changed.
            DatabaseUnavailableError: the database is out of reach or too slow.
            DatabaseError: the database refuses the statement.
        """
        values = statement.values({**parameters, OWNER.key: self._owner})

        async def execute(connection: InterruptibleConnection) -> AsyncCursor[Any]:
            return await connection.execute(statement.text, values)

        # All rows have come with the answer: to fetch them takes no connection.
        return await statement.rows(await self._run(execute, repeatable=repeatable))


def _grant(limit: asyncio.Timeout, seconds: float) -> None:
    """Put a limit off, if there is less time left."""
    ends_at = limit.when()
    at_least_until = asyncio.get_running_loop().time() + seconds
    if ends_at is not None and ends_at < at_least_until:
        limit.reschedule(at_least_until)


def _translated(error: Error) -> Exception:
    match error:
        case OperationalError() | InterfaceError() | ReadOnlySqlTransaction():
            return DatabaseUnavailableError(_message(error))
        case UniqueViolation() | ExclusionViolation():
            return DuplicateError(_key(error))
        case ForeignKeyViolation() | RestrictViolation():
            return BrokenReferenceError(_key(error))
        case NumericValueOutOfRange() | StringDataRightTruncation() | DatetimeFieldOverflow():
            return UnfitValueError(type(error).__name__)
        case DataError() if error.sqlstate is None:  # Psycopg has not sent it
            return UnfitValueError(type(error).__name__)
        case _:
            return DatabaseError(_message(error))


def _key(error: Error) -> list[str]:
    """The fields of the key that PostgreSQL refused, but for the owner.

    In any language it says ``(owner_id, name)=(…, …)``. The name of the constraint would not do: a
    partition has others.
    """
    key = re.search(r"\((.*?)\)=\(", error.diag.message_detail or "")
    fields = key[1].replace('"', "").split(", ") if key else []
    return [field for field in fields if field != "owner_id"]


def _message(error: Error) -> str:
    """What PostgreSQL says, but for the details, in which there may be values."""
    return f"{type(error).__name__}: {error.diag.message_primary or str(error).splitlines()[0]}"
