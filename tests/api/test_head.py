"""HEAD is answered as GET, without the body."""

import httpx
import pytest

from tests.support.logs import Logs
from tests.support.process import wait_until
from tests.support.raw import Raw
from tests.support.server import Server
from tests.support.tasks import NEVER_WAS, TASKS

pytestmark = pytest.mark.plain

ODD = {"x-request-id", "date"}
"""Headers that differ from one response to the next."""


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (TASKS, 200),
        (f"{TASKS}?limit=1&sort=created_at", 200),
        (f"{TASKS}?limit=0", 422),
        ("{task}", 200),
        (f"{TASKS}/{NEVER_WAS}", 404),
        ("{task}/toggle", 405),
        ("/health/live", 200),
        ("/health/ready", 200),
        ("/openapi.json", 200),
        ("/docs", 200),
        ("/nowhere", 404),
    ],
)
def test_head_has_the_status_and_headers_of_get(
    alice: httpx.Client, path: str, status: int
) -> None:
    task = alice.post(TASKS, json={"title": "Buy milk"}).json()
    path = path.replace("{task}", f"{TASKS}/{task['id']}")

    get, head = alice.get(path), alice.head(path)

    assert (head.status_code, head.content) == (status, b"")
    assert {k: v for k, v in head.headers.items() if k not in ODD} == {
        k: v for k, v in get.headers.items() if k not in ODD
    }


def test_head_takes_conditions(alice: httpx.Client) -> None:
    task = alice.post(TASKS, json={"title": "Buy milk"})
    tag = {"If-None-Match": task.headers["etag"]}

    assert alice.head(f"{TASKS}/{task.json()['id']}", headers=tag).status_code == 304


def test_head_needs_an_identity(nobody: httpx.Client) -> None:
    assert nobody.head(TASKS).status_code == 401


def test_head_leaves_the_connection_usable(server: Server, owner: str) -> None:
    raw = Raw(server.url, owner)
    path = TASKS.encode()
    requests = [raw.request(method, path) for method in (b"HEAD", b"GET", b"HEAD", b"PUT")]

    last = raw.request(b"GET", path, b"Connection: close")
    assert raw.statuses(b"".join([*requests, last])) == [200, 200, 200, 405, 200]


def test_head_is_in_the_log_as_head(alice: httpx.Client, logs: Logs) -> None:
    alice.head(TASKS)
    wait_until(lambda: any("status" in entry for entry in logs))

    assert [(e["method"], e["route"]) for e in logs if "status" in e] == [("HEAD", TASKS)]
