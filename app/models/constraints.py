"""What the database itself refuses: CHECKs that repeat the bounds of the models."""

from collections.abc import Callable
from typing import Any
from zlib import crc32

from sqlalchemy import CheckConstraint, Column, ColumnElement, Table, func

from app.models.fields import ANYTHING_BUT_NUL

# Alembic can alter or drop a constraint only by its name.
NAMING_CONVENTION = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}

_CHECKS: dict[str, Callable[[Column[Any], Any], ColumnElement[bool]]] = {
    "minLength": lambda column, bound: func.char_length(column) >= bound,
    "maxLength": lambda column, bound: func.char_length(column) <= bound,
    "minimum": lambda column, bound: column >= bound,
    "maximum": lambda column, bound: column <= bound,
    "exclusiveMinimum": lambda column, bound: column > bound,
    "exclusiveMaximum": lambda column, bound: column < bound,
    "pattern": lambda column, bound: column.regexp_match(bound),
}


def repeat_bounds(table: Table, schema: dict[str, Any]) -> None:
    """Give ``table`` a CHECK for each bound in the JSON Schema of its model.

    The bound becomes part of the constraint's name, a pattern as its checksum, because Alembic
    compares CHECKs by name only: so it sees that a bound has changed.
    """
    for field, definition in schema["properties"].items():
        for variant in definition.get("anyOf", [definition]):
            for keyword, check in _CHECKS.items():
                # PostgreSQL stores no NUL anyhow.
                if keyword not in variant or variant[keyword] == ANYTHING_BUT_NUL:
                    continue
                bound = variant[keyword]
                version = f"{crc32(bound.encode()):08x}" if keyword == "pattern" else bound
                name = f"{field}_{keyword.lower()}_{version}"
                table.append_constraint(CheckConstraint(check(table.c[field], bound), name=name))
