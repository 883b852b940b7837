"""``python -m app.development``: serve until interrupted, and leave nothing behind."""

import signal
import sys
from pathlib import Path

import uvicorn
from alembic.command import upgrade
from alembic.config import Config
from sqlalchemy.exc import OperationalError

from app.config import ServerSettings, Settings, SettingsError, load
from app.development.postgres import development_database
from app.kit.api import logs
from app.kit.api.protocol import HttpProtocol

ROOT = Path(__file__).parents[2]


def serve() -> None:
    """Migrate the database and serve it, until interrupted."""
    settings = load(ServerSettings)
    with development_database() as database:
        upgrade(Config(toml_file=ROOT / "pyproject.toml"), "head")
        print(f"API       http://{settings.host}:{settings.port}/api/v1")
        print(f"Docs      http://{settings.host}:{settings.port}/docs")
        print(f"Database  {database.set(drivername='postgresql')}", flush=True)
        logs.configure(load(Settings).log_level)
        uvicorn.run(
            "app.development.reload:create_app_that_follows",
            factory=True,
            host=settings.host,
            port=settings.port,
            reload=True,
            reload_dirs=[str(ROOT / "app")],
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
    except OperationalError as error:
        sys.exit(f"The database does not answer: {str(error.orig).splitlines()[0]}")
    except KeyboardInterrupt:
        sys.exit(130)


main()
