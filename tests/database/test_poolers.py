"""A pooler that no setting tells of loses prepared statements, and no request notices."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime

import httpx
import psycopg
import pytest
from sqlalchemy import URL, func
from sqlmodel import col, select

from app.kit.db.crud import OwnedCRUD
from app.kit.db.database import Database
from app.kit.models.owned import new_id
from app.models.task import Task
from tests.support.crud import unbound
from tests.support.database import connect
from tests.support.migrations import MakeDatabase, migrated
from tests.support.postgres import pgbouncer
from tests.support.server import Server, serve
from tests.support.tasks import TASKS, create

CLIENTS = 10
NAMES_OF_PSYCOPG = [f"_pg3_{number}".encode() for number in range(40)]


@pytest.fixture(scope="module")
def database(make_database: MakeDatabase) -> URL:
    """A database of which no other test has connections."""
    return migrated(make_database())


@pytest.fixture
def pooler(database: URL) -> Iterator[URL]:
    """PgBouncer, with two connections to the database that nobody has used."""
    with pgbouncer(database) as url:
        yield url


@pytest.fixture
def server(pooler: URL) -> Iterator[Server]:
    """The application behind the pooler, of which the host's name says nothing."""
    with serve(pooler, database_pool_size=5) as running:
        yield running


@pytest.fixture
def alice(server: Server, owner: str) -> Iterator[httpx.Client]:
    """A client of somebody who has nothing yet."""
    with server.client(owner) as client:
        yield client


def use(client: httpx.Client) -> None:
    """Create a task and use all operations of it, more often than it takes to prepare them."""
    task = create(client)
    item = f"{TASKS}/{task['id']}"
    for number in range(10):
        assert client.get(item).json() == task
        title = {"title": str(number)}
        assert client.patch(item, json=title).json()["title"] == str(number)
        assert client.get(TASKS, params={"limit": 1}).is_success
        task = client.post(f"{item}/toggle").json()
        assert task["completed"] is (number % 2 == 0)
        assert client.delete(f"{TASKS}/{create(client)['id']}").status_code == 204
        assert client.get("/health/ready").status_code == 200


def test_a_pooler_that_loses_prepared_statements_is_no_error(
    server: Server, alice: httpx.Client
) -> None:
    with ThreadPoolExecutor(CLIENTS) as threads:
        for done in [threads.submit(use, alice) for _ in range(CLIENTS)]:
            done.result()
        assert len(alice.get(TASKS).json()["items"]) == CLIENTS

    with server.wire.recording() as sent:
        for _ in range(10):
            alice.get(TASKS)
    assert len(sent.statements) == sent.round_trips == 10  # none is prepared any more


def test_statements_that_another_client_prepared_are_never_run(
    pooler: URL, alice: httpx.Client
) -> None:
    """The other client gives the names of psycopg to statements that delete."""
    create(alice, "kept")
    with ExitStack() as stack:
        # At the same time, so that it is each server of the pooler.
        clients = [stack.enter_context(connect(pooler)) for _ in range(2)]
        for client in clients:
            client.execute("BEGIN")
        for client in clients:
            for name in NAMES_OF_PSYCOPG:
                prepared = client.pgconn.prepare(
                    name, b"DELETE FROM task WHERE owner_id IN ($1, $2)", [25, 25]
                )
                assert prepared.status == psycopg.pq.ExecStatus.COMMAND_OK
            client.execute("COMMIT")

    for _ in range(10):
        (task,) = alice.get(TASKS, params={"limit": 1}).json()["items"]
        assert alice.get(f"{TASKS}/{task['id']}").json()["title"] == "kept"


def test_transactions_work_behind_a_pooler(pooler: URL, owner: str) -> None:
    async def transactions(crud: OwnedCRUD) -> None:
        for _ in range(10):
            async with crud.transaction() as session:
                now = datetime.now(UTC)
                session.add_all(
                    Task(owner_id=owner, id=new_id(), title="x", created_at=now, updated_at=now)
                    for _ in range(2)
                )
                assert (await session.exec(select(func.count(col(Task.id))))).one() > 0
            assert len(await crud.get_page(sort="-created_at", limit=1, filters={})) == 1

    async def at_once() -> None:
        database = Database(pooler, pool_size=CLIENTS, timeout=5, prepared_statements=True)
        crud = unbound().bind(database, owner)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(CLIENTS):
                    group.create_task(transactions(crud))
        finally:
            await database.close()

    asyncio.run(at_once())
