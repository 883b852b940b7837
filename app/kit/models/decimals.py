"""Decimal numbers: in JSON they are text, so that no client rounds them."""

from decimal import Decimal

MOST_DIGITS = 100
"""More would make a pattern that some engines do not compile."""


def decimal_pattern(digits: int, places: int, *, least: str | None) -> str:
    r"""Return the pattern of a number: ``^-?(0|[1-9][0-9]{0,9})(\.[0-9]{1,2})?$``.

    Args:
        digits: how many it has at most.
        places: how many of them at most are behind the point.
        least: ``ge`` for 0 or more, ``gt`` for more than 0, or None.
    """
    whole = rf"[1-9]{_up_to(digits - places - 1)}"
    fraction = rf"(\.[0-9]{{1,{places}}})?" if places else ""
    if least == "gt":
        # Not with a lookahead, which some engines lack: one choice for each place at which the
        # first digit that is not 0 may be.
        small = (f"{'0' * zeros}[1-9]{_up_to(places - zeros - 1)}" for zeros in range(places))
        choices = [f"{whole}{fraction}"] if digits > places else []
        choices += [rf"0\.({'|'.join(small)})"] if places else []
        return f"^({'|'.join(choices)})$"
    sign = "" if least == "ge" else "-?"
    return f"^{sign}{f'(0|{whole})' if digits > places else '0'}{fraction}$"


def _up_to(digits: int) -> str:
    return f"[0-9]{{0,{digits}}}" if digits > 0 else ""


def decimal_text(number: Decimal) -> str:
    """Return a number without an exponent, which ``str`` would give a small one."""
    return f"{number:f}"
