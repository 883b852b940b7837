"""Who may do what: every operation of every resource, for nobody, the owner and a stranger.

The operations are read from the application's own document, so a new resource is in here by itself.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.config import Settings
from app.main import create_app
from tests import bookmarks

NEVER_WAS = "019daf09-0000-7000-8000-000000000000"


@dataclass(frozen=True)
class Operation:
    """One operation of a resource."""

    name: str
    method: str
    path: str
    collection: str
    body: dict[str, Any] | None

    def send(self, client: httpx.Client, id_: str) -> httpx.Response:
        """Do it to the item with this id, or to the collection."""
        return client.request(self.method, self.path.replace("{id}", id_), json=self.body)


def example(schema: dict[str, Any]) -> Any:
    """Return a value that fits a schema of a field."""
    for variant in schema.get("anyOf", [schema]):
        if "examples" in variant:
            return variant["examples"][0]
        match variant.get("type"):
            case "string":
                return "x" * max(1, variant.get("minLength", 1))
            case "integer" | "number":
                return variant.get("minimum", 1)
            case "boolean":
                return True
    raise NotImplementedError(f"give the field an example: {schema}")


def operations() -> list[Operation]:
    """All operations of all resources."""
    app = create_app(Settings.model_construct())
    app.include_router(bookmarks.router, prefix="/api/v1")
    document = app.openapi()
    schemas = document["components"]["schemas"]
    found = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            body = None
            if "requestBody" in operation:
                reference = operation["requestBody"]["content"]["application/json"]["schema"]
                schema = schemas[reference["$ref"].rpartition("/")[2]]
                names = schema.get("required", schema["properties"])
                body = {name: example(schema["properties"][name]) for name in names}
            collection = path.partition("/{id}")[0]
            found.append(
                Operation(operation["operationId"], method.upper(), path, collection, body)
            )
    return found


OPERATIONS = operations()
CREATE = {
    operation.collection: operation
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
    response = CREATE[operation.collection].send(alice, "")
    assert response.status_code == 201
    created: dict[str, Any] = response.json()
    return created


def test_every_route_of_the_api_is_in_the_matrix() -> None:
    names = {operation.name for operation in OPERATIONS}

    assert {"createTask", "listTasks", "getTask", "updateTask", "deleteTask", "toggleTask"} <= names
    assert {"createBookmark", "listBookmarks", "getBookmark", "updateBookmark"} <= names
    assert "deleteBookmark" in names


def test_a_new_resource_takes_25_lines() -> None:
    lines = Path(bookmarks.__file__).read_text().splitlines()

    assert len([line for line in lines if line.strip()]) <= 25


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
    own = CREATE[operation.collection].send(bob, "").json()

    assert stored(alice, operation)["items"] == [item]
    assert stored(bob, operation)["items"] == [own]
