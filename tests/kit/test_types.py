"""The types of real data are strict in and exact out, wherever a row comes from and goes to."""

import json
from datetime import time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from pydantic import AnyUrl, HttpUrl
from sqlalchemy import URL
from sqlmodel import col, select

from app.kit.db.crud import OwnedCRUD
from app.kit.models.durations import LONGEST_DURATION
from app.kit.models.objects import DEEPEST, MOST_BYTES
from tests.support.courses import COURSES, Course
from tests.support.crud import run
from tests.support.database import connect
from tests.support.operations import create
from tests.support.problems import JSON, assert_problem
from tests.support.server import Server

TABLE = Course.__table__  # type: ignore[attr-defined]
ROOM = "019daf09-0000-7000-8000-00000000000a"
OPTIONAL: dict[str, object] = {
    "discount": None,
    "balance": "-0.50000000",
    "ends": None,
    "opens": "08:30:00",
    "pause": None,
    "shift": "-PT23H59M59.999999S",
    "deputy": None,
    "map": None,
    "link": "mailto:it's@example.com",
    "tags": [],
    "aliases": None,
    "grades": [1, 6],
    "fees": [],
    "rooms": None,
    "extra": None,
    "options": {},
}
"""What is left out, and what it is then."""

NUMBERS = [0, -1, 2**53 - 1, 10**20, 0.1, 1.0, 5e-324]
LARGEST = 1.7976931348623157e308
NESTED: dict[str, Any] = {"": {"é": [None, True, "\x7f", "\U0001f600", {"a\\u0000b": '"'}]}}


def nested(levels: int) -> Any:
    """An object so many levels deep."""
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


EXACT: dict[str, list[Any]] = {
    "price": ["0.00", "0.01", "12.50", "999999.99"],
    "discount": ["0.001", "0.100", "0.999", None],
    "balance": ["-999999999999.99999999", "0.00000001", "-0.10000000"],
    "begins": ["00:00:00", "23:59:59.999999", "12:00:00.000001"],
    "ends": ["00:00:00", None],
    "lasts": ["PT0S", "PT0.000001S", "P99999999DT23H59M59.999999S"],
    "pause": ["-P99999999DT23H59M59.999999S", "-PT0.5S", "P400D", None],
    "contact": ["O'Neil+x@Sub.EXAMPLE.com", f"{'a' * 64}@b-c.co"],
    "deputy": ["a@b.co", None],
    "site": ["http://a", "https://A.example/%7E?q=%20;#/?", "http://a:1/"],
    "link": ["mailto:a@b", "x:", "urn:isbn:1", "file:///a", "a://b:1?#"],
    "days": [["mon"], ["5%: it's", "tue", "5%: it's"]],
    "tags": [[], ["NULL", "null", '{"a",\\}', "é", " x "], ["x" * 20]],
    "aliases": [None, [], ["ab", "\U0001f600\U0001f600", "\n\t"]],
    "grades": [[], [1, 6, 1, 6, 1]],
    "fees": [[], ["0.00", "9999.99"]],
    "rooms": [[], [ROOM, ROOM], None],
    "details": [{}, NESTED, {"a": NUMBERS}, nested(DEEPEST)],
    "extra": [{}, {"a": 1, "b": 2, "c": {"d": 1, "e": 2}}, None],
}
ANOTHER_FORM = [
    ("price", "0", "0.00"),
    ("price", "1.5", "1.50"),
    ("balance", "-0.0", "0.00000000"),
    ("begins", "12:00:00.10", "12:00:00.100000"),
    ("lasts", "PT90M", "PT1H30M"),
    ("lasts", "PT99999999H59M59.9S", "P4166666DT15H59M59.9S"),
    ("pause", "-PT0S", "PT0S"),
    ("pause", "P01DT02H00M", "P1DT2H"),
    ("fees", ["1", "2.5"], ["1.00", "2.50"]),
    ("grades", [1.0, 2], [1, 2]),
    ("rooms", [ROOM.upper()], [ROOM]),
]
"""What comes out in another form than it was sent: one that may be sent as well."""

NOT_A_PRICE: list[object] = [
    None, 1, 1.5, True, [], "", "-1", "-0", "+1", "01", "1.", ".5", "1e3", "1.005", "1,5", " 1",
    "1000000", "NaN", "Infinity", "\u0661", "1\n",
]  # fmt: skip
NOT_A_TIME: list[object] = [
    None, 0, "24:00:00", "12:60:00", "12:00:60", "12:00", "12:00:00Z", "12:00:00+01:00", "1:00:00",
    "12:00:00.1234567", "12:00:00.", "T12:00:00", "12:00:00\n",
]  # fmt: skip
NOT_A_DURATION: list[object] = [
    None, 90, "90", "P", "P1DT", "P1Y", "P1M", "P1W", "P1DT24H", "PT1H60M", "PT1H60S", "PT",
    "-PT1S", "+PT1S", "PT1.1234567S", "PT1.5M", "P100000000D", "PT1S1M", "pt1s", "1:30:00", "P-1D",
    "PT1S\n",
]  # fmt: skip
NOT_AN_EMAIL: list[object] = [
    None, 1, "", "a", "a@b", "@b.co", "a@", "a@b@c.co", "a b@c.co", ".a@b.co", "a.@b.co", "é@b.co",
    "a..b@c.co", "a@é.co", "A <a@b.co>", '"a b"@c.co', "a@[1.2.3.4]", "a@1.2.3.4", "a@b.local",
    "a@-b.co", "a@b_c.co", f"{'a' * 65}@b.co", f"a@{'b' * 64}.co", f"a@{'b.' * 50}co", "a@b.co\n",
    "a@b.co\0",
]  # fmt: skip
NOT_A_URL: list[object] = [
    None, 1, "", "a", "//a", "http:a", "http://", "http:///a", "ftp://a", "HTTP://a", " http://a",
    "javascript:1", "http://a ", "http://a b", "http://é", "http://a/é", "http://a/\n", "http://a\0",
    "http://a:65536", "http://a/%", "http://a/%zz", "http://a/\\", "http://a/<", "http://1.2.3.256",
    "http://[::1]", "http://xn--a", f"http://a/{'b' * 2075}", "http://a/#b#c",
]  # fmt: skip
NOT_DETAILS: list[object] = [
    None, 1, "{}", [], [{}], {"a": "\0"}, {"\0": 1}, {"a": [{"b": "\ud800"}]}, {"\udfff": 1},
    {"a": 2**53 + 1}, {"a": -(10**400)}, {"a": [float("inf")]}, {"a": float("nan")},
    nested(DEEPEST + 1), {"a": "x" * MOST_BYTES}, {"a": [LARGEST] * 60},
]  # fmt: skip
REFUSED: dict[tuple[str, str], list[Any]] = {
    ("price", ""): NOT_A_PRICE,
    ("discount", ""): ["0", "0.000", "0.0", "1", "-0.1", "0.0001", 0.1],
    ("balance", ""): [None, "1000000000000", "0.000000001", 1],
    ("begins", ""): NOT_A_TIME,
    ("lasts", ""): NOT_A_DURATION,
    ("contact", ""): NOT_AN_EMAIL,
    ("site", ""): NOT_A_URL,
    ("link", ""): ["", "a", ":a", "1:a", "a:b c", "a:\n", "a:[", "a://b:x"],
    ("code", ""): ["", "ART", "art-1", "ART-1\n", "ART-1.", 1, None],
    ("details", ""): NOT_DETAILS,
    ("extra", ""): [{"a": 1, "b": 2, "c": 3, "d": 4}, []],
    ("days", ""): [None, "mon", {}, [], ["mon"] * 8],
    ("days", "/0"): [["x"], [None], [["mon"]], [0]],
    ("tags", ""): [None, "x", ["x"] * 6],
    ("tags", "/0"): [[""], [" "], ["a\nb"], ["x" * 21], [None], [1], [[]]],
    ("aliases", "/1"): [["ab", "a"], ["ab", "a\0"], ["ab", "a" * 10]],
    ("grades", "/1"): [[1, 7], [1, 0], [1, 1.5], [1, "1"], [1, True]],
    ("fees", "/0"): [["-1"], ["1.005"], ["10000"], [1], ["NaN"]],
    ("rooms", "/0"): [[""], ["1"], [None], [ROOM.replace("-", "")]],
}
"""By field, and by what of it is refused."""
CHECKED = {
    "price": ["'NaN'", "-0.01", "1000000"],
    "discount": ["0", "1", "'NaN'"],
    "balance": ["'NaN'"],
    "begins": ["'24:00'"],
    "ends": ["'24:00'"],
    "lasts": ["'-1 us'", "'100000000 days'"],
    "pause": ["'-100000000 days'", "'1000000 years'"],
    "code": ["'art-1'", "E'ART-1\\n'"],
    "contact": ["'a'", "repeat('a', 100) || '@b.co'", "'é@b.co'"],
    "site": ["'javascript:1'", "'http://a b'", "'http://a/\\'", "E'http://a\\n'"],
    "link": ["'a'", "'a:b c'"],
    "days": ["'{}'", "'{mon,NULL}'", "'{x}'", "array_fill('mon'::text, '{8}')"],
    "tags": ["'{\"\"}'", "ARRAY[repeat('x', 21)]", "'{NULL}'", "'{a,b,c,d,e,f}'"],
    "aliases": ["'{ab,a}'", "'{ab,NULL}'", "ARRAY['ab', repeat('x', 10)]"],
    "grades": ["'{1,7}'", "'{0}'", "'{NULL}'"],
    "fees": ["'{-0.01}'", "'{1,NaN}'", "'{10000}'", "'{NULL}'"],
    "rooms": ["'{NULL}'", f"array_fill('{ROOM}'::uuid, '{{6}}')"],
    "details": [
        "'[]'",
        "'null'",
        f"jsonb_build_object('a', repeat('x', {MOST_BYTES}))",
        f"'{json.dumps(nested(DEEPEST + 1))}'",
    ],
    "extra": ["'null'", """'{"a": 1, "b": 2, "c": 3, "d": 4}'"""],
}
"""What PostgreSQL refuses by itself, in SQL."""


def post(client: httpx.Client, **fields: object) -> dict[str, Any]:
    """Create a course and return it."""
    return create(client, TABLE, **fields)


@pytest.mark.plain
@pytest.mark.parametrize(("field", "value"), [(f, value) for f in EXACT for value in EXACT[f]])
def test_a_value_comes_back_as_it_was_sent(alice: httpx.Client, field: str, value: object) -> None:
    other = post(alice)
    course = post(alice, **{field: value})
    item = f"{COURSES}/{other['id']}"

    assert course[field] == value
    assert type(course[field]) is type(value)
    assert alice.get(f"{COURSES}/{course['id']}").json() == course
    changed = alice.patch(item, json={field: value})
    assert changed.json()[field] == value
    assert alice.get(COURSES).json()["items"] == [course, changed.json()]


@pytest.mark.plain
@pytest.mark.parametrize(("field", "sent", "shown"), ANOTHER_FORM)
def test_what_comes_back_in_another_form_can_be_sent_again(
    alice: httpx.Client, field: str, sent: object, shown: object
) -> None:
    course = post(alice, **{field: sent})
    again = alice.patch(f"{COURSES}/{course['id']}", json={field: course[field]})

    assert (course[field], again.json()[field]) == (shown, shown)


def test_a_number_of_javascript_is_the_same_to_javascript(alice: httpx.Client) -> None:
    numbers = [*NUMBERS, LARGEST, -LARGEST, 1e21, 123456789012345680000, 1e-7]
    course = post(alice, details={"a": numbers})
    shown = alice.get(f"{COURSES}/{course['id']}").text

    assert json.loads(shown, parse_int=float)["details"]["a"] == [*map(float, numbers)]
    again = alice.patch(f"{COURSES}/{course['id']}", json={"details": course["details"]})
    assert again.json()["details"] == course["details"]


@pytest.mark.plain
@pytest.mark.parametrize(
    ("field", "item", "value"), [(*part, value) for part in REFUSED for value in REFUSED[part]]
)
def test_a_value_that_does_not_fit_is_refused_and_named(
    alice: httpx.Client, field: str, item: str, value: object
) -> None:
    course = post(alice)
    fields = {
        name: course[name] for name in course.keys() - {"id", "created_at", "updated_at", "etag"}
    }
    path = f"{COURSES}/{course['id']}"

    created = alice.post(COURSES, content=json.dumps({**fields, field: value}), headers=JSON)
    updated = alice.patch(path, content=json.dumps({field: value}), headers=JSON)

    assert_problem(created, 422, f"/body/{field}{item}")
    assert_problem(updated, 422, f"/body/{field}{item}")
    assert alice.get(COURSES).json()["items"] == [course]


def test_what_is_left_out_has_its_default_and_stays_as_it_is(alice: httpx.Client) -> None:
    course = post(alice)
    assert {name: course[name] for name in OPTIONAL} == OPTIONAL

    course = alice.patch(f"{COURSES}/{course['id']}", json={"tags": ["a"], "pause": "PT1S"}).json()
    changed = alice.patch(f"{COURSES}/{course['id']}", json={"ends": "10:00:00"}).json()
    version = {name: changed[name] for name in ("updated_at", "etag")}
    assert changed == {**course, "ends": "10:00:00", **version}


def test_a_row_of_a_version_that_knew_fewer_fields_has_their_defaults(
    alice: httpx.Client, database: URL
) -> None:
    course = post(alice)
    columns = [name for name in ("owner_id", *course) if name not in {*OPTIONAL, "etag"}]
    copied = ", ".join("gen_random_uuid()" if name == "id" else name for name in columns)
    with connect(database) as connection:
        connection.execute(
            f"INSERT INTO course ({', '.join(columns)}) SELECT {copied} FROM course WHERE id = %s",
            [course["id"]],
        )
    shown = alice.get(COURSES).json()["items"]
    for item in shown:
        assert {name: item[name] for name in OPTIONAL} == OPTIONAL
    assert len(shown) == 2


@pytest.mark.plain
@pytest.mark.parametrize(("field", "value"), [(f, value) for f in CHECKED for value in CHECKED[f]])
def test_the_database_refuses_what_the_model_refuses(
    alice: httpx.Client, database: URL, field: str, value: str
) -> None:
    course = post(alice)
    refused = (
        psycopg.errors.CheckViolation,
        psycopg.errors.NumericValueOutOfRange,  # of the type itself
    )
    with connect(database) as connection, pytest.raises(refused):
        connection.execute(f"UPDATE course SET {field} = {value} WHERE id = %s", [course["id"]])
    assert alice.get(COURSES).json()["items"] == [course]


def test_a_filter_compares_values_and_not_their_forms(alice: httpx.Client) -> None:
    course = post(
        alice, price="1.50", begins="10:00:00.5", lasts="PT90M", contact="A@b.co", code="ART-1.5"
    )
    post(alice, price="1.51", begins="10:00:00", lasts="PT89M", contact="a@b.co", code="ART-1")

    found = {"price": "1.5", "begins": "10:00:00.500", "lasts": "PT1H30M", "contact": "A@b.co"}
    for field, value in {**found, "code": "ART-1.5"}.items():
        assert alice.get(COURSES, params={field: value}).json()["items"] == [course], field
    bad = {"price": "-1", "begins": "10:00", "lasts": "-PT1S", "contact": "a@b.local", "code": "a"}
    for field, value in bad.items():
        assert_problem(alice.get(COURSES, params={field: value}), 422, f"/query/{field}")


VALUES: dict[str, Any] = {
    "code": "ART-1",
    "price": Decimal("12.50"),
    "balance": Decimal("-1E-8"),
    "begins": time(9, 30),
    "lasts": timedelta(days=1, hours=2),
    "shift": -LONGEST_DURATION,
    "contact": "A@b.co",
    "site": HttpUrl("https://example.com/a"),
    "map": "https://example.com/b",
    "link": AnyUrl("urn:isbn:1"),
    "days": ["5%: it's"],
    "tags": ["a", '{"b",\\}'],
    "aliases": None,
    "fees": [Decimal("1.50")],
    "rooms": [UUID(ROOM)],
    "details": {**NESTED, "numbers": NUMBERS},
    "extra": None,
}


def test_a_transaction_writes_and_reads_the_same(
    server: Server, owner: str, alice: httpx.Client
) -> None:
    async def write_and_read(crud: OwnedCRUD) -> Course:
        async with crud.transaction() as session:
            session.add(Course(**VALUES))
            await session.flush()
            session.expunge_all()
            of_rooms = col(Course.rooms).contains([UUID(ROOM)])
            return (await session.exec(select(Course).where(of_rooms))).one()

    read = run(server, owner, write_and_read)
    stored = {
        name: str(value) if isinstance(value, AnyUrl) else value for name, value in VALUES.items()
    }
    assert {name: getattr(read, name) for name in VALUES} == stored
    assert (read.tags, read.grades, read.options) == (VALUES["tags"], [1, 6], {})
    (shown,) = alice.get(COURSES).json()["items"]
    assert shown["balance"] == "-0.00000001"
    assert shown["shift"] == "-P99999999DT23H59M59.999999S"
    assert {name: shown[name] for name in ("details", "extra", "tags", "map", "link")} == {
        name: stored[name] for name in ("details", "extra", "tags", "map", "link")
    }
