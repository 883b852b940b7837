"""Clients on connections that they keep, and what each of their requests was answered."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple


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
    """What a request was answered, and after how many seconds. Status 0 is no answer at all."""

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


def until(deadline: float, requests: Iterator[Request]) -> Iterator[Request]:
    """Give requests as long as ``time.perf_counter()`` is before the deadline."""
    for request in requests:
        if time.perf_counter() >= deadline:
            return
        yield request


async def _client(port: int, requests: Iterator[Request], answers: list[Answer]) -> None:
    writer = None
    for request in requests:
        start = time.perf_counter()
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request.encoded())
            status, body = await _read(reader)
        except (OSError, asyncio.IncompleteReadError):
            status, body, writer = 0, b"", None
        answers.append(Answer(request, status, body, time.perf_counter() - start))
    if writer is not None:
        writer.close()


async def _read(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read an answer. It has a length, as all answers here do, or no body."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    length = int(_headers(lines).get(b"content-length", b"0"))
    return int(first.split(b" ")[1]), await reader.readexactly(length)


def _headers(lines: list[bytes]) -> Mapping[bytes, bytes]:
    pairs = (line.partition(b":") for line in lines)
    return {name.lower(): value for name, _, value in pairs}
