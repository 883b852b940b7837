"""Times as whole microseconds since 1970, the precision of PostgreSQL."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LAST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND


def to_microseconds(time: datetime) -> int:
    """Return the microseconds from 1970 to ``time``."""
    return (time - _EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """Return the time so many microseconds after 1970, or the nearest that Python can hold."""
    return _EPOCH + min(max(microseconds, _FIRST), _LAST) * _MICROSECOND
