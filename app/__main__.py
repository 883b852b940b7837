"""``python -m app``, or ``just serve``: the API with reload and a database, for development."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import uvicorn
from alembic.command import upgrade
from alembic.config import Config
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.exc import OperationalError

from app.config import SettingsError, load
from app.db.embedded import development_database

ROOT = Path(__file__).parent.parent


class ServeSettings(BaseSettings):
    """Where the API listens."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore")

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8000


def serve() -> None:
    """Migrate the database and serve it, until interrupted."""
    settings = load(ServeSettings)
    with development_database() as database:
        upgrade(Config(toml_file=ROOT / "pyproject.toml"), "head")
        print(f"API       http://{settings.host}:{settings.port}/api/v1")
        print(f"Docs      http://{settings.host}:{settings.port}/docs")
        print(f"Database  {database.set(drivername='postgresql')}", flush=True)
        uvicorn.run(
            "app.reload:create_app_that_follows",
            factory=True,
            host=settings.host,
            port=settings.port,
            reload=True,
            reload_dirs=[str(ROOT / "app")],
            proxy_headers=False,  # X-Forwarded-For must not change who the peer is
        )


signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # leave as on Ctrl-C: stop the database
try:
    serve()
except (SettingsError, OSError) as error:
    sys.exit(str(error))
except OperationalError as error:
    sys.exit(f"The database does not answer: {str(error.orig).splitlines()[0]}")
except KeyboardInterrupt:
    sys.exit(130)
