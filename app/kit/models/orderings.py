"""How rows are sorted by a type, and how a cursor has its values."""

import re
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, cast, func

from app.kit.models.durations import LONGEST_DURATION
from app.kit.models.time import from_microseconds, to_microseconds


class Ordering(NamedTuple):
    """How lists are sorted by a type.

    Attributes:
        to_bytes: returns what stands for a value in a cursor.
        from_bytes: returns the value that any bytes stand for, or the nearest value.
        largest: a value in SQL that is larger than all others, as which null is sorted.
        size: how many bytes a value has in a cursor, if all have as many.
        key: returns what is compared in SQL.
    """

    to_bytes: Callable[[Any], bytes]
    from_bytes: Callable[[bytes], Any]
    largest: str
    size: int | None = 8
    key: Callable[[ColumnElement[Any]], ColumnElement[Any]] = lambda value: value


def _by_number(
    to_number: Callable[[Any], int], from_number: Callable[[int], Any], largest: str
) -> Ordering:
    """Return how to sort by what a whole number of 64 bits can stand for."""
    return Ordering(
        lambda value: to_number(value).to_bytes(8, signed=True),
        lambda packed: from_number(int.from_bytes(packed, signed=True)),
        largest,
    )


def _int32(number: int) -> int:
    return min(max(number, -(2**31)), 2**31 - 1)


def _day(number: int) -> date:
    return date.fromordinal(min(max(number, 1), date.max.toordinal()))


def _finite(packed: bytes) -> float:
    (number,) = struct.unpack(">d", packed)
    return number if isfinite(number) else 0.0


def _storable(packed: bytes) -> str:
    return packed.decode(errors="replace").replace("\0", "")


def _in_one_case(text: ColumnElement[str]) -> ColumnElement[str]:
    """Return what text is sorted by: the same on every database, whatever its locale."""
    return func.lower(text.collate("C"))


BY_FLAG = _by_number(int, lambda number: number > 0, "2")._replace(
    key=lambda flag: cast(flag, Integer)
)
BY_INTEGER = _by_number(int, _int32, str(2**31 - 1))
BY_BIG_INTEGER = _by_number(int, int, str(2**63 - 1))
BY_FLOAT = Ordering(lambda number: struct.pack(">d", number), _finite, "'infinity'")
BY_DAY = _by_number(date.toordinal, _day, "'infinity'")
BY_TIME = _by_number(to_microseconds, from_microseconds, "'infinity'")
BY_CLOCK = _by_number(
    lambda clock: to_microseconds(datetime.combine(date(1970, 1, 1), clock, UTC)),
    lambda number: from_microseconds(number).time(),
    "'24:00:00'",
)
BY_DURATION = _by_number(
    lambda duration: duration // timedelta.resolution,
    lambda number: min(max(number * timedelta.resolution, -LONGEST_DURATION), LONGEST_DURATION),
    "'1000000000 days'",
)
# The last character of Unicode.
BY_TEXT = Ordering(str.encode, _storable, f"chr({0x10FFFF})", None, _in_one_case)


def by_decimal(digits: int, places: int) -> Ordering:
    """Return how to sort by decimal numbers of so many digits, of which some behind the point."""
    fraction = f"[.][0-9]{{{places}}}" if places else ""
    pattern = re.compile(f"-?[0-9]{{1,{max(digits - places, 1)}}}{fraction}".encode())

    def nearest(packed: bytes) -> Decimal:
        return Decimal(packed.decode()) if pattern.fullmatch(packed) else Decimal()

    return Ordering(lambda number: f"{number:.{places}f}".encode(), nearest, "'infinity'", None)
