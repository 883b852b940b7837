"""The application on a real server, in a thread of the test process."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import anyio.from_thread
import httpx
import uvicorn
from anyio.from_thread import BlockingPortal
from fastapi import FastAPI
from pydantic_settings import SettingsConfigDict
from sqlalchemy import URL

from app.config import Settings
from app.kit.api.protocol import HttpProtocol
from app.main import create_app
from tests.support import document, example, identity
from tests.support.wire import Wire

_portals: list[BlockingPortal] = []
"""Where applications are running."""


class SuiteSettings(Settings):
    """Settings that do not come from the ``.env`` of whoever runs the suite."""

    model_config = SettingsConfigDict(env_file=None)


@dataclass
class Server:
    """A running application, and the wire between it and PostgreSQL."""

    app: FastAPI
    url: str
    wire: Wire

    def client(self, owner: str | None = None) -> httpx.Client:
        """Return a client that speaks for an owner, or for nobody.

        It fails on a response that openapi.json does not have.
        """
        headers = {} if owner is None else identity.headers(owner)
        hooks = {"response": [document.check]}
        # Not to verify certificates, of which there are none, saves reading all authorities.
        return httpx.Client(
            base_url=self.url, headers=headers, timeout=30, event_hooks=hooks, verify=False
        )


@contextmanager
def serve(database: URL, *, on_a_wire: bool = True, **settings: Any) -> Iterator[Server]:
    """Serve the application, with the example resource in it.

    Args:
        database: where PostgreSQL is.
        on_a_wire: whether a wire is in between. Without one, the application is given the URL as
            it is.
        settings: those of the application.
    """
    with anyio.from_thread.start_blocking_portal(backend_options={"use_uvloop": True}) as portal:
        wire = Wire(database)
        with portal.wrap_async_context_manager(wire.listening()) as on_wire:
            url = on_wire if on_a_wire else database
            app = example.add_to(create_app(SuiteSettings(database_url=url, **settings)))
            with running(app, portal) as address:
                yield Server(app, address, wire)


@contextmanager
def running(
    app: FastAPI,
    portal: BlockingPortal,
    listener: socket.socket | None = None,
    *,
    http: type[asyncio.Protocol] = HttpProtocol,
    proxy_headers: bool = False,
    keep_alive: int = 75,
) -> Iterator[str]:
    """Run an application in the thread of a portal, and give its URL.

    Args:
        app: the application.
        portal: where to run it.
        listener: where it listens, if not on some port of 127.0.0.1.
        http: how requests are read.
        proxy_headers: whether Uvicorn takes the peer from X-Forwarded-For, which is its default.
        keep_alive: the seconds after which an idle connection is closed.
    """
    config = uvicorn.Config(
        app,
        log_level="warning",
        http=http,
        proxy_headers=proxy_headers,
        timeout_keep_alive=keep_alive,
    )
    server = uvicorn.Server(config)
    with listener or socket.create_server(("127.0.0.1", 0)) as here:
        stopped = portal.start_task_soon(server.serve, [here])
        _portals.append(portal)
        try:
            yield _url(here)
        finally:
            _portals.remove(portal)
            server.should_exit = True
            stopped.result()


def finish_steps() -> None:
    """Wait until each application is done with the step in which it has sent a response.

    The client may have the response before the line of the request is in the log.
    """
    for portal in _portals:
        portal.call(asyncio.sleep, 0)


def _url(listener: socket.socket) -> str:
    if listener.family == socket.AF_UNIX:
        return "http://localhost"
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
