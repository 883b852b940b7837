"""A proxy that puts a server further away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sqlalchemy import URL


@asynccontextmanager
async def distant(near: URL, seconds: float) -> AsyncIterator[URL]:
    """Listen on loopback, and give a URL that leads to another one, so much later.

    Whatever is sent arrives at once; whatever comes back arrives after so many seconds, however
    much of it is on its way. A client that waits for answers one by one waits for each of them.
    """

    async def connect(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_connection(near.host, near.port)
        await asyncio.gather(_pass_on(client, to_server, 0), _pass_on(server, to_client, seconds))

    async with await asyncio.start_server(connect, "127.0.0.1", 0) as listener:
        yield near.set(port=listener.sockets[0].getsockname()[1])


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float
) -> None:
    loop = asyncio.get_running_loop()
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            loop.call_later(seconds, writer.write, data)
    loop.call_later(seconds, writer.close)
