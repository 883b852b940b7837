"""What rows are sorted by. Null is the largest value."""

from typing import Any

from sqlalchemy import ColumnElement, func, literal_column

from app.kit.models.declarations import StrictType


def sort_key(value: ColumnElement[Any], type_: StrictType) -> ColumnElement[Any]:
    """Return what a column is sorted by, or what a value for it is compared as.

    Nulls are replaced, so that one index serves both orders and every page. What replaces them is
    in the text of the statement, and reads the same in any time zone: or else PostgreSQL would not
    find the index, and Alembic would see another one.
    """
    if type_.kind.ordering is None or not type_.is_nullable:
        return value
    return func.coalesce(value, literal_column(type_.kind.ordering.largest))
