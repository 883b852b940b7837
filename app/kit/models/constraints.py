"""What the database itself refuses: CHECKs that repeat the bounds of the models, and keys."""

from collections.abc import Callable, Iterator
from typing import Any
from zlib import crc32

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKeyConstraint,
    Table,
    func,
)
from sqlalchemy.types import TypeEngine
from sqlmodel.sql.sqltypes import AutoString

from app.kit.models.fields import ANYTHING_BUT_NUL, References
from app.kit.models.patterns import in_sql, one_of

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
    "enum": lambda column, values: column.in_(values),
}

_KEPT_BY_TYPE = frozenset({"uuid", "date", "date-time"})
"""The formats of text that is not stored as text, and has no other bounds than its type."""


def repeat_bounds(table: Table, schema: dict[str, Any]) -> None:
    """Give ``table`` a CHECK for each bound in the JSON Schema of its model.

    The bound becomes part of the constraint's name, what is no number as its checksum, because
    Alembic compares CHECKs by name only: so it sees that a bound has changed.
    """
    for field in schema["properties"]:
        for variant in variants(schema, field):
            if variant.get("format") in _KEPT_BY_TYPE:
                continue
            for keyword, bound in _bounds(variant).items():
                version = (
                    bound if isinstance(bound, int | float) else f"{crc32(str(bound).encode()):08x}"
                )
                name = f"{field}_{keyword.lower()}_{version}"
                check = _CHECKS[keyword](table.c[field], bound)
                table.append_constraint(CheckConstraint(check, name=name))


def _bounds(variant: dict[str, Any]) -> dict[str, Any]:
    """Return the bounds that CHECKs keep, in a form that a migration can have."""
    bounds = {keyword: variant[keyword] for keyword in _CHECKS if keyword in variant}
    if bounds.get("pattern") == ANYTHING_BUT_NUL:
        del bounds["pattern"]  # PostgreSQL stores no NUL anyhow
    if any({"%", ":"} & {*member} for member in bounds.get("enum", [])):
        bounds["pattern"] = one_of(bounds.pop("enum"))
    if "pattern" in bounds:
        bounds["pattern"] = in_sql(bounds["pattern"])
    return bounds


def column_types(schema: dict[str, Any]) -> Iterator[tuple[str, type[TypeEngine[Any]]]]:
    """Give the fields whose column is of another type than SQLModel's choice, and that type."""
    for field in schema["properties"]:
        for variant in variants(schema, field):
            # To change a CHECK is one migration. To change a type of PostgreSQL is more.
            if "enum" in variant:
                yield field, AutoString
            if variant.get("format") == "int64":
                yield field, BigInteger


def refer(table: Table, field: str, reference: References) -> None:
    """Give ``table`` the foreign key that a field declares. The owner is a part of it."""
    columns = [table.c.owner_id, table.c[field]]
    key = [f"{reference.table}.owner_id", f"{reference.table}.id"]
    table.append_constraint(ForeignKeyConstraint(columns, key, ondelete=reference.ondelete))


def is_referred_to(table: Table) -> bool:
    """Tell whether a row may be one that cannot be deleted, because another one refers to it."""
    return any(
        key.target_fullname == f"{table.name}.id" and key.ondelete != "CASCADE"
        for other in table.metadata.tables.values()
        for key in other.foreign_keys
    )


def variants(schema: dict[str, Any], field: str) -> Iterator[dict[str, Any]]:
    """Give what a field may be, null included, as the JSON Schema of its model says."""
    definition = schema["properties"][field]
    for variant in definition.get("anyOf", [definition]):
        name = variant.get("$ref", "").rpartition("/")[2]
        yield {**schema["$defs"][name], **variant} if name else variant
