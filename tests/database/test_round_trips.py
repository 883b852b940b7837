"""One request, one database round trip: counted on the wire, not in our own code."""

import httpx
import pytest
from uuid_utils.compat import uuid7

from tests.support.milestones import MILESTONES, reach
from tests.support.owners import unowned
from tests.support.server import Server
from tests.support.tasks import TASKS, create

DAY = "2026-11-22T00:00:00Z"
REQUESTS = {
    "createTask": ("POST", TASKS, {"title": "x"}),
    "listTasks": ("GET", f"{TASKS}?sort=-updated_at&completed=false&q=x&limit=2", None),
    "getTask": ("GET", TASKS + "/{id}", None),
    "updateTask": ("PATCH", TASKS + "/{id}", {"title": "y", "completed": True}),
    "updateTask of nothing": ("PATCH", TASKS + "/{id}", {}),
    "toggleTask": ("POST", TASKS + "/{id}/toggle", None),
    "deleteTask": ("DELETE", TASKS + "/{id}", None),
    "createTasks": ("POST", f"{TASKS}/batch", {"items": [{"title": "x"}] * 100}),
    "listTasks of ranges": ("GET", f"{TASKS}?created_at__gte={DAY}&updated_at__lt={DAY}", None),
    "listTasks of a set": ("GET", TASKS + "?id__in={id}&id__in={id}", None),
    "listTasks and a total": ("GET", f"{TASKS}?total=true&limit=1&completed=false", None),
    "updateTasks": ("PATCH", TASKS + "?id__in={id}&completed=false", {"title": "y"}),
    "deleteTasks": ("DELETE", TASKS + "?id__in={id}&q=x", None),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_an_operation_is_one_statement_and_one_round_trip(
    server: Server, alice: httpx.Client, name: str
) -> None:
    method, path, body = REQUESTS[name]
    create(alice)

    for _ in range(10):
        url = path.replace("{id}", str(create(alice)["id"]))
        with server.wire.recording() as sent:
            response = alice.request(method, url, json=body)
        assert response.is_success
        assert sent.executions == 1
        assert not any(s.startswith(("BEGIN", "COMMIT", "ROLLBACK")) for s in sent.statements)
    # Only when psycopg prepares a statement, at its sixth use on a connection, there is one more.
    assert sent.round_trips == 1


def test_only_a_create_that_finds_its_id_taken_asks_for_the_version_of_the_item(
    server: Server, alice: httpx.Client
) -> None:
    task = create(alice, id=str(uuid7()))

    with server.wire.recording() as sent:
        assert alice.post(TASKS, json={"title": "x", "id": task["id"]}).status_code == 409

    assert sent.executions == 2


@pytest.mark.parametrize("sort", ["weight,-due", "name,-weight"])
@pytest.mark.parametrize("total", ["true", "false"])
def test_a_page_in_any_direction_is_one_statement(
    server: Server, alice: httpx.Client, sort: str, total: str
) -> None:
    for _ in range(3):
        reach(alice)
    query = {"sort": sort, "limit": "1", "total": total}
    first = alice.get(MILESTONES, params=query).json()
    second = alice.get(MILESTONES, params={**query, "cursor": first["next_cursor"]}).json()
    for cursor in (first["next_cursor"], second["previous_cursor"]):
        for _ in range(10):
            with server.wire.recording() as sent:
                assert alice.get(MILESTONES, params={**query, "cursor": cursor}).is_success
            assert sent.executions == 1
        assert sent.round_trips == 1


def test_a_request_that_is_refused_does_not_reach_the_database(
    server: Server, alice: httpx.Client, nobody: httpx.Client
) -> None:
    with server.wire.recording() as sent:
        assert alice.post(TASKS, json={"title": ""}).status_code == 422
        assert nobody.get(TASKS).status_code == 401
        assert nobody.get("/health/live").status_code == 200

    assert sent.round_trips == 0


def test_readiness_is_one_cheap_query(server: Server, nobody: httpx.Client) -> None:
    nobody.get("/health/ready")  # what was idle for some seconds is asked for an answer first
    with server.wire.recording() as sent:
        assert nobody.get("/health/ready").status_code == 200

    assert (sent.executions, sent.round_trips) == (1, 1)
    assert all("pg_attribute" in statement for statement in sent.statements)  # catalogs only
    assert unowned(sent.statements) == []
