"""Times as whole microseconds since 1970, the precision of PostgreSQL, and versions of rows."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, Table, func
from sqlmodel.sql.sqltypes import UTCDateTime

_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LAST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND


def to_microseconds(time: datetime) -> int:
    """Return the microseconds from 1970 to ``time``."""
    since = time - _EPOCH
    # Whole numbers: to divide two intervals would take twice as long, and lists have many times.
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def from_microseconds(microseconds: int) -> datetime:
    """Return the time so many microseconds after 1970, or the nearest that Python can hold."""
    return _EPOCH + min(max(microseconds, _FIRST), _LAST) * _MICROSECOND


def creation_time(id_: UUID) -> datetime:
    """The moment in a UUIDv7: Unix milliseconds in its first 48 bits (RFC 9562, 5.7)."""
    return from_microseconds((id_.int >> 80) * 1000)


def entity_tag(updated_at: datetime) -> str:
    """Return the strong entity tag (RFC 9110, 8.8.3) of a row, by the time of its last change."""
    return f'"{to_microseconds(updated_at):x}"'


def ids_made_at(time: datetime) -> tuple[UUID, UUID]:
    """Return the least and the greatest of the ids that are made within the same millisecond."""
    milliseconds = max(to_microseconds(time) // 1000, 0)
    return UUID(int=milliseconds << 80), UUID(int=(milliseconds + 1 << 80) - 1)


def later_version(table: Table) -> ColumnElement[datetime]:
    """Return the next ``updated_at`` of a row: later, even if the clock stands still or goes back.

    It applies only IMMUTABLE functions to the column, as Citus asks of an UPDATE on a shard; an
    interval can be added to a time with a time zone in a STABLE way only.
    """
    without_zone = func.timezone("UTC", table.c.updated_at, type_=DateTime())
    later = func.timezone("UTC", without_zone + _MICROSECOND, type_=UTCDateTime())
    return func.greatest(func.now(), later, type_=UTCDateTime())
