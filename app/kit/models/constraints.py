"""What the database itself refuses: CHECKs that repeat the bounds of fields, and keys."""

import re
from collections.abc import Callable, Iterable
from math import inf
from typing import Any
from zlib import crc32

from sqlalchemy import (
    CheckConstraint,
    Column,
    ColumnElement,
    Constraint,
    ForeignKeyConstraint,
    Index,
    Table,
    UniqueConstraint,
    and_,
    func,
    literal_column,
)
from sqlalchemy.dialects.postgresql import ExcludeConstraint

from app.kit.models.fields import LINE, OWNER_ID, References, Schema

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
    "enum": lambda column, members: column.in_(members),
}
_NOT_TEXT = frozenset({"uuid", "date", "date-time"})
"""The formats of text that is not stored as text."""
_YEARS = {
    "date": ("'0001-01-01'", "'10000-01-01'"),
    "date-time": ("'0001-01-01 +00'", "'10000-01-01 +00'"),
}
"""PostgreSQL has more years, and infinity. Neither Python nor JSON Schema can show them."""

_INT32 = (-(2**31), 2**31 - 1)
# PostgreSQL cuts longer names, and then no longer finds them.
_LONGEST_NAME = 63
# Of up to four bytes each, as 2,704 bytes are the most that PostgreSQL indexes.
_LONGEST_INDEXED = 500


def add_checks(table: Table, field: str, schema: Schema) -> None:
    """Add a CHECK for each bound in the JSON Schema of a field.

    The name of a CHECK has its bound (text as a checksum): Alembic compares CHECKs by name only,
    and so sees that a bound has changed. A pattern of the field's own gets none, because engines
    read patterns differently.
    """
    column, format_ = table.c[field], schema.get("format")
    if format_ in _YEARS:
        first, after = _YEARS[format_]
        years = and_(column >= literal_column(first), column < literal_column(after))
        table.append_constraint(CheckConstraint(years, name=f"{field}_years_1_9999"))
    if format_ in _NOT_TEXT:
        return
    for keyword, bound in _bounds(schema).items():
        version = bound if isinstance(bound, int | float) else f"{crc32(str(bound).encode()):08x}"
        name = f"{field}_{keyword.lower()}_{version}"
        table.append_constraint(CheckConstraint(_CHECKS[keyword](column, bound), name=name))


def _bounds(schema: Schema) -> Schema:
    bounds = {keyword: schema[keyword] for keyword in _CHECKS if keyword in schema}
    if schema.get("format") == "int32":  # the column itself keeps the widest ones
        bounds = {keyword: bound for keyword, bound in bounds.items() if bound not in _INT32}
    if bounds.get("pattern") not in {LINE, OWNER_ID}:
        bounds.pop("pattern", None)
    if "const" in schema:
        bounds["enum"] = [schema["const"]]
    if any({"%", ":"} & {*member} for member in bounds.get("enum", [])):
        bounds["pattern"] = _one_of(bounds.pop("enum"))
    return bounds


def _one_of(members: Iterable[str]) -> str:
    r"""Return a pattern that matches each member, without ``%`` and ``:``.

    In a migration it is a part of text, where SQLAlchemy doubles the one and takes the other for
    the start of a parameter. PostgreSQL reads ``\U00000025`` as ``%``.
    """
    pattern = f"^({'|'.join(map(re.escape, members))})$"
    return pattern.replace("%", r"\U00000025").replace(":", r"\U0000003a")


def add_unique(table: Table, fields: tuple[str, ...]) -> None:
    """Make the values of some fields, together, unique among the rows of an owner."""
    table.append_constraint(UniqueConstraint(table.c.owner_id, *(table.c[name] for name in fields)))


def add_foreign_key(table: Table, field: str, reference: References) -> None:
    """Add the foreign key of a field, the owner in it, and the index that deletes need."""
    columns = [table.c.owner_id, table.c[field]]
    key = [f"{reference.table}.owner_id", f"{reference.table}.id"]
    table.append_constraint(ForeignKeyConstraint(columns, key, ondelete=reference.ondelete))
    Index(None, *columns, table.c.id)


def referred_table(table: Table, fields: Iterable[str]) -> Table:
    """Return the table that a foreign key of these fields refers to."""
    columns = {"owner_id", *fields}
    keys = (k for k in table.foreign_key_constraints if {*k.columns.keys()} == columns)
    return next(keys).referred_table


def is_referred_to(table: Table) -> bool:
    """Tell whether rows of other tables may keep a row of this one from being deleted."""
    return any(
        key.target_fullname == f"{table.name}.id" and key.ondelete != "CASCADE"
        for other in table.metadata.tables.values()
        for key in other.foreign_keys
    )


def refuse_long_keys(schemas: dict[str, Schema]) -> None:
    """Refuse text that may be too long for an index.

    Args:
        schemas: the JSON Schemas of the fields that one index may have.

    Raises:
        TypeError: together they may be longer than what PostgreSQL indexes.
    """
    lengths = {
        name: longest_text(schema)
        for name, schema in schemas.items()
        if not {"format", "enum", "const"} & schema.keys()
    }
    if sum(lengths.values()) > _LONGEST_INDEXED:
        names = ", ".join(name for name, length in lengths.items() if length)
        raise TypeError(
            f"{names}: an index holds {_LONGEST_INDEXED} characters in all, so text that is unique,"
            " sorted or filtered by needs a smaller max_length"
        )


def longest_text(schema: Schema) -> float:
    """Return the most characters of what is stored as text."""
    if schema.get("type") != "string":
        return 0
    if members := schema.get("enum", [schema["const"]] if "const" in schema else []):
        return max(map(len, members))
    longest: float = schema.get("maxLength", inf)
    return longest


def refuse_unsafe(table: Table) -> None:
    """Refuse what would tell an owner what another one has, and names that PostgreSQL would cut.

    Raises:
        TypeError: a key does not name the owner, or a name is too long.
    """
    keys: list[Constraint | Index] = [*table.constraints, *table.indexes]
    for key in keys:
        name = str(key.name or "")
        if len(name) > _LONGEST_NAME:
            raise TypeError(
                f"the name {name} has {len(name)} characters, and PostgreSQL takes"
                f" {_LONGEST_NAME}: give the field or the class a shorter name"
            )
        if not isinstance(key, Index | UniqueConstraint | ForeignKeyConstraint | ExcludeConstraint):
            continue
        if "owner_id" not in key.columns and not (isinstance(key, Index) and not key.unique):
            raise TypeError(
                f"{', '.join(key.columns.keys())}: a constraint without owner_id would hold beyond"
                " one owner. Declare it in `unique`, or with References"
            )
