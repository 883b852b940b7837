"""Who may do what: every operation of every resource, for nobody, the owner and a stranger."""

from typing import Any

import httpx
import pytest

from tests.support.operations import OPERATIONS, Operation, create
from tests.support.tasks import NEVER_WAS

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
    return create(alice, operation.table)


def test_every_route_of_the_api_is_in_the_matrix() -> None:
    names = {operation.name for operation in OPERATIONS}

    assert {"createTask", "listTasks", "getTask", "updateTask", "deleteTask", "toggleTask"} <= names
    assert {"createMilestone", "listMilestones", "getMilestone", "updateMilestone"} <= names
    assert {"deleteMilestone", "createTasks", "updateTasks", "deleteTasks"} <= names


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
    if operation.filters:
        assert response.json() == {"count": 1}
        changed = [one for one in stored(alice, operation)["items"] if one != item]
        assert len(changed) == (operation.method == "PATCH")
    if operation.is_batch:
        assert len(response.json()["items"]) == 2
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
        assert not operation.filters or response.json() == {"count": 0}
    elif operation.is_batch:
        assert response.is_success
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
    own = create(bob, operation.table)

    assert stored(alice, operation)["items"] == [item]
    assert stored(bob, operation)["items"] == [own]
