"""Bad input is answered with a problem that names the bad part. It is never a 500, nor stored."""

import gzip

import httpx
import pytest

from tests.support.problems import JSON, assert_problem
from tests.support.tasks import NEVER_WAS, TASKS

pytestmark = pytest.mark.plain


NOT_A_TITLE: list[object] = [
    None, 1, True, [], {}, "", " ", "\u3000\u00a0", "x" * 201, "a\0b", "a\r\nb", "a\nb", "a\tb",
    "\x7f", "\x85", "a\u2028b",
]  # fmt: skip
NOT_A_DESCRIPTION = [1, False, [], {}, "x" * 5001, "a\0b"]
NOT_AN_ID = [
    "1", "x", NEVER_WAS[:-1], NEVER_WAS + "0", NEVER_WAS.replace("0", "g"), "%00", "null", "%F0%9F",
]  # fmt: skip
NOT_A_BOOLEAN: list[object] = [None, 0, 1, "true", "yes", "", [], {}]
BAD_FIELDS = [
    *(("title", value) for value in NOT_A_TITLE),
    *(("description", value) for value in NOT_A_DESCRIPTION),
    *(("completed", value) for value in NOT_A_BOOLEAN),
    ("owner_id", "mallory"),
    ("created_at", "2026-01-01T00:00:00Z"),
    ("a/b~c", 1),
]


@pytest.mark.parametrize(("field", "value"), BAD_FIELDS)
def test_a_bad_field_is_named_and_nothing_is_stored(
    alice: httpx.Client, field: str, value: object
) -> None:
    task = alice.post(TASKS, json={"title": "Buy milk"}).json()
    pointer = "/body/" + field.replace("~", "~0").replace("/", "~1")

    created = alice.post(TASKS, json={"title": "Buy bread", field: value})
    updated = alice.patch(f"{TASKS}/{task['id']}", json={field: value})

    assert_problem(created, 422, pointer)
    assert_problem(updated, 422, pointer)
    assert alice.get(TASKS).json()["items"] == [task]


def test_a_bad_header_is_named(alice: httpx.Client) -> None:
    task = alice.post(TASKS, json={"title": "Buy milk"}).json()
    url = f"{TASKS}/{task['id']}"

    long = {"If-None-Match": "x" * 1001, "If-Match": "x" * 1001}
    assert_problem(alice.get(url, headers=long), 422, "/header/If-None-Match/0")
    assert_problem(alice.delete(url, headers=long), 422, "/header/If-Match/0")


def test_a_task_without_a_title_is_refused(alice: httpx.Client) -> None:
    assert_problem(alice.post(TASKS, json={}), 422, "/body/title")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b'{"title": "x"', 400),
        (b"\xff\xfe", 400),
        (b'{"title": "\xff"}', 400),
        (b"[" * 60_000, 400),
        (b"[" * 100_000, 413),
        (b"[]", 422),
        (b"null", 422),
        (b'"title"', 422),
        (b"1", 422),
        (b"NaN", 422),
        (b'{"title": NaN}', 422),
        (b'{"title": "\\ud800"}', 422),
        (b'{"title": "x", "\\udfff": 1}', 422),
    ],
)
def test_a_bad_body_is_refused(alice: httpx.Client, body: bytes, status: int) -> None:
    task = alice.post(TASKS, json={"title": "Buy milk"}).json()

    for response in (
        alice.post(TASKS, content=body, headers=JSON),
        alice.patch(f"{TASKS}/{task['id']}", content=body, headers=JSON),
    ):
        assert response.status_code == status, response.text
        assert response.json()["status"] == status
        assert (status == 422) == ("errors" in response.json())
    assert alice.get(TASKS).json()["items"] == [task]


@pytest.mark.parametrize("bad", NOT_AN_ID)
def test_an_id_that_is_no_uuid_is_refused(alice: httpx.Client, bad: str) -> None:
    assert_problem(alice.get(f"{TASKS}/{bad}"), 422, "/path/id")
    assert_problem(alice.patch(f"{TASKS}/{bad}", json={}), 422, "/path/id")
    assert_problem(alice.delete(f"{TASKS}/{bad}"), 422, "/path/id")
    assert_problem(alice.post(f"{TASKS}/{bad}/toggle"), 422, "/path/id")


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        *(("limit", value) for value in ["0", "-1", "101", str(2**63), "abc", "", "1.5", "5.0"]),
        *(("limit", value) for value in [" 5", "+5", "05", "1_0", "5e0"]),
        *(("sort", value) for value in ["", "title", "owner_id", "created_at,id", "-", "--id"]),
        *(("completed", value) for value in ["", "yes", "1", "True", "null"]),
        *(("cursor", value) for value in ["", "x", "A" * 31, "A" * 33, "=" * 32, "é" * 32]),
        *(("q", value) for value in ["a\0b", "x" * 201]),
        ("page", "2"),
        ("owner_id", "mallory"),
    ],
)
def test_a_bad_parameter_is_named(alice: httpx.Client, parameter: str, value: str) -> None:
    assert_problem(alice.get(TASKS, params={parameter: value}), 422, f"/query/{parameter}")


@pytest.mark.parametrize(
    ("query", "pointers"),
    [
        ("completed=true&completed=false", ["/query/completed"]),
        ("completed=true&completed=true&completed=true", ["/query/completed"]),
        ("q=a&limit=1&q=b&limit=2", ["/query/q", "/query/limit"]),
        ("q=%E9", ["/query/q"]),
        ("q=%C3", ["/query/q"]),
        ("q=%ED%A0%80", ["/query/q"]),
        ("q=%C0%80", ["/query/q"]),
    ],
)
def test_a_parameter_is_sent_once_and_in_utf8(
    alice: httpx.Client, query: str, pointers: list[str]
) -> None:
    assert_problem(alice.get(f"{TASKS}?{query}"), 422, *pointers)


def test_a_parameter_may_be_any_text_in_utf8(alice: httpx.Client) -> None:
    for text in ("é", "молоко", "\ufffd", "🎉", "a+b c&d=e", ""):
        task = alice.post(TASKS, json={"title": f"x{text}"}).json()
        found = alice.get(TASKS, params={"q": f"x{text}", "limit": 1}).json()["items"]
        assert found == [task]


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip", "GZIP", "x"])
@pytest.mark.parametrize("is_encoded", [True, False])
def test_a_body_with_a_content_encoding_is_415(
    alice: httpx.Client, encoding: str, *, is_encoded: bool
) -> None:
    body = b'{"title": "Buy milk"}'
    content = gzip.compress(body) if is_encoded else body
    headers = {**JSON, "Content-Encoding": encoding}

    response = alice.post(TASKS, content=content, headers=headers)

    assert_problem(response, 415)
    assert response.json()["detail"] == "The body must be sent without Content-Encoding."
    assert response.headers["accept-encoding"] == "identity"
    assert_problem(alice.patch(f"{TASKS}/{NEVER_WAS}", content=content, headers=headers), 415)
    assert alice.get(TASKS).json()["items"] == []


def test_a_content_encoding_that_changes_nothing_is_no_error(alice: httpx.Client) -> None:
    headers = {"Content-Encoding": "Identity"}

    assert alice.post(TASKS, json={"title": "x"}, headers=headers).status_code == 201


def test_every_body_that_is_not_json_gets_the_same_answer(alice: httpx.Client) -> None:
    bodies = [
        b"{{{",
        b"\xff\xfe",
        b"[" * 60_000,
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"title": "\xc3"}',
    ]
    details = [alice.post(TASKS, content=body, headers=JSON).json()["detail"] for body in bodies]

    assert details == ["The body is not valid JSON."] * len(bodies)


def test_every_bad_part_is_named(alice: httpx.Client) -> None:
    response = alice.get(TASKS, params={"limit": "0", "sort": "title"})

    assert_problem(response, 422, "/query/sort", "/query/limit")


@pytest.mark.parametrize(("method", "path"), [("PUT", TASKS), ("TRACE", f"{TASKS}/{NEVER_WAS}")])
def test_a_method_that_is_not_there_is_a_problem(
    alice: httpx.Client, method: str, path: str
) -> None:
    assert_problem(alice.request(method, path), 405)


def test_a_path_that_is_not_there_is_a_problem(alice: httpx.Client) -> None:
    assert_problem(alice.get("/nowhere"), 404)


def test_a_newline_at_the_end_of_the_path_is_not_in_the_location(alice: httpx.Client) -> None:
    created = alice.post(f"{TASKS}%0A", json={"title": "Buy milk"})

    assert alice.get(created.headers["location"]).json() == created.json()
