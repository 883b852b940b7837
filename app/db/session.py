"""What FastCRUD's own reads run in: a session that reaches the rows of one owner."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnClause, IteratorResult, Result, Select, TextClause
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.orm import with_loader_criteria
from sqlalchemy.sql.visitors import ExternallyTraversible, iterate

from app.db.compiled import OWNER, CompiledStatement, OwnerMissingError
from app.db.engine import OwnedConnection
from app.models.owned import Owned


class OwnedSession:
    """Runs queries on behalf of one owner, as FastCRUD asks an ``AsyncSession`` to.

    A policy of FastCRUD covers one model. Here the owner becomes a condition on every owned model
    of a query, joined ones and those of subqueries too (SQLAlchemy, "Adding global WHERE / ON
    criteria"). SQL in text is refused: what is in it cannot be known, and an OR in it would undo
    the conditions beside it.
    """

    def __init__(self, connection: OwnedConnection) -> None:
        self._connection = connection

    async def execute(self, query: Select[Any]) -> Result[Any]:
        """Run a query and return its result.

        Raises:
            OwnerMissingError: it is no query, or one of no owned model, or has SQL in text.
        """
        if not isinstance(query, Select) or any(map(_is_text, iterate(query))):
            raise OwnerMissingError(query)
        mine = (
            with_loader_criteria(model, lambda it: it.owner_id == OWNER, include_aliases=True)
            for model in _models(Owned)
        )
        rows = await self._connection.rows(
            CompiledStatement(query.options(*mine)), {}, repeatable=True
        )
        names = list(rows[0]) if rows else []
        return IteratorResult(SimpleResultMetaData(names), (tuple(row.values()) for row in rows))

    async def scalar(self, query: Select[Any]) -> Any:  # noqa: ANN401 - as SQLAlchemy has it
        """Run a query and return the first value of its first row, or None."""
        return (await self.execute(query)).scalar()


def _is_text(part: ExternallyTraversible) -> bool:
    if isinstance(part, ColumnClause):
        return part.is_literal and part.name != "*"  # that of count(*)
    return isinstance(part, TextClause)


def _models(base: type[Owned]) -> Iterator[type[Owned]]:
    """The tables that derive from a class."""
    for model in base.__subclasses__():
        if hasattr(model, "__table__"):
            yield model
        yield from _models(model)
