"""The forms of values are closed, and PostgreSQL reads the patterns as other engines do."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb
from pydantic import Field, TypeAdapter, ValidationError
from sqlalchemy import URL

from app.kit.models.addresses import (
    ANY_URL,
    EMAIL,
    HTTP_URL,
    check_email,
    check_http_url,
    check_url,
)
from app.kit.models.decimals import decimal_pattern, decimal_text
from app.kit.models.durations import DURATION, LONGEST_DURATION, duration_text, parse_duration
from app.kit.models.objects import check_object
from app.kit.models.patterns import is_common
from tests.support.database import connect

pytestmark = pytest.mark.plain

some = settings(max_examples=200, deadline=None, derandomize=True, database=None)

COMMON = [
    "^a$", "^(a|b)c*$", "^#[0-9a-f]{6}$", "^[a-z0-9]+(-[a-z0-9]+)*$", "^[^a]$", "^(a+|)b?$",
    r"^a\.b\?\[\]\{\}\(\)\|\\\/\^\$\+\*$", "^[a-z.,;:%@!-]{2,}$", "^[^a-c-]*$", "^ab|cd$",
    "^a% :b$", EMAIL, HTTP_URL, ANY_URL,
]  # fmt: skip
NOT_COMMON = [
    "a", "^a", "a$", "^.$", r"^\d$", r"^\w+$", "^a*?$", "^a++$", "^(?:a)$", "^(?i)a$", "^a$$",
    "^[[:alpha:]]$", "^[a&&b]$", "^[a~~b]$", "^[a||b]$", "^[a--b]$", r"^[\d]$", "^[]a]$", "^[+-.]$",
    "^[é]$", "^a\n$", "^a{,3}$", "^a{256}$", "^a{256,}$", "^(a{20}){20}$", "^a^b$", "^$^$", "^a}$",
]  # fmt: skip
DECIMALS = [
    (digits, places, least)
    for digits in (1, 2, 3, 4)
    for places in range(digits + 1)
    for least in (None, "ge", "gt")
]


@pytest.mark.parametrize("pattern", COMMON)
def test_postgresql_reads_a_common_pattern_as_the_model_does(database: URL, pattern: str) -> None:
    accepts = TypeAdapter(Annotated[str, Field(pattern=pattern)]).validate_python
    texts = st.from_regex(pattern, fullmatch=True) | st.text("abc-.:%/@?#[]{}()|\\^$+*!\n1é ")
    assert is_common(pattern)

    with connect(database) as connection:

        @some
        @given(texts.filter(lambda text: "\0" not in text))
        def check(text: str) -> None:
            try:
                is_accepted = bool(accepts(text) or True)
            except ValidationError:
                is_accepted = False
            row = connection.execute("SELECT %s ~ %s", [text, pattern]).fetchone()
            assert row == (is_accepted,)

        check()


@pytest.mark.parametrize("pattern", NOT_COMMON)
def test_a_pattern_that_engines_may_read_in_their_own_way_is_not_common(pattern: str) -> None:
    assert not is_common(pattern)


@some
@given(st.from_regex(DURATION, fullmatch=True))
def test_each_duration_that_is_accepted_is_written_in_a_form_that_is(text: str) -> None:
    duration = parse_duration(text)

    assert abs(duration) <= LONGEST_DURATION
    written = duration_text(duration)
    assert re.fullmatch(DURATION, written)
    assert parse_duration(written) == duration


@some
@given(st.timedeltas(-LONGEST_DURATION, LONGEST_DURATION))
def test_each_duration_can_be_written_and_read(duration: timedelta) -> None:
    written = duration_text(duration)
    assert re.fullmatch(DURATION, written)
    assert parse_duration(written) == duration


@pytest.mark.parametrize(("digits", "places", "least"), DECIMALS)
def test_the_pattern_of_a_decimal_has_all_its_numbers_and_no_others(
    digits: int, places: int, least: Literal["ge", "gt"] | None
) -> None:
    pattern = decimal_pattern(digits, places, least=least)
    for number in range(-(10**digits) - 1, 10**digits + 2):
        fits = {"ge": number >= 0, "gt": number > 0, None: True}[least] and abs(number) < 10**digits
        text = decimal_text(Decimal(number).scaleb(-places))
        assert bool(re.fullmatch(pattern, text)) == fits, text


@pytest.mark.parametrize(
    ("format_", "pattern", "check"),
    [
        ("email", EMAIL, check_email),
        ("uri", HTTP_URL, check_http_url),
        ("uri", ANY_URL, check_url),
    ],
)
def test_each_address_that_is_accepted_has_its_format(
    format_: str, pattern: str, check: Callable[[str], str]
) -> None:
    schema = {"type": "string", "format": format_}
    is_valid = jsonschema_rs.validator_for(schema, validate_formats=True).is_valid

    @some
    @given(st.from_regex(pattern, fullmatch=True))
    def check_all(text: str) -> None:
        try:
            check(text)
        except ValueError:
            return
        assert is_valid(text)

    check_all()


NUMBERS = st.integers() | st.floats()
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(), values, max_size=4),
)


def to_javascript(value: Any) -> Any:
    """What JavaScript reads of a value."""
    return json.loads(json.dumps(value), parse_int=float)


def test_each_object_that_is_accepted_is_the_same_after_postgresql_had_it(
    database: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 400  # so that some are as large
    monkeypatch.setattr("app.kit.models.objects.MOST_BYTES", most)
    stored = "SELECT value, octet_length(value::text) FROM (SELECT %s::jsonb) AS _ (value)"

    with connect(database) as connection:

        @some
        @given(st.dictionaries(st.text(), VALUES, max_size=4))
        def check(value: dict[str, Any]) -> None:
            try:
                check_object(value)
            except ValueError:
                return
            ((shown, size),) = connection.execute(stored, [Jsonb(value)]).fetchall()
            assert size <= most
            assert to_javascript(shown) == to_javascript(value)
            check_object(shown)

        check()


def test_an_object_is_as_large_as_postgresql_says(
    database: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    value: dict[str, Any] = {
        "é\n": [1, True, None, -1.5e-7, 1e21, {}, [], {"a": "\x7f\x01", "b": [""]}]
    }
    with connect(database) as connection:
        size = connection.execute("SELECT octet_length(%s::jsonb::text)", [Jsonb(value)]).fetchone()
    assert size is not None
    monkeypatch.setattr("app.kit.models.objects.MOST_BYTES", size[0])
    check_object(value)
    monkeypatch.setattr("app.kit.models.objects.MOST_BYTES", size[0] - 1)
    with pytest.raises(ValueError, match="Value should have at most"):
        check_object(value)
