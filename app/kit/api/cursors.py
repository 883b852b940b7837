"""Cursors: opaque positions in a sorted list, from where it is read on in either direction."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from app.kit.db.selects import Position
from app.kit.models.constraints import longest_text
from app.kit.models.declarations import StrictType
from app.kit.models.orderings import Ordering

# The values of a position, its id, and a byte if the list is read backwards. A value of no fixed
# size comes after its length. In base64url three bytes are four characters.
_ID = 16
_LEAST = 24
_LENGTH = 2
_NO_LENGTH = b"\xff\xff"
_NULL = b"\x7f" + b"\xff" * 7
_BACKWARDS = b"\x01"


def cursor_type(sorts: Iterable[Sequence[StrictType]], *, backwards: bool) -> Any:  # noqa: ANN401 - an annotation
    """Return the type of the cursors of a list.

    Args:
        sorts: the types of the fields of each sort order.
        backwards: whether they may lead backwards.
    """
    last = _ID + len(_BACKWARDS) * backwards
    most = -(-(max(sum(map(_most_bytes, types)) for types in sorts) + last) // 3)
    return Annotated[
        str,
        Field(
            max_length=4 * most,
            pattern=rf"^([A-Za-z0-9_-]{{4}}){{8,{most}}}$",
            description="Where a page starts.",
            examples=["AAZA3fXJ0-gBogJ2uoZ2oojvjpgwnQBH"],
        ),
    ]


def encode_cursor(position: Position, types: Sequence[StrictType]) -> str:
    """Return the cursor of a position in a list that is sorted by fields of these types."""
    values = zip(types, position.values, strict=True)
    packed = b"".join(_packed(_ordering(type_), value) for type_, value in values)
    packed += position.id.bytes + _BACKWARDS * position.backwards
    size = max(_LEAST, -(-len(packed) // 3) * 3)
    return urlsafe_b64encode(packed.ljust(size, b"\0")).decode()


def decode_cursor(cursor: str, types: Sequence[StrictType]) -> Position:
    """Return the position in a cursor.

    Every string that matches `cursor_type` is accepted; out-of-range values are clamped.
    """
    packed = BytesIO(urlsafe_b64decode(cursor))
    values = tuple([_unpacked(type_, packed) for type_ in types])
    id_ = UUID(bytes=packed.read(_ID).ljust(_ID, b"\0"))
    return Position(values, id_, packed.read(len(_BACKWARDS)) == _BACKWARDS)


def _packed(ordering: Ordering, value: Any) -> bytes:  # noqa: ANN401 - of any kind
    if ordering.size:
        return _NULL if value is None else ordering.to_bytes(value)
    if value is None:
        return _NO_LENGTH
    packed = ordering.to_bytes(value)
    return len(packed).to_bytes(_LENGTH) + packed


def _unpacked(type_: StrictType, packed: BytesIO) -> Any:  # noqa: ANN401 - of any kind
    ordering = _ordering(type_)
    if ordering.size:
        value = packed.read(ordering.size).ljust(ordering.size, b"\0")
        is_null = value == _NULL
    else:
        length = packed.read(_LENGTH)
        is_null = length == _NO_LENGTH
        value = b"" if is_null else packed.read(int.from_bytes(length))
    return None if is_null and type_.is_nullable else ordering.from_bytes(value)


def _most_bytes(type_: StrictType) -> int:
    # A character has up to four bytes.
    return _ordering(type_).size or _LENGTH + 4 * int(longest_text(type_.schema))


def _ordering(type_: StrictType) -> Ordering:
    assert type_.kind.ordering is not None  # noqa: S101 - a model cannot be sorted by others
    return type_.kind.ordering
