"""JSON objects: of a size that lists can have, and the same after PostgreSQL and JavaScript.

But PostgreSQL has no -0: it is 0 then.
"""

import re
from decimal import Decimal
from json.encoder import encode_basestring

MOST_BYTES = 16_384
DEEPEST = 10
LIMITS = f"At most {MOST_BYTES} bytes as JSON and {DEEPEST} levels deep."

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def check_object(value: object) -> object:
    """Refuse what is too large or too deep, or would not come back as it was sent."""
    if _size(value, 0) > MOST_BYTES:
        raise ValueError(f"Value should have at most {MOST_BYTES} bytes as JSON")
    return value


def _size(value: object, level: int) -> int:
    """Return how many bytes PostgreSQL writes: with a space after each comma and colon."""
    if level > DEEPEST:
        raise ValueError(f"Value should be at most {DEEPEST} levels deep")
    match value:
        case str():
            if _UNSTORABLE.search(value):
                raise ValueError("Value should have no NUL character and no lone surrogate")
            return len(encode_basestring(value).encode())
        case dict() | list():
            parts = [*value, *value.values()] if isinstance(value, dict) else value
            return max(2, 2 * len(parts)) + sum(_size(part, level + 1) for part in parts)
        case bool() | None:
            return len("false" if value is False else "true")  # null is as long as true
        case int() | float():
            return len(_digits(value))
        case _:
            raise ValueError("Value should be JSON")  # as a default may fail to be


def _digits(number: float) -> str:
    """Return a number as PostgreSQL writes it, without an exponent.

    JavaScript holds a whole number of more than 53 bits if it is one that it would write itself.
    """
    digits = f"{number}" if isinstance(number, int) else f"{Decimal(repr(number)):f}"
    if abs(number) < 2**53:
        return digits
    exact = Decimal(digits)
    if not exact.is_finite() or exact != Decimal(repr(float(digits))):
        raise ValueError("Value should have no number that JavaScript cannot hold")
    return digits
