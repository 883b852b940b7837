"""An application in a process of its own."""

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from psycopg.pq import Conninfo
from sqlalchemy import URL

from tests.support.node import install

_PATIENCE = 30
"""Seconds to wait for the start."""


@dataclass(frozen=True)
class Server:
    """A running server."""

    process: psutil.Process
    port: int

    def cpu_seconds(self) -> float:
        """Return the processor time that it has used so far."""
        times = self.process.cpu_times()
        return times.user + times.system

    def memory(self) -> float:
        """Return the resident memory in MiB."""
        resident: int = self.process.memory_info().rss
        return resident / 2**20


@asynccontextmanager
async def serving(application: str, database: URL) -> AsyncIterator[Server]:
    """Serve an application as its users would: in one process, with defaults, but no access log.

    Args:
        application: where it is, such as ``app.main:app`` for uvicorn, or a program of Node in the
            folder of its package.
        database: what it finds in ``DATABASE_URL``, and in the variables of libpq.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    if application.endswith(".mjs"):
        command, environment = ["node", application], install(Path(application).parent)
    else:
        options = [f"--port={port}", "--no-access-log", "--log-level=error"]
        command = [sys.executable, "-m", "uvicorn", application, *options]
        environment = dict(os.environ)
    settings = {"PORT": str(port), "DATABASE_POOL_SIZE": "5", **_where(database)}
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment | settings,
        stderr=asyncio.subprocess.DEVNULL,  # this project logs each request
    )
    try:
        await _wait_until_it_listens(process, port)
        yield Server(psutil.Process(process.pid), port)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await asyncio.sleep(0.1)  # a proxy that it was connected to notices


def address(database: URL) -> str:
    """Return the URL of a database as libpq writes it."""
    return database.set(drivername="postgresql").render_as_string(hide_password=False)


def _where(database: URL) -> dict[str, str]:
    """Return a database as libpq's variables, because not every client reads all of its URLs."""
    url = address(database)
    options = Conninfo.parse(url.encode())
    parts = {o.envvar.decode(): o.val.decode() for o in options if o.envvar and o.val}
    return {"DATABASE_URL": url, **parts}


async def _wait_until_it_listens(process: asyncio.subprocess.Process, port: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and process.returncode is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            await asyncio.sleep(0.05)
        else:
            return
    raise RuntimeError("the server has not started")
