"""``python -m app``: the API in production, as one process."""

import signal
import sys
from types import FrameType

import uvicorn

from app.config import ServerSettings, Settings, SettingsError, load
from app.kit.api import logs
from app.kit.api.protocol import HttpProtocol

_SLOWEST_CLIENT = 5
"""Seconds to send a request, or to take the response, once the server is to stop."""


class Server(uvicorn.Server):
    """Uvicorn, which leaves at once on a second signal: its own does on a second Ctrl-C only."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Finish the requests in flight, or, if that was asked for already, leave."""
        self.force_exit = self.should_exit
        super().handle_exit(sig, frame)


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
            timeout_graceful_shutdown=round(settings.database_timeout) + _SLOWEST_CLIENT,
        )
    )
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
