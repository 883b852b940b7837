"""Statements that are built and compiled once, and sent with new values as often as need be."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from psycopg import AsyncCursor, Column, DataError
from psycopg.adapt import Transformer
from sqlalchemy import BindParameter, Select, String, UpdateBase, bindparam
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler

from app.kit.db.errors import OwnerMissingError

Convert = Callable[[Any], Any]
Row = dict[str, Any]

OWNER: BindParameter[str] = bindparam("bound_owner", type_=String)
"""The owner in a statement. `Database` supplies its value, and nothing else does."""

DIALECT: Dialect = psycopg.dialect_async()  # type: ignore[no-untyped-call]


class CompiledStatement:
    """A statement that binds `OWNER`, compiled for psycopg.

    SQLAlchemy compiles it, and its types convert the values that go in and come out. Psycopg sends
    it, because SQLAlchemy's own connection takes five times the processor time for that.

    Args:
        source: a statement of FastCRUD or SQLAlchemy.

    Attributes:
        text: the SQL, with the parameters as psycopg names them.
        names: those of its columns, once it was executed.

    Raises:
        OwnerMissingError: ``source`` does not bind `OWNER`.
    """

    def __init__(self, source: Select[Any] | UpdateBase) -> None:
        compiled = source.compile(dialect=DIALECT)
        if not isinstance(compiled, SQLCompiler) or OWNER.key not in compiled.binds:
            raise OwnerMissingError(source)
        variables = {key: None for key, bind in compiled.binds.items() if bind.required}
        expanded = compiled.construct_expanded_state(variables)
        self.text = expanded.statement
        self._to_database: dict[str, Convert | None] = {
            key: bind.type.dialect_impl(DIALECT).bind_processor(DIALECT)
            for key, bind in compiled.binds.items()
        }
        self._to_database |= expanded.processors
        self._constants = self._converted(
            {key: value for key, value in expanded.parameters.items() if key not in variables}
        )
        self._types = [column.type for column in source.exported_columns]
        self.names: list[str] = []
        self._from_database: dict[str, Convert] = {}

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of all parameters as psycopg takes them."""
        return {**self._constants, **self._converted(given)}

    async def rows(self, cursor: AsyncCursor[tuple[Any, ...]]) -> list[Row]:
        """Return the rows of a cursor that has executed it, by the names of the columns."""
        if not self.names:
            self._learn(cursor.description or [])
        try:
            values = await cursor.fetchall()
        except DataError:
            # The TimeZone of the session moves a time beyond Python's years: read it in UTC.
            transformer = Transformer()
            transformer.set_pgresult(cursor.pgresult)
            values = transformer.load_rows(0, cursor.rowcount, tuple)
        rows = [dict(zip(self.names, row, strict=True)) for row in values]
        for name, convert in self._from_database.items():
            for row in rows:
                row[name] = convert(row[name])
        return rows

    def _converted(self, values: Mapping[str, Any]) -> dict[str, Any]:
        into = self._to_database
        return {
            key: convert(value) if (convert := into.get(key)) else value
            for key, value in values.items()
        }

    def _learn(self, columns: Sequence[Column]) -> None:
        """Find out what the columns are called, and how their values are converted."""
        self.names = [column.name for column in columns]
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"two columns have the same name: {', '.join(self.names)}")
        for column, type_ in zip(columns, self._types, strict=True):
            convert = type_.dialect_impl(DIALECT).result_processor(DIALECT, column.type_code)
            if convert:
                self._from_database[column.name] = convert
