"""``python -m app``, or ``just serve``: the API with reload and a database, for development."""

import signal
import sys

import uvicorn
from alembic.command import upgrade
from alembic.config import Config
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.db.embedded import development_database


class ServeSettings(BaseSettings):
    """Where the API listens."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore")

    host: str = "127.0.0.1"
    port: int = 8000


def main() -> None:
    """Migrate the database and serve it, until interrupted."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # leave as on Ctrl-C: stop the database
    settings = ServeSettings()
    with development_database() as database:
        upgrade(Config(toml_file="pyproject.toml"), "head")
        print(f"API       http://{settings.host}:{settings.port}/api/v1")
        print(f"Docs      http://{settings.host}:{settings.port}/docs")
        print(f"Database  {database.render_as_string()}", flush=True)
        uvicorn.run(
            "app.reload:create_app_that_follows",
            factory=True,
            host=settings.host,
            port=settings.port,
            reload=True,
            reload_dirs=["app"],
            proxy_headers=False,  # X-Forwarded-For must not change who the peer is
        )


main()
