"""Dialects that write no SQL beyond the rows of one owner, whatever a statement asks for.

They keep out what is easily written without a thought, not whoever means to get out: a function
that takes SQL or the name of a table as a value, such as ``query_to_xml``, is not recognized.
"""

import re
from collections.abc import Callable
from typing import Any, NoReturn

from sqlalchemy import ColumnClause, Extract, Select, TableClause
from sqlalchemy.dialects.postgresql.base import PGTypeCompiler
from sqlalchemy.dialects.postgresql.psycopg import (
    PGCompiler_psycopg,
    PGDialectAsync_psycopg,
    PGIdentifierPreparer_psycopg,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine
from sqlmodel import SQLModel

from app.kit.db.compiled import OWNER, OwnerMissingError

_CONSTANT = re.compile(r"\*|[0-9]+|'[\w%]*'")
"""The star of count(*), and constants, such as the percent sign of a pattern, in quotes."""
_TYPE = re.compile(r'[\w ."]+(\(\d+(, \d+)?\))?[\w ."]*(\[\])*')


class _Compiler(PGCompiler_psycopg):
    """Refuses SQL in text, because what is in it cannot be known."""

    def visit_column(self, column: ColumnClause[Any], *arguments: Any, **options: Any) -> str:
        if column.is_literal and not _CONSTANT.fullmatch(column.name):
            raise OwnerMissingError(column)
        text: str = super().visit_column(column, *arguments, **options)
        return text

    def visit_extract(self, extract: Extract, **options: Any) -> str:
        if not extract.field.isidentifier():
            raise OwnerMissingError(extract)
        text: str = super().visit_extract(extract, **options)  # type: ignore[no-untyped-call]
        return text

    def _refuse(self, *refused: Any, **_: Any) -> NoReturn:
        raise OwnerMissingError(refused)

    visit_textclause = visit_tstring = visit_tstring_text = _refuse
    visit_custom_op_binary = visit_custom_op_unary_operator = _refuse
    visit_custom_op_unary_modifier = _refuse
    get_statement_hint_text = get_select_hint_text = _refuse


class _QueryCompiler(_Compiler):
    """Writes an owned table as the rows of it that the owner has, wherever a query names it."""

    visit_insert = visit_update = visit_delete = _Compiler._refuse  # noqa: SLF001 - of its base

    def visit_table(self, table: TableClause, *arguments: Any, **options: Any) -> str:
        name: str = super().visit_table(table, *arguments, **options)  # type: ignore[no-untyped-call]
        if not options.get("asfrom"):
            return name
        known = [
            t
            for t in SQLModel.metadata.tables.values()
            if t.name == table.name and t.schema == table.schema
        ]
        if not known:  # it may be a partition, or a view
            raise OwnerMissingError(table)
        if not any("owner_id" in t.c for t in known):
            return name
        mine = f"(SELECT * FROM {name} WHERE owner_id = {self.process(OWNER)})"  # noqa: S608 - no input
        alias = options.get("enclosing_alias")
        has_alias = alias is not None and alias.element is table
        return mine if has_alias else f"{mine} AS {self.preparer.quote(table.name)}"


def _on_its_own(visit: Callable[..., Any]) -> Callable[..., Any]:
    """Make a method of a compiler that refuses statements in others, and on several tables."""

    def checked(compiler: SQLCompiler, statement: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as SQLAlchemy has it
        is_query = isinstance(statement, Select)
        if compiler.stack or (is_query and len(statement.get_final_froms()) != 1):
            raise OwnerMissingError(statement)
        return visit(compiler, statement, *arguments, **options)

    return checked


class _StatementCompiler(_Compiler):
    """Writes one statement, on one table."""

    visit_select = _on_its_own(_Compiler.visit_select)
    visit_insert = _on_its_own(_Compiler.visit_insert)
    visit_update = _on_its_own(_Compiler.visit_update)
    visit_delete = _on_its_own(_Compiler.visit_delete)
    visit_compound_select = _Compiler._refuse  # noqa: SLF001 - of its base
    update_from_clause = delete_extra_from_clause = _Compiler._refuse  # noqa: SLF001


class _TypeCompiler(PGTypeCompiler):
    """Refuses types with more in their arguments than numbers."""

    def process(self, type_: TypeEngine[Any], **options: Any) -> str:
        text = super().process(type_, **options)
        if not _TYPE.fullmatch(text):
            raise OwnerMissingError(type_)
        return text


class _Preparer(PGIdentifierPreparer_psycopg):
    """Refuses a name that is not to be quoted, because any SQL may be in it."""

    def quote(self, ident: str, force: object = None) -> str:  # noqa: ARG002 - SQLAlchemy's
        if getattr(ident, "quote", None) is False:
            raise OwnerMissingError(ident)
        text: str = super().quote(ident)
        return text


class _Dialect(PGDialectAsync_psycopg):
    preparer = _Preparer
    type_compiler_cls = _TypeCompiler
    supports_statement_cache = True


class _QueryDialect(_Dialect):
    statement_compiler = _QueryCompiler
    supports_statement_cache = True


class _StatementDialect(_Dialect):
    statement_compiler = _StatementCompiler
    supports_statement_cache = True


QUERY: Dialect = _QueryDialect()  # type: ignore[no-untyped-call]
"""For any query: it finds no rows but the owner's."""

STATEMENT: Dialect = _StatementDialect()  # type: ignore[no-untyped-call]
"""For a statement about one table, which says itself whose rows it is about."""
