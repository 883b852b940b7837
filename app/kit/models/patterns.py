"""Patterns that PostgreSQL reads as Python, Rust and ECMAScript do."""

import re
from math import prod

# Literals and escaped signs of syntax, plain classes, groups and choices, with one repetition each.
_ATOM = r"[^\x00-\x1f\x7f-\U0010ffff\\.^$*+?()\[\]{}|]|\\[\\.^$*+?()\[\]{}|/]|\)"
_CLASS = r"\[\^?(?:[A-Za-z0-9]-[A-Za-z0-9]|[^\x00-\x1f\x7f-\U0010ffff\\\[\]^-])+-?\]"
_REPEATED = r"[*+?]|\{(?:\d+,)?\d+\}|\{\d+,\}"
_COMMON = re.compile(rf"\^(?:(?:{_ATOM}|{_CLASS})(?:{_REPEATED})?|\((?!\?)|\|)*\$")
# Two of these in a class are an operator of Rust or ECMAScript.
_OPERATOR = re.compile(r"&&|~~|\|\|")
_COUNT = re.compile(r"(\d+),?\}")
_MOST_STATES = 255
"""PostgreSQL counts up to 255, and takes the longer to match the more there is to count."""


def is_common(pattern: str) -> bool:
    """Tell whether a pattern, which Rust has compiled, is read alike, and cheap to match."""
    counts = map(int, _COUNT.findall(pattern))
    return bool(
        _COMMON.fullmatch(pattern)
        and not _OPERATOR.search(pattern)
        and prod(counts) <= _MOST_STATES
    )
