"""What FastCRUD's own reads run in: a session that reaches the rows of one owner."""

from typing import Any, NoReturn

from sqlalchemy import (
    ColumnClause,
    IteratorResult,
    Result,
    Select,
    TableClause,
    UpdateBase,
)
from sqlalchemy.dialects.postgresql.psycopg import PGCompiler_psycopg, PGDialectAsync_psycopg
from sqlalchemy.engine import Dialect
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.sql.visitors import iterate
from sqlmodel import SQLModel

from app.db.compiled import OWNER, CompiledStatement, OwnerMissingError
from app.db.database import OwnedConnection


class OwnedSession:
    """Runs queries on behalf of one owner, as FastCRUD asks an ``AsyncSession`` to.

    A policy of FastCRUD covers one model. Here each owned table of a query is written as the rows
    of it that the owner has, wherever the query names it, so that no condition, join or subquery
    gets beyond them. SQL in text is refused, because what is in it cannot be known. (A function
    that takes SQL or the name of a table as a value, such as ``query_to_xml``, is not recognized.)
    """

    def __init__(self, connection: OwnedConnection) -> None:
        self._connection = connection

    async def execute(self, query: Select[Any]) -> Result[Any]:
        """Run a query and return its result.

        Raises:
            OwnerMissingError: it is no query, or one of no owned table, or has SQL in text.
        """
        parts = iterate(query)
        if not isinstance(query, Select) or any(isinstance(part, UpdateBase) for part in parts):
            raise OwnerMissingError(query)
        statement = CompiledStatement(query, _OF_ONE_OWNER)
        rows = await self._connection.rows(statement, {}, repeatable=True)
        names = list(rows[0]) if rows else []
        return IteratorResult(SimpleResultMetaData(names), (tuple(row.values()) for row in rows))

    async def scalar(self, query: Select[Any]) -> Any:  # noqa: ANN401 - as SQLAlchemy has it
        """Run a query and return the first value of its first row, or None."""
        return (await self.execute(query)).scalar()


class _OneOwnerCompiler(PGCompiler_psycopg):
    """Writes an owned table as the rows of it that the owner has, and no SQL that is text."""

    def visit_table(self, table: TableClause, *arguments: Any, **options: Any) -> str:
        name: str = super().visit_table(table, *arguments, **options)  # type: ignore[no-untyped-call]
        if not options.get("asfrom"):
            return name
        known = [t for t in SQLModel.metadata.tables.values() if t.name == table.name]
        if not known:  # it may be a partition, or a view
            raise OwnerMissingError(table)
        if not any("owner_id" in t.c for t in known):
            return name
        mine = f"(SELECT * FROM {name} WHERE owner_id = {self.process(OWNER)})"  # noqa: S608 - no input
        alias = options.get("enclosing_alias")
        has_alias = alias is not None and alias.element is table
        return mine if has_alias else f"{mine} AS {self.preparer.quote(table.name)}"

    def visit_column(self, column: ColumnClause[Any], *arguments: Any, **options: Any) -> str:
        if column.is_literal and column.name != "*":  # that of count(*)
            raise OwnerMissingError(column)
        text: str = super().visit_column(column, *arguments, **options)
        return text

    def _refuse(self, *text: Any, **_: Any) -> NoReturn:
        raise OwnerMissingError(text)

    visit_textclause = visit_custom_op_binary = visit_custom_op_unary_operator = _refuse
    get_statement_hint_text = get_select_hint_text = _refuse


class _OneOwnerDialect(PGDialectAsync_psycopg):
    statement_compiler = _OneOwnerCompiler
    supports_statement_cache = True


_OF_ONE_OWNER: Dialect = _OneOwnerDialect()  # type: ignore[no-untyped-call]
