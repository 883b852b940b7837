"""What FastCRUD's own reads run in: a session that reaches the rows of one owner."""

from typing import Any

from sqlalchemy import IteratorResult, Result, Select
from sqlalchemy.engine.result import SimpleResultMetaData

from app.kit.db.compiled import CompiledStatement, OwnerMissingError
from app.kit.db.database import OwnedConnection
from app.kit.db.dialects import QUERY


class OwnedSession:
    """Runs queries on behalf of one owner, as FastCRUD asks an ``AsyncSession`` to.

    A policy of FastCRUD covers one model. Here no condition, join or subquery gets beyond the
    owner's rows, because of how queries are written: see `app.kit.db.dialects`.
    """

    def __init__(self, connection: OwnedConnection) -> None:
        self._connection = connection

    async def execute(self, query: Select[Any]) -> Result[Any]:
        """Run a query and return its result.

        Raises:
            OwnerMissingError: it is no query, or one of no owned table, or has SQL in text.
        """
        if not isinstance(query, Select):
            raise OwnerMissingError(query)
        statement = CompiledStatement(query, QUERY)
        rows = await self._connection.rows(statement, {}, repeatable=True)
        columns = SimpleResultMetaData(statement.names)
        return IteratorResult(columns, (tuple(row.values()) for row in rows))

    async def scalar(self, query: Select[Any]) -> Any:  # noqa: ANN401 - as SQLAlchemy has it
        """Run a query and return the first value of its first row, or None."""
        return (await self.execute(query)).scalar()
