"""Pages in a real browser: what they can do with the API, and that /docs works."""

import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urljoin
from uuid import UUID

import pytest
from playwright.sync_api import Browser, Error, Page, Route, expect, sync_playwright
from sqlalchemy import URL

from tests.support.programs import program
from tests.support.server import Server, serve
from tests.support.tasks import NEVER_WAS, TASKS

pytestmark = pytest.mark.plain

TASK = f"{TASKS}/{NEVER_WAS}"

# Nothing leaves this machine. Playwright adds --headless, --no-sandbox and a new --user-data-dir.
FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--no-first-run",
    "--no-proxy-server",
]

expect.set_options(timeout=30_000)

FETCH = """async ([url, request]) => {
    const response = await fetch(url, request);
    return [response.status, Object.fromEntries(response.headers), await response.text()];
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    chromium = program("chromium", "google-chrome", package="chromium")
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, args=FLAGS) as browser,
    ):
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that shares nothing with those of other tests."""
    with browser.new_context() as context:
        yield context.new_page()


class EmptyPages(BaseHTTPRequestHandler):
    """Serves pages with nothing on them: all they have is an origin."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def website() -> Iterator[str]:
    """The origin of a website, which is not the API's."""
    with ThreadingHTTPServer(("127.0.0.1", 0), EmptyPages) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def api(database: URL, website: str) -> Iterator[Server]:
    """An API that the pages of the website may call."""
    with serve(database, cors_origins=website) as server:

        @server.app.get("/fails")
        async def fails() -> None:
            raise ZeroDivisionError

        yield server


@pytest.fixture(scope="module")
def visitor(browser: Browser, website: str) -> Iterator[Page]:
    """A page of the website."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(website)
        yield page


@dataclass
class Answer:
    """What a page can read of a response."""

    status: int
    headers: dict[str, str]
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


def fetch(
    page: Page,
    url: str,
    owner: str | None = None,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: Any = None,
) -> Answer:
    """Send a request, as a script of the page would."""
    request: dict[str, Any] = {"method": method, "headers": {}}
    if owner is not None:
        request["headers"]["X-User-ID"] = owner
    if body is not None:
        request["headers"]["Content-Type"] = "application/json"
        request["body"] = json.dumps(body)
    request["headers"].update(headers or {})
    return Answer(*page.evaluate(FETCH, [url, request]))


def assert_problem(answer: Answer, status: int) -> None:
    """Check that a page can read a problem document."""
    assert answer.status == answer.json()["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert UUID(answer.headers["x-request-id"])


def test_a_page_of_an_allowed_origin_can_use_every_operation(
    visitor: Page, api: Server, owner: str
) -> None:
    tasks = f"{api.url}{TASKS}"

    created = fetch(visitor, tasks, owner, "POST", body={"title": "Buy milk"})
    assert created.status == 201
    assert UUID(created.headers["x-request-id"])
    task, version = urljoin(tasks, created.headers["location"]), created.headers["etag"]

    read = fetch(visitor, task, owner)
    assert (read.status, read.headers["etag"], read.json()) == (200, version, created.json())
    assert fetch(visitor, task, owner, headers={"If-None-Match": version}).status == 304

    change = {"title": "Buy oat milk"}
    updated = fetch(visitor, task, owner, "PATCH", {"If-Match": version}, change)
    assert (updated.status, updated.json()) == (200, {**updated.json(), **change})
    version = updated.headers["etag"]

    toggled = fetch(visitor, f"{task}/toggle", owner, "POST", {"If-Match": version})
    assert (toggled.status, toggled.json()["completed"]) == (200, True)
    version = toggled.headers["etag"]

    listed = fetch(visitor, f"{tasks}?completed=true", owner)
    assert (listed.status, listed.json()["items"]) == (200, [toggled.json()])

    deleted = fetch(visitor, task, owner, "DELETE", {"If-Match": version})
    assert (deleted.status, deleted.text) == (204, "")
    assert_problem(fetch(visitor, task, owner), 404)


@pytest.mark.parametrize(
    ("path", "status", "request_"),
    [
        (TASK, 404, {}),
        (TASK, 405, {"method": "POST"}),
        (TASKS, 413, {"method": "POST", "body": {"title": "x" * 1_000_000}}),
        (TASKS, 415, {"method": "POST", "body": {}, "headers": {"Content-Type": "text/plain"}}),
        (f"{TASKS}?limit=0", 422, {}),
        ("/fails", 500, {}),
    ],
)
def test_a_page_can_read_the_problem_of_an_error(
    visitor: Page, api: Server, path: str, status: int, request_: dict[str, Any]
) -> None:
    assert_problem(fetch(visitor, api.url + path, "alice", **request_), status)


def test_a_page_can_read_when_to_try_again(visitor: Page, website: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody else can listen here, and this does not
        host, port = closed.getsockname()
        database = URL.create("postgresql", username="nobody", host=host, port=port)
        with serve(database, cors_origins=website, database_timeout=0.5) as unable:
            answer = fetch(visitor, unable.url + TASKS, "alice")

    assert_problem(answer, 503)
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("path", "request_"),
    [
        ("/health/live", {}),  # this one is sent, and the answer withheld
        (TASKS, {"owner": "alice"}),
        (TASKS, {"owner": "alice", "method": "POST", "body": {"title": "Buy milk"}}),
    ],
)
def test_a_page_of_another_origin_is_refused_by_the_browser(
    page: Page, website: str, api: Server, path: str, request_: dict[str, Any]
) -> None:
    page.goto(website.replace("127.0.0.1", "localhost"))

    with (
        api.wire.recording() as sent,
        page.expect_console_message(lambda message: "blocked by CORS policy" in message.text),
        pytest.raises(Error, match="Failed to fetch"),
    ):
        fetch(page, api.url + path, **request_)

    assert sent.executions == 0


@pytest.fixture(params=["", "/todo"])
def address(request: pytest.FixtureRequest, page: Page, database: URL, owner: str) -> Iterator[str]:
    """Where the page finds an API with a task of the owner: a proxy removes the prefix."""
    with serve(database, root_path=request.param) as server, server.client(owner) as client:
        client.post(TASKS, json={"title": "Buy milk"})
        address = f"{server.url}{request.param}"

        def forward(route: Route) -> None:
            route.continue_(url=route.request.url.replace(address, server.url))

        page.route(f"{address}/**", forward)
        yield address


def test_the_documentation_authorizes_and_executes_a_call(
    page: Page, address: str, owner: str
) -> None:
    page.goto(f"{address}/docs#/tasks/listTasks")

    # By keyboard: a click waits until nothing moves, which may take long on a busy machine.
    page.get_by_role("button", name="Authorize", exact=True).press("Enter")
    dialog = page.locator(".dialog-ux")
    dialog.get_by_label("Value").fill(owner)
    dialog.get_by_role("button", name="Apply credentials").press("Enter")
    dialog.get_by_role("button", name="Close").press("Enter")
    operation = page.locator("#operations-tasks-listTasks")
    operation.get_by_role("button", name="Try it out").press("Enter")
    operation.get_by_role("button", name="Execute").press("Enter")

    answer = operation.locator(".live-responses-table .response")
    expect(answer).to_contain_text('"title": "Buy milk"')
    expect(answer.locator(".response-col_status")).to_have_text("200")
    assert page.page_errors() == []
