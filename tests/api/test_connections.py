"""What a connection brings, and when: a client that is slow, broken or gone harms no other."""

import json
import logging
import re
import socket
import struct
from collections.abc import Iterator
from contextlib import closing, suppress

import anyio.from_thread
import pytest
from sqlalchemy import URL

from app.kit.api.protocol import HttpProtocol
from app.main import create_app
from tests.support.logs import Logs
from tests.support.process import wait_until
from tests.support.raw import CHUNKED, JSON, Raw, assert_problem, chunks, read, read_to_the_end
from tests.support.server import Server, SuiteSettings, running
from tests.support.tasks import TASKS

pytestmark = pytest.mark.plain

PATH = TASKS.encode()
BODY = b'{"title": "Buy milk"}'
UPGRADE = [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"]
CLOSE = b"Connection: close"
LIMIT = 64 * 1024


@pytest.fixture
def raw(server: Server, owner: str) -> Raw:
    """A client of somebody who has nothing yet, which sends bytes as they are."""
    return Raw(server.url, owner)


class Hasty(HttpProtocol):
    """The protocol with little patience."""

    patience = 0.3


@pytest.fixture
def hasty(database: URL, owner: str) -> Iterator[Raw]:
    """A client of a server that waits neither for requests nor for their bodies."""
    app = create_app(SuiteSettings(database_url=database))
    with (
        anyio.from_thread.start_blocking_portal(backend_options={"use_uvloop": True}) as portal,
        running(app, portal, http=Hasty, keep_alive=1) as url,
    ):
        yield Raw(url, owner)


def padded(raw: Raw, size: int) -> bytes:
    """A request whose head, up to the empty line, has so many bytes."""
    fill = size - len(raw.request(b"GET", PATH, b"X-A: "))
    return raw.request(b"GET", PATH, b"X-A: " + b"x" * fill)


def test_a_head_has_at_most_64_kib(raw: Raw) -> None:
    assert raw.send(padded(raw, LIMIT)).status == 200
    problem = assert_problem(raw.send(padded(raw, LIMIT + 100)), 431)
    assert problem["title"] == "Request Header Fields Too Large"
    many = [b"X-%d: x" % i for i in range(10_000)]
    assert_problem(raw.send(raw.request(b"GET", PATH, *many)), 431)


@pytest.mark.parametrize("size", [100_000, 10_000_000])
def test_a_head_that_does_not_end_is_431_while_it_is_sent(raw: Raw, size: int) -> None:
    assert_problem(raw.send(b"GET / HTTP/1.1\r\nHost: test\r\nX-A: " + b"x" * size), 431)


def test_trailers_that_do_not_end_are_431(raw: Raw) -> None:
    create = raw.request(
        b"POST", PATH, JSON, CHUNKED, body=b"0\r\nX-A: " + b"x" * 10_000_000, length=False
    )

    assert_problem(raw.send(create), 431)


def test_a_small_body_in_large_pieces_of_chunks_is_read(raw: Raw) -> None:
    body = b"".join(b"1;%s\r\n%c\r\n" % (b"x" * 8_000, byte) for byte in BODY) + b"0\r\n\r\n"

    assert (
        raw.send(raw.request(b"POST", PATH, JSON, CHUNKED, body=body, length=False)).status == 201
    )


def test_large_requests_in_one_segment_are_told_apart(raw: Raw) -> None:
    one = raw.request(b"POST", PATH, JSON, body=b'{"title": ""' + b" " * 60_000 + b"}")

    assert raw.statuses(one * 3 + raw.request(b"GET", PATH, CLOSE)) == [422, 422, 422, 200]


@pytest.mark.parametrize(
    "start",
    [
        b"G",
        b"GET / HTTP/1.1\r\nHost: te",
        b"POST %s HTTP/1.1\r\nHost: test\r\nX-User-ID: a\r\n%s\r\nContent-Length: 9\r\n\r\n{"
        % (PATH, JSON),
        b"POST %s HTTP/1.1\r\nHost: test\r\nX-User-ID: a\r\n%s\r\n%s\r\n\r\n1\r\n{\r\n"
        % (PATH, JSON, CHUNKED),
    ],
    ids=["method", "head", "body", "chunks"],
)
def test_a_request_that_does_not_arrive_is_408(hasty: Raw, logs: Logs, start: bytes) -> None:
    with closing(hasty.connect()) as connection:
        connection.sendall(start)
        assert_problem(read(connection), 408)
    wait_until(lambda: any("status" in entry for entry in logs))

    assert [entry["status"] for entry in logs if "status" in entry] == [408]


def test_a_body_that_nobody_reads_may_not_take_longer_either(hasty: Raw) -> None:
    with closing(hasty.connect()) as connection:
        connection.sendall(hasty.request(b"GET", PATH, b"Content-Length: 9"))
        assert read_to_the_end(connection).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("start", [b"", b"\r\n" * 10, "a request"])
def test_an_idle_connection_is_closed(hasty: Raw, start: bytes | str) -> None:
    with closing(hasty.connect()) as connection:
        connection.sendall(hasty.request(b"GET", PATH) if start == "a request" else start)  # type: ignore[arg-type]
        assert read_to_the_end(connection).startswith(
            b"HTTP/1.1 200" if start == "a request" else b""
        )


@pytest.mark.parametrize("kind", ["length", "chunks"])
def test_an_upgrade_beside_a_body_is_ignored(raw: Raw, kind: str) -> None:
    """The JDK's HttpClient asks for one, and ``curl --http2``."""
    if kind == "length":
        create = raw.request(b"POST", PATH, JSON, *UPGRADE, body=BODY)
    else:
        create = raw.request(
            b"POST", PATH, JSON, CHUNKED, *UPGRADE, body=chunks(BODY), length=False
        )
    answer = raw.send(create)

    assert answer.status == 201
    assert json.loads(answer.body)["title"] == "Buy milk"


def test_requests_after_an_upgrade_that_is_ignored_are_answered(raw: Raw) -> None:
    create = raw.request(b"POST", PATH, JSON, *UPGRADE, body=BODY)
    listed = raw.request(b"GET", PATH, *UPGRADE)
    last = raw.request(b"GET", PATH, CLOSE)

    assert raw.statuses(create + listed + create + last) == [201, 200, 201, 200]


def test_an_upgrade_is_ignored_however_it_is_cut(raw: Raw) -> None:
    data = raw.request(b"POST", PATH, JSON, *UPGRADE, body=BODY) + raw.request(b"GET", PATH, CLOSE)
    with closing(raw.connect()) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data:
            connection.sendall(bytes([byte]))
        received = read_to_the_end(connection)

    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"201", b"200"]


@pytest.mark.parametrize("method", [b"GET", b"POST", b"DELETE", b"CONNECT"])
@pytest.mark.parametrize("upgrade", [[], UPGRADE, [b"Connection: Upgrade", b"Upgrade: websocket"]])
@pytest.mark.parametrize("in_chunks", [False, True])
def test_a_body_is_never_the_next_request(
    raw: Raw, method: bytes, upgrade: list[bytes], *, in_chunks: bool
) -> None:
    """Nor does it have an identity that a gateway would have removed from a header."""
    hidden = (
        b"POST %s HTTP/1.1\r\nHost: test\r\nX-User-ID: %s\r\n%s\r\nContent-Length: %d\r\n\r\n%s"
    )
    hidden %= (PATH, raw.owner.encode(), JSON, len(BODY), BODY)
    framing = [CHUNKED] if in_chunks else [b"Content-Length: %d" % len(hidden)]
    head = raw.request(method, PATH, b"X-User-ID: mallory", JSON, *framing, *upgrade)
    rest = (chunks(hidden) if in_chunks else hidden) + raw.request(b"GET", PATH, CLOSE)

    for parts in ([head + rest], [head, rest]):
        received = b""
        # After CONNECT nothing is a request: the server closes, even while more is sent.
        with closing(raw.connect()) as connection, suppress(ConnectionError):
            for part in parts:
                connection.sendall(part)
            received = read_to_the_end(connection)
        assert received.count(b"HTTP/1.1 ") == 2 or method == b"CONNECT"

    assert json.loads(raw.send(raw.request(b"GET", PATH)).body)["items"] == []


def test_a_trailer_of_an_upgrade_is_no_header(raw: Raw) -> None:
    trailer = b"0\r\nX-User-ID: %s\r\n\r\n" % raw.owner.encode()
    data = raw.request(b"GET", PATH, *UPGRADE, CHUNKED, b"X-User-ID:", body=trailer, length=False)

    assert_problem(raw.send(data), 401)


def test_a_request_that_cannot_be_read_is_answered_in_its_turn(raw: Raw) -> None:
    good, bad = raw.request(b"GET", PATH), b"GET /a b HTTP/1.1\r\n\r\n"

    assert raw.statuses(good + bad + good) == [200, 400]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("GET /?q=молоко HTTP/1.1", "Invalid char in url query"),
        ("GET http://[/ HTTP/1.1", "Invalid URL"),
        ("GET ftp://x HTTP/1.1", "Invalid URL"),
        ("BREW / HTTP/1.1", "Invalid method encountered"),
    ],
)
def test_a_request_that_cannot_be_read_is_told_why(raw: Raw, line: str, reason: str) -> None:
    problem = assert_problem(raw.send(f"{line}\r\nHost: test\r\n\r\n".encode()), 400)

    assert problem["detail"] == f"The request is not valid HTTP: {reason}."


def test_the_log_has_a_line_for_a_request_that_cannot_be_read(raw: Raw, logs: Logs) -> None:
    answers = [
        raw.send("GET /?q=молоко HTTP/1.1\r\nHost: test\r\n\r\n".encode()),
        raw.send(b"GET / HTTP/1.1\r\nX-Request-ID: mine\r\n\r\n"),
        raw.send(b"\x16\x03\x01\x02"),
    ]

    lines = [entry for entry in logs if entry["event"] == "request"]
    assert [(line["method"], line["status"]) for line in lines] == [
        ("GET", 400),
        ("GET", 400),
        ("", 400),
    ]
    ids = [line["request_id"] for line in lines]
    assert ids == [answer.headers["x-request-id"] for answer in answers]
    assert ids[1] == "mine"
    assert "молоко" not in str(logs)


@pytest.mark.parametrize(
    ("codings", "status"),
    [
        ([b"gzip, chunked"], 501),
        ([b"gzip", b"chunked"], 501),
        ([b"gzip, deflate"], 400),
        ([b"xchunked"], 400),
        ([b"chunked, gzip"], 400),
        ([b"identity"], 400),
        ([b""], 400),
        ([b"chunked, chunked"], 400),
        ([b"CHUNKED  "], 201),
    ],
)
def test_a_body_is_sent_as_it_is_or_in_chunks(raw: Raw, codings: list[bytes], status: int) -> None:
    lines = [b"Transfer-Encoding: " + coding for coding in codings]
    answer = raw.send(raw.request(b"POST", PATH, JSON, *lines, body=chunks(BODY), length=False))

    assert answer.status == status
    if status != 201:
        assert_problem(answer, status)


@pytest.mark.parametrize("method", [b"GET", b"DELETE"])
def test_a_request_whose_length_is_uncertain_is_not_carried_out(raw: Raw, method: bytes) -> None:
    task = json.loads(raw.send(raw.request(b"POST", PATH, JSON, body=BODY)).body)
    path = f"{TASKS}/{task['id']}".encode()

    assert_problem(raw.send(raw.request(method, path, b"Transfer-Encoding: xchunked")), 400)
    assert raw.send(raw.request(b"GET", path)).status == 200


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET %s HTTP/1.1\r\n", 400),
        (b"GET %s HTTP/1.1\r\nHost: a\r\nHost: b\r\n", 400),
        (b"GET %s HTTP/1.1\r\nHost: a\r\nhost: a\r\n", 400),
        (b"GET %s HTTP/1.1\r\nHost:\r\n", 200),
        (b"GET %s HTTP/1.0\r\n", 200),
    ],
)
def test_a_host_is_sent_once(raw: Raw, head: bytes, status: int) -> None:
    answer = raw.send(head % PATH + f"X-User-ID: {raw.owner}\r\n\r\n".encode())

    assert answer.status == status
    if status == 400:
        assert_problem(answer, status)


@pytest.mark.parametrize("space", [b" ", b"   ", b"\t", b" \t "])
def test_white_space_around_a_value_is_no_part_of_it(raw: Raw, space: bytes) -> None:
    owner = raw.owner.encode()
    create = raw.request(b"POST", PATH, JSON, b"X-User-ID:" + space + owner + space, body=BODY)

    assert raw.send(create).status == 201
    assert len(json.loads(raw.send(raw.request(b"GET", PATH)).body)["items"]) == 1


@pytest.mark.parametrize("leaves", ["closes", "resets"])
def test_a_client_that_leaves_while_it_pipelines_is_no_error(
    raw: Raw, server: Server, caplog: pytest.LogCaptureFixture, logs: Logs, leaves: str
) -> None:
    with server.client(raw.owner) as client:
        for _ in range(100):
            client.post(TASKS, json={"title": "x", "description": "x" * 5000})
    listed = raw.request(b"GET", PATH + b"?limit=100")
    for _ in range(10):
        with closing(raw.connect()) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(listed * 8)
            connection.recv(1)
            if leaves == "resets":
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    assert raw.send(raw.request(b"GET", PATH)).status == 200

    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert errors == []
    assert [entry for entry in logs if entry["log_level"] == "error"] == []
