"""What a model may not declare, because the database could not keep it."""

from collections.abc import Iterable
from math import inf
from typing import Any

from sqlalchemy import ForeignKeyConstraint, Index, Table, UniqueConstraint
from sqlalchemy.dialects.postgresql import ExcludeConstraint

from app.models.constraints import variants

_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_LEAST_AND_MOST = 2
# Of up to four bytes each, as 2,704 bytes are the most that PostgreSQL indexes.
_LONGEST_INDEXED = 500


def refuse_unbounded(table: Table, schema: dict[str, Any], indexed: Iterable[str]) -> None:
    """Refuse fields that would take what a column, or an index of it, cannot hold.

    Args:
        table: the table of the model.
        schema: the JSON Schema of the model.
        indexed: the fields that an index has, perhaps the same one.

    Raises:
        TypeError: an integer has no bounds, text has no pattern, an enumeration is none of text, or
            text that is indexed may be too long for that.
    """
    for field in schema["properties"]:
        for variant in variants(schema, field):
            if fault := _fault(variant):
                raise TypeError(f"{table.name}.{field} {fault}")
    lengths = {field: max(map(_longest, variants(schema, field))) for field in indexed}
    if sum(lengths.values()) > _LONGEST_INDEXED:
        names = ", ".join(field for field, length in lengths.items() if length)
        most = f"of at most {_LONGEST_INDEXED} in all"
        raise TypeError(f"{table.name}.{names} is indexed: give it a max_length {most}")


def _fault(variant: dict[str, Any]) -> str:
    if "enum" in variant:
        return "" if variant["type"] == "string" else "is an enumeration, but no StrEnum"
    match variant.get("type"):
        case "integer" if len(_BOUNDS & variant.keys()) < _LEAST_AND_MOST:
            return "has no bounds: use Integer of app.models.fields"
        case "string" if not {"pattern", "format"} & variant.keys():
            return "may have NUL in it: use Line or Text of app.models.fields"
    return ""


def _longest(variant: dict[str, Any]) -> float:
    """The most characters of what is stored as text, members of an enumeration apart."""
    if variant.get("type") != "string" or {"format", "enum"} & variant.keys():
        return 0
    longest: float = variant.get("maxLength", inf)
    return longest


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
