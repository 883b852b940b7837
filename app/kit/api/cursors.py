"""Cursors: opaque positions in a sorted list."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from struct import Struct
from typing import Annotated
from uuid import UUID

from pydantic import Field

from app.kit.db.statements import Position
from app.kit.models.declarations import StrictType

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


def encode_cursor(position: Position, type_: StrictType) -> str:
    """Return the cursor of the page that starts after a position, in a list sorted by a type."""
    assert type_.kind.ordering is not None  # noqa: S101 - a model cannot be sorted by others
    value = position.value
    number = _NULL if value is None else type_.kind.ordering.to_number(value)
    return urlsafe_b64encode(_PACKED.pack(number, position.id.bytes)).decode()


def decode_cursor(cursor: str, type_: StrictType) -> Position:
    """Return the position in a cursor.

    Every string that matches `Cursor` is accepted; out-of-range values are clamped.
    """
    assert type_.kind.ordering is not None  # noqa: S101 - a model cannot be sorted by others
    number, id_ = _PACKED.unpack(urlsafe_b64decode(cursor))
    is_null = type_.is_nullable and number == _NULL
    value = None if is_null else type_.kind.ordering.from_number(number)
    return Position(value, UUID(bytes=id_))
