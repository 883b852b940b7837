"""A connection is made to whatever host answers, and a login that is refused is said at once."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import URL

from tests.support.database import connect
from tests.support.logs import Logs
from tests.support.migrations import MakeDatabase, migrated
from tests.support.postgres import postgres_with_tls
from tests.support.server import serve
from tests.support.tasks import TASKS, create

TIMEOUT = 2

REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "a wrong password": (
        {"username": "mistaken"},
        "password authentication failed",
        "ALTER ROLE mistaken PASSWORD 'right'",
    ),
    "a missing role": (
        {"username": "nobody"},
        "authentication failed",
        "CREATE ROLE nobody SUPERUSER LOGIN PASSWORD 'right'",
    ),
    "a missing database": (
        {"database": "nowhere"},
        "does not exist",
        "CREATE DATABASE nowhere TEMPLATE todo",
    ),
}


@contextmanager
def behind_silent_hosts(database: URL, count: int) -> Iterator[URL]:
    """Give the URL of a database behind hosts that take connections and never answer."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        ports = [str(listener.getsockname()[1]) for listener in listeners]
        hosts = [*["127.0.0.1"] * count, str(database.query["host"])]
        options = {"host": ",".join(hosts), "port": ",".join([*ports, str(database.port or 5432)])}
        yield database.set(port=None, query=options)
    finally:
        for listener in listeners:
            listener.close()


@pytest.mark.parametrize("silent", [1, 3])
def test_a_host_that_answers_is_reached_behind_those_that_do_not(
    make_database: MakeDatabase, owner: str, silent: int
) -> None:
    database = migrated(make_database())
    with (
        behind_silent_hosts(database, silent) as url,
        serve(url, on_a_wire=False, database_timeout=TIMEOUT) as server,
        server.client(owner) as alice,
    ):
        create(alice)


def test_a_host_that_answered_is_the_first_that_is_asked_again(
    make_database: MakeDatabase, owner: str
) -> None:
    database = migrated(make_database())
    with (
        behind_silent_hosts(database, 1) as url,
        serve(url, on_a_wire=False, database_timeout=TIMEOUT) as server,
        server.client(owner) as alice,
        connect(database) as connection,
    ):
        create(alice)
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid != pg_backend_pid()"
        )
        started = time.monotonic()
        create(alice)
        assert time.monotonic() - started < TIMEOUT / 4


def test_a_connection_that_takes_most_of_the_time_is_used(
    make_database: MakeDatabase, owner: str
) -> None:
    with (
        serve(migrated(make_database()), database_timeout=TIMEOUT) as server,
        server.client(owner) as alice,
        server.wire.starting_late(0.7 * TIMEOUT),
    ):
        create(alice)


@pytest.fixture(scope="module")
def with_passwords() -> Iterator[URL]:
    """A database of a PostgreSQL that asks for passwords."""
    with postgres_with_tls("host all all 127.0.0.1/32 scram-sha-256\n") as administrator:
        with connect(administrator) as connection:
            connection.execute("CREATE ROLE todo SUPERUSER LOGIN PASSWORD 'right'")
            connection.execute("CREATE ROLE mistaken SUPERUSER LOGIN PASSWORD 'other'")
            connection.execute("CREATE DATABASE todo")
        yield migrated(administrator.set(drivername="postgresql+psycopg", database="todo"))


@pytest.mark.parametrize("why", REFUSED)
def test_a_login_that_is_refused_is_an_outage_at_once_until_it_is_put_right(
    with_passwords: URL,
    owner: str,
    logs: Logs,
    monkeypatch: pytest.MonkeyPatch,
    why: str,
) -> None:
    wrong, cause, remedy = REFUSED[why]
    url = with_passwords.set(username="todo", password="right", host="127.0.0.1", query={})
    with (
        serve(url.set(**wrong), database_timeout=30) as server,
        server.client(owner) as alice,
        ThreadPoolExecutor() as threads,
    ):

        def statuses() -> set[int]:
            return {*threads.map(lambda _: alice.get(TASKS).status_code, range(20))}

        started = time.monotonic()
        assert alice.get("/health/ready").status_code == 503
        assert statuses() == {503}
        assert time.monotonic() - started < 10
        assert all(cause in entry["cause"] for entry in logs if "cause" in entry), logs
        assert server.wire.attempts == 1
        monkeypatch.setattr("app.kit.db.connections._PAUSE_AFTER_REFUSAL", 2)
        while server.wire.attempts == 1:
            assert statuses() == {503}
        assert server.wire.attempts == 2

        administrator = with_passwords.set(database="postgres")
        with connect(administrator) as connection:
            connection.execute(remedy)
        monkeypatch.setattr("app.kit.db.connections._PAUSE_AFTER_REFUSAL", 0)
        create(alice)
