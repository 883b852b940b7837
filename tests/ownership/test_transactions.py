"""In a transaction anything works, and PostgreSQL shows and changes the rows of its owner only."""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
import sqlmodel
from fastcrud import FastCRUD, JoinConfig
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import (
    URL,
    Executable,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    text,
    true,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import aliased
from sqlmodel import SQLModel, col
from sqlmodel.ext.asyncio.session import AsyncSession

from app.kit.db.crud import OwnedCRUD
from app.kit.db.errors import DatabaseError, DuplicateKeyError, ForeignKeyError
from app.kit.db.guard import begin, guard
from app.models.task import Task
from tests.support.crud import run
from tests.support.database import connect
from tests.support.logs import Logs
from tests.support.migrations import MakeDatabase, migrated
from tests.support.milestones import MILESTONES, reach
from tests.support.owners import unowned
from tests.support.problems import assert_problem
from tests.support.server import Server, serve
from tests.support.tasks import NEVER_WAS, TASKS, create, titles
from tests.support.wire import SENT

Work = Callable[[AsyncSession], Awaitable[Any]]

TABLE = SQLModel.metadata.tables["task"]
MILESTONE = SQLModel.metadata.tables["milestone"]
OTHER: Any = aliased(Task)
TITLE: Any = col(Task.title)
WITHOUT_END = select(TITLE.label("title")).subquery()


def transact(server: Server, owner: str, work: Work) -> Any:
    """Do something in a transaction of an owner, and return what it returns."""

    async def in_transaction(crud: OwnedCRUD) -> Any:
        async with crud.transaction() as session:
            return await work(session)

    return run(server, owner, in_transaction)


def values(statement: Executable) -> Work:
    """Read the first values of all rows."""

    async def read(session: AsyncSession) -> list[Any]:
        return [row[0] for row in await session.execute(statement)]

    return read


@pytest.fixture
def mine(alice: httpx.Client, bob: httpx.Client) -> str:
    """The only task of alice. Bob has one with the same title, and another one."""
    create(bob, "same")
    create(bob, "theirs")
    return str(create(alice, "same")["id"])


READS: dict[str, Executable] = {
    "of a model": select(TITLE),
    "of a table": select(TABLE.c.title),
    "with an alias": select(OTHER.title),
    "in a subquery": select(select(TABLE.c.title).subquery()),
    "in an expression": select(select(func.max(TABLE.c.title)).scalar_subquery()),
    "joined": select(OTHER.title).join(Task, OTHER.title == TITLE),
    "joined without an end": select(WITHOUT_END.c.title).join(OTHER, true(), full=True),
    "with a condition that is always true": select(TITLE).where(or_(true(), TITLE == "theirs")),
    "aggregated": select(func.min(TITLE)),
    "of a union": union_all(select(TITLE), select(OTHER.title)).limit(1),
    "of a common table expression": select(select(TABLE.c.title).cte().c.title),
    "of what a write returns": select(
        update(TABLE).values(completed=True).returning(TABLE.c.title).cte().c.title
    ),
    "as text": text("SELECT title FROM task"),
    "as text, with a schema": text("SELECT title FROM public.task WHERE true OR owner_id != ''"),
    "with literal SQL": select(literal_column("(SELECT max(title) FROM task)")),
    "with a function that runs SQL": text(
        "SELECT word FROM ts_stat('SELECT to_tsvector(''simple'', title) FROM task')"
    ),
}


@pytest.mark.parametrize("name", READS)
def test_a_read_finds_the_owners_rows_only(
    server: Server, mine: str, owner: str, name: str
) -> None:
    assert mine
    assert transact(server, owner, values(READS[name])) == ["same"]


WRITES: dict[str, Executable] = {
    "bulk update": update(Task).values(title="changed"),
    "update of a table": update(TABLE).values(title="changed"),
    "update with the owner of others": update(TABLE)
    .where(TABLE.c.owner_id != "")
    .values(title="changed"),
    "bulk delete": delete(Task),
    "delete as text": text("DELETE FROM task WHERE true"),
    "update as text": text("UPDATE task SET title = 'changed' FROM task AS o WHERE o.id = o.id"),
    "delete in a common table expression": text("WITH d AS (DELETE FROM task) SELECT 1"),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_write_changes_the_owners_rows_only(
    server: Server, mine: str, owner: str, alice: httpx.Client, bob: httpx.Client, name: str
) -> None:
    transact(server, owner, lambda session: session.execute(WRITES[name]))

    assert titles(bob) == ["theirs", "same"]
    assert titles(alice) == ([] if "delete" in name else ["changed"])
    assert mine


NEW = {"id": uuid4(), "title": "x", "owner_id": "somebody-else"}
FORBIDDEN: dict[str, Executable] = {
    "an insert for another owner": insert(Task).values(NEW),
    "an upsert for another owner": upsert(TABLE)
    .values({**NEW, "id": uuid4()})
    .on_conflict_do_nothing(),
    "an insert as text": text(
        "INSERT INTO task (owner_id, id, created_at, updated_at, title)"
        " VALUES ('somebody-else', gen_random_uuid(), now(), now(), 'x')"
    ),
    "a row that is given away": update(Task).values(owner_id="somebody-else"),
    "a table that is emptied": text("TRUNCATE task"),
    "a table that is altered": text("ALTER TABLE task DISABLE ROW LEVEL SECURITY"),
    "a policy that is dropped": text("DROP POLICY guarded ON task"),
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_write_for_another_owner_is_an_error(
    server: Server, mine: str, owner: str, alice: httpx.Client, name: str
) -> None:
    async def rename_first(session: AsyncSession) -> None:
        await session.execute(update(Task).values(title="changed"))
        await session.execute(FORBIDDEN[name])

    with pytest.raises(DatabaseError, match="InsufficientPrivilege"):
        transact(server, owner, rename_first)
    assert mine
    assert titles(alice) == ["same"]


def test_a_session_reads_and_writes_models(
    server: Server, mine: str, owner: str, alice: httpx.Client
) -> None:
    before = alice.get(f"{TASKS}/{mine}")

    async def work(session: AsyncSession) -> None:
        task = (await session.exec(sqlmodel.select(Task))).one()
        assert (task.owner_id, task.title) == (owner, "same")
        task.title = "renamed"
        session.add(Task(title="new", description="From a session."))

    transact(server, owner, work)

    new, renamed = alice.get(TASKS).json()["items"]
    assert (new["title"], new["completed"]) == ("new", False)
    assert UUID(new["id"]).version == 7
    assert new["created_at"] == new["updated_at"]
    after = alice.get(f"{TASKS}/{mine}")
    assert after.json() == renamed
    assert after.headers["etag"] != before.headers["etag"]


def test_a_bulk_update_gives_each_row_a_new_entity_tag(
    server: Server, owner: str, alice: httpx.Client
) -> None:
    items = [f"{TASKS}/{create(alice)['id']}" for _ in range(3)]
    before = [alice.get(item).headers["etag"] for item in items]

    transact(server, owner, lambda session: session.execute(update(Task).values(completed=True)))

    after = [alice.get(item).headers["etag"] for item in items]
    assert not {*before} & {*after}


def test_several_tables_change_together_or_not_at_all(
    server: Server, owner: str, alice: httpx.Client
) -> None:
    milestone = reach(alice, name="Plan")

    async def work(session: AsyncSession) -> None:
        await session.execute(update(Task).values(completed=True))
        await session.execute(update(MILESTONE).values(weight=101))  # a CHECK refuses that

    with pytest.raises(DatabaseError, match="CheckViolation"):
        transact(server, owner, work)
    assert alice.get(f"{TASKS}/{milestone['task_id']}").json()["completed"] is False


def test_a_key_that_is_refused_is_told_as_by_the_generated_operations(
    server: Server, mine: str, owner: str, bob: httpx.Client, deployment: str
) -> None:
    theirs = bob.get(TASKS).json()["items"][0]["id"]

    # A policy hides the key, and the constraint of a partition has another name.
    is_named = deployment != "partitioned"
    with pytest.raises(DuplicateKeyError, match="^id$" if is_named else "^$"):
        transact(
            server,
            owner,
            lambda session: session.execute(insert(Task).values(id=UUID(mine), title="again")),
        )
    new = {"name": "x", "weight": 1, "task_id": UUID(theirs)}
    with pytest.raises(ForeignKeyError, match="task_id"):
        transact(server, owner, lambda session: session.execute(insert(MILESTONE).values(new)))


def test_an_exception_rolls_all_back(server: Server, mine: str, owner: str) -> None:
    class StopError(Exception):
        pass

    async def work(session: AsyncSession) -> None:
        await session.execute(delete(Task))
        await session.commit()  # which commits nothing before the end of the block
        raise StopError

    with pytest.raises(StopError):
        transact(server, owner, work)
    assert mine
    assert transact(server, owner, values(select(TITLE))) == ["same"]


def test_after_a_rollback_no_statement_runs(server: Server, mine: str, owner: str) -> None:
    async def work(session: AsyncSession) -> None:
        await session.execute(delete(Task))
        await session.rollback()
        await session.execute(select(Task))

    with server.wire.recording() as sent, pytest.raises(InvalidRequestError):
        transact(server, owner, work)
    assert mine
    assert not any("SELECT" in statement and "task" in statement for statement in sent.statements)


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_after_text_that_ends_the_transaction_no_statement_runs(
    server: Server, mine: str, owner: str, end: str
) -> None:
    async def work(session: AsyncSession) -> None:
        await session.execute(text(end))
        await session.execute(text("SELECT title FROM task"))

    with server.wire.recording() as sent, pytest.raises(DatabaseError, match="has ended"):
        transact(server, owner, work)
    assert mine
    assert not any("title" in statement for statement in sent.statements)


def test_a_failure_that_the_block_ignores_is_no_success(
    server: Server, mine: str, owner: str, alice: httpx.Client
) -> None:
    async def work(session: AsyncSession) -> None:
        await session.execute(update(Task).values(title="changed"))
        with pytest.raises(Exception, match="division"):
            await session.execute(text("SELECT 1 / 0"))

    with pytest.raises(DatabaseError, match="begin_nested"):
        transact(server, owner, work)
    assert mine
    assert titles(alice) == ["same"]


def test_a_savepoint_lets_a_block_go_on_after_a_failure(
    server: Server, mine: str, owner: str, alice: httpx.Client
) -> None:
    async def work(session: AsyncSession) -> None:
        await session.execute(update(Task).values(title="changed"))
        with pytest.raises(Exception, match="division"):
            async with session.begin_nested():
                await session.execute(text("SELECT 1 / 0"))
        assert await values(text("SELECT title FROM task"))(session) == ["changed"]

    transact(server, owner, work)
    assert mine
    assert titles(alice) == ["changed"]


TASK_CRUD: Any = FastCRUD(Task)
JOINED = [JoinConfig(model=Task, join_on=OTHER.title == TITLE, alias=OTHER, join_prefix="other_")]
OF_FASTCRUD: dict[str, Callable[[Any, str, str], Awaitable[Any]]] = {
    "count": lambda db, *_: TASK_CRUD.count(db),
    "create": lambda db, _, owner: TASK_CRUD.create(db, Task(owner_id=owner, title="new")),
    "db_delete": lambda db, id_, _: TASK_CRUD.db_delete(db, id=UUID(id_)),
    "delete": lambda db, id_, _: TASK_CRUD.delete(db, id=UUID(id_)),
    "exists": lambda db, *_: TASK_CRUD.exists(db, title="theirs"),
    "get": lambda db, *_: TASK_CRUD.get(db, title="same"),
    "get_joined": lambda db, *_: TASK_CRUD.get_joined(db, joins_config=JOINED, title="same"),
    "get_multi": lambda db, *_: TASK_CRUD.get_multi(db),
    "get_multi_by_cursor": lambda db, *_: TASK_CRUD.get_multi_by_cursor(db, sort_column="id"),
    "get_multi_joined": lambda db, *_: TASK_CRUD.get_multi_joined(db, joins_config=JOINED),
    "update": lambda db, *_: TASK_CRUD.update(
        db, {"title": "new"}, where=true(), allow_multiple=True
    ),
    "upsert": lambda db, id_, owner: TASK_CRUD.upsert(
        db, Task(owner_id=owner, id=UUID(id_), title="new")
    ),
    "upsert_multi": lambda db, id_, owner: TASK_CRUD.upsert_multi(
        db, [Task(owner_id=owner, id=UUID(id_), title="new")]
    ),
}
BUILDERS = {"select", "with_policy"}


def test_each_public_method_of_fastcrud_is_tried() -> None:
    public = {
        name for name, _ in inspect.getmembers(FastCRUD, inspect.isfunction) if name[0] != "_"
    }

    assert public == OF_FASTCRUD.keys() | BUILDERS


@pytest.mark.parametrize("name", OF_FASTCRUD)
def test_a_method_of_fastcrud_reaches_the_owners_rows_only(
    server: Server, mine: str, owner: str, alice: httpx.Client, bob: httpx.Client, name: str
) -> None:
    found = transact(server, owner, lambda session: OF_FASTCRUD[name](session, mine, owner))

    assert titles(bob) == ["theirs", "same"]
    after = {
        "create": ["new", "same"],
        "db_delete": [],
        "delete": [],
        "update": ["new"],
        "upsert": ["new"],
        "upsert_multi": ["new"],
    }
    assert titles(alice) == after.get(name, ["same"])
    if name == "count":
        assert found == 1
    if name == "exists":
        assert found is False
    if name.startswith("get"):
        rows = found.get("data", [found])
        ids = {str(row[key]) for row in rows for key in ("id", "other_id") if key in row}
        assert ids == {mine}


def test_a_transaction_opens_in_one_round_trip(server: Server, mine: str, owner: str) -> None:
    async def twice(crud: OwnedCRUD) -> tuple[int, int]:
        async with crud.transaction() as session:  # SQLAlchemy asks for the server's version once
            await session.execute(select(Task))
        with server.wire.recording() as sent:
            async with crud.transaction() as session:
                await session.execute(select(Task))
        return sent.executions, sent.round_trips

    assert mine
    assert run(server, owner, twice) == (3, 3)  # the beginning, the query, the end


def test_nothing_of_a_transaction_is_left_on_its_connection(
    server: Server, mine: str, owner: str
) -> None:
    async def work(crud: OwnedCRUD) -> list[Any]:
        async with crud.transaction() as session:
            await session.execute(select(Task))
        # The pool of `run` has one connection, and so has PgBouncer two for all clients.
        row = await crud.get(UUID(mine))
        assert row is not None
        return [row.title]

    assert run(server, owner, work) == ["same"]
    with connect(server.wire.upstream) as next_client:
        for _ in range(3):
            shown = next_client.execute(
                "SELECT current_user = session_user, current_setting('app.owner', true)"
            ).fetchone()
            assert shown in {(True, None), (True, "")}


def test_a_plan_that_is_prepared_in_a_transaction_serves_each_owner(
    server: Server, mine: str, owner: str
) -> None:
    async def often(crud: OwnedCRUD) -> set[tuple[str, ...]]:
        seen = set()
        for number in range(20):
            bound = crud if number % 2 else crud.bind(crud._database, "nobody-else")  # type: ignore[arg-type]  # noqa: SLF001
            async with bound.transaction() as session:
                seen.add(tuple(await values(select(TITLE))(session)))
        return seen

    assert mine
    assert run(server, owner, often) == {("same",), ()}


@pytest.mark.parametrize("name", ["a\\b", "o'brien", '"; DROP TABLE task; --', "x" * 255, "%s"])
def test_any_owner_has_a_transaction(server: Server, name: str) -> None:
    shown = values(text("SELECT current_setting('app.owner', true)"))
    assert transact(server, name.replace(" ", "_"), shown) == [name.replace(" ", "_")]


@contextmanager
def login(url: URL, attributes: str, *grants: str) -> Iterator[URL]:
    """Make a login of its own for a database, and drop it afterwards."""
    role = f"login_{uuid4().hex}"
    with connect(url) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN {attributes}")
        try:
            for grant in grants:
                connection.execute(grant.format(role=role))
            yield url.set(username=role)
        finally:
            connection.execute(f"REASSIGN OWNED BY {role} TO CURRENT_USER")
            connection.execute(f"DROP OWNED BY {role}")
            connection.execute(f"DROP ROLE {role}")


ALL = "SELECT, INSERT, UPDATE, DELETE"
GROUPS = "GRANT owned_direct, owned_guarded TO {role}"
LOGINS = {
    "a superuser": ("SUPERUSER",),
    "an owner of the tables": (
        "",
        GROUPS,
        "ALTER TABLE task OWNER TO {role}",
        "ALTER TABLE milestone OWNER TO {role}",
    ),
    "neither": ("", GROUPS),
    "a role that bypasses policies": ("BYPASSRLS", GROUPS),
}


@pytest.mark.plain
@pytest.mark.parametrize("kind", LOGINS)
def test_the_guard_holds_for_any_login(make_database: MakeDatabase, kind: str) -> None:
    with (
        login(migrated(make_database()), *LOGINS[kind]) as url,
        serve(url) as server,
        server.client("alice") as alice,
        server.client("bob") as bob,
    ):
        create(alice, "mine")
        create(bob, "theirs")
        assert alice.get("/health/ready").status_code == 200
        assert titles(alice) == ["mine"]
        assert transact(server, "alice", values(select(TITLE))) == ["mine"]
        transact(server, "alice", lambda s: s.execute(update(Task).values(title="changed")))
        with pytest.raises(DatabaseError, match="InsufficientPrivilege"):
            transact(server, "alice", lambda s: s.execute(FORBIDDEN["an insert as text"]))
        assert (titles(alice), titles(bob)) == (["changed"], ["theirs"])


@pytest.mark.plain
def test_a_login_in_no_group_sees_nothing_and_is_told_what_to_grant(
    make_database: MakeDatabase, logs: Logs
) -> None:
    url = migrated(make_database())
    with serve(url) as server, server.client("alice") as alice:
        create(alice, "mine")
    granted = (f"GRANT {ALL} ON ALL TABLES IN SCHEMA public TO {{role}}",)
    with login(url, "", *granted) as stranger, serve(stranger) as server:
        with server.client("alice") as alice:
            assert titles(alice) == []
            assert alice.get("/health/ready").status_code == 503
        with connect(url) as connection:
            connection.execute(GROUPS.format(role=stranger.username))
        with server.client("alice") as alice:
            assert titles(alice) == ["mine"]
            assert alice.get("/health/ready").status_code == 200
    causes = [entry["cause"] for entry in logs if "cause" in entry]
    assert causes == [
        "the login is not in the groups that see rows: " + GROUPS.format(role=stranger.username)
    ]


@pytest.mark.plain
def test_without_an_owner_there_are_no_rows(make_database: MakeDatabase) -> None:
    url = migrated(make_database())
    with serve(url) as server, server.client("alice") as alice:
        create(alice, "mine")
    with connect(url) as connection, connection.transaction():
        connection.execute("SET LOCAL ROLE owned_guarded")
        assert connection.execute("SELECT count(*) FROM task").fetchone() == (0,)
        assert connection.execute("DELETE FROM task").rowcount == 0
    with connect(url) as connection:
        connection.execute(begin("alice"))
        assert connection.execute("SELECT count(*) FROM task").fetchone() == (1,)
        connection.execute("COMMIT")
        with connection.transaction():
            connection.execute("SET LOCAL ROLE owned_guarded")
            assert connection.execute("SELECT count(*) FROM task").fetchone() == (0,)


@pytest.mark.plain
def test_a_login_is_told_which_key_is_refused_although_policies_hide_it(
    make_database: MakeDatabase,
) -> None:
    url = migrated(make_database())
    granted = (GROUPS, f"GRANT {ALL} ON ALL TABLES IN SCHEMA public TO {{role}}")
    with login(url, "", *granted) as api, serve(api) as server, server.client("alice") as alice:
        milestone = reach(alice, name="Plan")
        again = {"task_id": milestone["task_id"], "name": "Plan", "weight": 1}
        taken = alice.post(MILESTONES, json=again)
        assert taken.json()["detail"] == "There is an item with this name already."
        same_id = {**again, "name": "x", "id": milestone["id"]}
        taken = alice.post(MILESTONES, json=same_id)
        assert taken.json()["detail"] == "There is an item with this id already."
        nowhere = alice.post(MILESTONES, json={**again, "name": "x", "task_id": NEVER_WAS})
        assert_problem(nowhere, 422, "/body/task_id")


def test_a_login_that_may_read_a_table_is_in_the_group_once_it_is_guarded(
    make_database: MakeDatabase,
) -> None:
    """So the version that runs while the migration does goes on."""
    url = make_database()
    with login(url, "") as reader, connect(url) as connection:
        connection.execute("CREATE TABLE thing (owner_id varchar)")
        connection.execute("INSERT INTO thing VALUES ('alice')")
        connection.execute(f"GRANT SELECT ON thing TO {reader.username}")
        with connect(reader) as before:
            for statement in guard("thing"):
                connection.execute(statement)
            assert before.execute("SELECT count(*) FROM thing").fetchone() == (1,)
            with pytest.raises(InsufficientPrivilege):
                before.execute("INSERT INTO thing VALUES ('alice')")
            with pytest.raises(InsufficientPrivilege):
                before.execute("SET ROLE owned_guarded")


def test_the_recorder_accepts_what_is_guarded_and_nothing_else(
    server: Server, mine: str, owner: str
) -> None:
    async def work(session: AsyncSession) -> None:
        for _ in range(10):  # until it is prepared
            await session.execute(text("SELECT title FROM task"))

    assert mine
    before = len(SENT)
    transact(server, owner, work)
    assert not any("FROM task" in statement for statement in SENT[before:])

    url = server.app.state.settings.database_url.set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
        connection.execute("SELECT 1 FROM task")
        connection.rollback()
        connection.execute(begin(owner))
        connection.execute("RESET ROLE")
        connection.execute("SELECT 2 FROM task")
    assert unowned(SENT[before:]) == ["SELECT 1 FROM task", "SELECT 2 FROM task"]
    del SENT[before:]  # or else the suite's own check fails this test


def test_a_list_of_ids_reaches_the_owners_rows_only(
    server: Server, mine: str, owner: str, bob: httpx.Client
) -> None:
    ids = [UUID(mine), *(UUID(item["id"]) for item in bob.get(TASKS).json()["items"])]

    found = transact(server, owner, values(select(TABLE.c.id).where(TABLE.c.id.in_(ids))))
    assert found == [UUID(mine)]
