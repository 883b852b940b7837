"""Field types that resources share. Their rules stand in the JSON Schema, for clients to know."""

from typing import Annotated

from pydantic import StringConstraints

# Spelled out, because engines disagree on \s: Python, Rust, ECMAScript, PostgreSQL.
_CONTROL = r"\u0000-\u001f\u007f-\u009f\u2028\u2029"
_SPACE = r"\u0020\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\ufeff"

Line = Annotated[
    str,
    StringConstraints(min_length=1, pattern=f"^[^{_CONTROL}]*[^{_CONTROL}{_SPACE}][^{_CONTROL}]*$"),
]
"""One line of text: not blank, no control characters. Narrow it with a ``max_length``."""

ANYTHING_BUT_NUL = r"^[^\u0000]*$"
Text = Annotated[str, StringConstraints(pattern=ANYTHING_BUT_NUL)]
"""Any text that PostgreSQL can store. Narrow it with a ``max_length``."""

OwnerId = Annotated[str, StringConstraints(pattern=r"^[\u0021-\u007e]{1,255}$")]
"""Visible ASCII, as OpenID Connect allows a ``sub`` to be (Core 1.0, section 2)."""
