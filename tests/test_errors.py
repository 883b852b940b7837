"""Each documented status of each operation is provoked once, and answers as documented."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import URL
from uuid_utils.compat import uuid7

from tests import document
from tests.conftest import MakeDatabase
from tests.server import Server, serve
from tests.test_tasks import TASKS, create

JSON = {"Content-Type": "application/json"}
REQUESTS = {
    "createTask": ("POST", TASKS, {"title": "x"}),
    "listTasks": ("GET", TASKS, None),
    "getTask": ("GET", TASKS + "/{id}", None),
    "updateTask": ("PATCH", TASKS + "/{id}", {"title": "x"}),
    "deleteTask": ("DELETE", TASKS + "/{id}", None),
    "toggleTask": ("POST", TASKS + "/{id}/toggle", None),
}
DOCUMENTED = [
    (name, status)
    for name, operation in document.operations().items()
    for status in operation["responses"]
]

Send = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def without_database() -> Iterator[Server]:
    """A server whose database does not answer: nothing listens on its port."""
    nowhere = URL.create("postgresql+psycopg", host="127.0.0.1", port=1, database="todo")
    with serve(nowhere, database_timeout=0.2) as server:
        yield server


@pytest.fixture(scope="module")
def without_tables(make_database: MakeDatabase) -> Iterator[Server]:
    """A server whose database nobody has migrated, which it does not expect."""
    with serve(make_database()) as server:
        yield server


def send(client: httpx.Client, name: str, id_: object, **changes: object) -> httpx.Response:
    """Make a request that is right but for the changes."""
    method, path, body = REQUESTS[name]
    arguments = {"json": body, **changes} if "content" not in changes else changes
    return client.request(method, path.replace("{id}", str(id_)), **arguments)  # type: ignore[arg-type]


PROVOKE: dict[str, Callable[[httpx.Client, str], httpx.Response]] = {
    "200": lambda client, name: send(client, name, create(client)["id"]),
    "201": lambda client, name: send(client, name, None),
    "204": lambda client, name: send(client, name, create(client)["id"]),
    "304": lambda client, name: send(
        client, name, create(client)["id"], headers={"If-None-Match": "*"}
    ),
    "400": lambda client, name: send(
        client, name, create(client)["id"], content=b"{", headers=JSON
    ),
    "401": lambda client, name: send(client, name, uuid4()),
    "404": lambda client, name: send(client, name, uuid4()),
    "409": lambda client, name: send(
        client, name, None, json={"title": "x", "id": create(client, id=str(uuid7()))["id"]}
    ),
    "412": lambda client, name: send(
        client, name, create(client)["id"], headers={"If-Match": '"1"'}
    ),
    "413": lambda client, name: send(
        client, name, create(client)["id"], content=b" " * 65537, headers=JSON
    ),
    "415": lambda client, name: send(
        client,
        name,
        create(client)["id"],
        content=b"title=x",
        headers={"Content-Type": "text/plain"},
    ),
    "422": lambda client, name: send(
        client, name, "no-uuid", json={"title": 1}, params={"limit": 0}
    ),
    "500": lambda client, name: send(client, name, uuid4()),
    "503": lambda client, name: send(client, name, uuid4()),
}


@pytest.mark.parametrize(("name", "status"), DOCUMENTED)
def test_a_documented_status_is_provoked_and_keeps_to_its_schema(
    name: str,
    status: str,
    server: Server,
    without_database: Server,
    without_tables: Server,
    owner: str,
) -> None:
    servers = {"500": without_tables, "503": without_database}
    speaker = None if status == "401" else owner
    with servers.get(status, server).client(speaker) as client:
        response = PROVOKE[status](client, name)  # the client validates it against the document

    assert str(response.status_code) == status, response.text


def test_every_operation_can_fail_as_any_can() -> None:
    for name, operation in document.operations().items():
        assert {"401", "422", "500", "503"} <= set(operation["responses"]), name


def test_the_suite_would_notice_what_is_not_documented() -> None:
    request = httpx.Request("GET", f"http://localhost{TASKS}/{uuid4()}")
    task = {
        "id": str(uuid7()),
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "title": "x",
        "description": None,
        "completed": False,
    }
    tag = {"ETag": '"1"'}
    document.check(httpx.Response(200, json=task, headers=tag, request=request))
    for response in (
        httpx.Response(418, json=task, headers=tag, request=request),
        httpx.Response(200, json=task, request=request),
        httpx.Response(200, json={**task, "completed": "no"}, headers=tag, request=request),
        httpx.Response(200, json={**task, "title": ""}, headers=tag, request=request),
        httpx.Response(200, text="{}", headers=tag, request=request),
        httpx.Response(304, text="{}", headers=tag, request=request),
        httpx.Response(404, json={"status": 404}, request=request),
    ):
        with pytest.raises((AssertionError, KeyError, ValueError)):
            document.check(response)
