"""Each documented status of each operation is provoked once, and answers as documented."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import UniqueConstraint
from sqlmodel import SQLModel
from uuid_utils.compat import uuid7

from tests.support import document
from tests.support.database import connect
from tests.support.migrations import MakeDatabase
from tests.support.operations import CREATE, OPERATIONS, Operation, create
from tests.support.problems import JSON
from tests.support.server import Server, serve
from tests.support.tasks import NEVER_WAS, TASKS

DOCUMENTED = [
    pytest.param(operation, status, id=f"{operation.name}-{status}")
    for operation in OPERATIONS
    for status in document.operations()[operation.name]["responses"]
]


@pytest.fixture(scope="module")
def without_database(make_database: MakeDatabase) -> Iterator[Server]:
    """A server whose database is not there, as PostgreSQL says at once."""
    with serve(make_database().set(database="missing")) as server:
        yield server


@pytest.fixture(scope="module")
def with_other_types(make_database: MakeDatabase) -> Iterator[Server]:
    """A server whose database has columns of other types than the models, which is a bug."""
    url = make_database()
    with connect(url) as connection:
        for table in SQLModel.metadata.tables.values():
            columns = ", ".join(f"{column.name} boolean" for column in table.columns)
            connection.execute(f"CREATE TABLE {table.name} ({columns})")
    with serve(url) as server:
        yield server


def send(client: httpx.Client, operation: Operation, **changes: Any) -> httpx.Response:
    """Make a request about an item that is there, right but for the changes."""
    return operation.send(client, create(client, operation.table)["id"], **changes)


def send_once_more(client: httpx.Client, operation: Operation) -> httpx.Response:
    """Make a request that a key stands in the way of."""
    item = create(client, operation.table, id=str(uuid7()))
    if operation.is_batch:
        body = operation.body(client) or {}
        body["items"][1]["id"] = item["id"]
        return operation.send(client, "", json=body)
    for constraint in operation.table.constraints:
        if isinstance(constraint, UniqueConstraint) and operation.method == "PATCH":
            field = constraint.columns.keys()[-1]
            return send(client, operation, json={field: item[field]})
    if operation.method == "DELETE":
        for other in CREATE.values():
            for constraint in other.table.foreign_key_constraints:
                if constraint.referred_table is operation.table:
                    create(client, other.table, **{constraint.columns.keys()[-1]: item["id"]})
        return operation.send(client, item["id"])
    return operation.send(client, "", json={**(operation.fields(client) or {}), "id": item["id"]})


PROVOKE: dict[str, Callable[[httpx.Client, Operation], httpx.Response]] = {
    "200": send,
    "201": send,
    "204": send,
    "304": lambda client, operation: send(client, operation, headers={"If-None-Match": "*"}),
    "400": lambda client, operation: send(client, operation, content=b"{", headers=JSON),
    "401": lambda client, operation: operation.send(client, NEVER_WAS),
    "404": lambda client, operation: operation.send(client, NEVER_WAS),
    "409": send_once_more,
    "412": lambda client, operation: send(client, operation, headers={"If-Match": '"1"'}),
    "413": lambda client, operation: send(
        client, operation, content=b" " * (2**20 + 1), headers=JSON
    ),
    "415": lambda client, operation: send(
        client, operation, content=b"title=x", headers={"Content-Type": "text/plain"}
    ),
    "422": lambda client, operation: operation.send(
        client, "no-uuid", json={"unknown": 1}, params={"limit": 0}
    ),
    "500": lambda client, operation: operation.send(client, NEVER_WAS),
    "503": lambda client, operation: operation.send(client, NEVER_WAS),
}


@pytest.mark.parametrize(("operation", "status"), DOCUMENTED)
def test_a_documented_status_is_provoked_and_keeps_to_its_schema(
    operation: Operation,
    status: str,
    server: Server,
    without_database: Server,
    with_other_types: Server,
    owner: str,
) -> None:
    servers = {"500": with_other_types, "503": without_database}
    speaker = None if status == "401" else owner
    with servers.get(status, server).client(speaker) as client:
        response = PROVOKE[status](
            client, operation
        )  # the client validates it against the document

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
        "etag": '"1"',
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
