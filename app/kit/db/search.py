"""Search in text: in any case and in any form of Unicode, the same on every database.

Databases differ in their locales, and no collation but "C" is in all of them. So the text in a
row is not changed to lower case: the pattern to search for has each letter in both cases.
"""

import re
from functools import cache
from unicodedata import normalize

from sqlalchemy import BindParameter, Column, ColumnElement, String, bindparam, func

# Characters that normalization form C leaves as they are, whatever stands beside them: those of
# Latin, Greek, Cyrillic, Armenian, Chinese, Japanese and Korean, punctuation and emoji.
COMPOSED = (
    r"\x01-\u02ff\u0388-\u0482\u048a-\u0590\u1e00-\u1eff\u2002-\u20cf\u3000-\u3029"
    r"\u3041-\u3096\u30a0-\u9fff\uac00-\ud7a3\uff00-\uffef\U0001f000-\U0001faff"
)
_LAST_LETTER = 0x20000
"""Beyond it Unicode has no letters of two cases."""

_FOUND: BindParameter[str] = bindparam("bound_search", type_=String)
_FOUND_OR_DECOMPOSED: BindParameter[str] = bindparam("bound_search_or_decomposed", type_=String)


def contains(column: Column[str]) -> ColumnElement[bool]:
    """Return the condition that a column contains what `search_values` are made of.

    To normalize a text takes ten times as long as to match it, so texts that cannot match are
    sorted out first.
    """
    may_be = column.collate("C").regexp_match(_FOUND_OR_DECOMPOSED)
    return may_be & func.normalize(column, type_=String).collate("C").regexp_match(_FOUND)


def search_values(text: str) -> dict[str, str]:
    """Return the values of the parameters of `contains`."""
    pattern = "".join(map(_in_any_case, normalize("NFC", text)))
    return {_FOUND.key: pattern, _FOUND_OR_DECOMPOSED.key: f"{pattern}|[^{COMPOSED}]"}


def _in_any_case(character: str) -> str:
    cases = _cases().get(_folded(character))
    return f"[{cases}]" if cases else re.escape(character)


@cache
def _cases() -> dict[str, str]:
    """Return all cases of each letter, by the one that stands for them."""
    cases: dict[str, str] = {}
    for letter in map(chr, range(_LAST_LETTER)):
        if letter.casefold() != letter:
            folded = _folded(letter)
            cases[folded] = cases.get(folded, folded) + letter
    return cases


def _folded(character: str) -> str:
    """Return the character that stands for all its cases: one, where ``casefold`` has several."""
    forms = (character.casefold(), character.lower(), character)
    return next(form for form in forms if len(form) == 1)
