"""A transaction that something ends is rolled back, and its connection is clean or gone."""

import asyncio
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends
from sqlalchemy import URL, text, update
from sqlmodel import col

from app.api.tasks import router
from app.kit.db.crud import OwnedCRUD
from app.kit.db.errors import DatabaseUnavailableError
from app.models.task import Task
from tests.support.crud import run
from tests.support.database import connect, locked
from tests.support.migrations import MakeDatabase, migrated
from tests.support.process import wait_until
from tests.support.server import Server, serve
from tests.support.tasks import TASKS, create, titles

TIMEOUT = 2
POOL = 3
RENAME_ALL = "/rename-all"


@pytest.fixture(scope="module")
def database(make_database: MakeDatabase) -> URL:
    """A database of which no other test has connections."""
    return migrated(make_database())


@pytest.fixture(scope="module")
def server(database: URL) -> Iterator[Server]:
    """The application with little patience, and a route that renames all tasks in two steps."""
    with serve(database, database_timeout=TIMEOUT, database_pool_size=POOL) as running:

        @running.app.post(RENAME_ALL)
        async def rename_all(tasks: Annotated[OwnedCRUD, Depends(router.owned)]) -> None:
            async with tasks.transaction() as session:
                unlocked = update(Task).where(col(Task.title) != "locked")
                await session.execute(unlocked.values(title="renamed"))
                await session.execute(update(Task).values(description="renamed"))

        yield running


@pytest.fixture
def tasks(alice: httpx.Client) -> list[Any]:
    """Two tasks, the second of which is to be locked."""
    return [create(alice, "free"), create(alice, "locked")]


@pytest.fixture(autouse=True)
def it_is_as_if_nothing_had_happened(
    server: Server, alice: httpx.Client, tasks: list[Any]
) -> Iterator[None]:
    """Fail a test after which anything has changed, or a connection is lost or in a transaction."""
    yield
    assert alice.get(TASKS).json()["items"] == tasks[::-1]
    wait_until(lambda: server.wire.connections <= POOL)
    with connect(server.wire.upstream) as connection:
        open_transactions = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
        )
        wait_until(lambda: connection.execute(open_transactions).fetchone() == (0,))


def test_a_transaction_that_takes_too_long_is_a_503_and_rolled_back(
    database: URL, alice: httpx.Client, tasks: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    with locked(database, tasks[1]["id"]) as lock:
        started = time.monotonic()
        response = alice.post(RENAME_ALL)
        assert time.monotonic() - started < TIMEOUT + 1
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"
        lock.wait_until_requested(False)
    assert caplog.records == []


def test_a_transaction_whose_backend_is_killed_is_a_503_and_rolled_back(
    database: URL, alice: httpx.Client, tasks: list[Any]
) -> None:
    with locked(database, tasks[1]["id"]) as lock, ThreadPoolExecutor() as threads:
        response = threads.submit(alice.post, RENAME_ALL)
        lock.wait_until_requested(True)
        lock.observer.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        assert response.result().status_code == 503


def test_a_transaction_of_a_client_that_hangs_up_ends(
    server: Server, database: URL, owner: str, tasks: list[Any]
) -> None:
    url = httpx.URL(server.url)
    request = f"POST {RENAME_ALL} HTTP/1.1\r\nHost: test\r\nX-User-ID: {owner}\r\n\r\n"
    with locked(database, tasks[1]["id"]) as lock:
        with socket.create_connection((url.host, url.port)) as client:
            client.sendall(request.encode())
            lock.wait_until_requested(True)
        lock.wait_until_requested(False)


@pytest.mark.parametrize("lost", ["requests", "answers"])
def test_a_transaction_whose_connection_breaks_at_the_start_is_a_503(
    server: Server, alice: httpx.Client, lost: str
) -> None:
    alice.get(TASKS)
    getattr(server.wire, f"lose_{lost}")(1)

    assert alice.post(RENAME_ALL).status_code == 503


def test_a_transaction_during_an_outage_is_a_503(server: Server, alice: httpx.Client) -> None:
    with server.wire.refusing():
        assert alice.post(RENAME_ALL).status_code == 503


def test_a_transaction_that_is_cancelled_is_rolled_back(server: Server, owner: str) -> None:
    async def cancelled(crud: OwnedCRUD) -> None:
        started = asyncio.Event()

        async def rename_and_wait() -> None:
            async with crud.transaction() as session:
                await session.execute(update(Task).values(title="renamed"))
                started.set()
                await session.execute(text("SELECT pg_sleep(60)"))

        task = asyncio.create_task(rename_and_wait())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # The pool of `run` has one connection, and another can be made at once.
        assert len(await crud.get_page(sort="created_at", limit=9, filters={})) == 2

    run(server, owner, cancelled)


def test_a_time_limit_of_the_blocks_own_is_no_outage(server: Server, owner: str) -> None:
    async def impatient(crud: OwnedCRUD) -> None:
        async with crud.transaction() as session:
            await session.execute(update(Task).values(title="renamed"))
            async with asyncio.timeout(0.1):
                await session.execute(text("SELECT pg_sleep(60)"))

    with pytest.raises(TimeoutError):
        run(server, owner, impatient)


def test_a_transaction_counts_among_the_connections(server: Server, owner: str) -> None:
    async def both(crud: OwnedCRUD) -> None:
        async with crud.transaction():
            # The pool of `run` has one connection.
            with pytest.raises(DatabaseUnavailableError):
                await crud.get_page(sort="created_at", limit=9, filters={})

    with pytest.raises(DatabaseUnavailableError):  # it took as long itself
        run(server, owner, both, timeout=1)


def test_an_unexpected_error_in_a_transaction_is_a_500_and_rolled_back(
    server: Server, alice: httpx.Client
) -> None:
    @server.app.post("/fail")
    async def fail(tasks: Annotated[OwnedCRUD, Depends(router.owned)]) -> None:
        async with tasks.transaction() as session:
            await session.execute(update(Task).values(title="renamed"))
            raise RuntimeError

    assert alice.post("/fail").status_code == 500
    assert titles(alice) == ["locked", "free"]
