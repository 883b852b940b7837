"""How Alembic reaches the database. Its configuration is in pyproject.toml."""

import sys

from alembic import context
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

import app.main  # noqa: F401 - its routers register the tables
from app.config import NO_DATABASE, Settings, SettingsError, load
from app.kit.db.migrations import PLUGIN, our_tables


def migrate() -> None:
    """Run the migrations in one transaction, one process at a time."""
    try:
        settings = load(Settings)
    except SettingsError as error:
        sys.exit(str(error))
    url = settings.database_url_unpooled or settings.database_url
    if url is None:
        sys.exit(NO_DATABASE)
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=SQLModel.metadata,
            autogenerate_plugins=[
                "alembic.autogenerate.*",
                "alembic.ext.checkconstraint_byname",
                PLUGIN,
            ],
            include_name=our_tables(connection, SQLModel.metadata),
            compare_server_default=True,
            user_module_prefix="sqlmodel.sql.sqltypes.",
        )
        with context.begin_transaction():
            # Another process that migrates at the same time waits here until this one is done.
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('alembic'))"))
            context.run_migrations()


if context.is_offline_mode():
    sys.exit("SQL scripts are not supported: the migrations need a database")
migrate()
