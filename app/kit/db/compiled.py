"""Statements that are built and compiled once, and sent with new values as often as need be."""

from collections.abc import Callable, Mapping
from typing import Any

from psycopg.abc import Transformer
from psycopg.pq.abc import PGresult
from sqlalchemy import BindParameter, Select, String, UpdateBase, bindparam
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlmodel.sql.sqltypes import UTCDateTime

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
        self._to_database: dict[str, Convert] = {
            key: convert
            for key, bind in compiled.binds.items()
            if (convert := bind.type.dialect_impl(DIALECT).bind_processor(DIALECT))
        }
        self._to_database.update(expanded.processors)
        constants = {k: v for k, v in expanded.parameters.items() if k not in variables}
        self._constants = self._converted(constants)
        self._types = [column.type for column in source.exported_columns]
        self.names: list[str] = []
        self._from_database: dict[str, Convert] = {}

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of all parameters as psycopg takes them."""
        return {**self._constants, **self._converted(given)}

    def rows(self, result: PGresult, transformer: Transformer) -> list[Row]:
        """Return the rows of a result, by the names of the columns, and free its memory.

        Args:
            result: what came when it was executed.
            transformer: reads values. Not that of the connection: the TimeZone of the session may
                move a time beyond Python's years.
        """
        if not self.names:
            self._learn(result)
        transformer.set_pgresult(result)
        values = transformer.load_rows(0, result.ntuples, tuple)
        result.clear()
        rows = [dict(zip(self.names, row, strict=False)) for row in values]  # `_learn` has compared
        for name, convert in self._from_database.items():
            for row in rows:
                row[name] = convert(row[name])
        return rows

    def _converted(self, values: Mapping[str, Any]) -> dict[str, Any]:
        converted = dict(values)
        for key, convert in self._to_database.items():
            if key in converted:
                converted[key] = convert(converted[key])
        return converted

    def _learn(self, result: PGresult) -> None:
        """Find out what the columns are called, and how their values are converted."""
        names = [(result.fname(place) or b"").decode() for place in range(result.nfields)]
        if len(set(names)) != len(names):
            raise ValueError(f"two columns have the same name: {', '.join(names)}")
        for place, (name, type_) in enumerate(zip(names, self._types, strict=True)):
            convert = type_.dialect_impl(DIALECT).result_processor(DIALECT, result.ftype(place))
            if convert and not isinstance(type_, UTCDateTime):  # psycopg reads these in UTC
                self._from_database[name] = convert
        self.names = names
