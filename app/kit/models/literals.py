"""Values in DDL: they reach PostgreSQL by way of a migration, which is Python."""

import json
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, false, literal_column, true


def bound_in_sql(text: str) -> Any:  # noqa: ANN401 - text, or an element of SQL
    """Return text that a CHECK compares with.

    In the text of a migration, SQLAlchemy doubles each ``%`` and takes what follows ``:`` for a
    parameter.
    """
    return _escaped(text) if {"%", ":"} & {*text} else text


def default_in_sql(default: Any) -> Any:  # noqa: ANN401 - of any kind
    """Return the default of a column. Alembic compares it as text without doubling its ``'``."""
    if isinstance(default, bool):
        return true() if default else false()
    text = text_in_sql(default)
    return _escaped(text) if "'" in text else text


def _escaped(text: str) -> ColumnElement[str]:
    signs = (f"\\x{ord(sign):02x}" if sign in "%:'\\" else sign for sign in text)
    return literal_column(f"E'{''.join(signs)}'")


def text_in_sql(value: Any) -> str:  # noqa: ANN401 - of any kind
    """Return the text that PostgreSQL reads a value from, whatever styles a session has."""
    match value:
        case timedelta():
            # With each sign, or else one could hold for what follows too, as in standard SQL.
            return f"{value.days:+} days {value.seconds:+} s {value.microseconds:+} us"
        case dict():
            return json.dumps(value)
        case list():
            items = (json.dumps(text_in_sql(item), ensure_ascii=False) for item in value)
            return f"{{{','.join(items)}}}"
        case _:
            return str(value)
