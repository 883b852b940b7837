"""The kinds of fields: how a plain type becomes strict, bounded, stored and filtered by.

The rules of a kind stand in its JSON Schema, where clients and fuzzers read them.
"""

import re
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from math import isfinite
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin
from uuid import UUID

import sqlalchemy
from pydantic import (
    MISSING,
    AfterValidator,
    BeforeValidator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StringConstraints,
    TypeAdapter,
    WithJsonSchema,
)
from pydantic.fields import FieldInfo
from sqlalchemy import ColumnElement, cast, func
from sqlalchemy.types import TypeEngine
from sqlmodel.sql.sqltypes import UTCDateTime

from app.kit.models.time import creation_time, from_microseconds, to_microseconds

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
# Without {1,255}, with which PostgreSQL takes a hundred times as long to check a row.
ENTITY_TAG = '^"-?[0-9a-f]{1,15}"$'
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
_NUMBER_IN_JSON = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"
_TIME = f"{_DATE[:-1]}T([01][0-9]|2[0-3])(:[0-5][0-9]){{2}}(\\.[0-9]{{1,6}})?Z$"


def _spelled(kind: type, name: str, **schema: Any) -> tuple[BeforeValidator, WithJsonSchema]:
    """Accept only the canonical format; Pydantic would accept others."""

    def match(value: object) -> object:
        if isinstance(value, kind):
            return value
        if not isinstance(value, str) or not re.fullmatch(schema["pattern"], value):
            raise ValueError(f"Value should be {name}")
        return value

    return BeforeValidator(match), WithJsonSchema({"type": "string", **schema})


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


class Kind(NamedTuple):
    """What the kit knows of a type.

    Attributes:
        strict: the type with what makes it strict and bounded.
        column: the type of its column.
        from_query: reads a value from a query string.
        operators: what lists are filtered with, as FastCRUD names it; "" is equality.
        ordering: how lists are sorted by it; None if they cannot be.
    """

    strict: Any
    column: type[TypeEngine[Any]]
    from_query: Callable[[str], object] = str
    operators: tuple[str, ...] = ()
    ordering: Ordering | None = None


_SET = ("", "in")
RANGE = ("gt", "gte", "lt", "lte")
_QUANTITY = ("", *RANGE)
_NUMBER = (*_QUANTITY, "in")


def _by_number(
    to_number: Callable[[Any], int],
    from_number: Callable[[int], Any],
    largest: str,
    key: Callable[[ColumnElement[Any]], ColumnElement[Any]] = lambda value: value,
) -> Ordering:
    """Return how to sort by what a whole number of 64 bits can stand for."""
    return Ordering(
        lambda value: to_number(value).to_bytes(8, signed=True),
        lambda packed: from_number(int.from_bytes(packed, signed=True)),
        largest,
        key=key,
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


_BY_FLAG = _by_number(
    int, lambda number: number > 0, "2", lambda flag: cast(flag, sqlalchemy.Integer)
)
_BY_INTEGER = _by_number(int, _int32, str(2**31 - 1))
_BY_BIG_INTEGER = _by_number(int, int, str(2**63 - 1))
_BY_FLOAT = Ordering(lambda number: struct.pack(">d", number), _finite, "'infinity'")
_BY_DAY = _by_number(date.toordinal, _day, "'infinity'")
_BY_TIME = _by_number(to_microseconds, from_microseconds, "'infinity'")
# The last character of Unicode.
_BY_TEXT = Ordering(str.encode, _storable, f"chr({0x10FFFF})", None, _in_one_case)


# Text has no length in its column: to change a CHECK is one migration, and no type changes.
KINDS: dict[type, Kind] = {
    bool: Kind(StrictBool, sqlalchemy.Boolean, _boolean, ("",), _BY_FLAG),
    int: Kind(Integer, sqlalchemy.Integer, _integer, _NUMBER, _BY_INTEGER),
    float: Kind(Float, sqlalchemy.Double, _float, _QUANTITY, _BY_FLOAT),
    str: Kind(Text, sqlalchemy.String, str, _SET, _BY_TEXT),
    date: Kind(Date, sqlalchemy.Date, str, _QUANTITY, _BY_DAY),
    datetime: Kind(Time, UTCDateTime, str, _QUANTITY, _BY_TIME),
    UUID: Kind(Id, sqlalchemy.Uuid, str, _SET),
}
_UNREAD = {
    "primary_key": "leave it out: Owned has the key",
    "foreign_key": 'annotate the type, as Annotated[UUID, References("task")]',
    "unique": "name the field in `unique`",
    "index": "name the field in `filterable` or `sortable`",
    "nullable": "declare the type with `| None`",
    "regex": "write pattern=",
    "exclude": "name the field in `not_in_read`",
    **dict.fromkeys(("alias", "validation_alias", "serialization_alias"), "rename the field"),
    **dict.fromkeys(("const", "discriminator", "include", "unique_items"), "leave it out"),
    **dict.fromkeys(("sa_type", "sa_column", "sa_column_args", "sa_column_kwargs"), "leave it out"),
}
"""The arguments of SQLModel's and Pydantic's ``Field`` that are refused, and what to write."""
_UNSET = (None, FieldInfo().default)

_MEMBERS = Kind(str, sqlalchemy.String, str, _SET, _BY_TEXT)
_BIG_INTEGER = Kind(BigInteger, sqlalchemy.BigInteger, _integer, _NUMBER, _BY_BIG_INTEGER)
_SUPPORTED = f"{', '.join(kind.__name__ for kind in KINDS)}, a StrEnum or a Literal of text"


class StrictType(NamedTuple):
    """A declared type, made strict.

    Attributes:
        annotation: the type for Pydantic, without null.
        value: the same without its description and examples.
        kind: what the kit knows of it.
        schema: its JSON Schema.
        is_nullable: whether the declared type has null.
        is_optional: whether the declared type has `MISSING`.
        references: which rows it refers to, if any.
    """

    annotation: Any
    value: Any
    kind: Kind
    schema: Schema
    is_nullable: bool
    is_optional: bool
    references: References | None

    def declared(self, *, is_optional: bool) -> Any:  # noqa: ANN401 - an annotation
        """Return the type with null, if it has null, and with `MISSING`, if it is optional."""
        annotation = self.annotation
        if is_optional:
            annotation = annotation | MISSING
        return annotation | None if self.is_nullable else annotation


def strict_type(field: FieldInfo) -> StrictType:
    """Make the type of a field strict and bounded.

    Args:
        field: of a table or a schema, made by either ``Field``, of SQLModel or of Pydantic.

    Raises:
        TypeError: the type is not supported, is unbounded text, or has bounds that its column
            cannot hold. The message says what to write instead; the caller adds whose field it is.
    """
    bare, annotated, others = _taken_apart(field.annotation)
    _refuse_unread([*annotated, field])
    metadata = list(_constraints([*annotated, *field.metadata]))
    shown = _shown([*annotated, field])
    kind = _kind(bare, metadata, shown)
    if bare is str:
        metadata = _refusing_nul(metadata, shown)
    # A type that has its own pattern or schema, as `Line` and `NewId` do, is strict already.
    is_strict = any(isinstance(m, WithJsonSchema) or hasattr(m, "pattern") for m in metadata)
    strict = () if is_strict else getattr(kind.strict, "__metadata__", ())
    metadata = [*(item for item in _constraints(strict) if item not in metadata), *metadata]
    shown = {**_shown(strict), **shown}
    metadata = [_with_shown(item, shown) for item in metadata]
    extra = {"json_schema_extra": shown.pop("json_schema_extra", None)}
    value = Annotated[bare, *metadata, Field(**extra, **_narrowest(metadata))]  # type: ignore[valid-type]
    schema = TypeAdapter(value).json_schema()
    if bare is str and "maxLength" not in schema:
        raise TypeError("text needs a bound: write Field(max_length=200), say")
    references = next((item for item in metadata if isinstance(item, References)), None)
    return StrictType(
        Annotated[value, Field(**shown)],
        value,
        kind,
        schema,
        NoneType in others,
        MISSING in others,
        references,
    )


def _taken_apart(declared: Any) -> tuple[Any, list[Any], set[Any]]:  # noqa: ANN401 - an annotation
    """Return a type, what is annotated to it, and null and `MISSING` if it has them."""
    if get_origin(declared) is Annotated:
        inner, *annotated = get_args(declared)
        bare, before, others = _taken_apart(inner)
        return bare, [*before, *annotated], others
    if get_origin(declared) not in {Union, UnionType}:
        return declared, [], set()
    others = {NoneType, MISSING} & {*get_args(declared)}
    types = [part for part in get_args(declared) if part not in others]
    if len(types) != 1:
        names = " | ".join(_name(_taken_apart(part)[0]) for part in types)
        raise TypeError(f"{names} is more than one type: declare one of them")
    bare, annotated, more = _taken_apart(types[0])
    return bare, annotated, others | more


def _name(declared: Any) -> str:  # noqa: ANN401 - a type
    return getattr(declared, "__name__", str(declared))


def _refuse_unread(annotated: Iterable[Any]) -> None:
    for item in annotated:
        if not isinstance(item, FieldInfo):
            continue
        # SQLModel hands on all its arguments, and Pydantic keeps those that it does not know here.
        given = [item._attributes_set, *map(vars, filter(_is_of_sqlmodel, item.metadata))]  # noqa: SLF001
        for argument, instead in _UNREAD.items():
            if any(values.get(argument) not in _UNSET for values in given):
                raise TypeError(f"Field({argument}=…) does nothing here: {instead}")


def _is_of_sqlmodel(item: object) -> bool:
    return hasattr(item, "sa_type")


def _constraints(annotated: Iterable[Any]) -> Iterator[Any]:
    """Give each constraint by itself: a ``Field`` and ``StringConstraints`` have several."""
    for item in annotated:
        if isinstance(item, FieldInfo):
            yield from _constraints(item.metadata)
        elif isinstance(item, StringConstraints):
            yield from _constraints(item)
        elif not _is_of_sqlmodel(item):
            yield item


def _shown(annotated: Iterable[Any]) -> dict[str, Any]:
    """Return what fields add to the JSON Schema. The last one has the last word."""
    return {
        name: value
        for item in annotated
        if isinstance(item, FieldInfo)
        for name in ("description", "examples", "json_schema_extra", "deprecated")
        if (value := getattr(item, name)) is not None
    }


def _with_shown(item: Any, shown: dict[str, Any]) -> Any:  # noqa: ANN401 - a constraint
    """Add to a schema that is written out what Pydantic would not."""
    if isinstance(item, WithJsonSchema):
        return WithJsonSchema({**(item.json_schema or {}), **shown})
    return item


def _narrowest(metadata: Iterable[Any]) -> dict[str, Any]:
    """Return the narrowest of the bounds; Pydantic would take the last ones."""
    narrower = {"ge": max, "gt": max, "le": min, "lt": min, "min_length": max, "max_length": min}
    bounds: dict[str, Any] = {}
    for item in metadata:
        for name, choose in narrower.items():
            if (bound := getattr(item, name, None)) is not None:
                bounds[name] = choose(bound, bounds.get(name, bound))
    return bounds


def _kind(bare: Any, metadata: list[Any], shown: dict[str, Any]) -> Kind:  # noqa: ANN401 - a type
    if get_origin(bare) is Literal and all(isinstance(member, str) for member in get_args(bare)):
        return _MEMBERS
    if isinstance(bare, type) and issubclass(bare, StrEnum):
        return _MEMBERS
    if bare not in KINDS:
        raise TypeError(f"{_name(bare)} is not supported: declare one of {_SUPPORTED}")
    bounds = [getattr(m, name, None) for m in metadata for name in ("ge", "gt", "le", "lt")]
    numbers = [bound for bound in bounds if bound is not None]
    if bare in {date, datetime, UUID} and numbers:
        raise TypeError(f"a {bare.__name__} has no bounds in JSON Schema: leave them out")
    if bare is not int:
        return KINDS[bare]
    if not all(-(2**53) < number < 2**53 for number in numbers):
        raise TypeError("a bound is beyond 53 bits, the most that JavaScript has: narrow it")
    is_small = all(-(2**31) <= number < 2**31 for number in numbers)
    is_big = shown.get("json_schema_extra") == {"format": "int64"} or not is_small
    return _BIG_INTEGER if is_big else KINDS[int]


def _refusing_nul(metadata: list[Any], shown: dict[str, Any]) -> list[Any]:
    """Add what refuses NUL in text, beside a pattern of the field's own."""
    patterns = {pattern for item in metadata if (pattern := getattr(item, "pattern", None))}
    if len(patterns) > 1:
        raise TypeError("text has two patterns, and only one would be checked: write one")
    if patterns - {LINE, NO_NUL, OWNER_ID, ENTITY_TAG}:
        shown["json_schema_extra"] = {"allOf": [{"pattern": NO_NUL}]}
        return [*metadata, AfterValidator(_without_nul)]
    return metadata


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("Value should have no NUL character")
    return text
