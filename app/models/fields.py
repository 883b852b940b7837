"""Field types that resources share. Their rules stand in the JSON Schema, for clients to know."""

import re
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

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


def _matching(pattern: str, name: str) -> tuple[BeforeValidator, WithJsonSchema]:
    """A UUID in the one spelling that the schema shows; Pydantic takes several."""

    def match(value: object) -> object:
        if isinstance(value, str) and not re.fullmatch(pattern, value):
            raise ValueError(f"Value should be a {name} with hyphens")
        return value

    schema = {"type": "string", "format": "uuid", "pattern": pattern, "maxLength": 36}
    return BeforeValidator(match), WithJsonSchema(schema)


Id = Annotated[UUID, *_matching(_UUID, "UUID")]
"""The id of a row, as clients write it."""

NewId = Annotated[UUID, *_matching(_UUID7, "UUID of version 7")]
"""The id of a new row, a UUIDv7 (RFC 9562) that the client chose."""

Time = Annotated[
    datetime,
    Field(json_schema_extra={"maxLength": 32}, examples=["2026-11-22T08:54:25.158000Z"]),
]
"""A moment, which clients see in UTC."""

# Without {1,255}, with which PostgreSQL takes a hundred times as long to check a row.
OwnerId = Annotated[
    str, StringConstraints(min_length=1, max_length=255, pattern=r"^[\u0021-\u007e]+$")
]
"""Visible ASCII, as OpenID Connect allows a ``sub`` to be (Core 1.0, section 2)."""
