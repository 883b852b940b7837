"""The kinds of fields: how a plain type becomes strict, bounded, stored and filtered by.

The rules of a kind stand in its JSON Schema, where clients and fuzzers read them.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import sqlalchemy
from pydantic import (
    AfterValidator,
    AnyUrl,
    BeforeValidator,
    EmailStr,
    Field,
    HttpUrl,
    PlainSerializer,
    StrictBool,
    StrictFloat,
    StrictInt,
    StringConstraints,
    WithJsonSchema,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import TypeEngine
from sqlmodel.sql.sqltypes import UTCDateTime

from app.kit.models.addresses import (
    ANY_URL,
    EMAIL,
    HTTP_URL,
    LONGEST_EMAIL,
    LONGEST_URL,
    check_email,
    check_http_url,
    check_url,
)
from app.kit.models.decimals import decimal_pattern, decimal_text
from app.kit.models.durations import DURATION, POSITIVE_DURATION, duration_text, parse_duration
from app.kit.models.objects import check_object
from app.kit.models.orderings import (
    BY_BIG_INTEGER,
    BY_CLOCK,
    BY_DAY,
    BY_DURATION,
    BY_FLAG,
    BY_FLOAT,
    BY_INTEGER,
    BY_TEXT,
    BY_TIME,
    Ordering,
    by_decimal,
)
from app.kit.models.time import creation_time

Schema = dict[str, Any]

# Spelled out, because engines disagree on \s: Python, Rust, ECMAScript, PostgreSQL. Hey API writes
# \u2028 into a regular expression as the character itself, a line separator, which ends it there.
# So a line leaves out U+2027 to U+202A, and lets the first and the last of them in again.
_SPACE = r"\x20\xa0\u1680\u2000-\u200a\u202f\u205f\u3000\ufeff"
_REFUSED = r"\x00-\x1f\x7f-\x9f\u2027-\u202a"
_ANY = rf"(?:[^{_REFUSED}]|[\u2027\u202a])"
_VISIBLE = rf"(?:[^{_REFUSED}{_SPACE}]|[\u2027\u202a])"
LINE = f"^[{_SPACE}]*{_VISIBLE}{_ANY}*$"
NO_NUL = r"^[^\x00]*$"
ENTITY_TAG = '^"-?[0-9a-f]{1,15}"$'
# Without {1,255}, with which PostgreSQL takes a hundred times as long to check a row.
OWNER_ID = r"^[\u0021-\u007e]+$"

Line = Annotated[str, StringConstraints(min_length=1, pattern=LINE)]
"""One line of text: not blank, no control characters. Narrow it with a ``max_length``."""

Text = Annotated[str, StringConstraints(pattern=NO_NUL)]
"""Any text that PostgreSQL can store, as is plain ``str``."""

OwnerId = Annotated[str, StringConstraints(max_length=255, pattern=OWNER_ID)]
"""Visible ASCII, as OpenID Connect allows a ``sub`` to be (Core 1.0, section 2)."""

_UUID = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
# Up to the year 2527 the first digit is 0.
_UUID7 = "^0[0-9a-fA-F]{7}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$"
_MOST_AHEAD = timedelta(days=1)
# The year 0 is a date in a schema, and in no database.
_YEAR = "([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
_DATE = f"^{_YEAR}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
_CLOCK = "([01][0-9]|2[0-3])(:[0-5][0-9]){2}(\\.[0-9]{1,6})?"
_NUMBER_IN_JSON = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"
_TIME = f"{_DATE[:-1]}T{_CLOCK}Z$"


def _spelled(
    kind: type,
    name: str,
    read: Callable[[str], object] = str,
    write: Callable[[Any], str] | None = None,
    **schema: Any,
) -> tuple[Any, ...]:
    """Accept only the canonical format; Pydantic would accept others, and may write another."""

    def match(value: object) -> object:
        if isinstance(value, kind):
            return value
        if not isinstance(value, str) or not re.fullmatch(schema["pattern"], value):
            raise ValueError(f"Value should be {name}")
        return read(value)

    written = [PlainSerializer(write, when_used="json-unless-none")] if write else []
    return BeforeValidator(match), *written, WithJsonSchema({"type": "string", **schema})


def _not_ahead(id_: UUID) -> UUID:
    """Refuse the id of a row that would be the newest for good. A clock may be a day ahead."""
    if creation_time(id_) > datetime.now(UTC) + _MOST_AHEAD:
        raise ValueError("Value should have a time that is at most a day ahead")
    return id_


Id = Annotated[
    UUID, *_spelled(UUID, "a UUID with hyphens", format="uuid", pattern=_UUID, maxLength=36)
]
"""The id of a row, as clients write it; plain ``UUID`` is the same."""

NewId = Annotated[
    UUID,
    *_spelled(
        UUID, "a UUID of version 7 with hyphens", format="uuid", pattern=_UUID7, maxLength=36
    ),
    AfterValidator(_not_ahead),
]
"""The id of a new row, a UUIDv7 (RFC 9562) that the client chose."""

Date = Annotated[
    date, *_spelled(date, "a date as 2026-11-22", format="date", pattern=_DATE, maxLength=10)
]
"""A day, from the year 1 to the year 9999; plain ``date`` is the same."""

Integer = Annotated[
    StrictInt, Field(ge=-(2**31), le=2**31 - 1, json_schema_extra={"format": "int32"})
]
"""A whole number of 32 bits; plain ``int`` is the same. Narrow it with ``ge`` and ``le``."""

# JavaScript has no larger number that is exact.
BigInteger = Annotated[
    StrictInt, Field(ge=1 - 2**53, le=2**53 - 1, json_schema_extra={"format": "int64"})
]
"""A whole number of 53 bits; an ``int`` with a bound beyond 32 bits is the same."""

# Close to the float maximum, and short enough for a constraint name.
Float = Annotated[StrictFloat, Field(ge=-1e308, le=1e308, json_schema_extra={"format": "double"})]
"""A finite number in double precision; plain ``float`` is the same."""

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
"""A moment in UTC (RFC 3339); plain ``datetime`` is the same."""

_TimeOfDay = Annotated[
    time,
    *_spelled(
        time,
        "a time of day as 14:30:00",
        format="time-local",
        pattern=f"^{_CLOCK}$",
        maxLength=15,
        examples=["14:30:00"],
    ),
]
# Without a format: in that of JSON Schema a duration has no sign and no fractions.
_Duration, _PositiveDuration = (
    Annotated[
        timedelta,
        *_spelled(
            timedelta,
            f"a duration{bound} as P1DT2H or PT15M",
            parse_duration,
            duration_text,
            pattern=pattern,
            maxLength=28,
            examples=["PT15M"],
        ),
    ]
    for bound, pattern in (("", DURATION), (" of 0 or more", POSITIVE_DURATION))
)
_Email = Annotated[
    str,
    StringConstraints(max_length=LONGEST_EMAIL, pattern=EMAIL),
    AfterValidator(check_email),
    Field(examples=["me@example.com"], json_schema_extra={"format": "email"}),
]
_HttpUrl, _Url = (
    Annotated[
        str,
        StringConstraints(max_length=LONGEST_URL, pattern=pattern),
        AfterValidator(check),
        Field(examples=["https://example.com/"], json_schema_extra={"format": "uri"}),
    ]
    for pattern, check in ((HTTP_URL, check_http_url), (ANY_URL, check_url))
)
_Object = Annotated[dict[str, Any], BeforeValidator(check_object)]


@dataclass(frozen=True)
class References:
    """Makes an id that of another row of the same owner: ``Annotated[UUID, References("task")]``.

    Attributes:
        table: where that row is.
        ondelete: ``CASCADE`` deletes what refers to a row together with it. Without it, a row
            that another one refers to cannot be deleted.

    Raises:
        TypeError: ``ondelete`` is something else.
    """

    table: str
    ondelete: Literal["CASCADE"] | None = None

    def __post_init__(self) -> None:
        if self.ondelete not in {None, "CASCADE"}:
            raise TypeError(
                f'References("{self.table}", ondelete="{self.ondelete}"): it would change rows and'
                ' not their entity tags. Write ondelete="CASCADE", or leave it out.'
            )


def _boolean(text: str) -> bool | str:
    return {"true": True, "false": False}.get(text, text)


def _integer(text: str) -> int | str:
    return int(text) if re.fullmatch("0|-?[1-9][0-9]{0,18}", text) else text


def _float(text: str) -> float | str:
    return float(text) if re.fullmatch(_NUMBER_IN_JSON, text) else text


class Kind(NamedTuple):
    """What the kit knows of a type.

    Attributes:
        strict: the type with what makes it strict and bounded.
        column: the type of its column.
        from_query: reads a value from a query string.
        operators: what lists are filtered with, as FastCRUD names it; "" is equality.
        ordering: how lists are sorted by it; None if they cannot be.
        stored: what its column is bounded by, in words of JSON Schema that are not in its own.
    """

    strict: Any
    column: Callable[[], TypeEngine[Any]]
    from_query: Callable[[str], object] = str
    operators: tuple[str, ...] = ()
    ordering: Ordering | None = None
    stored: Mapping[str, Any] = MappingProxyType({})


_SET = ("", "in")
RANGE = ("gt", "gte", "lt", "lte")
_QUANTITY = ("", *RANGE)
_NUMBER = (*_QUANTITY, "in")


def _jsonb() -> JSONB[Any]:
    return JSONB(none_as_null=True)  # Python's None is no object, and not the null of JSON


# Text has no length in its column: to change a CHECK is one migration, and no type changes.
KINDS: dict[Any, Kind] = {
    bool: Kind(StrictBool, sqlalchemy.Boolean, _boolean, ("",), BY_FLAG),
    int: Kind(Integer, sqlalchemy.Integer, _integer, _NUMBER, BY_INTEGER),
    float: Kind(Float, sqlalchemy.Double, _float, _QUANTITY, BY_FLOAT),
    str: Kind(Text, sqlalchemy.String, str, _SET, BY_TEXT),
    date: Kind(Date, sqlalchemy.Date, str, _QUANTITY, BY_DAY),
    datetime: Kind(Time, UTCDateTime, str, _QUANTITY, BY_TIME),
    UUID: Kind(Id, sqlalchemy.Uuid, str, _SET),
    time: Kind(_TimeOfDay, sqlalchemy.Time, str, _QUANTITY, BY_CLOCK),
    timedelta: Kind(
        _Duration, sqlalchemy.Interval, str, _QUANTITY, BY_DURATION, {"format": "duration"}
    ),
    EmailStr: Kind(_Email, sqlalchemy.String, str, _SET, BY_TEXT),
    HttpUrl: Kind(_HttpUrl, sqlalchemy.String, str, _SET, BY_TEXT),
    AnyUrl: Kind(_Url, sqlalchemy.String, str, _SET, BY_TEXT),
    dict[str, Any]: Kind(_Object, _jsonb),
}
MEMBERS = Kind(str, sqlalchemy.String, str, _SET, BY_TEXT)
BIG_INTEGER = Kind(BigInteger, sqlalchemy.BigInteger, _integer, _NUMBER, BY_BIG_INTEGER)
POSITIVE_DURATION_KIND = KINDS[timedelta]._replace(
    strict=_PositiveDuration, stored={"format": "duration", "minimum": timedelta()}
)


def decimal_kind(digits: int, places: int, *, least: str | None) -> Kind:
    """Return the kind of the decimal numbers that a `decimal_pattern` has."""
    example = f"{min(digits - places, 1)}.{'5':0<{places}}" if places else "1"
    strict = Annotated[
        Decimal,
        *_spelled(
            Decimal,
            f"a decimal number as {example}, in quotes",
            Decimal,
            decimal_text,
            format="decimal",
            pattern=decimal_pattern(digits, places, least=least),
            maxLength=digits + len("-0."),
            examples=[example],
        ),
    ]
    keyword = {"ge": "minimum", "gt": "exclusiveMinimum"}.get(least or "")
    bounds = {keyword: 0} if keyword else {}
    column = partial(sqlalchemy.Numeric, digits, places)
    return Kind(strict, column, str, _NUMBER, by_decimal(digits, places), bounds)


def list_kind(item: Kind, bounds: Schema) -> Kind:
    """Return the kind of lists whose items are of a kind, and have these bounds in a column."""
    operators = ("contains",) if item.operators else ()
    return Kind(list, lambda: ARRAY(item.column()), operators=operators, stored={"items": bounds})
