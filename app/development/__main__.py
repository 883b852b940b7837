"""``just serve``: serve until interrupted, and leave nothing behind."""

import signal
import sys
from pathlib import Path

import psycopg
import uvicorn

from app.config import ServerSettings, Settings, SettingsError, load
from app.development.database import development_database
from app.kit.api import logs
from app.kit.api.protocol import HttpProtocol

ROOT = Path(__file__).parents[2]


def serve() -> None:
    """Serve a database that answers, until interrupted."""
    settings = load(ServerSettings)
    with development_database() as database:
        url = database.set(drivername="postgresql")
        psycopg.connect(url.render_as_string(hide_password=False)).close()
        print(f"API       http://{settings.host}:{settings.port}/api/v1")
        print(f"Docs      http://{settings.host}:{settings.port}/docs")
        print(f"Database  {url}", flush=True)
        logs.configure(load(Settings).log_level)
        uvicorn.run(
            "app.development.reload:create_app",
            factory=True,
            host=settings.host,
            port=settings.port,
            reload=True,
            reload_dirs=[str(ROOT / "app"), str(ROOT / "migrations")],
            log_config=None,
            http=HttpProtocol,
            proxy_headers=False,  # X-Forwarded-For must not change who the peer is
        )


def main() -> None:
    """Serve, and say in one line why that is not possible."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # leave as on Ctrl-C: stop the database
    try:
        serve()
    except (SettingsError, OSError) as error:
        sys.exit(str(error))
    except psycopg.OperationalError as error:
        sys.exit(f"The database does not answer: {str(error).splitlines()[0]}")
    except KeyboardInterrupt:
        sys.exit(130)


main()
