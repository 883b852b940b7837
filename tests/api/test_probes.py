"""What no client library would send: each has its answer, and the next request works."""

import json
import logging
import socket
import struct
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.support.logs import Logs
from tests.support.raw import CHUNKED, JSON, Raw, assert_problem, chunks, read, read_to_the_end
from tests.support.server import Server
from tests.support.tasks import NEVER_WAS, TASKS

pytestmark = pytest.mark.plain

TASK = f"{TASKS}/{NEVER_WAS}"
TEN_MEGABYTES = b'{"title": "' + b"x" * 10_000_000 + b'"}'
LONG = "x" * 60_000
BODY = b'{"title": "x"}'


@pytest.fixture
def raw(server: Server, owner: str) -> Raw:
    """A client of somebody who has nothing yet, which sends bytes as they are."""
    return Raw(server.url, owner)


@pytest.fixture(autouse=True)
def nothing_is_stored_and_the_next_request_works(
    raw: Raw, caplog: pytest.LogCaptureFixture, logs: Logs
) -> Iterator[None]:
    """Fail a test that changes what its owner has, or makes the server log an error."""
    created = raw.send(raw.request(b"POST", TASKS.encode(), JSON, body=b'{"title": "Buy milk"}'))
    yield
    listed = raw.send(raw.request(b"GET", TASKS.encode()))
    assert (listed.status, json.loads(listed.body)["items"]) == (200, [json.loads(created.body)])
    logged = [*caplog.get_records("call"), *caplog.get_records("teardown")]
    assert [record.getMessage() for record in logged if record.levelno >= logging.ERROR] == []
    assert [entry for entry in logs if entry["log_level"] == "error"] == []


NESTED = {
    "lists": b'{"title": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "lists within the limit of a parser": b'{"title": ' + b"[" * 900 + b"]" * 900 + b"}",
}
BODIES: dict[str, tuple[bytes, int, list[str]]] = {
    "NaN": (b'{"title": "x", "completed": NaN}', 422, ["/body/completed"]),
    "Infinity": (b'{"title": "x", "description": Infinity}', 422, ["/body/description"]),
    "-Infinity": (b'{"title": "x", "id": -Infinity}', 422, ["/body/id"]),
    "NaN in a field that is not there": (b'{"title": "x", "a": NaN}', 422, ["/body/a"]),
    "a number as great as infinity": (
        b'{"title": "x", "completed": 1e999}', 422, ["/body/completed"]
    ),
    "a number of 5,000 digits": (b'{"completed": ' + b"9" * 5000 + b"}", 400, []),
    "100,000 brackets": (b"[" * 100_000, 413, []),
    "nested lists": (NESTED["lists"], 400, []),
    "nested objects": (NESTED["objects"], 400, []),
    "900 nested lists": (
        NESTED["lists within the limit of a parser"], 422, ["/body/title"]
    ),
    "a key twice, the last one bad": (b'{"title": "x", "title": 1}', 422, ["/body/title"]),
    "half a character": (b'{"title": "\xc3"}', 400, []),
    "an overlong NUL": (b'{"title": "\xc0\x80"}', 400, []),
    "bad UTF-8 in a key": (b'{"title": "x", "\xff": 1}', 400, []),
    "a surrogate in UTF-8": (b'{"title": "\xed\xa0\x80"}', 422, ["/body/title"]),
    "surrogates in the wrong order": (b'{"title": "\\ude00\\ud83d"}', 422, ["/body/title"]),
    "a lone surrogate in a description": (
        b'{"title": "x", "description": "\\udfff"}', 422, ["/body/description"]
    ),
    "a lone surrogate in an id": (b'{"title": "x", "id": "\\ud800"}', 422, ["/body/id"]),
    "a lone surrogate in a key": (b'{"title": "x", "a\\ud800": 1}', 422, ["/body"]),
    "a lone surrogate alone": (b'"\\ud800"', 422, ["/body"]),
    "NUL": (b"\0", 400, []),
    "NUL in a string": (b'{"title": "x\0"}', 400, []),
    "NUL after the document": (BODY + b"\0", 400, []),
    "an escaped NUL in a key": (b'{"title": "x", "a\\u0000": 1}', 422, ["/body/a\ufffd"]),
    "an escaped NUL in an id": (b'{"title": "x", "id": "\\u0000"}', 422, ["/body/id"]),
    "an empty key": (b'{"title": "x", "": 1}', 422, ["/body/"]),
    "__proto__": (b'{"title": "x", "__proto__": {}}', 422, ["/body/__proto__"]),
    "two documents": (BODY + BODY, 400, []),
    "single quotes": (b"{'title': 'x'}", 400, []),
    "a trailing comma": (b'{"title": "x",}', 400, []),
    "a comment": (b'/**/ {"title": "x"}', 400, []),
    "a tab in a string": (b'{"title": "x\t"}', 400, []),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_no_encoder_makes_is_refused(raw: Raw, name: str) -> None:
    body, status, pointers = BODIES[name]

    answer = raw.send(raw.request(b"POST", TASKS.encode(), JSON, body=body))

    problem = assert_problem(answer, status)
    assert [error["pointer"] for error in problem.get("errors", [])] == pointers


def test_of_a_key_that_is_there_twice_the_last_one_counts(raw: Raw) -> None:
    body = b'{"title": 1, "title": "first", "title": "last"}'

    answer = raw.send(raw.request(b"POST", TASKS.encode(), JSON, body=body))

    assert answer.status == 201
    task = json.loads(answer.body)
    assert task["title"] == "last"
    deleted = raw.send(raw.request(b"DELETE", f"{TASKS}/{task['id']}".encode()))
    assert deleted.status == 204


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", TASKS, 413),
        ("PATCH", TASK, 413),
        ("GET", TASKS, 200),
        ("DELETE", TASK, 404),
        ("PUT", TASKS, 405),
        ("POST", "/nowhere", 404),
    ],
)
@pytest.mark.parametrize("in_chunks", [False, True], ids=["Content-Length", "chunked"])
def test_ten_megabytes_are_answered_while_they_are_sent(
    raw: Raw, *, method: str, path: str, status: int, in_chunks: bool
) -> None:
    if in_chunks:
        headers, body = [JSON, CHUNKED], chunks(TEN_MEGABYTES)
    else:
        headers, body = [JSON], TEN_MEGABYTES

    answer = raw.send(
        raw.request(method.encode(), path.encode(), *headers, body=body, length=not in_chunks)
    )

    if status == 200:
        assert answer.status == 200
    else:
        assert_problem(answer, status)


def test_the_largest_body_is_64_kib(raw: Raw) -> None:
    for size, status in ((65_536, 422), (65_537, 413)):
        body = b'{"a": 1' + b" " * (size - 8) + b"}"
        assert len(body) == size
        for headers, sent in (([JSON], body), ([JSON, CHUNKED], chunks(body))):
            length = sent is body
            data = raw.request(b"POST", TASKS.encode(), *headers, body=sent, length=length)
            assert_problem(raw.send(data), status)


CONTENT_TYPES = [
    "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
    "application/xml", "text/json", "application/jsonp", "application/ndjson", "json",
    "application/", "/", ";", "", "application/json, text/plain", "application/json\xff",
    "x" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("content_type", CONTENT_TYPES, ids=lambda value: value[:40] or "empty")
def test_a_content_type_that_is_not_json_is_415(raw: Raw, content_type: str) -> None:
    header = b"Content-Type: " + content_type.encode("latin-1")
    for method, path in ((b"POST", TASKS), (b"PATCH", TASK)):
        answer = raw.send(raw.request(method, path.encode(), header, body=BODY))
        assert_problem(answer, 415)


def test_no_content_type_is_415(raw: Raw) -> None:
    for method, path in ((b"POST", TASKS), (b"PATCH", TASK)):
        assert_problem(raw.send(raw.request(method, path.encode(), body=BODY)), 415)


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "APPLICATION/JSON", "application/merge-patch+json"],
)
def test_any_way_to_say_json_is_understood(raw: Raw, content_type: str) -> None:
    header = f"Content-Type: {content_type}".encode()

    answer = raw.send(raw.request(b"PATCH", TASK.encode(), header, body=BODY))

    assert_problem(answer, 404)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (TASKS, {"GET", "POST", "PATCH", "DELETE"}),
        (TASK, {"GET", "PATCH", "DELETE"}),
        (f"{TASK}/toggle", {"POST"}),
        (f"{TASKS}/batch", {"POST"}),
        ("/health/ready", {"GET"}),
    ],
)
@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PROPFIND", "CONNECT", "QUERY", "PURGE"])
def test_a_method_that_is_not_there_is_405(
    raw: Raw, method: str, path: str, allowed: set[str]
) -> None:
    answer = raw.send(raw.request(method.encode(), path.encode()))

    assert_problem(answer, 405)
    # HEAD and OPTIONS may be allowed anywhere, since they change nothing.
    assert set(answer.headers["allow"].split(", ")) - {"HEAD", "OPTIONS"} == allowed


@pytest.mark.parametrize("path", [TASKS, TASK])
@pytest.mark.parametrize("method", ["BREW", "get", "GE T", "G\0ET", "GÉT"])
def test_a_method_that_the_server_has_not_heard_of_is_no_request(
    raw: Raw, method: str, path: str
) -> None:
    answer = raw.send(raw.request(method.encode(), path.encode()))

    assert_problem(answer, 400)


TARGETS: dict[str, tuple[str, int]] = {
    "an encoded slash, encoded again": (f"{TASK}%252Ftoggle", 422),
    "encoded dots": (f"{TASKS}/%2e%2e/tasks", 404),
    "dots": (f"{TASKS}/../tasks", 404),
    "no id": (f"{TASKS}//toggle", 404),
    "two slashes within": ("/api/v1//tasks", 404),
    "two slashes first": ("//api/v1/tasks", 404),
    "a backslash": ("\\api\\v1\\tasks", 400),
    "a space": (f"{TASKS}?q=a b", 400),
    "characters that are not ASCII": (f"{TASKS}?q=молоко", 400),
    "other case": ("/API/v1/tasks", 404),
    "NUL after the path": (f"{TASKS}%00", 404),
    "NUL in an id": (f"{TASK}%00", 422),
    "NUL in the name of a parameter": (f"{TASKS}?a%00=1", 422),
    "NUL in a number": (f"{TASKS}?limit=1%00", 422),
    "NUL in a cursor": (f"{TASKS}?cursor={'A' * 31}%00", 422),
    "NUL in an order": (f"{TASKS}?sort=created_at%00", 422),
    "bad UTF-8 in an id": (f"{TASKS}/%ff", 422),
    "bad UTF-8 in the path": ("/%c3", 404),
    "bad UTF-8 in the name of a parameter": (f"{TASKS}?%ff=1", 422),
    "bad UTF-8 in a search": (f"{TASKS}?q=%ff", 422),
    "Latin-1 in a search": (f"{TASKS}?q=%E9", 422),
    "a surrogate in a search": (f"{TASKS}?q=%ed%a0%80", 422),
    "a surrogate in the name of a parameter": (f"{TASKS}?%ed%a0%80=1", 422),
    "half an escape": (f"{TASKS}?q=%", 200),
    "a semicolon": (f"{TASKS}?;", 422),
    "a long search": (f"{TASKS}?q={LONG}", 422),
    "a long name of a parameter": (f"{TASKS}?{LONG}=1", 422),
    "a long cursor": (f"{TASKS}?cursor={LONG}", 422),
    "a long number": (f"{TASKS}?limit={'9' * 60_000}", 422),
    "a long id": (f"{TASKS}/{LONG}", 422),
    "a long path": (f"/{LONG}", 404),
    "many slashes": ("/" * 60_000, 404),
    "many parameters": (f"{TASKS}?" + "&".join(f"a{i}=1" for i in range(7_000)), 422),
}


@pytest.mark.parametrize("name", TARGETS)
def test_an_odd_address_has_its_answer(raw: Raw, name: str) -> None:
    target, status = TARGETS[name]

    answer = raw.send(raw.request(b"GET", target.encode()))

    if status == 200:
        assert json.loads(answer.body)["items"] == []
    else:
        assert_problem(answer, status)


@pytest.mark.parametrize("size", [100_000, 10_000_000], ids=["100 kB", "10 MB"])
@pytest.mark.parametrize("before", [f"{TASKS}?q=", f"{TASKS}/", "/"])
def test_an_address_that_is_longer_than_a_server_reads_is_no_request(
    raw: Raw, before: str, size: int
) -> None:
    answer = raw.send(raw.request(b"GET", before.encode() + b"x" * size))

    assert_problem(answer, 431)


@pytest.mark.parametrize("name", ["X-User-ID", "If-Match", "If-None-Match", "X-Request-ID"])
def test_a_nul_in_a_header_is_no_request(raw: Raw, name: str) -> None:
    answer = raw.send(raw.request(b"GET", TASK.encode(), f"{name}: a\0b".encode()))

    assert_problem(answer, 400)


@pytest.mark.parametrize(
    ("name", "status"),
    [("X-User-ID", 401), ("If-Match", 422), ("X-Request-ID", 404), ("Accept", 404), ("X-A", 404)],
)
def test_a_long_header_has_its_answer(raw: Raw, name: str, status: int) -> None:
    header = f"{name}: {LONG}".encode()

    answer = raw.send(raw.request(b"DELETE", TASK.encode(), header))

    assert_problem(answer, status)


LENGTHS = {
    "two that differ": (b"Content-Length: 14", b"Content-Length: 15"),
    "two in one": (b"Content-Length: 14, 15",),
    "with chunks": (b"Content-Length: 14", CHUNKED),
    "after chunks": (CHUNKED, b"Content-Length: 14"),
    "negative": (b"Content-Length: -1",),
    "signed": (b"Content-Length: +14",),
    "hexadecimal": (b"Content-Length: 0xe",),
    "empty": (b"Content-Length:",),
    "more than there is": (b"Content-Length: 99999999999999999999",),
    "before a space": (b"Content-Length : 14",),
    "chunks that are not the last encoding": (b"Transfer-Encoding: chunked, gzip",),
    "an encoding that nobody knows": (b"Transfer-Encoding: xchunked",),
}


@pytest.mark.parametrize("name", LENGTHS)
def test_a_length_that_can_be_read_two_ways_is_no_request(raw: Raw, name: str) -> None:
    """Or else a proxy and the server may not agree where the next request starts."""
    smuggled = raw.request(b"POST", TASKS.encode(), JSON, body=BODY)
    data = raw.request(b"POST", TASKS.encode(), JSON, *LENGTHS[name], body=BODY, length=False)

    assert_problem(raw.send(data + smuggled), 400)
    assert raw.statuses(data + smuggled) == [400]


GARBAGE = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x80" * 32,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/9.9": b"GET / HTTP/9.9\r\n\r\n",
    "a method alone": b"GET\r\n\r\n",
    "a space in the path": b"GET /a b HTTP/1.1\r\n\r\n",
    "NUL in the path": b"GET /\0 HTTP/1.1\r\n\r\n",
    "bad UTF-8 in the path": b"GET /\xff HTTP/1.1\r\n\r\n",
    "bad UTF-8 in the query": b"GET /?\xff HTTP/1.1\r\n\r\n",
    "a host that is none": b"GET http://[/ HTTP/1.1\r\n\r\n",
    "JSON": BODY + b"\r\n\r\n",
    "a header without a colon": b"GET / HTTP/1.1\r\nnonsense\r\n\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\n: x\r\n\r\n",
    "NUL in the name of a header": b"GET / HTTP/1.1\r\na\0: x\r\n\r\n",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_what_is_not_http_is_no_request(raw: Raw, name: str) -> None:
    assert_problem(raw.send(GARBAGE[name]), 400)
    assert raw.statuses(GARBAGE[name]) == [400]


@pytest.mark.parametrize("rest", [b"ZZ\r\n", b"f" * 17 + b"\r\n", b"2\r\n{}X\r\n"])
def test_a_chunk_that_is_none_ends_the_request(raw: Raw, rest: bytes) -> None:
    start = raw.request(b"POST", TASKS.encode(), JSON, CHUNKED)

    assert_problem(raw.send(start + rest), 400)
    assert raw.statuses(start + rest) == [400]


UNFINISHED = {
    "the request line": b"POST /api/v1/tasks HT",
    "the headers": b"POST /api/v1/tasks HTTP/1.1\r\nHost: te",
}


@pytest.mark.parametrize("name", ["the request line", "the headers", "the length", "the chunks"])
@pytest.mark.parametrize("reset", [False, True], ids=["closes", "resets"])
def test_a_client_that_hangs_up_has_asked_for_nothing(raw: Raw, name: str, *, reset: bool) -> None:
    """Even if what has come would be enough: a whole document, in a body that is not whole."""
    path = TASKS.encode()
    data = {
        **UNFINISHED,
        "the length": raw.request(
            b"POST", path, JSON, b"Content-Length: 100", body=BODY, length=False
        ),
        "the chunks": raw.request(
            b"POST", path, JSON, CHUNKED, body=b"e\r\n" + BODY + b"\r\n", length=False
        ),
    }[name]

    with closing(raw.connect()) as connection:
        connection.sendall(data)
        if reset:
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        else:
            connection.shutdown(socket.SHUT_WR)
            assert read_to_the_end(connection) == b""


def test_a_connection_is_good_for_more_after_an_error(raw: Raw) -> None:
    bad = raw.request(b"POST", TASKS.encode(), JSON, body=b"{")
    large = raw.request(b"POST", TASKS.encode(), JSON, body=b"x" * 200_000)
    good = raw.request(b"GET", TASKS.encode())

    with closing(raw.connect()) as connection:
        for data, status in ((bad, 400), (good, 200), (large, 413), (good, 200)):
            connection.sendall(data)
            assert read(connection).status == status
