"""A socket is watched as long as its connection is used, and no longer than it is open."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Any, Self

import psycopg
import pytest
import uvloop
from psycopg import Error
from psycopg.errors import _WaitTimeout
from psycopg.pq import TransactionStatus
from sqlalchemy import URL

from app.kit.db.connections import InterruptibleConnection

pytestmark = pytest.mark.plain
SLEEP = "SELECT pg_sleep(60)"
Use = Callable[["Watched"], Awaitable[None]]


class Watched:
    """A connection, and how often the event loop was told to watch its socket, or not to.

    Attributes:
        connection: the connection.
        url: where it leads.
        watches: by number of a socket, how many watchers it has.
        started: how often a socket was watched anew.
        woken: how often the loop found something to read.
        is_woken: whether it did.
    """

    def __init__(self, connection: InterruptibleConnection, url: str) -> None:
        self.connection = connection
        self.url = url
        self.watches: Counter[int] = Counter()
        self.started = 0
        self.woken = 0
        self.is_woken = asyncio.Event()

    @classmethod
    async def connected(cls, database: URL, monkeypatch: pytest.MonkeyPatch) -> Self:
        """Connect."""
        url = database.set(drivername="postgresql").render_as_string(hide_password=False)
        watched = cls(await InterruptibleConnection.connect(url, autocommit=True), url)
        loop = asyncio.get_running_loop()
        add, remove = loop.add_reader, loop.remove_reader

        def adding(number: int, callback: Callable[..., Any], *arguments: Any) -> None:
            def called() -> None:
                watched.woken += 1
                watched.is_woken.set()
                callback(*arguments)

            watched.watches[number] += 1
            watched.started += 1
            add(number, called)

        def removing(number: int) -> bool:
            watched.watches[number] -= 1
            return remove(number)

        sockets = "app.kit.db.sockets.asyncio.get_running_loop"
        monkeypatch.setattr(sockets, lambda: _Loop(loop, adding, removing))
        return watched

    async def select(self, query: str = "SELECT 1", *, deadline: float | None = None) -> None:
        """Run a statement."""
        await self.connection.result_of(query, {}, prepare=None, deadline=deadline)

    async def sleeping(self) -> asyncio.Task[None]:
        """Return a statement that the server is at."""
        task = asyncio.create_task(self.select(SLEEP))
        await asyncio.sleep(0)
        assert self.connection.pgconn.transaction_status == TransactionStatus.ACTIVE
        return task

    def terminate(self) -> None:
        """Have the server close the connection."""
        with psycopg.connect(self.url) as other:
            other.execute(
                "SELECT pg_terminate_backend(%s, 5000)", [self.connection.info.backend_pid]
            )


class _Loop:
    """An event loop that is told elsewhere what to watch."""

    def __init__(self, loop: asyncio.AbstractEventLoop, add: Any, remove: Any) -> None:
        self._loop = loop
        self.add_reader = add
        self.remove_reader = remove

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


async def closed(watched: Watched) -> None:
    await watched.connection.close()


async def failed(watched: Watched) -> None:
    with pytest.raises(Error):
        await watched.select("SELECT 1 / 0")
    await watched.connection.close()


async def late(watched: Watched) -> None:
    with pytest.raises(Error):
        await watched.select(SLEEP, deadline=0)


async def late_though_something_comes(watched: Watched) -> None:
    rows = "SELECT repeat('x', 8192), pg_sleep(0.02) FROM generate_series(1, 500)"
    with pytest.raises(_WaitTimeout):
        await watched.select(rows, deadline=monotonic() + 0.2)


async def cancelled(watched: Watched) -> None:
    task = await watched.sleeping()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def terminated(watched: Watched) -> None:
    task = await watched.sleeping()
    await asyncio.to_thread(watched.terminate)
    with pytest.raises(Error):
        await task


async def terminated_while_idle(watched: Watched) -> None:
    watched.is_woken.clear()
    await asyncio.to_thread(watched.terminate)
    await watched.is_woken.wait()


def run(loop: Callable[[], asyncio.AbstractEventLoop], main: Awaitable[None]) -> None:
    """Run a coroutine on an event loop of a kind."""

    async def awaited() -> None:
        await main

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(awaited())


each_loop = pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop])


@each_loop
def test_the_statements_of_a_connection_have_one_watcher(
    database: URL, monkeypatch: pytest.MonkeyPatch, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def main() -> None:
        watched = await Watched.connected(database, monkeypatch)
        for _ in range(5):
            await watched.select()
        assert (watched.started, sum(watched.watches.values())) == (1, 1)
        await watched.connection.close()

    run(loop, main())


@each_loop
@pytest.mark.parametrize(
    "end",
    [
        closed,
        failed,
        late,
        late_though_something_comes,
        cancelled,
        terminated,
        terminated_while_idle,
    ],
)
def test_a_socket_is_not_watched_after_the_end_of_its_connection(
    database: URL,
    monkeypatch: pytest.MonkeyPatch,
    loop: Callable[[], asyncio.AbstractEventLoop],
    end: Use,
) -> None:
    async def main() -> None:
        watched = await Watched.connected(database, monkeypatch)
        await watched.select()
        await end(watched)
        assert sum(watched.watches.values()) == 0
        await watched.connection.close()

    run(loop, main())


@each_loop
def test_what_comes_while_nobody_waits_wakes_the_loop_once(
    database: URL, monkeypatch: pytest.MonkeyPatch, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def main() -> None:
        watched = await Watched.connected(database, monkeypatch)
        await watched.select()
        before = watched.woken
        await terminated_while_idle(watched)
        for _ in range(100):
            await asyncio.sleep(0)
        assert watched.woken == before + 1
        await watched.connection.close()

    run(loop, main())


@each_loop
def test_what_is_too_large_to_be_sent_at_once_is_sent_in_parts(
    database: URL, monkeypatch: pytest.MonkeyPatch, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def main() -> None:
        watched = await Watched.connected(database, monkeypatch)
        text = "x" * 50_000_000
        result = await watched.connection.result_of(
            "SELECT length(%(text)s)", {"text": text}, prepare=False
        )
        assert int.from_bytes(result.get_value(0, 0) or b"") == len(text)
        await watched.select()
        assert (watched.started, sum(watched.watches.values())) == (1, 1)
        await watched.connection.close()

    run(loop, main())
