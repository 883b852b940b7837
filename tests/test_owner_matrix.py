"""Who may do what: every operation of every resource, for nobody, the owner and a stranger.

The operations are read from the application's own document, so a new resource is in here by itself.
"""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import ForeignKeyConstraint, Table, UniqueConstraint
from sqlmodel import SQLModel

from app.config import Settings
from app.main import create_app
from tests import example

NEVER_WAS = "019daf09-0000-7000-8000-000000000000"


@dataclass(frozen=True)
class Operation:
    """One operation of a resource."""

    name: str
    method: str
    path: str
    collection: str
    table: Table
    body: dict[str, Any] | None

    def send(self, client: httpx.Client, id_: str) -> httpx.Response:
        """Do it to the item with this id, or to the collection."""
        body = self.body and {**self.body, **self.keys(client)}
        return client.request(self.method, self.path.replace("{id}", id_), json=body)

    def keys(self, client: httpx.Client) -> dict[str, str]:
        """The fields of the body that are new each time, or refer to something of the client's."""
        keys = {}
        for constraint in self.table.constraints:
            if isinstance(constraint, UniqueConstraint):
                keys[constraint.columns.keys()[-1]] = uuid4().hex
            if isinstance(constraint, ForeignKeyConstraint):
                other = CREATE[constraint.referred_table.name].send(client, "")
                keys[constraint.columns.keys()[-1]] = other.json().get("id", NEVER_WAS)
        return {field: value for field, value in keys.items() if field in (self.body or {})}


def example_of(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """Return a value that fits a schema of a field."""
    variant = schema.get("anyOf", [schema])[0]
    if "$ref" in variant:
        return example_of(schemas[variant["$ref"].rpartition("/")[2]], schemas)
    for values in ("examples", "enum"):
        if values in variant:
            return variant[values][0]
    least = variant.get("minimum", 1)
    examples = {
        "date": "2026-11-22",
        "uuid": NEVER_WAS,
        "string": "x" * max(1, variant.get("minLength", 1)),
        "integer": int(least),
        "number": least,
        "boolean": True,
    }
    for kind in (variant.get("format"), variant.get("type")):
        if kind in examples:
            return examples[kind]
    raise NotImplementedError(f"give the field an example: {schema}")


def operations() -> list[Operation]:
    """All operations of all resources."""
    document = example.add_to(create_app(Settings.model_construct())).openapi()
    schemas = document["components"]["schemas"]
    found = []
    for path, methods in document["paths"].items():
        collection = path.partition("/{id}")[0]
        creates = document["paths"][collection]["post"]["operationId"]
        table = SQLModel.metadata.tables[creates.removeprefix("create").lower()]
        for method, operation in methods.items():
            body = None
            if "requestBody" in operation:
                reference = operation["requestBody"]["content"]["application/json"]["schema"]
                schema = schemas[reference["$ref"].rpartition("/")[2]]
                names = schema.get("required", schema["properties"])
                body = {name: example_of(schema["properties"][name], schemas) for name in names}
            name = operation["operationId"]
            found.append(Operation(name, method.upper(), path, collection, table, body))
    return found


OPERATIONS = operations()
CREATE = {
    operation.table.name: operation
    for operation in OPERATIONS
    if operation.name.startswith("create")
}
each = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


def stored(client: httpx.Client, operation: Operation) -> Any:
    """All that somebody has of a resource."""
    return client.get(operation.collection).json()


def headers(response: httpx.Response) -> dict[str, str]:
    """The headers, without those that are new each time."""
    new = {"date", "x-request-id"}
    return {name: value for name, value in response.headers.items() if name not in new}


@pytest.fixture
def item(alice: httpx.Client, operation: Operation) -> dict[str, Any]:
    """An item that belongs to Alice."""
    response = CREATE[operation.table.name].send(alice, "")
    assert response.status_code == 201
    created: dict[str, Any] = response.json()
    return created


def test_every_route_of_the_api_is_in_the_matrix() -> None:
    names = {operation.name for operation in OPERATIONS}

    assert {"createTask", "listTasks", "getTask", "updateTask", "deleteTask", "toggleTask"} <= names
    assert {"createMilestone", "listMilestones", "getMilestone", "updateMilestone"} <= names
    assert "deleteMilestone" in names


def test_a_new_resource_takes_60_lines() -> None:
    lines = "".join(example.FILES.values()).splitlines()

    assert len([line for line in lines if line.strip()]) <= 60


@each
def test_nobody_is_refused_and_changes_nothing(
    operation: Operation, item: dict[str, Any], alice: httpx.Client, nobody: httpx.Client
) -> None:
    before = stored(alice, operation)

    response = operation.send(nobody, item["id"])

    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == 401
    assert stored(alice, operation) == before


@each
def test_the_owner_is_served(
    operation: Operation, item: dict[str, Any], alice: httpx.Client
) -> None:
    response = operation.send(alice, item["id"])

    assert response.is_success
    if operation.method == "GET":
        assert item in (response.json(), *response.json().get("items", []))
    assert "owner_id" not in response.text


@each
def test_for_a_stranger_there_is_nothing_and_nothing_changes(
    operation: Operation, item: dict[str, Any], alice: httpx.Client, bob: httpx.Client
) -> None:
    before = stored(alice, operation)

    response = operation.send(bob, item["id"])

    if operation.path == operation.collection:
        assert response.is_success
        assert item["id"] not in response.text
    else:
        never_was = operation.send(bob, NEVER_WAS)
        assert (response.status_code, never_was.status_code) == (404, 404)
        assert response.content == never_was.content
        assert headers(response) == headers(never_was)
    assert stored(alice, operation) == before


@each
def test_a_stranger_sees_just_their_own(
    operation: Operation, item: dict[str, Any], alice: httpx.Client, bob: httpx.Client
) -> None:
    own = CREATE[operation.table.name].send(bob, "").json()

    assert stored(alice, operation)["items"] == [item]
    assert stored(bob, operation)["items"] == [own]
