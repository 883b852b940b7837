"""Tasks, by way of the API."""

import httpx

TASKS = "/api/v1/tasks"
NEVER_WAS = "019daf09-0000-7000-8000-000000000000"
"""An id that nothing ever has."""


def create(client: httpx.Client, title: str = "Buy milk", **fields: object) -> dict[str, object]:
    """Create a task and return it."""
    response = client.post(TASKS, json={"title": title, **fields})
    assert response.status_code == 201, response.text
    task: dict[str, object] = response.json()
    return task


def titles(client: httpx.Client, **parameters: str | int) -> list[str]:
    """The titles in a list, in its order."""
    response = client.get(TASKS, params=parameters)
    assert response.status_code == 200, response.text
    return [item["title"] for item in response.json()["items"]]
