"""Databases with the table that the migrations make, full of tasks."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import psycopg
from psycopg.sql import SQL, Identifier
from rich.progress import track
from sqlalchemy import URL

from app.development.database import scratch_database
from benchmarks.servers import address

RICHEST = "owner-0"
_START = 1_577_836_800
"""When the first task was created, in seconds since 1970. A new one follows every 4 seconds."""
_CHUNK = 100_000
"""Tasks that are made at once."""
_MAKE_TASKS = """
    INSERT INTO task (owner_id, id, created_at, updated_at, title, description, completed)
    SELECT
        'owner-' || CASE n %% 10 WHEN 0 THEN 0 ELSE 1 + n * 7919 %% %(others)s END,
        (lpad(to_hex(seconds * 1000), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid,
        to_timestamp(seconds),
        to_timestamp(seconds + random() * 2592000),
        (ARRAY['Buy milk', 'Call home', 'Fix the tap', 'Book a table', 'Read this', 'Pay rent'])
            [1 + floor(random() * 6)] || ' (' || n || ')',
        CASE WHEN random() < 0.5 THEN 'Before the weekend, or else as soon as possible.' END,
        random() >= 0.01
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) n,
        LATERAL (SELECT %(start)s + 4 * n AS seconds)
"""


class Row(NamedTuple):
    """Where a task is."""

    owner: str
    id: str


@dataclass(frozen=True)
class Dataset:
    """A database with tasks, a tenth of which belong to `RICHEST`. Of all tasks, 1 % are open.

    The tasks of an owner lie scattered in the table, because they were created by turns.
    """

    url: URL
    tasks: int
    owners: int

    def row(self, number: int) -> Row:
        """Return where the task with a number is; the higher the number, the newer the task."""
        owner = 1 + number * 7919 % (self.owners - 1) if number % 10 else 0
        time = f"{(_START + 4 * number) * 1000:012x}"
        return Row(f"owner-{owner}", f"{time[:8]}-{time[8:]}-7000-8000-{number:012x}")

    def created_at(self, number: int) -> str:
        """Return when the task with a number was created."""
        return f"{datetime.fromtimestamp(_START + 4 * number, UTC):%Y-%m-%dT%H:%M:%SZ}"

    def random_rows(self, *, richest: bool = False) -> Iterator[Row]:
        """Give tasks without end, the same ones each time: of the richest, or of all others."""
        dice = random.Random(1)
        while True:
            number = dice.randrange(self.tasks)
            if richest == (number % 10 == 0):
                yield self.row(number)


@contextmanager
def filled_databases(sizes: dict[int, int]) -> Iterator[list[Dataset]]:
    """Give databases of a new PostgreSQL, which is gone afterwards. Its ``fsync`` is off.

    Args:
        sizes: for each database the number of tasks and that of owners.
    """
    with scratch_database() as url:
        yield [_fill(url, tasks, owners) for tasks, owners in sizes.items()]


def _fill(server: URL, tasks: int, owners: int) -> Dataset:
    dataset = Dataset(server.set(database=f"tasks_{tasks}"), tasks, owners)
    with psycopg.connect(address(server), autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(f"tasks_{tasks}")))
    url = address(dataset.url)
    environment = {**os.environ, "DATABASE_URL": url, "DATABASE_URL_UNPOOLED": url}
    migrate = [sys.executable, "-m", "alembic", "upgrade", "head"]
    subprocess.run(migrate, env=environment, check=True)
    with psycopg.connect(url, autocommit=True) as connection:
        _make_tasks(connection, dataset)
        connection.execute("VACUUM ANALYZE task")
        connection.execute("CHECKPOINT")
    return dataset


def _make_tasks(connection: psycopg.Connection, dataset: Dataset) -> None:
    """Insert all tasks, and build the indexes afterwards, which is faster."""
    connection.execute(
        "UPDATE pg_index SET indisready = false, indisvalid = false"
        " WHERE indrelid = 'task'::regclass"
    )
    connection.execute("SELECT setseed(0)")
    for first in track(range(0, dataset.tasks, _CHUNK), f"Make {dataset.tasks:,} tasks"):
        last = min(first + _CHUNK, dataset.tasks) - 1
        numbers = {"first": first, "last": last, "start": _START, "others": dataset.owners - 1}
        connection.execute(_MAKE_TASKS, numbers)
    connection.execute("SET maintenance_work_mem = '1GB'")
    connection.execute("REINDEX TABLE task")
