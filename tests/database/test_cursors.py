"""A connection keeps the cursors of its queries, and nothing of what they have returned."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from psycopg.adapt import Transformer
from sqlalchemy import URL, literal_column, select

from app.kit.db.compiled import OWNER, CompiledStatement
from app.kit.db.connections import InterruptibleConnection
from tests.support.server import serve
from tests.support.tasks import TASKS, create

pytestmark = pytest.mark.plain


def test_a_query_has_the_same_cursor_again_and_a_hundred_have_one(database: URL) -> None:
    async def kept() -> tuple[bool, bool]:
        url = database.set(drivername="postgresql").render_as_string(hide_password=False)
        async with await InterruptibleConnection.connect(url, autocommit=True) as connection:
            first = connection.cursor_of("SELECT 0")
            for number in range(1, 100):
                connection.cursor_of(f"SELECT {number}")
            after_100 = connection.cursor_of("SELECT 0") is first
            for number in range(100, 200):
                connection.cursor_of(f"SELECT {number}")
            return after_100, connection.cursor_of("SELECT 0") is first

    assert asyncio.run(kept()) == (True, False)


def test_what_a_cursor_has_returned_is_freed_once_it_is_read(database: URL) -> None:
    statement = CompiledStatement(select(literal_column("1").label("one")).where(OWNER == "alice"))

    async def read() -> tuple[int, int]:
        url = database.set(drivername="postgresql").render_as_string(hide_password=False)
        async with await InterruptibleConnection.connect(url, autocommit=True) as connection:
            values = statement.values({OWNER.key: "alice"})
            result = await connection.result_of(statement.text, values, prepare=None)
            before = result.ntuples
            assert statement.rows(result, Transformer()) == [{"one": 1}]
            return before, result.ntuples

    assert asyncio.run(read()) == (1, 0)


def test_requests_that_share_a_connection_get_their_own_rows(database: URL) -> None:
    with serve(database, database_pool_size=1) as server, ThreadPoolExecutor(8) as threads:

        def ask(owner: str) -> None:
            with server.client(owner) as client:
                tasks = [create(client, f"{owner} {number}") for number in range(5)]
                for task in tasks:
                    assert client.get(f"{TASKS}/{task['id']}").json() == task
                    assert client.get(TASKS).json()["items"] == tasks[::-1]

        for asked in [threads.submit(ask, f"owner-{uuid4()}") for _ in range(16)]:
            asked.result()


def test_a_statement_that_failed_works_again(database: URL, owner: str) -> None:
    with serve(database, database_pool_size=1) as server, server.client(owner) as alice:
        again = {"id": create(alice)["id"], "title": "Buy milk"}
        for _ in range(10):  # until it is prepared, and then
            assert alice.post(TASKS, json=again).status_code == 409
            assert alice.delete(f"{TASKS}/{again['id']}").status_code == 204
            assert alice.post(TASKS, json=again).status_code == 201
