"""Every response has an id, forbids caching, and can be read by pages of the allowed origins."""

from collections.abc import AsyncIterator, Iterator
from uuid import UUID

import httpx
import pytest
from fastapi.responses import StreamingResponse
from sqlalchemy import URL

from app.kit.db.errors import DatabaseUnavailableError
from tests.support.logs import Logs
from tests.support.problems import JSON, assert_problem
from tests.support.process import wait_until
from tests.support.server import Server, serve
from tests.support.tasks import NEVER_WAS, TASKS

pytestmark = pytest.mark.plain

TASK = f"{TASKS}/{NEVER_WAS}"
PAGE = "https://app.example.com"
PATHS = [
    (TASKS, 200),
    (f"{TASKS}?limit=0", 422),
    (TASK, 404),
    ("/nowhere", 404),
    ("/fails", 500),
    ("/unavailable", 503),
]


@pytest.fixture(scope="module")
def open_server(database: URL) -> Iterator[Server]:
    """A server that pages of one origin may call."""
    origins = f"{PAGE}, HTTPS://Other.Example.com:443/, https://*.preview.example.com:8443"
    with serve(database, cors_origins=origins) as server:

        @server.app.get("/fails")
        async def fails() -> None:
            raise ZeroDivisionError("a secret")

        @server.app.get("/unavailable")
        async def unavailable() -> None:
            raise DatabaseUnavailableError

        @server.app.get("/breaks")
        async def breaks() -> StreamingResponse:
            async def parts() -> AsyncIterator[bytes]:
                yield b"a part"
                raise ZeroDivisionError

            return StreamingResponse(parts())

        yield server


def lines(logs: Logs, request_id: str) -> Logs:
    """What was logged when a request had been answered: one line."""
    return [e for e in logs if e["event"] == "request" and e["request_id"] == request_id]


@pytest.mark.parametrize(("path", "status"), PATHS)
def test_every_response_has_an_id_forbids_caching_and_can_be_read_by_allowed_pages(
    open_server: Server, path: str, status: int
) -> None:
    with open_server.client("alice") as client:
        response = client.get(path, headers={"Origin": PAGE})

    assert response.status_code == status
    assert UUID(response.headers["x-request-id"])
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["access-control-allow-origin"] == PAGE
    assert set(response.headers["access-control-expose-headers"].split(", ")) == {
        "Location",
        "ETag",
        "X-Request-ID",
        "Retry-After",
    }


@pytest.mark.parametrize(
    ("path", "route"),
    [
        (f"{TASKS}/{NEVER_WAS}", f"{TASKS}/{{id}}"),
        ("/health/live", "/health/live"),
        ("/docs/swagger-ui.css", "/docs/{file}"),
        ("/nowhere", None),
    ],
)
def test_the_log_has_the_template_of_a_path(
    open_server: Server, logs: Logs, owner: str, path: str, route: str | None
) -> None:
    with open_server.client("alice") as client:
        client.get(path, headers={"X-Request-ID": owner})
    wait_until(lambda: bool(lines(logs, owner)))

    assert [line["route"] for line in lines(logs, owner)] == [route]


def test_an_unexpected_error_tells_nothing(open_server: Server, logs: Logs) -> None:
    with open_server.client("alice") as client:
        response = client.get("/fails")

    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "The server failed to answer.",
    }
    (error,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert "ZeroDivisionError: a secret" in error["exception"]
    assert error["request_id"] == response.headers["x-request-id"]


@pytest.mark.parametrize(("path", "status"), PATHS)
def test_what_the_server_fails_to_answer_is_logged_as_a_warning(
    open_server: Server, logs: Logs, owner: str, path: str, status: int
) -> None:
    with open_server.client("alice") as client:
        client.get(path, headers={"X-Request-ID": owner})
    wait_until(lambda: bool(lines(logs, owner)))

    (line,) = lines(logs, owner)
    level = "warning" if status >= 500 else "info"
    assert (line["status"], line["log_level"]) == (status, level)


def test_an_error_within_a_response_breaks_it_off(
    open_server: Server, logs: Logs, owner: str
) -> None:
    with open_server.client("alice") as client, pytest.raises(httpx.RemoteProtocolError):
        client.get("/breaks", headers={"X-Request-ID": owner})

    assert [line["status"] for line in lines(logs, owner)] == [200]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("abc-123", True), ("~" * 128, True), ("x" * 129, False), ("a b", False), ("", False)],
)
def test_the_callers_request_id_is_kept_if_it_is_well_formed(
    alice: httpx.Client, sent: str, kept: bool
) -> None:
    response = alice.get(TASKS, headers={"X-Request-ID": sent})

    assert (response.headers["x-request-id"] == sent) == kept


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_a_page_may_ask_for_any_method_with_the_identity(open_server: Server, method: str) -> None:
    preflight = {
        "Origin": PAGE,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "x-user-id, content-type, if-match",
    }
    with open_server.client() as client:
        response = client.options(TASKS, headers=preflight)

    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == PAGE
    assert method in response.headers["access-control-allow-methods"]
    assert "x-user-id" in response.headers["access-control-allow-headers"]


@pytest.mark.parametrize(
    ("origin", "method", "why"),
    [("https://evil.example.com", "POST", "origin"), (PAGE, "BREW", "method")],
)
def test_what_a_page_may_not_do_is_a_problem(
    open_server: Server, origin: str, method: str, why: str
) -> None:
    preflight = {"Origin": origin, "Access-Control-Request-Method": method}
    with open_server.client() as client:
        response = client.options(TASKS, headers=preflight)

    assert_problem(response, 400)
    assert response.json()["detail"] == f"Disallowed CORS {why}."
    assert (response.headers.get("access-control-allow-origin") == PAGE) == (origin == PAGE)
    assert "Origin" in response.headers["vary"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://other.example.com",
        "https://a.preview.example.com:8443",
        "https://pr-7.preview.example.com:8443",
    ],
)
def test_a_page_of_each_allowed_origin_may_read_a_response(
    open_server: Server, origin: str
) -> None:
    with open_server.client("alice") as client:
        response = client.get(TASKS, headers={"Origin": origin})

    assert response.headers["access-control-allow-origin"] == origin
    assert "Origin" in response.headers["vary"]


def test_a_cache_is_told_that_a_response_depends_on_the_origin(
    open_server: Server, owner: str
) -> None:
    with open_server.client(owner) as client:
        response = client.get(TASKS)

    assert response.headers["vary"] == "Origin"
    assert not any(name.startswith("access-control") for name in response.headers)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example.com",
        "http://other.example.com",
        "https://preview.example.com:8443",
        "https://a.b.preview.example.com:8443",
        "https://a.preview.example.com",
        "https://a.preview.example.com:8443.evil.example",
        "https://evil.example/.preview.example.com:8443",
        "https://a.previewXexample.com:8443",
        "https://*.preview.example.com:8443",
        "",
        "null",
    ],
)
def test_a_page_of_another_origin_may_not_read_a_response(open_server: Server, origin: str) -> None:
    with open_server.client("alice") as client:
        response = client.get(TASKS, headers={"Origin": origin})

    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (TASKS, {"GET", "HEAD", "POST", "PATCH", "DELETE"}),
        (TASK, {"GET", "HEAD", "PATCH", "DELETE"}),
        (f"{TASK}/toggle", {"POST"}),
        (f"{TASKS}/batch", {"POST"}),
        ("/health/live", {"GET", "HEAD"}),
    ],
)
def test_a_405_names_the_methods_that_there_are(
    alice: httpx.Client, path: str, allowed: set[str]
) -> None:
    response = alice.put(path)

    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) == allowed


def test_no_error_but_a_405_names_methods(alice: httpx.Client) -> None:
    response = alice.post(TASKS, content=b" " * 65_537, headers=JSON)

    assert response.status_code == 413
    assert "allow" not in response.headers
