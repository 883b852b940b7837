"""Origins whose pages may call the API, in the form in which browsers send them."""

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator

_ORIGIN = re.compile(
    r"(?P<origin>(?P<scheme>[a-z][a-z0-9+.-]*)://"
    r"(?:\[[0-9a-f:.]+\]|(?:[a-z0-9_*-]+\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*))"
    r"(?::(?P<port>\d{1,5}))?/?"
)
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def pattern(origins: Sequence[str]) -> str:
    """Return a regular expression for origins, in which ``*`` is a part of one label."""
    return "|".join(re.escape(origin).replace(r"\*", "[a-z0-9-]+") for origin in origins)


def _origin(value: str) -> str:
    if value == "*":
        return value
    parts = _ORIGIN.fullmatch(value.lower())
    if parts is None:
        shown = value.rpartition("@")[2]  # what is before it may be a password
        raise ValueError(
            f"{shown} is not an origin: it must have a scheme, a host in ASCII, perhaps a port, and"
            " no path, such as https://app.example.com or, for previews, https://*.example.com"
        )
    if parts["port"] in {None, _DEFAULT_PORTS.get(parts["scheme"])}:
        return parts["origin"]
    return f"{parts['origin']}:{parts['port']}"


Origin = Annotated[str, AfterValidator(_origin)]
"""``*`` is all of them."""
