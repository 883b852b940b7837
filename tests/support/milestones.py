"""Milestones, the resource that the README adds, by way of the API."""

from typing import Any
from uuid import uuid4

import httpx

from tests.support.tasks import create

MILESTONES = "/api/v1/milestones"

Milestone = dict[str, Any]


def reach(client: httpx.Client, **fields: object) -> Milestone:
    """Create a milestone, and a task for it unless one is named, and return it."""
    task_id = fields.pop("task_id", None) or create(client)["id"]
    body = {"task_id": task_id, "name": uuid4().hex, "weight": 1, **fields}
    response = client.post(MILESTONES, json=body)
    assert response.status_code == 201, response.text
    milestone: Milestone = response.json()
    return milestone
