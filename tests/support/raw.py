"""Requests as bytes, of which no client library makes some."""

import http.client
import json
import re
import socket
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx

JSON = b"Content-Type: application/json"
CHUNKED = b"Transfer-Encoding: chunked"


@dataclass
class Answer:
    """A response."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


@dataclass
class Raw:
    """A client that sends bytes as they are."""

    url: str
    owner: str

    def connect(self) -> socket.socket:
        """Open a connection."""
        url = httpx.URL(self.url)
        return socket.create_connection((url.host, url.port), timeout=30)

    def request(
        self, method: bytes, target: bytes, *headers: bytes, body: bytes = b"", length: bool = True
    ) -> bytes:
        """A request of the owner, in HTTP."""
        lines = [method + b" " + target + b" HTTP/1.1", b"Host: test", *headers]
        if not any(line.lower().startswith(b"x-user-id") for line in headers):
            lines.append(f"X-User-ID: {self.owner}".encode())
        if body and length:
            lines.append(b"Content-Length: %d" % len(body))
        return b"\r\n".join([*lines, b"", body])

    def send(self, data: bytes) -> Answer:
        """Send bytes, then read the response."""
        with closing(self.connect()) as connection:
            connection.sendall(data)
            return read(connection, data.partition(b" ")[0].decode("latin-1"))

    def statuses(self, data: bytes) -> list[int]:
        """Send bytes, then read responses until the server closes the connection."""
        with closing(self.connect()) as connection:
            connection.sendall(data)
            received = read_to_the_end(connection)
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", received)]


def read(connection: socket.socket, method: str = "GET") -> Answer:
    """Read the response to a request."""
    with closing(http.client.HTTPResponse(connection, method=method)) as response:
        response.begin()
        return Answer(response.status, response.headers, response.read())


def read_to_the_end(connection: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    received = b""
    while data := connection.recv(65536):
        received += data
    return received


def chunks(body: bytes) -> bytes:
    """A body in chunks of 64 KiB."""
    size = 65536
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])


def assert_problem(answer: Answer, status: int) -> dict[str, Any]:
    """Check that an answer is a problem document with the usual headers, and return it."""
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    problem: dict[str, Any] = json.loads(answer.body)
    assert problem["status"] == status
    return problem
