"""Patterns of text, as others than Pydantic are to read them."""

import re
from collections.abc import Iterable

# What matches one character: an escape, a set or a dot.
_CHARACTER = re.compile(
    r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)|\[\^?\]?(?:\\.|[^\]\\])*\]|\.", re.DOTALL
)
_GROUP = re.compile(r"\([^()]*\)")
_POSIX_CLASS = re.compile(r"\[:\w+:\]")

# An escaped character and the start of a group stay as they are.
_READ_AS_PARAMETER = re.compile(r"(?P<kept>\\[^%:]|\(\?:)|\\?(?P<escaped>[%:]|(?<=\(\?:)\w)")


def admits_nul(pattern: str) -> bool:
    """Tell whether text with NUL in it may match. In doubt it may."""
    if _POSIX_CLASS.search(pattern) or any(map(_may_be_nul, _CHARACTER.findall(pattern))):
        return True
    rest, groups = _CHARACTER.sub("x", pattern), 1
    while groups:
        rest, groups = _GROUP.subn("x", rest)
    # What is not anchored matches a part of the text, whatever is around it.
    anchored = all(part.startswith("^") and part.endswith("$") for part in rest.split("|"))
    return "\0" in rest or not anchored


def is_ambiguous(pattern: str) -> bool:
    r"""Tell whether a pattern has ``\d``, ``\s``, ``\w`` or ``\b``.

    Pydantic's ``\d`` matches any digit of Unicode, that of PostgreSQL and of clients 0 to 9, and
    PostgreSQL's ``\b`` is a character.
    """
    return not {*"dDsSwWbB"}.isdisjoint(re.findall(r"\\(.)", pattern, re.DOTALL))


def _may_be_nul(character: str) -> bool:
    try:
        return re.fullmatch(character, "\0") is not None
    except re.error:  # such as \p{L}, which Pydantic understands
        return True


def in_sql(pattern: str) -> str:
    r"""Return a pattern that matches the same, without ``%`` and without ``:name``.

    In a migration it is a part of text, where SQLAlchemy doubles the one and takes the other for a
    parameter. PostgreSQL reads ``\U00000025`` as ``%``, also between brackets.
    """
    return _READ_AS_PARAMETER.sub(
        lambda match: match["kept"] or f"\\U{ord(match['escaped']):08x}", pattern
    )


def one_of(values: Iterable[str]) -> str:
    """Return a pattern that matches each of the values, and nothing else."""
    return f"^({'|'.join(map(re.escape, values))})$"
