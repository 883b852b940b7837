"""PostgreSQL itself, past the application."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from sqlalchemy import URL

# Not by the wait event: who waits looks for deadlocks in between.
_REQUESTS = """
    SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE datname = current_database() AND NOT granted
"""


def connect(database: URL) -> psycopg.Connection:
    """A connection in autocommit."""
    url = database.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(url, autocommit=True)


@dataclass
class Lock:
    """A lock on a row, which is free again once the transaction ends."""

    observer: psycopg.Connection

    def wait_until_requested(self, requested: bool) -> None:
        """Return once somebody waits for a lock in this database, or nobody does."""
        deadline = time.monotonic() + 10
        while (self.observer.execute(_REQUESTS).fetchone() != (0,)) is not requested:
            assert time.monotonic() < deadline


@contextmanager
def locked(database: URL, id_: str) -> Iterator[Lock]:
    """Keep everybody else from changing the task with an id."""
    with connect(database) as observer, connect(database) as holder, holder.transaction():
        holder.execute("SELECT 1 FROM task WHERE id = %s FOR UPDATE", [id_])
        yield Lock(observer)
