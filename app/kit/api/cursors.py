"""Cursors: opaque positions in a sorted list."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import date, datetime
from struct import Struct
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field
from sqlalchemy import BigInteger, Column, Date, Integer

from app.kit.db.statements import Position
from app.kit.models.time import from_microseconds, to_microseconds

# A number that stands for the value, and the 16 bytes of an id: 24 bytes are 32 characters of
# base64url.
_PACKED = Struct(">q16s")
_NULL = 2**63 - 1

Cursor = Annotated[
    str,
    Field(
        max_length=32,
        pattern=r"^[A-Za-z0-9_-]{32}$",
        description="Where a page starts.",
        examples=["AAZA3fXJ0-gBogJ2uoZ2oojvjpgwnQBH"],
    ),
]


def encode_cursor(position: Position) -> str:
    """Return the cursor of the page that starts after ``position``."""
    packed = _PACKED.pack(_number(position.value), position.id.bytes)
    return urlsafe_b64encode(packed).decode()


def decode_cursor(cursor: str, column: Column[Any]) -> Position:
    """Return the position in a cursor, in a list that is sorted by a column.

    Every string that matches `Cursor` is accepted; out-of-range values are clamped.
    """
    number, id_ = _PACKED.unpack(urlsafe_b64decode(cursor))
    return Position(_value(number, column), UUID(bytes=id_))


def _number(value: datetime | date | int | None) -> int:
    match value:
        case None:
            return _NULL
        case datetime():
            return to_microseconds(value)
        case date():
            return value.toordinal()
    return value


def _value(number: int, column: Column[Any]) -> datetime | date | int | None:
    if column.nullable and number == _NULL:
        return None
    match column.type:
        case Date():
            return date.fromordinal(min(max(number, 1), date.max.toordinal()))
        case BigInteger():
            return number
        case Integer():
            return min(max(number, -(2**31)), 2**31 - 1)
    return from_microseconds(number)
