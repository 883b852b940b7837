"""What no well-behaved client sends has its answer, too, and the next request is served."""

import json
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.server import Server

TASKS = "/api/v1/tasks"
AN_ID = "019daf09-0000-7000-8000-000000000000"
LARGE = 10_000_000


@pytest.fixture(autouse=True)
def the_next_request_is_served(alice: httpx.Client) -> Iterator[None]:
    """Check that nothing is stored, and that the server is well."""
    yield
    response = alice.get(TASKS)
    assert (response.status_code, response.json()["items"]) == (200, [])


def talk(server: Server, *parts: bytes) -> tuple[int, bytes, bytes]:
    """Send bytes as they are, and return the status, the head and the body of the answer."""
    address = httpx.URL(server.url)
    with socket.create_connection((address.host, address.port or 80), timeout=30) as connection:
        for part in parts:
            connection.sendall(part)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
            head, separator, body = answer.partition(b"\r\n\r\n")
            length = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-l")]
            if separator and (not length or len(body) >= int(length[0].split(b":")[1])):
                return int(head.split()[1]), head, body
    return 0, answer, b""


def request(
    owner: str, method: str = "POST", path: str = TASKS, *headers: str, body: bytes = b""
) -> bytes:
    """The bytes of a request; a Content-Length is among the headers or there is none."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"X-User-ID: {owner}", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def assert_problem(answer: tuple[int, bytes, bytes], status: int) -> None:
    """Check that the application answered with a problem document."""
    assert answer[0] == status, answer
    assert b"application/problem+json" in answer[1]
    assert json.loads(answer[2])["status"] == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"title": NaN}', 422),
        (b'{"title": "x", "completed": Infinity}', 422),
        (b'{"title": -Infinity}', 422),
        (b'{"title": 1e999}', 422),
        (b"[" * 30_000 + b"]" * 30_000, 400),
        (b'{"title": ' + b"[" * 60_000, 400),
        (b'{"title": "x", "title": ""}', 422),
        (b'{"title": "\xc3\x28"}', 400),
        (b'{"title": "\xed\xa0\x80"}', 422),
        (b'{"title": "\\ud800"}', 422),
        (b'{"title": "x", "\\ud800": 1}', 422),
        (b'{"title": "\\u0000"}', 422),
        (b'{"title": "x", "description": "\\u0000"}', 422),
        (b'{"title": "x", "\\u0000": 1}', 422),
        (b"\x00", 400),
        (b"{" + b",".join(b'"%d": 1' % n for n in range(5000)) + b"}", 422),
        (b'{"' + b"a" * 60_000 + b'": 1}', 422),
        (b'{"title": 1' + b"0" * 60_000 + b"}", 400),
    ],
)
def test_a_strange_body_is_refused(server: Server, owner: str, body: bytes, status: int) -> None:
    headers = ["Content-Type: application/json", f"Content-Length: {len(body)}"]

    assert_problem(talk(server, request(owner, "POST", TASKS, *headers, body=body)), status)


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "json",
        "\xff",
    ],
)
def test_a_body_that_is_not_called_json_is_refused(
    server: Server, owner: str, content_type: str | None
) -> None:
    headers = ["Content-Length: 14"]
    if content_type is not None:
        headers.append(f"Content-Type: {content_type}")

    answer = talk(server, request(owner, "POST", TASKS, *headers, body=b'{"title": "x"}'))
    assert_problem(answer, 415)


def test_a_body_of_ten_megabytes_is_refused(server: Server, owner: str) -> None:
    json_type = "Content-Type: application/json"
    with_length = request(owner, "POST", TASKS, json_type, f"Content-Length: {LARGE}")
    in_chunks = request(owner, "POST", TASKS, json_type, "Transfer-Encoding: chunked")
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"

    assert_problem(talk(server, with_length, b" " * 100_000), 413)
    assert_problem(talk(server, in_chunks, chunk, chunk), 413)


def test_a_client_can_read_the_refusal_of_a_large_body(alice: httpx.Client) -> None:
    response = alice.post(TASKS, content=b" " * LARGE, headers={"Content-Type": "application/json"})

    assert response.status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("HEAD", TASKS, {"GET", "POST"}),
        ("OPTIONS", TASKS, {"GET", "POST"}),
        ("TRACE", TASKS, {"GET", "POST"}),
        ("PUT", f"{TASKS}/{AN_ID}", {"GET", "PATCH", "DELETE"}),
        ("GET", f"{TASKS}/{AN_ID}/toggle", {"POST"}),
    ],
)
def test_a_method_that_is_not_there_is_told_which_are(
    alice: httpx.Client, method: str, path: str, allowed: set[str]
) -> None:
    response = alice.request(method, path)

    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    "path",
    [
        f"{TASKS}/",
        f"{TASKS}/{AN_ID}/",
        f"{TASKS}/{AN_ID}/toggle/",
        f"{TASKS}%2F{AN_ID}%2Ftoggle%2F",
        "//api/v1/tasks",
        "/api/v1/tasks/../tasks/x/y",
        "/%00",
        "/" + "a" * 50_000,
    ],
)
def test_a_path_that_is_not_there_is_not_found(server: Server, owner: str, path: str) -> None:
    assert_problem(talk(server, request(owner, "GET", path)), 404)


@pytest.mark.parametrize(
    "path", [f"{TASKS}/%00", f"{TASKS}/%ff", f"{TASKS}/..", f"{TASKS}/%ED%A0%80"]
)
def test_an_id_of_strange_bytes_is_refused(server: Server, owner: str, path: str) -> None:
    assert_problem(talk(server, request(owner, "GET", path)), 422)


@pytest.mark.parametrize(
    "query",
    ["q=%00", "q=" + "a" * 30_000, "cursor=%ff", "limit=%F0%9F", "a%00b=1", "sort=%ED%A0%80"],
)
def test_a_query_of_strange_bytes_is_refused(server: Server, owner: str, query: str) -> None:
    assert_problem(talk(server, request(owner, "GET", f"{TASKS}?{query}")), 422)


@pytest.mark.parametrize(
    "raw",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"BREW /api/v1/tasks HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /api/v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /api/v1/tasks HTTP/1.1\r\nHost: x\r\nX-User-ID: a\x00b\r\n\r\n",
        b"GET /api/v1/tasks\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_before_it_reaches_the_application(
    server: Server, raw: bytes
) -> None:
    status, _, _ = talk(server, raw)

    assert status in {400, 0}  # 0: the connection was closed


def test_a_client_that_hangs_up_in_the_middle_of_a_body_is_forgotten(
    server: Server, owner: str
) -> None:
    address = httpx.URL(server.url)
    head = request(owner, "POST", TASKS, "Content-Type: application/json", "Content-Length: 100")
    for _ in range(20):
        with socket.create_connection((address.host, address.port or 80)) as connection:
            connection.sendall(head + b'{"title": "x"')
