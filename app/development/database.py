"""The database of development, and scratch ones: ``python -m app.development.database``."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL

from app.config import Settings, SettingsError, load
from app.development.embedded import embedded_postgres

EMBEDDED = "DATABASE_IS_EMBEDDED"
"""The environment variable that is set while `development_database` is an embedded one."""


class DataSettings(BaseSettings):
    """Where the embedded database keeps its files."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore")

    data_dir: Path = Path(".data")


@contextmanager
def development_database() -> Iterator[URL]:
    """Give the database of ``DATABASE_URL`` or, if it is not set, an embedded one in ``DATA_DIR``.

    Raises:
        SettingsError: a setting is bad.
        OSError: PostgreSQL cannot run in ``DATA_DIR``.
    """
    url = load(Settings).database_url
    if url is not None:
        yield url
        return
    with embedded_postgres(load(DataSettings).data_dir) as url:
        _publish(url)
        os.environ[EMBEDDED] = "yes"
        yield url


@contextmanager
def scratch_database() -> Iterator[URL]:
    """Give a new database that is gone afterwards."""
    with (
        tempfile.TemporaryDirectory() as folder,
        embedded_postgres(Path(folder), {"fsync": "off"}) as url,
    ):
        _publish(url)
        yield url


def _publish(url: URL) -> None:
    """Let this process and its children use a database, and no other one that was set."""
    text = url.set(drivername="postgresql").render_as_string(hide_password=False)
    os.environ["DATABASE_URL"] = os.environ["DATABASE_URL_UNPOOLED"] = text


def main() -> None:
    """Run a command with the development database or, after ``--scratch``, with a scratch one."""
    command = sys.argv[1:]
    scratch = command[0] == "--scratch"
    try:
        with scratch_database() if scratch else development_database():
            sys.exit(subprocess.run(command[scratch:], check=False).returncode)  # noqa: S603
    except (SettingsError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
