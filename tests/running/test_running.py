"""How the API runs in production: what it logs, how it ends, as one process and as several."""

import json
import os
import pty
import resource
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from sqlalchemy import URL

from app.config import ServerSettings
from tests.support.database import connect, locked
from tests.support.logs import Logs
from tests.support.migrations import MakeDatabase, migrated
from tests.support.problems import assert_problem
from tests.support.process import ALICE, PROJECT, Process, serving, wait_until
from tests.support.readme import blocks
from tests.support.server import Server, serve
from tests.support.tasks import TASKS

(DOCUMENTED,) = [text for _, text in blocks("Running it in production") if "uvicorn" in text]
APP = [sys.executable, "-m", "app"]
UVICORN = [sys.executable, "-m", *shlex.split(DOCUMENTED.replace("\\\n", ""))[3:], "--port=$PORT"]
SECRET = "hunter2"
WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.fixture(scope="module")
def database(make_database: MakeDatabase) -> URL:
    """A database of which no other test has connections."""
    return migrated(make_database())


@pytest.fixture
def settings(database: URL) -> dict[str, str]:
    """The environment of a server on that database."""
    # No password is asked for on the socket.
    url = database.set(drivername="postgresql", password=SECRET)
    return {"DATABASE_URL": url.render_as_string(hide_password=False)}


@pytest.fixture
def strict_server(make_database: MakeDatabase) -> Iterator[Server]:
    """The application on a database that refuses a title and text, which it does not expect."""
    database = migrated(make_database())
    with connect(database) as connection:
        connection.execute(f"ALTER TABLE task ADD CHECK (title != '{SECRET}')")
        connection.execute("ALTER TABLE task ALTER description TYPE varchar(6)")
    with serve(database) as server:
        yield server


def lines(output: str) -> list[dict[str, Any]]:
    """What was logged: every line is a JSON object."""
    return [json.loads(line) for line in output.splitlines()]


def test_the_log_has_one_line_for_each_request(settings: dict[str, str], tmp_path: Path) -> None:
    with serving(APP, tmp_path, **settings) as process:
        with httpx.Client(base_url=process.url, headers=ALICE) as alice:
            named = {"X-Request-ID": "my-request"}
            created = alice.post(TASKS, json={"title": SECRET}, headers=named)
            task = f"{TASKS}/{created.json()['id']}"
            alice.get(f"{TASKS}?q={SECRET}")
            alice.get(f"{TASKS}?q={SECRET}", headers=WEBSOCKET)
            alice.get(f"{task}?q={SECRET}")
            alice.patch(task, content=SECRET)
            alice.get(f"/{SECRET}")
        output = process.end(signal.SIGTERM)

    requests = [line for line in lines(output) if line["event"] == "request"]
    requests = [line for line in requests if line["route"] != "/health/ready"]
    assert [(r["method"], r["route"], r["status"]) for r in requests] == [
        ("POST", TASKS, 201),
        ("GET", TASKS, 200),
        ("GET", TASKS, 200),
        ("GET", TASKS + "/{id}", 200),
        ("PATCH", TASKS + "/{id}", 415),
        ("GET", None, 404),
    ]
    assert requests[0]["request_id"] == "my-request"
    assert len({request["request_id"] for request in requests}) == 6
    for request in requests:
        assert 0 < request["milliseconds"] < 60_000
        assert request["level"] == "info"
        assert request["timestamp"].endswith("Z")
    assert SECRET not in output


def test_the_log_never_has_what_a_row_contains(strict_server: Server, logs: Logs) -> None:
    with strict_server.client("alice") as alice:
        response = alice.post(TASKS, json={"title": SECRET})

    assert response.status_code == 500
    (error,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert "CheckViolation" in error["exception"]
    assert "task_title_check" in error["exception"]
    assert SECRET not in str(logs)


def test_the_log_says_of_which_kind_a_value_was_that_does_not_fit(
    strict_server: Server, logs: Logs, owner: str
) -> None:
    with strict_server.client(owner) as client:
        response = client.post(TASKS, json={"title": "x", "description": SECRET})
        assert client.get(TASKS).json()["items"] == []
    wait_until(lambda: any("cause" in entry for entry in logs))

    assert_problem(response, 422, "")
    assert [e["cause"] for e in logs if "cause" in e] == ["StringDataRightTruncation"]
    assert SECRET not in str(logs)


def test_the_log_is_text_on_a_terminal(settings: dict[str, str], tmp_path: Path) -> None:
    terminal, its_other_end = pty.openpty()
    environment = {**os.environ, **PROJECT, **settings, "PORT": "1", "HOST": "192.0.2.1"}
    process = subprocess.Popen(APP, cwd=tmp_path, env=environment, stderr=its_other_end)
    os.close(its_other_end)
    output = b""
    try:
        while data := os.read(terminal, 65536):
            output += data
    except OSError:  # Linux says so when the other end is closed
        pass
    os.close(terminal)
    process.wait(30)

    assert b"Application startup complete" in output
    assert b'{"' not in output


@pytest.mark.parametrize("command", [APP, [*UVICORN, "--workers=1"]], ids=["app", "uvicorn"])
def test_no_header_makes_the_peer_another(
    command: list[str], settings: dict[str, str], tmp_path: Path
) -> None:
    with serving(command, tmp_path, **settings) as process:
        forwarded = {**ALICE, "X-Forwarded-For": "192.0.2.1"}
        assert httpx.get(f"{process.url}{TASKS}", headers=forwarded).status_code == 200


def test_sigterm_finishes_the_requests_in_flight_and_refuses_new_ones(
    database: URL, settings: dict[str, str], tmp_path: Path
) -> None:
    with serving(APP, tmp_path, **settings) as process:
        with toggle_in_flight(process, database) as update:
            process.popen.terminate()
            wait_until(lambda: refuses(process))
            assert not update.done()
        assert update.result().status_code == 200
        process.output()

        assert process.popen.returncode == 0
        with connect(database) as connection:
            others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            assert connection.execute(others).fetchone() == (1,)


def test_sigterm_makes_the_server_not_ready_before_it_stops(
    settings: dict[str, str], tmp_path: Path
) -> None:
    with serving(APP, tmp_path, **settings, SHUTDOWN_DELAY="3") as process:
        signalled = time.monotonic()
        process.popen.terminate()
        wait_until(lambda: httpx.get(f"{process.url}/health/ready").status_code == 503)
        not_ready = httpx.get(f"{process.url}/health/ready")
        assert_problem(not_ready, 503)
        assert not_ready.headers["retry-after"] == "1"
        assert httpx.get(f"{process.url}/health/live").status_code == 200
        process.create("while the server waits")
        wait_until(lambda: refuses(process))
        assert time.monotonic() - signalled >= 3
        process.output()

        assert process.popen.returncode == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once_a_server_that_waits(
    settings: dict[str, str], tmp_path: Path, second: signal.Signals
) -> None:
    with serving(APP, tmp_path, **settings, SHUTDOWN_DELAY="60") as process:
        process.popen.terminate()
        wait_until(lambda: httpx.get(f"{process.url}/health/ready").status_code == 503)
        process.popen.send_signal(second)
        process.popen.wait(5)


def test_ctrl_c_does_not_wait(settings: dict[str, str], tmp_path: Path) -> None:
    with serving(APP, tmp_path, **settings, SHUTDOWN_DELAY="60") as process:
        process.popen.send_signal(signal.SIGINT)
        process.popen.wait(10)

        assert process.popen.returncode == 0


def test_an_idle_connection_is_kept_as_long_as_the_setting_says(
    settings: dict[str, str], tmp_path: Path
) -> None:
    with serving(APP, tmp_path, **settings, KEEP_ALIVE_TIMEOUT="1") as process:
        where = httpx.URL(process.url)
        with socket.create_connection((where.host, where.port), timeout=3) as connection:
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: test\r\n\r\n")
            while connection.recv(1024):
                pass

    assert ServerSettings.model_fields["keep_alive_timeout"].default > 60  # balancers keep theirs


def test_thousands_of_slow_clients_do_not_slow_down_others(
    settings: dict[str, str], tmp_path: Path
) -> None:
    limited = ["bash", "-c", f"ulimit -Sn 1024; exec {shlex.join(APP)}"]
    with serving(limited, tmp_path, **settings) as process, ExitStack() as stack:
        mine, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (mine, most))
        where = httpx.URL(process.url)
        for _ in range(2000):
            slow = stack.enter_context(socket.create_connection((where.host, where.port)))
            slow.sendall(b"GET /health/live HTTP/1.1\r\nHost: te")
        client = stack.enter_context(httpx.Client(base_url=process.url, headers=ALICE))
        started = time.monotonic()
        for _ in range(20):
            assert client.get(TASKS).status_code == 200
        assert (time.monotonic() - started) / 20 < 0.25


def test_a_second_signal_ends_at_once(
    database: URL, settings: dict[str, str], tmp_path: Path
) -> None:
    patient = {**settings, "DATABASE_TIMEOUT": "60"}
    with serving(APP, tmp_path, **patient) as process:
        with toggle_in_flight(process, database) as update:
            process.popen.terminate()
            wait_until(lambda: refuses(process))
            process.popen.terminate()
            process.popen.wait(5)
        with suppress(httpx.TransportError):
            assert update.result().is_server_error


def test_sigterm_lets_several_workers_finish_the_requests_in_flight_and_leaves_none(
    database: URL, settings: dict[str, str], tmp_path: Path
) -> None:
    command = [*UVICORN, "--workers=2"]
    with serving(command, tmp_path, **settings) as process:
        workers = psutil.Process(process.popen.pid).children(recursive=True)
        with toggle_in_flight(process, database) as update:
            process.popen.terminate()
        assert update.result().status_code == 200
        process.output()

        assert process.popen.returncode == 0
        assert len(workers) >= 2
        assert psutil.wait_procs(workers, timeout=10)[1] == []


@contextmanager
def toggle_in_flight(process: Process, database: URL) -> Iterator[Future[httpx.Response]]:
    """A toggle that the database holds up within the block, and that is answered after it."""
    task = create(process)
    with ThreadPoolExecutor() as threads, locked(database, task) as lock:
        update = threads.submit(toggle, process, task)
        lock.wait_until_requested(True)
        yield update


def create(process: Process) -> str:
    """Create a task, and return its id."""
    response = httpx.post(f"{process.url}{TASKS}", headers=ALICE, json={"title": "x"})
    id_: str = response.json()["id"]
    return id_


def toggle(process: Process, id_: str) -> httpx.Response:
    """Toggle a task, however long that takes."""
    return httpx.post(f"{process.url}{TASKS}/{id_}/toggle", headers=ALICE, timeout=60)


def refuses(process: Process) -> bool:
    """Tell whether a server takes no connections any more."""
    try:
        httpx.get(f"{process.url}/health/live")
    except (httpx.NetworkError, httpx.RemoteProtocolError):
        return True
    return False
