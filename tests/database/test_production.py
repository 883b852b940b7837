"""What Neon's PostgreSQL asks of the application: TLS, its URL as it is, and its pooler."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import quote

import anyio.from_thread
import httpx
import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy import URL, make_url

from app.main import create_app
from tests.support.database import connect, locked
from tests.support.logs import Logs
from tests.support.migrations import migrate, migrated
from tests.support.postgres import POOLER, pgbouncer, postgres_with_tls
from tests.support.process import ALICE
from tests.support.server import Server, SuiteSettings, running, serve
from tests.support.tasks import TASKS, create

PASSWORD = "p@ss:w/rd?#%20+ &="
WRONG = f"Tr0ub4dor{PASSWORD}"

# Who may connect how. As with Neon, `todo` has to use TLS and SCRAM.
ACCESS = """\
hostssl all todo 127.0.0.1/32 scram-sha-256
hostssl all without_scram 127.0.0.1/32 md5
hostnossl all without_tls 127.0.0.1/32 scram-sha-256
"""
ROLES = f"""\
CREATE ROLE todo SUPERUSER LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE without_tls LOGIN PASSWORD '{PASSWORD}';
SET password_encryption = 'md5';
CREATE ROLE without_scram LOGIN PASSWORD '{PASSWORD}';
"""

ENCRYPTED = """
    SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'todo'
"""
SESSION = """
    SELECT 'setting', name FROM pg_settings WHERE source = 'session'
    UNION ALL SELECT 'statement', name FROM pg_prepared_statements
    UNION ALL SELECT 'channel', pg_listening_channels()
    UNION ALL SELECT 'lock', objid::text FROM pg_locks
        WHERE locktype = 'advisory' AND pid = pg_backend_pid()
    UNION ALL SELECT 'table', relname FROM pg_class WHERE relpersistence = 't'
"""
"""What a client can leave behind for the next one that the pooler gives the connection to."""


@pytest.fixture(scope="module")
def administrator() -> Iterator[psycopg.Connection]:
    """The administrator of a PostgreSQL with TLS."""
    with postgres_with_tls(ACCESS) as url, connect(url) as connection:
        connection.execute(ROLES)
        yield connection


@pytest.fixture
def neon(administrator: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> psycopg.Connection:
    """The same, where every host's name leads to it."""
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
    monkeypatch.setenv("PGPORT", str(administrator.info.port))
    return administrator


def copied(
    user: str = "todo",
    password: str = PASSWORD,
    *,
    scheme: str = "postgresql",
    required: str = "sslmode=require&channel_binding=require",
) -> str:
    """The URL that Neon shows."""
    return f"{scheme}://{user}:{quote(password, safe='')}@{POOLER}/postgres?{required}"


@contextmanager
def client(url: str) -> Iterator[httpx.Client]:
    """A client of the application that has this DATABASE_URL."""
    settings = SuiteSettings.model_validate(
        {"database_url": url, "database_timeout": 1, "log_level": "DEBUG"}
    )
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        running(create_app(settings), portal) as address,
        httpx.Client(base_url=address, headers=ALICE, timeout=30, verify=False) as client,
    ):
        yield client


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_the_url_copied_from_neon_works_unchanged(neon: psycopg.Connection, scheme: str) -> None:
    migrate(copied(scheme=scheme))
    with client(copied(scheme=scheme)) as alice:
        created = alice.post(TASKS, json={"title": "Buy milk"})
        assert created.status_code == 201
        assert created.json() in alice.get(TASKS).json()["items"]
        assert alice.get(created.headers["location"]).json() == created.json()
        assert neon.execute(ENCRYPTED).fetchall() == [(True,)]


@pytest.mark.parametrize(
    ("user", "required"),
    [("without_tls", "sslmode=require"), ("without_scram", "channel_binding=require")],
)
def test_what_the_url_of_the_database_requires_is_required(
    neon: psycopg.Connection, user: str, required: str
) -> None:
    migrated(make_url(copied()).set(drivername="postgresql+psycopg"))
    neon.execute(f"GRANT owned_direct, owned_guarded TO {user}")
    with client(copied(user, required=required)) as alice:
        assert alice.get("/health/ready").status_code == 503
    with client(copied(user, required="")) as alice:
        assert alice.get("/health/ready").status_code == 200


@pytest.mark.usefixtures("neon")
def test_a_wrong_password_is_shown_to_nobody(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], logs: Logs
) -> None:
    caplog.set_level(logging.DEBUG)
    with client(copied(password=WRONG)) as alice:
        answers = [alice.get(path) for path in ("/health/ready", TASKS)]

    assert [answer.status_code for answer in answers] == [503, 503]
    assert "password authentication failed" in str(logs)
    shown = [str(logs), caplog.text, *capfd.readouterr(), *(answer.text for answer in answers)]
    assert not any("Tr0ub4dor" in text for text in shown)


def test_a_deployment_is_what_it_is_called(server: Server, database: URL, deployment: str) -> None:
    with connect(database) as connection:
        kind = connection.execute("SELECT relkind FROM pg_class WHERE relname = 'task'").fetchone()
    assert kind == ("p" if deployment == "partitioned" else "r",)
    assert (server.wire.upstream.host == POOLER) == (deployment == "pooled")


@pytest.fixture
def pooler(database: URL) -> Iterator[URL]:
    """PgBouncer, in front of the database."""
    with pgbouncer(database) as url:
        yield url


@pytest.mark.plain
def test_two_connections_of_the_pooler_serve_all_of_the_application(
    pooler: URL, owner: str
) -> None:
    with (
        serve(pooler.set(host=POOLER), database_pool_size=5) as server,
        server.client(owner) as alice,
        ThreadPoolExecutor(10) as threads,
        connect(pooler.set(database="pgbouncer")) as console,
    ):
        statuses = list(threads.map(lambda _: alice.get(TASKS).status_code, range(100)))
        pools = console.cursor(row_factory=dict_row).execute("SHOW POOLS").fetchall()

    (pool,) = [pool for pool in pools if pool["database"] == pooler.database]
    assert set(statuses) == {200}
    assert pool["pool_mode"] == "transaction"
    assert pool["cl_active"] > 2
    assert sum(pool[state] for state in ("sv_active", "sv_idle", "sv_used")) <= 2


@pytest.mark.plain
def test_a_statement_that_takes_too_long_is_cancelled_through_the_pooler(
    database: URL, pooler: URL, owner: str
) -> None:
    with (
        serve(pooler.set(host=POOLER), database_timeout=1) as server,
        server.client(owner) as alice,
    ):
        task = create(alice)
        url = f"{TASKS}/{task['id']}"
        with locked(database, str(task["id"])) as lock:
            assert alice.patch(url, json={"title": "late"}).status_code == 503
            lock.wait_until_requested(False)
        assert alice.get(url).json() == task


@pytest.mark.plain
def test_nothing_is_left_in_the_session_of_the_next_client(pooler: URL, owner: str) -> None:
    with (
        serve(pooler.set(host=POOLER), database_pool_size=1) as server,
        server.client(owner) as alice,
        connect(pooler) as next_client,
    ):
        for _ in range(10):
            assert alice.get("/health/ready").status_code == 200
            assert alice.post(TASKS, json={"title": "Buy milk"}).status_code == 201
            assert alice.get(TASKS).status_code == 200
        assert next_client.execute(SESSION).fetchall() == []


@pytest.mark.plain
@pytest.mark.parametrize(
    ("pooled", "setting", "prepared"),
    [
        (False, None, True),
        (False, False, False),
        (True, None, False),
    ],
)
def test_statements_are_prepared_unless_a_pooler_or_a_setting_is_against_it(
    database: URL, pooler: URL, owner: str, *, pooled: bool, setting: bool | None, prepared: bool
) -> None:
    url = pooler.set(host=POOLER) if pooled else database
    with (
        serve(url, database_prepared_statements=setting) as server,
        server.client(owner) as alice,
        server.wire.recording() as sent,
    ):
        for _ in range(20):
            alice.get(TASKS)
    # What is prepared is sent in full a few times only.
    assert (len(sent.statements) < 20) == prepared
