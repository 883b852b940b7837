"""A search finds the same on every database: in any case, and in any form of Unicode."""

import re
from collections.abc import Iterator
from itertools import product
from typing import Literal
from unicodedata import combining, decomposition, normalize
from uuid import uuid4

import pytest
from sqlalchemy import URL, Column, MetaData, String, Table, create_engine, select

from app.kit.db.search import COMPOSED, contains, search_values
from tests.support.database import connect
from tests.support.migrations import MakeDatabase
from tests.support.postgres import postgres_with_tls

pytestmark = pytest.mark.plain

LOCALES = {
    "C": "LOCALE 'C'",
    "C.UTF-8": "LOCALE 'C.UTF-8'",
    "ICU": "LOCALE 'C.UTF-8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'",
    "Turkish": "LOCALE 'C.UTF-8' LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR'",
}
TABLE = Table("texts", MetaData(), Column("text", String))
FOUND = [
    ("ÉTÉ", "été"),
    ("été", "ÉT"),
    ("ICI", "ici"),
    ("ΟΔΟΣ", "οδος"),
    ("οδος", "ΟΔΟΣ"),
    ("Straße", "STRAẞE"),
    ("МОЛОКО", "молоко"),
    ("Việt", "VIỆT"),
    ("한국", "한"),
    ("が", "が"),
    ("💡 x", "💡"),
    ("[a-z]*", "[A-Z]*"),
    ("a\nb", "A\nB"),
    ("(?i)x", "(?"),
    ("***:x", "***:"),
    ("x" * 300, "X" * 200),
    ("x", ""),
]
NOT_FOUND = [
    ("été", "ete"),
    ("café", "cafe"),
    ("Straße", "strasse"),
    ("\u0131s\u0131", "isi"),
    ("abc", "a.c"),
    ("abc", "^a"),
    ("abc", "[abc]"),
    ("x", "x|y"),
]
FORMS: list[Literal["NFC", "NFD"]] = ["NFC", "NFD"]


@pytest.fixture(scope="module")
def databases(make_database: MakeDatabase) -> Iterator[dict[str, URL]]:
    """Databases of several locales, and one of the server of the tests."""
    with postgres_with_tls("") as administrator, connect(administrator) as connection:
        databases = {"default": make_database()}
        for name, locale in LOCALES.items():
            database = f"test_{uuid4().hex}"
            connection.execute(f"CREATE DATABASE {database} TEMPLATE template0 {locale}")
            databases[name] = administrator.set(database=database)
        yield databases


@pytest.mark.parametrize("locale", ["default", *LOCALES])
def test_a_search_finds_the_same_whatever_the_locale(
    databases: dict[str, URL], locale: str
) -> None:
    engine = create_engine(databases[locale].set(drivername="postgresql+psycopg"))
    finds = select(contains(TABLE.c.text))

    with engine.begin() as connection:
        TABLE.create(connection)
        for text, searched in FOUND + NOT_FOUND:
            expected = (text, searched) in FOUND
            for stored, sent in product(FORMS, FORMS):
                connection.execute(TABLE.delete())
                connection.execute(TABLE.insert(), {"text": normalize(stored, text)})
                found = connection.scalar(finds, search_values(normalize(sent, searched)))
                assert found is expected, (text, stored, searched, sent)
    engine.dispose()


def test_characters_that_are_not_normalized_first_need_no_normalization() -> None:
    is_composed = re.compile(f"[{COMPOSED}]").fullmatch
    characters = [*map(chr, range(0x110000))]
    decomposed = [decomposition(character).split() for character in characters]
    pairs = (parts for parts in decomposed if len(parts) == 2 and not parts[0].startswith("<"))
    composes = {chr(int(second, 16)) for _, second in pairs}
    composes |= {*map(chr, range(0x1160, 0x1200))}  # Hangul letters, by a rule of their own

    for character in filter(is_composed, characters):
        assert normalize("NFC", character) == character, hex(ord(character))
        assert not combining(character), hex(ord(character))
        assert character not in composes, hex(ord(character))
