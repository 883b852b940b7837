"""Durations as text: ISO 8601, of days and shorter units, as only these always take as long."""

import re
from datetime import timedelta

_ANY = "[0-9]{1,8}"
_HOUR, _SIXTIETH = "([01]?[0-9]|2[0-3])", "[0-5]?[0-9]"
_FRACTION = r"(\.[0-9]{1,6})?"


def _clock(hour: str, minute: str, second: str) -> str:
    """Return what follows T, where the first unit has these digits. There has to be one."""
    minutes, seconds = f"({_SIXTIETH}M)?", f"({_SIXTIETH}{_FRACTION}S)?"
    return f"T({hour}H{minutes}{seconds}|{minute}M{seconds}|{second}{_FRACTION}S)"


# What is read is written in a form that matches again: 8 digits of hours are fewer of days.
POSITIVE_DURATION = (
    f"^P({_ANY}D({_clock(_HOUR, _SIXTIETH, _SIXTIETH)})?|{_clock(_ANY, _ANY, _ANY)})$"
)
DURATION = f"^-?{POSITIVE_DURATION[1:]}"
LONGEST_DURATION = timedelta(days=10**8) - timedelta.resolution

_PARTS = re.compile(r"(-?)P(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d+))?S)?")


def parse_duration(text: str) -> timedelta:
    """Return the duration that a text stands for, which matches `DURATION`."""
    match = _PARTS.fullmatch(text)
    assert match  # noqa: S101 - `DURATION` is narrower
    sign, days, hours, minutes, seconds, fraction = match.groups(default="0")
    duration = timedelta(
        days=int(days),
        hours=int(hours),
        minutes=int(minutes),
        seconds=int(seconds),
        microseconds=int(fraction.ljust(6, "0")),
    )
    return -duration if sign else duration


def duration_text(duration: timedelta) -> str:
    """Return a duration as ``P1DT2H30M`` or ``-PT0.5S``. Pydantic would make years of 365 days."""
    if duration < timedelta():
        return f"-{duration_text(-duration)}"
    minutes, second = divmod(duration.seconds, 60)
    hour, minute = divmod(minutes, 60)
    fraction = f".{duration.microseconds:06}".rstrip(".0")
    units = {"H": f"{hour}", "M": f"{minute}", "S": f"{second}{fraction}"}
    clock = "".join(f"{number}{unit}" for unit, number in units.items() if number != "0")
    if not duration.days:
        return f"PT{clock or '0S'}"
    return f"P{duration.days}D{'T' if clock else ''}{clock}"
