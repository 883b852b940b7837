"""What models and schemas may not declare: what the database, or the contract, could not keep."""

from collections.abc import Iterable
from datetime import date, datetime
from enum import StrEnum
from math import inf, isinf
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin
from uuid import UUID

from pydantic import MISSING, BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from sqlalchemy import ForeignKeyConstraint, Index, Table, UniqueConstraint
from sqlalchemy.dialects.postgresql import ExcludeConstraint

from app.kit.models.constraints import variants
from app.kit.models.patterns import admits_nul, is_ambiguous

_SUPPORTED: dict[Any, str] = {
    bool: "StrictBool of pydantic",
    int: "Integer or BigInteger of app.kit.models.fields",
    float: "Float of app.kit.models.fields",
    str: "Line or Text of app.kit.models.fields",
    date: "Date of app.kit.models.fields",
    datetime: "Time of app.kit.models.fields",
    UUID: "Id of app.kit.models.fields",
    StrEnum: "a StrEnum",
}
_ALL_SUPPORTED = (
    "a StrEnum, StrictBool of pydantic, or"
    " Line, Text, Integer, BigInteger, Float, Date, Time or Id of app.kit.models.fields"
)
# Of up to four bytes each, as 2,704 bytes are the most that PostgreSQL indexes.
_LONGEST_INDEXED = 500


def refuse_unsupported(model: type[BaseModel]) -> None:
    """Refuse fields that would take what a column cannot hold, or a value that is coerced.

    Args:
        model: a table, or a schema of what clients send.

    Raises:
        TypeError: a field is of a type that is not supported, a number has no bounds or wider ones
            than its column, text may have NUL in it or has a pattern that is ambiguous, or a value
            may be written in several ways.
    """
    for name, field in model.model_fields.items():
        kinds = _kinds(field.annotation)
        if len(kinds) != 1 or kinds[0] not in _SUPPORTED:
            names = " | ".join(getattr(kind, "__name__", str(kind)) for kind in kinds)
            raise TypeError(
                f"{model.__name__}.{name} is of type {names}, which is not supported:"
                f" use {_ALL_SUPPORTED}"
            )
    schema = model.model_json_schema(by_alias=False)
    for name, field in model.model_fields.items():
        (kind,) = _kinds(field.annotation)
        for variant in variants(schema, name):
            if variant.get("type") != "null" and (fault := _fault(kind, field, variant)):
                raise TypeError(f"{model.__name__}.{name} {fault}: use {_SUPPORTED[kind]}")


def _kinds(declared: object) -> list[Any]:
    """What a field may be, without null, `MISSING` and what is annotated."""
    if get_origin(declared) is Annotated:
        return _kinds(get_args(declared)[0])
    if get_origin(declared) in {Union, UnionType}:
        return [kind for part in get_args(declared) for kind in _kinds(part)]
    if declared in {NoneType, MISSING}:
        return []
    is_enumeration = isinstance(declared, type) and issubclass(declared, StrEnum)
    return [StrEnum if is_enumeration else declared]


def _fault(kind: type, field: FieldInfo, variant: dict[str, Any]) -> str:
    """Return what is wrong with a field, if anything is."""
    if kind is str and ("pattern" not in variant or admits_nul(variant["pattern"])):
        return r"may have NUL in it (a pattern must go from ^ to $, and [^…] must have \x00)"
    if kind is str and is_ambiguous(variant["pattern"]):
        return r"has \d, \s, \w or \b in its pattern, which not everybody reads alike (write [0-9])"
    if kind in {date, datetime, UUID} and "pattern" not in variant:
        return "may be written in several ways"
    if kind in {int, float} and (fault := _fault_of_bounds(kind, variant)):
        return fault
    if kind in {bool, int, float} and not _is_strict(kind, field):
        return "coerces values of other types"
    return ""


def _fault_of_bounds(kind: type, variant: dict[str, Any]) -> str:
    least = max(variant.get("minimum", -inf), variant.get("exclusiveMinimum", -inf))
    most = min(variant.get("maximum", inf), variant.get("exclusiveMaximum", inf))
    if isinf(least) or isinf(most):
        return "has no bounds"
    if kind is int:
        bits = 53 if variant.get("format") == "int64" else 31
        if least < -(2**bits) or most >= 2**bits:
            return "has bounds beyond those of its type"
    return ""


def _is_strict(kind: type, field: FieldInfo) -> bool:
    try:
        TypeAdapter(field.rebuild_annotation()).validate_python("1")
    except ValidationError as error:
        return f"{kind.__name__}_type" in {detail["type"] for detail in error.errors()}
    return False


def refuse_long_keys(table: Table, schema: dict[str, Any], indexed: Iterable[str]) -> None:
    """Refuse text that may be too long for an index.

    Args:
        table: the table of the model.
        schema: the JSON Schema of the model.
        indexed: the fields that an index has, perhaps the same one.

    Raises:
        TypeError: together they may be longer than what PostgreSQL indexes.
    """
    lengths = {field: max(map(_longest, variants(schema, field))) for field in indexed}
    if sum(lengths.values()) > _LONGEST_INDEXED:
        names = ", ".join(field for field, length in lengths.items() if length)
        most = f"of at most {_LONGEST_INDEXED} in all"
        raise TypeError(f"{table.name}.{names} is indexed: give it a max_length {most}")


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
