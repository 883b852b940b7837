"""Clients on connections that they keep, and what each of their requests was answered."""

import asyncio
import re
import time
from collections.abc import Iterator
from typing import NamedTuple

_LENGTH = re.compile(rb"^content-length: *(\d+)", re.IGNORECASE | re.MULTILINE)


class Request(NamedTuple):
    """Something to ask for on behalf of an owner."""

    owner: str
    method: str
    path: str
    body: str = ""

    def encoded(self) -> bytes:
        """Return it as it goes over the wire."""
        lines = [
            f"{self.method} {self.path} HTTP/1.1",
            "Host: localhost",
            f"X-User-ID: {self.owner}",
        ]
        if self.body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(self.body)}"]
        return "\r\n".join([*lines, "", self.body]).encode()


class Answer(NamedTuple):
    """What a request was answered, and after how many seconds."""

    request: Request
    status: int
    body: bytes
    seconds: float


async def send(port: int, requests: Iterator[Request], *, clients: int) -> list[Answer]:
    """Send requests and return the answers, in the order in which they came.

    Args:
        port: where the server listens, on loopback.
        requests: each client takes the next one when its last is answered, until there is none.
        clients: how many connections there are, and so how many requests at once.
    """
    answers: list[Answer] = []
    await asyncio.gather(*(_client(port, requests, answers) for _ in range(clients)))
    return answers


async def _client(port: int, requests: Iterator[Request], answers: list[Answer]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in requests:
        start = time.perf_counter()
        writer.write(request.encoded())
        status, body = await _read(reader)
        answers.append(Answer(request, status, body, time.perf_counter() - start))
    writer.close()


async def _read(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read an answer. It has a length, as all answers here do, or no body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    body = await reader.readexactly(int(length[1])) if length else b""
    return int(head.split(b" ")[1]), body
