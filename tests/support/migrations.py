"""Databases with tables in them."""

from collections.abc import Callable

import pytest
from alembic.command import upgrade
from alembic.config import Config
from sqlalchemy import URL, create_engine
from sqlmodel import SQLModel

MakeDatabase = Callable[[], URL]
"""What the fixture ``make_database`` is: it makes an empty database."""


def migrate(url: str) -> None:
    """Upgrade a database to the newest migration."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("DATABASE_URL", "DATABASE_URL_UNPOOLED"):
            environment.setenv(name, url)
        upgrade(Config(toml_file="pyproject.toml"), "head")


def migrated(url: URL) -> URL:
    """Return the URL of a database with all tables, that of the example resource too."""
    migrate(url.render_as_string(hide_password=False))
    engine = create_engine(url)
    SQLModel.metadata.create_all(engine)
    engine.dispose()
    return url
