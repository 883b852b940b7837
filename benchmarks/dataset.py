"""Databases with the table that the migrations make, full of tasks."""

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import psycopg
from psycopg.sql import SQL, Identifier
from sqlalchemy import URL

from app.development.postgres import scratch_database
from benchmarks.servers import address

_START = datetime(2020, 1, 1, tzinfo=UTC)
_START_SECONDS = int(_START.timestamp())
_SECONDS_BETWEEN = 4
"""From one task's creation to the next, whoever creates it."""
_CHUNK = 10_000
"""Tasks that go to the server at once."""
_WORDS = ("Buy milk", "Call home", "Fix the tap", "Book a table", "Read the report", "Pay rent")
_DESCRIPTION = "Before the weekend, if there is time, and else as soon as possible."


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
        owner = 1 + _scrambled(number) % (self.owners - 1) if number % 10 else 0
        time = f"{(_START_SECONDS + number * _SECONDS_BETWEEN) * 1000:012x}"
        return Row(f"owner-{owner}", f"{time[:8]}-{time[8:]}-7000-8000-{number:012x}")

    def random_rows(self, *, richest: bool = False) -> Iterator[Row]:
        """Give tasks without end, the same ones each time: of the richest, or of all others."""
        dice = random.Random(1)
        while True:
            number = dice.randrange(self.tasks)
            if richest == (number % 10 == 0):
                yield self.row(number)


RICHEST = "owner-0"


@contextmanager
def filled_databases(
    sizes: dict[int, int], loaded: Callable[[int], object]
) -> Iterator[list[Dataset]]:
    """Give databases of a new PostgreSQL, which is gone afterwards. Its ``fsync`` is off.

    Args:
        sizes: for each database the number of tasks and that of owners.
        loaded: called with a number of tasks whenever so many more are in place.
    """
    with scratch_database() as url:
        yield [_fill(url, tasks, owners, loaded) for tasks, owners in sizes.items()]


def _fill(server: URL, tasks: int, owners: int, loaded: Callable[[int], object]) -> Dataset:
    name = f"tasks_{tasks}"
    with psycopg.connect(address(server), autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    dataset = Dataset(server.set(database=name), tasks, owners)
    _migrate(dataset.url)
    with psycopg.connect(address(dataset.url), autocommit=True) as connection:
        with _indexes_and_checks_afterwards(connection):
            _copy(connection, dataset, loaded)
        connection.execute("VACUUM ANALYZE task")
        connection.execute("CHECKPOINT")
    return dataset


def _migrate(url: URL) -> None:
    names = dict.fromkeys(("DATABASE_URL", "DATABASE_URL_UNPOOLED"), address(url))
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]
    subprocess.run(command, env={**os.environ, **names}, check=True)


@contextmanager
def _indexes_and_checks_afterwards(connection: psycopg.Connection) -> Iterator[None]:
    """Drop the table's indexes and constraints, and make the same ones again: that is faster.

    The checks are made for what is written from then on. That the tasks here pass them is known.
    """
    # Those that lead to the table rest on its key, so they go first and come last.
    constraints = connection.execute(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)"
        " || CASE contype WHEN 'c' THEN ' NOT VALID' ELSE '' END FROM pg_constraint"
        " WHERE 'task'::regclass IN (conrelid, confrelid) AND contype <> 'n'"
        " ORDER BY confrelid = 'task'::regclass"
    ).fetchall()
    indexes = connection.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
        " WHERE indrelid = 'task'::regclass AND NOT indisprimary"
    ).fetchall()
    alter = SQL("ALTER TABLE {} {} CONSTRAINT {} ")
    for table, name, _ in reversed(constraints):
        connection.execute(alter.format(Identifier(table), SQL("DROP"), Identifier(name)))
    for name, _ in indexes:
        connection.execute(SQL("DROP INDEX {}").format(Identifier(name)))
    yield
    connection.execute("SET maintenance_work_mem = '1GB'")
    for table, name, definition in constraints:
        statement = alter.format(Identifier(table), SQL("ADD"), Identifier(name))
        connection.execute(statement + SQL(definition))
    for _, definition in indexes:
        connection.execute(SQL(definition))


def _copy(
    connection: psycopg.Connection, dataset: Dataset, loaded: Callable[[int], object]
) -> None:
    columns = "owner_id, id, created_at, updated_at, title, description, completed"
    with connection.cursor().copy(SQL("COPY task ({}) FROM STDIN").format(SQL(columns))) as copy:
        for start in range(0, dataset.tasks, _CHUNK):
            numbers = range(start, min(start + _CHUNK, dataset.tasks))
            copy.write("".join(_line(dataset.row(number), number) for number in numbers))
            loaded(len(numbers))


def _line(row: Row, number: int) -> str:
    dice = _scrambled(number) // 100_000
    created_at = _START + timedelta(seconds=number * _SECONDS_BETWEEN)
    updated_at = created_at + timedelta(seconds=dice % 2_592_000, microseconds=number % 1_000_000)
    title = f"{_WORDS[dice % len(_WORDS)]} {number}"
    description = _DESCRIPTION if dice % 2 else r"\N"
    completed = dice % 100 > 0
    return (
        f"{row.owner}\t{row.id}\t{created_at}\t{updated_at}\t{title}\t{description}\t{completed}\n"
    )


def _scrambled(number: int) -> int:
    """Return a large number that looks random, the same one for the same number."""
    return (number + 1) * 0x9E3779B97F4A7C15 % 2**64 >> 16
