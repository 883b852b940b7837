"""``python -m app``: the API in production, as one process."""

import math
import resource
import signal
import sys
from time import monotonic
from types import FrameType

import uvicorn

from app.config import ServerSettings, Settings, SettingsError, load
from app.kit.api import logs
from app.kit.api.health import STOPPING
from app.kit.api.protocol import HttpProtocol

_SLOWEST_CLIENT = 5
"""Seconds to send a request, or to take the response, once the server is to stop."""


class Server(uvicorn.Server):
    """Uvicorn, which lets balancers know before it stops, and leaves at once on a second signal."""

    def __init__(self, config: uvicorn.Config, delay: float) -> None:
        super().__init__(config)
        self._delay = delay
        self._stops_at = math.inf

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """On SIGTERM, be not ready and serve on for a while. On a second signal, leave."""
        self.force_exit = self.should_exit or self._stops_at < math.inf
        if sig == signal.SIGTERM and self.started and self._delay and not self.force_exit:
            self.lifespan.state[STOPPING] = True
            self._stops_at = monotonic() + self._delay
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Tell whether to stop: finish the requests in flight, and take no others."""
        self.should_exit |= monotonic() > self._stops_at
        return await super().on_tick(counter)


def serve() -> None:
    """Serve until a signal ends it, and exit with status 0."""
    settings = load(Settings)
    logs.configure(settings.log_level)
    where = load(ServerSettings)
    server = Server(
        uvicorn.Config(
            "app.main:app",
            host=where.host,
            port=where.port,
            log_config=None,
            http=HttpProtocol,
            ws="none",  # uvicorn would log a handshake itself, with its query string
            proxy_headers=False,  # X-Forwarded-For must not change who the peer is
            timeout_keep_alive=where.keep_alive_timeout,
            timeout_graceful_shutdown=round(settings.database_timeout) + _SLOWEST_CLIENT,
        ),
        where.shutdown_delay,
    )
    # Each connection is a file, and the limit may be as low as 1,024 unless one asks for more.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # When it has stopped, uvicorn raises the signal once more, which would end the process anew.
    for signal_ in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_, signal.SIG_IGN)
    server.run()
    if not server.started:
        sys.exit(1)


if __name__ == "__main__":
    try:
        serve()
    except SettingsError as error:
        sys.exit(str(error))
