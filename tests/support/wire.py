"""A proxy in front of PostgreSQL that writes down what a client sends over the wire."""

import asyncio
import re
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import URL

SENT: list[str] = []
"""The text of every statement that ran over any wire of this process, guarded ones apart."""

_GUARDS = re.compile(
    r"BEGIN; SET LOCAL ROLE \"owned_guarded\"; SET LOCAL \"app.owner\" = '[^']+'"
    r"(; SET LOCAL (datestyle|intervalstyle|timezone|extra_float_digits) = \S+)*"
)
_UNGUARDS = re.compile(
    r"\s*(COMMIT|END|ROLLBACK(?! TO)|ABORT|(RE)?SET\b(?!.*\bBEGIN\b))", re.IGNORECASE
)

_READY = b"Z\0\0\0\5I"
"""ReadyForQuery, outside of a transaction."""


@dataclass
class Wire:
    """What went over the wire: the text of statements, how many ran, how often the client waited.

    It also breaks, in the ways in which networks and databases do, when a test says so.

    A statement runs at a simple Query or an Execute, and a client waits at a Query or a Sync
    (PostgreSQL documentation, "Frontend/Backend Protocol"). A prepared statement that runs again
    sends no text.

    A transaction is guarded from its beginning, which takes the guarded role and names the owner,
    until it ends, or until a statement changes a setting.
    """

    upstream: URL
    statements: list[str] = field(default_factory=list)
    executions: int = 0
    round_trips: int = 0
    attempts: int = 0
    """How many connections clients have made, or tried to make."""

    def __post_init__(self) -> None:
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._forgotten: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._requests_to_lose = self._answers_to_lose = 0
        self._ends_at_once = False
        self._delay = 0.0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[URL]:
        """Listen on loopback, and give the URL that leads through here. It names the same host."""
        self._loop = asyncio.get_running_loop()
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self._port = self._server.sockets[0].getsockname()[1]
        here = {"hostaddr": "127.0.0.1", "sslmode": "disable", "gssencmode": "disable"}
        host = self.upstream.host or "localhost"
        try:
            yield self.upstream.set(host=host, port=self._port, query=here)
        finally:
            self._server.close()
            await self._cut()
            # Some wait for something to flow, and would still do when the event loop ends.
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Break all connections."""
        self._do(self._cut())

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Break all connections, and refuse new ones."""
        self._do(self._refuse())
        try:
            yield
        finally:
            self._do(self._accept())

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Take new connections, but let nothing through in either direction."""
        self._do(self._stop_flow())
        try:
            yield
        finally:
            self._do(self._start_flow())

    @contextmanager
    def ending_at_once(self) -> Iterator[None]:
        """Break all connections, and new ones as soon as they could be used."""
        self._ends_at_once = True
        self.cut()
        try:
            yield
        finally:
            self._ends_at_once = False

    @contextmanager
    def starting_late(self, seconds: float) -> Iterator[None]:
        """Break all connections, and answer on new ones only after some seconds."""
        self._delay = seconds
        self.cut()
        try:
            yield
        finally:
            self._delay = 0

    def forget(self) -> None:
        """Let nothing through on the connections that there are, without closing them."""
        self._do(self._forget())

    def lose_requests(self, count: int) -> None:
        """Break each connection when a request comes, so many times, and let nobody see it."""
        self._requests_to_lose = count

    def lose_answers(self, count: int) -> None:
        """Let requests through, and break each connection when an answer comes, so many times."""
        self._answers_to_lose = count

    @property
    def connections(self) -> int:
        """How many connections there are that anybody knows of."""
        return len(self._open)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _cut(self) -> None:
        for writer in self._open | self._forgotten:
            writer.close()

    async def _refuse(self) -> None:
        self._server.close()
        await self._cut()

    async def _accept(self) -> None:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", self._port)

    async def _stop_flow(self) -> None:
        self._flowing.clear()

    async def _start_flow(self) -> None:
        self._flowing.set()

    async def _forget(self) -> None:
        self._forgotten |= self._open
        self._open.clear()
        self._flowing.clear()
        self._flowing = asyncio.Event()
        self._flowing.set()

    @contextmanager
    def recording(self) -> Iterator["Wire"]:
        """Give what goes over the wire from here on."""
        part = Wire(self.upstream)
        before = len(self.statements), self.executions, self.round_trips
        try:
            yield part
        finally:
            part.statements = self.statements[before[0] :]
            part.executions = self.executions - before[1]
            part.round_trips = self.round_trips - before[2]

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._pass_on(reader, writer)
        except asyncio.CancelledError:
            pass  # it ends here in any case, and asyncio would report it
        finally:
            self._tasks.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        folder = self.upstream.query.get("host")
        if isinstance(folder, str):
            path = f"{folder}/.s.PGSQL.{self.upstream.port or 5432}"
            answers, requests = await asyncio.open_unix_connection(path)
        else:
            host, port = self.upstream.host, self.upstream.port or 5432
            answers, requests = await asyncio.open_connection(host, port)
        self._open.add(writer)
        self.attempts += 1
        try:
            await asyncio.sleep(self._delay)
            await asyncio.gather(
                self._forward(reader, requests, self._flowing),
                self._return(answers, writer, self._flowing),
            )
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(writer)
            requests.close()
            writer.close()

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flowing: asyncio.Event
    ) -> None:
        kind = b""  # the first message of a connection has no type
        session = Session()
        while True:
            header = await reader.readexactly(len(kind) + 4)
            body = await reader.readexactly(int.from_bytes(header[-4:]) - 4)
            await flowing.wait()
            if kind and self._requests_to_lose:
                self._requests_to_lose -= 1
                raise ConnectionError
            writer.write(header + body)
            self._note(header[: len(kind)], body, session)
            kind = b"?"

    async def _return(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flowing: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            await flowing.wait()
            if self._answers_to_lose:
                self._answers_to_lose -= 1
                break
            writer.write(data)
            if self._ends_at_once and data.endswith(_READY):
                break
            await writer.drain()
        writer.close()

    def _note(self, kind: bytes, body: bytes, session: "Session") -> None:
        if kind == b"Q":
            text = body.rstrip(b"\0").decode()
            self.statements.append(text)
            session.run(text)
        if kind == b"P":  # Parse: the statement's name, its text, its parameters
            name, text = (part.decode() for part in body.split(b"\0")[:2])
            self.statements.append(text)
            session.prepared[name] = text
        if kind == b"B":  # Bind: the portal's name, the statement's name
            session.bound = body.split(b"\0")[1].decode()
        if kind == b"E":
            session.run(session.prepared[session.bound])
        if kind in {b"Q", b"E"}:
            self.executions += 1
        if kind in {b"Q", b"S"}:
            self.round_trips += 1


@dataclass
class Session:
    """What a connection has prepared, and whether its transaction is guarded."""

    prepared: dict[str, str] = field(default_factory=dict)
    bound: str = ""
    is_guarded: bool = False

    def run(self, text: str) -> None:
        """Note a statement that runs."""
        if _GUARDS.fullmatch(text):
            self.is_guarded = True
        elif _UNGUARDS.match(text):
            self.is_guarded = False
        elif not self.is_guarded:
            SENT.append(text)
