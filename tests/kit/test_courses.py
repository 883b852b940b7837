"""Lists and batches hold for each type of real data: filters, sort orders, pages, exact values."""

from collections.abc import Callable
from datetime import time
from decimal import Decimal
from typing import Any

import httpx
import pytest

from app.kit.models.durations import parse_duration
from tests.support.courses import COURSES
from tests.support.operations import CREATE
from tests.support.paging import COMPARISONS, pages, pages_back, sorted_as
from tests.support.problems import assert_problem

Course = dict[str, Any]

VALUES: list[Course] = [
    {"price": "0.00", "discount": "0.001", "ends": "00:00:00", "pause": "-PT1S", "code": "AB-1"},
    {"price": "10.50", "discount": None, "ends": None, "pause": None, "code": "AB-2"},
    {"price": "9.99", "discount": "0.999", "ends": "23:59:59.999999", "pause": "PT0S"},
    {"price": "999999.99", "discount": "0.1", "ends": "12:00:00", "pause": "P99999999D"},
    {"price": "10.50", "discount": None, "ends": "12:00:00.000001", "pause": "PT0.000001S"},
    {"price": "0.01", "discount": "0.1", "ends": None, "pause": "-P99999999D"},
]
TAGS = [["a", "b"], [], ["a"], ["ab"], ["b", "a", "a"], ["A"]]
READ: dict[str, Callable[[str], Any]] = {
    "price": Decimal, "discount": Decimal, "ends": time.fromisoformat, "pause": parse_duration,
}  # fmt: skip
SORTS = [
    *(sign + field for field in (*READ, "code") for sign in ("", "-")),
    "discount,-begins", "-discount,begins", "discount,-price,pause", "-pause,code",
]  # fmt: skip


@pytest.fixture
def courses(alice: httpx.Client) -> list[Course]:
    """Some courses, made by one request."""
    create = CREATE["course"]
    items = [
        {**(create.fields(alice) or {}), **values, "tags": tags}
        for values, tags in zip(VALUES, TAGS, strict=True)
    ]
    created = alice.post(f"{COURSES}/batch", json={"items": items})
    assert created.status_code == 201, created.text
    made: list[Course] = created.json()["items"]
    return made


def test_a_batch_stores_each_type_as_one_create_does(
    alice: httpx.Client, courses: list[Course]
) -> None:
    for course in courses:
        sent = {k: v for k, v in course.items() if k not in {"id", "etag"} and "_at" not in k}
        one = alice.post(COURSES, json=sent).json()
        own = ("id", "created_at", "updated_at", "etag")
        assert {**one, **{name: course[name] for name in own}} == course
        assert alice.get(f"{COURSES}/{course['id']}").json() == course


def in_order(courses: list[Course], sort: str) -> list[Course]:
    """Return courses as a list shows them."""
    return sorted_as(courses, sort, key)


def key(field: str) -> Callable[[Course], Any]:
    """Return the function that puts courses in the order of a field: null is the largest value."""
    read = READ.get(field, str)
    return lambda item: (item[field] is None, 0 if item[field] is None else read(item[field]))


@pytest.mark.plain
@pytest.mark.parametrize("sort", SORTS)
def test_pages_hold_for_each_type(alice: httpx.Client, courses: list[Course], sort: str) -> None:
    for limit in (1, 4):
        assert pages(alice, COURSES, sort=sort, limit=limit) == in_order(courses, sort)
        assert pages_back(alice, COURSES, sort=sort, limit=limit) == in_order(courses, sort)


@pytest.mark.plain
@pytest.mark.parametrize("sort", SORTS)
def test_any_cursor_of_the_right_form_is_taken(
    alice: httpx.Client, courses: list[Course], sort: str
) -> None:
    cursors = ["A" * 32, "_" * 32, "z" * 40, "gAAAAAAA" + "0" * 24, "AAZ" + "9" * 29]
    cursor = alice.get(COURSES, params={"sort": "code", "limit": 1}).json()["next_cursor"]

    for any_ in (*cursors, cursor):
        response = alice.get(COURSES, params={"sort": sort, "cursor": any_})
        assert response.status_code == 200, (any_, response.text)
    assert courses


@pytest.mark.plain
@pytest.mark.parametrize("field", READ)
def test_a_range_of_each_type_is_exact(
    alice: httpx.Client, courses: list[Course], field: str
) -> None:
    read, there = READ[field], [course for course in courses if course[field] is not None]
    for value in {course[field] for course in there}:
        for compared, holds in COMPARISONS.items():
            expected = [course for course in there if holds(read(course[field]), read(value))]
            found = pages(alice, COURSES, sort="created_at", **{f"{field}__{compared}": value})
            assert found == expected, (compared, value)
    if field != "price":
        null = pages(alice, COURSES, sort="created_at", **{f"{field}__is": "null"})
        assert null == [course for course in courses if course[field] is None]


def test_a_list_is_found_by_what_it_contains(alice: httpx.Client, courses: list[Course]) -> None:
    def found(**parameters: object) -> list[Course]:
        return pages(alice, COURSES, sort="created_at", **parameters)

    def with_tags(*numbers: int) -> list[Course]:
        return [courses[number] for number in numbers]

    assert found(tags__contains="a") == with_tags(0, 2, 4)
    assert found(tags__contains=["b", "a"]) == with_tags(0, 4)
    assert found(tags__contains=["c"]) == []
    assert found(grades__contains=[6]) == courses
    assert found(grades__contains=[2]) == []
    assert_problem(
        alice.get(COURSES, params={"grades__contains": "x"}), 422, "/query/grades__contains/0"
    )


def test_a_set_of_decimals_is_exact(alice: httpx.Client, courses: list[Course]) -> None:
    found = pages(alice, COURSES, sort="created_at", price__in=["10.5", "0.01"])

    assert found == [courses[number] for number in (1, 4, 5)]


def test_many_are_changed_and_deleted_by_filters_of_each_type(
    alice: httpx.Client, courses: list[Course]
) -> None:
    changes = {"pause": "P1DT0.5S", "tags": ["x", "y"], "details": {"a": [1, 2.5]}, "price": "1.1"}
    changed = alice.patch(COURSES, params={"tags__contains": "a", "price__lt": "10"}, json=changes)

    assert changed.json() == {"count": 2}
    after = alice.get(COURSES, params={"tags__contains": ["y", "x"]}).json()["items"]
    assert {item["id"] for item in after} == {courses[0]["id"], courses[2]["id"]}
    for item in after:
        assert {name: item[name] for name in changes} == {**changes, "price": "1.10"}
    gone = alice.delete(COURSES, params={"pause__gte": "P1DT0.5S", "ends__is_not": "null"})
    assert gone.json() == {"count": 3}
