"""The migrations build what the models say, and the database refuses what the models refuse."""

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import alembic.command
import httpx
import psycopg
import pytest
import sqlalchemy
import sqlmodel
from alembic.autogenerate import compare_metadata, produce_migrations, render_python_code
from alembic.command import downgrade, upgrade
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import (
    URL,
    Column,
    Connection,
    Date,
    DateTime,
    Double,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel

from app.kit.db.migrations import PLUGIN, our_tables
from app.kit.models.constraints import NAMING_CONVENTION, add_checks
from app.kit.models.fields import LINE
from tests.support.copies import copied
from tests.support.courses import Course
from tests.support.database import connect
from tests.support.example import TABLES
from tests.support.migrations import MakeDatabase, migrate, migrated
from tests.support.milestones import MILESTONES, reach
from tests.support.postgres import partition
from tests.support.repository import ROOT
from tests.support.server import serve
from tests.support.tasks import TASKS, create

COLUMNS: dict[str, Any] = {"date": Date, "date-time": DateTime(timezone=True)}
PLUGINS = [
    "alembic.autogenerate.*",
    "alembic.ext.checkconstraint_byname",
    PLUGIN,
]  # as in migrations/env.py

NEWEST = ScriptDirectory.from_config(Config(toml_file="pyproject.toml")).get_current_head()
INSERT = """
    INSERT INTO task (owner_id, id, created_at, updated_at, title, description, completed)
    VALUES (%(owner_id)s, gen_random_uuid(), now(), now(), %(title)s, %(description)s, false)
"""
ROW = {"owner_id": "owner", "title": "Buy milk", "description": None}

DESCRIBE = """
    SELECT 'column', table_name, column_name, data_type, collation_name, is_nullable, column_default
      FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL
    SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '', ''
      FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'policy', tablename, policyname, qual, roles::text, with_check, '' FROM pg_policies
    UNION ALL
    SELECT 'index', tablename, indexname, indexdef, '', '', ''
      FROM pg_indexes WHERE schemaname = 'public'
"""


def start(url: URL, *arguments: str, folder: Path = ROOT) -> subprocess.Popen[str]:
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


def run(url: URL, command: str, *arguments: str) -> None:
    """Run a command of Alembic in this process, which knows the tables of the tests too."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("DATABASE_URL", "DATABASE_URL_UNPOOLED"):
            environment.setenv(name, url.render_as_string(hide_password=False))
        configuration = Config(toml_file="pyproject.toml", stdout=StringIO())
        getattr(alembic.command, command)(configuration, *arguments)


def printed(url: URL, *arguments: str) -> str:
    """Return what Alembic prints, in a process of its own."""
    process = start(url, *arguments)
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
    printed(migrated, "check")


BEFORE_GUARDS = "a23c46565d87"


def test_a_database_with_rows_migrates_to_row_level_security_and_back(
    make_database: MakeDatabase,
) -> None:
    url = make_database()
    run(url, "upgrade", BEFORE_GUARDS)
    rows = "SELECT * FROM task ORDER BY title"
    with connect(url) as connection:
        for title in ("x" * 200, "Buy milk"):
            connection.execute(INSERT, {**ROW, "title": title})
        before = connection.execute(rows).fetchall()
        described = description(url)
        run(url, "upgrade", "head")
        assert connection.execute(rows).fetchall() == before
        # As the version before this one, which has no default for it, may insert meanwhile.
        connection.execute(INSERT.replace(", completed", "").replace(", false", ""), ROW)
        connection.execute("DELETE FROM task WHERE id NOT IN (SELECT id FROM task LIMIT 2)")
        with serve(url) as server, server.client(ROW["owner_id"]) as client:
            assert len(client.get(TASKS).json()["items"]) == 2
        run(url, "downgrade", BEFORE_GUARDS)
        assert description(url) == described
        assert connection.execute(rows).fetchall() == before
        assert connection.execute("SELECT count(*) FROM pg_policies").fetchone() == (0,)


def test_a_role_that_may_make_roles_migrates_where_the_groups_are_there_already(
    make_database: MakeDatabase,
) -> None:
    migrated(make_database())  # by somebody else, for another database of the same server
    url = make_database()
    role = f"migrator_{uuid4().hex}"
    with connect(url) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN CREATEROLE")
        connection.execute(f"GRANT ALL ON SCHEMA public TO {role}")
        try:
            with serve(url.set(username=role)) as server, server.client("alice") as alice:
                run(url.set(username=role), "upgrade", "head")
                task = create(alice)
                assert alice.get(TASKS).json()["items"] == [task]
                run(url.set(username=role), "downgrade", "base")
        finally:
            connection.execute(f"DROP OWNED BY {role}")
            connection.execute(f"DROP ROLE {role}")


def test_a_check_names_no_partition_and_no_table_of_somebody_else(
    make_database: MakeDatabase,
) -> None:
    url = make_database()
    migrate(url.render_as_string(hide_password=False))
    partition(url)
    with connect(url) as connection:
        connection.execute("CREATE TABLE others (id int PRIMARY KEY, name text UNIQUE)")
        connection.execute("CREATE INDEX ON others (name)")
        connection.execute("CREATE FOREIGN DATA WRAPPER elsewhere")
        connection.execute("CREATE SERVER elsewhere FOREIGN DATA WRAPPER elsewhere")
        connection.execute("CREATE FOREIGN TABLE theirs (id int) SERVER elsewhere")
    printed(url, "check")


def test_autogenerate_drops_the_table_of_a_model_that_is_gone_and_no_partition(
    make_database: MakeDatabase,
) -> None:
    url = make_database()
    migrate(url.render_as_string(hide_password=False))
    partition(url)
    engine = create_engine(url)
    with engine.connect() as connection:
        options = {
            "autogenerate_plugins": PLUGINS,
            "include_name": our_tables(connection, MetaData()),
        }
        context = MigrationContext.configure(connection, opts=options)
        changes = compare_metadata(context, MetaData())
    engine.dispose()
    assert {change[1].name for change in changes if change[0] == "remove_table"} == {"task"}


@pytest.mark.parametrize(
    "change", ["DROP POLICY guarded ON task", "ALTER TABLE task DISABLE ROW LEVEL SECURITY"]
)
def test_a_check_names_a_table_that_nothing_guards(
    make_database: MakeDatabase, change: str
) -> None:
    url = make_database()
    migrate(url.render_as_string(hide_password=False))
    with connect(url) as connection:
        connection.execute(change)
    process = start(url, "check")
    output, _ = process.communicate()
    assert (process.returncode, "('GuardTable', 'task')" in output) == (255, True), output


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
        processes = [start(url, "upgrade", "head") for _ in range(2)]
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
            process = start(url, "upgrade", "head")
            wait_for_a_lock(request, "relation", process)
            request.execute("SET statement_timeout = '5s'")  # DATABASE_TIMEOUT, by default
            assert request.execute("SELECT count(*) FROM task").fetchone() == (0,)

        output, _ = process.communicate()
    assert process.returncode == 0, output
    printed(url, "check")


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
    url, copy, down = make_database(), copied(tmp_path), NEWEST
    run(url, "upgrade", "head")
    for name, step in STEPS.items():
        text = f"from alembic import op\nrevision, down_revision = {name!r}, {down!r}\n"
        text += f"def upgrade():{step}"
        (copy / f"migrations/versions/{name}.py").write_text(text)
        down = name

    with connect(url) as writer, connect(url) as another:
        with writer.transaction():
            writer.execute(INSERT, ROW)
            first = start(url, "upgrade", "head", folder=copy)
            wait_for_a_lock(another, "virtualxid", first)
            another.execute(INSERT, ROW)
            second = start(url, "upgrade", "head", folder=copy)
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
        connection.execute(printed(nowhere, "upgrade", "head", "--sql"))
        assert description(written) == description(url)
        printed(written, "check")
        connection.execute(printed(nowhere, "downgrade", "head:base", "--sql"))
    assert description(written) == set()


NEWEST = ScriptDirectory.from_config(Config(toml_file="pyproject.toml")).get_current_head()
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


@pytest.mark.plain
def test_a_row_with_an_infinite_time_is_shown_after_the_migration(
    make_database: MakeDatabase,
) -> None:
    url = make_database()
    run(url, "upgrade", "7b52b3355d52")
    with connect(url) as connection:
        connection.execute(INSERT, ROW)
        connection.execute("UPDATE task SET created_at = '-infinity', updated_at = 'infinity'")

    with serve(migrated(url)) as server, server.client("owner") as client:
        (task,) = client.get(TASKS).json()["items"]
        assert client.patch(f"{TASKS}/{task['id']}", json={"completed": True}).is_success


@pytest.mark.plain
@pytest.mark.parametrize("value", ["infinity", "-infinity", "10000-01-01", "0044-03-15 BC"])
@pytest.mark.parametrize(
    ("table", "column"),
    [("task", "created_at"), ("task", "updated_at"), ("milestone", "due")],
)
def test_the_database_refuses_a_time_that_no_client_can_read(
    database: URL, alice: httpx.Client, table: str, column: str, value: str
) -> None:
    milestone = reach(alice)
    with connect(database) as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(
            f"UPDATE {table} SET {column} = %s WHERE id IN (%s, %s)",
            [value, milestone["id"], milestone["task_id"]],
        )
    assert alice.get(MILESTONES).json()["items"] == [milestone]


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
def test_a_list_shows_the_first_and_the_last_time(
    database: URL, alice: httpx.Client, time: str
) -> None:
    task = create(alice)
    with connect(database) as connection:
        connection.execute("UPDATE task SET updated_at = %s WHERE id = %s", [time, task["id"]])

    (shown,) = alice.get(TASKS).json()["items"]
    assert shown == {**task, "updated_at": time, "etag": shown["etag"]}
    current = {"If-Match": shown["etag"]}
    assert alice.patch(f"{TASKS}/{task['id']}", json={}, headers=current).status_code == 200


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
        ({"pattern": r"^[%:']\.a:b?$"}, ["%.a:b", "'.a:"], ["%%.a:b", "xxa:", r"%\.a:b"]),
        ({"pattern": "^a.$", "maxLength": 2}, ["a\n", "bc"], ["abc"]),
        (
            {"format": "date"},
            ["0001-01-01", "9999-12-31"],
            ["infinity", "-infinity", "10000-01-01"],
        ),
        ({"format": "date-time"}, ["9999-12-31 23:59:59+00"], ["infinity", "0001-12-31 BC"]),
        ({"minimum": 0.1, "maximum": 1e308}, [0.1, 1e308], [0.09, 1.1e308, float("nan")]),
    ],
    ids=str,
)
def test_a_generated_migration_keeps_what_the_model_keeps(
    make_database: MakeDatabase, bound: dict[str, Any], kept: list[object], refused: list[object]
) -> None:
    kind = COLUMNS.get(bound.get("format", ""), Double if isinstance(kept[0], float) else String)
    value: Column[Any] = Column("value", kind)
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


COURSE: Table = Course.__table__  # type: ignore[attr-defined]
REQUIRED = {
    "code": "ART-1",
    "price": 1,
    "begins": "08:00",
    "lasts": "1 h",
    "contact": "a@b.co",
    "site": "http://a",
    "days": ["mon"],
    "details": "{}",
}


def of_courses() -> MetaData:
    """What a migration should build. Alembic writes into it."""
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    COURSE.to_metadata(metadata)
    return metadata


def migrate_courses(connection: Connection) -> str:
    """Write the migration that makes the table of courses what the model says, and carry it out."""
    options = {
        "autogenerate_plugins": PLUGINS,
        "compare_server_default": True,
        "user_module_prefix": "sqlmodel.sql.sqltypes.",
    }
    context = MigrationContext.configure(connection, opts=options)
    upgrade_ops = produce_migrations(context, of_courses()).upgrade_ops
    assert upgrade_ops is not None
    code = render_python_code(upgrade_ops, migration_context=context)
    names = {"sa": sqlalchemy, "postgresql": postgresql, "sqlmodel": sqlmodel}
    exec(f"if op:\n    {code}", {**names, "op": Operations(context)})
    assert compare_metadata(context, of_courses()) == []
    return code


def test_a_generated_migration_has_each_type_and_its_defaults(make_database: MakeDatabase) -> None:
    url, modelled = make_database(), make_database()
    engines = [create_engine(url), create_engine(modelled)]
    with engines[1].begin() as connection:
        of_courses().create_all(connection)
    with engines[0].begin() as connection:
        migrate_courses(connection)
    assert description(url) == description(modelled)

    new = [name for name in COURSE.columns.keys()[4:] if name not in REQUIRED]
    with connect(url) as connection:
        columns = [*COURSE.columns.keys()[:4], *REQUIRED]
        connection.execute(
            f"INSERT INTO course ({', '.join(columns)}) VALUES ('owner', gen_random_uuid(), now(),"
            f" now(), {', '.join(f'%({name})s' for name in REQUIRED)})",
            REQUIRED,
        )
        rows = f"SELECT {', '.join(new)} FROM course"
        before = connection.execute(rows).fetchall()
        for name in new:
            connection.execute(f"ALTER TABLE course DROP COLUMN {name}")
    with engines[0].begin() as connection:
        code = migrate_courses(connection)
    assert code.count("op.add_column") == len(new)
    assert description(url) == description(modelled)
    with connect(url) as connection:
        assert connection.execute(rows).fetchall() == before
    for engine in engines:
        engine.dispose()
