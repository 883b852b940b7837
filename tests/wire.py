"""A proxy in front of PostgreSQL that writes down what a client sends over the wire."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from sqlalchemy import URL

SENT: list[str] = []
"""The text of every statement that went over any wire of this process."""


@dataclass
class Wire:
    """What went over the wire: the text of statements, how many ran, how often the client waited.

    A statement runs at a simple Query or an Execute, and a client waits at a Query or a Sync
    (PostgreSQL documentation, "Frontend/Backend Protocol"). A prepared statement that runs again
    sends no text.
    """

    upstream: URL
    statements: list[str] = field(default_factory=list)
    executions: int = 0
    round_trips: int = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[URL]:
        """Listen on loopback, and give the URL that leads through here."""
        async with await asyncio.start_server(self._connect, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            plain = {"sslmode": "disable", "gssencmode": "disable"}
            yield self.upstream.set(host="127.0.0.1", port=port, query=plain)

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
        folder = self.upstream.query.get("host")
        if isinstance(folder, str):
            path = f"{folder}/.s.PGSQL.{self.upstream.port or 5432}"
            answers, requests = await asyncio.open_unix_connection(path)
        else:
            host, port = self.upstream.host, self.upstream.port or 5432
            answers, requests = await asyncio.open_connection(host, port)
        try:
            await asyncio.gather(self._forward(reader, requests), _copy(answers, writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            requests.close()
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kind = b""  # the first message of a connection has no type
        while True:
            header = await reader.readexactly(len(kind) + 4)
            body = await reader.readexactly(int.from_bytes(header[-4:]) - 4)
            writer.write(header + body)
            self._note(header[: len(kind)], body)
            kind = b"?"

    def _note(self, kind: bytes, body: bytes) -> None:
        if kind == b"Q":
            self._keep(body.rstrip(b"\0"))
        if kind == b"P":  # Parse: the statement's name, its text, its parameters
            self._keep(body.split(b"\0")[1])
        if kind in {b"Q", b"E"}:
            self.executions += 1
        if kind in {b"Q", b"S"}:
            self.round_trips += 1

    def _keep(self, statement: bytes) -> None:
        self.statements.append(statement.decode())
        SENT.append(statement.decode())


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
