"""What the database itself refuses: CHECKs that repeat the bounds of the models, and keys."""

from collections.abc import Callable, Iterable, Iterator
from math import inf
from typing import Any
from zlib import crc32

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKeyConstraint,
    Index,
    Table,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.types import TypeEngine
from sqlmodel.sql.sqltypes import AutoString

from app.models.fields import ANYTHING_BUT_NUL, References

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

_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_LEAST_AND_MOST = 2
# Of up to four bytes each, as 2,704 bytes are the most that PostgreSQL indexes.
_LONGEST_INDEXED = 500
_KEPT_BY_TYPE = frozenset({"uuid", "date", "date-time"})
"""The formats of text that is not stored as text, and has no other bounds than its type."""


def repeat_bounds(table: Table, schema: dict[str, Any]) -> None:
    """Give ``table`` a CHECK for each bound in the JSON Schema of its model.

    The bound becomes part of the constraint's name, what is no number as its checksum, because
    Alembic compares CHECKs by name only: so it sees that a bound has changed.
    """
    for field in schema["properties"]:
        for variant in _variants(schema, field):
            if variant.get("format") in _KEPT_BY_TYPE:
                continue
            for keyword, check in _CHECKS.items():
                # PostgreSQL stores no NUL anyhow.
                if keyword not in variant or variant[keyword] == ANYTHING_BUT_NUL:
                    continue
                bound = variant[keyword]
                version = (
                    bound if isinstance(bound, int | float) else f"{crc32(str(bound).encode()):08x}"
                )
                name = f"{field}_{keyword.lower()}_{version}"
                table.append_constraint(CheckConstraint(check(table.c[field], bound), name=name))


def column_types(schema: dict[str, Any]) -> Iterator[tuple[str, type[TypeEngine[Any]]]]:
    """Give the fields whose column is of another type than SQLModel's choice, and that type."""
    for field in schema["properties"]:
        for variant in _variants(schema, field):
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


def refuse_unbounded(table: Table, schema: dict[str, Any], indexed: Iterable[str]) -> None:
    """Refuse fields that would take what a column, or an index of it, cannot hold.

    Raises:
        TypeError: an integer has no bounds, text has no pattern, an enumeration is none of text, or
            text that is indexed may be too long for that.
    """
    for field in schema["properties"]:
        for variant in _variants(schema, field):
            if fault := _fault(variant, is_indexed=field in indexed):
                raise TypeError(f"{table.name}.{field} {fault}")


def _fault(variant: dict[str, Any], *, is_indexed: bool) -> str:
    if "enum" in variant:
        return "" if variant["type"] == "string" else "is an enumeration, but no StrEnum"
    match variant.get("type"):
        case "integer" if len(_BOUNDS & variant.keys()) < _LEAST_AND_MOST:
            return "has no bounds: use Integer of app.models.fields"
        case "string" if not {"pattern", "format"} & variant.keys():
            return "may have NUL in it: use Line or Text of app.models.fields"
        case "string" if is_indexed and _longest(variant) > _LONGEST_INDEXED:
            return f"is indexed: give it a max_length of at most {_LONGEST_INDEXED}"
    return ""


def _longest(variant: dict[str, Any]) -> float:
    return 0 if "format" in variant else variant.get("maxLength", inf)


def refuse_beyond_owner(table: Table) -> None:
    """Refuse what would tell an owner what another one has.

    Raises:
        TypeError: a foreign key, or what must be unique, does not name the owner.
    """
    keys: list[ForeignKeyConstraint | UniqueConstraint | ExcludeConstraint | Index] = [
        *table.foreign_key_constraints,
        *(k for k in table.constraints if isinstance(k, UniqueConstraint | ExcludeConstraint)),
        *(index for index in table.indexes if index.unique),
    ]
    for key in keys:
        if "owner_id" not in key.columns:
            names = ", ".join(key.columns.keys())
            raise TypeError(
                f"{table.name}.{names} has a constraint without owner_id:"
                " declare it in `unique`, or with `References`"
            )


def is_referred_to(table: Table) -> bool:
    """Tell whether a row may be one that cannot be deleted, because another one refers to it."""
    return any(
        key.target_fullname == f"{table.name}.id" and key.ondelete != "CASCADE"
        for other in table.metadata.tables.values()
        for key in other.foreign_keys
    )


def _variants(schema: dict[str, Any], field: str) -> Iterator[dict[str, Any]]:
    """Give what a field may be, null included, as the JSON Schema of its model says."""
    definition = schema["properties"][field]
    for variant in definition.get("anyOf", [definition]):
        name = variant.get("$ref", "").rpartition("/")[2]
        yield {**schema["$defs"][name], **variant} if name else variant
