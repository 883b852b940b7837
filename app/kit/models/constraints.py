"""What the database itself refuses: CHECKs that repeat the bounds of fields, and keys."""

from collections.abc import Callable, Iterable, Iterator, Mapping
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
    String,
    Table,
    Text,
    UniqueConstraint,
    all_,
    and_,
    cast,
    func,
    literal_column,
    null,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, ExcludeConstraint, array

from app.kit.models.fields import LINE, OWNER_ID, References, Schema
from app.kit.models.literals import bound_in_sql
from app.kit.models.objects import DEEPEST, MOST_BYTES
from app.kit.models.patterns import is_common

# Alembic can alter or drop a constraint only by its name.
NAMING_CONVENTION = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}

_Checks = Mapping[str, Callable[[Column[Any], Any], ColumnElement[bool]]]

_CHECKS: _Checks = {
    "minLength": lambda column, bound: func.char_length(column) >= bound,
    "maxLength": lambda column, bound: func.char_length(column) <= bound,
    "minimum": lambda column, bound: column >= bound,
    "maximum": lambda column, bound: column <= bound,
    "exclusiveMinimum": lambda column, bound: column > bound,
    "exclusiveMaximum": lambda column, bound: column < bound,
    "pattern": lambda column, bound: column.regexp_match(bound_in_sql(bound)),
    "enum": lambda column, members: column.in_([*map(bound_in_sql, members)]),
    "minItems": lambda column, bound: func.cardinality(column) >= bound,
    "maxItems": lambda column, bound: func.cardinality(column) <= bound,
    "minProperties": lambda column, bound: _members(column) >= bound,
    "maxProperties": lambda column, bound: _members(column) <= bound,
}
_ITEM_CHECKS: _Checks = {
    # No item is as it was after it is cut.
    "minLength": lambda column, bound: (
        ~column.overlap(_cut(column, bound - 1))
        if bound > 1
        else literal_column("''") != all_(column)
    ),
    "maxLength": lambda column, bound: _cut(column, bound) == column,
    "minimum": lambda column, bound: bound <= all_(column),
    "maximum": lambda column, bound: bound >= all_(column),
    "exclusiveMinimum": lambda column, bound: bound < all_(column),
    "exclusiveMaximum": lambda column, bound: bound > all_(column),
    "enum": lambda column, members: column.contained_by(_texts(members)),
}
_OF_TEXT = frozenset({"minLength", "maxLength", "pattern"})
_RANGES = {
    "date": ("years_1_9999", "'0001-01-01'", "'10000-01-01'"),
    "date-time": ("years_1_9999", "'0001-01-01 +00'", "'10000-01-01 +00'"),
    "time-local": ("before_24_00", "'00:00'", "'24:00'"),
    "duration": ("days_99999999", "'-99999999 days -23:59:59.999999'", "'100000000 days'"),
}
"""PostgreSQL has more, and infinity. Neither Python nor JSON Schema can show these."""
_NOT_TEXT = frozenset({"uuid", "decimal", *_RANGES})
"""The formats of text that is not stored as text."""

_INT32 = (-(2**31), 2**31 - 1)
# PostgreSQL cuts longer names, and then no longer finds them.
_LONGEST_NAME = 63
# Of up to four bytes each, as 2,704 bytes are the most that PostgreSQL indexes.
_LONGEST_INDEXED = 500


def add_checks(table: Table, field: str, schema: Schema) -> None:
    """Add a CHECK for each bound in the JSON Schema of a field.

    The name of a CHECK has its bound (text as a checksum): Alembic compares CHECKs by name only,
    and so sees that a bound has changed. A pattern of the field's own gets one if PostgreSQL reads
    it as other engines do; one of the items of a list gets none.
    """
    column = table.c[field]
    checks = dict(_checks(column, schema, _CHECKS))
    if "items" in schema:
        checks["items_not_null"] = func.array_position(column, null()).is_(None)
        of_items = _checks(column, schema["items"], _ITEM_CHECKS)
        checks |= {f"items_{name}": check for name, check in of_items}
    if schema.get("type") == "object":
        checks["object"] = func.jsonb_typeof(column) == "object"
        checks[f"bytes_{MOST_BYTES}"] = func.octet_length(cast(column, Text)) <= MOST_BYTES
        deeper: ColumnElement[str] = literal_column(f"'$.**{{{DEEPEST + 1}}}'")
        checks[f"levels_{DEEPEST}"] = ~func.jsonb_path_exists(column, deeper)
    for name, check in checks.items():
        table.append_constraint(CheckConstraint(check, name=f"{field}_{name}"))


def _checks(
    column: Column[Any], schema: Schema, checks: _Checks
) -> Iterator[tuple[str, ColumnElement[bool]]]:
    """Give the name and the condition of each CHECK that a column needs, or its items."""
    format_ = schema.get("format")
    if format_ in _RANGES:
        name, first, after = _RANGES[format_]
        not_before = checks["minimum"](column, literal_column(first))
        yield name, and_(not_before, checks["exclusiveMaximum"](column, literal_column(after)))
    if format_ == "decimal":  # NaN is larger than all others
        yield "number", checks["exclusiveMaximum"](column, literal_column("'NaN'"))
    for keyword, bound in _bounds(schema).items():
        if keyword in checks:
            is_number = isinstance(bound, int | float)
            version = bound if is_number else f"{crc32(str(bound).encode()):08x}"
            yield f"{keyword.lower()}_{version}", checks[keyword](column, bound)


def _bounds(schema: Schema) -> Schema:
    bounds = {keyword: schema[keyword] for keyword in _CHECKS if keyword in schema}
    if schema.get("format") == "int32":  # the column itself keeps the widest ones
        bounds = {keyword: bound for keyword, bound in bounds.items() if bound not in _INT32}
    if schema.get("format") in _NOT_TEXT:
        bounds = {keyword: bound for keyword, bound in bounds.items() if keyword not in _OF_TEXT}
    pattern = bounds.get("pattern", LINE)
    if pattern not in {LINE, OWNER_ID} and not is_common(pattern):
        del bounds["pattern"]
    if "const" in schema:
        bounds["enum"] = [schema["const"]]
    return bounds


def _cut(column: Column[Any], length: int) -> ColumnElement[Any]:
    """Return a list of text whose items are cut, as a cast does."""
    return cast(column, ARRAY(String(length)))


def _texts(members: list[str]) -> ColumnElement[Any]:
    return cast(array([*map(bound_in_sql, members)]), ARRAY(String))


def _members(column: Column[Any]) -> ColumnElement[int]:
    """Return how many members a JSON object has."""
    values = func.jsonb_path_query_array(column, literal_column("'$.*'"))
    return func.jsonb_array_length(values)


def add_unique(table: Table, fields: tuple[str, ...]) -> None:
    """Make the values of some fields, together, unique among the rows of an owner.

    Raises:
        TypeError: a field is of a type that can be longer than what PostgreSQL indexes.
    """
    for name in fields:
        if isinstance(table.c[name].type, ARRAY | JSONB):
            raise TypeError(f"{name}: a list or an object cannot be unique: leave it out")
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
        if not ({"enum", "const"} & schema.keys() or schema.get("format") in _NOT_TEXT)
    }
    if sum(lengths.values()) > _LONGEST_INDEXED:
        names = ", ".join(name for name, length in lengths.items() if length)
        raise TypeError(
            f"{names}: an index holds {_LONGEST_INDEXED} characters in all, so text that is unique,"
            " sorted or filtered by needs a smaller max_length"
        )


def longest_text(schema: Schema) -> float:
    """Return the most characters of what JSON has as text."""
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
