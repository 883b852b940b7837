"""What rows are sorted by. Null is the largest value."""

from typing import Any

from sqlalchemy import BigInteger, Column, ColumnElement, Integer, func, literal_column


def sort_key(column: Column[Any], value: ColumnElement[Any] | None = None) -> ColumnElement[Any]:
    """Return what a column is sorted by, or what a value for it is compared as.

    Nulls are replaced, so that one index serves both orders and every page. What replaces them is
    in the text of the statement, and reads the same in any time zone: or else PostgreSQL would not
    find the index, and Alembic would see another one.
    """
    expression = column if value is None else value
    if not column.nullable:
        return expression
    return func.coalesce(expression, literal_column(_largest(column)))


def _largest(column: Column[Any]) -> str:
    if isinstance(column.type, BigInteger):
        return str(2**63 - 1)
    return str(2**31 - 1) if isinstance(column.type, Integer) else "'infinity'"
