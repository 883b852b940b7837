"""A route may take a larger body than the others."""

from collections.abc import Iterator

import pytest
from pydantic import BaseModel
from sqlalchemy import URL

from app.kit.api.envelope import largest_body
from tests.support.raw import CHUNKED, JSON, Raw, assert_problem, chunks
from tests.support.server import Server, serve
from tests.support.tasks import TASKS

pytestmark = pytest.mark.plain

LARGEST = 1024 * 1024
EMPTY = b'{"text": ""}'


class Text(BaseModel):
    """A body."""

    text: str


@pytest.fixture(scope="module")
def generous_server(database: URL) -> Iterator[Server]:
    """A server with a route that takes more than others."""
    with serve(database) as server:

        @server.app.post("/large")
        @largest_body(LARGEST)
        async def take(text: Text) -> int:
            return len(text.text)

        yield server


def body(size: int) -> bytes:
    """A body of so many bytes."""
    return b'{"text": "' + b"x" * (size - len(EMPTY)) + b'"}'


@pytest.mark.parametrize("in_chunks", [False, True], ids=["Content-Length", "chunked"])
def test_a_route_may_take_a_larger_body_and_no_other_does(
    generous_server: Server, owner: str, *, in_chunks: bool
) -> None:
    raw = Raw(generous_server.url, owner)

    def post(path: str, size: int) -> bytes:
        sent = chunks(body(size)) if in_chunks else body(size)
        headers = [JSON, CHUNKED] if in_chunks else [JSON]
        return raw.request(b"POST", path.encode(), *headers, body=sent, length=not in_chunks)

    taken = raw.send(post("/large", LARGEST))
    assert (taken.status, int(taken.body)) == (200, LARGEST - len(EMPTY))
    refused = assert_problem(raw.send(post("/large", LARGEST + 1)), 413)
    assert refused["detail"] == f"The body has more than {LARGEST} bytes."
    assert_problem(raw.send(post(TASKS, LARGEST)), 413)
    assert_problem(raw.send(post("/large/nowhere", LARGEST)), 404)
