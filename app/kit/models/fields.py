"""Field types that resources share. Their rules stand in the JSON Schema, for clients to know."""

import re
from dataclasses import dataclass
from datetime import date, datetime
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from pydantic import (
    BeforeValidator,
    Field,
    StrictFloat,
    StrictInt,
    StringConstraints,
    WithJsonSchema,
)
from sqlmodel import SQLModel

# Spelled out, because engines disagree on \s: Python, Rust, ECMAScript, PostgreSQL. Hey API writes
# \u2028 into a regular expression as the character itself, a line separator, which ends it there.
# So a line leaves out U+2027 to U+202A, and lets the first and the last of them in again.
_SPACE = r"\x20\xa0\u1680\u2000-\u200a\u202f\u205f\u3000\ufeff"
_REFUSED = r"\x00-\x1f\x7f-\x9f\u2027-\u202a"
_ANY = rf"(?:[^{_REFUSED}]|[\u2027\u202a])"
_VISIBLE = rf"(?:[^{_REFUSED}{_SPACE}]|[\u2027\u202a])"

Line = Annotated[
    str,
    StringConstraints(min_length=1, pattern=f"^[{_SPACE}]*{_VISIBLE}{_ANY}*$"),
]
"""One line of text: not blank, no control characters. Narrow it with a ``max_length``."""

ANYTHING_BUT_NUL = r"^[^\x00]*$"
Text = Annotated[str, StringConstraints(pattern=ANYTHING_BUT_NUL)]
"""Any text that PostgreSQL can store. Narrow it with a ``max_length``."""

_UUID = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
# The first digit ends at d, because later times are beyond the year 9999.
_UUID7 = (
    "^[0-9a-dA-D][0-9a-fA-F]{7}-[0-9a-fA-F]{4}"
    "-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$"
)
# The year 0 is a date in a schema, and in no database.
_YEAR = "([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
_DATE = f"^{_YEAR}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
_TIME = f"{_DATE[:-1]}T([01][0-9]|2[0-3])(:[0-5][0-9]){{2}}(\\.[0-9]{{1,6}})?Z$"


def _spelled(kind: type, name: str, **schema: Any) -> tuple[BeforeValidator, WithJsonSchema]:
    """A value in the one spelling that the schema shows; Pydantic takes several."""

    def match(value: object) -> object:
        if isinstance(value, kind):
            return value
        if not isinstance(value, str) or not re.fullmatch(schema["pattern"], value):
            raise ValueError(f"Value should be {name}")
        return value

    return BeforeValidator(match), WithJsonSchema({"type": "string", **schema})


Id = Annotated[
    UUID, *_spelled(UUID, "a UUID with hyphens", format="uuid", pattern=_UUID, maxLength=36)
]
"""The id of a row, as clients write it."""

NewId = Annotated[
    UUID,
    *_spelled(
        UUID, "a UUID of version 7 with hyphens", format="uuid", pattern=_UUID7, maxLength=36
    ),
]
"""The id of a new row, a UUIDv7 (RFC 9562) that the client chose."""

Date = Annotated[
    date, *_spelled(date, "a date as 2026-11-22", format="date", pattern=_DATE, maxLength=10)
]
"""A day, from the year 1 to the year 9999."""

Integer = Annotated[
    StrictInt, Field(ge=-(2**31), le=2**31 - 1, json_schema_extra={"format": "int32"})
]
"""A whole number. Narrow it with ``ge`` and ``le``."""

# JavaScript has no larger number that is exact.
BigInteger = Annotated[
    StrictInt, Field(ge=1 - 2**53, le=2**53 - 1, json_schema_extra={"format": "int64"})
]
"""A whole number that may be larger. Narrow it with ``ge`` and ``le``."""

# Almost the largest one that is finite, with a name that a constraint can have.
Float = Annotated[StrictFloat, Field(ge=-1e308, le=1e308, json_schema_extra={"format": "double"})]
"""A number with a fraction, in double precision. Narrow it with ``ge`` and ``le``."""

Time = Annotated[
    datetime,
    *_spelled(
        datetime,
        "a time in UTC as 2026-11-22T08:54:25Z",
        format="date-time",
        pattern=_TIME,
        maxLength=27,
        examples=["2026-11-22T08:54:25.158000Z"],
    ),
]
"""A moment, in UTC (RFC 3339)."""

# Without {1,255}, with which PostgreSQL takes a hundred times as long to check a row.
OwnerId = Annotated[str, StringConstraints(max_length=255, pattern=r"^[\u0021-\u007e]+$")]
"""Visible ASCII, as OpenID Connect allows a ``sub`` to be (Core 1.0, section 2)."""


@dataclass(frozen=True)
class References:
    """Makes an id that of another row of the same owner: ``Annotated[Id, References("task")]``.

    Attributes:
        table: where that row is.
        ondelete: ``CASCADE`` deletes what refers to a row together with it. Without it, a row
            that something refers to cannot be deleted. ``SET NULL`` is not there, because it
            would change rows and not their entity tags.
    """

    table: str
    ondelete: Literal["CASCADE"] | None = None


def declared_type(model: type[SQLModel], field: str) -> object:
    """Return the type of a field, with all that is annotated, but for null."""
    declared: object = get_type_hints(model, include_extras=True)[field]
    if get_origin(declared) in {Union, UnionType}:
        declared = next(part for part in get_args(declared) if part is not NoneType)
    return declared


def bare_type(declared: object) -> object:
    """Return a type without what is annotated."""
    return get_args(declared)[0] if get_origin(declared) is Annotated else declared
