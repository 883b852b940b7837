"""The migrations build what the models say, and the database refuses what the models refuse."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata, produce_migrations, render_python_code
from alembic.command import downgrade, upgrade
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import (
    URL,
    Column,
    Connection,
    Double,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
)
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel

from app.kit.db.migrations import PLUGIN
from app.kit.models.constraints import NAMING_CONVENTION, add_checks
from app.kit.models.fields import LINE
from tests.support.copies import copied
from tests.support.database import connect
from tests.support.example import TABLES
from tests.support.migrations import MakeDatabase
from tests.support.repository import ROOT

PLUGINS = [
    "alembic.autogenerate.*",
    "alembic.ext.checkconstraint_byname",
    PLUGIN,
]  # as in migrations/env.py

DESCRIBE = """
    SELECT 'column', table_name, column_name, data_type, collation_name, is_nullable, column_default
      FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL
    SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '', ''
      FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'index', tablename, indexname, indexdef, '', '', ''
      FROM pg_indexes WHERE schemaname = 'public'
"""


def alembic(url: URL, *arguments: str, folder: Path = ROOT) -> subprocess.Popen[str]:
    """Start Alembic, as ``just migrate`` does."""
    text = url.render_as_string(hide_password=False)
    environment = {**os.environ, "DATABASE_URL": text, "DATABASE_URL_UNPOOLED": text}
    return subprocess.Popen(
        [sys.executable, "-m", "alembic", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(url: URL, *arguments: str) -> str:
    """Run Alembic to its end, and return what it printed."""
    process = alembic(url, *arguments)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return output


def description(url: URL) -> set[tuple[str, ...]]:
    """Every column, constraint and index of a database but Alembic's own."""
    with connect(url) as connection:
        return {row for row in connection.execute(DESCRIBE) if row[1] != "alembic_version"}


def test_up_down_and_up_again_build_what_the_models_say(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrated, modelled = make_database(), make_database()
    engine = create_engine(modelled)
    tables = [table for table in SQLModel.metadata.tables.values() if table.name not in TABLES]
    SQLModel.metadata.create_all(engine, tables=tables)
    engine.dispose()

    configuration = Config(toml_file="pyproject.toml")
    for name in ("DATABASE_URL", "DATABASE_URL_UNPOOLED"):
        monkeypatch.setenv(name, migrated.render_as_string(hide_password=False))
    upgrade(configuration, "head")
    assert description(migrated) == description(modelled)
    downgrade(configuration, "base")
    assert description(migrated) == set()
    upgrade(configuration, "head")
    assert description(migrated) == description(modelled)
    run(migrated, "check")


def test_migrations_do_not_use_the_pooler(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_database()
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/nothing-listens-here")
    monkeypatch.setenv("DATABASE_URL_UNPOOLED", url.render_as_string(hide_password=False))
    upgrade(Config(toml_file="pyproject.toml"), "head")
    assert description(url) != set()


def test_processes_that_migrate_at_once_wait_for_each_other(make_database: MakeDatabase) -> None:
    url = make_database()
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with connect(url) as first:
        first.execute("SELECT pg_advisory_lock(hashtext('alembic'))")
        processes = [alembic(url, "upgrade", "head") for _ in range(2)]
        while first.execute(waiting).fetchone() != (2,):
            assert [process.poll() for process in processes] == [None, None]
        first.execute("SELECT pg_advisory_unlock_all()")

        outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs


def wait_for_a_lock(
    connection: psycopg.Connection, kind: str, process: subprocess.Popen[str]
) -> None:
    """Return once somebody waits for a lock of a kind in this database, such as the process."""
    waiting = """
        SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE NOT granted AND locktype = %s AND datname = current_database()
    """
    while connection.execute(waiting, [kind]).fetchone() == (0,):
        assert process.poll() is None, process.communicate()


def test_a_migration_that_waits_for_a_lock_lets_requests_through(
    make_database: MakeDatabase,
) -> None:
    url = make_database()
    run(url, "upgrade", "a23c46565d87")
    with connect(url) as reader, connect(url) as request:
        with reader.transaction():
            reader.execute("SELECT FROM task")
            process = alembic(url, "upgrade", "head")
            wait_for_a_lock(request, "relation", process)
            request.execute("SET statement_timeout = '5s'")  # DATABASE_TIMEOUT, by default
            assert request.execute("SELECT count(*) FROM task").fetchone() == (0,)

        output, _ = process.communicate()
    assert process.returncode == 0, output
    run(url, "check")


STEPS = {
    "index": """
        with op.get_context().autocommit_block():
            op.drop_index("ix", "task", if_exists=True, postgresql_concurrently=True)
            op.create_index("ix", "task", ["title"], postgresql_concurrently=True)
    """,
    "constraint": """
        op.create_check_constraint(op.f("ck"), "task", "title != 'x'", postgresql_not_valid=True)
    """,
    "validation": """
        op.execute("ALTER TABLE task VALIDATE CONSTRAINT ck")
    """,
}


def test_steps_for_large_tables_let_writes_through_and_wait_for_those_that_began_before(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    url, copy, down = make_database(), copied(tmp_path), "7b52b3355d52"
    run(url, "upgrade", "head")
    for name, step in STEPS.items():
        text = f"from alembic import op\nrevision, down_revision = {name!r}, {down!r}\n"
        text += f"def upgrade():{step}"
        (copy / f"migrations/versions/{name}.py").write_text(text)
        down = name

    with connect(url) as writer, connect(url) as another:
        with writer.transaction():
            writer.execute(INSERT, ROW)
            first = alembic(url, "upgrade", "head", folder=copy)
            wait_for_a_lock(another, "virtualxid", first)
            another.execute(INSERT, ROW)
            second = alembic(url, "upgrade", "head", folder=copy)
            wait_for_a_lock(another, "advisory", second)

        outputs = [process.communicate()[0] for process in (first, second)]
        assert [process.returncode for process in (first, second)] == [0, 0], outputs
        valid = """
            SELECT indisvalid, convalidated FROM pg_index, pg_constraint
            WHERE indexrelid = 'ix'::regclass AND conname = 'ck'
        """
        assert another.execute(valid).fetchall() == [(True, True)]


def test_the_migrations_can_be_written_as_sql(make_database: MakeDatabase) -> None:
    url, written = make_database(), make_database()
    run(url, "upgrade", "head")
    nowhere = URL.create("postgresql", host="127.0.0.1", port=1)
    with connect(written) as connection:
        connection.execute(run(nowhere, "upgrade", "head", "--sql"))
        assert description(written) == description(url)
        run(written, "check")
        connection.execute(run(nowhere, "downgrade", "head:base", "--sql"))
    assert description(written) == set()


INSERT = """
    INSERT INTO task (owner_id, id, created_at, updated_at, title, description, completed)
    VALUES (%(owner_id)s, gen_random_uuid(), now(), now(), %(title)s, %(description)s, false)
"""
ROW = {"owner_id": "owner", "title": "Buy milk", "description": None}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("owner_id", ""),
        ("owner_id", "a b"),
        ("owner_id", "é"),
        ("owner_id", "x" * 256),
        ("owner_id", None),
        ("title", ""),
        ("title", " \u3000"),
        ("title", "a\nb"),
        ("title", "x" * 201),
        ("title", None),
        ("description", "x" * 5001),
    ],
)
def test_the_database_refuses_what_the_models_refuse(
    database: URL, column: str, value: str | None
) -> None:
    with (
        connect(database) as connection,
        pytest.raises((psycopg.DataError, psycopg.IntegrityError)),
    ):
        connection.execute(INSERT, {**ROW, column: value})


def assert_bounded(
    connection: Connection, table: Table, kept: list[object], refused: list[object]
) -> None:
    """Check that a table takes these values, and that a constraint refuses those."""
    for one in kept:
        connection.execute(table.insert(), {"value": one})
    for one in refused:
        with pytest.raises(IntegrityError, match="bounded_value_"), connection.begin_nested():
            connection.execute(table.insert(), {"value": one})


@pytest.mark.plain
@pytest.mark.parametrize(
    ("bound", "kept", "refused"),
    [
        ({"minLength": 2}, ["ab", "abc"], ["a", ""]),
        ({"maxLength": 2}, ["ab", "a"], ["abc"]),
        ({"minimum": 2}, [2, 3], [1]),
        ({"maximum": 2}, [2, 1], [3]),
        ({"exclusiveMinimum": 2}, [3, 4], [2, 1]),
        ({"exclusiveMaximum": 2}, [1, 0], [2, 3]),
        ({"pattern": LINE}, ["a", " aa"], ["", " ", "a\n"]),
        ({"enum": ["a", "b"]}, ["a", "b"], ["c", ""]),
    ],
    ids=str,
)
def test_the_database_keeps_what_is_within_a_bound_and_refuses_what_is_not(
    database: URL, bound: dict[str, object], kept: list[object], refused: list[object]
) -> None:
    value: Column[Any] = Column("value", Integer if isinstance(kept[0], int) else String)
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    table = Table("bounded", metadata, value, prefixes=["TEMPORARY"])
    add_checks(table, "value", bound)
    engine = create_engine(database)

    with engine.begin() as connection:
        table.create(connection)
        assert_bounded(connection, table, kept, refused)
    engine.dispose()


@pytest.mark.plain
@pytest.mark.parametrize(
    ("bound", "kept", "refused"),
    [
        ({"pattern": LINE}, ["a", " aa", "5%:a"], ["", " ", "a\n"]),
        ({"const": "a:%b"}, ["a:%b"], ["a:%%b", "a"]),
        ({"enum": ["5%", ":foo", r"a\:b", "(.*)"]}, ["5%", ":foo", r"a\:b", "(.*)"], ["5%%", "x"]),
        ({"enum": ["it's", r"a\b"]}, ["it's", r"a\b"], ["it''s", "ab"]),
        ({"minimum": 0.1, "maximum": 1e308}, [0.1, 1e308], [0.09, 1.1e308, float("nan")]),
    ],
    ids=str,
)
def test_a_generated_migration_keeps_what_the_model_keeps(
    make_database: MakeDatabase, bound: dict[str, Any], kept: list[object], refused: list[object]
) -> None:
    value: Column[Any] = Column("value", Double if isinstance(kept[0], float) else String)
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    table = Table("bounded", metadata, value)
    add_checks(table, "value", bound)
    engine = create_engine(make_database())

    with engine.begin() as connection:
        options = {"autogenerate_plugins": PLUGINS}
        context = MigrationContext.configure(connection, opts=options)
        for _ in range(2):  # a table is created, then a constraint
            upgrade_ops = produce_migrations(context, metadata).upgrade_ops
            assert upgrade_ops is not None
            code = render_python_code(upgrade_ops, migration_context=context)
            exec(f"if op:\n    {code}", {"op": Operations(context), "sa": sqlalchemy})
            assert compare_metadata(context, metadata) == []
            assert_bounded(connection, table, kept, refused)
            for check in sqlalchemy.inspect(connection).get_check_constraints("bounded"):
                Operations(context).drop_constraint(check["name"] or "", "bounded")
    engine.dispose()
