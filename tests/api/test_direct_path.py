"""The direct path: each request of a resource has the answer that FastAPI would give."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import URL

from tests.support.migrations import MakeDatabase
from tests.support.milestones import MILESTONES
from tests.support.operations import OPERATIONS, Operation, create
from tests.support.server import Server, serve
from tests.support.tasks import NEVER_WAS, TASKS

pytestmark = pytest.mark.plain


def leave_to_fastapi(server: Server) -> None:
    """Override a dependency that nothing has, so that FastAPI answers all requests."""
    server.app.dependency_overrides[leave_to_fastapi] = leave_to_fastapi


@pytest.fixture(scope="module")
def by_fastapi(database: URL) -> Iterator[Server]:
    """A server of the same database that does not take the direct path."""
    with serve(database) as server:
        leave_to_fastapi(server)
        yield server


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_generated_routes_and_toggle_take_the_direct_path(
    alice: httpx.Client, solved: list[str], operation: Operation
) -> None:
    operation.send(alice, create(alice, operation.table)["id"])

    assert solved == []


def test_fastapi_answers_while_a_dependency_is_overridden(
    by_fastapi: Server, owner: str, solved: list[str]
) -> None:
    with by_fastapi.client(owner) as client:
        client.get(TASKS)

    assert len(solved) > 0


@dataclass(frozen=True)
class Asked:
    """A request, and the status that answers it.

    Its path and its headers may have ``{task}`` and ``{etag}``, which are of a task that is there.
    """

    status: int
    method: str
    path: str
    headers: Sequence[tuple[str, bytes]] = ()
    content: bytes | None = None
    is_known: bool = True

    def __str__(self) -> str:
        headers = [f"{name}: {value!r}" for name, value in self.headers]
        content = "" if self.content is None else repr(self.content[:40])
        path = self.path.replace("{task}", "task")[-60:]
        return " ".join([str(self.status), self.method, path, *headers, content])[:120]

    def answer(self, server: Server) -> tuple[Any, ...]:
        """Send it, and return what the answer is, but for what differs each time."""
        owner = f"owner-{uuid4()}"
        with server.client(owner) as client:
            created = client.post(TASKS, json={"title": "Buy milk", "id": ID})
            etag = created.headers.get("etag", '"1"').encode()
            headers = [(n.encode(), v.replace(b"{etag}", etag)) for n, v in self.headers]
            if not self.is_known:
                client.headers = httpx.Headers()
            path = self.path.replace("{task}", f"{TASKS}/{ID}")
            response = client.request(self.method, path, headers=headers, content=self.content)
        shown = {
            n: v for n, v in response.headers.multi_items() if n not in {"date", "x-request-id"}
        }
        if "etag" in shown:
            shown["etag"] = str(response.headers["etag"] == etag.decode())
        if "content-length" in shown:  # a time has no fraction at the beginning of a second
            shown["content-length"] = str(int(shown["content-length"]) == len(response.content))
        body = re.sub(rb'"(id|\w+_at|etag)":"(\\.|[^"])*"', rb"\1", response.content)
        if self.method == "POST" and response.status_code == 201:
            shown["location"] = shown["location"].rpartition("/")[0]
        return response.status_code, shown, body


ID = "019daf09-0000-7000-8000-00000000000a"
NEW = b'{"title": "Buy bread", "completed": true}'
JSON = ("Content-Type", b"application/json")


def posts(
    status: int, content: bytes, kind: bytes | None = b"application/json", path: str = TASKS
) -> Asked:
    """A request to create something."""
    return Asked(status, "POST", path, [] if kind is None else [("Content-Type", kind)], content)


def weighs(weight: bytes) -> Asked:
    """A request to create a milestone, which is refused at the latest for its task."""
    fields = b'{"task_id": "%s", "name": "x", "weight": %s}' % (NEVER_WAS.encode(), weight)
    return posts(422, fields, path=MILESTONES)


ASKED = [
    Asked(200, "GET", "{task}"),
    Asked(200, "HEAD", "{task}"),
    Asked(200, "GET", "{task}?unknown=1"),
    Asked(304, "GET", "{task}", [("If-None-Match", b"{etag}")]),
    Asked(304, "GET", "{task}", [("If-None-Match", b'"1"'), ("if-none-match", b"{etag}")]),
    Asked(304, "HEAD", "{task}", [("If-None-Match", b"*")]),
    Asked(200, "GET", "{task}", [("If-None-Match", b"")]),
    Asked(422, "GET", "{task}", [("If-None-Match", b'"1"'), ("If-None-Match", b"x" * 1001)]),
    Asked(404, "GET", f"{TASKS}/{NEVER_WAS}"),
    Asked(422, "GET", f"{TASKS}/1"),
    Asked(422, "GET", f"{TASKS}/%00%F0%9F"),
    Asked(422, "GET", f"{TASKS}/1", [("If-None-Match", b"\xe9" * 1001)]),
    Asked(401, "GET", "{task}", is_known=False),
    Asked(401, "GET", f"{TASKS}/1", is_known=False),
    Asked(401, "GET", "{task}", [("X-User-ID", b"alice"), ("X-User-ID", b"mallory")]),
    *(
        Asked(200, "GET", f"{TASKS}?{query}")
        for query in [
            "", "&", "limit=1", "completed=false&q=milk&sort=-updated_at", "q=", "q=%26=+",
        ]
    ),
    *(
        Asked(422, "GET", f"{TASKS}?{query}")
        for query in [
            "limit=0", "limit", "limit=1.0", "limit=1&limit=2", "sort=x&limit=x&cursor=x",
            "unknown=1", "unknown=1&unknown=2&limit=0&other=", "=", "q=%ff", "q=%00",
            "completed=1", "x%ED%A0%80=1", "limit=%F0%9F",
        ]
    ),
    Asked(422, "HEAD", f"{TASKS}?limit=0"),
    posts(201, NEW),
    posts(201, NEW, path=f"{TASKS}%0A"),
    posts(201, b"\xef\xbb\xbf" + NEW),
    posts(201, NEW.decode().encode("utf-16")),
    posts(201, b'{"title": "a", "title": "b", "title": "c"}'),
    posts(201, b' \n{"title": "\\u00e9\\ud83c\\udf89", "description": null}\t '),
    posts(422, b'{"title": "b", "title": 1}'),
    posts(422, b'{"title": NaN, "completed": -Infinity, "description": 1e999}'),
    posts(422, b'{"title": "\\ud800", "description": "\\u0000", "\\udfff": 1, "a/b~": 1}'),
    posts(422, b'{"id": "1"}'),
    posts(422, b'{"id": "%s", "title": 1.0, "completed": 1}' % NEVER_WAS.encode()),
    *(posts(422, body) for body in [b"", b"null", b"[]", b"NaN", b"1.0", b'"title"', b"false"]),
    posts(422, b'{"title": %s}' % (b"[" * 400 + b"]" * 400)),
    posts(422, b'{"title": %s}' % (b"9" * 4000)),
    posts(400, b'{"title": %s}' % (b"9" * 5000)),
    posts(400, b"[" * 60_000),
    *(posts(400, body) for body in [b"{", b" ", b"{} {}", b"01", b"+1", b"{'title': 1}"]),
    *(posts(400, body) for body in [b"\xff", b"\xff\xfe", b'{"title": "\xc3"}', b'"\n"']),
    posts(413, b" " * 70_000),
    posts(409, b'{"id": "%s", "title": "again"}' % ID.encode()),
    *(
        posts(201, NEW, kind)
        for kind in [
            b"application/vnd.x+json", b"application/json; charset=utf-8", b"APPLICATION/JSON",
            b"application/json;", b"application/json; charset=latin-1",
        ]
    ),
    *(
        posts(415, NEW, kind)
        for kind in [
            None, b"", b"text/plain", b"application/jsonx", b"application/x-json", b"json",
            b"application/", b"application/json/x", b"application/x-www-form-urlencoded",
            b"application/json, text/plain", b"application\xe9/json", b"multipart/form-data",
        ]
    ),
    posts(415, b"{", b"text/plain"),
    posts(422, b"", None),
    Asked(415, "POST", TASKS, [JSON, ("Content-Encoding", b"br")], NEW),
    *map(weighs, [b"1", b"1.0", b"1e2", b"1.5", b"true", b'"1"', b"1e400", b"1" * 400]),
    *(
        Asked(401, "POST", TASKS, [JSON], body, is_known=False)
        for body in [NEW, b"{", b"", b"{}", b" " * 70_000]
    ),
    Asked(200, "PATCH", "{task}", [JSON], b'{"completed": true}'),
    Asked(200, "PATCH", "{task}", [JSON], b"{}"),
    Asked(412, "PATCH", "{task}", [JSON, ("If-Match", b'"1"'), ("If-Match", b'"2"')], NEW),
    Asked(422, "PATCH", f"{TASKS}/1", [JSON, ("If-Match", b"x" * 1001)], b'{"title": 0, "x": 1}'),
    Asked(400, "PATCH", f"{TASKS}/1", [JSON], b"{"),
    Asked(415, "PATCH", f"{TASKS}/1", [], b"{"),
    Asked(404, "PATCH", f"{TASKS}/{NEVER_WAS}", [JSON], NEW),
    Asked(200, "POST", "{task}/toggle", [("If-Match", b'"1"'), ("If-Match", b"{etag}")]),
    Asked(200, "POST", "{task}/toggle", [JSON], b"{"),
    Asked(412, "POST", "{task}/toggle", [("If-Match", b'W/"1"')]),
    Asked(204, "DELETE", "{task}", [("If-Match", b"*")]),
    Asked(412, "DELETE", "{task}", [("If-Match", b"")]),
    Asked(404, "DELETE", f"{TASKS}/{NEVER_WAS}"),
    Asked(405, "PUT", "{task}"),
]  # fmt: skip


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_a_request_has_the_answer_that_fastapi_gives(
    server: Server, by_fastapi: Server, asked: Asked
) -> None:
    answer = asked.answer(server)

    assert answer == asked.answer(by_fastapi)
    assert answer[0] == asked.status


def test_both_answer_503_when_there_is_no_database(make_database: MakeDatabase) -> None:
    missing = make_database().set(database="missing")
    with serve(missing) as server, serve(missing) as by_fastapi:
        leave_to_fastapi(by_fastapi)
        for asked in (Asked(503, "GET", "{task}"), posts(503, NEW), Asked(503, "DELETE", "{task}")):
            answer = asked.answer(server)
            assert answer == asked.answer(by_fastapi)
            assert answer[0] == asked.status
