"""How Alembic reaches the database. Its configuration is in pyproject.toml."""

import sys
import time
from typing import Any

from alembic import context
from psycopg.errors import LockNotAvailable
from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

import app.main  # noqa: F401 - its routers register the tables
from app.config import NO_DATABASE, Settings, SettingsError, load
from app.kit.db.migrations import PLUGIN, our_tables

# A migration that waits for a lock holds up all requests behind it: one second out of five.
LOCK_TIMEOUT = 1
PAUSE = 4
PAUSES = 60

# The transaction that holds this lock is idle until all migrations have run.
TAKE_TURN = """
    SET LOCAL idle_in_transaction_session_timeout = 0;
    SELECT pg_advisory_xact_lock(hashtext('alembic'))
"""
OPTIONS: dict[str, Any] = {
    "target_metadata": SQLModel.metadata,
    "autogenerate_plugins": [
        "alembic.autogenerate.*",
        "alembic.ext.checkconstraint_byname",
        PLUGIN,
    ],
    "compare_server_default": True,
    "user_module_prefix": "sqlmodel.sql.sqltypes.",
    "transaction_per_migration": True,  # none keeps its locks while the next one waits for others
}


def write_sql() -> None:
    """Write the statements of the migrations, without a database."""
    context.configure(
        dialect_name="postgresql",
        dialect_opts={"paramstyle": "named"},  # else each % would be doubled
        literal_binds=True,
        **OPTIONS,
    )
    with context.begin_transaction():
        context.run_migrations()


def migrate() -> None:
    """Run the migrations; if a lock is not free, pause and go on with those that are left."""
    url, pauses = database_url(), 0
    while True:
        try:
            attempt(url)
        except OperationalError as error:
            if not isinstance(error.orig, LockNotAvailable):
                raise
            if error.statement == TAKE_TURN:
                continue  # another process migrates, and no request waits
            if pauses == PAUSES:
                sys.exit("A lock is still not free: look for long transactions, then try again")
            pauses += 1
            sys.stderr.write(f"A lock is not free: trying again in {PAUSE} s\n")
            time.sleep(PAUSE)
        else:
            return


def database_url() -> URL:
    """Return where the database is, or exit."""
    try:
        settings = load(Settings)
    except SettingsError as error:
        sys.exit(str(error))
    url = settings.database_url_unpooled or settings.database_url
    if url is None:
        sys.exit(NO_DATABASE)
    return url


def attempt(url: URL) -> None:
    """Run the migrations, each in a transaction of its own, one process at a time."""
    engine = create_engine(url, poolclass=NullPool)
    event.listen(engine, "begin", limit_waiting)
    with engine.begin() as lock, engine.connect() as connection:
        lock.exec_driver_sql(TAKE_TURN)
        tables = our_tables(connection, SQLModel.metadata)
        context.configure(connection=connection, include_name=tables, **OPTIONS)
        with context.begin_transaction():
            context.run_migrations()


def limit_waiting(connection: Connection) -> None:
    """Let no statement of a transaction wait for a lock for long."""
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}s'")


if context.is_offline_mode():
    write_sql()
else:
    migrate()
